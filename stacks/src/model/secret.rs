//! Where a secret value comes from. The value itself stays out of debug output and of serialized models.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// Where a secret comes from. Prefer `fromStack` (set with `plinth secrets set`), `fromExternalSecret` where an External Secrets store exists, and `generate` for
/// what only the platform itself needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SecretSource {
    /// The value itself. It is encrypted in state, but it stands in this file in the clear: for trials only.
    Value(SecretText),
    /// A random value, made once and kept in the encrypted state.
    Generate(GeneratedSecret),
    /// A value read by the External Secrets operator from the store that `platform.externalSecrets` names.
    FromExternalSecret(ExternalSecretKey),
}

/// How to make a random secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GeneratedSecret {
    /// The number of characters (letters and digits).
    #[schemars(range(min = 16, max = 256))]
    pub length: u32,
}

impl Default for GeneratedSecret {
    fn default() -> Self {
        Self { length: 32 }
    }
}

/// One property of one entry of an External Secrets store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalSecretKey {
    /// The entry's key in the store, such as `prod/grafana/oidc`.
    pub key: String,
    /// The property inside the entry, when the entry is an object.
    #[serde(default)]
    pub property: Option<String>,
}

/// A secret text. Its debug form and its serialized form do not show it.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("writeOnly" = true))]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself; for the place that must have it, and for no other.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[secret]")
    }
}
