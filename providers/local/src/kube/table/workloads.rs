//! Cells of pods and of what makes them.

use super::super::json::{Json, Look, deleting, json};
use super::super::selector::LabelSelector;
use super::cells::{age, duration};

fn number(object: &Json, path: &str) -> i64 {
    object.int(path).unwrap_or(0)
}

/// Containers and images of a template.
fn contents(spec: &Json) -> [Json; 2] {
    let join = |field: &str| {
        let parts: Vec<&str> = spec.list("containers").iter().map(|c| c.text(field)).collect();
        json!(parts.join(","))
    };
    [join("name"), join("image")]
}

fn selector(object: &Json) -> Json {
    let text = if object.has("spec.selector.matchLabels") || object.has("spec.selector.matchExpressions") {
        LabelSelector::of(object.at("spec.selector")).to_string()
    } else {
        LabelSelector::of_map(object.at("spec.selector")).to_string()
    };
    json!(if text.is_empty() { "<none>".to_owned() } else { text })
}

fn tail(object: &Json) -> Vec<Json> {
    let [names, images] = contents(object.at("spec.template.spec"));
    vec![names, images, selector(object)]
}

pub(super) fn pod(object: &Json) -> Vec<Json> {
    let statuses = object.list("status.containerStatuses");
    let ready = statuses.iter().filter(|s| s.yes("ready")).count();
    let restarts: i64 = statuses.iter().map(|s| number(s, "restartCount")).sum();
    let mut reason = match object.text("status.reason") {
        "" => object.text("status.phase").to_owned(),
        given => given.to_owned(),
    };
    if reason == "Succeeded" {
        reason = "Completed".into();
    }
    for status in statuses {
        for path in ["state.waiting.reason", "state.terminated.reason"] {
            if !status.text(path).is_empty() {
                status.text(path).clone_into(&mut reason);
            }
        }
    }
    if deleting(object) {
        reason = "Terminating".into();
    }
    let or_none = |path: &str| json!(if object.text(path).is_empty() { "<none>" } else { object.text(path) });
    vec![
        json!(format!("{ready}/{}", object.list("spec.containers").len())),
        json!(reason),
        json!(restarts.to_string()),
        or_none("status.podIP"),
        or_none("spec.nodeName"),
        json!("<none>"),
        json!("<none>"),
    ]
}

pub(super) fn deployment(object: &Json) -> Vec<Json> {
    let mut out = vec![
        json!(format!("{}/{}", number(object, "status.readyReplicas"), number(object, "spec.replicas"))),
        json!(number(object, "status.updatedReplicas")),
        json!(number(object, "status.availableReplicas")),
    ];
    out.extend(tail(object));
    out
}

pub(super) fn replica_set(object: &Json) -> Vec<Json> {
    let mut out: Vec<Json> = ["spec.replicas", "status.replicas", "status.readyReplicas"]
        .iter()
        .map(|p| json!(number(object, p)))
        .collect();
    out.extend(tail(object));
    out
}

pub(super) fn stateful_set(object: &Json) -> Vec<Json> {
    let [names, images] = contents(object.at("spec.template.spec"));
    let ready = format!("{}/{}", number(object, "status.readyReplicas"), number(object, "spec.replicas"));
    vec![json!(ready), names, images]
}

pub(super) fn daemon_set(object: &Json) -> Vec<Json> {
    let mut out: Vec<Json> = [
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    ]
    .iter()
    .map(|p| json!(number(object, &format!("status.{p}"))))
    .collect();
    let chosen = LabelSelector::of_map(object.at("spec.template.spec.nodeSelector")).to_string();
    out.push(json!(if chosen.is_empty() { "<none>".to_owned() } else { chosen }));
    out.extend(tail(object));
    out
}

pub(super) fn pod_template(object: &Json) -> Vec<Json> {
    let [names, images] = contents(object.at("template.spec"));
    let labels = LabelSelector::of_map(object.at("template.metadata.labels")).to_string();
    vec![names, images, json!(if labels.is_empty() { "<none>".to_owned() } else { labels })]
}

pub(super) fn job(object: &Json) -> Vec<Json> {
    let has =
        |kind: &str| super::super::json::condition(object, kind).is_some_and(|c| c.text("status") == "True");
    let status = match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if deleting(object) => "Terminating",
        () if has("Suspended") => "Suspended",
        () => "Running",
    };
    let done = number(object, "status.succeeded");
    let completions = match object.int("spec.completions") {
        Some(n) => format!("{done}/{n}"),
        None => format!("{done}/1"),
    };
    let seconds = |path: &str| object.text(path).parse::<jiff::Timestamp>().ok().map(|t| t.as_second());
    let took = match (seconds("status.startTime"), seconds("status.completionTime")) {
        (Some(start), Some(end)) => duration(end - start),
        (Some(start), None) => duration(jiff::Timestamp::now().as_second() - start),
        _ => String::new(),
    };
    let mut out = vec![json!(status), json!(completions), json!(took)];
    out.extend(tail(object));
    out
}

pub(super) fn cron_job(object: &Json) -> Vec<Json> {
    let last = object.text("status.lastScheduleTime");
    let zone = if object.has("spec.timeZone") { object.text("spec.timeZone") } else { "<none>" };
    let [names, images] = contents(object.at("spec.jobTemplate.spec.template.spec"));
    vec![
        json!(object.text("spec.schedule")),
        json!(zone),
        json!(if object.yes("spec.suspend") { "True" } else { "False" }),
        json!(object.list("status.active").len()),
        json!(if last.is_empty() { "<none>".to_owned() } else { age(last) }),
        names,
        images,
        json!("<none>"),
    ]
}

pub(super) fn autoscaler(object: &Json) -> Vec<Json> {
    let target = object.at("spec.scaleTargetRef");
    let metrics: Vec<String> = object
        .list("spec.metrics")
        .iter()
        .map(|m| match m.int("resource.target.averageUtilization") {
            Some(percent) => format!("{}: <unknown>/{percent}%", m.text("resource.name")),
            None => "<unknown>".into(),
        })
        .collect();
    vec![
        json!(format!("{}/{}", target.text("kind"), target.text("name"))),
        json!(if metrics.is_empty() { "<none>".into() } else { metrics.join(", ") }),
        json!(number(object, "spec.minReplicas").to_string()),
        json!(number(object, "spec.maxReplicas")),
        json!(number(object, "status.currentReplicas")),
    ]
}
