//! What Tempo is told.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::components::rules::testing::{Rendered, highly_available};

fn config(rendered: &Rendered) -> Json {
    rendered.yaml("tempo-ingester", "config.yaml")
}

/// Every top-level section of Tempo 2.10 that may be written.
const SECTIONS: [&str; 16] = [
    "multitenancy_enabled",
    "stream_over_http_enabled",
    "server",
    "memberlist",
    "distributor",
    "ingester",
    "ingester_client",
    "metrics_generator",
    "metrics_generator_client",
    "querier",
    "query_frontend",
    "compactor",
    "storage",
    "overrides",
    "usage_report",
    "cache",
];

#[test]
fn only_sections_that_exist_are_written() {
    let known: BTreeSet<_> = SECTIONS.into_iter().collect();
    for section in config(&highly_available()).as_object().unwrap().keys() {
        assert!(known.contains(section.as_str()), "{section}");
    }
}

#[test]
fn traces_are_kept_three_times() {
    let config = config(&highly_available());
    assert_eq!(config["ingester"]["lifecycler"]["ring"]["replication_factor"], 3);
    assert_eq!(
        config["compactor"]["ring"]["kvstore"]["store"], "memberlist",
        "else every compactor compacts everything"
    );
    assert_eq!(config["compactor"]["compaction"]["block_retention"], "336h");
    assert_eq!(config["storage"]["trace"]["backend"], "s3");
    assert_eq!(config["storage"]["trace"]["block"]["version"], "vParquet4");
    assert!(config["storage"]["trace"]["s3"]["bucket"].is_string());
}

#[test]
fn spans_are_received_from_anywhere_with_a_certificate() {
    let config = config(&highly_available());
    for (protocol, port) in [("grpc", 4317), ("http", 4318)] {
        let receiver = &config["distributor"]["receivers"]["otlp"]["protocols"][protocol];
        assert_eq!(receiver["endpoint"], format!("0.0.0.0:{port}"));
        assert!(receiver["tls"]["client_ca_file"].is_string());
        assert!(receiver["tls"]["reload_interval"].is_string());
    }
}

#[test]
fn every_client_speaks_mutual_tls() {
    let config = config(&highly_available());
    for place in [
        "/ingester_client/grpc_client_config",
        "/metrics_generator_client/grpc_client_config",
        "/querier/frontend_worker/grpc_client_config",
        "/memberlist",
    ] {
        let client = config.pointer(place).unwrap_or_else(|| panic!("{place}"));
        assert_eq!(client["tls_enabled"], true, "{place}");
        assert!(client["tls_server_name"].is_string(), "{place}");
    }
    assert!(config["metrics_generator"]["storage"]["remote_write"][0]["tls_config"]["cert_file"].is_string());
}

#[test]
fn what_never_ends_by_itself_is_not_waited_for() {
    let rendered = highly_available();
    for part in ["querier", "query-frontend"] {
        let grace = rendered
            .object("Deployment", &format!("tempo-{part}"))
            .at("spec.template.spec.terminationGracePeriodSeconds");
        assert_eq!(grace, json!(40), "{part}");
    }
    let ingester = rendered.object("StatefulSet", "tempo-ingester");
    assert_eq!(ingester.at("spec.template.spec.terminationGracePeriodSeconds"), json!(300));
}

#[test]
fn metrics_from_spans_can_be_left_out() {
    let rendered = Rendered::of(json!({ "tempo": { "metricsGenerator": { "enabled": false } } }));
    let config = config(&rendered);
    assert!(config.get("metrics_generator").is_none() && config.get("metrics_generator_client").is_none());
    assert!(config["overrides"]["defaults"].get("metrics_generator").is_none());
    assert!(!rendered.names().iter().any(|name| name.contains("generator")));
}
