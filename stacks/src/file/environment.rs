//! `{ fromEnvironment: NAME }`: secrets that whoever runs the program passes in. The merged tree keeps the name, never
//! the value.

use std::collections::BTreeMap;

use plinth_provider::Path;
use serde_json::{Value, json};

use super::diagnostic::Diagnostic;
use super::locations::Locations;
use crate::model::SecretText;

/// The key by which a secret names a variable.
const KEY: &str = "fromEnvironment";

/// What was passed in for each name that a stack file mentions.
pub(crate) type Environment = BTreeMap<String, Option<SecretText>>;

/// Looks up every name that a tree mentions.
pub(crate) fn gather(tree: &Value, lookup: &dyn Fn(&str) -> Option<String>) -> Environment {
    mentions(tree)
        .into_iter()
        .map(|(_, name)| {
            let value = lookup(&name).filter(|value| !value.is_empty()).map(SecretText::new);
            (name, value)
        })
        .collect()
}

/// The tree with values in the place of names, or `None` if it mentions none; and what was not passed in. Those are
/// generated, so that a stack can be looked at and rehearsed without them.
pub(crate) fn resolve(tree: &Value, locations: &Locations) -> (Option<Value>, Vec<Diagnostic>) {
    let mentions = mentions(tree);
    if mentions.is_empty() {
        return (None, Vec::new());
    }
    let mut resolved = tree.clone();
    let mut missing = Vec::new();
    for (path, name) in mentions {
        let value = locations.environment.get(&name).cloned().flatten();
        if value.is_none() {
            missing.push(
                locations
                    .diagnostic(&path, format!("the environment variable `{name}` is not set"))
                    .help(format!("set `{name}` to the secret, and run the command again")),
            );
        }
        if let Some(place) = at_mut(&mut resolved, &path) {
            *place = match value {
                Some(value) => json!({ "value": value.expose() }),
                None => json!({ "generate": {} }),
            };
        }
    }
    (Some(resolved), missing)
}

pub(super) fn at_mut<'v>(value: &'v mut Value, path: &Path) -> Option<&'v mut Value> {
    path.segments().iter().try_fold(value, |value, segment| match segment {
        plinth_provider::Segment::Key(key) => value.get_mut(key),
        plinth_provider::Segment::Index(index) => value.get_mut(index),
    })
}

/// Where names are mentioned, outside of `resources`.
fn mentions(tree: &Value) -> Vec<(Path, String)> {
    let mut found = Vec::new();
    for part in ["cloud", "platform"] {
        if let Some(value) = tree.get(part) {
            walk(value, &Path::root().key(part), &mut found);
        }
    }
    found
}

fn walk(value: &Value, path: &Path, found: &mut Vec<(Path, String)>) {
    match value {
        Value::Object(map) => match map.get(KEY).and_then(Value::as_str) {
            Some(name) if map.len() == 1 => found.push((path.clone(), name.to_owned())),
            _ => map.iter().for_each(|(key, value)| walk(value, &path.key(key), found)),
        },
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| walk(value, &path.index(at), found));
        }
        _ => {}
    }
}

/// Adds this way of giving a secret to the published schema: the model knows only what it is resolved to.
pub(crate) fn extend_schema(schema: &mut Value) {
    let branches = schema.pointer_mut("/$defs/SecretSource/oneOf").and_then(Value::as_array_mut);
    if let Some(branches) = branches {
        branches.push(json!({
            "description": "The name of an environment variable that whoever runs the program sets.",
            "type": "object",
            "properties": { KEY: { "type": "string", "minLength": 1, "description": "The variable's name." } },
            "required": [KEY],
            "additionalProperties": false,
        }));
    }
}
