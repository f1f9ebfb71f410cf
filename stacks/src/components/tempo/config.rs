//! Tempo's configuration file as types: the keys that the platform sets, in Tempo 2.10's spelling. All of Tempo's parts
//! read the same file; each is told on its command line which part it is.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::components::loki::dskit::{ClientTls, GrpcOnly, Lifecycler, Memberlist, Ring, Server};
use crate::components::prometheus::config::{RemoteWrite, Tls};
use crate::components::prometheus::remote_write_urls;
use crate::kit::parts::{self, ports};
use crate::kit::{Build, CA_FILE, CERT_FILE, KEY_FILE};
use crate::model::BucketPurpose;

/// Where Tempo keeps what it must keep.
pub(super) const DATA: &str = "/var/tempo";

/// The file.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Config {
    multitenancy_enabled: bool,
    stream_over_http_enabled: bool,
    server: Server,
    memberlist: Memberlist,
    distributor: Distributor,
    ingester: Ingester,
    ingester_client: GrpcOnly,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_generator: Option<MetricsGenerator>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_generator_client: Option<GrpcOnly>,
    querier: Querier,
    query_frontend: QueryFrontend,
    compactor: Compactor,
    storage: Storage,
    overrides: Overrides,
    usage_report: UsageReport,
}

#[derive(Debug, Clone, Serialize)]
struct Distributor {
    ring: Ring,
    receivers: Receivers,
}

#[derive(Debug, Clone, Serialize)]
struct Receivers {
    otlp: Otlp,
}

#[derive(Debug, Clone, Serialize)]
struct Otlp {
    protocols: Protocols,
}

#[derive(Debug, Clone, Serialize)]
struct Protocols {
    grpc: Receiver,
    http: Receiver,
}

/// Where spans are received. The address is stated, because the default is the pod itself.
#[derive(Debug, Clone, Serialize)]
struct Receiver {
    endpoint: String,
    tls: ReceiverTls,
}

#[derive(Debug, Clone, Serialize)]
struct ReceiverTls {
    cert_file: &'static str,
    key_file: &'static str,
    client_ca_file: &'static str,
    client_ca_file_reload: bool,
    reload_interval: &'static str,
    min_version: &'static str,
}

impl Receiver {
    fn on(port: i32) -> Self {
        Self {
            endpoint: format!("0.0.0.0:{port}"),
            tls: ReceiverTls {
                cert_file: CERT_FILE,
                key_file: KEY_FILE,
                client_ca_file: CA_FILE,
                client_ca_file_reload: true,
                reload_interval: "10m",
                min_version: "1.2",
            },
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct Ingester {
    lifecycler: Lifecycler,
    trace_idle_period: &'static str,
    max_block_duration: &'static str,
    max_block_bytes: u64,
    complete_block_timeout: &'static str,
    flush_all_on_shutdown: bool,
}

#[derive(Debug, Clone, Serialize)]
struct MetricsGenerator {
    ring: Ring,
    processor: Processor,
    registry: Registry,
    storage: GeneratorStorage,
    traces_storage: PathOnly,
}

#[derive(Debug, Clone, Serialize)]
struct Processor {
    service_graphs: Dimensions,
    span_metrics: Dimensions,
}

#[derive(Debug, Clone, Serialize)]
struct Dimensions {
    dimensions: Vec<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
struct Registry {
    collection_interval: &'static str,
    external_labels: Map<String, Json>,
}

#[derive(Debug, Clone, Serialize)]
struct GeneratorStorage {
    path: String,
    remote_write_flush_deadline: &'static str,
    remote_write_add_org_id_header: bool,
    remote_write: Vec<RemoteWrite>,
}

#[derive(Debug, Clone, Serialize)]
struct PathOnly {
    path: String,
}

#[derive(Debug, Clone, Serialize)]
struct Querier {
    max_concurrent_queries: u32,
    frontend_worker: FrontendWorker,
}

#[derive(Debug, Clone, Serialize)]
struct FrontendWorker {
    frontend_address: String,
    grpc_client_config: ClientTls,
}

#[derive(Debug, Clone, Serialize)]
struct QueryFrontend {
    max_outstanding_per_tenant: u32,
    search: SearchFrontend,
}

#[derive(Debug, Clone, Serialize)]
struct SearchFrontend {
    concurrent_jobs: u32,
    max_duration: String,
}

#[derive(Debug, Clone, Serialize)]
struct Compactor {
    ring: Ring,
    compaction: Compaction,
}

#[derive(Debug, Clone, Serialize)]
struct Compaction {
    block_retention: String,
    compacted_block_retention: &'static str,
    compaction_window: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Storage {
    trace: TraceStorage,
}

#[derive(Debug, Clone, Serialize)]
struct TraceStorage {
    backend: &'static str,
    /// The store, under the name of its kind.
    #[serde(flatten)]
    store: Map<String, Json>,
    wal: PathOnly,
    local: PathOnly,
    block: Block,
    blocklist_poll: &'static str,
    pool: Pool,
}

#[derive(Debug, Clone, Serialize)]
struct Block {
    version: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Pool {
    max_workers: u32,
    queue_depth: u32,
}

#[derive(Debug, Clone, Serialize)]
struct Overrides {
    defaults: OverrideDefaults,
}

#[derive(Debug, Clone, Serialize)]
struct OverrideDefaults {
    ingestion: IngestionLimits,
    global: GlobalLimits,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_generator: Option<GeneratorLimits>,
}

#[derive(Debug, Clone, Serialize)]
struct IngestionLimits {
    rate_strategy: &'static str,
    rate_limit_bytes: u64,
    burst_size_bytes: u64,
    max_traces_per_user: u64,
}

#[derive(Debug, Clone, Serialize)]
struct GlobalLimits {
    max_bytes_per_trace: u64,
}

#[derive(Debug, Clone, Serialize)]
struct GeneratorLimits {
    processors: Vec<&'static str>,
    max_active_series: u64,
}

#[derive(Debug, Clone, Serialize)]
struct UsageReport {
    reporting_enabled: bool,
}

/// Half a kilobyte a span, and ten times the average rate as room; never less than 15 MB a second.
fn ingestion_rate(spans_per_second: Option<u64>) -> u64 {
    spans_per_second.unwrap_or(0).saturating_mul(512 * 10).max(15_000_000)
}

/// The configuration of every part.
pub(super) fn config(b: &Build<'_>) -> Config {
    let tempo = &b.platform.tempo;
    let sizing = &b.sizing.tempo;
    let bucket = b.bucket(BucketPurpose::Tempo);
    let data = |folder: &str| format!("{DATA}/{folder}");
    let generates = tempo.metrics_generator.enabled;
    let rate = ingestion_rate(tempo.spans_per_second.or(b.platform.collector.gateway.spans_per_second));
    Config {
        multitenancy_enabled: false,
        stream_over_http_enabled: true,
        server: Server::new(ports::TEMPO_HTTP, ports::TEMPO_GRPC),
        memberlist: Memberlist::new(b, "tempo", &[parts::TEMPO_INGESTER, parts::TEMPO_DISTRIBUTOR]),
        distributor: Distributor {
            ring: Ring::GOSSIP,
            receivers: Receivers {
                otlp: Otlp {
                    protocols: Protocols {
                        grpc: Receiver::on(ports::OTLP_GRPC),
                        http: Receiver::on(ports::OTLP_HTTP),
                    },
                },
            },
        },
        ingester: Ingester {
            lifecycler: Lifecycler::new(b, sizing.replication_factor),
            trace_idle_period: "10s",
            max_block_duration: "30m",
            max_block_bytes: 500 << 20,
            complete_block_timeout: "15m",
            // The write-ahead log is on a disk that survives the pod.
            flush_all_on_shutdown: false,
        },
        ingester_client: GrpcOnly::to(b, parts::TEMPO_INGESTER),
        metrics_generator: generates.then(|| generator(b)),
        metrics_generator_client: generates.then(|| GrpcOnly::to(b, parts::TEMPO_METRICS_GENERATOR)),
        querier: Querier {
            max_concurrent_queries: if b.highly_available() { 20 } else { 5 },
            frontend_worker: FrontendWorker {
                frontend_address: format!(
                    "{}:{}",
                    b.headless_host(parts::TEMPO_QUERY_FRONTEND),
                    ports::TEMPO_GRPC
                ),
                grpc_client_config: ClientTls::to(b, parts::TEMPO_QUERY_FRONTEND),
            },
        },
        query_frontend: QueryFrontend {
            max_outstanding_per_tenant: 2000,
            search: SearchFrontend {
                concurrent_jobs: if b.highly_available() { 1000 } else { 200 },
                max_duration: format!("{}h", tempo.retention.seconds() / 3600),
            },
        },
        compactor: Compactor {
            // Without a ring, several compactors would all compact everything.
            ring: Ring::GOSSIP,
            compaction: Compaction {
                block_retention: format!("{}h", tempo.retention.seconds() / 3600),
                compacted_block_retention: "1h",
                compaction_window: "1h",
            },
        },
        storage: Storage {
            trace: TraceStorage {
                backend: bucket.backend(),
                store: Map::from_iter([(bucket.backend().to_owned(), bucket.tempo())]),
                wal: PathOnly { path: data("wal") },
                local: PathOnly { path: data("blocks") },
                block: Block { version: "vParquet4" },
                blocklist_poll: "5m",
                pool: Pool { max_workers: if b.highly_available() { 400 } else { 50 }, queue_depth: 20_000 },
            },
        },
        overrides: Overrides {
            defaults: OverrideDefaults {
                ingestion: IngestionLimits {
                    rate_strategy: "global",
                    rate_limit_bytes: rate,
                    burst_size_bytes: rate.saturating_mul(2),
                    max_traces_per_user: 100_000,
                },
                global: GlobalLimits { max_bytes_per_trace: 10_000_000 },
                metrics_generator: generates.then(|| GeneratorLimits {
                    processors: vec!["service-graphs", "span-metrics"],
                    max_active_series: 200_000,
                }),
            },
        },
        usage_report: UsageReport { reporting_enabled: false },
    }
}

/// Rates, errors and durations out of spans, written to every replica of Prometheus.
fn generator(b: &Build<'_>) -> MetricsGenerator {
    let dimensions = || Dimensions { dimensions: vec!["service.namespace", "deployment.environment.name"] };
    let cluster = Map::from_iter([("cluster".to_owned(), Json::from(b.stack.cluster_name()))]);
    MetricsGenerator {
        ring: Ring::GOSSIP,
        processor: Processor { service_graphs: dimensions(), span_metrics: dimensions() },
        registry: Registry { collection_interval: "15s", external_labels: cluster },
        storage: GeneratorStorage {
            path: format!("{DATA}/generator/wal"),
            remote_write_flush_deadline: "1m",
            remote_write_add_org_id_header: false,
            remote_write: remote_write_urls(b)
                .into_iter()
                .map(|(name, url)| RemoteWrite {
                    name,
                    url,
                    send_exemplars: Some(true),
                    authorization: None,
                    tls_config: Some(Tls::mutual(b.host(parts::PROMETHEUS))),
                })
                .collect(),
        },
        traces_storage: PathOnly { path: format!("{DATA}/generator/traces") },
    }
}
