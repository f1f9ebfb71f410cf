//! What is recorded of an object beside its inputs: what other resources refer to, and nothing more.
//!
//! State grows with every output, so the whole object is never echoed. Outputs lie where the object has them
//! (`${web.metadata.uid}`, `${web.spec.clusterIP}`); short entries of a ConfigMap's or Secret's `data` are there too.

use plinth_provider::{Map, Path, Recorded, Value};
use serde_json::Value as Json;

use crate::diff;
use crate::kind::Gvk;
use crate::normal::{self, DEFAULT_NAMESPACE};
use crate::schema;
use crate::tree;

/// The longest text that is echoed.
const SHORT: usize = 1024;
/// Where paths are kept that admission rewrote at our own write, with what it made of them.
pub(crate) const REWRITTEN: &str = "rewritten";

/// The outputs of a live object.
pub(crate) fn of_live(gvk: &Gvk, object: &Json) -> Value {
    let text = |path: &str| tree::text(object, path).map(Value::from);
    let mut metadata = Map::new();
    for key in ["name", "namespace", "uid"] {
        if let Some(value) = text(&format!("metadata.{key}")) {
            metadata.insert(key.to_owned(), value);
        }
    }
    let mut outputs = Value::from([("metadata", Value::Map(metadata))]);
    for path in status_paths(gvk) {
        if let Some(value) = tree::at(object, path) {
            outputs.set(&Path::parse(path), Value::from_json(value.clone()));
        }
    }
    if schema::built_in(gvk).is_none() {
        for (key, value) in tree::at(object, "status").and_then(Json::as_object).into_iter().flatten() {
            let short = value.as_str().is_some_and(|text| text.len() <= SHORT) || value.is_boolean();
            if short && !is_time(value) {
                outputs.set(&Path::root().key("status").key(key.as_str()), Value::from_json(value.clone()));
            }
        }
    }
    if gvk.is("", "ConfigMap") || gvk.is("", "Secret") {
        echo_data(&mut outputs, &normal::project(gvk, object));
    }
    outputs
}

/// What is known of the outputs before anything is written.
pub(crate) fn predicted(gvk: &Gvk, desired: &Value, recorded: Option<&Recorded>) -> Value {
    if desired.as_map().is_none() {
        return Value::Unknown;
    }
    let mut outputs = match recorded {
        Some(recorded) if recorded.outputs.as_map().is_some() => recorded.outputs.clone(),
        _ => Value::from([("metadata", Value::from([("uid", Value::Unknown)]))]),
    };
    outputs.remove(&Path::root().key(REWRITTEN));
    if recorded.is_some_and(|recorded| diff::recreates(gvk, &recorded.inputs, desired)) {
        outputs.set(&Path::parse("metadata.uid"), Value::Unknown);
    }
    for key in ["name", "namespace"] {
        let path = Path::root().key("metadata").key(key);
        match desired.at(&path) {
            Some(value) => outputs.set(&path, value.clone()),
            // A custom resource's scope is not known offline.
            None if recorded.is_none() && key == "namespace" => match schema::namespaced(gvk) {
                Some(true) => outputs.set(&path, DEFAULT_NAMESPACE.into()),
                Some(false) => {}
                None => outputs.set(&path, Value::Unknown),
            },
            None => {}
        }
    }
    if recorded.is_none() || spec_differs(gvk, recorded, desired) {
        for path in status_paths(gvk) {
            let path = Path::parse(path);
            outputs.set(&path, desired.at(&path).cloned().unwrap_or(Value::Unknown));
        }
        if schema::built_in(gvk).is_none() {
            outputs.set(&Path::root().key("status"), Value::Unknown);
        }
    }
    if gvk.is("", "ConfigMap") || gvk.is("", "Secret") {
        outputs.remove(&Path::root().key("data"));
        echo_data(&mut outputs, desired);
    }
    outputs
}

fn spec_differs(gvk: &Gvk, recorded: Option<&Recorded>, desired: &Value) -> bool {
    let changes_status =
        gvk.is("", "Service") || gvk.is("", "PersistentVolumeClaim") || schema::built_in(gvk).is_none();
    changes_status && recorded.is_some_and(|recorded| recorded.inputs.get("spec") != desired.get("spec"))
}

/// What other resources refer to, by kind.
fn status_paths(gvk: &Gvk) -> &'static [&'static str] {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Service") => &["spec.clusterIP", "status.loadBalancer"],
        ("networking.k8s.io", "Ingress") => &["status.loadBalancer"],
        ("", "PersistentVolumeClaim") => &["spec.volumeName"],
        _ => &[],
    }
}

/// Times move by themselves; recorded, they would make every refresh a change.
fn is_time(value: &Json) -> bool {
    value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok())
}

fn echo_data(outputs: &mut Value, object: &Value) {
    match object.get("data") {
        Some(Value::Unknown | Value::Output(_) | Value::Concat(_)) => {
            outputs.set(&Path::root().key("data"), Value::Unknown);
        }
        Some(data) => {
            let short: Map = data
                .as_map()
                .into_iter()
                .flatten()
                .filter(|(_, value)| value.as_str().is_none_or(|text| text.len() <= SHORT))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            if !short.is_empty() {
                outputs.set(&Path::root().key("data"), Value::Map(short));
            }
        }
        None => {}
    }
}
