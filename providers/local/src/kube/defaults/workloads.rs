//! Defaults of the kinds that make pods.

use super::super::json::{Json, Look, default, json, list_mut, place, set};
use super::pod::template;

pub(super) fn deployment(object: &mut Json) {
    default(object, "spec.replicas", 1);
    default(object, "spec.strategy.type", "RollingUpdate");
    if object.text("spec.strategy.type") == "RollingUpdate" {
        default(object, "spec.strategy.rollingUpdate.maxUnavailable", "25%");
        default(object, "spec.strategy.rollingUpdate.maxSurge", "25%");
    }
    default(object, "spec.revisionHistoryLimit", 10);
    default(object, "spec.progressDeadlineSeconds", 600);
    template(place(object, "spec.template"));
    default(object, "status", json!({}));
}

pub(super) fn replica_set(object: &mut Json) {
    default(object, "spec.replicas", 1);
    template(place(object, "spec.template"));
    default(object, "status.replicas", 0);
}

pub(super) fn replication_controller(object: &mut Json) {
    default(object, "spec.replicas", 1);
    template(place(object, "spec.template"));
    let labels = object.at("spec.template.metadata.labels").clone();
    if labels.is_object() {
        default(object, "spec.selector", labels.clone());
        default(object, "metadata.labels", labels);
    }
    default(object, "status.replicas", 0);
}

pub(super) fn stateful_set(object: &mut Json) {
    default(object, "spec.replicas", 1);
    default(object, "spec.podManagementPolicy", "OrderedReady");
    default(object, "spec.updateStrategy.type", "RollingUpdate");
    if object.text("spec.updateStrategy.type") == "RollingUpdate" {
        default(object, "spec.updateStrategy.rollingUpdate.partition", 0);
    }
    default(object, "spec.revisionHistoryLimit", 10);
    default(object, "spec.persistentVolumeClaimRetentionPolicy.whenDeleted", "Retain");
    default(object, "spec.persistentVolumeClaimRetentionPolicy.whenScaled", "Retain");
    template(place(object, "spec.template"));
    for claim in list_mut(object, "spec.volumeClaimTemplates").into_iter().flatten() {
        set(claim, "apiVersion", "v1");
        set(claim, "kind", "PersistentVolumeClaim");
        super::claim(claim);
    }
    default(object, "status.replicas", 0);
    default(object, "status.availableReplicas", 0);
}

pub(super) fn daemon_set(object: &mut Json) {
    default(object, "spec.updateStrategy.type", "RollingUpdate");
    if object.text("spec.updateStrategy.type") == "RollingUpdate" {
        default(object, "spec.updateStrategy.rollingUpdate.maxUnavailable", 1);
        default(object, "spec.updateStrategy.rollingUpdate.maxSurge", 0);
    }
    default(object, "spec.revisionHistoryLimit", 10);
    template(place(object, "spec.template"));
    for count in ["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"] {
        default(object, &format!("status.{count}"), 0);
    }
}

pub(super) fn job(object: &mut Json) {
    job_spec(place(object, "spec"));
    default(object, "status", json!({}));
}

fn job_spec(spec: &mut Json) {
    if !spec.has("completions") && !spec.has("parallelism") {
        set(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    default(spec, "backoffLimit", 6);
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "manualSelector", false);
    let replaced = if spec.get("podFailurePolicy").is_some() { "Failed" } else { "TerminatingOrFailed" };
    default(spec, "podReplacementPolicy", replaced);
    template(place(spec, "template"));
}

pub(super) fn cron_job(object: &mut Json) {
    default(object, "spec.concurrencyPolicy", "Allow");
    default(object, "spec.suspend", false);
    default(object, "spec.successfulJobsHistoryLimit", 3);
    default(object, "spec.failedJobsHistoryLimit", 1);
    default(object, "spec.jobTemplate.metadata", json!({}));
    let spec = place(object, "spec.jobTemplate.spec");
    // Inside a CronJob the counts of the Job stay open; the controller's Jobs get them when they are made.
    template(place(spec, "template"));
    default(object, "status", json!({}));
}

pub(super) fn autoscaler(object: &mut Json) {
    default(object, "spec.minReplicas", 1);
    if !object.has("spec.metrics") {
        set(
            object,
            "spec.metrics",
            json!([{"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 80}}}]),
        );
    }
    for direction in ["scaleUp", "scaleDown"] {
        let path = format!("spec.behavior.{direction}");
        if !object.has(&path) {
            continue;
        }
        default(object, &format!("{path}.selectPolicy"), "Max");
        if direction == "scaleUp" {
            default(object, &format!("{path}.stabilizationWindowSeconds"), 0);
            default(
                object,
                &format!("{path}.policies"),
                json!([{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]),
            );
        } else {
            default(
                object,
                &format!("{path}.policies"),
                json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]),
            );
        }
    }
    default(object, "status", json!({"currentMetrics": null, "desiredReplicas": 0}));
}
