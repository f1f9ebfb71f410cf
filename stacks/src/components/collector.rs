//! The way in for telemetry: a gateway of OpenTelemetry collectors that applications send OTLP to, and a collector on
//! every node for the logs of containers and the kubelet's counters, which sends to the gateway.

mod agent;
mod gateway;

use serde_json::{Value as Json, json};

use crate::catalogue::Image;
use crate::kit::parts::{self, ports};
use crate::kit::{
    Build, CA_FILE, CERT_FILE, Check, Container, KEY_FILE, Outside, Peer, Phase, Probes, Space, Workload,
    rule, yaml,
};

/// How long a certificate may be used after it was renewed.
const RELOAD: &str = "1h";

pub(crate) fn declare(build: &mut Build<'_>) {
    build.phase(Phase::Collectors);
    declare_gateway(build);
    if build.platform.collector.agent.enabled {
        declare_agent(build);
    }
}

fn base(main: Container) -> Container {
    main.args(["--config=/etc/otelcol/config.yaml"])
        .env_field("MY_POD_IP", "status.podIP")
        .env_field("MY_POD_NAME", "metadata.name")
        .env_field("MY_NODE_NAME", "spec.nodeName")
        .env_field("MY_NODE_IP", "status.hostIP")
        .port("metrics", ports::COLLECTOR_METRICS)
        .port("health", ports::COLLECTOR_HEALTH)
        .probes(Probes::same(Check::Http("health", "/")))
        .go_memory_limit()
}

fn declare_gateway(build: &mut Build<'_>) {
    let part = parts::COLLECTOR_GATEWAY;
    let shape = build.sizing.collector_gateway.clone();
    let config = gateway::configuration(build);
    Workload::deployment(build, part, Image::Collector, &shape)
        .user(10001, 10001)
        .grace(90)
        .main(|main| {
            base(main)
                .port("otlp-grpc", ports::OTLP_GRPC)
                .port("otlp-http", ports::OTLP_HTTP)
                // Senders need some seconds to notice that a pod is going.
                .stop_delay(10)
        })
        .config("/etc/otelcol", [("config.yaml", yaml::to_yaml(&config))])
        .headless()
        .tls()
        .cluster_rules(vec![
            rule(&[""], &["pods", "namespaces", "nodes"], &["get", "list", "watch"]),
            rule(&["apps"], &["replicasets"], &["get", "list", "watch"]),
        ])
        .plain_metrics(ports::COLLECTOR_METRICS, "/metrics")
        .deploy(build);
    let otlp = &[ports::OTLP_GRPC, ports::OTLP_HTTP];
    for namespace in build.platform.collector.allowed_namespaces.clone() {
        build.allow(Peer::Namespace(namespace.to_string()), part, otlp);
    }
    build.allow(Space::Platform, part, otlp);
    build.allow(part, parts::TEMPO_DISTRIBUTOR, &[ports::OTLP_GRPC]);
    build.allow(part, parts::LOKI_DISTRIBUTOR, &[ports::LOKI_HTTP]);
    build.allow(part, parts::PROMETHEUS, &[ports::PROMETHEUS]);
    build.allow_outside(part, Outside::ApiServer);
}

fn declare_agent(build: &mut Build<'_>) {
    let part = parts::COLLECTOR_AGENT;
    let shape = build.sizing.collector_agent.clone();
    let config = agent::configuration(build);
    Workload::daemon_set(build, part, Image::Collector, &shape)
        // Only root reads the logs of containers; all that is left to it is to read what belongs to others.
        .user(0, 0)
        .grace(60)
        .main(|main| base(main).capability("DAC_READ_SEARCH"))
        .config("/etc/otelcol", [("config.yaml", yaml::to_yaml(&config))])
        .host_folder("pods", "/var/log/pods", "/var/log/pods")
        .host_state("positions", "/var/lib/plinth/collector", "/var/lib/otelcol")
        .tls()
        .without_service()
        .cluster_rules(vec![rule(&[""], &["nodes/stats"], &["get"])])
        .plain_metrics(ports::COLLECTOR_METRICS, "/metrics")
        .deploy(build);
    build.allow(part, parts::COLLECTOR_GATEWAY, &[ports::OTLP_GRPC]);
    build.allow_outside(part, Outside::Nodes(ports::KUBELET));
}

/// How a collector proves who it is when it sends.
fn client_tls() -> Json {
    json!({ "ca_file": CA_FILE, "cert_file": CERT_FILE, "key_file": KEY_FILE, "reload_interval": RELOAD })
}

/// The first of all processors: refuses what would not fit in memory.
fn memory_limiter() -> Json {
    json!({ "check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 25 })
}

/// The collector's own metrics and its log.
fn telemetry() -> Json {
    json!({
        "logs": { "encoding": "json", "level": "info" },
        "metrics": {
            "level": "normal",
            "readers": [{
                "pull": {
                    "exporter": {
                        "prometheus": { "host": "${env:MY_POD_IP}", "port": ports::COLLECTOR_METRICS },
                    },
                },
            }],
        },
    })
}

fn health() -> Json {
    json!({ "endpoint": format!("${{env:MY_POD_IP}}:{}", ports::COLLECTOR_HEALTH) })
}

/// What becomes of what cannot be sent at once: it waits in memory, and is tried again for five minutes.
fn patient(mut exporter: Json) -> Json {
    exporter["retry_on_failure"] = json!({ "enabled": true, "initial_interval": "5s", "max_interval": "30s", "max_elapsed_time": "300s" });
    exporter["sending_queue"] = json!({ "enabled": true, "num_consumers": 10, "queue_size": 5000 });
    exporter
}
