//! Holds inputs against the shape of their kind, and brings every value to the form that the server stores.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plinth_provider::{Error, Map, Path, Result, Value};

use super::lists::default_key;
use super::shape::{Object, Shape, object};
use crate::quantity;

/// The value in normal form: nulls and empty lists and maps that mean "nothing" are gone, quantities are canonical.
///
/// # Errors
/// At every place that the API server would refuse.
pub(crate) fn conform(shape: &Shape, value: Value, path: &Path) -> Result<Value> {
    let mut faults = Vec::new();
    let value = conformed(shape, value, path, &mut faults);
    Error::all(faults).map_or(Ok(value), Err)
}

/// Goes on after a fault, so that all of them are found; what stands in the place of it counts for nothing.
fn conformed(shape: &Shape, value: Value, path: &Path, faults: &mut Vec<Error>) -> Value {
    match value {
        // Known only later; checked again then.
        Value::Unknown | Value::Output(_) | Value::Concat(_) => value,
        Value::Secret(inner) => match conformed(shape, *inner, path, faults) {
            Value::Null => Value::Null,
            inner => Value::secret(inner),
        },
        value => conform_known(shape, value, path, faults),
    }
}

fn conform_known(shape: &Shape, value: Value, path: &Path, faults: &mut Vec<Error>) -> Value {
    match (shape, value) {
        (Shape::Any, value) => value,
        (_, Value::Null) => Value::Null,
        (Shape::Object(name), Value::Map(map)) => match object(name) {
            Some(object) => conform_object(&object, map, path, faults),
            None => Value::Map(map),
        },
        (Shape::Map(item), Value::Map(map)) => conform_map(item, map, path, faults),
        (Shape::List { item, keys }, Value::List(list)) => {
            let before = faults.len();
            let list: Vec<Value> = list
                .into_iter()
                .enumerate()
                .map(|(at, value)| conformed(item, value, &path.index(at), faults))
                .filter(|value| *value != Value::Null)
                .collect();
            if faults.len() == before
                && let Err(error) = refuse_duplicates(&list, keys, path)
            {
                faults.push(error);
            }
            Value::List(list)
        }
        (shape, value) => conform_leaf(shape, value, path).unwrap_or_else(|error| {
            faults.push(error);
            Value::Null
        }),
    }
}

fn conform_leaf(shape: &Shape, value: Value, path: &Path) -> Result<Value> {
    match (shape, value) {
        (Shape::Text, value @ Value::String(_)) | (Shape::Bool, value @ Value::Bool(_)) => Ok(value),
        (Shape::Bytes, Value::String(text)) => bytes(&text, path),
        (Shape::Time, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(Value::String(text)),
            Err(_) => Err(wrong(path, "is not a time").help("write it like 2026-01-31T08:00:00Z")),
        },
        (Shape::Int32 | Shape::Int64, Value::Number(number)) => integer(shape, &number, path),
        (Shape::Number, value @ Value::Number(_)) => Ok(value),
        (Shape::IntOrString, Value::String(text)) if text.parse::<i64>().is_ok() => {
            Err(wrong(path, "is a number in quotes").help(format!("write {text} without quotes")))
        }
        (Shape::IntOrString, Value::Number(number)) => integer(&Shape::Int32, &number, path),
        (Shape::IntOrString, value @ Value::String(_)) => Ok(value),
        (Shape::Quantity, value @ (Value::String(_) | Value::Number(_))) => {
            quantity_of(&value, path, quantity::canonical)
        }
        (shape, value) => Err(mistyped(shape, &value, path)),
    }
}

fn conform_object(object: &Object, map: Map, path: &Path, faults: &mut Vec<Error>) -> Value {
    let mut result = Map::new();
    let mut faulty = BTreeSet::new();
    for (field, value) in map {
        let here = path.key(field.as_str());
        let Some(shape) = object.fields.get(&field) else {
            let error = wrong(&here, "is not a field here");
            faults.push(match closest(&field, object.fields.keys()) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!(
                    "fields here are: {}",
                    object.fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
                )),
            });
            continue;
        };
        let before = faults.len();
        let value = conformed(shape, value, &here, faults);
        if faults.len() > before {
            faulty.insert(field);
        } else if !is_nothing(shape, &value) {
            result.insert(field, value);
        }
    }
    for field in object.required.iter().filter(|field| !faulty.contains(*field)) {
        if !result.contains_key(field) {
            faults.push(wrong(&path.key(field.as_str()), "is required"));
        }
    }
    Value::Map(result)
}

/// Empty lists and maps own their place as a whole and keep everybody else out, and say nothing. Empty structs do say
/// something (`emptyDir: {}`), so they stay.
fn is_nothing(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Any, _) => false,
        (_, Value::Null) => true,
        (Shape::Map(_), Value::Map(map)) => map.is_empty(),
        (Shape::List { .. }, Value::List(list)) => list.is_empty(),
        _ => false,
    }
}

fn conform_map(item: &Shape, map: Map, path: &Path, faults: &mut Vec<Error>) -> Value {
    let mut result = Map::new();
    for (key, value) in map {
        let here = path.key(key.as_str());
        let value = match (item, &value) {
            // A map of quantities is a list of resources, where the server rounds.
            (Shape::Quantity, Value::String(_) | Value::Number(_)) => {
                quantity_of(&value, &here, quantity::canonical_resource).unwrap_or_else(|error| {
                    faults.push(error);
                    Value::Null
                })
            }
            _ => conformed(item, value, &here, faults),
        };
        if value != Value::Null {
            result.insert(key, value);
        }
    }
    Value::Map(result)
}

fn quantity_of(value: &Value, path: &Path, canonical: fn(&str) -> Option<String>) -> Result<Value> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    canonical(&text).map(Value::from).ok_or_else(|| {
        wrong(path, &format!("`{text}` is not a quantity")).help("write it like 500m, 2, 512Mi or 10Gi")
    })
}

fn integer(shape: &Shape, number: &serde_json::Number, path: &Path) -> Result<Value> {
    let whole = number.as_i64().or_else(|| {
        number.as_f64().filter(|value| value.fract() == 0.0 && value.abs() < 9e15).map(|value| value as i64)
    });
    let Some(whole) = whole else {
        return Err(wrong(path, &format!("`{number}` is not a whole number")));
    };
    if matches!(shape, Shape::Int32) && i32::try_from(whole).is_err() {
        return Err(wrong(path, &format!("`{number}` is out of range")));
    }
    Ok(Value::from(whole))
}

/// Canonical base64: the server stores it without the line breaks that encoders like to add.
pub(crate) fn bytes(text: &str, path: &Path) -> Result<Value> {
    let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    match STANDARD.decode(&compact) {
        Ok(_) => Ok(Value::String(compact)),
        Err(_) => Err(wrong(path, "is not base64")
            .help("encode it, or, in a Secret, write it under `stringData`, which takes plain text")),
    }
}

fn refuse_duplicates(list: &[Value], keys: &[&str], path: &Path) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    for (at, item) in list.iter().enumerate() {
        let Some(map) = item.as_map() else { continue };
        let mut texts = Vec::new();
        for key in keys {
            match map.get(key) {
                Some(value) if value.has_unknown() || matches!(value, Value::Concat(_)) => {}
                Some(value) => texts.push(format!("{key}={value}")),
                None => match default_key(key) {
                    Some(default) => texts.push(format!("{key}=\"{default}\"")),
                    None => texts.push(format!("{key} absent")),
                },
            }
        }
        if texts.len() == keys.len() && !seen.insert(texts.join(",")) {
            return Err(wrong(&path.index(at), &format!("repeats an entry with {}", texts.join(", ")))
                .help(format!("entries here are told apart by {}", keys.join(" and "))));
        }
    }
    Ok(())
}

fn mistyped(shape: &Shape, value: &Value, path: &Path) -> Error {
    let want = match shape {
        Shape::Text | Shape::Bytes | Shape::Time => "a text",
        Shape::Bool => "true or false",
        Shape::Int32 | Shape::Int64 => "a whole number",
        Shape::Number => "a number",
        Shape::Quantity => "a quantity",
        Shape::IntOrString => "a whole number or a text",
        Shape::Map(_) | Shape::Object(_) => "a map",
        Shape::List { .. } => "a list",
        Shape::Any => "a value",
    };
    let have = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        _ => "something else",
    };
    let error = wrong(path, &format!("must be {want}, not {have}"));
    match (shape, value) {
        (Shape::Text, Value::Bool(_) | Value::Number(_)) => error.help("put it in quotes"),
        (Shape::Bool | Shape::Int32 | Shape::Int64 | Shape::Number, Value::String(_)) => {
            error.help("write it without quotes")
        }
        _ => error,
    }
}

fn wrong(path: &Path, what: &str) -> Error {
    Error::invalid(format!("{path} {what}")).at(path.clone())
}

/// The candidate that a misspelt word most likely meant.
fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let limit = 1 + word.chars().count() / 3;
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many edits apart two words are, whatever their case.
pub(super) fn distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(&a.to_lowercase(), &b.to_lowercase())
}
