//! What the simulated cloud keeps of a resource and of an operation; also what it answers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::CloudKind;

/// Who a resource belongs to; shown as its tags `plinth.dev/stack` and `plinth.dev/urn`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The stack.
    #[serde(rename = "plinth.dev/stack")]
    pub stack: String,
    /// The resource's URN.
    #[serde(rename = "plinth.dev/urn")]
    pub urn: String,
}

/// The state of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It is being made.
    Creating,
    /// It is there.
    Active,
    /// It is being changed.
    Updating,
    /// It is going.
    Deleting,
    /// The last operation failed.
    Failed,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
            Self::Failed => "FAILED",
        })
    }
}

/// Who changed an input last, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// The client's name.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its kind.
    pub kind: CloudKind,
    /// Its name, unique in its kind.
    pub name: String,
    /// Its state.
    pub status: Status,
    /// What was asked for, in normal form.
    pub inputs: Json,
    /// What came out.
    pub outputs: Json,
    /// Who it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Owner>,
    /// The token of the request that made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_token: String,
    /// When it was made.
    pub created: Timestamp,
    /// The operation that runs on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Who changed which input last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub touched: BTreeMap<String, Touch>,
    /// The nodes that have joined, for a node pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

impl Record {
    /// Its identity in the cloud.
    pub fn id(&self) -> &str {
        self.outputs.get("id").and_then(Json::as_str).unwrap_or(&self.name)
    }

    /// The text of an input.
    pub fn text(&self, input: &str) -> Option<&str> {
        self.inputs.get(input)?.as_str()
    }
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Makes a resource.
    Create,
    /// Changes one.
    Update,
    /// Removes one.
    Delete,
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        })
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Progress {
    /// It runs.
    Running,
    /// It has ended well.
    Done,
    /// It has failed.
    Failed,
}

/// A long operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// What it does.
    pub action: Action,
    /// To a resource of which kind.
    pub kind: CloudKind,
    /// To which one.
    pub name: String,
    /// How far it is.
    pub progress: Progress,
    /// When it began.
    pub started: Timestamp,
    /// When it will have ended.
    pub ends: Timestamp,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Operation {
    /// How much of it is done at `now`, in percent.
    pub fn percent(&self, now: Timestamp) -> u32 {
        if self.progress != Progress::Running {
            return 100;
        }
        let whole = self.ends.as_millisecond() - self.started.as_millisecond();
        let part = now.as_millisecond() - self.started.as_millisecond();
        if whole <= 0 { 99 } else { (part * 100 / whole).clamp(0, 99) as u32 }
    }

    /// The state that the resource shows while it runs.
    pub fn status(&self) -> Status {
        match self.action {
            Action::Create => Status::Creating,
            Action::Update => Status::Updating,
            Action::Delete => Status::Deleting,
        }
    }
}
