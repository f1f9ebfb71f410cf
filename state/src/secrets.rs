//! A stack's own secrets: set by a person, used by name in the stack file.

use plinth_provider::{Value, exposed};
use serde::{Deserialize, Serialize};

/// A secret that was set for a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StackSecret {
    /// Its value; always a secret.
    #[serde(with = "exposed")]
    pub value: Value,
    /// When it was set.
    pub set: jiff::Timestamp,
    /// Who set it, `user@host`; empty when that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}
