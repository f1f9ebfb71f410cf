//! Definitions of custom resources: their objects go with them.

use super::super::json::{Json, deleting, name, namespace, now};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::super::write::{CLEANUP, DeleteOptions};
use super::kit::set_condition;
use super::{Again, Controller};

const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
const MANAGER: &str = "kube-apiserver";

/// The controller.
pub(super) struct Definitions;

impl Controller for Definitions {
    fn concerns(&self, server: &Server, key: &Key, _: &Json, deleted: bool) -> Vec<Key> {
        if key.resource == DEFINITIONS {
            return vec![key.clone()];
        }
        if !deleted || !key.resource.contains('.') {
            return Vec::new();
        }
        let definition = Key::new(DEFINITIONS, "", &key.resource);
        if server.store.get(&definition).is_some() { vec![definition] } else { Vec::new() }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(definition) = server.store.get(key) else { return Ok(None) };
        if !deleting(&definition) {
            return Ok(None);
        }
        let storage = &key.name;
        let (objects, _) = server.store.list(storage, None);
        for object in objects.iter().filter(|o| !deleting(o)) {
            server.system_delete(
                &Key::new(storage, namespace(object), name(object)),
                &DeleteOptions::default(),
            )?;
        }
        let (left, _) = server.store.list(storage, None);
        if left.is_empty() {
            if let Some(resource) = server.registry.by_storage(DEFINITIONS) {
                server.release(&resource, &definition, CLEANUP)?;
            }
        } else {
            server.system_update(MANAGER, "status", key, |d| {
                set_condition(
                    d,
                    "Terminating",
                    "True",
                    "InstanceDeletionInProgress",
                    "CustomResource deletion is in progress",
                    &now(),
                );
            })?;
        }
        Ok(None)
    }
}
