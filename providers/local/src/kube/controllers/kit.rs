//! What several controllers need: owners, conditions, events, pods from templates.

use std::sync::Arc;

use sha2::Digest as _;

use super::super::json::{
    Json, Look, controller_of, deleting, json, list_mut, name, namespace, now, place, remove, set,
};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::super::write::DeleteOptions;

/// The name under which most controllers write.
pub(crate) const MANAGER: &str = "kube-controller-manager";

/// Sets a condition; its transition time moves only when its status does.
pub(crate) fn set_condition(
    object: &mut Json,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    let conditions = place(object, "status.conditions");
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let fresh = json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now});
    let Some(list) = list_mut(object, "status.conditions") else { return };
    match list.iter_mut().find(|c| c.text("type") == kind) {
        Some(found) => {
            if found.text("status") != status {
                found["lastTransitionTime"] = json!(now);
            }
            for field in ["status", "reason", "message"] {
                found[field] = fresh[field].clone();
            }
        }
        None => list.push(fresh),
    }
}

/// Removes a condition.
pub(crate) fn drop_condition(object: &mut Json, kind: &str) {
    if let Some(list) = list_mut(object, "status.conditions") {
        list.retain(|c| c.text("type") != kind);
    }
}

/// An owner reference that makes the owner the managing controller.
pub(crate) fn owned_by(owner: &Json) -> Json {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner),
        "uid": owner.text("metadata.uid"), "controller": true, "blockOwnerDeletion": true,
    })
}

/// Whether an object is managed by another.
pub(crate) fn is_owned_by(object: &Json, owner: &Json) -> bool {
    controller_of(object).is_some_and(|c| c.text("uid") == owner.text("metadata.uid"))
}

/// The key of the managing controller, when it is of a kind.
pub(crate) fn owner_key(object: &Json, kind: &str, resource: &str) -> Vec<Key> {
    match controller_of(object).filter(|c| c.text("kind") == kind) {
        Some(owner) => vec![Key::new(resource, namespace(object), owner.text("name"))],
        None => Vec::new(),
    }
}

/// The objects of a resource that an object manages, in order of their names.
pub(crate) fn owned(server: &Server, resource: &str, owner: &Json) -> Vec<Arc<Json>> {
    let all = server.store.owned_by(owner.text("metadata.uid")).into_iter();
    let here = all.filter(|(key, o)| {
        key.resource == resource && key.namespace == namespace(owner) && is_owned_by(o, owner)
    });
    here.map(|(_, object)| object).collect()
}

/// A short name for the contents of a value; the same for the same contents.
pub(crate) fn fingerprint(value: &Json) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = sha2::Sha256::digest(canonical(value).as_bytes());
    digest.iter().take(10).map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect()
}

/// A text that does not depend on the order of keys.
fn canonical(value: &Json) -> String {
    match value {
        Json::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let parts: Vec<String> = keys.iter().map(|k| format!("{k:?}:{}", canonical(&map[*k]))).collect();
            format!("{{{}}}", parts.join(","))
        }
        Json::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// Whether a pod counts as running and ready.
pub(crate) fn is_ready(pod: &Json) -> bool {
    !deleting(pod) && super::super::json::condition(pod, "Ready").is_some_and(|c| c.text("status") == "True")
}

/// Whether a pod is neither finished nor on its way out.
pub(crate) fn is_active(pod: &Json) -> bool {
    !deleting(pod) && !matches!(pod.text("status.phase"), "Succeeded" | "Failed")
}

/// A pod from a template.
pub(crate) fn pod_of(template: &Json, owner: &Json, pod_name: &str) -> Json {
    let mut pod = template.clone();
    remove(&mut pod, "metadata.creationTimestamp");
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    set(&mut pod, "metadata.name", pod_name);
    set(&mut pod, "metadata.namespace", namespace(owner));
    set(&mut pod, "metadata.ownerReferences", json!([owned_by(owner)]));
    pod
}

/// Deletes an object as its controller does.
pub(crate) fn delete(server: &Server, object: &Json) -> Result<(), Status> {
    let Some(key) = server.key_of(object) else { return Ok(()) };
    let options = DeleteOptions { propagation: Some("Background".into()), ..DeleteOptions::default() };
    server.system_delete(&key, &options)
}

/// Records an event about an object; the same one again is counted rather than repeated.
pub(crate) fn event(server: &Server, about: &Json, component: &str, kind: &str, reason: &str, message: &str) {
    let digest = fingerprint(&json!([about.text("metadata.uid"), reason, message, component]));
    let ns = match namespace(about) {
        "" => "default",
        ns => ns,
    };
    let event_name = format!("{}.{digest}", name(about));
    let key = Key::new("events", ns, &event_name);
    let time = now();
    let result = if server.store.get(&key).is_some() {
        server
            .system_update(component, "", &key, |event| {
                let count = event.int("count").unwrap_or(1) + 1;
                event["count"] = json!(count);
                event["lastTimestamp"] = json!(time);
            })
            .map(|_| ())
    } else {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": event_name, "namespace": ns},
            "involvedObject": {"apiVersion": about["apiVersion"], "kind": about["kind"], "name": name(about),
                "namespace": namespace(about), "uid": about.text("metadata.uid"),
                "resourceVersion": about.text("metadata.resourceVersion")},
            "reason": reason, "message": message, "type": kind, "source": {"component": component},
            "reportingComponent": component, "reportingInstance": "", "firstTimestamp": time, "lastTimestamp": time,
            "count": 1, "eventTime": null,
        });
        server.system_create(component, event).map(|_| ())
    };
    if let Err(status) = result {
        // Events are a courtesy: a namespace on its way out takes no new ones.
        tracing::trace!(%status, "event not recorded");
    }
}

/// A number or a percentage of a total, rounded as told.
pub(crate) fn share(value: &Json, total: i64, up: bool) -> Option<i64> {
    match value {
        Json::Number(n) => n.as_i64(),
        Json::String(text) => {
            let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
            let exact = percent * total;
            Some(if up { (exact + 99) / 100 } else { exact / 100 })
        }
        _ => None,
    }
}

/// Adds annotations or labels whose keys may hold dots.
pub(crate) fn put(object: &mut Json, map: &str, key: &str, value: &str) {
    super::super::json::object(place(object, map)).insert(key.into(), json!(value));
}
