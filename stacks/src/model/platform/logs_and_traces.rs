//! Loki and Tempo, each as a set of services around an object store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CompactorWorkload;
use crate::model::scalars::Duration;
use crate::model::workload::{StatefulWorkload, Workload};

/// Loki.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Loki {
    /// Runs it.
    pub enabled: bool,
    /// How long logs are kept: a multiple of a day, at least one.
    pub retention: Duration,
    /// The amount of logs expected, from which replicas and sizes are derived.
    #[schemars(range(min = 0))]
    pub gb_per_day: Option<f64>,
    /// The day from which the current storage schema is used (`YYYY-MM-DD`): today or earlier at the first apply, and never changed after it.
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub schema_from: String,
    /// Receives logs and spreads them over ingesters.
    pub distributor: Workload,
    /// Keeps recent logs and writes them to the bucket.
    pub ingester: StatefulWorkload,
    /// Answers queries.
    pub querier: Workload,
    /// Splits and caches queries.
    pub query_frontend: Workload,
    /// Queues queries.
    pub query_scheduler: Workload,
    /// Serves the index from the bucket.
    pub index_gateway: StatefulWorkload,
    /// Compacts the index and applies retention; always one.
    pub compactor: CompactorWorkload,
    /// Evaluates rules over logs.
    pub ruler: StatefulWorkload,
    /// The one address in front of it all.
    pub gateway: Workload,
}

impl Default for Loki {
    fn default() -> Self {
        Self {
            enabled: true,
            retention: crate::model::constant("31d"),
            gb_per_day: None,
            schema_from: "2025-01-01".to_owned(),
            distributor: Workload::default(),
            ingester: StatefulWorkload::default(),
            querier: Workload::default(),
            query_frontend: Workload::default(),
            query_scheduler: Workload::default(),
            index_gateway: StatefulWorkload::default(),
            compactor: CompactorWorkload::default(),
            ruler: StatefulWorkload::default(),
            gateway: Workload::default(),
        }
    }
}

/// Tempo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tempo {
    /// Runs it.
    pub enabled: bool,
    /// How long traces are kept.
    pub retention: Duration,
    /// The rate of spans expected, from which replicas and sizes are derived; the collector's when left out.
    pub spans_per_second: Option<u64>,
    /// Receives spans and spreads them over ingesters.
    pub distributor: Workload,
    /// Keeps recent traces and writes them to the bucket.
    pub ingester: StatefulWorkload,
    /// Answers queries.
    pub querier: Workload,
    /// Splits queries.
    pub query_frontend: Workload,
    /// Compacts blocks and applies retention.
    pub compactor: Workload,
    /// Makes metrics (rates, errors, durations, service graphs) from spans.
    pub metrics_generator: MetricsGenerator,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            enabled: true,
            retention: crate::model::constant("14d"),
            spans_per_second: None,
            distributor: Workload::default(),
            ingester: StatefulWorkload::default(),
            querier: Workload::default(),
            query_frontend: Workload::default(),
            compactor: Workload::default(),
            metrics_generator: MetricsGenerator::default(),
        }
    }
}

/// The maker of metrics from spans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MetricsGenerator {
    /// Runs it.
    pub enabled: bool,
    /// Replicas, resources and disks.
    pub workload: StatefulWorkload,
}

impl Default for MetricsGenerator {
    fn default() -> Self {
        Self { enabled: true, workload: StatefulWorkload::default() }
    }
}
