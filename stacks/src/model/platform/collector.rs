//! OpenTelemetry collectors and the exporters of metrics.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::scalars::{DnsLabel, Duration, Url};
use crate::model::workload::{Resources, Workload};

/// The way in for telemetry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Collector {
    /// Where applications send OTLP.
    pub gateway: CollectorGateway,
    /// The collector on every node: logs of containers, metrics of the kubelet.
    pub agent: CollectorAgent,
    /// Namespaces whose pods may send OTLP to the gateway. None may when empty, except the platform's own.
    pub allowed_namespaces: Vec<DnsLabel>,
}

/// The gateway of collectors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CollectorGateway {
    /// The number of pods.
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<u32>,
    /// Requests and limits of each.
    pub resources: Resources,
    /// The rate of spans expected, from which replicas and resources are derived.
    pub spans_per_second: Option<u64>,
    /// The share of traces to keep, in percent; all when left out.
    #[schemars(range(min = 0, max = 100))]
    pub sampling_percentage: Option<u8>,
    /// Demands a client certificate of the internal authority from senders; without it, TLS alone.
    pub require_client_certificates: bool,
}

/// The collector on every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CollectorAgent {
    /// Runs it.
    pub enabled: bool,
    /// Requests and limits of each.
    pub resources: Resources,
    /// Namespaces whose logs are not collected.
    pub excluded_namespaces: Vec<DnsLabel>,
}

impl Default for CollectorAgent {
    fn default() -> Self {
        Self { enabled: true, resources: Resources::default(), excluded_namespaces: Vec::new() }
    }
}

/// Exporters of metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Exporters {
    /// Metrics about Kubernetes objects.
    pub kube_state_metrics: KubeStateMetrics,
    /// Metrics about nodes.
    pub node_exporter: NodeExporter,
    /// Whether addresses answer.
    pub blackbox: Blackbox,
}

/// kube-state-metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubeStateMetrics {
    /// Runs it.
    pub enabled: bool,
    /// Requests and limits.
    pub resources: Resources,
}

impl Default for KubeStateMetrics {
    fn default() -> Self {
        Self { enabled: true, resources: Resources::default() }
    }
}

/// node-exporter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NodeExporter {
    /// Runs it.
    pub enabled: bool,
    /// Requests and limits of each pod.
    pub resources: Resources,
}

impl Default for NodeExporter {
    fn default() -> Self {
        Self { enabled: true, resources: Resources::default() }
    }
}

/// blackbox-exporter. Grafana and every ingress host are probed in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Blackbox {
    /// Runs it.
    pub enabled: bool,
    /// Replicas and resources.
    pub workload: Workload,
    /// More addresses to probe, by name.
    pub targets: BTreeMap<String, ProbeTarget>,
}

impl Default for Blackbox {
    fn default() -> Self {
        Self { enabled: true, workload: Workload::default(), targets: BTreeMap::new() }
    }
}

/// An address to probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbeTarget {
    /// The address.
    pub url: Url,
    /// How often it is probed.
    #[serde(default = "thirty_seconds")]
    pub interval: Duration,
}

fn thirty_seconds() -> Duration {
    crate::model::constant("30s")
}
