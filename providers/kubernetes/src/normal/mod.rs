//! The normal form of an object's inputs: what `check` makes of what a program or a user wrote, and what a live object
//! is projected to before the two are compared.
//!
//! It is what is sent: the server stores it unchanged (beside its own defaults), and applying it twice is the same as
//! once.

mod metadata;
mod names;
mod secret;
mod sizes;

use plinth_provider::{Error, Map, Path, Result, Urn, Value};
use serde_json::Value as Json;

use crate::kind::Gvk;
use crate::schema;

pub(crate) use metadata::DEFAULT_NAMESPACE;

/// The inputs of `urn` in normal form.
pub(crate) fn check(urn: &Urn, inputs: Value) -> Result<Value> {
    let gvk = Gvk::known(urn.kind())?;
    if matches!(inputs, Value::Unknown | Value::Output(_)) {
        return Ok(inputs);
    }
    let mut object = unwrap_map(inputs)?;
    agree(&mut object, "apiVersion", &gvk.api_version())?;
    agree(&mut object, "kind", &gvk.kind)?;
    let mut object = strip(&gvk, Value::Map(object));
    metadata::check(&gvk, urn, &mut object)?;
    if gvk.is("", "Secret") {
        secret::normalize(&mut object)?;
    }
    if let Some(shape) = schema::shape_of(&gvk) {
        object = schema::conform(&shape, object, &Path::root())?;
    }
    sizes::check(&gvk, &object)?;
    Ok(object)
}

/// A live object projected to the same form: what a program could have written. Never fails; what does not conform
/// stays as it is.
pub(crate) fn project(gvk: &Gvk, live: &Json) -> Value {
    let mut object = Value::from_json(live.clone());
    if let Value::Map(map) = &mut object {
        map.remove("apiVersion");
        map.remove("kind");
    }
    let mut object = strip(gvk, object);
    if gvk.is("", "Secret") {
        secret::wrap(&mut object);
    }
    if let Some(shape) = schema::shape_of(gvk) {
        object = schema::conform(&shape, object.clone(), &Path::root()).unwrap_or(object);
    }
    object
}

fn unwrap_map(inputs: Value) -> Result<Map> {
    match inputs {
        Value::Map(map) => Ok(map),
        // Secret as a whole: the parts that need it are wrapped again.
        Value::Secret(inner) => unwrap_map(*inner),
        _ => Err(Error::invalid("the inputs of a Kubernetes object must be a map")
            .help("give metadata, spec and so on; apiVersion and kind come from the resource's kind")),
    }
}

/// `apiVersion` and `kind` may be given, when they say what the resource's kind says.
fn agree(object: &mut Map, key: &str, want: &str) -> Result<()> {
    match object.remove(key) {
        None | Some(Value::Null) => Ok(()),
        Some(given) if given.as_str() == Some(want) => Ok(()),
        Some(given) => {
            Err(Error::invalid(format!("{key} is {given}, but the resource's kind says \"{want}\""))
                .at(Path::root().key(key))
                .help(format!("leave {key} out; it comes from the resource's kind")))
        }
    }
}

/// Takes away what only the server writes, and nulls: server-side apply stores a null as an empty value instead of
/// removing the field.
fn strip(gvk: &Gvk, object: Value) -> Value {
    let Value::Map(mut map) = object else { return object };
    map.remove("status");
    if schema::built_in(gvk).is_none() {
        map = map.into_iter().filter_map(|(key, value)| Some((key, without_nulls(value)?))).collect();
    }
    if let Some(Value::Map(metadata)) = map.get_mut("metadata") {
        metadata::strip(metadata);
    }
    if let Some(Value::Map(spec)) = map.get_mut("spec")
        && let Some(Value::List(claims)) = spec.get_mut("volumeClaimTemplates")
    {
        for claim in claims {
            if let Value::Map(claim) = claim {
                claim.remove("status");
            }
        }
    }
    // Its rules are written by the controller that aggregates them.
    let aggregates = gvk.is("rbac.authorization.k8s.io", "ClusterRole")
        && map.get("aggregationRule").is_some_and(|rule| *rule != Value::Null);
    if aggregates {
        map.remove("rules");
    }
    Value::Map(map)
}

fn without_nulls(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Map(map) => Some(Value::Map(
            map.into_iter().filter_map(|(key, value)| Some((key, without_nulls(value)?))).collect(),
        )),
        Value::List(list) => Some(Value::List(list.into_iter().filter_map(without_nulls).collect())),
        Value::Secret(inner) => without_nulls(*inner).map(Value::secret),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests;
