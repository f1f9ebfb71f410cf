//! Plans in files: what was desired, and the log position that it was planned against.

use std::fmt::Write as _;

use plinth_provider::Resource;
use plinth_state::Provenance;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Plan, Scope};

const VERSION: u32 = 1;

/// A plan as it is written to a file. Secrets in it are sealed by whoever writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedPlan {
    /// The format.
    pub version: u32,
    /// The stack's name.
    pub stack: String,
    /// The stack file that it was made from.
    pub stack_file: String,
    /// Whether it was a rehearsal.
    pub rehearse: bool,
    /// The log position that it was made against.
    pub base_seq: u64,
    /// The hash of the entry there.
    pub base_hash: String,
    /// Digest of the steps.
    pub digest: String,
    /// Which part of the stack it is about.
    #[serde(default, skip_serializing_if = "Scope::is_default")]
    pub scope: Scope,
    /// The desired graph.
    pub declared: Vec<Resource>,
    /// The promotable settings behind it.
    #[serde(default)]
    pub settings: serde_json::Value,
    /// Where the desired graph comes from, when not from the stack file alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Digest of the stack file.
    #[serde(default)]
    pub stack_file_digest: String,
}

/// Why a plan file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavedPlanError {
    /// Not a plan file.
    #[error("not a plan file: {0}")]
    Malformed(String),
    /// Written by a newer Plinth.
    #[error("the plan file has format {0}, this Plinth knows format {VERSION}; use the Plinth that wrote it")]
    Version(u64),
}

impl SavedPlan {
    /// The format that this version writes.
    pub const VERSION: u32 = VERSION;

    /// Reads a plan file's tree, whose secrets have been opened.
    ///
    /// # Errors
    /// When it is not a plan file or of a newer format.
    pub fn from_tree(tree: serde_json::Value) -> Result<Self, SavedPlanError> {
        let version = tree.get("version").and_then(serde_json::Value::as_u64);
        match version {
            Some(version) if version != u64::from(VERSION) => return Err(SavedPlanError::Version(version)),
            _ => {}
        }
        serde_json::from_value(tree).map_err(|error| SavedPlanError::Malformed(error.to_string()))
    }
}

impl Plan {
    /// A digest of what the plan does: equal plans, equal digests.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for step in self.changes() {
            hash.update(step.urn.as_str());
            hash.update(step.op.as_str());
            for change in &step.changes {
                hash.update(serde_json::to_vec(change).unwrap_or_default());
            }
            for path in &step.forced_by {
                hash.update(path.to_string());
            }
            hash.update([0]);
        }
        let mut text = String::from("sha256:");
        for byte in hash.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}
