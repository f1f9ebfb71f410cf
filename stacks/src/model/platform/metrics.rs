//! Prometheus and Thanos.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::scalars::{Duration, Quantity, Url};
use crate::model::secret::SecretSource;
use crate::model::workload::{Resources, StatefulWorkload, Workload};

/// Prometheus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Prometheus {
    /// The number of replicas, each of which scrapes everything.
    #[schemars(range(min = 1, max = 10))]
    pub replicas: Option<u32>,
    /// Requests and limits of each.
    pub resources: Resources,
    /// The size of each replica's disk.
    pub storage: Option<Quantity>,
    /// How long metrics stay on that disk.
    pub retention: Duration,
    /// The number of time series expected at a time, from which sizes are derived.
    pub active_series: Option<u64>,
    /// How often targets are scraped.
    pub scrape_interval: Duration,
    /// How often rules are evaluated.
    pub evaluation_interval: Duration,
    /// Labels on everything that leaves this Prometheus, beside `cluster` and `replica`.
    pub external_labels: BTreeMap<String, String>,
    /// Namespaces whose pods are scraped when they carry the annotation `prometheus.io/scrape: "true"`; all when empty.
    pub scrape_namespaces: Vec<String>,
    /// Other systems that get a copy of every sample.
    pub remote_write: Vec<RemoteWrite>,
    /// A folder of more rule files, relative to the stack file.
    pub rules_directory: Option<String>,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            replicas: None,
            resources: Resources::default(),
            storage: None,
            retention: crate::model::constant("15d"),
            active_series: None,
            scrape_interval: crate::model::constant("30s"),
            evaluation_interval: crate::model::constant("30s"),
            external_labels: BTreeMap::new(),
            scrape_namespaces: Vec::new(),
            remote_write: Vec::new(),
            rules_directory: None,
        }
    }
}

/// Another system that gets a copy of every sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoteWrite {
    /// Its address.
    pub url: Url,
    /// A bearer token to send.
    #[serde(default)]
    pub bearer_token: Option<SecretSource>,
}

/// Thanos: metrics beyond the local retention, and one view over all replicas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Thanos {
    /// Runs it.
    pub enabled: bool,
    /// The sidecar beside each Prometheus.
    pub sidecar: Resources,
    /// Answers queries over everything.
    pub query: Workload,
    /// Splits and caches queries in front of it.
    pub query_frontend: Workload,
    /// Serves metrics from the bucket.
    pub store: StatefulWorkload,
    /// Compacts and thins out the bucket; always one.
    pub compactor: CompactorWorkload,
    /// Evaluates rules over everything.
    pub ruler: StatefulWorkload,
    /// How long metrics stay in the bucket.
    pub retention: ThanosRetention,
}

impl Default for Thanos {
    fn default() -> Self {
        Self {
            enabled: true,
            sidecar: Resources::default(),
            query: Workload::default(),
            query_frontend: Workload::default(),
            store: StatefulWorkload::default(),
            compactor: CompactorWorkload::default(),
            ruler: StatefulWorkload::default(),
            retention: ThanosRetention::default(),
        }
    }
}

/// Overrides for a compactor, of which there is always one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CompactorWorkload {
    /// Requests and limits.
    pub resources: Resources,
    /// The size of its scratch disk.
    pub storage: Option<Quantity>,
}

/// How long metrics stay in the bucket, by resolution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ThanosRetention {
    /// As they were scraped.
    pub raw: Duration,
    /// One point for five minutes.
    #[serde(rename = "5m")]
    pub five_minutes: Duration,
    /// One point for an hour.
    #[serde(rename = "1h")]
    pub one_hour: Duration,
}

impl Default for ThanosRetention {
    fn default() -> Self {
        Self {
            raw: crate::model::constant("30d"),
            five_minutes: crate::model::constant("180d"),
            one_hour: crate::model::constant("1y"),
        }
    }
}
