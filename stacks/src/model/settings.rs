//! How the engine treats a stack, as opposed to what the stack is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::Duration;

/// Settings of the engine for this stack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Where state lives: `file://`, `s3://`, `gs://`, `az://` or `postgres://`. The command line's `--state` overrides it.
    pub state: Option<String>,
    /// The most operations at a time: a number for all together, or `total` and `providers` by themselves. What a system
    /// takes below that is found out while running.
    pub concurrency: Option<Concurrency>,
    /// How old a recorded fact may be before `plan` reads it again.
    pub refresh_max_age: Option<Duration>,
    /// What protects the data key that encrypts secrets in state.
    pub encryption: Encryption,
    /// How much of the stack's history is kept: all of it when left out.
    pub history: Option<History>,
    /// Paths below `parameters` that `promote` carries over. The others belong to their environment.
    pub promote_parameters: Vec<String>,
}

/// How much of the history is kept. A revision that either rule keeps can be returned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct History {
    /// This many of the newest revisions.
    #[schemars(range(min = 1))]
    pub keep_revisions: Option<std::num::NonZeroU32>,
    /// The revisions of the last so many days.
    #[schemars(range(min = 1))]
    pub keep_days: Option<std::num::NonZeroU32>,
}

/// The most operations at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Concurrency {
    /// Of all providers together.
    Total(#[schemars(range(min = 1, max = 1000))] u32),
    /// By themselves.
    Each(ConcurrencyLimits),
}

/// The most operations at a time, in all and by provider.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ConcurrencyLimits {
    /// Of all providers together; as many as each allows when left out.
    #[schemars(range(min = 1, max = 1000))]
    pub total: Option<u32>,
    /// By what a provider's kinds begin with: `k8s: 20`.
    pub providers: BTreeMap<String, Limit>,
}

/// A number of operations at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Limit(#[schemars(range(min = 1, max = 1000))] pub u32);

/// What protects the stack's data key. After a change here, `plinth secrets rotate` changes over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Encryption {
    /// The passphrase that the person or the pipeline gives, if one is given; else an identity file beside the state.
    #[default]
    Auto,
    /// A passphrase, in the environment variable `PLINTH_PASSPHRASE`; without one nothing runs.
    Passphrase,
    /// An identity file (in the `age` format) beside the state, made with the first secret.
    IdentityFile,
    /// Several people or pipelines, each with an `age` identity file of their own.
    Age(AgeRecipients),
    /// A key of AWS KMS; credentials by AWS's default chain.
    AwsKms(AwsKmsKey),
    /// A key of Google Cloud KMS; credentials by Google's default chain.
    GcpKms(GcpKmsKey),
    /// An RSA key of an Azure Key Vault; credentials from the environment or the Azure CLI.
    AzureKeyVault(AzureKeyVaultKey),
}

/// Who can open the stack's secrets, by their `age` public keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgeRecipients {
    /// Public keys, `age1…`; whoever runs Plinth needs the identity of one of them, in the file that `PLINTH_IDENTITY`
    /// names or beside the state.
    #[schemars(length(min = 1), inner(pattern(r"^age1[02-9ac-hj-np-z]{58}$")))]
    pub recipients: Vec<String>,
}

/// A key of AWS KMS. Whoever runs Plinth needs `kms:Encrypt` and `kms:Decrypt` on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsKmsKey {
    /// The key's ARN, id, or alias (`alias/…`); symmetric.
    #[schemars(length(min = 1))]
    pub key_id: String,
    /// Its region; by default that of its ARN, else that of the credentials.
    #[serde(default)]
    pub region: Option<String>,
    /// A profile of AWS's configuration files; by default `AWS_PROFILE`'s.
    #[serde(default)]
    pub profile: Option<String>,
}

/// A key of Google Cloud KMS. Whoever runs Plinth needs the role Cloud KMS CryptoKey Encrypter/Decrypter on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GcpKmsKey {
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`.
    #[schemars(regex(pattern = r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$"))]
    pub key: String,
    /// Another address than Google's own, such as a private endpoint.
    #[serde(default)]
    pub endpoint: Option<String>,
}

/// An RSA key of an Azure Key Vault. Whoever runs Plinth needs the role Key Vault Crypto User on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureKeyVaultKey {
    /// The vault's name, or its whole URL.
    #[schemars(length(min = 1))]
    pub vault: String,
    /// The key's name.
    #[schemars(regex(pattern = r"^[0-9A-Za-z-]{1,127}$"))]
    pub key: String,
}
