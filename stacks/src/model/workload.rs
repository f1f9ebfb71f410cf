//! What a stack file may override about any workload. Whatever is left out is derived (see `sizing`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::Quantity;

/// Requests and limits of one container. Whatever is left out is derived: a memory limit equals its request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resources {
    /// The processor time that is reserved.
    pub cpu: Option<Quantity>,
    /// The memory that is reserved.
    pub memory: Option<Quantity>,
    /// The most processor time; twice the reserved when left out.
    pub cpu_limit: Option<Quantity>,
    /// The most memory; what is reserved when left out.
    pub memory_limit: Option<Quantity>,
}

/// Overrides for a workload without a disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Workload {
    /// The number of pods.
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<u32>,
    /// Requests and limits of each.
    pub resources: Resources,
}

/// Overrides for a workload with a disk for each pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StatefulWorkload {
    /// The number of pods.
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<u32>,
    /// Requests and limits of each.
    pub resources: Resources,
    /// The size of each pod's disk.
    pub storage: Option<Quantity>,
}
