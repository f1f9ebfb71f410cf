//! DaemonSets: one pod on every node that takes it.

use std::sync::Arc;

use super::super::json::{Json, Look, deleting, json, label, name, place, remove, set};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::super::write::random_suffix;
use super::kit::{
    MANAGER, delete, event, fingerprint, is_active, is_ready, owned, owner_key, pod_of, put, share,
};
use super::scheduler::accepts;
use super::{Again, Controller};

const REVISION: &str = "controller-revision-hash";

/// The controller.
pub(super) struct DaemonSets;

impl Controller for DaemonSets {
    fn concerns(&self, server: &Server, key: &Key, object: &Json, _: bool) -> Vec<Key> {
        match key.resource.as_str() {
            "daemonsets.apps" => vec![key.clone()],
            "pods" => owner_key(object, "DaemonSet", "daemonsets.apps"),
            "nodes" => server
                .store
                .list("daemonsets.apps", None)
                .0
                .iter()
                .map(|d| Key::new("daemonsets.apps", d.text("metadata.namespace"), name(d)))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(owner) = server.store.get(key) else { return Ok(None) };
        if deleting(&owner) {
            return Ok(None);
        }
        let hash = fingerprint(owner.at("spec.template"));
        let pods = owned(server, "pods", &owner);
        let (nodes, _) = server.store.list("nodes", None);
        let sample = sample(&owner, "");
        let eligible: Vec<&Arc<Json>> = nodes.iter().filter(|n| accepts(n, &sample, true)).collect();
        let on = |node: &str| pods.iter().find(|p| target(p) == node && !deleting(p));
        let total = i64::try_from(eligible.len()).unwrap_or(0);
        let allowed = share(owner.at("spec.updateStrategy.rollingUpdate.maxUnavailable"), total, true)
            .unwrap_or(1)
            .max(1);
        let mut down = eligible.iter().filter(|n| !on(name(n)).is_some_and(|p| is_ready(p))).count() as i64;
        let rolling = owner.text("spec.updateStrategy.type") != "OnDelete";
        for node in &eligible {
            match on(name(node)) {
                Some(pod) if !is_active(pod) => delete(server, pod)?,
                Some(pod) if rolling && label(pod, REVISION) != Some(hash.as_str()) => {
                    if !is_ready(pod) || down < allowed {
                        down += i64::from(is_ready(pod));
                        delete(server, pod)?;
                    }
                }
                Some(_) => {}
                None if pods.iter().any(|p| target(p) == name(node)) => {}
                None => {
                    let mut pod = self::sample(&owner, name(node));
                    put(&mut pod, "metadata.labels", REVISION, &hash);
                    let made = server.system_create(MANAGER, pod)?;
                    event(
                        server,
                        &owner,
                        "daemonset-controller",
                        "Normal",
                        "SuccessfulCreate",
                        &format!("Created pod: {}", name(&made)),
                    );
                }
            }
        }
        for pod in pods.iter().filter(|p| !deleting(p)) {
            if !eligible.iter().any(|n| name(n) == target(pod)) {
                delete(server, pod)?;
            }
        }
        status(server, key, &owner, &hash, total)?;
        Ok(None)
    }
}

/// The node that a daemon's pod is meant for.
fn target(pod: &Json) -> &str {
    if !pod.text("spec.nodeName").is_empty() {
        return pod.text("spec.nodeName");
    }
    pod.list("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms")
        .first()
        .and_then(|t| t.list("matchFields").first())
        .and_then(|f| f.list("values").first())
        .and_then(Json::as_str)
        .unwrap_or_default()
}

/// The pod for a node, or for judging nodes when there is no name.
fn sample(owner: &Json, node: &str) -> Json {
    let mut pod = pod_of(owner.at("spec.template"), owner, &format!("{}-{}", name(owner), random_suffix()));
    set(&mut pod, "metadata.generateName", format!("{}-", name(owner)));
    let mut tolerations = pod.list("spec.tolerations").to_vec();
    for (key, effect) in [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ] {
        tolerations.push(
            json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": effect}),
        );
    }
    set(&mut pod, "spec.tolerations", tolerations);
    if !node.is_empty() {
        let field = json!([{"key": "metadata.name", "operator": "In", "values": [node]}]);
        let required = place(
            &mut pod,
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
        );
        match required.as_array_mut() {
            Some(terms) => terms.iter_mut().for_each(|t| t["matchFields"] = field.clone()),
            None => *required = json!([{ "matchFields": field }]),
        }
    }
    pod
}

fn status(server: &Server, key: &Key, owner: &Json, hash: &str, total: i64) -> Result<(), Status> {
    let pods = owned(server, "pods", owner);
    let active: Vec<&Arc<Json>> = pods.iter().filter(|p| is_active(p)).collect();
    let ready = active.iter().filter(|p| is_ready(p)).count() as i64;
    let updated = active.iter().filter(|p| label(p, REVISION) == Some(hash)).count() as i64;
    let generation = owner.int("metadata.generation").unwrap_or(0);
    server.system_update(MANAGER, "status", key, |o| {
        set(o, "status.observedGeneration", generation);
        set(o, "status.desiredNumberScheduled", total);
        set(o, "status.currentNumberScheduled", active.len());
        set(o, "status.numberMisscheduled", 0);
        set(o, "status.numberReady", ready);
        for (field, value) in [
            ("updatedNumberScheduled", updated),
            ("numberAvailable", ready),
            ("numberUnavailable", (total - ready).max(0)),
        ] {
            if value == 0 {
                remove(o, &format!("status.{field}"));
            } else {
                set(o, &format!("status.{field}"), value);
            }
        }
    })?;
    Ok(())
}
