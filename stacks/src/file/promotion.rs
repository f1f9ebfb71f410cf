//! What of a stack file moves from one environment to the next, and how it is laid over the next one's own file.

use serde_json::{Map, Value};

/// The parts that are promoted. Everything else belongs to its environment: cloud, nodes, names, sizes, rates,
/// secrets, receivers. Retention is not promoted either: a shorter one, right for a small environment, deletes data in a large one.
/// A part is promoted with everything below it; `*` stands for any key.
const PROMOTABLE: &[&str] = &[
    "cluster.version",
    "cluster.secretsEncryption",
    "cluster.controlPlaneLogs",
    "catalogue",
    "platform.certManager.internalCa",
    "platform.ingress.traefik.minTlsVersion",
    "platform.grafana.dashboards",
    "platform.prometheus.scrapeInterval",
    "platform.prometheus.evaluationInterval",
    "platform.prometheus.rulesDirectory",
    "platform.thanos.enabled",
    "platform.loki.enabled",
    "platform.tempo.enabled",
    "platform.tempo.metricsGenerator.enabled",
    "platform.collector.agent.enabled",
    "platform.collector.gateway.requireClientCertificates",
    "platform.exporters.*.enabled",
    "platform.networkPolicies.enabled",
    "platform.selfMonitoring",
    "platform.backup.enabled",
];

/// The promotable part of a merged stack file.
pub fn promotable(tree: &Value) -> Value {
    let mut part = Value::Object(Map::new());
    for path in PROMOTABLE {
        let steps: Vec<&str> = path.split('.').collect();
        copy(tree, &steps, &mut part);
    }
    for steps in parameters(tree) {
        copy(tree, &steps, &mut part);
    }
    part
}

/// The parameters of a program of one's own that its stack file lists as promotable.
fn parameters(tree: &Value) -> Vec<Vec<&str>> {
    let listed = tree.pointer("/settings/promoteParameters").and_then(Value::as_array);
    let paths = listed.into_iter().flatten().filter_map(Value::as_str);
    paths.map(|path| std::iter::once("parameters").chain(path.split('.')).collect()).collect()
}

fn says(tree: &Value, steps: &[&str]) -> bool {
    steps.iter().try_fold(tree, |value, step| value.get(step)).is_some()
}

fn copy(from: &Value, steps: &[&str], to: &mut Value) {
    let (Some(from), Value::Object(to)) = (from.as_object(), to) else { return };
    let [step, rest @ ..] = steps else { return };
    let keys: Vec<&String> = from.keys().filter(|key| *step == "*" || key.as_str() == *step).collect();
    for key in keys {
        if rest.is_empty() {
            to.insert(key.clone(), from[key].clone());
        } else if from[key].is_object() {
            copy(&from[key], rest, to.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())));
        }
    }
    to.retain(|_, value| !matches!(value, Value::Object(map) if map.is_empty() && !rest.is_empty()));
}

/// Lays a promoted part over a stack's own file: a three-way merge. `base` is the stack's own promotable part when it
/// was promoted to. Where the file still says what it said then, the promoted value holds (or is taken away, if the
/// promoted stack had none); what was edited in the file since then wins.
pub fn overlay(target: Value, promoted: &Value, base: &Value) -> Value {
    let mut target = target;
    for path in PROMOTABLE {
        let steps: Vec<&str> = path.split('.').collect();
        descend(&mut target, Some(promoted), Some(base), &steps);
    }
    let own = target.clone();
    // A parameter that only one of the two stacks lists stays what it is.
    for steps in parameters(&own).iter().filter(|steps| says(promoted, steps)) {
        descend(&mut target, Some(promoted), Some(base), steps);
    }
    target
}

fn descend(target: &mut Value, promoted: Option<&Value>, base: Option<&Value>, steps: &[&str]) {
    let Value::Object(map) = target else { return };
    let [step, rest @ ..] = steps else { return };
    let mut keys: Vec<String> = Vec::new();
    for source in [promoted, base].into_iter().flatten().filter_map(Value::as_object) {
        for key in source.keys().filter(|key| *step == "*" || key.as_str() == *step) {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
    }
    for key in keys {
        let promoted = promoted.and_then(|value| value.get(&key));
        let base = base.and_then(|value| value.get(&key));
        if rest.is_empty() {
            match three_way(map.get(&key), promoted, base) {
                Some(value) => {
                    map.insert(key, value);
                }
                None => {
                    map.shift_remove(&key);
                }
            }
        } else if map.contains_key(&key) {
            descend(&mut map[&key], promoted, base, rest);
        } else if key != "platform" {
            // A part that the file does not mention may be added; a platform is not added to a stack without one.
            let mut part = Value::Object(Map::new());
            descend(&mut part, promoted, base, rest);
            if part.as_object().is_some_and(|part| !part.is_empty()) {
                map.insert(key, part);
            }
        }
    }
}

/// Merges one value: maps key by key, everything else as a whole.
fn three_way(target: Option<&Value>, promoted: Option<&Value>, base: Option<&Value>) -> Option<Value> {
    let as_map = |value: Option<&Value>| match value {
        None => Some(None),
        Some(Value::Object(map)) => Some(Some(map.clone())),
        Some(_) => None,
    };
    if let (Some(target_map), Some(promoted_map), Some(base_map)) =
        (as_map(target), as_map(promoted), as_map(base))
        && (target_map.is_some() || promoted_map.is_some())
    {
        let (target_map, promoted_map, base_map) =
            (target_map.unwrap_or_default(), promoted_map.unwrap_or_default(), base_map.unwrap_or_default());
        let mut merged = Map::new();
        let keys = target_map.keys().chain(promoted_map.keys().filter(|key| !target_map.contains_key(*key)));
        for key in keys {
            if let Some(value) = three_way(target_map.get(key), promoted_map.get(key), base_map.get(key)) {
                merged.insert(key.clone(), value);
            }
        }
        return (!merged.is_empty()
            || target.is_some_and(|target| target.as_object().is_some_and(Map::is_empty)))
        .then_some(Value::Object(merged));
    }
    if target == base { promoted.cloned() } else { target.cloned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_not_of_an_environment_is_promoted() {
        let tree = json!({
            "name": "staging",
            "cloud": { "provider": "aws", "region": "eu-central-1" },
            "cluster": { "version": "1.36", "nodePools": [{ "name": "a" }] },
            "catalogue": { "loki": { "version": "3.7.7" } },
            "platform": {
                "domain": "staging.example.com",
                "loki": { "enabled": true, "gbPerDay": 10, "retention": "7d" },
                "exporters": { "blackbox": { "enabled": false, "targets": {} } },
                "grafana": { "replicas": 2 },
            },
        });
        assert_eq!(
            promotable(&tree),
            json!({
                "cluster": { "version": "1.36" },
                "catalogue": { "loki": { "version": "3.7.7" } },
                "platform": { "loki": { "enabled": true }, "exporters": { "blackbox": { "enabled": false } } },
            })
        );
    }

    #[test]
    fn a_promoted_value_holds_until_the_file_is_edited() {
        let base = json!({ "cluster": { "version": "1.35" } });
        let promoted =
            json!({ "cluster": { "version": "1.36" }, "catalogue": { "loki": { "version": "3.7.7" } } });
        let own = |version: &str| json!({ "name": "prod", "cluster": { "version": version, "deletionProtection": true } });
        assert_eq!(
            overlay(own("1.35"), &promoted, &base),
            json!({
                "name": "prod",
                "cluster": { "version": "1.36", "deletionProtection": true },
                "catalogue": { "loki": { "version": "3.7.7" } },
            })
        );
        assert_eq!(overlay(own("1.37"), &promoted, &base)["cluster"]["version"], "1.37");
    }

    #[test]
    fn what_the_promoted_stack_does_not_say_is_taken_away() {
        let own = json!({ "cluster": { "version": "1.34" }, "catalogue": { "loki": { "version": "3.7.5" }, "tempo": { "version": "2.10.7" } } });
        let base = promotable(&own);
        let promoted = json!({ "catalogue": { "loki": { "version": "3.7.7" } } });
        assert_eq!(
            overlay(own, &promoted, &base),
            json!({ "cluster": {}, "catalogue": { "loki": { "version": "3.7.7" } } })
        );
    }

    #[test]
    fn parameters_are_promoted_where_both_stacks_list_them() {
        let stack = |image: &str, size: i64, listed: &[&str]| {
            json!({
                "parameters": { "image": image, "size": size },
                "settings": { "promoteParameters": listed },
            })
        };
        let promoted = promotable(&stack("v2", 1, &["image", "size"]));
        assert_eq!(promoted, json!({ "parameters": { "image": "v2", "size": 1 } }));
        let own = stack("v1", 9, &["image"]);
        let base = promotable(&own);
        assert_eq!(overlay(own.clone(), &promoted, &base), stack("v2", 9, &["image"]));
        assert_eq!(overlay(own.clone(), &promotable(&stack("v2", 1, &[])), &base), own);
        let edited = stack("v3", 9, &["image"]);
        assert_eq!(overlay(edited.clone(), &promoted, &base), edited);
    }

    #[test]
    fn promoting_twice_changes_nothing_more() {
        let own = json!({ "cluster": { "version": "1.35" }, "platform": { "thanos": { "enabled": false } } });
        let base = promotable(&own);
        let promoted =
            json!({ "cluster": { "version": "1.36" }, "platform": { "thanos": { "enabled": true } } });
        let once = overlay(own.clone(), &promoted, &base);
        assert_eq!(promotable(&once), promoted);
        assert_eq!(overlay(once.clone(), &promoted, &promotable(&once)), once);
    }

    #[test]
    fn no_platform_is_added_to_a_stack_without_one() {
        let own = json!({ "name": "bench", "resources": [] });
        let promoted = json!({ "platform": { "thanos": { "enabled": true } } });
        assert_eq!(overlay(own.clone(), &promoted, &json!({})), own);
    }
}
