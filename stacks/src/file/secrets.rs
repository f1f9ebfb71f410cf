//! The stack's own secrets: `{ fromStack: NAME }` in the platform's settings and `${secret.NAME}` in the inputs of
//! resources. The merged tree keeps the name, never the value.

use std::collections::{BTreeMap, HashSet};

use plinth_provider::Path;
use serde_json::{Value, json};

use super::diagnostic::Diagnostic;
use super::environment::at_mut;
use super::interpolation::{Piece, pieces, split};
use super::locations::Locations;
use super::patterns::SECRET_NAME;
use crate::model::SecretText;

/// The key by which a setting names a secret.
const KEY: &str = "fromStack";
/// What a reference to a secret begins with.
pub(crate) const PREFIX: &str = "secret";

/// What was passed in of the stack's own secrets.
#[derive(Debug, Clone, Default)]
pub struct StackSecrets {
    /// Their values, by name.
    pub values: BTreeMap<String, SecretText>,
    /// The command that sets one, with `NAME` in the place of its name.
    pub set_with: String,
}

/// Where a stack file refers to one of the stack's secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUse {
    /// The secret's name.
    pub name: String,
    /// Where: the path of the setting or input.
    pub path: Path,
    /// Which entry of `resources`, by its name; none for a setting of the platform.
    pub resource: Option<String>,
}

/// Whether a text can name a stack's secret.
///
/// # Errors
/// When it cannot, in words.
pub fn check_secret_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > 100 {
        return Err("a secret's name has 1 to 100 characters");
    }
    if !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        return Err("a secret's name begins with a letter or `_`");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Err("a secret's name may hold letters, digits, `_` and `-`");
    }
    Ok(())
}

/// Every place that refers to a secret, in the file's order.
pub(crate) fn uses(tree: &Value) -> Vec<SecretUse> {
    let mut found = Vec::new();
    for part in ["cloud", "platform"] {
        if let Some(value) = tree.get(part) {
            settings(value, &Path::root().key(part), &mut found);
        }
    }
    let Some(entries) = tree.get("resources").and_then(Value::as_array) else { return found };
    let name_of = |entry: &Value| entry.get("name").and_then(Value::as_str).map(str::to_owned);
    let mut named: Option<HashSet<String>> = None;
    for (at, entry) in entries.iter().enumerate() {
        let Some(inputs) = entry.get("inputs") else { continue };
        inputs_of(inputs, &|| Path::parse("resources").index(at).key("inputs"), &mut |reference, path| {
            let names = named.get_or_insert_with(|| entries.iter().filter_map(name_of).collect());
            if let (None, PREFIX, name) = split(reference, |name| names.contains(name).then_some(())) {
                found.push(SecretUse { name: name.to_owned(), path, resource: name_of(entry) });
            }
        });
    }
    found
}

fn settings(value: &Value, path: &Path, found: &mut Vec<SecretUse>) {
    match value {
        Value::Object(map) => match map.get(KEY).and_then(Value::as_str) {
            Some(name) if map.len() == 1 => {
                found.push(SecretUse { name: name.to_owned(), path: path.clone(), resource: None });
            }
            _ => map.iter().for_each(|(key, value)| settings(value, &path.key(key), found)),
        },
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| settings(value, &path.index(at), found));
        }
        _ => {}
    }
}

/// Calls `visit` with every reference that may be one to a secret. Paths are made only for those.
fn inputs_of(value: &Value, path: &dyn Fn() -> Path, visit: &mut dyn FnMut(&str, Path)) {
    match value {
        Value::String(text) if text.contains("${") && text.contains("secret") => {
            let references = pieces(text).unwrap_or_default();
            for piece in references {
                if let Piece::Reference(reference) = piece
                    && reference.starts_with(PREFIX)
                {
                    visit(reference, path());
                }
            }
        }
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| inputs_of(value, &|| path().key(key), visit));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| inputs_of(value, &|| path().index(at), visit));
        }
        _ => {}
    }
}

/// The tree with values in the place of names, or what it was before if it mentions none; `missing` takes what is not
/// set. Settings get generated secrets then, so that a stack can be looked at and rehearsed without them.
pub(crate) fn resolve(
    resolved: Option<Value>,
    tree: &Value,
    uses: &[SecretUse],
    locations: &Locations,
    missing: &mut Vec<Diagnostic>,
) -> Option<Value> {
    let secrets = &locations.secrets;
    for used in uses.iter().filter(|used| !secrets.values.contains_key(&used.name)) {
        let command = match secrets.set_with.as_str() {
            "" => "plinth secrets set NAME",
            given => given,
        };
        missing.push(
            locations
                .diagnostic(&used.path, format!("the secret `{}` of this stack is not set", used.name))
                .help(format!("set it with `{}`", command.replace("NAME", &used.name))),
        );
    }
    let mut settings = uses.iter().filter(|used| used.resource.is_none() && !is_input(&used.path)).peekable();
    if settings.peek().is_none() {
        return resolved;
    }
    let mut resolved = resolved.unwrap_or_else(|| tree.clone());
    for used in settings {
        if let Some(place) = at_mut(&mut resolved, &used.path) {
            *place = match secrets.values.get(&used.name) {
                Some(value) => json!({ "value": value.expose() }),
                None => json!({ "generate": {} }),
            };
        }
    }
    Some(resolved)
}

fn is_input(path: &Path) -> bool {
    matches!(path.segments().first(), Some(plinth_provider::Segment::Key(key)) if key == "resources")
}

/// Adds this way of giving a secret to the published schema: the model knows only what it is resolved to.
pub(crate) fn extend_schema(schema: &mut Value) {
    let branches = schema.pointer_mut("/$defs/SecretSource/oneOf").and_then(Value::as_array_mut);
    if let Some(branches) = branches {
        branches.push(json!({
            "description": "The name of a secret of this stack, which `plinth secrets set NAME` sets.",
            "type": "object",
            "properties": { KEY: { "type": "string", "pattern": SECRET_NAME, "description": "The secret's name." } },
            "required": [KEY],
            "additionalProperties": false,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        for right in ["DB_PASSWORD", "a", "_x", "grafana-oidc", &"x".repeat(100)] {
            assert_eq!(check_secret_name(right), Ok(()), "{right}");
        }
        for wrong in ["", "1a", "-a", "a.b", "a b", "ü", "a/b", "${a}", &"x".repeat(101)] {
            assert!(check_secret_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn uses_are_found_wherever_they_are() {
        let tree = json!({
            "platform": { "grafana": { "admin": { "password": { "fromStack": "ADMIN" } } } },
            "resources": [
                { "name": "a", "inputs": { "list": ["x ${secret.ONE} ${secret.TWO}", "$${secret.NOT}", "${b.out}"] } },
                { "name": "b", "inputs": "${ secret.ONE }" },
            ],
        });
        let found: Vec<(String, String)> =
            uses(&tree).into_iter().map(|used| (used.name, used.path.to_string())).collect();
        let expected = [
            ("ADMIN", "platform.grafana.admin.password"),
            ("ONE", "resources[0].inputs.list[0]"),
            ("TWO", "resources[0].inputs.list[0]"),
            ("ONE", "resources[1].inputs"),
        ];
        assert_eq!(found, expected.map(|(name, path)| (name.to_owned(), path.to_owned())));
    }
}
