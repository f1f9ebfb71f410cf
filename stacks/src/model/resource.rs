//! Entries under `resources:`, which add any kind of any provider to a stack.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scalars::Duration;

/// One resource. Texts in `inputs` may hold `${name.output.path}`, the output of another entry; write `$${` for a
/// literal `${`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceEntry {
    /// The resource's kind, such as `plinth:Data`, `aws:s3/Bucket` or `k8s:apps/v1/Deployment`.
    #[schemars(length(min = 1))]
    pub kind: String,
    /// A name, unique in the stack for its kind; other entries refer to it.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What is asked for, in the words of the kind.
    #[serde(default)]
    pub inputs: Value,
    /// Names of entries that must exist before this one, beside those that `inputs` refer to.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Refuses every plan that would delete or replace it.
    #[serde(default)]
    pub protect: bool,
    /// Paths into `inputs` whose changes are not acted upon.
    #[serde(default)]
    pub ignore_changes: Vec<String>,
    /// Paths into `inputs` whose changes replace the resource.
    #[serde(default)]
    pub replace_on_changes: Vec<String>,
    /// Deletes before it creates when it replaces. The kind decides when left out.
    #[serde(default)]
    pub delete_before_replace: Option<bool>,
    /// Forgets the resource instead of deleting it.
    #[serde(default)]
    pub retain_on_delete: bool,
    /// How long each operation may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Earlier names (or whole URNs): the resource with such a name is this one, not to be made anew.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The system's own id of something that exists already (`namespace/name` of an object, the id or name of a cloud's
    /// resource): it is taken over as this resource, instead of one being made.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub import: Option<String>,
    /// Takes over what exists already under this resource's own name, if no stack's marks are on it. Without, such a
    /// plan is refused.
    #[serde(default)]
    pub adopt: bool,
    /// Takes over Kubernetes fields that another manager owns, instead of reporting a conflict.
    #[serde(default)]
    pub force_conflicts: bool,
}

/// How long operations may take.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timeouts {
    /// Creating, until ready.
    pub create: Option<Duration>,
    /// Updating, until ready again.
    pub update: Option<Duration>,
    /// Deleting, until gone.
    pub delete: Option<Duration>,
}
