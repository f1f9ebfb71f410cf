//! What surrounds the platform: network policies, a mesh, a store of secrets, backups, and the watch over itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::scalars::{Cidr, CronSchedule, Duration};
use crate::model::workload::Resources;

/// Which pods may talk to which: nothing by default in each namespace, then exactly what the components need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkPolicies {
    /// Makes them.
    pub enabled: bool,
    /// Addresses of the API server; everywhere on ports 443 and 6443 when empty.
    pub api_server_cidrs: Vec<Cidr>,
    /// Addresses of nodes, whose kubelets are scraped; everywhere on the kubelet's port when empty.
    pub node_cidrs: Vec<Cidr>,
    /// Addresses of the object store; everywhere on port 443 when empty.
    pub object_store_cidrs: Vec<Cidr>,
    /// Addresses of the external database; everywhere on its port when empty.
    pub database_cidrs: Vec<Cidr>,
    /// Further addresses outside that notifications and probes need; everywhere on port 443 when empty.
    pub egress_cidrs: Vec<Cidr>,
}

impl Default for NetworkPolicies {
    fn default() -> Self {
        Self {
            enabled: true,
            api_server_cidrs: Vec::new(),
            node_cidrs: Vec::new(),
            object_store_cidrs: Vec::new(),
            database_cidrs: Vec::new(),
            egress_cidrs: Vec::new(),
        }
    }
}

/// A service mesh that is there already; the platform's namespaces join it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mesh {
    /// There is none; the platform's own mutual TLS does the work.
    #[default]
    None,
    /// Istio.
    Istio,
    /// Linkerd.
    Linkerd,
}

/// A store of secrets that the External Secrets operator reads. Operator and store must be there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalSecrets {
    /// The store.
    pub store_ref: StoreRef,
    /// How often secrets are read again.
    #[serde(default = "one_hour")]
    pub refresh_interval: Duration,
}

fn one_hour() -> Duration {
    crate::model::constant("1h")
}

/// A SecretStore or ClusterSecretStore by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreRef {
    /// The store's kind.
    #[serde(default)]
    pub kind: StoreKind,
    /// The store's name.
    pub name: String,
}

/// The kind of a store of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum StoreKind {
    /// For the whole cluster.
    #[default]
    ClusterSecretStore,
    /// For one namespace.
    SecretStore,
}

/// Backups of what people made in Grafana: dashboards, data sources, alert rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Backup {
    /// Makes them.
    pub enabled: bool,
    /// When, in UTC.
    pub schedule: CronSchedule,
    /// How long they are kept.
    pub retention: Duration,
    /// Requests and limits of the job.
    pub resources: Resources,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            enabled: true,
            schedule: crate::model::constant("17 2 * * *"),
            retention: crate::model::constant("90d"),
            resources: Resources::default(),
        }
    }
}

/// The platform's watch over itself: rules, uptime probes, a dead man's switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SelfMonitoring {
    /// Makes the rules and probes.
    pub enabled: bool,
    /// Warns when the newest backup is older than this.
    pub backup_max_age: Duration,
    /// Warns when a certificate expires within this time.
    pub certificate_expiry: Duration,
}

impl Default for SelfMonitoring {
    fn default() -> Self {
        Self {
            enabled: true,
            backup_max_age: crate::model::constant("36h"),
            certificate_expiry: crate::model::constant("14d"),
        }
    }
}
