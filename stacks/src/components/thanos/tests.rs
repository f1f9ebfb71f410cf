//! What Thanos is told.

use serde_json::json;

use crate::components::rules::testing::{Rendered, highly_available};

#[test]
fn a_querier_asks_every_store_over_mutual_tls() {
    let endpoints = highly_available().yaml("thanos-query", "endpoints.yaml");
    let tls = &endpoints["default_client_config"]["tls_config"];
    assert_eq!(tls["enabled"], true);
    assert_eq!(tls["ca_file"], "/etc/plinth/tls/ca.crt");
    let addresses: Vec<_> = endpoints["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["address"].as_str().unwrap())
        .collect();
    assert_eq!(
        addresses,
        [
            "dns+prometheus-headless.observability.svc:10901",
            "dns+thanos-store-headless.observability.svc:10901",
            "dns+thanos-ruler-headless.observability.svc:10901",
        ]
    );
}

#[test]
fn servers_demand_certificates() {
    let rendered = highly_available();
    for (kind, name) in
        [("Deployment", "thanos-query"), ("StatefulSet", "thanos-store"), ("StatefulSet", "thanos-ruler")]
    {
        let arguments = rendered.arguments(kind, name, 0);
        assert!(
            arguments.contains(&"--grpc-server-tls-client-ca=/etc/plinth/tls/ca.crt".to_owned()),
            "{name}"
        );
        assert!(arguments.iter().any(|one| one.starts_with("--http.config=")), "{name}");
    }
    let sidecar = rendered.arguments("StatefulSet", "prometheus", 1);
    assert!(sidecar.contains(&"--grpc-server-tls-client-ca=/etc/plinth/tls/ca.crt".to_owned()));
}

#[test]
fn one_compactor_whatever_the_stack_says() {
    let rendered = highly_available();
    assert_eq!(rendered.object("StatefulSet", "thanos-compactor").at("spec.replicas"), json!(1));
    let arguments = rendered.arguments("StatefulSet", "thanos-compactor", 0);
    for argument in [
        "--wait",
        "--retention.resolution-raw=30d",
        "--retention.resolution-5m=180d",
        "--retention.resolution-1h=1y",
    ] {
        assert!(arguments.contains(&argument.to_owned()), "{argument}");
    }
}

#[test]
fn a_ruler_tells_every_alertmanager_by_the_second_api() {
    let rendered = highly_available();
    let group = rendered.yaml("thanos-ruler", "alertmanagers.yaml")["alertmanagers"][0].clone();
    assert_eq!(group["api_version"], "v2");
    assert_eq!(group["static_configs"], json!(["dns+alertmanager-headless.observability.svc:9093"]));
    assert!(
        rendered
            .arguments("StatefulSet", "thanos-ruler", 0)
            .contains(&"--alert.label-drop=replica".to_owned())
    );
}

#[test]
fn pods_have_the_time_that_shutting_down_takes() {
    for name in ["thanos-store", "thanos-ruler", "thanos-compactor"] {
        let grace = highly_available()
            .object("StatefulSet", name)
            .at("spec.template.spec.terminationGracePeriodSeconds");
        assert!(grace.as_u64().unwrap() > 120, "{name}");
    }
}

#[test]
fn the_bucket_is_described_in_a_secret() {
    let rendered = highly_available();
    let secret = rendered.object("Secret", "thanos-objstore");
    assert!(secret.to_string().contains("objstore.yaml"));
}

#[test]
fn a_stack_may_do_without() {
    let rendered = Rendered::of(json!({ "thanos": { "enabled": false } }));
    let left: Vec<_> = rendered.names().into_iter().filter(|name| name.contains("/thanos-")).collect();
    assert!(left.is_empty(), "{left:?}");
}
