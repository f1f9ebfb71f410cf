//! How the engine treats a stack, as opposed to what the stack is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::Duration;

/// Settings of the engine for this stack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Where state lives: `file://`, `s3://`, `gs://`, `azure://` … The command line's `--state` overrides it.
    pub state: Option<String>,
    /// The most operations at a time for each provider; adaptive when left out.
    #[schemars(range(min = 1, max = 1000))]
    pub concurrency: Option<u32>,
    /// How old a recorded fact may be before `plan` reads it again.
    pub refresh_max_age: Option<Duration>,
    /// What protects the data key that encrypts secrets in state.
    pub encryption: Encryption,
}

/// What protects the stack's data key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Encryption {
    /// A passphrase, given to the command line by the person or the pipeline that runs it.
    Passphrase(PassphraseEncryption),
    /// Recipients of the `age` format: who holds one of the identities can open the state.
    Age(AgeEncryption),
}

impl Default for Encryption {
    fn default() -> Self {
        Self::Passphrase(PassphraseEncryption::default())
    }
}

/// Encryption with a passphrase has nothing to set here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PassphraseEncryption {}

/// Encryption to `age` recipients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgeEncryption {
    /// The recipients (`age1…`).
    #[schemars(length(min = 1))]
    pub recipients: Vec<String>,
}
