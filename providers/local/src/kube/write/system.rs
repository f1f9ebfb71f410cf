//! Writes from inside the server: bootstrap and controllers. They take the same path as those of clients.

use std::sync::Arc;

use super::super::json::{Json, Look, name, namespace};
use super::super::kinds::Resource;
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::{Change, DeleteOptions, WriteOptions, Written};

impl Server {
    /// The resource that a document says it is.
    pub fn resource_of(&self, object: &Json) -> Option<Arc<Resource>> {
        let (group, version) = match object.text("apiVersion").split_once('/') {
            Some((group, version)) => (group, version),
            None => ("", object.text("apiVersion")),
        };
        self.registry
            .all()
            .into_iter()
            .find(|r| r.group == group && r.version == version && r.kind == object.text("kind"))
    }

    /// Creates an object on behalf of a controller. That it exists already is reported as any other refusal.
    pub fn system_create(&self, manager: &str, object: Json) -> Result<Json, Status> {
        let resource = self.resource_of(&object).ok_or_else(Status::no_such_path)?;
        let options = WriteOptions::system(manager, "");
        let ns = namespace(&object).to_owned();
        self.create(&resource, &ns, object, &options, &mut Vec::new()).map(|w| w.object)
    }

    /// Changes an object on behalf of a controller; nothing happens when it is gone or the change changes nothing.
    pub fn system_update(
        &self,
        manager: &str,
        subresource: &str,
        key: &Key,
        change: impl Fn(&mut Json),
    ) -> Result<Option<Json>, Status> {
        let Some(resource) = self.registry.by_storage(&key.resource) else { return Ok(None) };
        let options = WriteOptions::system(manager, subresource);
        let mut make = |live: &Json| {
            let mut object = live.clone();
            change(&mut object);
            Ok(Change::whole(object))
        };
        match self.modify(&resource, &key.namespace, &key.name, &options, &mut Vec::new(), &mut make) {
            Ok(Written { object, .. }) => Ok(Some(object)),
            Err(status) if status.code == 404 => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// Deletes an object on behalf of a controller; that it is gone already is fine.
    pub fn system_delete(&self, key: &Key, options: &DeleteOptions) -> Result<(), Status> {
        let Some(resource) = self.registry.by_storage(&key.resource) else { return Ok(()) };
        match self.delete(&resource, &key.namespace, &key.name, options, &mut Vec::new()) {
            Err(status) if status.code != 404 => Err(status),
            _ => Ok(()),
        }
    }

    /// The key of an object.
    pub fn key_of(&self, object: &Json) -> Option<Key> {
        let resource = self.resource_of(object)?;
        Some(Key::new(&resource.storage, namespace(object), name(object)))
    }
}
