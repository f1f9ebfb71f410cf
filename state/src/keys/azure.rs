//! Keys wrapped by an RSA key of an Azure Key Vault. RSA authenticates nothing beside what it wraps, so the stack's
//! name is wrapped with the key.

use std::path::PathBuf;
use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_identity::{
    AzureCliCredential, ClientSecretCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::http::{Request, TOKEN, address, chain, post};
use super::wrapped::data_key;
use super::{BY_AZURE, WrappedKey};
use crate::{DataKey, Error, Result};

const API_VERSION: &str = "7.4";
const ALGORITHM: &str = "RSA-OAEP-256";
const SCOPE: &str = "https://vault.azure.net/.default";
const KEY_LEN: usize = 32;

/// An RSA key of an Azure Key Vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureKeyVault {
    /// The vault's name, or its whole URL.
    pub vault: String,
    /// The key's name.
    pub key: String,
    /// How to sign in.
    pub credentials: AzureCredentials,
}

/// How to sign in to Azure: with the first that is configured, and with no other when that one fails.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct AzureCredentials {
    /// The tenant (`AZURE_TENANT_ID`).
    pub tenant: Option<String>,
    /// The application or managed identity (`AZURE_CLIENT_ID`).
    pub client: Option<String>,
    /// A secret of the application (`AZURE_CLIENT_SECRET`).
    pub secret: Option<String>,
    /// A file with a federated token (`AZURE_FEDERATED_TOKEN_FILE`).
    pub token_file: Option<PathBuf>,
    /// Whether this runs where a managed identity is offered (`IDENTITY_ENDPOINT`), or one is to be asked for
    /// (`AZURE_CLIENT_ID` alone).
    pub managed_identity: bool,
}

impl std::fmt::Debug for AzureCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AzureCredentials")
            .field("tenant", &self.tenant)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl AzureCredentials {
    fn chosen(&self) -> azure_core::Result<(&'static str, Arc<dyn TokenCredential>)> {
        if let (Some(tenant), Some(client), Some(secret)) = (&self.tenant, &self.client, &self.secret) {
            let secret = Secret::new(secret.clone());
            return Ok((
                "the client secret",
                ClientSecretCredential::new(tenant, client.clone(), secret, None)?,
            ));
        }
        if let Some(file) = &self.token_file {
            let options = WorkloadIdentityCredentialOptions {
                client_id: self.client.clone(),
                tenant_id: self.tenant.clone(),
                token_file_path: Some(file.clone()),
                ..Default::default()
            };
            return Ok(("the federated token", WorkloadIdentityCredential::new(Some(options))?));
        }
        if self.managed_identity {
            let options = ManagedIdentityCredentialOptions {
                user_assigned_id: self.client.clone().map(UserAssignedId::ClientId),
                ..Default::default()
            };
            return Ok(("the managed identity", ManagedIdentityCredential::new(Some(options))?));
        }
        Ok(("the Azure CLI", AzureCliCredential::new(None)?))
    }
}

impl AzureKeyVault {
    /// From what [`AzureKeyVault::place`] gave.
    pub(super) fn parse(place: &str, credentials: AzureCredentials) -> Option<Self> {
        let (vault, key) = place.split_once("/keys/")?;
        Some(Self { vault: vault.to_owned(), key: key.to_owned(), credentials })
    }

    /// The vault's address and the key.
    pub(super) fn place(&self) -> String {
        let vault = self.vault.trim_end_matches('/');
        let vault =
            if vault.contains("://") { vault.to_owned() } else { format!("https://{vault}.vault.azure.net") };
        format!("{vault}/keys/{}", self.key)
    }

    pub(super) async fn wrap(&self, stack: &str, key: &DataKey) -> Result<WrappedKey> {
        let mut content = key.as_bytes().to_vec();
        content.extend_from_slice(&bound_to(stack));
        let (wrapped, version) = self.ask("wrapkey", None, &content).await?;
        let mut wrapped = WrappedKey::new(BY_AZURE, &wrapped);
        wrapped.key = Some(self.place());
        wrapped.key_version = version;
        Ok(wrapped)
    }

    pub(super) async fn open(&self, stack: &str, wrapped: &WrappedKey) -> Result<DataKey> {
        if wrapped.key != Some(self.place()) {
            return Err(super::Keys::AzureKeyVault(self.clone()).refused(wrapped));
        }
        let version = wrapped.key_version.as_deref();
        let (content, _) = self.ask("unwrapkey", version, &wrapped.bytes()?).await?;
        match content.split_at_checked(KEY_LEN) {
            Some((key, bound)) if bound == bound_to(stack) => data_key(key),
            _ => Err(Error::Key {
                why: format!(
                    "the Key Vault key {} opens this data key, but it was wrapped for another stack than `{stack}`",
                    self.place()
                ),
            }),
        }
    }

    /// The result, and the version of the key that gave it.
    async fn ask(
        &self,
        verb: &str,
        version: Option<&str>,
        content: &[u8],
    ) -> Result<(Vec<u8>, Option<String>)> {
        let what = format!("the Key Vault key {}", self.place());
        let version = version.map(|version| format!("/{version}")).unwrap_or_default();
        let url = address(&what, &format!("{}{version}/{verb}?api-version={API_VERSION}", self.place()))?;
        let token = self.token().await?;
        let body = json!({ "alg": ALGORITHM, "value": BASE64.encode(content) });
        let permission = format!(
            "keys/{} (role Key Vault Crypto User)",
            if verb == "wrapkey" { "wrapKey" } else { "unwrapKey" }
        );
        let reply = post(Request { what: &what, url, token: &token, body, permission: &permission }).await?;
        let text = |field: &str| reply.get(field).and_then(serde_json::Value::as_str);
        let value = text("value").and_then(|value| BASE64.decode(value.trim_end_matches('=')).ok());
        let value = value.ok_or_else(|| Error::Key { why: format!("{what} answered without `value`") })?;
        // A key's id is <vault>/keys/<name>/<version>.
        let version = text("kid")
            .and_then(|kid| kid.split_once("/keys/"))
            .and_then(|(_, rest)| rest.split('/').nth(1))
            .filter(|version| !version.is_empty());
        Ok((value, version.map(str::to_owned)))
    }

    async fn token(&self) -> Result<String> {
        let failed = |by: &str, why: String| Error::Key {
            why: format!(
                "the Key Vault key {} cannot be used: {by} gives no token: {}; sign in with `az login`, or set AZURE_TENANT_ID, \
                 AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
                self.place(),
                why.lines().next().unwrap_or_default().trim_end_matches('.')
            ),
        };
        let (by, credential) =
            self.credentials.chosen().map_err(|error| failed("what the environment names", chain(&error)))?;
        let token = tokio::time::timeout(TOKEN, credential.get_token(&[SCOPE], None)).await;
        let token = token.map_err(|_| failed(by, format!("none came within {} s", TOKEN.as_secs())))?;
        Ok(token.map_err(|error| failed(by, chain(&error)))?.token.secret().to_owned())
    }
}

/// What a wrapped key is bound to: another stack's does not open in its place.
fn bound_to(stack: &str) -> [u8; 32] {
    Sha256::digest(format!("plinth stack {stack}")).into()
}
