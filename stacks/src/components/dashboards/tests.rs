//! Dashboards that Grafana can load, and whose queries Prometheus understands.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value as Json, json};

use crate::components::rules::testing::{Rendered, highly_available};
use crate::components::rules::tools::{run, tool};
use crate::kit::yaml;

/// Every dashboard, with the name of its ConfigMap.
fn dashboards(rendered: &Rendered) -> Vec<(String, Json)> {
    ["grafana-dashboards-platform", "grafana-dashboards-kubernetes"]
        .into_iter()
        .flat_map(|map| rendered.files(map))
        .map(|(name, text)| (name, serde_json::from_str(&text).unwrap()))
        .collect()
}

#[test]
fn the_subjects_are_covered() {
    let names: BTreeSet<_> = dashboards(&highly_available()).into_iter().map(|(name, _)| name).collect();
    for name in [
        "overview.json",
        "prometheus.json",
        "alerting.json",
        "thanos.json",
        "loki.json",
        "tempo.json",
        "collector.json",
        "certificates.json",
        "nodes.json",
        "pods.json",
        "volumes.json",
    ] {
        assert!(names.contains(name), "{name}");
    }
}

#[test]
fn panels_do_not_overlap_and_have_something_to_show() {
    for (name, dashboard) in dashboards(&highly_available()) {
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: two panels have one id");
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(place("x") + place("w") <= 24, "{name}: {}", panel["title"]);
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(taken.insert((x, y)), "{name}: {} overlaps", panel["title"]);
                }
            }
            if panel["type"] != "row" {
                assert!(!panel["targets"].as_array().unwrap().is_empty(), "{name}: {}", panel["title"]);
                assert!(panel["datasource"]["uid"].as_str().unwrap().starts_with("plinth-"));
            }
        }
    }
}

#[test]
fn every_uid_is_unique_and_fits() {
    let all = dashboards(&highly_available());
    let uids: BTreeSet<_> =
        all.iter().map(|(_, dashboard)| dashboard["uid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(uids.len(), all.len());
    assert!(uids.iter().all(|uid| uid.len() <= 40));
}

/// Every question of every panel to Prometheus, with variables filled in.
fn questions() -> Vec<String> {
    let mut found = Vec::new();
    for (_, dashboard) in dashboards(&highly_available()) {
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                if target["datasource"]["type"] == "prometheus" {
                    let expr = target["expr"].as_str().unwrap();
                    found
                        .push(expr.replace("$instance", "x").replace("$namespace", "x").replace("$job", "x"));
                }
            }
        }
    }
    found
}

#[test]
fn promtool_understands_every_question() {
    let Some(promtool) = tool("PLINTH_PROMTOOL") else { return };
    let questions = questions();
    assert!(questions.len() > 80);
    let rules: Vec<_> = questions
        .iter()
        .enumerate()
        .map(|(number, expr)| json!({ "record": format!("question:{number}"), "expr": expr }))
        .collect();
    let file = json!({ "groups": [{ "name": "questions", "rules": rules }] });
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("questions.yaml"), yaml::to_yaml(&file)).unwrap();
    run(&promtool, directory.path(), &["check", "rules", "questions.yaml"]);
}

#[test]
fn a_stacks_own_dashboards_are_provisioned() {
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("dashboards");
    fs::create_dir_all(own.join("Team A")).unwrap();
    fs::write(own.join("one.json"), "{}").unwrap();
    fs::write(own.join("Team A/two.json"), "{\"title\": \"Two\"}").unwrap();
    let rendered = Rendered::in_directory(
        json!({ "grafana": { "dashboards": { "directory": "dashboards" } } }),
        directory.path(),
    );
    assert_eq!(rendered.files("grafana-dashboards-own-team-a")[0].0, "two.json");
    assert_eq!(rendered.files("grafana-dashboards-own-dashboards")[0].0, "one.json");
    let providers = rendered.yaml("grafana-providers", "providers.yaml");
    let folders: Vec<_> = providers["providers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["folder"].as_str().unwrap())
        .collect();
    assert!(folders.contains(&"Team A"));
}

#[test]
fn what_is_no_dashboard_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("dashboards")).unwrap();
    fs::write(directory.path().join("dashboards/one.json"), "{").unwrap();
    let settings = json!({ "grafana": { "dashboards": { "directory": "dashboards" } } });
    let errors = Rendered::try_in_directory(settings, directory.path()).unwrap_err();
    assert!(errors[0].message.contains("one.json"), "{errors:?}");
    let settings = json!({ "grafana": { "dashboards": { "directory": "nowhere" } } });
    assert!(Rendered::try_in_directory(settings, directory.path()).is_err());
}
