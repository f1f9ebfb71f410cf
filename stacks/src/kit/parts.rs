//! The names that components know each other by: every part of the platform with its namespace and its ports. A part's
//! Service has the part's name; the Service of single pods (for gossip and for addressing one of them) ends in
//! `-headless`.

/// One of the platform's namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Space {
    /// The platform itself.
    Platform,
    /// The agents on every node.
    Agents,
    /// cert-manager.
    CertManager,
    /// The ingress controller.
    Ingress,
}

impl Space {
    /// Every namespace.
    pub const ALL: [Self; 4] = [Self::Platform, Self::Agents, Self::CertManager, Self::Ingress];
}

/// The part of the platform that a tree of progress shows a resource under, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Network and keys.
    Cloud,
    /// Cluster, node pools, namespaces.
    Cluster,
    /// Storage classes and buckets.
    Storage,
    /// Who may use which bucket; passwords.
    Identity,
    /// cert-manager and its issuers.
    Certificates,
    /// The way in.
    Ingress,
    /// Grafana's database.
    Database,
    /// Prometheus, Thanos, exporters.
    Metrics,
    /// Loki.
    Logs,
    /// Tempo.
    Traces,
    /// OpenTelemetry collectors.
    Collectors,
    /// Grafana.
    Dashboards,
    /// Backups.
    Backup,
    /// Rules, alerts, probes, network policies.
    Monitoring,
}

impl Phase {
    /// The phase's name in a resource's options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Cluster => "cluster",
            Self::Storage => "storage",
            Self::Identity => "identity",
            Self::Certificates => "certificates",
            Self::Ingress => "ingress",
            Self::Database => "database",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Collectors => "collectors",
            Self::Dashboards => "dashboards",
            Self::Backup => "backup",
            Self::Monitoring => "monitoring",
        }
    }
}

/// One workload of the platform: its namespace, the application it belongs to, and its role in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Part {
    /// Where it runs.
    pub space: Space,
    /// The application, such as `loki`.
    pub app: &'static str,
    /// The role in the application, such as `ingester`; empty for applications with one part.
    pub role: &'static str,
}

impl Part {
    const fn new(space: Space, app: &'static str, role: &'static str) -> Self {
        Self { space, app, role }
    }

    /// The name of its workload, Service and ServiceAccount.
    pub fn name(&self) -> String {
        if self.role.is_empty() { self.app.to_owned() } else { format!("{}-{}", self.app, self.role) }
    }

    /// The name of the Service that gives one address per pod.
    pub fn headless(&self) -> String {
        format!("{}-headless", self.name())
    }
}

macro_rules! parts {
    ($($name:ident = $space:ident, $app:literal, $role:literal;)*) => {
        $(#[doc = concat!("`", $app, "` `", $role, "`.")]
        pub(crate) const $name: Part = Part::new(Space::$space, $app, $role);)*

        /// Every part there is.
        #[cfg(test)]
        pub(crate) const ALL: &[Part] = &[$($name),*];
    };
}

parts! {
    CERT_MANAGER_CONTROLLER = CertManager, "cert-manager", "controller";
    CERT_MANAGER_WEBHOOK = CertManager, "cert-manager", "webhook";
    CERT_MANAGER_CAINJECTOR = CertManager, "cert-manager", "cainjector";
    TRAEFIK = Ingress, "traefik", "";
    DATABASE = Platform, "postgresql", "";
    OBJECT_STORE = Platform, "object-store", "";
    OBJECT_STORE_BUCKETS = Platform, "object-store-buckets", "";
    PROMETHEUS = Platform, "prometheus", "";
    ALERTMANAGER = Platform, "alertmanager", "";
    THANOS_QUERY = Platform, "thanos", "query";
    THANOS_QUERY_FRONTEND = Platform, "thanos", "query-frontend";
    THANOS_STORE = Platform, "thanos", "store";
    THANOS_COMPACTOR = Platform, "thanos", "compactor";
    THANOS_RULER = Platform, "thanos", "ruler";
    LOKI_DISTRIBUTOR = Platform, "loki", "distributor";
    LOKI_INGESTER = Platform, "loki", "ingester";
    LOKI_QUERIER = Platform, "loki", "querier";
    LOKI_QUERY_FRONTEND = Platform, "loki", "query-frontend";
    LOKI_QUERY_SCHEDULER = Platform, "loki", "query-scheduler";
    LOKI_INDEX_GATEWAY = Platform, "loki", "index-gateway";
    LOKI_COMPACTOR = Platform, "loki", "compactor";
    LOKI_RULER = Platform, "loki", "ruler";
    LOKI_GATEWAY = Platform, "loki", "gateway";
    TEMPO_DISTRIBUTOR = Platform, "tempo", "distributor";
    TEMPO_INGESTER = Platform, "tempo", "ingester";
    TEMPO_QUERIER = Platform, "tempo", "querier";
    TEMPO_QUERY_FRONTEND = Platform, "tempo", "query-frontend";
    TEMPO_COMPACTOR = Platform, "tempo", "compactor";
    TEMPO_METRICS_GENERATOR = Platform, "tempo", "metrics-generator";
    COLLECTOR_GATEWAY = Platform, "collector", "gateway";
    COLLECTOR_AGENT = Agents, "collector", "agent";
    GRAFANA = Platform, "grafana", "";
    KUBE_STATE_METRICS = Platform, "kube-state-metrics", "";
    NODE_EXPORTER = Agents, "node-exporter", "";
    BLACKBOX_EXPORTER = Platform, "blackbox-exporter", "";
    BACKUP = Platform, "backup", "";
}

/// Ports by which parts reach each other.
pub(crate) mod ports {
    /// Prometheus' API, over TLS.
    pub const PROMETHEUS: i32 = 9090;
    /// Alertmanager's API, over TLS.
    pub const ALERTMANAGER: i32 = 9093;
    /// Gossip between Alertmanagers, and between Grafanas.
    pub const ALERTMANAGER_GOSSIP: i32 = 9094;
    /// Thanos' StoreAPI, mutual TLS.
    pub const THANOS_GRPC: i32 = 10901;
    /// Thanos' HTTP, over TLS.
    pub const THANOS_HTTP: i32 = 10902;
    /// Loki's HTTP, over TLS.
    pub const LOKI_HTTP: i32 = 3100;
    /// Loki's gRPC, mutual TLS.
    pub const LOKI_GRPC: i32 = 9095;
    /// Loki's gateway, over TLS.
    pub const LOKI_GATEWAY: i32 = 8443;
    /// Tempo's HTTP, over TLS.
    pub const TEMPO_HTTP: i32 = 3200;
    /// Tempo's gRPC, mutual TLS.
    pub const TEMPO_GRPC: i32 = 9095;
    /// Gossip of Loki and of Tempo.
    pub const MEMBERLIST: i32 = 7946;
    /// OTLP over gRPC, TLS.
    pub const OTLP_GRPC: i32 = 4317;
    /// OTLP over HTTP, TLS.
    pub const OTLP_HTTP: i32 = 4318;
    /// A collector's own metrics.
    pub const COLLECTOR_METRICS: i32 = 8888;
    /// A collector's health.
    pub const COLLECTOR_HEALTH: i32 = 13133;
    /// Grafana, over TLS.
    pub const GRAFANA: i32 = 3000;
    /// PostgreSQL, over TLS.
    pub const POSTGRESQL: i32 = 5432;
    /// The object store inside the cluster, over TLS.
    pub const OBJECT_STORE: i32 = 8333;
    /// blackbox-exporter.
    pub const BLACKBOX: i32 = 9115;
    /// kube-state-metrics.
    pub const KUBE_STATE_METRICS: i32 = 8080;
    /// kube-state-metrics about itself.
    pub const KUBE_STATE_METRICS_SELF: i32 = 8081;
    /// node-exporter.
    pub const NODE_EXPORTER: i32 = 9100;
    /// The kubelet.
    pub const KUBELET: i32 = 10250;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Selectors compare application and role: a part without a role would also select the parts that have one.
    #[test]
    fn no_part_selects_another() {
        for one in ALL {
            for other in ALL.iter().filter(|other| *other != one && other.space == one.space) {
                assert!(one.app != other.app || !one.role.is_empty(), "{one:?} selects {other:?}");
                assert_ne!(one.name(), other.name());
            }
        }
    }
}
