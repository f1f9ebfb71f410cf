//! Keys wrapped by Google Cloud KMS. The stack's name is authenticated with them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::http::{Request, TOKEN, address, chain, post};
use super::wrapped::data_key;
use super::{BY_GCP_KMS, WrappedKey};
use crate::{DataKey, Error, Result};

const ENDPOINT: &str = "https://cloudkms.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";

/// A key of Google Cloud KMS; credentials by Google's default chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcpKms {
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`.
    pub key: String,
    /// Another address than Google's own.
    pub endpoint: Option<String>,
}

impl GcpKms {
    pub(super) async fn wrap(&self, stack: &str, key: &DataKey) -> Result<WrappedKey> {
        let body = json!({
            "plaintext": BASE64.encode(key.as_bytes()),
            "additionalAuthenticatedData": BASE64.encode(bound_to(stack)),
        });
        let reply = self.ask("encrypt", body).await?;
        let wrapped = self.bytes(&reply, "ciphertext")?;
        let mut wrapped = WrappedKey::new(BY_GCP_KMS, &wrapped);
        wrapped.key = Some(self.key.clone());
        wrapped.endpoint.clone_from(&self.endpoint);
        Ok(wrapped)
    }

    pub(super) async fn open(&self, stack: &str, wrapped: &WrappedKey) -> Result<DataKey> {
        if wrapped.key.as_ref() != Some(&self.key) {
            return Err(super::Keys::GcpKms(self.clone()).refused(wrapped));
        }
        let body = json!({
            "ciphertext": BASE64.encode(wrapped.bytes()?),
            "additionalAuthenticatedData": BASE64.encode(bound_to(stack)),
        });
        let reply = self.ask("decrypt", body).await?;
        data_key(&self.bytes(&reply, "plaintext")?)
    }

    fn bytes(&self, reply: &serde_json::Value, field: &str) -> Result<Vec<u8>> {
        let text = reply.get(field).and_then(serde_json::Value::as_str);
        text.and_then(|text| BASE64.decode(text).ok()).ok_or_else(|| Error::Key {
            why: format!("the Cloud KMS key {} answered without `{field}`", self.key),
        })
    }

    async fn ask(&self, verb: &str, body: serde_json::Value) -> Result<serde_json::Value> {
        let what = format!("the Cloud KMS key {}", self.key);
        let endpoint = self.endpoint.as_deref().unwrap_or(ENDPOINT).trim_end_matches('/');
        let url = address(&what, &format!("{endpoint}/v1/{}:{verb}", self.key))?;
        let token = self.token().await?;
        let permission = match verb {
            "encrypt" => "cloudkms.cryptoKeyVersions.useToEncrypt",
            _ => "cloudkms.cryptoKeyVersions.useToDecrypt",
        };
        let permission = format!("{permission} on the key (role Cloud KMS CryptoKey Encrypter/Decrypter)");
        post(Request { what: &what, url, token: &token, body, permission: &permission }).await
    }

    async fn token(&self) -> Result<String> {
        let failed = |why: String| Error::Key {
            why: format!(
                "the Cloud KMS key {} cannot be used: no Google credentials: {why}; run `gcloud auth application-default login`, \
                 or set GOOGLE_APPLICATION_CREDENTIALS",
                self.key
            ),
        };
        let credentials = google_cloud_auth::credentials::Builder::default()
            .with_scopes([SCOPE])
            .build_access_token_credentials()
            .map_err(|error| failed(chain(&error)))?;
        let token = tokio::time::timeout(TOKEN, credentials.access_token()).await;
        let token = token.map_err(|_| failed(format!("none came within {} s", TOKEN.as_secs())))?;
        Ok(token.map_err(|error| failed(chain(&error)))?.token)
    }
}

/// What a wrapped key is bound to: another stack's does not open in its place.
fn bound_to(stack: &str) -> String {
    format!("plinth stack {stack}")
}
