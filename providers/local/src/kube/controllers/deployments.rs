//! Deployments: a ReplicaSet per template, rolled within the limits of the strategy.

use std::sync::Arc;
use std::time::Duration;

use super::super::json::{
    Json, Look, annotation, condition, deleting, json, label, name, namespace, now, place, remove, set,
};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{
    MANAGER, delete, drop_condition, event, fingerprint, owned, owned_by, owner_key, put, set_condition,
    share,
};
use super::{Again, Controller};

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";
const SETS: &str = "replicasets.apps";

/// The controller.
pub(super) struct Deployments;

impl Controller for Deployments {
    fn concerns(&self, _: &Server, key: &Key, object: &Json, _: bool) -> Vec<Key> {
        match key.resource.as_str() {
            "deployments.apps" => vec![key.clone()],
            SETS => owner_key(object, "Deployment", "deployments.apps"),
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(deployment) = server.store.get(key) else { return Ok(None) };
        if deleting(&deployment) {
            return Ok(None);
        }
        let sets = owned(server, SETS, &deployment);
        let hash = fingerprint(deployment.at("spec.template"));
        let current = sets.iter().find(|s| label(s, HASH) == Some(hash.as_str())).cloned();
        let old: Vec<Arc<Json>> =
            sets.iter().filter(|s| label(s, HASH) != Some(hash.as_str())).cloned().collect();
        if deployment.yes("spec.paused") {
            return status(server, key, &deployment, current.as_deref(), &old);
        }
        let revision = |s: &Json| annotation(s, REVISION).and_then(|r| r.parse::<i64>().ok()).unwrap_or(0);
        let newest = old.iter().map(|s| revision(s)).max().unwrap_or(0);
        let current = match current {
            Some(set) if revision(&set) > newest => set,
            Some(set) => {
                // An older template is current again: it becomes the newest revision.
                let set_key = Key::new(SETS, &key.namespace, name(&set));
                let next = (newest + 1).to_string();
                server.system_update(MANAGER, "", &set_key, |s| {
                    put(s, "metadata.annotations", REVISION, &next)
                })?;
                server.store.get(&set_key).unwrap_or(set)
            }
            None => {
                let fresh = fresh_set(&deployment, &hash, newest + 1, first_size(&deployment, &old));
                let made = server.system_create(MANAGER, fresh)?;
                event(
                    server,
                    &deployment,
                    "deployment-controller",
                    "Normal",
                    "ScalingReplicaSet",
                    &format!(
                        "Scaled up replica set {} from 0 to {}",
                        name(&made),
                        made.int("spec.replicas").unwrap_or(0)
                    ),
                );
                Arc::new(made)
            }
        };
        let number = revision(&current).to_string();
        if annotation(&deployment, REVISION) != Some(number.as_str()) {
            // The real controller writes it together with the status.
            server.system_update(MANAGER, "status", key, |d| {
                put(d, "metadata.annotations", REVISION, &number);
            })?;
        }
        roll(server, &deployment, &current, &old)?;
        tidy(server, &deployment, &old)?;
        let Some(deployment) = server.store.get(key) else { return Ok(None) };
        let current = server.store.get(&Key::new(SETS, &key.namespace, name(&current)));
        status(server, key, &deployment, current.as_deref(), &old)
    }
}

fn wanted(deployment: &Json) -> i64 {
    deployment.int("spec.replicas").unwrap_or(1)
}

fn limits(deployment: &Json) -> (i64, i64) {
    if deployment.text("spec.strategy.type") == "Recreate" {
        return (0, wanted(deployment));
    }
    let total = wanted(deployment);
    let surge = share(deployment.at("spec.strategy.rollingUpdate.maxSurge"), total, true).unwrap_or(1);
    let missing =
        share(deployment.at("spec.strategy.rollingUpdate.maxUnavailable"), total, false).unwrap_or(0);
    (surge, if surge == 0 && missing == 0 { 1 } else { missing })
}

fn first_size(deployment: &Json, old: &[Arc<Json>]) -> i64 {
    let running: i64 = old.iter().map(|s| s.int("spec.replicas").unwrap_or(0)).sum();
    if running == 0 {
        return wanted(deployment);
    }
    if deployment.text("spec.strategy.type") == "Recreate" {
        return 0;
    }
    let (surge, _) = limits(deployment);
    (wanted(deployment) + surge - running).clamp(0, wanted(deployment))
}

fn fresh_set(deployment: &Json, hash: &str, revision: i64, replicas: i64) -> Json {
    let mut template = deployment.at("spec.template").clone();
    put(&mut template, "metadata.labels", HASH, hash);
    let mut selector = deployment.at("spec.selector").clone();
    put(&mut selector, "matchLabels", HASH, hash);
    let mut annotations = deployment.at("metadata.annotations").clone();
    if let Some(map) = annotations.as_object_mut() {
        map.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("{}-{hash}", name(deployment)), "namespace": namespace(deployment),
            "labels": template.at("metadata.labels"), "annotations": annotations,
            "ownerReferences": [owned_by(deployment)]},
        "spec": {"replicas": replicas, "selector": selector, "template": template,
            "minReadySeconds": deployment.int("spec.minReadySeconds").unwrap_or(0)},
    });
    put(&mut set, "metadata.annotations", REVISION, &revision.to_string());
    put(
        &mut set,
        "metadata.annotations",
        "deployment.kubernetes.io/desired-replicas",
        &wanted(deployment).to_string(),
    );
    set
}

/// Moves replicas from old sets to the current one, as far as the limits allow right now.
fn roll(server: &Server, deployment: &Json, current: &Json, old: &[Arc<Json>]) -> Result<(), Status> {
    let total = wanted(deployment);
    let (surge, missing) = limits(deployment);
    let size = |s: &Json| s.int("spec.replicas").unwrap_or(0);
    let recreate = deployment.text("spec.strategy.type") == "Recreate";
    let running: i64 = old.iter().map(|s| s.int("status.replicas").unwrap_or(0).max(size(s))).sum();
    let here = size(current);
    let grow = if recreate {
        if running == 0 { total } else { here.min(total) }
    } else if running == 0 {
        total
    } else {
        let room = (total + surge - running - here).max(0);
        if here > total { total } else { (here + room).min(total) }
    };
    scale(server, deployment, current, grow)?;
    if recreate {
        for set in old.iter().filter(|s| size(s) > 0) {
            scale(server, deployment, set, 0)?;
        }
        return Ok(());
    }
    let available = |s: &Json| s.int("status.availableReplicas").unwrap_or(0);
    let mut spare =
        old.iter().map(|s| available(s)).sum::<i64>() + available(current).min(grow) - (total - missing);
    for set in old.iter().filter(|s| size(s) > 0) {
        // What does not work can go at once; what works goes as far as enough others do.
        let broken = (size(set) - available(set)).max(0);
        let healthy = spare.clamp(0, size(set) - broken);
        spare -= healthy;
        scale(server, deployment, set, size(set) - broken - healthy)?;
    }
    Ok(())
}

fn scale(server: &Server, deployment: &Json, set_object: &Json, replicas: i64) -> Result<(), Status> {
    let before = set_object.int("spec.replicas").unwrap_or(0);
    if before == replicas {
        return Ok(());
    }
    let key = Key::new(SETS, namespace(set_object), name(set_object));
    server.system_update(MANAGER, "", &key, |s| set(s, "spec.replicas", replicas))?;
    let direction = if replicas > before { "up" } else { "down" };
    let message = format!("Scaled {direction} replica set {} from {before} to {replicas}", name(set_object));
    event(server, deployment, "deployment-controller", "Normal", "ScalingReplicaSet", &message);
    Ok(())
}

/// Drops the oldest empty sets beyond the history that is kept.
fn tidy(server: &Server, deployment: &Json, old: &[Arc<Json>]) -> Result<(), Status> {
    let keep = usize::try_from(deployment.int("spec.revisionHistoryLimit").unwrap_or(10)).unwrap_or(0);
    let mut empty: Vec<&Arc<Json>> = old
        .iter()
        .filter(|s| {
            s.int("spec.replicas") == Some(0) && s.int("status.replicas").unwrap_or(0) == 0 && !deleting(s)
        })
        .collect();
    empty.sort_by_key(|s| annotation(s, REVISION).and_then(|r| r.parse::<i64>().ok()).unwrap_or(0));
    let surplus = empty.len().saturating_sub(keep);
    for set in empty.into_iter().take(surplus) {
        delete(server, set)?;
    }
    Ok(())
}

fn status(
    server: &Server,
    key: &Key,
    deployment: &Json,
    current: Option<&Json>,
    old: &[Arc<Json>],
) -> Result<Again, Status> {
    let old: Vec<Arc<Json>> =
        old.iter().filter_map(|s| server.store.get(&Key::new(SETS, &key.namespace, name(s)))).collect();
    let sum = |field: &str| {
        let path = format!("status.{field}");
        old.iter().map(|s| &**s).chain(current).map(|s| s.int(&path).unwrap_or(0)).sum::<i64>()
    };
    let (replicas, ready, available) = (sum("replicas"), sum("readyReplicas"), sum("availableReplicas"));
    let updated = current.and_then(|s| s.int("status.replicas")).unwrap_or(0);
    let fresh = current.and_then(|s| s.int("status.availableReplicas")).unwrap_or(0);
    let total = wanted(deployment);
    let (_, missing) = limits(deployment);
    let complete = updated == total && replicas == total && fresh >= total;
    let failure =
        current.and_then(|s| condition(s, "ReplicaFailure")).filter(|c| c.text("status") == "True").cloned();
    let set_name = current.map(|s| name(s).to_owned()).unwrap_or_default();
    let paused = deployment.yes("spec.paused");
    let moved = deployment.int("status.updatedReplicas").unwrap_or(0) < updated
        || deployment.int("status.availableReplicas").unwrap_or(0) < available
        || deployment.int("status.readyReplicas").unwrap_or(0) < ready;
    let deadline = deployment.int("spec.progressDeadlineSeconds").unwrap_or(600);
    let progressing = condition(deployment, "Progressing");
    let since = progressing.map(|c| c.text("lastUpdateTime")).and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let observed = deployment.int("status.observedGeneration") == deployment.int("metadata.generation");
    let elapsed = since.map_or(0, |t| jiff::Timestamp::now().as_second() - t.as_second());
    // Once exceeded it stays so until something moves.
    let exceeded = progressing.is_some_and(|c| c.text("reason") == "ProgressDeadlineExceeded");
    let overdue = exceeded || (since.is_some() && elapsed >= deadline);
    let timed_out = !complete && observed && !moved && overdue;
    let progress = if paused {
        ("Unknown", "DeploymentPaused", "Deployment is paused".to_owned())
    } else if complete {
        ("True", "NewReplicaSetAvailable", format!("ReplicaSet \"{set_name}\" has successfully progressed."))
    } else if timed_out {
        ("False", "ProgressDeadlineExceeded", format!("ReplicaSet \"{set_name}\" has timed out progressing."))
    } else if updated == 0 || progressing.is_none() {
        ("True", "NewReplicaSetCreated", format!("Created new replica set \"{set_name}\""))
    } else {
        ("True", "ReplicaSetUpdated", format!("ReplicaSet \"{set_name}\" is progressing."))
    };
    let generation = deployment.int("metadata.generation").unwrap_or(0);
    server.system_update(MANAGER, "status", key, |d| {
        let time = now();
        set(d, "status.observedGeneration", generation);
        for (field, value) in [
            ("replicas", replicas),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", available),
            ("unavailableReplicas", (total - available).max(0)),
        ] {
            // A Deployment that was paused from the start counts nothing.
            if value == 0 || (paused && current.is_none() && replicas == 0) {
                remove(d, &format!("status.{field}"));
            } else {
                set(d, &format!("status.{field}"), value);
            }
        }
        let (state, reason, message) = if available >= total - missing {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        with_update(d, "Available", state, reason, message, &time, false);
        with_update(d, "Progressing", progress.0, progress.1, &progress.2, &time, moved);
        match &failure {
            Some(f) => {
                with_update(d, "ReplicaFailure", "True", f.text("reason"), f.text("message"), &time, false)
            }
            None => drop_condition(d, "ReplicaFailure"),
        }
    })?;
    let watch_deadline = !complete && !timed_out && !paused;
    let left = u64::try_from(deadline - elapsed).unwrap_or(0);
    Ok(watch_deadline.then(|| Duration::from_secs(left) + Duration::from_millis(200)))
}

/// Deployments' conditions carry one more time: when they were last touched.
fn with_update(
    object: &mut Json,
    kind: &str,
    state: &str,
    reason: &str,
    message: &str,
    time: &str,
    touched: bool,
) {
    let before = condition(object, kind).cloned();
    set_condition(object, kind, state, reason, message, time);
    let changed = before.as_ref().is_none_or(|b| b.text("status") != state || b.text("reason") != reason);
    let stamp = match before {
        Some(b) if !changed && !touched => b.text("lastUpdateTime").to_owned(),
        _ => time.to_owned(),
    };
    let list = place(object, "status.conditions");
    for c in list.as_array_mut().into_iter().flatten().filter(|c| c.text("type") == kind) {
        c["lastUpdateTime"] = json!(stamp);
    }
}
