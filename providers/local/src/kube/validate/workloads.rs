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
    let mut inner = match resource.kind.as_str() {
        "StatefulSet" => {
            pods::spec(&with_claims(spec, object.list("spec.volumeClaimTemplates")), &format!("{at}.spec"))
        }
        _ => pods::spec(spec, &format!("{at}.spec")),
    };
    let job = matches!(resource.kind.as_str(), "Job" | "CronJob");
    inner.retain(|c| !c.field.ends_with(".restartPolicy"));
    if !job {
        selects(resource, object, template, &mut causes);
    }
    super::names::labels(template.at("metadata.labels"), &format!("{at}.labels"), &mut causes);
    super::names::keys(template.at("metadata.annotations"), &format!("{at}.annotations"), &mut causes);
    causes.append(&mut inner);
    let policy = spec.at("restartPolicy");
    const POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
    if policy.as_str().is_some_and(|policy| !POLICIES.contains(&policy)) {
        causes.push(Cause::unsupported(format!("{at}.spec.restartPolicy"), policy, &POLICIES));
    }
    if job
        && !policy.is_null()
        && policy != ""
        && policy != "Always"
        && policy != "OnFailure"
        && policy != "Never"
    {
        causes.push(Cause::unsupported(format!("{at}.spec.restartPolicy"), policy, &["OnFailure", "Never"]));
    } else if job && !["OnFailure", "Never"].contains(&policy.as_str().unwrap_or_default()) {
        causes.push(Cause::required(
            format!("{at}.spec.restartPolicy"),
            "valid values: \"OnFailure\", \"Never\"",
        ));
    } else if !job && policy != "Always" {
        causes.push(Cause::unsupported(format!("{at}.spec.restartPolicy"), policy, &["Always"]));
    }
    match resource.kind.as_str() {
        "Deployment" => deployment(object, &mut causes),
        "StatefulSet" => stateful(object, &mut causes),
        "DaemonSet" => daemon(object, &mut causes),
        "CronJob"
            if !object.text("spec.schedule").is_empty()
                && object.text("spec.schedule").split_whitespace().count() != 5
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
    let mut flaws = Vec::new();
    if !plain && selector.is_object() {
        super::rules::check(
            &[("selector", super::rules::Rule::Selector)],
            object.at("spec"),
            "spec",
            &mut flaws,
        );
    }
    let flawed = !flaws.is_empty();
    causes.append(&mut flaws);
    if selector.is_null() {
        // Of a DaemonSet only what follows from it is told.
        if resource.kind != "DaemonSet" {
            causes.push(Cause::required("spec.selector", ""));
        }
    } else if parsed.is_empty() {
        let kind = if resource.kind == "ReplicaSet" {
            "deployment".to_owned()
        } else {
            resource.kind.to_lowercase()
        };
        let why = format!("empty selector is invalid for {kind}");
        causes.push(Cause::invalid("spec.selector", selector, &why));
        return;
    } else if flawed {
        match resource.kind.as_str() {
            "StatefulSet" => causes.push(Cause::invalid("spec.selector", selector, "")),
            "DaemonSet" => {}
            _ => causes.push(Cause::invalid("spec.selector", selector, "invalid label selector")),
        }
        return;
    }
    if !parsed.matches(template.at("metadata.labels")) || parsed.is_empty() {
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", template.at("metadata.labels"), why));
    }
}

/// The pods of a StatefulSet have its claims as volumes, under the names of their templates.
fn with_claims(spec: &Json, templates: &[Json]) -> Json {
    let mut whole = spec.clone();
    let Some(map) = whole.as_object_mut() else { return whole };
    let volumes = map.entry("volumes").or_insert_with(|| super::json!([]));
    if let Some(volumes) = volumes.as_array_mut() {
        for template in templates {
            let name = template.text("metadata.name");
            volumes.retain(|volume| volume.text("name") != name);
            volumes.push(super::json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
        }
    }
    whole
}

fn stateful(object: &Json, causes: &mut Vec<Cause>) {
    for (index, template) in object.list("spec.volumeClaimTemplates").iter().enumerate() {
        let at = format!("spec.volumeClaimTemplates[{index}]");
        for mut cause in super::claim(template).into_iter().chain(super::values::claimed(template)) {
            cause.field = format!("{at}.{}", cause.field);
            causes.push(cause);
        }
    }
    let name = object.text("metadata.name");
    for why in super::names::label_errors(name) {
        // What is wrong as the name of any object is told already, as something else.
        causes.retain(|cause| cause.field != "metadata.name" || cause.detail.contains("Required"));
        causes.push(Cause::invalid("metadata.name", &super::json!(name), &why));
    }
    super::rules::check(&[("spec.serviceName", super::rules::Rule::Label)], object, "", causes);
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

fn daemon(object: &Json, causes: &mut Vec<Cause>) {
    let rolling = object.at("spec.updateStrategy.rollingUpdate");
    let at = "spec.updateStrategy.rollingUpdate";
    let none = |field: &str| {
        matches!(rolling.at(field), Json::Null) || rolling.at(field) == 0 || rolling.at(field) == "0%"
    };
    if rolling.is_object() && none("maxUnavailable") && none("maxSurge") {
        causes.push(Cause::required(format!("{at}.maxUnavailable"), "cannot be 0 when maxSurge is 0"));
    }
    if rolling.is_object() && !none("maxUnavailable") && !none("maxSurge") {
        let why = "may not be set when maxUnavailable is non-zero";
        causes.push(Cause::invalid(format!("{at}.maxSurge"), rolling.at("maxSurge"), why));
    }
}

/// What is wrong with an autoscaler.
pub(super) fn autoscaler(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (min, max) =
        (object.int("spec.minReplicas").unwrap_or(1), object.int("spec.maxReplicas").unwrap_or(0));
    let shown = super::json!(max);
    if max == 0 {
        causes.push(Cause::required("spec.maxReplicas", "must be set and greater than 0"));
    } else if max < 1 {
        causes.push(Cause::invalid("spec.maxReplicas", &shown, "must be greater than or equal to 1"));
    }
    if max < min {
        causes.push(Cause::invalid(
            "spec.maxReplicas",
            &shown,
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
