//! Prometheus' configuration file as types: only what the platform uses. Shared by what speaks Prometheus' dialect of
//! TLS and service discovery (Thanos, Tempo's and Loki's remote writes).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::kit::{CA_FILE, CERT_FILE, KEY_FILE};

/// The file.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Config {
    pub global: Global,
    pub storage: Storage,
    pub rule_files: Vec<String>,
    pub alerting: Alerting,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_write: Vec<RemoteWrite>,
    pub scrape_configs: Vec<ScrapeConfig>,
}

/// What holds everywhere.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Global {
    pub scrape_interval: String,
    pub scrape_timeout: String,
    pub evaluation_interval: String,
    pub external_labels: BTreeMap<String, String>,
}

/// How long samples are kept. The command line's flags for this are deprecated.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Storage {
    pub tsdb: Tsdb,
    pub exemplars: Exemplars,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tsdb {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_order_time_window: Option<&'static str>,
    pub retention: Retention,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Retention {
    pub time: String,
    pub size: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Exemplars {
    pub max_exemplars: u64,
}

/// Who is told about alerts.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Alerting {
    pub alert_relabel_configs: Vec<Relabel>,
    pub alertmanagers: Vec<Alertmanagers>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Alertmanagers {
    pub scheme: &'static str,
    pub api_version: &'static str,
    pub tls_config: Tls,
    pub kubernetes_sd_configs: Vec<KubernetesSd>,
    pub relabel_configs: Vec<Relabel>,
}

/// Another system that gets a copy of every sample.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RemoteWrite {
    pub name: String,
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_exemplars: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<Tls>,
}

/// How a client shows and checks certificates.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Tls {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_file: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cert_file: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key_file: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_verify: bool,
}

impl Tls {
    /// Mutual TLS with a server of the platform. The server's name is stated, because pods are dialled by address.
    pub fn mutual(server_name: impl Into<String>) -> Self {
        Self {
            ca_file: CA_FILE.to_owned(),
            cert_file: CERT_FILE.to_owned(),
            key_file: KEY_FILE.to_owned(),
            server_name: server_name.into(),
            insecure_skip_verify: false,
        }
    }
}

/// A token to send.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Authorization {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub credentials_file: String,
}

/// Targets in the cluster.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KubernetesSd {
    pub role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<SdNamespaces>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub selectors: Vec<SdSelector>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct SdNamespaces {
    pub names: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct SdSelector {
    pub role: &'static str,
    pub label: String,
}

impl KubernetesSd {
    pub fn of(role: &'static str, namespaces: &[&str]) -> Self {
        let names: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        Self {
            role,
            namespaces: (!names.is_empty()).then_some(SdNamespaces { names }),
            selectors: Vec::new(),
        }
    }
}

/// Fixed targets.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StaticTargets {
    pub targets: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// One job.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ScrapeConfig {
    pub job_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_timeout: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub honor_labels: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_path: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<&'static str, Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_scrape_protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<Tls>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kubernetes_sd_configs: Vec<KubernetesSd>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub static_configs: Vec<StaticTargets>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relabel_configs: Vec<Relabel>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metric_relabel_configs: Vec<Relabel>,
}

/// A rewriting of labels.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Relabel {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_label: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
}

impl Relabel {
    /// Keeps targets whose labels, joined by `;`, match.
    pub fn keep(source: &[&'static str], regex: impl Into<String>) -> Self {
        Self {
            source_labels: source.to_vec(),
            regex: Some(regex.into()),
            action: Some("keep"),
            ..Self::default()
        }
    }

    /// Drops targets whose labels match.
    pub fn drop(source: &[&'static str], regex: impl Into<String>) -> Self {
        Self { action: Some("drop"), ..Self::keep(source, regex) }
    }

    /// Copies a label.
    pub fn copy(source: &'static str, target: &'static str) -> Self {
        Self { source_labels: vec![source], target_label: Some(target), ..Self::default() }
    }

    /// Sets a label to what a pattern makes of others.
    pub fn rewrite(
        source: &[&'static str],
        regex: impl Into<String>,
        target: &'static str,
        replacement: impl Into<String>,
    ) -> Self {
        Self {
            source_labels: source.to_vec(),
            regex: Some(regex.into()),
            target_label: Some(target),
            replacement: Some(replacement.into()),
            ..Self::default()
        }
    }

    /// Sets a label.
    pub fn set(target: &'static str, value: impl Into<String>) -> Self {
        Self { target_label: Some(target), replacement: Some(value.into()), ..Self::default() }
    }

    /// Removes labels whose name matches.
    pub fn drop_label(regex: &str) -> Self {
        Self { regex: Some(regex.to_owned()), action: Some("labeldrop"), ..Self::default() }
    }
}

/// The file by which exporter-toolkit serves over TLS: Prometheus, Alertmanager, Thanos.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WebConfig {
    pub tls_server_config: ServerTls,
    pub http_server_config: HttpServer,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerTls {
    pub cert_file: &'static str,
    pub key_file: &'static str,
    pub client_ca_file: &'static str,
    pub client_auth_type: &'static str,
    pub min_version: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct HttpServer {
    pub http2: bool,
    pub headers: BTreeMap<&'static str, &'static str>,
}

impl ServerTls {
    /// `client_auth_type` says whether callers must show a certificate.
    pub fn new(client_auth_type: &'static str) -> Self {
        Self {
            cert_file: CERT_FILE,
            key_file: KEY_FILE,
            client_ca_file: CA_FILE,
            client_auth_type,
            min_version: "TLS12",
        }
    }
}

impl WebConfig {
    /// Certificates of callers are checked when shown. The kubelet's probes show none, so none can be demanded on a
    /// port that is probed; the network policy decides who reaches it.
    pub fn probed() -> Self {
        Self {
            tls_server_config: ServerTls::new("VerifyClientCertIfGiven"),
            http_server_config: HttpServer {
                http2: true,
                headers: [("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "deny")].into(),
            },
        }
    }
}
