//! The few kinds that are served in more than one form: events (two groups) and autoscalers (two versions).
//!
//! Everything else that has versions differs in `apiVersion` alone.

use super::json::{Json, Look, json, object, remove, set};
use super::kinds::Resource;

/// From what a client sent to what is stored.
pub(crate) fn to_storage(resource: &Resource, value: &mut Json) {
    match (resource.group.as_str(), resource.version.as_str(), resource.kind.as_str()) {
        ("events.k8s.io", _, _) => {
            rename(value, EVENT);
            value["apiVersion"] = json!("v1");
        }
        ("autoscaling", "v1", _) => {
            value["apiVersion"] = json!("autoscaling/v2");
            if let Some(percent) = remove(value, "spec.targetCPUUtilizationPercentage") {
                set(
                    value,
                    "spec.metrics",
                    json!([{"type": "Resource", "resource": {"name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": percent}}}]),
                );
            }
        }
        _ => {
            if let Some(custom) = &resource.custom {
                value["apiVersion"] = json!(format!("{}/{}", resource.group, custom.storage_version));
            }
        }
    }
}

/// From what is stored to what the client asked for.
pub(crate) fn from_storage(resource: &Resource, value: &mut Json) {
    match (resource.group.as_str(), resource.version.as_str(), resource.kind.as_str()) {
        ("events.k8s.io", _, _) => {
            for (new, old) in EVENT {
                if let Some(found) = object(value).shift_remove(*old) {
                    value[*new] = found;
                }
            }
        }
        ("autoscaling", "v1", _) => {
            let percent = value
                .list("spec.metrics")
                .iter()
                .find(|m| m.text("resource.name") == "cpu")
                .map(|m| m.at("resource.target.averageUtilization").clone());
            remove(value, "spec.metrics");
            remove(value, "spec.behavior");
            remove(value, "status.conditions");
            remove(value, "status.currentMetrics");
            if let Some(percent) = percent.filter(|p| !p.is_null()) {
                set(value, "spec.targetCPUUtilizationPercentage", percent);
            }
        }
        _ => {}
    }
    if matches!(resource.kind.as_str(), "Role" | "ClusterRole") && resource.custom.is_none() {
        // Written even when there are none.
        super::json::default(value, "rules", Json::Null);
    }
    if value.text("apiVersion") != resource.api_version() {
        value["apiVersion"] = json!(resource.api_version());
    }
    if value.text("kind").is_empty() {
        value["kind"] = json!(resource.kind);
    }
    if let Some(custom) = &resource.custom {
        super::custom::prune(value, &custom.schema);
        super::custom::fill(value, &custom.schema);
    }
}

const EVENT: &[(&str, &str)] = &[
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedSource", "source"),
    ("reportingController", "reportingComponent"),
];

fn rename(value: &mut Json, names: &[(&str, &str)]) {
    for (new, old) in names {
        if let Some(found) = object(value).shift_remove(*new) {
            value[*old] = found;
        }
    }
}
