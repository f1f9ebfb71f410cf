//! Each alert is shown series on which it must fire, and series on which it must stay silent.

mod cases;

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use self::cases::{Case, all};
use super::tools::{run, tool};
use super::{RuleFile, for_loki, for_prometheus, for_ruler};
use crate::kit::yaml;
use crate::model::Stack;
use crate::sizing::Sizing;

fn stack(platform: serde_json::Value) -> Stack {
    serde_json::from_value(json!({
        "apiVersion": "plinth.dev/v1", "kind": "Stack", "name": "prod", "platform": platform,
    }))
    .unwrap()
}

fn complete() -> Stack {
    stack(json!({ "highAvailability": true }))
}

/// Every rule file, those of Prometheus and those of Thanos' ruler, by name.
fn files(stack: &Stack) -> Vec<(String, RuleFile)> {
    let sizing = Sizing::of(stack);
    let mut all: Vec<_> = for_prometheus(stack, &sizing).into_iter().collect();
    all.extend(for_ruler(stack, &sizing).into_iter().map(|(name, file)| (format!("ruler-{name}"), file)));
    all
}

fn write(directory: &std::path::Path, stack: &Stack) -> Vec<String> {
    files(stack)
        .into_iter()
        .map(|(name, file)| {
            let text = yaml::to_yaml(&serde_json::to_value(file).unwrap());
            fs::write(directory.join(&name), text).unwrap();
            name
        })
        .collect()
}

#[test]
fn every_alert_has_a_case() {
    let alerts: BTreeSet<String> = files(&complete())
        .into_iter()
        .flat_map(|(_, file)| file.groups)
        .flat_map(|group| group.rules)
        .filter_map(|rule| rule.alert)
        .collect();
    let tested: BTreeSet<String> = all().map(|case| case.alert.to_owned()).collect();
    assert_eq!(alerts, tested);
}

#[test]
fn every_alert_says_what_is_wrong_and_how_bad_it_is() {
    let stack = complete();
    let groups = files(&stack).into_iter().chain(for_loki(&stack)).flat_map(|(_, file)| file.groups);
    for rule in groups.flat_map(|group| group.rules) {
        let Some(name) = &rule.alert else {
            assert!(rule.record.is_some());
            continue;
        };
        assert!(["critical", "warning", "none"].contains(&rule.labels["severity"].as_str()), "{name}");
        for annotation in ["summary", "description"] {
            assert!(rule.annotations[annotation].ends_with('.'), "{name}: {annotation}");
        }
    }
}

#[test]
fn the_key_metrics_are_watched() {
    let text: String = files(&complete())
        .into_iter()
        .flat_map(|(_, file)| file.groups)
        .flat_map(|group| group.rules)
        .map(|rule| rule.expr + "\n")
        .collect();
    for metric in [
        "prometheus_tsdb_head_samples_appended_total",
        "loki_ingester_chunks_flushed_total",
        "tempo_ingester_traces_created_total",
        "prometheus_tsdb_wal_corruptions_total",
        "thanos_compact_halted",
        "alertmanager_cluster_members",
        "certmanager_certificate_expiration_timestamp_seconds",
        "kubelet_volume_stats_available_bytes",
        "kube_cronjob_status_last_successful_time",
        "probe_success",
        "otelcol_exporter_queue_size",
    ] {
        assert!(text.contains(metric), "{metric} is not watched");
    }
}

#[test]
fn a_stack_may_do_without() {
    let sizing = |stack: &Stack| Sizing::of(stack);
    let off = stack(json!({ "selfMonitoring": { "enabled": false } }));
    assert!(for_prometheus(&off, &sizing(&off)).is_empty());
    assert!(for_ruler(&off, &sizing(&off)).is_empty());
    let small = stack(json!({
        "thanos": { "enabled": false }, "loki": { "enabled": false }, "tempo": { "enabled": false },
    }));
    let files = for_prometheus(&small, &sizing(&small));
    assert!(!files.contains_key("thanos.yaml") && !files.contains_key("loki.yaml"));
    let watched = &files["prometheus.yaml"].groups;
    assert!(
        watched.iter().any(|group| group.name == "prometheus-replicas"),
        "nobody else watches Prometheus"
    );
}

#[test]
fn promtool_accepts_the_rules() {
    let Some(promtool) = tool("PLINTH_PROMTOOL") else { return };
    for platform in [json!({ "highAvailability": true }), json!({})] {
        let directory = tempfile::tempdir().unwrap();
        let names = write(directory.path(), &stack(platform));
        let mut arguments = vec!["check", "rules"];
        arguments.extend(names.iter().map(String::as_str));
        let said = run(&promtool, directory.path(), &arguments);
        assert!(!said.contains("FAILED"), "{said}");
    }
}

#[test]
fn alerts_fire_when_they_must_and_only_then() {
    let Some(promtool) = tool("PLINTH_PROMTOOL") else { return };
    let directory = tempfile::tempdir().unwrap();
    let rules: Vec<_> = files(&complete())
        .into_iter()
        .flat_map(|(_, file)| file.groups)
        .flat_map(|group| group.rules)
        .collect();
    // Each alert is tested beside the recorded rules only, which spares promtool most of its work.
    let recorded: Vec<_> = rules.iter().filter(|rule| rule.record.is_some()).collect();
    let mut tests = Vec::new();
    for case in all() {
        let alert = rules.iter().find(|rule| rule.alert.as_deref() == Some(case.alert)).unwrap();
        let names = [format!("{}-rules.yaml", case.alert), format!("{}-test.yaml", case.alert)];
        let groups = json!({ "groups": [
            { "name": "recorded", "rules": recorded },
            { "name": "alert", "rules": [alert] },
        ] });
        fs::write(directory.path().join(&names[0]), yaml::to_yaml(&groups)).unwrap();
        let scenarios: Vec<_> = [Some((case.fires, 1)), case.quiet.map(|quiet| (quiet, 0))]
            .into_iter()
            .flatten()
            .map(|(series, firing)| scenario(case, series, firing))
            .collect();
        let file = json!({
            "rule_files": [names[0]],
            "evaluation_interval": if case.minutes() > 200 { "10m" } else { "1m" },
            "tests": scenarios,
        });
        fs::write(directory.path().join(&names[1]), yaml::to_yaml(&file)).unwrap();
        tests.push(names[1].clone());
    }
    let mut arguments = vec!["test", "rules"];
    arguments.extend(tests.iter().map(String::as_str));
    run(&promtool, directory.path(), &arguments);
}

/// One test of promtool's: series, and how often the alert fires on them.
fn scenario(case: &Case, series: &[(&str, &str)], firing: u32) -> serde_json::Value {
    let series: Vec<_> =
        series.iter().map(|(name, values)| json!({ "series": name, "values": values })).collect();
    let alert = case.alert;
    json!({
        "name": format!("{alert} {}", if firing > 0 { "fires" } else { "stays silent" }),
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{
            "expr": format!("count(ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}) or vector(0)"),
            "eval_time": case.at,
            "exp_samples": [{ "labels": "{}", "value": firing }],
        }],
    })
}
