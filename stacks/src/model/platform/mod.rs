//! The observability platform: what a stack file says about each component. One file per group of components.
//! Sizes left out here are derived in `sizing`, not defaulted in these structs.

mod alertmanager;
mod collector;
mod foundation;
mod grafana;
mod logs_and_traces;
mod metrics;
mod operations;

pub use alertmanager::*;
pub use collector::*;
pub use foundation::*;
pub use grafana::*;
pub use logs_and_traces::*;
pub use metrics::*;
pub use operations::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::{DnsLabel, DnsName};

/// The observability platform.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Platform {
    /// The domain under which the platform is reached: Grafana at `grafana.<domain>`.
    /// `<stack>.plinth.internal` when left out.
    pub domain: Option<DnsName>,
    /// Runs everything in replicas spread over zones, so that the loss of a node or a zone is not noticed.
    pub high_availability: bool,
    /// The environment's name in labels of metrics, logs and traces; the stack's name when left out.
    pub environment: Option<String>,
    /// The namespaces.
    pub namespaces: Namespaces,
    /// Certificates.
    pub cert_manager: CertManager,
    /// The way in from outside.
    pub ingress: Ingress,
    /// Grafana's database.
    pub database: Database,
    /// Dashboards and log-in.
    pub grafana: Grafana,
    /// Metrics, and the rules that watch them.
    pub prometheus: Prometheus,
    /// Long-term metrics.
    pub thanos: Thanos,
    /// Notifications.
    pub alertmanager: Alertmanager,
    /// Logs.
    pub loki: Loki,
    /// Traces.
    pub tempo: Tempo,
    /// The way in for telemetry.
    pub collector: Collector,
    /// Metrics about the cluster, its nodes, and whether addresses answer.
    pub exporters: Exporters,
    /// Which pods may talk to which.
    pub network_policies: NetworkPolicies,
    /// A service mesh that is there already.
    pub mesh: Mesh,
    /// A store of secrets that is there already.
    pub external_secrets: Option<ExternalSecrets>,
    /// Backups of what people made in Grafana.
    pub backup: Backup,
    /// The platform's watch over itself.
    pub self_monitoring: SelfMonitoring,
}

/// Names of the platform's namespaces. They are made by the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Namespaces {
    /// For the platform itself.
    pub platform: DnsLabel,
    /// For the agents on every node, which need privileges that nothing else gets.
    pub agents: DnsLabel,
    /// For cert-manager.
    pub cert_manager: DnsLabel,
    /// For the ingress controller.
    pub ingress: DnsLabel,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self {
            platform: super::constant("observability"),
            agents: super::constant("observability-agents"),
            cert_manager: super::constant("cert-manager"),
            ingress: super::constant("ingress"),
        }
    }
}
