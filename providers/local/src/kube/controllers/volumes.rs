//! Claims and volumes: binding, provisioning, growing, reclaiming, and protecting what is in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::json::{
    Json, Look, annotation, deleting, has_finalizer, json, label, name, namespace, remove, set,
};
use super::super::quantity::Quantity;
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{MANAGER, delete, event, is_active, put};
use super::{Again, Controller, faults};

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
const PROTECTION: &str = "kubernetes.io/pvc-protection";
const SELECTED: &str = "volume.kubernetes.io/selected-node";

/// The controller.
#[derive(Default)]
pub(super) struct Volumes {
    due: Mutex<HashMap<String, Instant>>,
}

impl Volumes {
    fn wait(&self, what: String, delay: Duration) -> Option<Duration> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let at = *due.entry(what.clone()).or_insert_with(|| Instant::now() + delay);
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            due.remove(&what);
            return None;
        }
        Some(left)
    }
}

impl Controller for Volumes {
    fn concerns(&self, server: &Server, key: &Key, object: &Json, deleted: bool) -> Vec<Key> {
        match key.resource.as_str() {
            CLAIMS if deleted => {
                let volume = object.text("spec.volumeName");
                if volume.is_empty() { Vec::new() } else { vec![Key::new(VOLUMES, "", volume)] }
            }
            CLAIMS | VOLUMES => vec![key.clone()],
            "storageclasses.storage.k8s.io" => {
                let (claims, _) = server.store.list(CLAIMS, None);
                let open = claims.iter().filter(|c| c.text("status.phase") != "Bound");
                open.map(|c| Key::new(CLAIMS, namespace(c), name(c))).collect()
            }
            "pods" => object
                .list("spec.volumes")
                .iter()
                .map(|v| v.text("persistentVolumeClaim.claimName"))
                .filter(|c| !c.is_empty())
                .map(|c| Key::new(CLAIMS, &key.namespace, c))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(object) = server.store.get(key) else { return Ok(None) };
        if key.resource == VOLUMES { volume(server, key, &object) } else { self.claim(server, key, &object) }
    }
}

impl Volumes {
    fn claim(&self, server: &Server, key: &Key, claim: &Json) -> Result<Again, Status> {
        if deleting(claim) {
            if has_finalizer(claim, PROTECTION)
                && !in_use(server, claim)
                && let Some(resource) = server.registry.by_storage(CLAIMS)
            {
                server.release(&resource, claim, PROTECTION)?;
            }
            return Ok(None);
        }
        if claim.text("status.phase") == "Bound" {
            return self.grow(server, key, claim);
        }
        if let Some(found) = existing(server, claim) {
            return bind(server, key, claim, name(&found)).map(|()| None);
        }
        let class_name = match claim.at("spec").get("storageClassName").and_then(Json::as_str) {
            Some(given) => given.to_owned(),
            None => match server.default_class() {
                Some(class) => {
                    server.system_update(MANAGER, "", key, |c| {
                        set(c, "spec.storageClassName", class.as_str())
                    })?;
                    return Ok(None);
                }
                None => {
                    event(
                        server,
                        claim,
                        "persistentvolume-controller",
                        "Normal",
                        "FailedBinding",
                        "no persistent volumes available for this claim and no storage class is set",
                    );
                    return Ok(None);
                }
            },
        };
        if class_name.is_empty() {
            return Ok(None);
        }
        let Some(class) = server.store.get(&Key::new("storageclasses.storage.k8s.io", "", &class_name))
        else {
            event(
                server,
                claim,
                "persistentvolume-controller",
                "Warning",
                "ProvisioningFailed",
                &format!("storageclass.storage.k8s.io \"{class_name}\" not found"),
            );
            return Ok(None);
        };
        let waits = class.text("volumeBindingMode") == "WaitForFirstConsumer";
        if waits && annotation(claim, SELECTED).is_none() {
            event(
                server,
                claim,
                "persistentvolume-controller",
                "Normal",
                "WaitForFirstConsumer",
                "waiting for first consumer to be created before binding",
            );
            return Ok(None);
        }
        if faults::of(claim) == Some(faults::Fault::Pending) {
            let text = "waiting for a volume to be created, either by external provisioner or manually created by system administrator";
            event(server, claim, "persistentvolume-controller", "Normal", "ExternalProvisioning", text);
            return Ok(None);
        }
        if class.text("provisioner") == "kubernetes.io/no-provisioner" {
            return Ok(None);
        }
        let delay = server.options.delay(server.options.volume_provisioning, &format!("volume {key:?}"));
        if let Some(left) = self.wait(format!("provision {}", claim.text("metadata.uid")), delay) {
            return Ok(Some(left));
        }
        let made = provision(server, claim, &class)?;
        bind(server, key, claim, &made)?;
        Ok(None)
    }

    /// A bound claim that asks for more gets it, if its class can grow.
    fn grow(&self, server: &Server, key: &Key, claim: &Json) -> Result<Again, Status> {
        let size = |text: &str| Quantity::parse(text).map(Quantity::milli);
        let (asked, have) =
            (claim.text("spec.resources.requests.storage"), claim.text("status.capacity.storage"));
        if size(asked) <= size(have) {
            return Ok(None);
        }
        let delay = server.options.scaled(server.options.volume_provisioning);
        if let Some(left) = self.wait(format!("grow {} {asked}", claim.text("metadata.uid")), delay) {
            return Ok(Some(left));
        }
        let volume = Key::new(VOLUMES, "", claim.text("spec.volumeName"));
        server.system_update("external-resizer", "", &volume, |v| set(v, "spec.capacity.storage", asked))?;
        server.system_update(MANAGER, "status", key, |c| set(c, "status.capacity.storage", asked))?;
        event(
            server,
            claim,
            "volume_expand",
            "Normal",
            "FileSystemResizeSuccessful",
            "MountVolume.NodeExpandVolume succeeded",
        );
        Ok(None)
    }
}

fn in_use(server: &Server, claim: &Json) -> bool {
    let (pods, _) = server.store.list("pods", Some(namespace(claim)));
    pods.iter().filter(|p| is_active(p) || deleting(p)).any(|p| {
        p.list("spec.volumes").iter().any(|v| v.text("persistentVolumeClaim.claimName") == name(claim))
    })
}

/// A volume that is there already and fits.
fn existing(server: &Server, claim: &Json) -> Option<Arc<Json>> {
    let wanted = claim.text("spec.volumeName");
    let size = |o: &Json, path: &str| Quantity::parse(o.text(path)).map(Quantity::milli);
    let (volumes, _) = server.store.list(VOLUMES, None);
    volumes.into_iter().find(|v| {
        if deleting(v) {
            return false;
        }
        if !wanted.is_empty() {
            return name(v) == wanted;
        }
        let free = !v.has("spec.claimRef")
            || (v.text("spec.claimRef.name") == name(claim)
                && v.text("spec.claimRef.namespace") == namespace(claim)
                && ["", claim.text("metadata.uid")].contains(&v.text("spec.claimRef.uid")));
        free && v.text("status.phase") != "Released"
            && v.text("spec.storageClassName") == claim.text("spec.storageClassName")
            && size(v, "spec.capacity.storage") >= size(claim, "spec.resources.requests.storage")
            && claim.list("spec.accessModes").iter().all(|m| v.list("spec.accessModes").contains(m))
    })
}

fn provision(server: &Server, claim: &Json, class: &Json) -> Result<String, Status> {
    let uid = claim.text("metadata.uid");
    let volume = format!("pvc-{uid}");
    let mut made = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": volume, "annotations": {"pv.kubernetes.io/provisioned-by": class.text("provisioner")}},
        "spec": {
            "capacity": {"storage": claim.text("spec.resources.requests.storage")},
            "accessModes": claim.at("spec.accessModes"), "volumeMode": claim.at("spec.volumeMode"),
            "persistentVolumeReclaimPolicy": class.at("reclaimPolicy"), "storageClassName": name(class),
            "mountOptions": class.at("mountOptions"),
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name(claim),
                "namespace": namespace(claim), "uid": uid},
            "csi": {"driver": class.text("provisioner"), "volumeHandle": volume, "volumeAttributes": class.at("parameters")},
        },
        "status": {"phase": "Available"},
    });
    let node = server.store.get(&Key::new("nodes", "", annotation(claim, SELECTED).unwrap_or_default()));
    const ZONE: &str = "topology.kubernetes.io/zone";
    if let Some(zone) = node.as_ref().and_then(|n| label(n, ZONE)) {
        set(
            &mut made,
            "spec.nodeAffinity.required.nodeSelectorTerms",
            json!([{"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}]),
        );
    }
    match server.system_create("csi-provisioner", made) {
        Err(status) if status.reason != "AlreadyExists" => return Err(status),
        _ => {}
    }
    event(
        server,
        claim,
        class.text("provisioner"),
        "Normal",
        "ProvisioningSucceeded",
        &format!("Successfully provisioned volume {volume}"),
    );
    Ok(volume)
}

fn bind(server: &Server, key: &Key, claim: &Json, volume: &str) -> Result<(), Status> {
    let volume_key = Key::new(VOLUMES, "", volume);
    let reference = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name(claim),
        "namespace": namespace(claim), "uid": claim.text("metadata.uid")});
    let Some(bound) = server.system_update(MANAGER, "", &volume_key, |v| {
        set(v, "spec.claimRef", reference.clone());
        set(v, "status.phase", "Bound");
    })?
    else {
        return Ok(());
    };
    server.system_update(MANAGER, "", key, |c| {
        set(c, "spec.volumeName", volume);
        put(c, "metadata.annotations", "pv.kubernetes.io/bind-completed", "yes");
        put(c, "metadata.annotations", "pv.kubernetes.io/bound-by-controller", "yes");
    })?;
    server.system_update(MANAGER, "status", key, |c| {
        set(c, "status.phase", "Bound");
        set(c, "status.accessModes", c.at("spec.accessModes").clone());
        set(c, "status.capacity", bound.at("spec.capacity").clone());
    })?;
    Ok(())
}

/// What happens to a volume when its claim is gone.
fn volume(server: &Server, key: &Key, volume: &Json) -> Result<Again, Status> {
    let reference = volume.at("spec.claimRef");
    if deleting(volume) {
        let home = Key::new(CLAIMS, reference.text("namespace"), reference.text("name"));
        let used = server.store.get(&home).is_some_and(|c| c.text("metadata.uid") == reference.text("uid"));
        if !used
            && has_finalizer(volume, VOLUME_PROTECTION)
            && let Some(resource) = server.registry.by_storage(VOLUMES)
        {
            server.release(&resource, volume, VOLUME_PROTECTION)?;
        }
        return Ok(None);
    }
    if reference.text("uid").is_empty() {
        if volume.text("status.phase") == "Pending" {
            server.system_update(MANAGER, "status", key, |v| set(v, "status.phase", "Available"))?;
        }
        return Ok(None);
    }
    let claim = server.store.get(&Key::new(CLAIMS, reference.text("namespace"), reference.text("name")));
    if claim.is_some_and(|c| c.text("metadata.uid") == reference.text("uid")) {
        return Ok(None);
    }
    if volume.text("spec.persistentVolumeReclaimPolicy") == "Delete" {
        delete(server, volume)?;
    } else if volume.text("status.phase") != "Released" {
        server.system_update(MANAGER, "status", key, |v| {
            set(v, "status.phase", "Released");
            remove(v, "status.reason");
        })?;
    }
    Ok(None)
}
