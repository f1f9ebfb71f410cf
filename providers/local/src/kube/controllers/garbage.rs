//! Garbage collection: what is left when its owner goes, and what an owner waits for.

use std::sync::Arc;

use super::super::json::{Json, Look, deleting, has_finalizer, list_mut, namespace};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::super::write::DeleteOptions;
use super::kit::MANAGER;
use super::{Again, Controller};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// The controller.
pub(super) struct Garbage;

impl Controller for Garbage {
    fn concerns(&self, server: &Server, key: &Key, object: &Json, deleted: bool) -> Vec<Key> {
        let mut keys = Vec::new();
        if deleted {
            // Its dependents, and the owners that waited for it.
            keys.extend(dependents(server, object).into_iter().map(|(key, _)| key));
            for owner in object.list("metadata.ownerReferences") {
                keys.extend(owner_key(server, owner, namespace(object)));
            }
            return keys;
        }
        if deleting(object) {
            keys.push(key.clone());
            // Nobody waits for a dependent that is on its way, unless it blocks.
            keys.extend(
                object
                    .list("metadata.ownerReferences")
                    .iter()
                    .filter_map(|o| owner_key(server, o, namespace(object))),
            );
        } else if !object.list("metadata.ownerReferences").is_empty() {
            keys.push(key.clone());
        }
        keys
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(object) = server.store.get(key) else { return Ok(None) };
        if !deleting(&object) {
            return collect(server, key, &object).map(|()| None);
        }
        let Some(resource) = server.registry.by_storage(&key.resource) else { return Ok(None) };
        if has_finalizer(&object, ORPHAN) {
            let uid = object.text("metadata.uid");
            for (dependent, _) in dependents(server, &object) {
                server.system_update(MANAGER, "", &dependent, |d| {
                    if let Some(list) = list_mut(d, "metadata.ownerReferences") {
                        list.retain(|o| o.text("uid") != uid);
                    }
                })?;
            }
            server.release(&resource, &object, ORPHAN)?;
        } else if has_finalizer(&object, FOREGROUND) {
            let left = dependents(server, &object);
            for (dependent, found) in &left {
                if !deleting(found) {
                    let options =
                        DeleteOptions { propagation: Some("Foreground".into()), ..DeleteOptions::default() };
                    server.system_delete(dependent, &options)?;
                }
            }
            if !dependents(server, &object).iter().any(|(_, d)| blocks(d, &object)) {
                server.release(&resource, &object, FOREGROUND)?;
            }
        }
        Ok(None)
    }
}

fn blocks(dependent: &Json, owner: &Json) -> bool {
    let uid = owner.text("metadata.uid");
    dependent
        .list("metadata.ownerReferences")
        .iter()
        .any(|o| o.text("uid") == uid && o.yes("blockOwnerDeletion"))
}

/// Everything that names an object as its owner, where an owner can be named from.
fn dependents(server: &Server, owner: &Json) -> Vec<(Key, Arc<Json>)> {
    let scope = namespace(owner);
    let mut found = server.store.owned_by(owner.text("metadata.uid"));
    found.retain(|(key, _)| scope.is_empty() || key.namespace == scope);
    found
}

fn owner_key(server: &Server, owner: &Json, ns: &str) -> Option<Key> {
    let resource = server.resource_of(owner)?;
    Some(Key::new(&resource.storage, if resource.namespaced { ns } else { "" }, owner.text("name")))
}

/// Deletes an object none of whose owners exist; owners that are gone are struck from the list of the others.
fn collect(server: &Server, key: &Key, object: &Json) -> Result<(), Status> {
    let owners = object.list("metadata.ownerReferences");
    let alive = |owner: &Json| {
        let Some(owner_key) = owner_key(server, owner, namespace(object)) else {
            // A kind that nobody serves may come back: nothing is deleted on its account.
            return true;
        };
        server.store.get(&owner_key).is_some_and(|o| o.text("metadata.uid") == owner.text("uid"))
    };
    let dead: Vec<&str> = owners.iter().filter(|o| !alive(o)).map(|o| o.text("uid")).collect();
    if dead.is_empty() {
        return Ok(());
    }
    if dead.len() == owners.len() {
        let options = DeleteOptions {
            propagation: Some("Background".into()),
            uid: Some(object.text("metadata.uid").into()),
            ..DeleteOptions::default()
        };
        return match server.system_delete(key, &options) {
            Err(status) if status.code == 409 => Ok(()),
            other => other,
        };
    }
    server.system_update(MANAGER, "", key, |o| {
        if let Some(list) = list_mut(o, "metadata.ownerReferences") {
            list.retain(|r| !dead.contains(&r.text("uid")));
        }
    })?;
    Ok(())
}
