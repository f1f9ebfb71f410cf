//! Small helpers to walk and change JSON documents by dotted paths.
//!
//! Paths here are for names without dots (`spec.template.spec`); label and annotation keys go through the
//! map helpers at the end. Nothing in this file knows what a Kubernetes object is, apart from those.

pub(crate) use serde_json::{Map, Value as Json, json};

static NULL: Json = Json::Null;

/// Reading helpers that treat whatever is absent as null, empty or zero.
pub(crate) trait Look {
    /// The value at a dotted path, or null.
    fn at(&self, path: &str) -> &Json;
    /// The string at a dotted path, or the empty string.
    fn text(&self, path: &str) -> &str;
    /// The integer at a dotted path.
    fn int(&self, path: &str) -> Option<i64>;
    /// The list at a dotted path, or the empty list.
    fn list(&self, path: &str) -> &[Json];
    /// Whether the value at the path is the boolean true.
    fn yes(&self, path: &str) -> bool;
    /// The map at the path, if it is one.
    fn map(&self, path: &str) -> Option<&Map<String, Json>>;
    /// Whether there is something other than null at the path.
    fn has(&self, path: &str) -> bool {
        !self.at(path).is_null()
    }
}

impl Look for Json {
    fn at(&self, path: &str) -> &Json {
        let mut here = self;
        for part in path.split('.') {
            here = match here.get(part) {
                Some(next) => next,
                None => return &NULL,
            };
        }
        here
    }
    fn text(&self, path: &str) -> &str {
        self.at(path).as_str().unwrap_or_default()
    }
    fn int(&self, path: &str) -> Option<i64> {
        self.at(path).as_i64()
    }
    fn list(&self, path: &str) -> &[Json] {
        self.at(path).as_array().map(Vec::as_slice).unwrap_or_default()
    }
    fn yes(&self, path: &str) -> bool {
        self.at(path).as_bool().unwrap_or_default()
    }
    fn map(&self, path: &str) -> Option<&Map<String, Json>> {
        self.at(path).as_object()
    }
}

/// The object inside a value, turning anything else into an empty object first.
pub(crate) fn object(value: &mut Json) -> &mut Map<String, Json> {
    if !value.is_object() {
        *value = Json::Object(Map::new());
    }
    match value {
        Json::Object(map) => map,
        _ => unreachable!("made an object just above"),
    }
}

/// The place at a dotted path, made (as null) with its parents where they are missing.
pub(crate) fn place<'a>(value: &'a mut Json, path: &str) -> &'a mut Json {
    let mut here = value;
    for part in path.split('.') {
        here = object(here).entry(part.to_owned()).or_insert(Json::Null);
    }
    here
}

/// Writes a value at a dotted path.
pub(crate) fn set(value: &mut Json, path: &str, new: impl Into<Json>) {
    *place(value, path) = new.into();
}

/// Writes a value at a dotted path unless something is there already.
pub(crate) fn default(value: &mut Json, path: &str, new: impl Into<Json>) {
    let here = place(value, path);
    if here.is_null() {
        *here = new.into();
    }
}

/// The value at a dotted path for changing, if it is there.
pub(crate) fn at_mut<'a>(value: &'a mut Json, path: &str) -> Option<&'a mut Json> {
    let mut here = value;
    for part in path.split('.') {
        here = here.get_mut(part)?;
    }
    Some(here)
}

/// The list at a dotted path for changing, if it is there and is one.
pub(crate) fn list_mut<'a>(value: &'a mut Json, path: &str) -> Option<&'a mut Vec<Json>> {
    at_mut(value, path)?.as_array_mut()
}

/// Removes what is at a dotted path and returns it.
pub(crate) fn remove(value: &mut Json, path: &str) -> Option<Json> {
    match path.rsplit_once('.') {
        Some((parent, leaf)) => at_mut(value, parent)?.as_object_mut()?.shift_remove(leaf),
        None => value.as_object_mut()?.shift_remove(path),
    }
}

/// Replaces what is at a path by what another document has there, absence included.
pub(crate) fn copy(from: &Json, to: &mut Json, path: &str) {
    match from.at(path) {
        Json::Null => {
            remove(to, path);
        }
        found => set(to, path, found.clone()),
    }
}

/// `metadata.name`.
pub(crate) fn name(object: &Json) -> &str {
    object.text("metadata.name")
}

/// `metadata.namespace`, empty for cluster-scoped objects.
pub(crate) fn namespace(object: &Json) -> &str {
    object.text("metadata.namespace")
}

/// A label's value.
pub(crate) fn label<'a>(object: &'a Json, key: &str) -> Option<&'a str> {
    object.at("metadata.labels").get(key)?.as_str()
}

/// An annotation's value.
pub(crate) fn annotation<'a>(object: &'a Json, key: &str) -> Option<&'a str> {
    object.at("metadata.annotations").get(key)?.as_str()
}

/// Whether the object waits for its finalizers, or its grace period, to be gone for good.
pub(crate) fn deleting(object: &Json) -> bool {
    object.has("metadata.deletionTimestamp")
}

/// Whether the object carries a finalizer.
pub(crate) fn has_finalizer(object: &Json, finalizer: &str) -> bool {
    object.list("metadata.finalizers").iter().any(|f| f == finalizer)
}

/// The owner reference that marks the managing controller.
pub(crate) fn controller_of(object: &Json) -> Option<&Json> {
    object.list("metadata.ownerReferences").iter().find(|o| o.yes("controller"))
}

/// The condition of a type in `status.conditions`.
pub(crate) fn condition<'a>(object: &'a Json, kind: &str) -> Option<&'a Json> {
    object.list("status.conditions").iter().find(|c| c.text("type") == kind)
}

/// Now, as Kubernetes writes times in metadata: whole seconds, UTC.
pub(crate) fn now() -> String {
    stamp(jiff::Timestamp::now())
}

/// A time as Kubernetes writes it.
pub(crate) fn stamp(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Equality that takes `1` and `1.0` as the same number and ignores the order of keys.
pub(crate) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(x), Json::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Json::Array(x), Json::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

/// Drops nulls from maps, and maps that become empty by that are kept: `{}` is data.
pub(crate) fn drop_nulls(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Json::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
