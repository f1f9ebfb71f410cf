//! What Loki is told: the keys that exist in its version, and the values without which it starts but does harm.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::components::rules::testing::{Rendered, highly_available, local};

fn config(rendered: &Rendered) -> Json {
    rendered.yaml("loki-ingester", "config.yaml")
}

/// Every top-level section of Loki 3.7 that may be written.
const SECTIONS: [&str; 22] = [
    "auth_enabled",
    "server",
    "common",
    "memberlist",
    "schema_config",
    "storage_config",
    "distributor",
    "ingester",
    "ingester_client",
    "querier",
    "query_range",
    "frontend",
    "frontend_worker",
    "query_scheduler",
    "index_gateway",
    "compactor",
    "compactor_grpc_client",
    "ruler",
    "limits_config",
    "analytics",
    "pattern_ingester",
    "chunk_store_config",
];

#[test]
fn only_sections_that_exist_are_written() {
    let config = config(&highly_available());
    let known: BTreeSet<_> = SECTIONS.into_iter().collect();
    for section in config.as_object().unwrap().keys() {
        assert!(known.contains(section.as_str()), "{section}");
    }
    assert!(config["server"].get("internal_server").is_none(), "with it, pods never end");
}

#[test]
fn every_client_and_every_server_speaks_mutual_tls() {
    let config = config(&highly_available());
    assert_eq!(config["server"]["grpc_tls_config"]["client_auth_type"], "RequireAndVerifyClientCert");
    assert_eq!(config["server"]["http_tls_config"]["client_auth_type"], "VerifyClientCertIfGiven");
    for place in [
        "/ingester_client/grpc_client_config",
        "/frontend/grpc_client_config",
        "/frontend_worker/query_frontend_grpc_client",
        "/frontend_worker/query_scheduler_grpc_client",
        "/query_scheduler/grpc_client_config",
        "/storage_config/tsdb_shipper/index_gateway_client/grpc_client_config",
        "/compactor_grpc_client",
        "/ruler/ruler_client",
        "/ruler/evaluation/query_frontend",
        "/memberlist",
    ] {
        let client = config.pointer(place).unwrap_or_else(|| panic!("{place}"));
        assert_eq!(client["tls_enabled"], true, "{place}");
        for key in ["tls_cert_path", "tls_key_path", "tls_ca_path", "tls_server_name"] {
            assert!(client[key].is_string(), "{place}/{key}");
        }
    }
    for place in ["/frontend/tail_tls_config", "/ruler/alertmanager_client"] {
        let client = config.pointer(place).unwrap();
        assert!(client.get("tls_enabled").is_none(), "{place} has no such key");
        assert!(client["tls_ca_path"].is_string(), "{place}");
    }
}

#[test]
fn logs_are_kept_three_times_and_no_longer_than_wanted() {
    let config = config(&highly_available());
    assert_eq!(config["common"]["replication_factor"], 3);
    assert_eq!(config["ingester"]["lifecycler"]["ring"]["replication_factor"], 3);
    assert_eq!(config["ingester"]["wal"]["enabled"], true);
    assert_eq!(config["limits_config"]["retention_period"], "744h");
    assert_eq!(config["compactor"]["retention_enabled"], true);
    assert_eq!(config["compactor"]["delete_request_store"], "s3");
    let schema = &config["schema_config"]["configs"][0];
    assert_eq!(
        (&schema["store"], &schema["schema"], &schema["index"]["period"], &schema["object_store"]),
        (&json!("tsdb"), &json!("v13"), &json!("24h"), &json!("s3"))
    );
    assert!(config["storage_config"]["aws"]["bucketnames"].is_string());
}

#[test]
fn pod_names_are_not_index_labels() {
    let config = config(&highly_available());
    let attributes = &config["limits_config"]["otlp_config"]["resource_attributes"];
    assert_eq!(attributes["ignore_defaults"], true);
    assert!(!attributes.to_string().contains("k8s.pod.name"));
}

#[test]
fn replaying_leaves_memory_for_the_rest() {
    let rendered = Rendered::of(json!({ "loki": { "ingester": { "resources": { "memoryLimit": "4Gi" } } } }));
    assert_eq!(config(&rendered)["ingester"]["wal"]["replay_memory_ceiling"], "3072MB");
}

#[test]
fn every_part_runs_with_the_disk_and_the_time_it_needs() {
    let rendered = highly_available();
    for part in ["ingester", "index-gateway", "compactor", "ruler"] {
        let set = rendered.object("StatefulSet", &format!("loki-{part}"));
        assert_eq!(set.at("spec.template.spec.terminationGracePeriodSeconds"), json!(300), "{part}");
        assert_eq!(set.at("spec.volumeClaimTemplates.0.metadata.name"), json!("data"), "{part}");
    }
    for part in ["distributor", "querier", "query-frontend", "query-scheduler", "gateway"] {
        assert_eq!(
            rendered.object("Deployment", &format!("loki-{part}")).at("spec.replicas"),
            json!(2),
            "{part}"
        );
    }
    assert_eq!(rendered.object("StatefulSet", "loki-ingester").at("spec.replicas"), json!(3));
    assert_eq!(rendered.object("StatefulSet", "loki-compactor").at("spec.replicas"), json!(1));
}

#[test]
fn the_gateway_checks_certificates_on_both_sides() {
    let text = local().file("loki-gateway", "nginx.conf");
    assert!(text.contains("ssl_verify_client optional;"));
    assert_eq!(text.matches("location ").count(), text.matches("$ssl_client_verify != SUCCESS").count() + 2);
    assert!(text.contains("proxy_ssl_verify on;"));
    assert!(
        text.contains("ssl_certificate $certificate;"),
        "a renewed certificate must be read without a restart"
    );
    assert_eq!(text.matches('{').count(), text.matches('}').count());
}

#[test]
fn rules_over_logs_are_where_the_ruler_looks() {
    let rendered = highly_available();
    let ruler = config(&rendered)["ruler"].clone();
    assert_eq!(ruler["storage"], json!({ "type": "local", "local": { "directory": "/etc/loki/rules" } }));
    let mounts = rendered.containers("StatefulSet", "loki-ruler")[0]["volumeMounts"].to_string();
    assert!(mounts.contains("/etc/loki/rules/fake"), "{mounts}");
    assert!(rendered.file("loki-ruler-rules", "platform.yaml").contains("PlatformPanics"));
}

#[test]
fn copies_are_kept_in_different_zones_where_there_are_three() {
    let rendered = highly_available();
    let lifecycler = config(&rendered)["ingester"]["lifecycler"].clone();
    assert_eq!(lifecycler["ring"]["zone_awareness_enabled"], true);
    assert_eq!(lifecycler["availability_zone"], "${ZONE}");
    assert!(
        rendered.arguments("StatefulSet", "loki-ingester", 0).contains(&"-config.expand-env=true".to_owned())
    );
    let environment = rendered.containers("StatefulSet", "loki-ingester")[0]["env"].to_string();
    assert!(environment.contains("metadata.labels['topology.kubernetes.io/zone']"), "{environment}");
    // With one zone the ring would find a single place for three copies.
    let small = config(&local())["ingester"]["lifecycler"].clone();
    assert_eq!(small["ring"]["zone_awareness_enabled"], false);
    assert!(small.get("availability_zone").is_none());
}

#[test]
fn the_certificate_for_gossip_outlives_pods() {
    let rendered = highly_available();
    for app in ["loki", "tempo"] {
        let certificate = rendered.object("Certificate", &format!("{app}-gossip-tls"));
        assert_eq!(certificate.at("spec.duration"), json!("43800h0m0s"));
        let config = rendered.yaml(&format!("{app}-ingester"), "config.yaml");
        assert_eq!(config["memberlist"]["tls_cert_path"], "/etc/plinth/gossip/tls.crt");
        assert_eq!(config["memberlist"]["tls_server_name"], certificate.at("spec.dnsNames.0"));
        let mounts =
            rendered.containers("StatefulSet", &format!("{app}-ingester"))[0]["volumeMounts"].to_string();
        assert!(mounts.contains("/etc/plinth/gossip"), "{mounts}");
    }
}
