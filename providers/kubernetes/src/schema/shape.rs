//! The shape of an object in a form that is small and quick to walk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use schemars::SchemaGenerator;
use serde_json::Value as Json;

use super::known::built_in;
use super::lists::list_keys;
use crate::kind::Gvk;

/// What may stand in one place.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Anything: JSON inside JSON.
    Any,
    Text,
    /// Base64 text.
    Bytes,
    /// An RFC 3339 time.
    Time,
    Bool,
    Int32,
    Int64,
    Number,
    Quantity,
    IntOrString,
    /// A map of any keys.
    Map(Box<Shape>),
    List {
        item: Box<Shape>,
        /// What items are told apart by; empty when the list is replaced as a whole.
        keys: &'static [&'static str],
    },
    /// A struct, by the name of its definition.
    Object(Arc<str>),
}

/// A struct: its fields, and which of them must be there.
#[derive(Debug, Default)]
pub(crate) struct Object {
    pub fields: BTreeMap<String, Shape>,
    pub required: BTreeSet<String>,
}

/// Definitions of every struct met so far. Generating them costs milliseconds per kind, so each is made when first
/// needed and kept.
struct Registry {
    generator: SchemaGenerator,
    objects: HashMap<Arc<str>, Arc<Object>>,
    leaves: HashMap<String, Shape>,
    kinds: HashMap<Gvk, Shape>,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    Mutex::new(Registry {
        generator: SchemaGenerator::default(),
        objects: HashMap::new(),
        leaves: HashMap::new(),
        kinds: HashMap::new(),
    })
});

/// The shape of a built-in kind's objects.
pub(crate) fn shape_of(gvk: &Gvk) -> Option<Shape> {
    let known = built_in(gvk)?;
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shape) = registry.kinds.get(gvk) {
        return Some(shape.clone());
    }
    let root = (known.schema)(&mut registry.generator);
    registry.take_definitions();
    let shape = registry.shape("", "", root.as_value());
    registry.kinds.insert(gvk.clone(), shape.clone());
    Some(shape)
}

/// The struct of a name that a [`Shape::Object`] gave.
pub(crate) fn object(name: &str) -> Option<Arc<Object>> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).objects.get(name).cloned()
}

impl Registry {
    /// Converts the definitions that the generator has gained.
    fn take_definitions(&mut self) {
        let new: Vec<(String, Json)> = self
            .generator
            .definitions()
            .iter()
            .filter(|(name, _)| {
                !self.objects.contains_key(name.as_str()) && !self.leaves.contains_key(name.as_str())
            })
            .map(|(name, schema)| (name.clone(), schema.clone()))
            .collect();
        // Leaves first: fields refer to them.
        for (name, schema) in &new {
            if let Some(leaf) = leaf(name, schema) {
                self.leaves.insert(name.clone(), leaf);
            }
        }
        for (name, schema) in &new {
            if self.leaves.contains_key(name) {
                continue;
            }
            let empty = serde_json::Map::new();
            let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&empty);
            let fields = properties
                .iter()
                .map(|(field, schema)| (field.clone(), self.shape(name, field, schema)))
                .collect();
            let required = schema
                .get("required")
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
                .filter_map(|field| field.as_str().map(str::to_owned))
                .collect();
            self.objects.insert(name.as_str().into(), Arc::new(Object { fields, required }));
        }
    }

    fn shape(&self, definition: &str, field: &str, schema: &Json) -> Shape {
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let name = reference.rsplit('/').next().unwrap_or(reference);
            return self.leaves.get(name).cloned().unwrap_or_else(|| Shape::Object(name.into()));
        }
        let format = schema.get("format").and_then(Json::as_str);
        match (schema.get("type").and_then(Json::as_str), format) {
            (Some("string"), Some("byte")) => Shape::Bytes,
            (Some("string"), Some("date-time")) => Shape::Time,
            (Some("string"), _) => Shape::Text,
            (Some("boolean"), _) => Shape::Bool,
            (Some("integer"), Some("int64")) => Shape::Int64,
            (Some("integer"), _) => Shape::Int32,
            (Some("number"), _) => Shape::Number,
            (Some("array"), _) => Shape::List {
                item: Box::new(schema.get("items").map_or(Shape::Any, |item| self.shape("", "", item))),
                keys: list_keys(definition, field),
            },
            (Some("object"), _) => match schema.get("additionalProperties") {
                Some(value) if value.is_object() => Shape::Map(Box::new(self.shape("", "", value))),
                _ => Shape::Any,
            },
            _ => Shape::Any,
        }
    }
}

/// Definitions that are values rather than structs.
fn leaf(name: &str, schema: &Json) -> Option<Shape> {
    if name.ends_with(".Quantity") {
        return Some(Shape::Quantity);
    }
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return Some(Shape::IntOrString);
    }
    match (schema.get("type").and_then(Json::as_str), schema.get("format").and_then(Json::as_str)) {
        (Some("string"), Some("date-time")) => Some(Shape::Time),
        (Some("string"), Some("byte")) => Some(Shape::Bytes),
        (Some("string"), _) => Some(Shape::Text),
        (Some("object"), _) if schema.get("properties").is_some() => None,
        // A struct without fields (such as the options of an empty choice) still refuses unknown ones; only these
        // hold free JSON.
        (Some("object"), _) if !is_free_form(name) => None,
        _ => Some(Shape::Any),
    }
}

fn is_free_form(name: &str) -> bool {
    [".JSON", ".RawExtension", ".FieldsV1", "OrBool", "OrArray", "OrStringArray"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(of: &Shape, name: &str) -> Shape {
        let Shape::Object(definition) = of else { panic!("{of:?} has no field {name}") };
        object(definition)
            .unwrap()
            .fields
            .get(name)
            .unwrap_or_else(|| panic!("{definition} has {name}"))
            .clone()
    }

    #[test]
    fn shapes_of_a_deployment() {
        let shape = shape_of(&Gvk::new("apps", "v1", "Deployment")).unwrap();
        let pod = field(&field(&field(&shape, "spec"), "template"), "spec");
        let Shape::List { item, keys } = field(&pod, "containers") else { panic!("containers are a list") };
        assert_eq!(keys, ["name"]);
        let Shape::Map(limit) = field(&field(&item, "resources"), "limits") else {
            panic!("limits are a map")
        };
        assert!(matches!(*limit, Shape::Quantity));
        assert!(matches!(field(&field(&shape, "spec"), "replicas"), Shape::Int32));
    }

    #[test]
    fn bytes_and_free_json_are_told_apart() {
        let secret = shape_of(&Gvk::new("", "v1", "Secret")).unwrap();
        let Shape::Map(value) = field(&secret, "data") else { panic!("data is a map") };
        assert!(matches!(*value, Shape::Bytes));
        let crd = shape_of(&Gvk::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition")).unwrap();
        let Shape::List { item, .. } = field(&field(&crd, "spec"), "versions") else {
            panic!("versions are a list")
        };
        let properties = field(&field(&item, "schema"), "openAPIV3Schema");
        assert!(matches!(field(&properties, "default"), Shape::Any));
        assert!(matches!(field(&properties, "properties"), Shape::Map(_)));
    }
}
