//! JSON, and the three things JSON lacks: output references, secrets, and outputs inside strings.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value as Json};

use crate::{Map, Path, Segment, Urn};

/// A value of an input or an output.
///
/// [`fmt::Debug`], [`fmt::Display`] and [`Serialize`] mask secrets. Only [`Value::expose`] and the
/// [`exposed`](crate::exposed) field attribute give them away; the first is for provider calls, the second for the state log,
/// which seals them before anything is written.
#[derive(Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(String),
    /// A list, in the user's order.
    List(Vec<Value>),
    /// A map. Keys are sorted, so that equal values have one form.
    Map(Map),
    /// A value that must not be seen.
    Secret(Box<Value>),
    /// A value known only after another resource exists. Using one creates the dependency.
    Output(OutputRef),
    /// A text with outputs (or secrets) inside: its parts, joined once all are known.
    Concat(Vec<Value>),
    /// Known only after apply.
    Unknown,
}

/// A place in another resource's outputs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutputRef {
    /// Whose output.
    pub urn: Urn,
    /// Which one.
    pub path: Path,
}

impl Value {
    /// An empty map.
    pub fn map() -> Self {
        Self::Map(Map::new())
    }

    /// Wraps a value as secret; wrapping twice changes nothing.
    pub fn secret(value: impl Into<Self>) -> Self {
        match value.into() {
            secret @ Self::Secret(_) => secret,
            value => Self::Secret(Box::new(value)),
        }
    }

    /// The text, if it is one. Looks through a secret.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Secret(inner) => inner.as_str(),
            _ => None,
        }
    }

    /// The map, if it is one. Looks through a secret.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            Self::Secret(inner) => inner.as_map(),
            _ => None,
        }
    }

    /// The list, if it is one. Looks through a secret.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            Self::Secret(inner) => inner.as_list(),
            _ => None,
        }
    }

    /// The value at a key of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The value at a path.
    pub fn at(&self, path: &Path) -> Option<&Self> {
        path.segments().iter().try_fold(self, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.as_list()?.get(*index),
        })
    }

    /// The text at a path such as `metadata.name`.
    pub fn text_at(&self, path: &str) -> Option<&str> {
        self.at(&Path::parse(path))?.as_str()
    }

    /// Like [`Value::at`], for a reference: below something unknown everything is unknown, and below a
    /// secret everything is secret.
    pub fn lookup(&self, path: &Path) -> Option<Self> {
        let mut value = self;
        let mut secret = false;
        for segment in path.segments() {
            while let Self::Secret(inner) = value {
                secret = true;
                value = inner;
            }
            value = match (value, segment) {
                (Self::Unknown, _) => return Some(Self::Unknown),
                (Self::Map(map), Segment::Key(key)) => map.get(key)?,
                (Self::List(list), Segment::Index(index)) => list.get(*index)?,
                _ => return None,
            };
        }
        Some(if secret { Self::secret(value.clone()) } else { value.clone() })
    }

    /// Sets the value at a path, making maps on the way. An index must exist already; otherwise nothing happens.
    pub fn set(&mut self, path: &Path, new: Self) {
        let mut place = self;
        for segment in path.segments() {
            while let Self::Secret(inner) = place {
                place = inner;
            }
            place = match segment {
                Segment::Key(key) => {
                    if !matches!(place, Self::Map(_)) {
                        *place = Self::map();
                    }
                    let Self::Map(map) = place else { return };
                    map.entry(key.clone()).or_default()
                }
                Segment::Index(index) => match place {
                    Self::List(list) if *index < list.len() => &mut list[*index],
                    _ => return,
                },
            };
        }
        *place = new;
    }

    /// Removes what is at a path, and says whether something was there.
    pub fn remove(&mut self, path: &Path) -> bool {
        let Some((last, parents)) = path.segments().split_last() else { return false };
        let mut place = self;
        for segment in parents {
            while let Self::Secret(inner) = place {
                place = inner;
            }
            let next = match (place, segment) {
                (Self::Map(map), Segment::Key(key)) => map.get_mut(key),
                (Self::List(list), Segment::Index(index)) => list.get_mut(*index),
                _ => None,
            };
            let Some(next) = next else { return false };
            place = next;
        }
        while let Self::Secret(inner) = place {
            place = inner;
        }
        match (place, last) {
            (Self::Map(map), Segment::Key(key)) => map.remove(key).is_some(),
            (Self::List(list), Segment::Index(index)) if *index < list.len() => {
                list.remove(*index);
                true
            }
            _ => false,
        }
    }

    /// Replaces every output by what `lookup` gives, joining texts. What `lookup` does not know becomes
    /// [`Value::Unknown`].
    pub fn resolve(&self, lookup: &mut dyn FnMut(&OutputRef) -> Option<Self>) -> Self {
        match self {
            Self::Output(reference) => lookup(reference).unwrap_or(Self::Unknown),
            Self::List(list) => Self::List(list.iter().map(|value| value.resolve(lookup)).collect()),
            Self::Map(map) => {
                Self::Map(map.iter().map(|(key, value)| (key.clone(), value.resolve(lookup))).collect())
            }
            Self::Secret(inner) => match inner.resolve(lookup) {
                Self::Unknown => Self::Unknown,
                value => Self::secret(value),
            },
            Self::Concat(parts) => Self::join(parts.iter().map(|part| part.resolve(lookup))),
            other => other.clone(),
        }
    }

    fn join(parts: impl Iterator<Item = Self>) -> Self {
        let mut text = String::new();
        let mut secret = false;
        for part in parts {
            let mut part = part;
            while let Self::Secret(inner) = part {
                secret = true;
                part = *inner;
            }
            match part {
                Self::Unknown | Self::Output(_) | Self::Concat(_) => return Self::Unknown,
                Self::String(piece) => text.push_str(&piece),
                Self::Null => {}
                other if other.has_unknown() => return Self::Unknown,
                other => text.push_str(&other.expose().to_string()),
            }
        }
        if secret { Self::secret(text) } else { Self::String(text) }
    }

    /// Calls `visit` with every output reference.
    pub fn references(&self, visit: &mut dyn FnMut(&OutputRef)) {
        match self {
            Self::Output(reference) => visit(reference),
            Self::List(list) | Self::Concat(list) => list.iter().for_each(|value| value.references(visit)),
            Self::Map(map) => map.values().for_each(|value| value.references(visit)),
            Self::Secret(inner) => inner.references(visit),
            _ => {}
        }
    }

    /// Whether anything in it is known only after apply.
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown | Self::Output(_) => true,
            Self::List(list) | Self::Concat(list) => list.iter().any(Self::has_unknown),
            Self::Map(map) => map.values().any(Self::has_unknown),
            Self::Secret(inner) => inner.has_unknown(),
            _ => false,
        }
    }

    /// Whether anything in it is secret.
    pub fn has_secret(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::List(list) | Self::Concat(list) => list.iter().any(Self::has_secret),
            Self::Map(map) => map.values().any(Self::has_secret),
            _ => false,
        }
    }

    /// Calls `visit` with the text of every secret in it; what a redactor needs.
    pub fn secret_texts(&self, visit: &mut dyn FnMut(&str)) {
        fn texts(value: &Value, inside: bool, visit: &mut dyn FnMut(&str)) {
            match value {
                Value::String(text) if inside => visit(text),
                Value::List(list) | Value::Concat(list) => list.iter().for_each(|v| texts(v, inside, visit)),
                Value::Map(map) => map.values().for_each(|v| texts(v, inside, visit)),
                Value::Secret(inner) => texts(inner, true, visit),
                _ => {}
            }
        }
        texts(self, false, visit);
    }

    /// Plain JSON with secrets in the clear: for a provider's call and nothing else. Unknowns become null.
    pub fn expose(&self) -> Json {
        match self {
            Self::Null | Self::Unknown | Self::Output(_) => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Number(value) => Json::Number(value.clone()),
            Self::String(value) => Json::String(value.clone()),
            Self::List(list) => Json::Array(list.iter().map(Self::expose).collect()),
            Self::Map(map) => {
                Json::Object(map.iter().map(|(key, value)| (key.clone(), value.expose())).collect())
            }
            Self::Secret(inner) => inner.expose(),
            Self::Concat(parts) => Self::join(parts.iter().cloned()).expose(),
        }
    }

    /// From plain JSON; nothing in it is special.
    pub fn from_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(value) => Self::Number(value),
            Json::String(value) => Self::String(value),
            Json::Array(list) => Self::List(list.into_iter().map(Self::from_json).collect()),
            Json::Object(map) => {
                Self::Map(map.into_iter().map(|(key, value)| (key, Self::from_json(value))).collect())
            }
        }
    }
}

impl fmt::Display for Value {
    /// JSON on one line; secrets as `(secret)`, unknowns as `(known after apply)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("(secret)"),
            Self::Unknown | Self::Output(_) | Self::Concat(_) => f.write_str("(known after apply)"),
            Self::List(list) => {
                f.write_str("[")?;
                for (at, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("{")?;
                for (at, (key, value)) in map.iter().enumerate() {
                    write!(f, "{}{}: {value}", if at > 0 { ", " } else { "" }, Json::from(key.as_str()))?;
                }
                f.write_str("}")
            }
            plain => write!(f, "{}", plain.expose()),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(reference) => write!(f, "${{{}#{}}}", reference.urn, reference.path),
            Self::Concat(parts) => f.debug_tuple("Concat").field(parts).finish(),
            other => write!(f, "{other}"),
        }
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}
impl From<OutputRef> for Value {
    fn from(reference: OutputRef) -> Self {
        Self::Output(reference)
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}
impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Value {
    fn from(entries: [(K, V); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn urn() -> Urn {
        Urn::new("s", "plinth:Data", "r").unwrap()
    }

    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            "[a-z$]{0,6}".prop_map(Value::from),
            Just(Value::Unknown),
            "[a-z.]{1,6}".prop_map(|path| Value::Output(OutputRef { urn: urn(), path: Path::parse(&path) })),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                proptest::collection::btree_map("[$a-z]{1,4}", inner.clone(), 0..4)
                    .prop_map(|map| Value::Map(map.into_iter().collect())),
                proptest::collection::vec(inner.clone(), 1..3).prop_map(Value::Concat),
                inner.prop_map(Value::secret),
            ]
        })
    }

    proptest! {
        #[test]
        fn recorded_form_comes_back(value in any_value()) {
            #[derive(Serialize, Deserialize)]
            struct Entry(#[serde(with = "crate::exposed")] Value);
            let text = serde_json::to_string(&Entry(value.clone())).unwrap();
            let Entry(back) = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&back, &value);
            let tree: Json = serde_json::from_str(&text).unwrap();
            let Entry(back) = serde_json::from_value(tree).unwrap();
            prop_assert_eq!(back, value);
        }

        #[test]
        fn nothing_secret_is_ever_displayed(value in any_value()) {
            let canary = "CANARY-7f3a";
            let value = Value::from([("a", value), ("s", Value::secret(Value::List(vec![canary.into()])))]);
            let recorded = serde_json::to_string(&value).unwrap();
            let shown = format!("{value} {value:?} {recorded}");
            prop_assert!(!shown.contains(canary));
        }
    }

    #[test]
    fn joining_keeps_secrets_secret_and_unknowns_unknown() {
        let value =
            Value::Concat(vec!["a-".into(), Value::Output(OutputRef { urn: urn(), path: "x".into() })]);
        assert_eq!(value.resolve(&mut |_| Some("b".into())), "a-b".into());
        assert_eq!(value.resolve(&mut |_| Some(7.into())), "a-7".into());
        assert_eq!(value.resolve(&mut |_| Some(Value::secret("b"))), Value::secret("a-b"));
        assert_eq!(value.resolve(&mut |_| None), Value::Unknown);
    }

    #[test]
    fn lookups_see_through_secrets_and_stay_secret() {
        let outputs = Value::from([("auth", Value::secret(Value::from([("token", "t")])))]);
        assert_eq!(outputs.lookup(&"auth.token".into()), Some(Value::secret("t")));
        assert_eq!(outputs.lookup(&"auth.nope".into()), None);
        assert_eq!(
            Value::from([("auth", Value::Unknown)]).lookup(&"auth.token".into()),
            Some(Value::Unknown)
        );
    }

    #[test]
    fn set_and_remove() {
        let mut value = Value::map();
        value.set(&"a.b".into(), 1.into());
        assert_eq!(value, Value::from([("a", Value::from([("b", 1)]))]));
        assert!(value.remove(&"a.b".into()));
        assert!(!value.remove(&"a.b".into()));
    }
}
