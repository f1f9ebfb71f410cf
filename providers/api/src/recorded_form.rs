//! The form in which values are recorded and shown as JSON: outputs, secrets and unknowns as tagged objects, keys that
//! begin with `$` escaped by a second one. Written and read directly, without a tree of JSON in between: every entry of
//! the log passes through here.

use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;

use crate::{Map, OutputRef, Path, Urn, Value};

const OUTPUT: &str = "$output";
const PATH: &str = "path";
const SECRET: &str = "$secret";
const CONCAT: &str = "$concat";
const UNKNOWN: &str = "$unknown";

/// Writes a value; its secrets are in the clear unless `mask` is set.
pub(crate) struct Form<'a> {
    pub value: &'a Value,
    pub mask: bool,
}

impl Form<'_> {
    fn tagged<S: Serializer>(serializer: S, tag: &str, value: &impl Serialize) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(tag, value)?;
        map.end()
    }
}

/// A list of them.
struct Forms<'a>(&'a [Value], bool);

impl Serialize for Forms<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|value| Form { value, mask: self.1 }))
    }
}

impl Serialize for Form<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mask = self.mask;
        match self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(value) => value.serialize(serializer),
            Value::String(value) => serializer.serialize_str(value),
            Value::List(list) => Forms(list, mask).serialize(serializer),
            Value::Map(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map {
                    let value = Form { value, mask };
                    if key.starts_with('$') {
                        out.serialize_entry(&format!("${key}"), &value)?;
                    } else {
                        out.serialize_entry(key, &value)?;
                    }
                }
                out.end()
            }
            Value::Secret(_) if mask => Self::tagged(serializer, SECRET, &"masked"),
            Value::Secret(inner) => Self::tagged(serializer, SECRET, &Form { value: inner, mask }),
            Value::Output(reference) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry(OUTPUT, reference.urn.as_str())?;
                map.serialize_entry(PATH, &reference.path.to_string())?;
                map.end()
            }
            Value::Concat(parts) => Self::tagged(serializer, CONCAT, &Forms(parts, mask)),
            Value::Unknown => Self::tagged(serializer, UNKNOWN, &true),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Form { value: self, mask: true }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a recorded value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or_default().min(1024));
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut pairs: Vec<(String, Value)> = Vec::new();
        let mut tagged: Option<(String, Value)> = None;
        while let Some(mut key) = entries.next_key::<String>()? {
            let value: Value = entries.next_value()?;
            if let Some(rest) = key.strip_prefix('$') {
                if !rest.starts_with('$') {
                    tagged.get_or_insert((key, value));
                    continue;
                }
                key = rest.to_owned();
            }
            pairs.push((key, value));
        }
        pairs.shrink_to_fit();
        let Some((tag, value)) = tagged else { return Ok(Value::Map(Map::from_iter(pairs))) };
        match (tag.as_str(), value) {
            (SECRET, value) => Ok(Value::secret(value)),
            (UNKNOWN, _) => Ok(Value::Unknown),
            (CONCAT, Value::List(parts)) => Ok(Value::Concat(parts)),
            (OUTPUT, Value::String(urn)) => {
                let path = pairs.iter().find(|(key, _)| key == PATH).and_then(|(_, path)| path.as_str());
                Ok(Value::Output(OutputRef {
                    urn: Urn::parse(&urn).map_err(A::Error::custom)?,
                    path: Path::parse(path.unwrap_or_default()),
                }))
            }
            (tag, _) => Err(A::Error::custom(format!("`{tag}` is not a tag of a recorded value"))),
        }
    }
}

/// Field attribute `#[serde(with = "exposed")]`: records secrets as `{"$secret": …}` in the clear, for the state log,
/// which seals every such object before it writes one. Works for [`Value`] and for `Option<Value>`.
pub mod exposed {
    use super::{Form, Value};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// What the attribute can stand on.
    pub trait Exposed: for<'de> Deserialize<'de> {
        /// Writes the recorded form.
        ///
        /// # Errors
        /// The serializer's own.
        fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    }

    impl Exposed for Value {
        fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Form { value: self, mask: false }.serialize(serializer)
        }
    }

    impl Exposed for Option<Value> {
        fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Some(value) => value.write(serializer),
                None => serializer.serialize_none(),
            }
        }
    }

    /// Writes the recorded form.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<T: Exposed, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.write(serializer)
    }

    /// Reads the recorded form.
    ///
    /// # Errors
    /// On an unknown tag or a malformed URN.
    pub fn deserialize<'de, T: Exposed, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}
