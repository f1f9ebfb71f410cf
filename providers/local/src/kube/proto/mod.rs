//! Reading the protobuf form in which Go clients send objects of built-in kinds. Replies are always JSON.
//!
//! The table of field numbers is data beside this file. A message or field that it does not know is refused
//! rather than dropped, so that nothing a client sent gets lost.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::json::{Json, Map, json};

const MAGIC: &[u8] = b"k8s\0";
const TABLE: &str = include_str!("fields.txt");

/// Fields that Go embeds: their fields belong to the struct around them.
const INLINE: [&str; 6] = [
    "localObjectReference",
    "handler",
    "volumeSource",
    "persistentVolumeSource",
    "ephemeralContainerCommon",
    "ingressRuleValue",
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    One,
    Repeated,
    Map,
}

#[derive(Debug, Clone, Copy)]
enum Type {
    Text,
    Integer,
    Boolean,
    Bytes,
    Double,
    Message(&'static str),
}

struct Field {
    name: &'static str,
    shape: Shape,
    of: Type,
}

type Messages = HashMap<&'static str, HashMap<u64, Field>>;

fn messages() -> &'static Messages {
    static MESSAGES: OnceLock<Messages> = OnceLock::new();
    MESSAGES.get_or_init(|| {
        let lines = TABLE.lines().filter(|l| !l.starts_with('#'));
        lines
            .filter_map(|line| {
                let mut words = line.split(' ');
                let name = words.next()?;
                Some((name, words.filter_map(field).collect()))
            })
            .collect()
    })
}

fn field(text: &'static str) -> Option<(u64, Field)> {
    let (number, rest) = text.split_once('=')?;
    let (rest, message) = match rest.split_once(':') {
        Some((rest, message)) => (rest, Some(message)),
        None => (rest, None),
    };
    let mut parts = rest.split('/');
    let name = parts.next()?;
    let (mut shape, mut of) = (Shape::One, Type::Text);
    for part in parts {
        match part {
            "r" => shape = Shape::Repeated,
            "M" => shape = Shape::Map,
            "i" => of = Type::Integer,
            "b" => of = Type::Boolean,
            "y" => of = Type::Bytes,
            "d" => of = Type::Double,
            // The value of a map may be a message of its own.
            other if other.contains('.') => of = Type::Message(other),
            _ => {}
        }
    }
    if let Some(message) = message {
        of = Type::Message(message);
    }
    Some((number.parse().ok()?, Field { name, shape, of }))
}

/// Whether a body is in this form.
pub(crate) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads an object with its type.
pub(crate) fn decode(bytes: &[u8]) -> Result<Json, String> {
    let bytes =
        bytes.strip_prefix(MAGIC).ok_or("the body does not start like a Kubernetes protobuf message")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for part in Parts(bytes) {
        match part? {
            (1, Wire::Bytes(meta)) => {
                for part in Parts(meta) {
                    match part? {
                        (1, Wire::Bytes(text)) => api_version = String::from_utf8_lossy(text).into_owned(),
                        (2, Wire::Bytes(text)) => kind = String::from_utf8_lossy(text).into_owned(),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(found)) => raw = found,
            _ => {}
        }
    }
    let name = message_name(&api_version, &kind);
    let (name, _) = messages()
        .get_key_value(name.as_str())
        .ok_or_else(|| format!("{kind} in version {api_version:?} is not known in protobuf form"))?;
    let mut out = json!({"apiVersion": api_version, "kind": kind});
    if let (Json::Object(into), Json::Object(found)) = (&mut out, message(name, raw)?) {
        into.extend(found);
    }
    Ok(out)
}

fn message_name(api_version: &str, kind: &str) -> String {
    if kind == "DeleteOptions" {
        return "meta.DeleteOptions".into();
    }
    match api_version.split_once('/') {
        Some((group, version)) => {
            let group = match group {
                "rbac.authorization.k8s.io" => "rbac",
                other => other.split('.').next().unwrap_or(other),
            };
            format!("{group}.{version}.{kind}")
        }
        None => format!("core.{api_version}.{kind}"),
    }
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Double(f64),
}

/// The fields of a message, one after the other.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Result<(u64, Wire<'a>), String>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_none() {
            self.0 = &[];
        }
        Some(part.ok_or_else(|| "the protobuf message is cut off".to_owned()))
    }
}

impl<'a> Parts<'a> {
    fn part(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Double(f64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            _ => return None,
        };
        Some((tag >> 3, wire))
    }
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }
    fn varint(&mut self) -> Option<u64> {
        let mut out = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            out |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(out);
            }
        }
        None
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn message(name: &str, bytes: &[u8]) -> Result<Json, String> {
    if let Some(special) = special(name, bytes)? {
        return Ok(special);
    }
    let fields = messages().get(name).ok_or_else(|| format!("message {name} is not known"))?;
    let mut out = Map::new();
    for part in Parts(bytes) {
        let (number, wire) = part?;
        let Some(field) = fields.get(&number) else {
            return Err(format!("field {number} of message {name} is not known"));
        };
        match field.shape {
            Shape::One => {
                let found = value(field.of, &wire)?;
                if INLINE.contains(&field.name) {
                    if let Json::Object(inner) = found {
                        out.extend(inner);
                    }
                } else if found != Json::String(String::new()) && !found.is_null() {
                    // Go writes empty strings too; as JSON they would be left out.
                    out.insert(field.name.into(), found);
                }
            }
            Shape::Repeated => {
                let found = value(field.of, &wire)?;
                let list = out.entry(field.name.to_owned()).or_insert_with(|| json!([]));
                if let Json::Array(items) = list {
                    items.push(found);
                }
            }
            Shape::Map => {
                let Wire::Bytes(pair) = wire else { continue };
                let (mut key, mut found) = (String::new(), Json::String(String::new()));
                for part in Parts(pair) {
                    match part? {
                        (1, Wire::Bytes(k)) => key = text(k),
                        (2, wire) => found = value(field.of, &wire)?,
                        _ => {}
                    }
                }
                let map = out.entry(field.name.to_owned()).or_insert_with(|| json!({}));
                map[key] = found;
            }
        }
    }
    Ok(Json::Object(out))
}

fn value(of: Type, wire: &Wire<'_>) -> Result<Json, String> {
    use base64::Engine as _;
    Ok(match (of, wire) {
        (Type::Text, Wire::Bytes(bytes)) => json!(text(bytes)),
        (Type::Bytes, Wire::Bytes(bytes)) => json!(base64::engine::general_purpose::STANDARD.encode(bytes)),
        (Type::Integer, Wire::Number(n)) => json!(n.cast_signed()),
        (Type::Boolean, Wire::Number(n)) => json!(*n != 0),
        (Type::Double, Wire::Double(d)) => json!(d),
        (Type::Message(name), Wire::Bytes(bytes)) => message(name, bytes)?,
        _ => return Err("a field of the protobuf message has the wrong wire type".into()),
    })
}

/// Messages whose JSON form is not an object.
fn special(name: &str, bytes: &[u8]) -> Result<Option<Json>, String> {
    let mut parts: HashMap<u64, Wire<'_>> = HashMap::new();
    let mut items = Vec::new();
    if !matches!(
        name,
        "meta.Time"
            | "meta.MicroTime"
            | "intstr.IntOrString"
            | "resource.Quantity"
            | "meta.FieldsV1"
            | "runtime.RawExtension"
            | "meta.Verbs"
    ) && !name.ends_with(".ExtraValue")
    {
        return Ok(None);
    }
    for part in Parts(bytes) {
        let (number, wire) = part?;
        if let (1, Wire::Bytes(item)) = (number, &wire) {
            items.push(json!(text(item)));
        }
        parts.insert(number, wire);
    }
    let number = |n: u64| match parts.get(&n) {
        Some(Wire::Number(n)) => n.cast_signed(),
        _ => 0,
    };
    let first = || items.first().and_then(Json::as_str).unwrap_or_default();
    Ok(Some(match name {
        "meta.Time" | "meta.MicroTime" if parts.is_empty() => Json::Null,
        "meta.Time" | "meta.MicroTime" => {
            let time = jiff::Timestamp::new(number(1), i32::try_from(number(2)).unwrap_or(0))
                .map_err(|e| e.to_string())?;
            let format = if name == "meta.Time" { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%6fZ" };
            json!(time.strftime(format).to_string())
        }
        "intstr.IntOrString" if number(1) == 0 => json!(number(2)),
        "intstr.IntOrString" => match parts.get(&3) {
            Some(Wire::Bytes(found)) => json!(text(found)),
            _ => json!(""),
        },
        "resource.Quantity" => json!(if first().is_empty() { "0" } else { first() }),
        "meta.FieldsV1" | "runtime.RawExtension" => {
            if first().is_empty() {
                Json::Null
            } else {
                serde_json::from_str(first()).map_err(|e| e.to_string())?
            }
        }
        _ => Json::Array(items),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: u8, inner: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(inner.len()).expect("short")];
        out.extend_from_slice(inner);
        out
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw)].concat()
    }

    #[test]
    fn a_config_map_is_read() {
        let pair = [bytes(1, b"k"), bytes(2, b"v")].concat();
        let raw = [bytes(1, &[bytes(1, b"name"), bytes(8, b"")].concat()), bytes(2, &pair)].concat();
        let object = decode(&body("v1", "ConfigMap", &raw)).expect("reads");
        assert_eq!(
            object,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "name"}, "data": {"k": "v"}})
        );
    }

    #[test]
    fn what_is_unknown_or_cut_off_is_refused() {
        assert!(decode(&body("v1", "Nonsense", b"")).is_err());
        assert!(decode(&body("v1", "ConfigMap", &bytes(15, b"x"))).is_err());
        assert!(decode(&body("v1", "ConfigMap", &[0x0a, 0x7f])).is_err());
        assert!(decode(b"{}").is_err());
    }

    #[test]
    fn every_message_that_is_referred_to_is_there() {
        for (name, fields) in messages() {
            for field in fields.values() {
                if let Type::Message(inner) = field.of {
                    let known =
                        messages().contains_key(inner) || special(inner, b"").is_ok_and(|s| s.is_some());
                    assert!(known, "{name}.{} refers to {inner}", field.name);
                }
            }
        }
    }
}
