//! Creating.

use super::super::fields::manager::{Entry, Writer, encode, update};
use super::super::json::{Json, Look, default, drop_nulls, json, name, now, place, remove, set};
use super::super::kinds::Resource;
use super::super::server::Server;
use super::super::status::{Cause, Status};
use super::super::store::{Expect, Key, Lost};
use super::super::{admission, convert, defaults, validate, webhooks};
use super::{WriteOptions, Written, decode, ignored, without_managed};

const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Five letters that spell nothing, as the API appends them to `generateName`.
pub(crate) fn random_suffix() -> String {
    use rand::RngExt;
    let mut rng = rand::rng();
    (0..5).map(|_| char::from(SUFFIX[rng.random_range(0..SUFFIX.len())])).collect()
}

impl Server {
    /// Creates an object from a client's document.
    pub fn create(
        &self,
        resource: &Resource,
        namespace: &str,
        mut object: Json,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Written, Status> {
        identity(resource, namespace, "", &mut object)?;
        if !object.text("metadata.resourceVersion").is_empty() {
            return Err(Status::internal_bare("resourceVersion should not be set on objects to be created"));
        }
        decode(resource, &mut object, options, warnings)?;
        if name(&object).is_empty() {
            let prefix = object.text("metadata.generateName").to_owned();
            if !prefix.is_empty() {
                set(&mut object, "metadata.name", format!("{prefix}{}", random_suffix()));
            }
        }
        let entries = super::super::fields::manager::decode(&object);
        self.create_decoded(resource, namespace, object, Owned::By(entries), options, warnings)
    }

    /// Creates an object that fits its type already.
    pub(super) fn create_decoded(
        &self,
        resource: &Resource,
        namespace: &str,
        mut object: Json,
        owned: Owned,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Written, Status> {
        self.namespace_open(resource, namespace, name(&object))?;
        if resource.status && !options.trusted {
            remove(&mut object, "status");
        }
        let meta = place(&mut object, "metadata");
        for field in
            ["managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"]
        {
            remove(meta, field);
        }
        set(meta, "uid", uuid::Uuid::new_v4().to_string());
        set(meta, "creationTimestamp", now());
        if resource.generation {
            set(meta, "generation", 1);
        }
        defaults::apply(resource, &mut object);
        let empty = admission::zero(resource);
        let given = (resource.storage == "services").then(|| object.clone());
        admission::create(self, resource, &mut object, warnings)?;
        super::tidy(resource, &mut object);
        let operation = webhooks::Operation { verb: "CREATE", old: None, options };
        webhooks::admit(self, resource, &operation, &mut object, warnings)?;
        super::tidy(resource, &mut object);
        let mut causes = validate::object(resource, &object);
        if !options.trusted || causes.iter().any(|c| c.field == "metadata.name") {
            causes.extend(validate::create(&object));
            if !causes.is_empty() {
                return Err(Status::invalid(&resource.group, &resource.kind, name(&object), causes));
            }
        }
        validate::warnings(self, resource, &object, warnings);
        convert::to_storage(resource, &mut object);
        let key = Key::new(&resource.storage, namespace, name(&object));
        let entries = match owned {
            Owned::Entries(entries) => entries,
            Owned::By(mut entries) => {
                let writer = Writer {
                    manager: &options.manager,
                    api_version: &resource.api_version(),
                    subresource: &options.subresource,
                };
                let mut plain = without_managed(&object);
                if let Some(given) = &given {
                    forget_allocated(&mut plain, given);
                }
                let ignored = ignored(resource, &options.subresource);
                update(&empty, &plain, &resource.schema, &mut entries, &writer, &ignored);
                entries
            }
        };
        encode(&mut object, entries);
        drop_nulls(place(&mut object, "metadata"));
        let taken = || Status::already_exists(&resource.group, &resource.plural, &key.name);
        if options.dry_run {
            if given.is_some_and(|given| !given.has("spec.clusterIP")) {
                self.take_back(object.text("spec.clusterIP"));
            }
            if self.store.get(&key).is_some() {
                return Err(taken());
            }
            return Ok(Written { object, created: true });
        }
        if !options.trusted && object.to_string().len() > 1_572_864 {
            return Err(Status::internal_bare("etcdserver: request is too large"));
        }
        match self.store.put(&key, Expect::Absent, object) {
            Ok(stored) => {
                self.noticed(&key, Some(&stored));
                Ok(Written { object: (*stored).clone(), created: true })
            }
            Err(Lost::Race) => Err(taken()),
            Err(lost) => Err(lost.into()),
        }
    }

    /// A namespace must be there, and open, for something to be created in it.
    fn namespace_open(&self, resource: &Resource, namespace: &str, object_name: &str) -> Result<(), Status> {
        if !resource.namespaced {
            return Ok(());
        }
        let Some(found) = self.store.get(&Key::new("namespaces", "", namespace)) else {
            return Err(Status::not_found("", "namespaces", namespace));
        };
        if super::super::json::deleting(&found) {
            let mut status = Status::forbidden(
                &resource.group,
                &resource.plural,
                object_name,
                &format!(
                    "unable to create new content in namespace {namespace} because it is being terminated"
                ),
            );
            status.details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
            return Err(status);
        }
        Ok(())
    }
}

/// Who owns the fields of a new object.
pub(super) enum Owned {
    /// The writer, as an update, beside what the document claims.
    By(Vec<Entry>),
    /// Exactly these, from an apply.
    Entries(Vec<Entry>),
}

/// Checks what a document says it is against what the path says it is, and completes it.
pub(crate) fn identity(
    resource: &Resource,
    namespace: &str,
    url_name: &str,
    object: &mut Json,
) -> Result<(), Status> {
    if !object.is_object() {
        return Err(Status::bad_request("the request body is not an object"));
    }
    let (kind, api_version) = (object.text("kind").to_owned(), object.text("apiVersion").to_owned());
    if kind.is_empty() && resource.custom.is_some() {
        return Err(Status::bad_request("Object 'Kind' is missing"));
    }
    let own = resource.api_version();
    if !api_version.is_empty() && api_version != own && resource.custom.is_some() {
        return Err(Status::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({own})"
        )));
    }
    if !kind.is_empty() && kind != resource.kind && resource.custom.is_some() {
        let why = format!("must be {}", resource.kind);
        let cause = Cause::invalid("kind", &json!(kind), &why);
        return Err(Status::invalid(&resource.group, &kind, name(object), vec![cause]));
    }
    if (!kind.is_empty() && kind != resource.kind) || (!api_version.is_empty() && api_version != own) {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        return Err(Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: converting ({version}.{kind}) to ({}.{}): unknown conversion",
            resource.kind,
            if resource.group.is_empty() {
                "core"
            } else {
                resource.group.split('.').next().unwrap_or_default()
            },
            resource.kind
        )));
    }
    object["kind"] = json!(resource.kind);
    object["apiVersion"] = json!(resource.api_version());
    place(object, "metadata");
    if object["metadata"].is_null() {
        object["metadata"] = json!({});
    }
    if resource.namespaced {
        let given = object.text("metadata.namespace");
        if !given.is_empty() && given != namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        set(object, "metadata.namespace", namespace);
    } else {
        remove(object, "metadata.namespace");
    }
    if !url_name.is_empty() {
        let given = object.text("metadata.name");
        if !given.is_empty() && given != url_name {
            return Err(Status::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({url_name})"
            )));
        }
        default(object, "metadata.name", url_name);
        if name(object).is_empty() {
            set(object, "metadata.name", url_name);
        }
    }
    Ok(())
}

/// What the server allocates for a Service is nobody's.
fn forget_allocated(service: &mut Json, given: &Json) {
    for path in [
        "spec.clusterIP",
        "spec.clusterIPs",
        "spec.ipFamilies",
        "spec.ipFamilyPolicy",
        "spec.healthCheckNodePort",
    ] {
        if !given.has(path) {
            remove(service, path);
        }
    }
    let ports = service.pointer_mut("/spec/ports").and_then(Json::as_array_mut);
    for (index, port) in ports.into_iter().flatten().enumerate() {
        if !given.list("spec.ports").get(index).is_some_and(|given| given.has("nodePort")) {
            remove(port, "nodePort");
        }
    }
}
