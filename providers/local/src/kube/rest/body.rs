//! Bodies: JSON read with an eye on duplicate keys, and YAML.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::super::json::{Json, Map};
use super::super::proto;
use super::super::status::Status;

/// The largest body that is read.
pub(crate) const LIMIT: usize = 3 * 1024 * 1024;

/// A body and the paths of keys that appear twice in it.
pub(crate) struct Parsed {
    pub value: Json,
    pub duplicates: Vec<String>,
}

/// Reads a body in the format its content type names; JSON is YAML too.
pub(crate) fn parse(bytes: &[u8], content_type: &str) -> Result<Parsed, Status> {
    if proto::is(bytes) {
        let value = proto::decode(bytes).map_err(Status::bad_request)?;
        return Ok(Parsed { value, duplicates: Vec::new() });
    }
    let mut duplicates = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let seed = Strict { path: String::new(), duplicates: &mut duplicates };
    let json = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match json {
        Ok(value) => return Ok(Parsed { value, duplicates }),
        Err(error) if !content_type.contains("yaml") => {
            return Err(Status::bad_request(format!("couldn't get version/kind; json parse error: {error}")));
        }
        Err(_) => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Status::bad_request("the body is not UTF-8"))?;
    let value = serde_saphyr::from_str::<Json>(text)
        .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
    Ok(Parsed { value, duplicates: Vec::new() })
}

struct Strict<'a> {
    path: String,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Json, E> {
        Ok(Json::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Json, E> {
        Ok(v.into())
    }
    fn visit_u64<E>(self, v: u64) -> Result<Json, E> {
        Ok(v.into())
    }
    fn visit_f64<E>(self, v: f64) -> Result<Json, E> {
        Ok(v.into())
    }
    fn visit_str<E>(self, v: &str) -> Result<Json, E> {
        Ok(v.into())
    }
    fn visit_string<E>(self, v: String) -> Result<Json, E> {
        Ok(v.into())
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut out = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, out.len());
            match access.next_element_seed(Strict { path, duplicates: self.duplicates })? {
                Some(item) => out.push(item),
                None => return Ok(Json::Array(out)),
            }
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut out = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            let value = access.next_value_seed(Strict { path: path.clone(), duplicates: self.duplicates })?;
            if out.insert(key, value).is_some() {
                self.duplicates.push(path);
            }
        }
        Ok(Json::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_keys_are_seen_in_json() {
        let parsed = parse(br#"{"a": 1, "b": {"c": [{"d": 1, "d": 2}]}, "a": 2}"#, "application/json")
            .expect("parses");
        assert_eq!(parsed.duplicates, ["b.c[0].d", "a"]);
        assert_eq!(parsed.value["a"], 2);
        assert!(parse(b"{", "application/json").is_err());
        assert_eq!(
            parse(b"a: [1, x]", "application/yaml").expect("parses").value,
            serde_json::json!({"a": [1, "x"]})
        );
    }
}
