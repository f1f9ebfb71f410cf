//! Changing what is there: PUT, the patches, and what controllers do.

use super::super::fields::manager::{Entry, Writer, decode as entries_of, encode, update};
use super::super::json::{
    Json, Look, at_mut, copy, deleting, drop_nulls, json, name, place, remove, same, set,
};
use super::super::kinds::Resource;
use super::super::server::Server;
use super::super::status::{Cause, Status};
use super::super::store::{Expect, Key, Lost};
use super::super::{admission, convert, defaults, validate, webhooks};
use super::{WriteOptions, Written, decode, ignored, spec_differs, tidy, without_managed};

/// How often a write is tried again when another writer was faster and the client named no version.
const ATTEMPTS: usize = 25;

/// How a change was asked for, as far as it shows in what is said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// As an object.
    Object,
    /// As a patch: what comes out of one must decode as if it had been sent.
    Patch,
}

/// The object that a request wants.
pub(crate) struct Change {
    pub object: Json,
    /// Who owns what, when the request was an apply.
    pub entries: Option<Vec<Entry>>,
    pub origin: Origin,
}

impl Change {
    /// A change that says how the object is to be.
    pub fn whole(object: Json) -> Self {
        Self { object, entries: None, origin: Origin::Object }
    }
    /// A change with its ownership.
    pub fn owned(object: Json, entries: Vec<Entry>) -> Self {
        Self { object, entries: Some(entries), origin: Origin::Object }
    }
}

enum Outcome {
    Same,
    Write(Json),
    Remove(Json),
}

impl Server {
    /// Changes an object; `make` sees it in the version of the resource and returns what it should be.
    pub fn modify(
        &self,
        resource: &Resource,
        namespace: &str,
        object_name: &str,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
        make: &mut dyn FnMut(&Json) -> Result<Change, Status>,
    ) -> Result<Written, Status> {
        let key = Key::new(&resource.storage, namespace, object_name);
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.store.get(&key) else {
                return Err(Status::not_found(&resource.group, &resource.plural, object_name));
            };
            let mut live = (*stored).clone();
            convert::from_storage(resource, &mut live);
            let change = make(&live)?;
            if options.trusted && change.entries.is_none() && same(&live, &change.object) {
                // Controllers mostly find that everything is as it should be.
                return Ok(Written { object: live, created: false });
            }
            let fresh = warnings.len();
            let outcome = self.outcome(resource, &live, change, options, warnings)?;
            let version = stored.text("metadata.resourceVersion").to_owned();
            let object = match outcome {
                Outcome::Same => return Ok(Written { object: live, created: false }),
                Outcome::Write(object) if options.dry_run => {
                    return Ok(Written { object, created: false });
                }
                Outcome::Remove(object) if options.dry_run => return Ok(Written { object, created: false }),
                Outcome::Write(object) => {
                    self.store.put(&key, Expect::Version(&version), object).map(|o| (true, o))
                }
                Outcome::Remove(object) => self.store.remove(&key, Expect::Version(&version)).map(|last| {
                    // The answer is the object that was wanted, the last there ever was.
                    let mut object = object;
                    copy(&last, &mut object, "metadata.resourceVersion");
                    (false, std::sync::Arc::new(object))
                }),
            };
            match object {
                Ok((kept, object)) => {
                    self.noticed(&key, kept.then_some(&object));
                    let mut object = (*object).clone();
                    convert::from_storage(resource, &mut object);
                    return Ok(Written { object, created: false });
                }
                Err(Lost::Race) => warnings.truncate(fresh),
                Err(lost) => return Err(lost.into()),
            }
        }
        Err(Status::modified(&resource.group, &resource.plural, object_name))
    }

    fn outcome(
        &self,
        resource: &Resource,
        live: &Json,
        change: Change,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Outcome, Status> {
        let Change { object: mut new, entries, origin } = change;
        let patched = (origin == Origin::Patch).then(|| new.clone());
        decode(resource, &mut new, options, warnings).map_err(|status| match &patched {
            Some(patched) => {
                let why = status.message.split_once(": ").map_or(status.message.as_str(), |(_, why)| why);
                Status::bad_patch(patched, why)
            }
            None => status,
        })?;
        preconditions(resource, live, &new, entries.is_some())?;
        let claimed = new.at("metadata").get("managedFields").cloned();
        carry_over(resource, live, &mut new, options);
        defaults::apply(resource, &mut new);
        admission::update(self, resource, live, &mut new, options)?;
        tidy(resource, &mut new);
        if options.subresource.is_empty() {
            let operation = webhooks::Operation { verb: "UPDATE", old: Some(live), options };
            webhooks::admit(self, resource, &operation, &mut new, warnings)?;
            tidy(resource, &mut new);
        }
        let specification = spec_differs(live, &new);
        if resource.generation && specification {
            let next = live.int("metadata.generation").unwrap_or(0) + 1;
            set(&mut new, "metadata.generation", next);
        }
        let mut causes = validate::object(resource, &new);
        if !options.trusted {
            causes.extend(validate::update(resource, live, &new));
            if !causes.is_empty() {
                return Err(Status::invalid(&resource.group, &resource.kind, name(live), causes));
            }
            validate::forbid(self, resource, live, &new)?;
        }
        if specification && !options.trusted {
            validate::warnings(self, resource, &new, warnings);
        }
        let entries = match entries {
            Some(entries) => entries,
            None => {
                // A list that a client sends counts, so that entries can be moved; an explicitly empty one resets all.
                let mut entries = match &claimed {
                    Some(list) if reset(list) => Vec::new(),
                    Some(list @ Json::Array(_)) => entries_of(&json!({"metadata": {"managedFields": list}})),
                    _ => entries_of(live),
                };
                let writer = Writer {
                    manager: &options.manager,
                    api_version: &resource.api_version(),
                    subresource: &options.subresource,
                };
                let ignored = ignored(resource, &options.subresource);
                if !claimed.as_ref().is_some_and(reset) {
                    update(
                        &without_managed(live),
                        &without_managed(&new),
                        &resource.schema,
                        &mut entries,
                        &writer,
                        &ignored,
                    );
                }
                entries
            }
        };
        encode(&mut new, entries);
        drop_nulls(place(&mut new, "metadata"));
        if unchanged(live, &new) {
            return Ok(Outcome::Same);
        }
        if deleting(&new) && free(resource, &new) && (deleting(live) && !free(resource, live)) {
            return Ok(Outcome::Remove(new));
        }
        convert::to_storage(resource, &mut new);
        if !options.trusted && new.to_string().len() > 1_572_864 {
            return Err(Status::internal_bare("etcdserver: request is too large"));
        }
        Ok(Outcome::Write(new))
    }
}

fn reset(list: &Json) -> bool {
    match list.as_array() {
        Some(items) => items.is_empty() || items.iter().all(|i| i.as_object().is_some_and(|m| m.is_empty())),
        None => false,
    }
}

/// Nothing keeps a deleted object any more.
pub(super) fn free(resource: &Resource, object: &Json) -> bool {
    let grace = object.int("metadata.deletionGracePeriodSeconds").unwrap_or(0);
    let namespace_busy = resource.storage == "namespaces" && !object.list("spec.finalizers").is_empty();
    object.list("metadata.finalizers").is_empty() && grace == 0 && !namespace_busy
}

fn preconditions(resource: &Resource, live: &Json, new: &Json, applying: bool) -> Result<(), Status> {
    let (group, plural) = (&resource.group, &resource.plural);
    let uid = new.text("metadata.uid");
    if !uid.is_empty() && uid != live.text("metadata.uid") {
        if applying {
            // The real server looks twice, and so says it twice.
            let cause = Cause::invalid("metadata.uid", &json!(uid), "field is immutable");
            return Err(Status::invalid(group, &resource.kind, name(live), vec![cause.clone(), cause]));
        }
        return Err(Status::conflict(
            group,
            plural,
            name(live),
            &format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{}/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                resource.plural,
                super::super::json::namespace(live),
                name(live),
                live.text("metadata.uid")
            ),
        ));
    }
    let version = new.text("metadata.resourceVersion");
    if !version.is_empty() && version.parse::<u64>().is_err() {
        let why = format!("strconv.ParseUint: parsing {version:?}: invalid syntax");
        return Err(Status::internal_bare(why));
    }
    if !version.is_empty() && version != "0" && version != live.text("metadata.resourceVersion") {
        return Err(Status::modified(group, plural, name(live)));
    }
    Ok(())
}

/// What a writer cannot change, by the door it came through.
fn carry_over(resource: &Resource, live: &Json, new: &mut Json, options: &WriteOptions) {
    for field in [
        "uid",
        "name",
        "namespace",
        "creationTimestamp",
        "generation",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generateName",
    ] {
        copy(live, new, &format!("metadata.{field}"));
    }
    remove(new, "metadata.managedFields");
    if options.subresource == "status" && !options.trusted {
        let mut out = live.clone();
        remove(&mut out, "metadata.managedFields");
        copy(new, &mut out, "status");
        *new = out;
    } else if options.subresource == "status" {
        // Controllers write status together with what belongs to it in metadata.
    } else if resource.status && !options.trusted {
        copy(live, new, "status");
    }
}

/// Whether only the times of ownership differ.
fn unchanged(live: &Json, new: &Json) -> bool {
    let timeless = |object: &Json| {
        let mut out = object.clone();
        for entry in
            at_mut(&mut out, "metadata.managedFields").and_then(Json::as_array_mut).into_iter().flatten()
        {
            remove(entry, "time");
        }
        out
    };
    same(&timeless(live), &timeless(new))
}
