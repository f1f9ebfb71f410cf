//! Thanos: metrics beyond what Prometheus keeps, and one view over all of its replicas. The sidecar is declared with
//! Prometheus, whose pods it lives in.

pub(crate) mod config;
#[cfg(test)]
mod tests;

use self::config::{Alertmanagers, Cache, Endpoints, HttpClient, Queriers};
use crate::catalogue::Image;
use crate::components::prometheus::config::WebConfig;
use crate::components::rules;
use crate::kit::parts::{self, ports};
use crate::kit::{Build, CA_FILE, CERT_FILE, Check, KEY_FILE, Outside, Part, Phase, Probes, Workload, yaml};
use crate::model::BucketPurpose;
use crate::sizing::Shape;

/// Any uid and gid serve; a high one is nobody on the node.
const USER: i64 = 10001;
/// Shutting down takes up to two minutes for each of the two servers, which stop together.
const GRACE: i64 = 150;

/// The Secret with the description of the bucket.
pub(crate) const BUCKET_SECRET: &str = "thanos-objstore";
/// Where it is mounted.
pub(crate) const BUCKET_DIRECTORY: &str = "/etc/thanos/objstore";
/// The file in it.
pub(crate) const BUCKET_FILE: &str = "/etc/thanos/objstore/objstore.yaml";
/// Where the other files are mounted.
const CONFIG: &str = "/etc/thanos/config";
/// Where disks are mounted.
const DATA: &str = "/var/thanos";

/// Declares Thanos.
pub(crate) fn declare(b: &mut Build<'_>) {
    if !b.platform.thanos.enabled {
        return;
    }
    b.phase(Phase::Metrics);
    query(b);
    query_frontend(b);
    store(b);
    compactor(b);
    ruler(b);
}

/// A typed configuration as YAML text.
pub(crate) fn text<T: serde::Serialize>(config: &T) -> String {
    yaml::to_yaml(&serde_json::to_value(config).unwrap_or_default())
}

/// Declares the Secret by which sidecars, stores, compactor and rulers find the bucket. It holds no keys (those come
/// from the pod's identity or its environment), but it is the place where people would put them.
pub(crate) fn declare_bucket_secret(b: &mut Build<'_>) {
    let bucket = b.bucket(BucketPurpose::Thanos);
    let entry = crate::kit::Entry::text("objstore.yaml", yaml::to_yaml(&bucket.thanos()));
    b.secret(parts::PROMETHEUS.space, BUCKET_SECRET, vec![entry]);
}

/// Lets a part reach the object store, and what gives it its identity there.
pub(crate) fn reach_bucket(b: &mut Build<'_>, part: Part) {
    b.allow_outside(part, Outside::ObjectStore);
    if b.foundation.identities.contains_key(&part) {
        b.allow_outside(part, Outside::Metadata);
    }
}

/// What every part is told about its servers.
fn servers(grpc: bool) -> Vec<String> {
    let mut arguments = vec![
        "--log.format=logfmt".to_owned(),
        format!("--http-address=0.0.0.0:{}", ports::THANOS_HTTP),
        format!("--http.config={CONFIG}/web.yaml"),
        "--enable-auto-gomemlimit".to_owned(),
    ];
    if grpc {
        arguments.extend([
            format!("--grpc-address=0.0.0.0:{}", ports::THANOS_GRPC),
            format!("--grpc-server-tls-cert={CERT_FILE}"),
            format!("--grpc-server-tls-key={KEY_FILE}"),
            format!("--grpc-server-tls-client-ca={CA_FILE}"),
        ]);
    }
    arguments
}

fn probes() -> Probes {
    Probes::new(Check::Https("http", "/-/ready"), Check::Https("http", "/-/healthy"))
}

/// What is the same for every part: user, servers, probes, certificate, metrics.
fn workload(
    workload: Workload,
    command: &str,
    grpc: bool,
    arguments: Vec<String>,
    mut files: Vec<(&'static str, String)>,
) -> Workload {
    files.push(("web.yaml", text(&WebConfig::probed())));
    let mut all = vec![command.to_owned()];
    all.extend(servers(grpc));
    all.extend(arguments);
    workload
        .user(USER, USER)
        .grace(GRACE)
        .main(|main| {
            let main = main.args(all).port("http", ports::THANOS_HTTP).probes(probes());
            if grpc { main.port("grpc", ports::THANOS_GRPC) } else { main }
        })
        .config(CONFIG, files)
        .tls()
        .metrics(ports::THANOS_HTTP, "/metrics")
}

/// Mounts the description of the bucket, and lets the part use it.
fn with_bucket(b: &mut Build<'_>, part: Part, workload: Workload) -> Workload {
    let bucket = b.bucket(BucketPurpose::Thanos);
    reach_bucket(b, part);
    workload.secret("objstore", BUCKET_SECRET, BUCKET_DIRECTORY).uses_bucket(b, &bucket)
}

/// Some share of a part's memory, in mebibytes.
fn memory_share(shape: &Shape, divisor: u64) -> u64 {
    (shape.resources.memory_limit.whole() / (1 << 20) / divisor).max(1)
}

fn query(b: &mut Build<'_>) {
    let part = parts::THANOS_QUERY;
    let shape = b.sizing.thanos.query.clone();
    let arguments = vec![
        format!("--endpoint.sd-config-file={CONFIG}/endpoints.yaml"),
        "--query.replica-label=replica".to_owned(),
        "--query.auto-downsampling".to_owned(),
        "--query.timeout=2m".to_owned(),
        "--query.max-concurrent=20".to_owned(),
    ];
    let files = vec![("endpoints.yaml", text(&Endpoints::new(b)))];
    let one = Workload::deployment(b, part, Image::Thanos, &shape);
    workload(one, "query", true, arguments, files).main(|main| main.stop_delay(10)).deploy(b);
    for store in [parts::PROMETHEUS, parts::THANOS_STORE, parts::THANOS_RULER] {
        b.allow(part, store, &[ports::THANOS_GRPC]);
    }
}

fn query_frontend(b: &mut Build<'_>) {
    let part = parts::THANOS_QUERY_FRONTEND;
    let shape = b.sizing.thanos.query_frontend.clone();
    let downstream = b.host(parts::THANOS_QUERY);
    let arguments = vec![
        format!("--query-frontend.downstream-url=https://{downstream}:{}", ports::THANOS_HTTP),
        format!("--query-frontend.downstream-tripper-config-file={CONFIG}/downstream.yaml"),
        format!("--query-range.response-cache-config-file={CONFIG}/cache.yaml"),
        format!("--labels.response-cache-config-file={CONFIG}/cache.yaml"),
        "--query-range.split-interval=24h".to_owned(),
        "--query-range.align-range-with-step".to_owned(),
        "--query-frontend.compress-responses".to_owned(),
        "--query-frontend.log-queries-longer-than=10s".to_owned(),
    ];
    let files = vec![
        ("downstream.yaml", text(&HttpClient::to(downstream))),
        ("cache.yaml", text(&Cache::of_answers(memory_share(&shape, 3)))),
    ];
    let one = Workload::deployment(b, part, Image::Thanos, &shape);
    workload(one, "query-frontend", false, arguments, files).main(|main| main.stop_delay(10)).deploy(b);
    b.allow(part, parts::THANOS_QUERY, &[ports::THANOS_HTTP]);
}

fn store(b: &mut Build<'_>) {
    let part = parts::THANOS_STORE;
    let shape = b.sizing.thanos.store.clone();
    let arguments = vec![
        format!("--data-dir={DATA}"),
        format!("--objstore.config-file={BUCKET_FILE}"),
        format!("--index-cache.config-file={CONFIG}/index-cache.yaml"),
    ];
    let files = vec![("index-cache.yaml", text(&Cache::of_index(memory_share(&shape, 4))))];
    let one = Workload::stateful_set(b, part, Image::Thanos, &shape).disk(DATA);
    let one = workload(one, "store", true, arguments, files).main(|main| main.probes(probes().startup(1800)));
    with_bucket(b, part, one).deploy(b);
}

fn compactor(b: &mut Build<'_>) {
    let part = parts::THANOS_COMPACTOR;
    let mut shape = b.sizing.thanos.compactor.clone();
    // Two would damage the bucket.
    shape.replicas = 1;
    let retention = &b.platform.thanos.retention;
    let arguments = vec![
        "--wait".to_owned(),
        format!("--data-dir={DATA}"),
        format!("--objstore.config-file={BUCKET_FILE}"),
        format!("--retention.resolution-raw={}", retention.raw),
        format!("--retention.resolution-5m={}", retention.five_minutes),
        format!("--retention.resolution-1h={}", retention.one_hour),
        "--compact.concurrency=1".to_owned(),
        "--delete-delay=48h".to_owned(),
        "--consistency-delay=30m".to_owned(),
    ];
    let one = Workload::stateful_set(b, part, Image::Thanos, &shape).disk(DATA);
    let one = workload(one, "compact", false, arguments, Vec::new());
    with_bucket(b, part, one).deploy(b);
}

fn ruler(b: &mut Build<'_>) {
    let part = parts::THANOS_RULER;
    let shape = b.sizing.thanos.ruler.clone();
    let arguments = vec![
        format!("--data-dir={DATA}"),
        format!("--objstore.config-file={BUCKET_FILE}"),
        "--rule-file=/etc/thanos/rules/*.yaml".to_owned(),
        format!("--query.config-file={CONFIG}/queriers.yaml"),
        format!("--alertmanagers.config-file={CONFIG}/alertmanagers.yaml"),
        "--label=replica=\"$(POD_NAME)\"".to_owned(),
        format!("--label=cluster=\"{}\"", b.stack.cluster_name()),
        "--alert.label-drop=replica".to_owned(),
        format!("--alert.query-url=https://{}/explore", b.stack.grafana_host()),
        "--eval-interval=1m".to_owned(),
        "--tsdb.retention=48h".to_owned(),
    ];
    let files = vec![
        ("queriers.yaml", text(&Queriers::new(b))),
        ("alertmanagers.yaml", text(&Alertmanagers::new(b))),
    ];
    let rules = rules::for_ruler(b.stack, &b.sizing);
    let rules: Vec<_> = rules.into_iter().map(|(name, file)| (name, text(&file))).collect();
    let one = Workload::stateful_set(b, part, Image::Thanos, &shape).disk(DATA);
    let one = workload(one, "rule", true, arguments, files)
        .main(|main| main.env_field("POD_NAME", "metadata.name"))
        .more_config("rules", "/etc/thanos/rules", rules);
    with_bucket(b, part, one).deploy(b);
    b.allow(part, parts::THANOS_QUERY, &[ports::THANOS_HTTP]);
    b.allow(part, parts::ALERTMANAGER, &[ports::ALERTMANAGER]);
}
