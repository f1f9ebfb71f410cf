//! Makes a document fit its type the way decoding into Go structs does: unknown fields are dropped and named,
//! nulls vanish, quantities become canonical, and a value of the wrong type is an error with Go's sentence.

use super::super::json::Json;
use super::super::quantity;
use super::{Scalar, Shape, TypeRef};

/// What was found on the way.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Paths of unknown fields, as strict decoding prints them.
    pub unknown: Vec<String>,
    /// The first type error, as the JSON decoder prints it.
    pub error: Option<String>,
}

/// How custom resources differ: their types are checked against the schema elsewhere, and nulls may be data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Builtin,
    Custom,
}

/// Conforms a whole object.
pub(crate) fn conform(value: &mut Json, of: &TypeRef, mode: Mode) -> Report {
    let mut report = Report::default();
    walk(value, of, mode, "", &of.node().name, &mut report);
    report
}

fn walk(value: &mut Json, of: &TypeRef, mode: Mode, path: &str, owner: &str, report: &mut Report) {
    let node = of.node();
    match (&node.shape, &mut *value) {
        (Shape::Any, _) => {}
        (Shape::Object { fields, extra }, Json::Object(map)) => {
            let owner = if node.name.is_empty() { owner } else { &node.name };
            map.retain(|key, inner| {
                let Some(id) = fields.get(key).or(extra.as_ref()) else {
                    report.unknown.push(join(path, key));
                    return false;
                };
                if inner.is_null() {
                    if mode == Mode::Custom {
                        return true;
                    }
                    // A null entry of a free map decodes to the zero value; a null field is as good as absent.
                    if fields.contains_key(key) {
                        return false;
                    }
                    match of.to(*id).node().shape {
                        Shape::Scalar(Scalar::String | Scalar::Bytes) => *inner = Json::String(String::new()),
                        Shape::Scalar(Scalar::Quantity) => *inner = Json::String("0".into()),
                        _ => return false,
                    }
                    return true;
                }
                let below = if fields.contains_key(key) { join(path, key) } else { format!("{path}[{key}]") };
                walk(inner, &of.to(*id), mode, &below, owner, report);
                true
            });
        }
        (Shape::List { item, .. }, Json::Array(items)) => {
            for (index, inner) in items.iter_mut().enumerate() {
                walk(inner, &of.to(*item), mode, &format!("{path}[{index}]"), owner, report);
            }
        }
        (Shape::Scalar(scalar), inner) => leaf(*scalar, inner, mode, path, owner, report),
        (shape, inner) if mode == Mode::Builtin => {
            let go = match shape {
                Shape::List { item, .. } => format!("[]{}", go_type(&of.to(*item))),
                _ => go_type(of),
            };
            complain(inner, path, owner, &go, report);
        }
        _ => {}
    }
}

fn leaf(scalar: Scalar, value: &mut Json, mode: Mode, path: &str, owner: &str, report: &mut Report) {
    if mode == Mode::Custom {
        return;
    }
    let fine = match scalar {
        Scalar::String | Scalar::Time | Scalar::Bytes => value.is_string(),
        Scalar::Boolean => value.is_boolean(),
        Scalar::Number => value.is_number(),
        Scalar::Integer { bits } => {
            if let Some(whole) = value.as_f64().filter(|f| f.fract() == 0.0 && value.as_i64().is_none()) {
                *value = Json::from(whole as i64);
            }
            value.as_i64().is_some_and(|n| bits == 64 || i32::try_from(n).is_ok())
        }
        Scalar::IntOrString => value.is_string() || value.as_i64().is_some(),
        Scalar::Quantity => {
            let text = match &*value {
                Json::String(s) => s.clone(),
                Json::Number(n) => n.to_string(),
                _ => String::new(),
            };
            match quantity::canonical(text.trim()) {
                Some(canonical) => *value = Json::String(canonical),
                None => {
                    report.error.get_or_insert_with(|| {
                        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                            .to_owned()
                    });
                }
            }
            return;
        }
    };
    if !fine {
        let go = match scalar {
            Scalar::String => "string",
            Scalar::Bytes => "[]uint8",
            Scalar::Boolean => "bool",
            Scalar::Integer { bits: 64 } => "int64",
            Scalar::Integer { .. } => "int32",
            Scalar::Number => "float64",
            Scalar::Time => "time.Time",
            Scalar::IntOrString => "intstr.IntOrString",
            Scalar::Quantity => "resource.Quantity",
        };
        complain(value, path, owner, go, report);
        return;
    }
    if scalar == Scalar::Bytes && decode(value.as_str().unwrap_or_default()).is_none() {
        let text = value.as_str().unwrap_or_default();
        let fine = |c: char| c.is_ascii_alphanumeric() || "+/=\r\n".contains(c);
        let at = text.find(|c| !fine(c)).unwrap_or(text.len().saturating_sub(1) / 4 * 4);
        report.error.get_or_insert_with(|| format!("illegal base64 data at input byte {at}"));
    }
}

fn complain(value: &Json, path: &str, owner: &str, go: &str, report: &mut Report) {
    let got = match value {
        Json::Null => return,
        Json::Bool(_) => "bool",
        Json::Number(n) if go.starts_with("int") => {
            let path = fields_of(path);
            let text =
                format!("json: cannot unmarshal number {n} into Go struct field {owner}.{path} of type {go}");
            report.error.get_or_insert(text);
            return;
        }
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let path = fields_of(path);
    let text = format!("json: cannot unmarshal {got} into Go struct field {owner}.{path} of type {go}");
    report.error.get_or_insert(text);
}

/// A path as Go's decoder says it: fields only, neither indices nor keys of maps.
fn fields_of(path: &str) -> String {
    let mut out = String::new();
    let mut skip = false;
    for c in path.chars() {
        match c {
            '[' => skip = true,
            ']' => skip = false,
            _ if !skip => out.push(c),
            _ => {}
        }
    }
    out
}

fn go_type(of: &TypeRef) -> String {
    match &of.node().shape {
        Shape::Object { extra: Some(inner), fields } if fields.is_empty() => {
            format!("map[string]{}", go_type(&of.to(*inner)))
        }
        Shape::Scalar(Scalar::String) => "string".into(),
        Shape::Scalar(Scalar::Bytes) => "[]uint8".into(),
        Shape::Scalar(Scalar::Integer { bits }) => format!("int{bits}"),
        Shape::Scalar(Scalar::Boolean) => "bool".into(),
        Shape::Scalar(Scalar::Quantity) => "resource.Quantity".into(),
        _ if of.node().name.is_empty() => "interface {}".into(),
        _ => format!("v1.{}", of.node().name),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Standard base64, as Go's JSON decoder reads byte slices.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let clean: String = text.chars().filter(|c| *c != '\n' && *c != '\r').collect();
    base64::engine::general_purpose::STANDARD.decode(clean).ok()
}
