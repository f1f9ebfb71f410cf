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
    let unrecognized = |why: &str| {
        let shown = if bytes.is_empty() { "<empty>".into() } else { String::from_utf8_lossy(bytes) };
        Status::bad_request(format!("couldn't get version/kind; json parse error: {why} ({shown})"))
    };
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
            let cut_off = error.is_eof();
            return Err(unrecognized(if cut_off {
                "unexpected end of JSON input"
            } else {
                "invalid character"
            }));
        }
        Err(_) => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Status::bad_request("the body is not UTF-8"))?;
    let value = serde_saphyr::from_str::<Json>(text)
        .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
    Ok(Parsed { value, duplicates: Vec::new() })
}

/// Reads the configuration of an apply, which is YAML whatever its content type says, with the first key that is
/// there twice.
pub(crate) fn configuration(bytes: &[u8]) -> Result<(Json, Option<String>), Status> {
    let wrong = |why: String| Status::bad_request(format!("error decoding YAML: {why}"));
    let mut duplicate = None;
    let value = match parse(bytes, "application/json") {
        Ok(parsed) => {
            duplicate = parsed
                .duplicates
                .first()
                .map(|d| format!("line 1: key {:?} already set in map", d.rsplit('.').next().unwrap_or(d)));
            parsed.value
        }
        Err(_) => {
            let text = std::str::from_utf8(bytes).map_err(|_| wrong("the body is not UTF-8".into()))?;
            yaml(text, &mut duplicate).map_err(|(line, why)| {
                wrong(format!("error converting YAML to JSON: yaml: line {line}: {why}"))
            })?
        }
    };
    let kind = match &value {
        Json::Object(_) => return Ok((value, duplicate)),
        Json::Null => return Ok((Json::Object(Map::new()), duplicate)),
        Json::Array(_) => "array",
        Json::String(_) => "string",
        Json::Number(_) => "number",
        Json::Bool(_) => "bool",
    };
    Err(wrong(format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
    )))
}

/// Reads YAML; a key that is there twice is noted, and the last one counts.
fn yaml(text: &str, duplicate: &mut Option<String>) -> Result<Json, (u64, String)> {
    let told = |error: &serde_saphyr::Error| {
        let line = error.location().map_or(1, |l| l.line());
        let whole = error.without_snippet().to_string();
        (line, whole.lines().next().unwrap_or_default().to_owned())
    };
    let error = match serde_saphyr::from_str::<Json>(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let (line, why) = told(&error);
    let Some((_, key)) = why.split_once("duplicate mapping key: ") else { return Err((line, why)) };
    let key = key.split(',').next().unwrap_or(key).trim();
    *duplicate = Some(format!("line {line}: key {key:?} already set in map"));
    let lenient = serde_saphyr::options! { duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins };
    serde_saphyr::from_str_with_options::<Json>(text, lenient).map_err(|error| told(&error))
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
