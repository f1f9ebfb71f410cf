//! Loki's configuration file as types: the keys that the platform sets, in Loki 3.7's spelling. All of Loki's parts
//! read the same file; each is told on its command line which part it is.

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::dskit::{ClientTls, GrpcOnly, Lifecycler, Memberlist, Ring, Server};
use crate::kit::parts::{self, ports};
use crate::kit::{Bucket, Build, Part};
use crate::model::BucketPurpose;

/// Where Loki keeps what it must keep.
pub(super) const DATA: &str = "/var/loki";
/// Where rules over logs are mounted.
pub(super) const RULES: &str = "/etc/loki/rules";
/// The tenant of everything while tenants are off.
pub(super) const TENANT: &str = "fake";
/// The file.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Config {
    auth_enabled: bool,
    server: Server,
    common: Common,
    memberlist: Memberlist,
    schema_config: SchemaConfig,
    storage_config: StorageConfig,
    ingester: Ingester,
    ingester_client: GrpcOnly,
    querier: Querier,
    query_range: QueryRange,
    frontend: Frontend,
    frontend_worker: FrontendWorker,
    query_scheduler: Scheduler,
    index_gateway: IndexGateway,
    compactor: Compactor,
    compactor_grpc_client: ClientTls,
    ruler: Ruler,
    limits_config: Limits,
    analytics: Analytics,
}

#[derive(Debug, Clone, Serialize)]
struct Common {
    path_prefix: &'static str,
    replication_factor: u32,
    compactor_address: String,
    compactor_grpc_address: String,
    ring: Ring,
}

#[derive(Debug, Clone, Serialize)]
struct SchemaConfig {
    configs: Vec<SchemaPeriod>,
}

#[derive(Debug, Clone, Serialize)]
struct SchemaPeriod {
    from: String,
    store: &'static str,
    object_store: &'static str,
    schema: &'static str,
    index: SchemaIndex,
}

#[derive(Debug, Clone, Serialize)]
struct SchemaIndex {
    prefix: &'static str,
    period: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct StorageConfig {
    tsdb_shipper: TsdbShipper,
    /// The store, under the name of its kind.
    #[serde(flatten)]
    store: Map<String, Json>,
}

#[derive(Debug, Clone, Serialize)]
struct TsdbShipper {
    active_index_directory: String,
    cache_location: String,
    cache_ttl: &'static str,
    index_gateway_client: IndexGatewayClient,
}

#[derive(Debug, Clone, Serialize)]
struct IndexGatewayClient {
    server_address: String,
    grpc_client_config: ClientTls,
}

#[derive(Debug, Clone, Serialize)]
struct Ingester {
    lifecycler: Lifecycler,
    chunk_encoding: &'static str,
    chunk_idle_period: &'static str,
    chunk_target_size: u64,
    max_chunk_age: &'static str,
    flush_op_timeout: &'static str,
    wal: Wal,
}

#[derive(Debug, Clone, Serialize)]
struct Wal {
    enabled: bool,
    dir: String,
    checkpoint_duration: &'static str,
    flush_on_shutdown: bool,
    replay_memory_ceiling: String,
}

#[derive(Debug, Clone, Serialize)]
struct Querier {
    max_concurrent: u32,
}

#[derive(Debug, Clone, Serialize)]
struct QueryRange {
    align_queries_with_step: bool,
    cache_results: bool,
    max_retries: u32,
    parallelise_shardable_queries: bool,
    results_cache: ResultsCache,
}

#[derive(Debug, Clone, Serialize)]
struct ResultsCache {
    cache: Cache,
}

#[derive(Debug, Clone, Serialize)]
struct Cache {
    embedded_cache: EmbeddedCache,
}

#[derive(Debug, Clone, Serialize)]
struct EmbeddedCache {
    enabled: bool,
    max_size_mb: u32,
    ttl: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Frontend {
    scheduler_address: String,
    compress_responses: bool,
    log_queries_longer_than: &'static str,
    tail_proxy_url: String,
    tail_tls_config: ClientTls,
    grpc_client_config: ClientTls,
}

#[derive(Debug, Clone, Serialize)]
struct FrontendWorker {
    scheduler_address: String,
    query_frontend_grpc_client: ClientTls,
    query_scheduler_grpc_client: ClientTls,
}

#[derive(Debug, Clone, Serialize)]
struct Scheduler {
    max_outstanding_requests_per_tenant: u32,
    grpc_client_config: ClientTls,
}

#[derive(Debug, Clone, Serialize)]
struct IndexGateway {
    mode: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Compactor {
    working_directory: String,
    compaction_interval: &'static str,
    retention_enabled: bool,
    retention_delete_delay: &'static str,
    retention_delete_worker_count: u32,
    delete_request_store: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Ruler {
    alertmanager_url: String,
    enable_alertmanager_discovery: bool,
    alertmanager_client: ClientTls,
    storage: RulerStorage,
    enable_api: bool,
    enable_sharding: bool,
    rule_path: String,
    wal: RulerWal,
    ring: Ring,
    ruler_client: ClientTls,
    evaluation: Evaluation,
    remote_write: RulerRemoteWrite,
    external_url: String,
}

#[derive(Debug, Clone, Serialize)]
struct RulerWal {
    dir: String,
}

#[derive(Debug, Clone, Serialize)]
struct Evaluation {
    mode: &'static str,
    query_frontend: RemoteEvaluation,
}

#[derive(Debug, Clone, Serialize)]
struct RemoteEvaluation {
    address: String,
    #[serde(flatten)]
    tls: ClientTls,
}

#[derive(Debug, Clone, Serialize)]
struct RulerRemoteWrite {
    enabled: bool,
    clients: Map<String, Json>,
}

#[derive(Debug, Clone, Serialize)]
struct RulerStorage {
    #[serde(rename = "type")]
    kind: &'static str,
    local: LocalRules,
}

#[derive(Debug, Clone, Serialize)]
struct LocalRules {
    directory: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Limits {
    retention_period: String,
    allow_structured_metadata: bool,
    volume_enabled: bool,
    discover_log_levels: bool,
    reject_old_samples: bool,
    reject_old_samples_max_age: &'static str,
    ingestion_rate_strategy: &'static str,
    ingestion_rate_mb: u64,
    ingestion_burst_size_mb: u64,
    per_stream_rate_limit: &'static str,
    per_stream_rate_limit_burst: &'static str,
    max_global_streams_per_user: u32,
    max_label_names_per_series: u32,
    max_query_length: &'static str,
    max_query_parallelism: u32,
    query_timeout: &'static str,
    split_queries_by_interval: &'static str,
    deletion_mode: &'static str,
    otlp_config: OtlpConfig,
}

#[derive(Debug, Clone, Serialize)]
struct OtlpConfig {
    resource_attributes: ResourceAttributes,
}

#[derive(Debug, Clone, Serialize)]
struct ResourceAttributes {
    ignore_defaults: bool,
    attributes_config: Vec<AttributesConfig>,
}

#[derive(Debug, Clone, Serialize)]
struct AttributesConfig {
    action: &'static str,
    attributes: Vec<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
struct Analytics {
    reporting_enabled: bool,
}

/// Attributes that become labels of log streams. Loki's own default holds the pod's name, which makes a stream of
/// every pod that ever ran.
const INDEXED: [&str; 9] = [
    "service.name",
    "service.namespace",
    "deployment.environment.name",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.container.name",
];

/// The configuration of every part.
pub(crate) fn config(b: &Build<'_>) -> Config {
    let loki = &b.platform.loki;
    let sizing = &b.sizing.loki;
    let bucket: Bucket = b.bucket(BucketPurpose::Loki);
    let backend = bucket.backend();
    let data = |folder: &str| format!("{DATA}/{folder}");
    let grpc = |part: Part| format!("{}:{}", b.host(part), ports::LOKI_GRPC);
    let compactor = format!("https://{}:{}", b.host(parts::LOKI_COMPACTOR), ports::LOKI_HTTP);
    // The memory that replaying may take: three quarters of what the pod may.
    let ceiling = sizing.ingester.resources.memory_limit.whole() / (1 << 20) * 3 / 4;
    Config {
        auth_enabled: false,
        server: Server::new(ports::LOKI_HTTP, ports::LOKI_GRPC),
        common: Common {
            path_prefix: DATA,
            replication_factor: sizing.replication_factor,
            compactor_address: compactor,
            compactor_grpc_address: grpc(parts::LOKI_COMPACTOR),
            ring: Ring::GOSSIP,
        },
        memberlist: Memberlist::new(b, "loki", &[parts::LOKI_INGESTER, parts::LOKI_INDEX_GATEWAY]),
        schema_config: SchemaConfig {
            configs: vec![SchemaPeriod {
                from: loki.schema_from.clone(),
                store: "tsdb",
                object_store: backend,
                schema: "v13",
                index: SchemaIndex { prefix: "index_", period: "24h" },
            }],
        },
        storage_config: StorageConfig {
            tsdb_shipper: TsdbShipper {
                active_index_directory: data("tsdb-index"),
                cache_location: data("tsdb-cache"),
                cache_ttl: "24h",
                index_gateway_client: IndexGatewayClient {
                    server_address: format!(
                        "dns+{}:{}",
                        b.headless_host(parts::LOKI_INDEX_GATEWAY),
                        ports::LOKI_GRPC
                    ),
                    grpc_client_config: ClientTls::to(b, parts::LOKI_INDEX_GATEWAY),
                },
            },
            store: Map::from_iter([(storage_key(backend).to_owned(), bucket.loki())]),
        },
        ingester: Ingester {
            lifecycler: Lifecycler::new(b, sizing.replication_factor),
            chunk_encoding: "snappy",
            chunk_idle_period: "30m",
            chunk_target_size: 1_572_864,
            max_chunk_age: "2h",
            flush_op_timeout: "10m",
            wal: Wal {
                enabled: true,
                dir: data("wal"),
                checkpoint_duration: "5m",
                flush_on_shutdown: true,
                replay_memory_ceiling: format!("{ceiling}MB"),
            },
        },
        ingester_client: GrpcOnly::to(b, parts::LOKI_INGESTER),
        querier: Querier { max_concurrent: if b.highly_available() { 8 } else { 4 } },
        query_range: QueryRange {
            align_queries_with_step: true,
            cache_results: true,
            max_retries: 5,
            parallelise_shardable_queries: true,
            results_cache: ResultsCache {
                cache: Cache {
                    embedded_cache: EmbeddedCache {
                        enabled: true,
                        max_size_mb: if b.highly_available() { 200 } else { 32 },
                        ttl: "24h",
                    },
                },
            },
        },
        frontend: Frontend {
            scheduler_address: format!(
                "{}:{}",
                b.headless_host(parts::LOKI_QUERY_SCHEDULER),
                ports::LOKI_GRPC
            ),
            compress_responses: true,
            log_queries_longer_than: "10s",
            tail_proxy_url: format!("https://{}:{}", b.host(parts::LOKI_QUERIER), ports::LOKI_HTTP),
            tail_tls_config: ClientTls::to(b, parts::LOKI_QUERIER).without_switch(),
            grpc_client_config: ClientTls::to(b, parts::LOKI_QUERY_SCHEDULER),
        },
        frontend_worker: FrontendWorker {
            scheduler_address: format!(
                "{}:{}",
                b.headless_host(parts::LOKI_QUERY_SCHEDULER),
                ports::LOKI_GRPC
            ),
            query_frontend_grpc_client: ClientTls::to(b, parts::LOKI_QUERY_FRONTEND),
            query_scheduler_grpc_client: ClientTls::to(b, parts::LOKI_QUERY_SCHEDULER),
        },
        query_scheduler: Scheduler {
            max_outstanding_requests_per_tenant: 32_768,
            grpc_client_config: ClientTls::to(b, parts::LOKI_QUERY_FRONTEND),
        },
        index_gateway: IndexGateway { mode: "simple" },
        compactor: Compactor {
            working_directory: data("compactor"),
            compaction_interval: "10m",
            retention_enabled: true,
            retention_delete_delay: "2h",
            retention_delete_worker_count: 150,
            delete_request_store: backend,
        },
        compactor_grpc_client: ClientTls::to(b, parts::LOKI_COMPACTOR),
        ruler: ruler(b, &data),
        limits_config: Limits {
            retention_period: format!("{}h", loki.retention.seconds() / 3600),
            allow_structured_metadata: true,
            volume_enabled: true,
            discover_log_levels: true,
            reject_old_samples: true,
            reject_old_samples_max_age: "168h",
            ingestion_rate_strategy: "global",
            ingestion_rate_mb: ingestion_rate(loki.gb_per_day),
            ingestion_burst_size_mb: 2 * ingestion_rate(loki.gb_per_day),
            per_stream_rate_limit: "5MB",
            per_stream_rate_limit_burst: "20MB",
            max_global_streams_per_user: 50_000,
            max_label_names_per_series: 15,
            max_query_length: "721h",
            max_query_parallelism: 32,
            query_timeout: "5m",
            split_queries_by_interval: "1h",
            deletion_mode: "filter-and-delete",
            otlp_config: OtlpConfig {
                resource_attributes: ResourceAttributes {
                    ignore_defaults: true,
                    attributes_config: vec![AttributesConfig {
                        action: "index_label",
                        attributes: INDEXED.to_vec(),
                    }],
                },
            },
        },
        analytics: Analytics { reporting_enabled: false },
    }
}

/// Under which key `storage_config` wants a store; the schema calls S3 `s3`, the section is called `aws`.
fn storage_key(backend: &str) -> &str {
    if backend == "s3" { "aws" } else { backend }
}

/// Room for ten times the average rate, in megabytes a second, and never less than 20.
fn ingestion_rate(gb_per_day: Option<f64>) -> u64 {
    let average = gb_per_day.unwrap_or(0.0) * 1000.0 / 86_400.0;
    ((average * 10.0).ceil() as u64).max(20)
}

fn ruler(b: &Build<'_>, data: &dyn Fn(&str) -> String) -> Ruler {
    let alertmanager = parts::ALERTMANAGER;
    let clients = crate::components::prometheus::remote_write_urls(b)
        .into_iter()
        .map(|(name, url)| {
            let tls = crate::components::prometheus::config::Tls::mutual(b.host(parts::PROMETHEUS));
            (name.clone(), json!({ "name": name, "url": url, "tls_config": tls }))
        })
        .collect();
    Ruler {
        alertmanager_url: format!("https://_https._tcp.{}", b.headless_host(alertmanager)),
        enable_alertmanager_discovery: true,
        alertmanager_client: ClientTls::to(b, alertmanager).without_switch(),
        // The section is marked as deprecated, but its successor is read only with another object store client.
        storage: RulerStorage { kind: "local", local: LocalRules { directory: RULES } },
        enable_api: true,
        enable_sharding: true,
        rule_path: data("rules"),
        wal: RulerWal { dir: data("ruler-wal") },
        ring: Ring::GOSSIP,
        ruler_client: ClientTls::to(b, parts::LOKI_RULER),
        evaluation: Evaluation {
            mode: "remote",
            query_frontend: RemoteEvaluation {
                address: format!(
                    "dns:///{}:{}",
                    b.headless_host(parts::LOKI_QUERY_FRONTEND),
                    ports::LOKI_GRPC
                ),
                tls: ClientTls::to(b, parts::LOKI_QUERY_FRONTEND),
            },
        },
        remote_write: RulerRemoteWrite { enabled: true, clients },
        external_url: format!("https://{}/alerting/list", b.stack.grafana_host()),
    }
}
