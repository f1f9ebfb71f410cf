//! Thanos' configuration files as types: which stores a querier asks, whom a ruler asks and tells.

use serde::Serialize;

use crate::components::prometheus::config::Tls;
use crate::kit::parts::{self, ports};
use crate::kit::{Build, CA_FILE, CERT_FILE, KEY_FILE};

/// The stores that a querier asks.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Endpoints {
    default_client_config: ClientConfig,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Serialize)]
struct ClientConfig {
    tls_config: GrpcTls,
    /// One name for all, because addresses that are looked up take only this configuration.
    server_name: &'static str,
    compression: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct GrpcTls {
    enabled: bool,
    cert_file: &'static str,
    key_file: &'static str,
    ca_file: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Endpoint {
    address: String,
}

impl Endpoints {
    /// Every sidecar, store and ruler, by their pods.
    pub fn new(b: &Build<'_>) -> Self {
        let stores = [parts::PROMETHEUS, parts::THANOS_STORE, parts::THANOS_RULER];
        Self {
            default_client_config: ClientConfig {
                tls_config: GrpcTls {
                    enabled: true,
                    cert_file: CERT_FILE,
                    key_file: KEY_FILE,
                    ca_file: CA_FILE,
                },
                server_name: b.peer_name(),
                compression: "snappy",
            },
            endpoints: stores
                .into_iter()
                .map(|part| Endpoint {
                    address: format!("dns+{}:{}", b.headless_host(part), ports::THANOS_GRPC),
                })
                .collect(),
        }
    }
}

/// A client of the sidecar, towards its Prometheus.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HttpClient {
    tls_config: Tls,
}

impl HttpClient {
    /// Mutual TLS with a server of this name.
    pub fn to(server_name: impl Into<String>) -> Self {
        Self { tls_config: Tls::mutual(server_name) }
    }
}

/// Whom a ruler asks.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Queriers {
    http_config: HttpClient,
    scheme: &'static str,
    static_configs: Vec<String>,
}

impl Queriers {
    pub fn new(b: &Build<'_>) -> Vec<Self> {
        vec![Self {
            http_config: HttpClient::to(b.host(parts::THANOS_QUERY)),
            scheme: "https",
            static_configs: vec![format!("{}:{}", b.host(parts::THANOS_QUERY), ports::THANOS_HTTP)],
        }]
    }
}

/// Whom a ruler tells.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Alertmanagers {
    alertmanagers: Vec<AlertmanagerGroup>,
}

#[derive(Debug, Clone, Serialize)]
struct AlertmanagerGroup {
    http_config: HttpClient,
    scheme: &'static str,
    api_version: &'static str,
    timeout: &'static str,
    static_configs: Vec<String>,
}

impl Alertmanagers {
    /// Every pod, not the Service: each must hear of every alert.
    pub fn new(b: &Build<'_>) -> Self {
        let part = parts::ALERTMANAGER;
        Self {
            alertmanagers: vec![AlertmanagerGroup {
                http_config: HttpClient::to(b.host(part)),
                scheme: "https",
                api_version: "v2",
                timeout: "10s",
                static_configs: vec![format!("dns+{}:{}", b.headless_host(part), ports::ALERTMANAGER)],
            }],
        }
    }
}

/// The cache of answers in front of queriers.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cache {
    #[serde(rename = "type")]
    kind: &'static str,
    config: CacheSize,
}

#[derive(Debug, Clone, Serialize)]
struct CacheSize {
    max_size: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_size_items: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_item_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity: Option<&'static str>,
}

impl Cache {
    /// Of answers to queries.
    pub fn of_answers(mebibytes: u64) -> Self {
        Self {
            kind: "IN-MEMORY",
            config: CacheSize {
                max_size: format!("{mebibytes}MB"),
                max_size_items: Some(0),
                max_item_size: None,
                validity: Some("6h"),
            },
        }
    }

    /// Of the index of blocks.
    pub fn of_index(mebibytes: u64) -> Self {
        Self {
            kind: "IN-MEMORY",
            config: CacheSize {
                max_size: format!("{mebibytes}MB"),
                max_size_items: None,
                max_item_size: Some(format!("{}MB", (mebibytes / 4).max(1))),
                validity: None,
            },
        }
    }
}
