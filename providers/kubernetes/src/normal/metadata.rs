//! `metadata`: names, namespaces, the marks of ownership, and what only the server may write.

use plinth_provider::{Error, Map, Path, Result, Urn, Value};

use super::names;
use crate::kind::Gvk;
use crate::owner;
use crate::schema;

/// Where a namespaced object goes that names no namespace.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

const SERVER_OWNED: [&str; 7] = [
    "managedFields",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "selfLink",
];
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Takes away what a copy of a live object brings along.
pub(super) fn strip(metadata: &mut Map) {
    for key in SERVER_OWNED {
        metadata.remove(key);
    }
    metadata.remove("deletionGracePeriodSeconds");
    if metadata.get("ownerReferences").is_some_and(is_empty) {
        metadata.remove("ownerReferences");
    }
    if let Some(Value::Map(annotations)) = metadata.get_mut("annotations") {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

/// Refuses what cannot be applied, fills the namespace, and marks the object as this resource's.
pub(super) fn check(gvk: &Gvk, urn: &Urn, object: &mut Value) -> Result<()> {
    let Value::Map(object) = object else { return Ok(()) };
    let place = Path::root().key("metadata");
    let metadata = match object.get_mut("metadata") {
        Some(Value::Map(metadata)) => metadata,
        Some(Value::Unknown | Value::Output(_) | Value::Concat(_)) => return Ok(()),
        None | Some(Value::Null) => {
            return Err(Error::invalid("metadata.name is required").at(place.key("name")));
        }
        Some(_) => return Err(Error::invalid("metadata must be a map").at(place)),
    };
    if metadata.get("generateName").is_some_and(|value| !is_empty(value)) {
        return Err(Error::invalid("metadata.generateName is not honoured by server-side apply")
            .at(place.key("generateName"))
            .help("give metadata.name; Plinth must know the name before it makes the first request"));
    }
    metadata.remove("generateName");
    if metadata.contains_key("ownerReferences") {
        return Err(Error::invalid(
            "metadata.ownerReferences ties the object to another one's uid; when that uid is not there, the \
             object is garbage-collected at once",
        )
        .at(place.key("ownerReferences"))
        .help("leave it out and use dependsOn"));
    }
    check_name(gvk, metadata, &place)?;
    check_namespace(gvk, metadata, &place)?;
    names::check_labels(metadata.get("labels"), &place.key("labels"))?;
    mark(urn, metadata, &place)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

fn check_name(gvk: &Gvk, metadata: &Map, place: &Path) -> Result<()> {
    let here = place.key("name");
    match metadata.get("name") {
        None | Some(Value::Null) => Err(Error::invalid("metadata.name is required").at(here)),
        Some(Value::Unknown | Value::Output(_) | Value::Concat(_)) => Ok(()),
        Some(Value::Secret(_)) => {
            Err(Error::invalid("metadata.name cannot be secret: it is part of every path").at(here))
        }
        Some(Value::String(name)) => names::check_object_name(gvk, name, &here),
        Some(_) => Err(Error::invalid("metadata.name must be a text").at(here)),
    }
}

fn check_namespace(gvk: &Gvk, metadata: &mut Map, place: &Path) -> Result<()> {
    let here = place.key("namespace");
    let given = match metadata.get("namespace") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => {
            names::check_label_name(text, &here)?;
            Some(())
        }
        Some(Value::Unknown | Value::Output(_) | Value::Concat(_)) => Some(()),
        Some(_) => return Err(Error::invalid("metadata.namespace must be a text").at(here)),
    };
    match (schema::namespaced(gvk), given) {
        (Some(false), Some(())) => {
            Err(Error::invalid(format!("{} objects do not live in a namespace", gvk.kind))
                .at(here)
                .help("remove metadata.namespace"))
        }
        (Some(true), None) => {
            metadata.insert("namespace".to_owned(), DEFAULT_NAMESPACE.into());
            Ok(())
        }
        (_, None) => {
            metadata.remove("namespace");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The marks are part of the inputs: a plan shows them, and their loss is drift like any other.
fn mark(urn: &Urn, metadata: &mut Map, place: &Path) -> Result<()> {
    if !names::is_label_value(urn.stack()) {
        return Err(Error::invalid(format!(
            "the stack's name `{}` cannot stand in the label {}",
            urn.stack(),
            owner::STACK
        ))
        .at(place.key("labels"))
        .help("use at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"));
    }
    insert(metadata, "labels", owner::STACK, urn.stack(), place)?;
    insert(metadata, "annotations", owner::URN, urn.as_str(), place)
}

fn insert(metadata: &mut Map, field: &str, key: &str, value: &str, place: &Path) -> Result<()> {
    let here = place.key(field);
    let map = metadata.entry(field.to_owned()).or_insert_with(Value::map);
    if *map == Value::Null {
        *map = Value::map();
    }
    match map {
        // What is copied from another stack brings that one's marks along.
        Value::Map(map) => {
            map.insert(key.to_owned(), value.into());
            Ok(())
        }
        Value::Unknown | Value::Output(_) => Ok(()),
        _ => Err(Error::invalid(format!("{here} must be a map")).at(here)),
    }
}
