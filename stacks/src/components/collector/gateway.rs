//! The gateway's configuration.

use serde_json::{Map, Value as Json, json};

use super::{RELOAD, client_tls, health, memory_limiter, patient, telemetry};
use crate::kit::parts::{self, ports};
use crate::kit::{Build, CA_FILE, CERT_FILE, KEY_FILE};

pub(super) fn configuration(build: &Build<'_>) -> Json {
    let (exporters, traces, logs, metrics) = exporters(build);
    let sampling = build.platform.collector.gateway.sampling_percentage;
    let mut pipelines = Map::new();
    let mut pipeline = |name: &str, to: Vec<String>, more: &[&str]| {
        let mut processors = vec!["memory_limiter", "k8s_attributes", "resource"];
        processors.extend(more);
        processors.push("batch");
        if !to.is_empty() {
            let one = json!({ "receivers": ["otlp"], "processors": processors, "exporters": to });
            pipelines.insert(name.to_owned(), one);
        }
    };
    let sampler: &[&str] = if sampling.is_some() { &["probabilistic_sampler"] } else { &[] };
    pipeline("traces", traces, sampler);
    pipeline("logs", logs, &[]);
    pipeline("metrics", metrics, &[]);
    json!({
        "extensions": { "health_check": health() },
        "receivers": { "otlp": receiver(build) },
        "processors": processors(build, sampling),
        "exporters": exporters,
        "service": { "extensions": ["health_check"], "pipelines": pipelines, "telemetry": telemetry() },
    })
}

fn receiver(build: &Build<'_>) -> Json {
    let mut tls = json!({
        "cert_file": CERT_FILE,
        "key_file": KEY_FILE,
        "min_version": "1.2",
        "reload_interval": RELOAD,
    });
    if build.platform.collector.gateway.require_client_certificates {
        tls["client_ca_file"] = json!(CA_FILE);
        tls["client_ca_file_reload"] = json!(true);
    }
    json!({
        "protocols": {
            "grpc": {
                "endpoint": format!("0.0.0.0:{}", ports::OTLP_GRPC),
                "tls": tls,
                "max_recv_msg_size_mib": 16,
                // Connections are kept for ever otherwise, and new replicas get nothing to do.
                "keepalive": {
                    "server_parameters": { "max_connection_age": "60s", "max_connection_age_grace": "10s" },
                },
            },
            "http": { "endpoint": format!("0.0.0.0:{}", ports::OTLP_HTTP), "tls": tls },
        },
    })
}

fn processors(build: &Build<'_>, sampling: Option<u8>) -> Json {
    let attribute = |key: &str, value: &str| json!({ "key": key, "value": value, "action": "upsert" });
    let from = |attribute: &str| json!({ "sources": [{ "from": "resource_attribute", "name": attribute }] });
    let mut processors = json!({
        "memory_limiter": memory_limiter(),
        "k8s_attributes": {
            "extract": {
                "metadata": [
                    "k8s.namespace.name",
                    "k8s.pod.name",
                    "k8s.pod.uid",
                    "k8s.pod.start_time",
                    "k8s.deployment.name",
                    "k8s.statefulset.name",
                    "k8s.daemonset.name",
                    "k8s.job.name",
                    "k8s.node.name",
                ],
                "labels": [
                    { "tag_name": "service.name", "key": "app.kubernetes.io/name", "from": "pod" },
                    { "tag_name": "service.version", "key": "app.kubernetes.io/version", "from": "pod" },
                ],
            },
            // Agents say whose log it is; from applications the sender's address tells.
            "pod_association": [
                from("k8s.pod.uid"),
                from("k8s.pod.ip"),
                { "sources": [{ "from": "connection" }] },
            ],
        },
        "resource": {
            "attributes": [
                attribute("k8s.cluster.name", &build.stack.cluster_name()),
                attribute("deployment.environment.name", build.stack.environment()),
            ],
        },
        "batch": { "send_batch_size": 8192, "send_batch_max_size": 16384, "timeout": "1s" },
    });
    if let Some(percentage) = sampling {
        processors["probabilistic_sampler"] = json!({ "sampling_percentage": percentage });
    }
    processors
}

/// The exporters, and which of them traces, logs and metrics go to.
fn exporters(build: &Build<'_>) -> (Json, Vec<String>, Vec<String>, Vec<String>) {
    let mut exporters = Map::new();
    let (mut traces, mut logs, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
    if build.platform.tempo.enabled {
        let host = build.headless_host(parts::TEMPO_DISTRIBUTOR);
        let exporter = patient(json!({
            "endpoint": format!("dns:///{host}:{}", ports::OTLP_GRPC),
            "balancer_name": "round_robin",
            "tls": client_tls(),
        }));
        exporters.insert("otlp_grpc/tempo".to_owned(), exporter);
        traces.push("otlp_grpc/tempo".to_owned());
    }
    if build.platform.loki.enabled {
        let host = build.host(parts::LOKI_DISTRIBUTOR);
        let exporter = patient(json!({
            "endpoint": format!("https://{host}:{}/otlp", ports::LOKI_HTTP),
            "tls": client_tls(),
        }));
        exporters.insert("otlp_http/loki".to_owned(), exporter);
        logs.push("otlp_http/loki".to_owned());
    }
    // Every replica of Prometheus gets everything, as it scrapes everything.
    let host = build.headless_host(parts::PROMETHEUS);
    for replica in 0..build.sizing.prometheus.replicas {
        let pod = format!("{}-{replica}", parts::PROMETHEUS.name());
        let name = format!("prometheus_remote_write/{replica}");
        let exporter = json!({
            "endpoint": format!("https://{pod}.{host}:{}/api/v1/write", ports::PROMETHEUS),
            "tls": client_tls(),
            "resource_to_telemetry_conversion": { "enabled": false },
            "target_info": { "enabled": true },
            "retry_on_failure": { "enabled": true, "max_elapsed_time": "300s" },
            "remote_write_queue": { "enabled": true, "queue_size": 10000, "num_consumers": 5 },
        });
        exporters.insert(name.clone(), exporter);
        metrics.push(name);
    }
    (Json::Object(exporters), traces, logs, metrics)
}
