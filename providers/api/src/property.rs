//! Typed inputs: how a Rust struct carries outputs and secrets.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use crate::{OutputRef, Path, Urn, Value};

/// A field of a typed resource: known now, secret, or another resource's output.
///
/// Serialize only through [`typed`]: the serialized form is private to it and shows secrets.
#[derive(Clone, PartialEq)]
pub enum Property<T> {
    /// Known now.
    Known(T),
    /// Known now, and not to be seen.
    Secret(T),
    /// Known once the other resource exists.
    Output(OutputRef),
}

impl<T> From<T> for Property<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl From<&str> for Property<String> {
    fn from(value: &str) -> Self {
        Self::Known(value.to_owned())
    }
}

impl<T: fmt::Debug> fmt::Debug for Property<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::Secret(_) => f.write_str("(secret)"),
            Self::Output(reference) => reference.fmt(f),
        }
    }
}

impl<T: Serialize> Serialize for Property<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Secret(value) => {
                let json = serde_json::to_string(value).map_err(serde::ser::Error::custom)?;
                serializer.serialize_str(&format!("{OPEN}s{json}{CLOSE}"))
            }
            Self::Output(reference) => serializer.serialize_str(&reference.mark()),
        }
    }
}

// Private-use characters (plane 15) that no configuration text holds: they carry a reference or a secret through
// any `String` field of any struct, also in the middle of a configuration file's text.
const OPEN: char = '\u{F0001}';
const CLOSE: char = '\u{F0002}';

impl OutputRef {
    /// The reference as a text that may stand in any `String` of a typed input, alone or inside a longer text;
    /// [`typed`] turns it back into a reference.
    pub fn mark(&self) -> String {
        format!("{OPEN}o{}#{}{CLOSE}", self.urn, self.path)
    }
}

impl Value {
    /// A secret text as a marker that may stand in any `String` of a typed input; see [`OutputRef::mark`].
    pub fn mark_secret(text: &str) -> String {
        format!("{OPEN}s{}{CLOSE}", Json::from(text))
    }
}

/// Turns a typed input into a [`Value`]: nulls that stand for absent options are dropped, markers become
/// references and secrets again.
///
/// # Errors
/// When the type does not serialize to JSON.
pub fn typed<T: Serialize + ?Sized>(input: &T) -> Result<Value, serde_json::Error> {
    Ok(unmark(serde_json::to_value(input)?))
}

fn unmark(json: Json) -> Value {
    match json {
        Json::String(text) if text.contains(OPEN) => unmark_text(&text),
        Json::Array(list) => Value::List(list.into_iter().map(unmark).collect()),
        Json::Object(map) => Value::Map(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, unmark(value)))
                .collect(),
        ),
        plain => Value::from_json(plain),
    }
}

fn unmark_text(text: &str) -> Value {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        if !before.is_empty() {
            parts.push(Value::from(before));
        }
        let (inside, tail) = after.split_once(CLOSE).unwrap_or((after, ""));
        parts.push(unmark_one(inside));
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(Value::from(rest));
    }
    if parts.len() == 1 { parts.remove(0) } else { Value::Concat(parts) }
}

fn unmark_one(inside: &str) -> Value {
    if let Some(json) = inside.strip_prefix('s') {
        return Value::secret(serde_json::from_str::<Json>(json).map(Value::from_json).unwrap_or_default());
    }
    let reference = inside.strip_prefix('o').and_then(|text| text.rsplit_once('#'));
    match reference.and_then(|(urn, path)| Some((Urn::parse(urn).ok()?, Path::parse(path)))) {
        Some((urn, path)) => Value::Output(OutputRef { urn, path }),
        None => Value::from(inside),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Inputs {
        name: Property<String>,
        size: Property<u32>,
        config: String,
        absent: Option<String>,
    }

    #[test]
    fn markers_become_references_and_secrets() {
        let reference = OutputRef { urn: Urn::new("s", "k:B", "b").unwrap(), path: "name".into() };
        let value = typed(&Inputs {
            name: Property::Output(reference.clone()),
            size: Property::Secret(3),
            config: format!("bucket: {}\npassword: {}\n", reference.mark(), Value::mark_secret("hu\"sh")),
            absent: None,
        })
        .unwrap();
        assert_eq!(value.get("name"), Some(&Value::Output(reference)));
        assert_eq!(value.get("size"), Some(&Value::secret(3)));
        assert_eq!(value.get("absent"), None);
        let resolved = value.resolve(&mut |_| Some("loki".into()));
        assert_eq!(resolved.get("config"), Some(&Value::secret("bucket: loki\npassword: hu\"sh\n")));
    }
}
