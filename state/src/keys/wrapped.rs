//! A data key that only its key opens, as it stands in the log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use super::{BY_AWS_KMS, BY_AZURE, BY_GCP_KMS, BY_IDENTITY, BY_PASSPHRASE};
use crate::{DataKey, DataKeys, Error, Result};

/// A data key that only its key opens; may stand in the log and in plan files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WrappedKey {
    /// What wrapped it: `age-x25519`, `age-passphrase`, `aws-kms`, `gcp-kms` or `azure-key-vault`.
    pub by: String,
    /// The data key's id; absent in format version 1, where a stack had one data key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whose identities open it; none but for age.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// The key service's key, as the stack file named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Which version of that key it was, where the service says so and needs it to open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_version: Option<String>,
    /// The key service's region, when the stack file named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The key service's address, when the stack file named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The wrapped key, in base64.
    pub wrapped: String,
    /// Earlier data keys, sealed with this one, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older: Vec<String>,
}

impl WrappedKey {
    pub(super) fn new(by: &str, wrapped: &[u8]) -> Self {
        Self {
            by: by.to_owned(),
            id: None,
            recipients: Vec::new(),
            key: None,
            key_version: None,
            region: None,
            endpoint: None,
            wrapped: BASE64.encode(wrapped),
            older: Vec::new(),
        }
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        BASE64.decode(&self.wrapped).map_err(|_| Error::Key {
            why: "the wrapped data key in the state log is not base64: the log is damaged".to_owned(),
        })
    }

    fn named(&self) -> &str {
        self.key.as_deref().unwrap_or("(not named)")
    }

    /// Which key it takes, as in a message.
    pub fn opened_by(&self) -> String {
        match self.by.as_str() {
            BY_PASSPHRASE => "a passphrase".to_owned(),
            BY_IDENTITY => format!("the age recipient {}", self.recipients.join(" or ")),
            BY_AWS_KMS => format!("the AWS KMS key {}", self.named()),
            BY_GCP_KMS => format!("the Cloud KMS key {}", self.named()),
            BY_AZURE => format!("the Key Vault key {}", self.named()),
            other => format!("`{other}`, which this Plinth does not know"),
        }
    }

    /// What to give, as in a message.
    pub(super) fn expected(&self) -> String {
        const CHANGE: &str = "to change over to another key, run `plinth secrets rotate`";
        match self.by.as_str() {
            BY_PASSPHRASE => format!(
                "it is wrapped with a passphrase: give that one in PLINTH_PASSPHRASE; {CHANGE} with it in PLINTH_OLD_PASSPHRASE"
            ),
            BY_IDENTITY => format!(
                "it is wrapped for {}: give the identity file that holds its secret key (PLINTH_IDENTITY), or restore it from a \
                 backup; {CHANGE}, with that file as --old-identity",
                self.opened_by()
            ),
            BY_AWS_KMS | BY_GCP_KMS | BY_AZURE => format!(
                "it is wrapped with {}: name that key under `settings.encryption` of the stack file; {CHANGE}",
                self.opened_by()
            ),
            _ => format!("it is wrapped by {}", self.opened_by()),
        }
    }
}

/// The 32 bytes of a data key.
pub(super) fn data_key(bytes: &[u8]) -> Result<DataKey> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| Error::Key {
        why: "the wrapped data key has another length than a data key".to_owned(),
    })?;
    Ok(DataKey::from_bytes(bytes))
}

/// An earlier data key, sealed with the present one.
pub(super) fn seal_older(key: &DataKey, old: &DataKey) -> Result<String> {
    key.seal(&serde_json::Value::String(BASE64.encode(old.as_bytes())))
}

pub(super) fn open_older(key: &DataKey, sealed: &str) -> Result<DataKey> {
    let damaged = || Error::Key {
        why: "an earlier data key in the state log does not open with the present one: the log is damaged"
            .to_owned(),
    };
    let opened = DataKeys::one(key.clone()).open(sealed).map_err(|_| damaged())?;
    let bytes = opened.as_str().and_then(|text| BASE64.decode(text).ok()).ok_or_else(damaged)?;
    data_key(&bytes)
}
