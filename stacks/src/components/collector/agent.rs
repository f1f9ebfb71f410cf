//! The configuration of the collector on every node.

use serde_json::{Value as Json, json};

use super::{client_tls, health, memory_limiter, patient, telemetry};
use crate::kit::parts::{self, ports};
use crate::kit::{Build, Space};

pub(super) fn configuration(build: &Build<'_>) -> Json {
    let own = format!(
        "/var/log/pods/{}_{}-*/*/*.log",
        build.namespace(Space::Agents),
        parts::COLLECTOR_AGENT.name()
    );
    // Its own log would feed on itself.
    let excluded: Vec<String> = std::iter::once(own)
        .chain(
            build
                .platform
                .collector
                .agent
                .excluded_namespaces
                .iter()
                .map(|namespace| format!("/var/log/pods/{namespace}_*/*/*.log")),
        )
        .collect();
    let gateway = format!("{}:{}", build.host(parts::COLLECTOR_GATEWAY), ports::OTLP_GRPC);
    let processors = ["memory_limiter", "batch"];
    json!({
        "extensions": {
            "health_check": health(),
            // Where it is in every file survives the pod.
            "file_storage": { "directory": "/var/lib/otelcol", "create_directory": true },
        },
        "receivers": {
            "file_log": {
                "include": ["/var/log/pods/*/*/*.log"],
                "exclude": excluded,
                "start_at": "beginning",
                "include_file_path": true,
                "include_file_name": false,
                "storage": "file_storage",
                "retry_on_failure": { "enabled": true },
                // Reads the format of the container runtime, and pod and container from the path.
                "operators": [{ "type": "container", "id": "container" }],
            },
            "kubelet_stats": {
                "auth_type": "serviceAccount",
                "collection_interval": "30s",
                "endpoint": format!("https://${{env:MY_NODE_IP}}:{}", ports::KUBELET),
                // Most kubelets serve with a certificate of their own making.
                "insecure_skip_verify": true,
                "metric_groups": ["node", "pod", "container", "volume"],
            },
        },
        "processors": {
            "memory_limiter": memory_limiter(),
            "batch": { "send_batch_size": 4096, "timeout": "1s" },
        },
        "exporters": {
            "otlp_grpc/gateway": patient(json!({ "endpoint": gateway, "tls": client_tls() })),
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "pipelines": {
                "logs": {
                    "receivers": ["file_log"],
                    "processors": processors,
                    "exporters": ["otlp_grpc/gateway"],
                },
                "metrics": {
                    "receivers": ["kubelet_stats"],
                    "processors": processors,
                    "exporters": ["otlp_grpc/gateway"],
                },
            },
            "telemetry": telemetry(),
        },
    })
}
