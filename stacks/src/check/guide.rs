//! The rows of the production guide, each with the rules that guard it: whether a stack fulfils it, and by what.

use super::{Finding, Severity};

/// One row of the guide, judged for a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The guide's section.
    pub section: &'static str,
    /// What production requires.
    pub requirement: &'static str,
    /// How the platform fulfils it.
    pub how: &'static str,
    /// The rules that found it not fulfilled; empty if it is.
    pub broken: Vec<&'static str>,
}

impl Requirement {
    /// Whether the stack fulfils it.
    pub fn fulfilled(&self) -> bool {
        self.broken.is_empty()
    }
}

struct Row {
    section: &'static str,
    requirement: &'static str,
    how: &'static str,
    rules: &'static [&'static str],
}

const fn row(
    section: &'static str,
    requirement: &'static str,
    how: &'static str,
    rules: &'static [&'static str],
) -> Row {
    Row { section, requirement, how, rules }
}

const ROWS: &[Row] = &[
    row(
        "Infrastructure",
        "Managed or self-managed Kubernetes, in a version that is in service",
        "`cloud` and `cluster.version`",
        &["kubernetes-version"],
    ),
    row(
        "Infrastructure",
        "At least 3 nodes",
        "node pools of at least 3 nodes over 3 zones",
        &["nodes", "zones", "spot-nodes", "nat"],
    ),
    row(
        "Infrastructure",
        "4 cores and 16 GB per node",
        "machine types of the node pools",
        &["node-size", "node-capacity", "zone-loss"],
    ),
    row("Infrastructure", "Fast SSD storage class", "a class on the cloud's SSDs", &["storage-class"]),
    row(
        "Storage",
        "Persistent volumes: Prometheus 100 GB, Loki 500 GB, Tempo 200 GB, Grafana 10 GB",
        "claims sized from rates and retention",
        &["storage", "retention"],
    ),
    row(
        "Storage",
        "Object storage for logs, traces and metrics",
        "one bucket each, encrypted, private, versioned",
        &["object-store", "bucket-names", "bucket-versioning", "bucket-destroy"],
    ),
    row(
        "Network",
        "Ingress with TLS termination",
        "Traefik with certificates of cert-manager",
        &["domain", "acme"],
    ),
    row(
        "Network",
        "Firewall: only the edges that are needed",
        "default deny, then one policy per edge; OTLP from listed namespaces",
        &["network-policies", "otlp-namespaces", "api-endpoint"],
    ),
    row(
        "High availability",
        "Replicas over zones",
        "replicas, disruption budgets and spreading for every component",
        &["replicas", "high-availability"],
    ),
    row(
        "High availability",
        "Grafana twice, on an external PostgreSQL",
        "`platform.database.external`",
        &["database"],
    ),
    row(
        "High availability",
        "Long-term metrics and global rules",
        "Thanos with sidecars, store, compactor and ruler",
        &["long-term-metrics"],
    ),
    row(
        "High availability",
        "All three pillars",
        "Prometheus, Loki and Tempo in distributed form",
        &["pillars"],
    ),
    row(
        "Security",
        "TLS everywhere",
        "cert-manager: public names by ACME, everything else by an internal authority with mutual TLS",
        &["database-tls", "oidc-tls"],
    ),
    row(
        "Security",
        "Single sign-on",
        "OpenID Connect for Grafana; anonymous and basic log-in off",
        &["oidc", "oidc-roles", "anonymous"],
    ),
    row(
        "Security",
        "Secrets outside of ConfigMaps, encrypted",
        "External Secrets or Plinth's encrypted state; Kubernetes secrets under a cloud key",
        &["secrets-encryption", "default-password", "literal-secret"],
    ),
    row(
        "Scaling",
        "Collectors and ingesters sized by throughput",
        "the guide's tables, applied to the stack's rates",
        &["replicas"],
    ),
    row(
        "Backup",
        "Dashboards, data sources and alert rules",
        "a nightly export to the backup bucket",
        &["backup"],
    ),
    row(
        "Backup",
        "Copies of logs, traces and metrics",
        "bucket replication to a second region",
        &["bucket-replication"],
    ),
    row(
        "Backup",
        "Protection against mistaken deletion",
        "deletion protection and versions of objects",
        &["deletion-protection", "bucket-versioning"],
    ),
    row(
        "Meta-monitoring",
        "Alerts reach people",
        "Alertmanager in three replicas with receivers and a dead man's switch",
        &["receivers", "dead-mans-switch"],
    ),
    row(
        "Meta-monitoring",
        "The platform watches itself",
        "rules for every component, uptime probes of Grafana, Loki and Tempo",
        &["self-monitoring", "uptime"],
    ),
];

/// Every row of the guide, judged by what `check` found.
pub fn requirements(findings: &[Finding]) -> Vec<Requirement> {
    ROWS.iter()
        .map(|row| {
            let mut broken: Vec<&'static str> = findings
                .iter()
                .filter(|finding| finding.severity != Severity::Info || finding.rule == "high-availability")
                .map(|finding| finding.rule)
                .filter(|rule| row.rules.contains(rule))
                .collect();
            broken.sort_unstable();
            broken.dedup();
            Requirement { section: row.section, requirement: row.requirement, how: row.how, broken }
        })
        .collect()
}
