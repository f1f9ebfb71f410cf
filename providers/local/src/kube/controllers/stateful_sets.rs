//! StatefulSets: pods with numbers and claims of their own.

use std::sync::Arc;

use super::super::json::{Json, Look, controller_of, deleting, json, label, name, namespace, remove, set};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{
    MANAGER, delete, event, fingerprint, is_active, is_ready, owned, owned_by, owner_key, pod_of, put,
};
use super::{Again, Controller};

const REVISION: &str = "controller-revision-hash";
const REVISIONS: &str = "controllerrevisions.apps";

/// The controller.
pub(super) struct StatefulSets;

impl Controller for StatefulSets {
    fn concerns(&self, _: &Server, key: &Key, object: &Json, _: bool) -> Vec<Key> {
        match key.resource.as_str() {
            "statefulsets.apps" => vec![key.clone()],
            "pods" => owner_key(object, "StatefulSet", "statefulsets.apps"),
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(owner) = server.store.get(key) else { return Ok(None) };
        if deleting(&owner) {
            return Ok(None);
        }
        adopt(server, &owner)?;
        let update = revision(server, &owner)?;
        let mut current = match owner.text("status.currentRevision") {
            "" => update.clone(),
            given => given.to_owned(),
        };
        let pods = owned(server, "pods", &owner);
        place(server, &owner, &pods, &current, &update)?;
        let pods = owned(server, "pods", &owner);
        let settled = status(server, key, &owner, &pods, &current, &update)?;
        if settled && current != update {
            current = update.clone();
            status(server, key, &owner, &pods, &current, &update)?;
        }
        Ok(None)
    }
}

/// Takes over pods that match and that nobody manages, as after a deletion that left them.
fn adopt(server: &Server, owner: &Json) -> Result<(), Status> {
    let selector = super::super::selector::LabelSelector::of(owner.at("spec.selector"));
    let (pods, _) = server.store.list("pods", Some(namespace(owner)));
    for pod in pods.iter().filter(|p| !deleting(p) && controller_of(p).is_none()) {
        if selector.matches(pod.at("metadata.labels")) && ordinal(owner, pod).is_some() {
            let key = Key::new("pods", namespace(pod), name(pod));
            let reference = owned_by(owner);
            server.system_update(MANAGER, "", &key, |p| {
                set(p, "metadata.ownerReferences", json!([reference]))
            })?;
        }
    }
    Ok(())
}

fn ordinal(owner: &Json, pod: &Json) -> Option<i64> {
    name(pod).strip_prefix(name(owner))?.strip_prefix('-')?.parse().ok()
}

/// The revision that the template is now, recorded.
fn revision(server: &Server, owner: &Json) -> Result<String, Status> {
    let template = owner.at("spec.template");
    let hash = fingerprint(template);
    let revision = format!("{}-{hash}", name(owner));
    let key = Key::new(REVISIONS, namespace(owner), &revision);
    if server.store.get(&key).is_none() {
        let number =
            owned(server, REVISIONS, owner).iter().filter_map(|r| r.int("revision")).max().unwrap_or(0) + 1;
        let mut labels = owner.at("spec.selector.matchLabels").clone();
        labels[REVISION] = json!(hash);
        server.system_create(
            MANAGER,
            json!({
                "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": number,
                "metadata": {"name": revision, "namespace": namespace(owner), "labels": labels,
                    "ownerReferences": [owned_by(owner)]},
                "data": {"spec": {"template": template}}
            }),
        )?;
    }
    Ok(revision)
}

fn template_of(server: &Server, owner: &Json, revision: &str) -> Json {
    let key = Key::new(REVISIONS, namespace(owner), revision);
    match server.store.get(&key) {
        Some(found) => found.at("data.spec.template").clone(),
        None => owner.at("spec.template").clone(),
    }
}

fn place(
    server: &Server,
    owner: &Json,
    pods: &[Arc<Json>],
    current: &str,
    update: &str,
) -> Result<(), Status> {
    let start = owner.int("spec.ordinals.start").unwrap_or(0);
    let wanted = owner.int("spec.replicas").unwrap_or(1);
    let parallel = owner.text("spec.podManagementPolicy") == "Parallel";
    let rolling = owner.text("spec.updateStrategy.type") != "OnDelete";
    let partition = owner.int("spec.updateStrategy.rollingUpdate.partition").unwrap_or(0);
    let find = |n: i64| pods.iter().find(|p| ordinal(owner, p) == Some(n));
    for number in start..start + wanted {
        match find(number) {
            Some(pod) if deleting(pod) => {
                if !parallel {
                    return Ok(());
                }
            }
            Some(pod) if !is_active(pod) => delete(server, pod)?,
            Some(pod) if is_ready(pod) || parallel => {}
            Some(pod) => {
                // A pod that never got ready with an older template is replaced, or an update could not mend it.
                let stale = label(pod, REVISION) != Some(update) && rolling && number - start >= partition;
                if stale && current != update {
                    delete(server, pod)?;
                }
                return Ok(());
            }
            None => {
                let newer = rolling && number - start >= partition;
                let chosen = if newer { update } else { current };
                make(server, owner, number, chosen)?;
                if !parallel {
                    return Ok(());
                }
            }
        }
    }
    let mut surplus: Vec<&Arc<Json>> = pods
        .iter()
        .filter(|p| ordinal(owner, p).is_some_and(|n| n < start || n >= start + wanted) && !deleting(p))
        .collect();
    surplus.sort_by_key(|p| std::cmp::Reverse(ordinal(owner, p)));
    for pod in surplus.into_iter().take(if parallel { usize::MAX } else { 1 }) {
        delete(server, pod)?;
        event(
            server,
            owner,
            "statefulset-controller",
            "Normal",
            "SuccessfulDelete",
            &format!("delete Pod {} in StatefulSet {} successful", name(pod), name(owner)),
        );
    }
    if !rolling || pods.iter().any(|p| deleting(p)) {
        return Ok(());
    }
    for number in (start + partition..start + wanted).rev() {
        let Some(pod) = find(number) else { continue };
        if label(pod, REVISION) != Some(update) {
            return delete(server, pod);
        }
        if !is_ready(pod) {
            return Ok(());
        }
    }
    Ok(())
}

fn make(server: &Server, owner: &Json, number: i64, revision: &str) -> Result<(), Status> {
    let pod_name = format!("{}-{number}", name(owner));
    let template = template_of(server, owner, revision);
    let mut pod = pod_of(&template, owner, &pod_name);
    put(&mut pod, "metadata.labels", REVISION, revision);
    put(&mut pod, "metadata.labels", "statefulset.kubernetes.io/pod-name", &pod_name);
    put(&mut pod, "metadata.labels", "apps.kubernetes.io/pod-index", &number.to_string());
    set(&mut pod, "spec.hostname", pod_name.as_str());
    if !owner.text("spec.serviceName").is_empty() {
        set(&mut pod, "spec.subdomain", owner.text("spec.serviceName"));
    }
    let mut volumes = pod.list("spec.volumes").to_vec();
    for claim in owner.list("spec.volumeClaimTemplates") {
        let claim_name = format!("{}-{pod_name}", name(claim));
        volumes.retain(|v| v.text("name") != name(claim));
        volumes.push(json!({"name": name(claim), "persistentVolumeClaim": {"claimName": claim_name}}));
        let key = Key::new("persistentvolumeclaims", namespace(owner), &claim_name);
        if server.store.get(&key).is_some() {
            continue;
        }
        let mut made = claim.clone();
        remove(&mut made, "status");
        remove(&mut made, "metadata.creationTimestamp");
        set(&mut made, "metadata.name", claim_name.as_str());
        set(&mut made, "metadata.namespace", namespace(owner));
        for (key, value) in owner.map("spec.selector.matchLabels").into_iter().flatten() {
            put(&mut made, "metadata.labels", key, value.as_str().unwrap_or_default());
        }
        if owner.text("spec.persistentVolumeClaimRetentionPolicy.whenDeleted") == "Delete" {
            set(&mut made, "metadata.ownerReferences", json!([owned_by(owner)]));
        }
        server.system_create(MANAGER, made)?;
        event(
            server,
            owner,
            "statefulset-controller",
            "Normal",
            "SuccessfulCreate",
            &format!("create Claim {claim_name} Pod {pod_name} in StatefulSet {} success", name(owner)),
        );
    }
    if !volumes.is_empty() {
        set(&mut pod, "spec.volumes", volumes);
    }
    match server.system_create(MANAGER, pod) {
        Ok(_) => event(
            server,
            owner,
            "statefulset-controller",
            "Normal",
            "SuccessfulCreate",
            &format!("create Pod {pod_name} in StatefulSet {} successful", name(owner)),
        ),
        Err(status) => {
            let text = format!(
                "create Pod {pod_name} in StatefulSet {} failed error: {}",
                name(owner),
                status.message
            );
            event(server, owner, "statefulset-controller", "Warning", "FailedCreate", &text);
            return Err(status);
        }
    }
    Ok(())
}

/// Writes the status and says whether an update is complete.
fn status(
    server: &Server,
    key: &Key,
    owner: &Json,
    pods: &[Arc<Json>],
    current: &str,
    update: &str,
) -> Result<bool, Status> {
    let active: Vec<&Arc<Json>> = pods.iter().filter(|p| is_active(p)).collect();
    let of = |revision: &str| active.iter().filter(|p| label(p, REVISION) == Some(revision)).count() as i64;
    let ready = active.iter().filter(|p| is_ready(p)).count() as i64;
    let wanted = owner.int("spec.replicas").unwrap_or(1);
    let partition = owner.int("spec.updateStrategy.rollingUpdate.partition").unwrap_or(0);
    let updated = of(update);
    let rolling = owner.text("spec.updateStrategy.type") != "OnDelete";
    let settled =
        rolling && partition == 0 && updated == wanted && ready == wanted && active.len() as i64 == wanted;
    let generation = owner.int("metadata.generation").unwrap_or(0);
    server.system_update(MANAGER, "status", key, |o| {
        set(o, "status.observedGeneration", generation);
        set(o, "status.replicas", active.len());
        set(o, "status.availableReplicas", ready);
        set(o, "status.collisionCount", 0);
        set(o, "status.currentRevision", current);
        set(o, "status.updateRevision", update);
        for (field, value) in
            [("readyReplicas", ready), ("currentReplicas", of(current)), ("updatedReplicas", updated)]
        {
            if value == 0 {
                remove(o, &format!("status.{field}"));
            } else {
                set(o, &format!("status.{field}"), value);
            }
        }
    })?;
    Ok(settled)
}
