//! CronJobs: a Job whenever the schedule says so.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::super::json::{Json, Look, condition, controller_of, deleting, json, name, namespace, set, stamp};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{MANAGER, delete, event, owned, owned_by, owner_key};
use super::schedule::Schedule;
use super::{Again, Controller};

/// The controller.
pub(super) struct CronJobs;

impl Controller for CronJobs {
    fn concerns(&self, _: &Server, key: &Key, object: &Json, _: bool) -> Vec<Key> {
        match key.resource.as_str() {
            "cronjobs.batch" => vec![key.clone()],
            "jobs.batch" => owner_key(object, "CronJob", "cronjobs.batch"),
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(cron) = server.store.get(key) else { return Ok(None) };
        if deleting(&cron) {
            return Ok(None);
        }
        let jobs = owned(server, "jobs.batch", &cron);
        history(server, &cron, &jobs)?;
        let active: Vec<Json> = jobs
            .iter()
            .filter(|j| !ended(j, "Complete") && !ended(j, "Failed"))
            .map(|j| {
                json!({"apiVersion": "batch/v1", "kind": "Job", "name": name(j), "namespace": namespace(j),
                "uid": j.text("metadata.uid"), "resourceVersion": j.text("metadata.resourceVersion")})
            })
            .collect();
        let (mut fired, mut again) = (None, None);
        if let (false, Some(schedule)) =
            (cron.yes("spec.suspend"), Schedule::parse(cron.text("spec.schedule")))
        {
            let zone = TimeZone::get(cron.text("spec.timeZone")).unwrap_or(TimeZone::UTC);
            let last = [cron.text("status.lastScheduleTime"), cron.text("metadata.creationTimestamp")]
                .iter()
                .find_map(|t| t.parse::<Timestamp>().ok())
                .unwrap_or_else(Timestamp::now);
            let now = Timestamp::now();
            let mut due = schedule.after(last, &zone);
            // Only the latest of several missed times counts.
            while let Some(time) = due.filter(|t| *t <= now) {
                fired = Some(time);
                due = schedule.after(time, &zone);
            }
            again = due.map(|t| {
                Duration::from_millis(
                    u64::try_from((t - now).total(jiff::Unit::Millisecond).unwrap_or(0.0) as i64)
                        .unwrap_or(0)
                        + 20,
                )
            });
            if let Some(time) = fired {
                let forbidden = cron.text("spec.concurrencyPolicy") == "Forbid" && !active.is_empty();
                if !forbidden {
                    launch(server, &cron, time)?;
                }
            }
        }
        server.system_update(MANAGER, "status", key, |o| {
            if active.is_empty() {
                super::super::json::remove(o, "status.active");
            } else {
                set(o, "status.active", active.clone());
            }
            if let Some(time) = fired {
                set(o, "status.lastScheduleTime", stamp(time));
            }
        })?;
        Ok(again)
    }
}

fn ended(job: &Json, kind: &str) -> bool {
    condition(job, kind).is_some_and(|c| c.text("status") == "True")
}

fn launch(server: &Server, cron: &Json, time: Timestamp) -> Result<(), Status> {
    let job_name = format!("{}-{}", name(cron), time.as_second() / 60);
    let mut job = cron.at("spec.jobTemplate").clone();
    job["apiVersion"] = json!("batch/v1");
    job["kind"] = json!("Job");
    set(&mut job, "metadata.name", job_name.as_str());
    set(&mut job, "metadata.namespace", namespace(cron));
    set(&mut job, "metadata.ownerReferences", json!([owned_by(cron)]));
    match server.system_create(MANAGER, job) {
        Ok(_) => {
            event(
                server,
                cron,
                "cronjob-controller",
                "Normal",
                "SuccessfulCreate",
                &format!("Created job {job_name}"),
            );
            Ok(())
        }
        Err(status) if status.reason == "AlreadyExists" => Ok(()),
        Err(status) => Err(status),
    }
}

/// Drops finished jobs beyond the history that is kept.
fn history(server: &Server, cron: &Json, jobs: &[std::sync::Arc<Json>]) -> Result<(), Status> {
    for (kind, field) in [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")] {
        let keep = usize::try_from(cron.int(&format!("spec.{field}")).unwrap_or(1)).unwrap_or(0);
        let mut ended: Vec<_> =
            jobs.iter().filter(|j| self::ended(j, kind) && controller_of(j).is_some()).collect();
        ended.sort_by_key(|j| name(j).to_owned());
        let surplus = ended.len().saturating_sub(keep);
        for job in ended.into_iter().take(surplus) {
            delete(server, job)?;
        }
    }
    Ok(())
}
