//! Jobs: pods that run to completion.

use std::sync::Arc;
use std::time::Duration;

use super::super::json::{Json, Look, condition, deleting, json, name, now, remove, set};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::super::write::random_suffix;
use super::kit::{MANAGER, delete, event, is_active, is_ready, owned, owner_key, pod_of, put, set_condition};
use super::{Again, Controller};

/// The controller.
pub(super) struct Jobs;

impl Controller for Jobs {
    fn concerns(&self, _: &Server, key: &Key, object: &Json, _: bool) -> Vec<Key> {
        match key.resource.as_str() {
            "jobs.batch" => vec![key.clone()],
            "pods" => owner_key(object, "Job", "jobs.batch"),
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(job) = server.store.get(key) else { return Ok(None) };
        if deleting(&job) {
            return Ok(None);
        }
        if finished(&job) {
            return expire(server, &job);
        }
        let pods = owned(server, "pods", &job);
        let count = |phase: &str| pods.iter().filter(|p| p.text("status.phase") == phase).count() as i64;
        let (done, failed) = (count("Succeeded"), count("Failed"));
        let active: Vec<&Arc<Json>> = pods.iter().filter(|p| is_active(p)).collect();
        let parallel = job.int("spec.parallelism").unwrap_or(1);
        let target = job.int("spec.completions");
        let limit = job.int("spec.backoffLimit").unwrap_or(6);
        let suspended = job.yes("spec.suspend");
        let mut end = None;
        if suspended {
            for pod in &active {
                delete(server, pod)?;
            }
        } else if failed > limit {
            for pod in &active {
                delete(server, pod)?;
            }
            end = Some(("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        } else if let Some(why) = overdue(&job) {
            for pod in &active {
                delete(server, pod)?;
            }
            end = Some(why);
        } else if target.is_some_and(|t| done >= t) || (target.is_none() && done > 0 && active.is_empty()) {
            end = Some(("Complete", "CompletionsReached", "Reached expected number of succeeded pods"));
        } else {
            let left = target.map_or(parallel, |t| t - done);
            let wanted = if target.is_none() && done > 0 { 0 } else { parallel.min(left) };
            for _ in (active.len() as i64)..wanted {
                start(server, &job)?;
            }
        }
        self::status(server, key, &job, suspended, end)?;
        let deadline = job.int("spec.activeDeadlineSeconds").filter(|_| end.is_none() && !suspended);
        Ok(deadline.map(|d| Duration::from_secs(u64::try_from(d).unwrap_or(0)) + Duration::from_millis(100)))
    }
}

fn finished(job: &Json) -> bool {
    ["Complete", "Failed"].iter().any(|k| condition(job, k).is_some_and(|c| c.text("status") == "True"))
}

fn since(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().map_or(0, |t| jiff::Timestamp::now().as_second() - t.as_second())
}

fn overdue(job: &Json) -> Option<(&'static str, &'static str, &'static str)> {
    let deadline = job.int("spec.activeDeadlineSeconds")?;
    let started = job.text("status.startTime");
    (!started.is_empty() && since(started) >= deadline).then_some((
        "Failed",
        "DeadlineExceeded",
        "Job was active longer than specified deadline",
    ))
}

/// A finished job with a time to live goes when that is over.
fn expire(server: &Server, job: &Json) -> Result<Again, Status> {
    let Some(ttl) = job.int("spec.ttlSecondsAfterFinished") else { return Ok(None) };
    let ended =
        ["Complete", "Failed"].iter().find_map(|k| condition(job, k)).map(|c| c.text("lastTransitionTime"));
    let left = ttl - since(ended.unwrap_or_default());
    if left > 0 {
        return Ok(Some(Duration::from_secs(left.unsigned_abs())));
    }
    delete(server, job)?;
    Ok(None)
}

fn start(server: &Server, job: &Json) -> Result<(), Status> {
    let pod_name = format!("{}-{}", name(job), random_suffix());
    let mut pod = pod_of(job.at("spec.template"), job, &pod_name);
    set(&mut pod, "metadata.generateName", format!("{}-", name(job)));
    put(&mut pod, "metadata.labels", "job-name", name(job));
    server.system_create(MANAGER, pod)?;
    event(server, job, "job-controller", "Normal", "SuccessfulCreate", &format!("Created pod: {pod_name}"));
    Ok(())
}

fn status(
    server: &Server,
    key: &Key,
    job: &Json,
    suspended: bool,
    end: Option<(&str, &str, &str)>,
) -> Result<(), Status> {
    let pods = owned(server, "pods", job);
    let count = |test: &dyn Fn(&Json) -> bool| pods.iter().filter(|p| test(p)).count();
    let active = if end.is_some() { 0 } else { count(&|p| is_active(p)) };
    let values = [
        ("active", active),
        ("succeeded", count(&|p| p.text("status.phase") == "Succeeded")),
        ("failed", count(&|p| p.text("status.phase") == "Failed")),
    ];
    let ready = count(&|p| is_active(p) && is_ready(p));
    server.system_update(MANAGER, "status", key, |o| {
        let time = now();
        for (field, value) in values {
            if value == 0 {
                remove(o, &format!("status.{field}"));
            } else {
                set(o, &format!("status.{field}"), value);
            }
        }
        set(o, "status.ready", if end.is_some() { 0 } else { ready });
        set(o, "status.terminating", 0);
        set(o, "status.uncountedTerminatedPods", json!({}));
        if suspended {
            remove(o, "status.startTime");
            set_condition(o, "Suspended", "True", "JobSuspended", "Job suspended", &time);
            for c in super::super::json::list_mut(o, "status.conditions").into_iter().flatten() {
                super::super::json::default(c, "lastProbeTime", time.clone());
            }
            return;
        }
        if condition(o, "Suspended").is_some() {
            set_condition(o, "Suspended", "False", "JobResumed", "Job resumed", &time);
        }
        if !o.has("status.startTime") {
            set(o, "status.startTime", time.clone());
        }
        if let Some((kind, reason, message)) = end {
            let first = if kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
            for kind in [first, kind] {
                set_condition(o, kind, "True", reason, message, &time);
            }
            if kind == "Complete" {
                set(o, "status.completionTime", time.clone());
            }
            for c in super::super::json::list_mut(o, "status.conditions").into_iter().flatten() {
                c["lastProbeTime"] = json!(time);
            }
        }
    })?;
    if let Some((kind, reason, message)) = end {
        match kind {
            "Complete" => event(server, job, "job-controller", "Normal", "Completed", "Job completed"),
            _ => event(server, job, "job-controller", "Warning", reason, message),
        }
    }
    Ok(())
}
