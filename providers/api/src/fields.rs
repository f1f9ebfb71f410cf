//! The inputs of a kind as a table, and the one place that judges inputs by it.
//!
//! The same table serves planning (offline, with unknown values in it), the call that then happens, and the embedded
//! cloud, so that they never disagree about what is valid.

use crate::{Error, Map, Path, Result, Value, did_you_mean};

/// One input.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub shape: Shape,
    /// What happens when it is left out.
    pub presence: Presence,
    /// Whether a change forces a replacement.
    pub immutable: bool,
    /// Whether it says how the resource is deleted.
    pub at_delete: bool,
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A text that the function accepts; it says what is wrong otherwise.
    Text(fn(&str) -> std::result::Result<(), String>),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A whole number within bounds.
    Integer(i64, i64),
    /// True or false.
    Boolean,
    /// A list whose order matters.
    List(&'static Shape),
    /// A list whose order means nothing.
    Set(&'static Shape),
    /// Any keys, values of one shape.
    Map(&'static Shape),
    /// These keys.
    Object(&'static [Field]),
}

/// What happens when an input is left out.
#[derive(Debug, Clone, Copy)]
pub enum Presence {
    /// It is refused.
    Required,
    /// It stays away.
    Optional,
    /// It becomes this.
    Default(fn() -> Value),
}

impl Field {
    /// An input that must be there.
    pub const fn required(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, presence: Presence::Required, immutable: false, at_delete: false }
    }

    /// An input that may stay away.
    pub const fn optional(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, presence: Presence::Optional, immutable: false, at_delete: false }
    }

    /// An input with a default.
    pub const fn default(name: &'static str, shape: Shape, default: fn() -> Value) -> Self {
        Self { name, shape, presence: Presence::Default(default), immutable: false, at_delete: false }
    }

    /// The same, with changes forcing a replacement.
    #[must_use]
    pub const fn immutable(mut self) -> Self {
        self.immutable = true;
        self
    }

    /// The same, saying how the resource is deleted.
    #[must_use]
    pub const fn at_delete(mut self) -> Self {
        self.at_delete = true;
        self
    }
}

/// A text of any content.
pub const ANY: Shape = Shape::Text(|_| Ok(()));

/// Tags: any keys, any texts.
pub const TAGS: Shape = Shape::Map(&ANY);

/// Brings inputs to normal form: defaults filled, absent values dropped, everything judged. Unknown values pass; secrets
/// stay secret.
///
/// # Errors
/// With the path of the first thing that is wrong.
pub fn check(fields: &'static [Field], inputs: Value) -> Result<Value> {
    match inputs {
        Value::Null => object(fields, &Path::root(), Map::new()),
        inputs => shape(Shape::Object(fields), &Path::root(), inputs),
    }
}

/// The paths of inputs whose change forces a replacement.
pub fn immutable(fields: &[Field]) -> Vec<String> {
    paths(fields, &|field| field.immutable)
}

/// The paths of inputs that say how the resource is deleted.
pub fn at_delete(fields: &[Field]) -> Vec<Path> {
    paths(fields, &|field| field.at_delete).iter().map(|path| Path::parse(path)).collect()
}

/// The paths of lists whose order means nothing.
pub fn sets(fields: &[Field]) -> Vec<String> {
    paths(fields, &|field| matches!(field.shape, Shape::Set(_)))
}

fn paths(fields: &[Field], wanted: &dyn Fn(&Field) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for field in fields {
        if wanted(field) {
            found.push(field.name.to_owned());
        } else if let Shape::Object(inner) = field.shape {
            found.extend(paths(inner, wanted).into_iter().map(|path| format!("{}.{path}", field.name)));
        }
    }
    found
}

fn shape(want: Shape, path: &Path, value: Value) -> Result<Value> {
    match (want, value) {
        (_, Value::Unknown | Value::Output(_) | Value::Concat(_)) => Ok(Value::Unknown),
        (want, Value::Secret(inner)) => {
            shape(want, path, *inner).map(Value::secret).map_err(|error| without_content(error, path))
        }
        (Shape::Text(judge), Value::String(text)) => match judge(&text) {
            Ok(()) => Ok(Value::String(text)),
            Err(why) => Err(Error::invalid(format!("`{path}` is `{text}`: {why}")).at(path.clone())),
        },
        (Shape::Choice(choices), Value::String(text)) => {
            if choices.contains(&text.as_str()) {
                return Ok(Value::String(text));
            }
            Err(Error::invalid(format!("`{path}` is `{text}`, not one of {}", choices.join(", ")))
                .at(path.clone())
                .help(did_you_mean(&text, choices)))
        }
        (Shape::Integer(min, max), Value::Number(number)) => {
            let whole = number.as_i64().or_else(|| {
                number
                    .as_f64()
                    .filter(|float| float.fract() == 0.0 && float.abs() < 1e15)
                    .map(|float| float as i64)
            });
            match whole {
                Some(whole) if (min..=max).contains(&whole) => Ok(Value::from(whole)),
                _ => Err(Error::invalid(format!(
                    "`{path}` is {number}, not a whole number from {min} to {max}"
                ))
                .at(path.clone())),
            }
        }
        (Shape::Boolean, Value::Bool(value)) => Ok(Value::Bool(value)),
        (Shape::List(member) | Shape::Set(member), Value::List(list)) => list
            .into_iter()
            .enumerate()
            .map(|(at, value)| shape(*member, &path.index(at), value))
            .collect::<Result<_>>()
            .map(Value::List),
        (Shape::Map(member), Value::Map(map)) => map
            .into_iter()
            .filter(|(_, value)| *value != Value::Null)
            .map(|(key, value)| Ok((key.clone(), shape(*member, &path.key(key), value)?)))
            .collect::<Result<_>>()
            .map(Value::Map),
        (Shape::Object(fields), Value::Map(map)) => object(fields, path, map),
        (want, value) => {
            let place = if path.is_root() { "the inputs".to_owned() } else { format!("`{path}`") };
            Err(Error::invalid(format!("{place} must be {}, not {}", want.noun(), noun(&value)))
                .at(path.clone()))
        }
    }
}

fn object(fields: &'static [Field], path: &Path, mut map: Map) -> Result<Value> {
    map.retain(|_, value| *value != Value::Null);
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    if let Some(key) = map.keys().find(|key| !names.contains(&key.as_str())) {
        let place = if path.is_root() { String::new() } else { format!(" in `{path}`") };
        return Err(Error::invalid(format!("there is no input `{key}`{place}"))
            .at(path.key(key.as_str()))
            .help(did_you_mean(key, &names)));
    }
    let mut normal = Map::new();
    for field in fields {
        let place = path.key(field.name);
        let value = match (map.remove(field.name), field.presence) {
            (Some(value), _) => shape(field.shape, &place, value)?,
            (None, Presence::Default(default)) => default(),
            (None, Presence::Optional) => continue,
            (None, Presence::Required) => {
                return Err(Error::invalid(format!("`{place}` is missing"))
                    .at(place.clone())
                    .help(format!("give it {}", field.shape.noun())));
            }
        };
        normal.insert(field.name.to_owned(), value);
    }
    Ok(Value::Map(normal))
}

/// What is wrong with a secret is said without the secret.
fn without_content(error: Error, path: &Path) -> Error {
    Error {
        message: format!("`{path}` (secret) is not valid here"),
        help: Some("check its form; its content is not shown".to_owned()),
        ..error
    }
}

impl Shape {
    fn noun(&self) -> String {
        match self {
            Self::Text(_) => "a text".to_owned(),
            Self::Choice(choices) => format!("one of {}", choices.join(", ")),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Boolean => "true or false".to_owned(),
            Self::List(_) | Self::Set(_) => "a list".to_owned(),
            Self::Map(_) | Self::Object(_) => "a map".to_owned(),
        }
    }
}

fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        _ => "a text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lower(text: &str) -> std::result::Result<(), String> {
        text.chars()
            .all(|c| c.is_ascii_lowercase())
            .then_some(())
            .ok_or_else(|| "it must be in lower case".to_owned())
    }

    const FIELDS: &[Field] = &[
        Field::required("name", Shape::Text(lower)),
        Field::default("size", Shape::Integer(1, 9), || Value::from(3)),
        Field::optional("mode", Shape::Choice(&["private", "public"])),
        Field::optional("tags", TAGS),
    ];

    #[test]
    fn fills_defaults_and_keeps_what_is_unknown_or_secret() {
        let inputs =
            Value::from([("name", Value::Unknown), ("tags", Value::secret(Value::from([("a", "b")])))]);
        let checked = check(FIELDS, inputs).unwrap();
        assert_eq!(checked.get("size"), Some(&Value::from(3)));
        assert_eq!(checked.get("name"), Some(&Value::Unknown));
        assert!(checked.get("tags").is_some_and(Value::has_secret));
        assert_eq!(check(FIELDS, checked.clone()).unwrap(), checked);
    }

    #[test]
    fn refusals_name_the_path_and_what_to_do() {
        let refuse = |inputs: Value| check(FIELDS, inputs).unwrap_err();
        let error = refuse(Value::from([("nmae", "x")]));
        assert_eq!(error.path, Some("nmae".into()));
        assert!(error.help.unwrap().contains("`name`"));
        let error = refuse(Value::from([("name", Value::from("a")), ("size", Value::from(12))]));
        assert!(error.message.contains("from 1 to 9"), "{error}");
        let error = refuse(Value::from([("name", "a"), ("mode", "pubilc")]));
        assert!(error.help.unwrap().contains("`public`"));
        let error = refuse(Value::from([("name", Value::secret("HUSH!"))]));
        assert!(!format!("{error:?}").contains("HUSH"), "{error:?}");
        assert!(refuse(Value::map()).message.contains("missing"));
        assert!(refuse(Value::from("text")).message.contains("must be a map"));
    }
}
