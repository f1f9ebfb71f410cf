//! Workloads, autoscalers and disruption budgets.

use super::super::json::{Json, Look};
use super::super::kinds::Resource;
use super::super::selector::LabelSelector;
use super::super::status::Cause;
use super::pods;

/// What is wrong with something that makes pods.
pub(super) fn workload(resource: &Resource, object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (template, at) = match resource.kind.as_str() {
        "ControllerRevision" => return causes,
        "CronJob" => (object.at("spec.jobTemplate.spec.template"), "spec.jobTemplate.spec.template"),
        _ => (object.at("spec.template"), "spec.template"),
    };
    let spec = template.at("spec");
    let mut inner = pods::spec(spec, &format!("{at}.spec"));
    let job = matches!(resource.kind.as_str(), "Job" | "CronJob");
    inner.retain(|c| !c.field.ends_with(".restartPolicy"));
    if resource.kind == "StatefulSet" {
        // Volumes may come from the claim templates; the real server leaves this to the pods.
        inner.retain(|c| !(c.reason == "FieldValueNotFound" && c.field.contains(".volumeMounts[")));
    }
    if !job {
        selects(resource, object, template, &mut causes);
    }
    super::names::labels(template.at("metadata.labels"), &format!("{at}.metadata.labels"), &mut causes);
    causes.append(&mut inner);
    let policy = spec.at("restartPolicy");
    if job && !["OnFailure", "Never"].contains(&policy.as_str().unwrap_or_default()) {
        causes.push(Cause::required(
            format!("{at}.spec.restartPolicy"),
            "valid values: \"OnFailure\", \"Never\"",
        ));
    } else if !job && policy != "Always" {
        causes.push(Cause::unsupported(format!("{at}.spec.restartPolicy"), policy, &["Always"]));
    }
    match resource.kind.as_str() {
        "Deployment" => deployment(object, &mut causes),
        "CronJob"
            if object.text("spec.schedule").split_whitespace().count() != 5
                && !object.text("spec.schedule").starts_with('@') =>
        {
            let why = format!(
                "expected exactly 5 fields, found {}: [{}]",
                object.text("spec.schedule").split_whitespace().count(),
                object.text("spec.schedule")
            );
            causes.push(Cause::invalid("spec.schedule", object.at("spec.schedule"), &why));
        }
        _ => {}
    }
    causes
}

/// A workload must select the pods that it makes.
fn selects(resource: &Resource, object: &Json, template: &Json, causes: &mut Vec<Cause>) {
    if object.int("spec.replicas").is_some_and(|n| n < 0) {
        let why = "must be greater than or equal to 0";
        causes.push(Cause::invalid("spec.replicas", object.at("spec.replicas"), why));
    }
    let selector = object.at("spec.selector");
    let plain = resource.kind == "ReplicationController";
    let parsed = if plain { LabelSelector::of_map(selector) } else { LabelSelector::of(selector) };
    if selector.is_null() {
        causes.push(Cause::required("spec.selector", ""));
    } else if parsed.is_empty() {
        let why = format!("empty selector is invalid for {}", resource.kind.to_lowercase());
        causes.push(Cause::invalid("spec.selector", selector, &why));
    }
    if !parsed.matches(template.at("metadata.labels")) || parsed.is_empty() {
        let labels = template.at("metadata.labels");
        let shown = if labels.is_null() { super::json!({}) } else { labels.clone() };
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", &shown, why));
    }
}

fn deployment(object: &Json, causes: &mut Vec<Cause>) {
    if object.text("spec.strategy.type") == "Recreate" && object.has("spec.strategy.rollingUpdate") {
        causes.push(Cause::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        ));
    }
    let (deadline, ready) = (object.int("spec.progressDeadlineSeconds"), object.int("spec.minReadySeconds"));
    if let Some(deadline) = deadline
        && deadline <= ready.unwrap_or(0)
    {
        causes.push(Cause::invalid(
            "spec.progressDeadlineSeconds",
            object.at("spec.progressDeadlineSeconds"),
            "must be greater than minReadySeconds",
        ));
    }
    let zero = |path: &str| match object.at(path) {
        Json::Number(n) => n.as_i64() == Some(0),
        Json::String(s) => s == "0%",
        _ => false,
    };
    if zero("spec.strategy.rollingUpdate.maxSurge") && zero("spec.strategy.rollingUpdate.maxUnavailable") {
        causes.push(Cause::invalid(
            "spec.strategy.rollingUpdate.maxUnavailable",
            object.at("spec.strategy.rollingUpdate.maxUnavailable"),
            "may not be 0 when `maxSurge` is 0",
        ));
    }
}

/// What is wrong with an autoscaler.
pub(super) fn autoscaler(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (min, max) =
        (object.int("spec.minReplicas").unwrap_or(1), object.int("spec.maxReplicas").unwrap_or(0));
    if max < 1 {
        causes.push(Cause::required("spec.maxReplicas", "must be set and greater than 0"));
    }
    if max < min {
        causes.push(Cause::invalid(
            "spec.maxReplicas",
            object.at("spec.maxReplicas"),
            "must be greater than or equal to `minReplicas`",
        ));
    }
    for field in ["kind", "name"] {
        if object.at("spec.scaleTargetRef").text(field).is_empty() {
            causes.push(Cause::required(format!("spec.scaleTargetRef.{field}"), ""));
        }
    }
    let target = object.at("spec.scaleTargetRef");
    if !target.text("apiVersion").contains('/') && target.text("kind") != "ReplicationController" {
        let given = Json::String(target.text("apiVersion").into());
        let why = "apiVersion must specify API group";
        causes.push(Cause::invalid("spec.scaleTargetRef.apiVersion", &given, why));
    }
    causes
}

/// What is wrong with a disruption budget.
pub(super) fn budget(object: &Json) -> Vec<Cause> {
    if object.has("spec.minAvailable") && object.has("spec.maxUnavailable") {
        let spec = object.at("spec");
        let shown = super::json!({"MinAvailable": spec["minAvailable"], "Selector": spec.get("selector"),
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy")});
        return vec![Cause::invalid("spec", &shown, "minAvailable and maxUnavailable cannot be both set")];
    }
    Vec::new()
}
