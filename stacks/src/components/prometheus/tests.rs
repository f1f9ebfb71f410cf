//! What Prometheus is told.

use serde_json::{Value as Json, json};

use crate::components::rules::testing::{Rendered, highly_available, local};

fn config(rendered: &Rendered) -> Json {
    rendered.yaml("prometheus", "prometheus.yaml")
}

fn job<'a>(config: &'a Json, name: &str) -> &'a Json {
    config["scrape_configs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|job| job["job_name"] == name)
        .unwrap_or_else(|| panic!("no job {name}"))
}

#[test]
fn every_part_that_has_metrics_is_scraped_over_mutual_tls() {
    let config = config(&highly_available());
    let platform = job(&config, "platform");
    assert_eq!(platform["tls_config"]["server_name"], "peer.plinth.internal");
    assert_eq!(platform["tls_config"]["cert_file"], "/etc/plinth/tls/tls.crt");
    for name in [
        "apiserver",
        "kubelet",
        "cadvisor",
        "kube-state-metrics",
        "thanos-sidecar",
        "pods",
        "probe-grafana",
        "probe-loki",
        "probe-tempo",
    ] {
        job(&config, name);
    }
    assert_eq!(job(&config, "cadvisor")["metrics_path"], "/metrics/cadvisor");
    assert_eq!(job(&config, "kube-state-metrics")["honor_labels"], true);
}

#[test]
fn every_jobs_name_is_its_own() {
    let config = config(&highly_available());
    let mut names: Vec<_> = config["scrape_configs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["job_name"].as_str().unwrap())
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn replicas_are_told_apart_but_not_in_alerts() {
    let config = config(&highly_available());
    assert_eq!(config["global"]["external_labels"]["replica"], "${POD_NAME}");
    assert_eq!(
        config["alerting"]["alert_relabel_configs"],
        json!([{ "regex": "replica", "action": "labeldrop" }])
    );
    assert_eq!(
        config["alerting"]["alertmanagers"][0]["relabel_configs"][0]["regex"], "alertmanager-headless",
        "alerts must reach every pod"
    );
}

#[test]
fn metrics_are_kept_as_the_stack_says() {
    let rendered = Rendered::of(json!({ "prometheus": { "retention": "7d", "storage": "50Gi" } }));
    let retention = &config(&rendered)["storage"]["tsdb"]["retention"];
    assert_eq!(retention, &json!({ "time": "7d", "size": "40960MB" }));
}

#[test]
fn blocks_are_compacted_only_after_they_were_uploaded() {
    let arguments = highly_available().arguments("StatefulSet", "prometheus", 0);
    assert!(
        arguments
            .contains(&"--storage.tsdb.delay-compact-file.path=/prometheus/thanos.shipper.json".to_owned())
    );
    assert!(!arguments.iter().any(|argument| argument.contains("retention")), "deprecated");
    let without = Rendered::of(json!({ "thanos": { "enabled": false } }));
    assert!(
        !without.arguments("StatefulSet", "prometheus", 0).iter().any(|one| one.contains("delay-compact"))
    );
    assert_eq!(without.containers("StatefulSet", "prometheus").len(), 1);
}

#[test]
fn other_systems_get_copies_with_tokens_from_files() {
    let rendered = Rendered::of(json!({
        "prometheus": { "remoteWrite": [
            { "url": "https://metrics.example.com:8443/api/v1/write", "bearerToken": { "value": "hush-hush" } },
        ] },
    }));
    let copy = &config(&rendered)["remote_write"][0];
    assert_eq!(copy["authorization"]["credentials_file"], "/etc/prometheus/tokens/token-0");
    assert!(!rendered.everything_but_secrets().contains("hush-hush"));
    let policy = rendered.object("NetworkPolicy", "prometheus").to_string();
    assert!(policy.contains("8443"), "{policy}");
}

#[test]
fn everyone_who_writes_writes_to_every_replica() {
    let rendered = highly_available();
    let writes = rendered.yaml("tempo-metrics-generator", "config.yaml")["metrics_generator"]["storage"]["remote_write"].clone();
    let urls: Vec<_> =
        writes.as_array().unwrap().iter().map(|write| write["url"].as_str().unwrap()).collect();
    assert_eq!(
        urls,
        [
            "https://prometheus-0.prometheus-headless.observability.svc:9090/api/v1/write",
            "https://prometheus-1.prometheus-headless.observability.svc:9090/api/v1/write",
        ]
    );
    assert!(
        rendered
            .arguments("StatefulSet", "prometheus", 0)
            .contains(&"--web.enable-remote-write-receiver".to_owned())
    );
}

#[test]
fn no_secret_stands_in_a_config_map() {
    for rendered in [highly_available(), local()] {
        for map in rendered.objects("ConfigMap") {
            assert!(!map.has_secret(), "{map}");
            let text = map.to_string().to_lowercase();
            for word in ["password=", "password: \"", "secret_key = s", "api_url: "] {
                assert!(!text.contains(word), "{word} in {text}");
            }
        }
    }
}

#[test]
fn a_stacks_own_rules_are_added() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("rules");
    std::fs::create_dir_all(&folder).unwrap();
    let rules =
        "groups:\n  - name: shop\n    rules:\n      - alert: ShopDown\n        expr: up{job=\"shop\"} == 0\n";
    std::fs::write(folder.join("shop.yml"), rules).unwrap();
    let settings = json!({ "prometheus": { "rulesDirectory": "rules" } });
    let rendered = Rendered::in_directory(settings.clone(), directory.path());
    assert_eq!(rendered.file("prometheus-rules", "own-shop.yaml"), rules);
    assert!(rendered.file("prometheus-rules", "platform.yaml").contains("BackupTooOld"));

    for (text, complaint) in [
        ("groups: {}\n", "has no list `groups`"),
        ("groups:\n  - rules: []\n", "without a name"),
        ("groups:\n  - name: a\n    rules:\n      - expr: up\n", "neither `alert` nor `record`"),
        ("groups:\n  - name: a\n    rules:\n      - alert: A\n", "no `expr` in the rule `A`"),
        ("groups: [\n", "is not YAML"),
    ] {
        std::fs::write(folder.join("shop.yml"), text).unwrap();
        let errors = Rendered::try_in_directory(settings.clone(), directory.path()).unwrap_err();
        assert!(errors[0].message.contains(complaint), "{errors:?}");
    }
}
