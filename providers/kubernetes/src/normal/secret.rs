//! Secrets: `stringData` becomes `data`, and every value is wrapped.
//!
//! Server-side apply records the ownership of `stringData` where nothing is stored: a key removed from it would stay
//! in `data` for ever, owned by nobody. So it never reaches the server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plinth_provider::{Error, Map, Path, Result, Value};

use crate::schema;

/// Turns `stringData` into `data` and wraps every value.
pub(super) fn normalize(object: &mut Value) -> Result<()> {
    let Value::Map(object) = object else { return Ok(()) };
    // Unknown as a whole: known later, wrapped then.
    let Some(mut data) = take_map(object, "data")? else { return Ok(()) };
    for (key, value) in &mut data {
        let here = Path::parse("data").key(key.as_str());
        *value = Value::secret(encoded(std::mem::take(value), &here)?);
    }
    let plain = take_map(object, "stringData")?.unwrap_or_default();
    let mut pending = Map::new();
    for (key, value) in plain {
        let here = Path::parse("stringData").key(key.as_str());
        match encode(value, &here)? {
            Encoded::Done(value) => {
                data.insert(key, Value::secret(value));
            }
            Encoded::Pending(value) => {
                data.remove(&key);
                pending.insert(key, value);
            }
            Encoded::Nothing => {}
        }
    }
    data.retain(|_, value| *value != Value::secret(Value::Null));
    if !data.is_empty() {
        object.insert("data".to_owned(), Value::Map(data));
    }
    if !pending.is_empty() {
        object.insert("stringData".to_owned(), Value::Map(pending));
    }
    Ok(())
}

/// Wraps the values of a live Secret.
pub(super) fn wrap(object: &mut Value) {
    if let Value::Map(object) = object
        && let Some(Value::Map(data)) = object.get_mut("data")
    {
        for value in data.values_mut() {
            *value = Value::secret(std::mem::take(value));
        }
    }
}

/// Takes a map out of the object; empty when it is not there, `None` (and left in place) when it is not known yet.
fn take_map(object: &mut Map, field: &str) -> Result<Option<Map>> {
    match object.remove(field) {
        None | Some(Value::Null) => Ok(Some(Map::new())),
        Some(value) => {
            let mut value = value;
            while let Value::Secret(inner) = value {
                value = *inner;
            }
            match value {
                Value::Map(map) => Ok(Some(map)),
                Value::Null => Ok(Some(Map::new())),
                value @ (Value::Unknown | Value::Output(_) | Value::Concat(_)) => {
                    object.insert(field.to_owned(), value);
                    Ok(None)
                }
                _ => Err(Error::invalid(format!("{field} must be a map")).at(Path::parse(field))),
            }
        }
    }
}

/// A value of `data`: base64 already.
fn encoded(value: Value, path: &Path) -> Result<Value> {
    match value {
        Value::Secret(inner) => encoded(*inner, path),
        Value::String(text) => schema::bytes(&text, path),
        Value::Null | Value::Unknown | Value::Output(_) | Value::Concat(_) => Ok(value),
        _ => Err(not_text(path)),
    }
}

enum Encoded {
    Done(Value),
    /// An output that is not resolved yet: it cannot be encoded before it is.
    Pending(Value),
    Nothing,
}

fn encode(value: Value, path: &Path) -> Result<Encoded> {
    Ok(match value {
        Value::Secret(inner) => match encode(*inner, path)? {
            Encoded::Pending(value) => Encoded::Pending(Value::secret(value)),
            other => other,
        },
        Value::String(text) => Encoded::Done(STANDARD.encode(text).into()),
        Value::Unknown => Encoded::Done(Value::Unknown),
        Value::Null => Encoded::Nothing,
        value @ (Value::Output(_) | Value::Concat(_)) => Encoded::Pending(value),
        _ => return Err(not_text(path)),
    })
}

fn not_text(path: &Path) -> Error {
    Error::invalid(format!("{path} must be a text")).at(path.clone()).help("put it in quotes")
}
