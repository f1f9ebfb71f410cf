//! Objects as manifests: what `render` writes and what the API server is sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plinth_provider::{Urn, Value};
use serde_json::{Map, Value as Json};

use crate::kind::Gvk;

const MASK: &str = "(secret)";
const LATER: &str = "(known after apply)";

/// The object as a manifest, `apiVersion` and `kind` first. Secrets are masked, in a form that is still a valid
/// manifest.
pub fn manifest(urn: &Urn, inputs: &Value) -> Json {
    object(urn, inputs, true)
}

/// The object as a manifest with its secrets in the clear: for an API server, or a user who asked.
pub fn manifest_exposed(urn: &Urn, inputs: &Value) -> Json {
    object(urn, inputs, false)
}

fn object(urn: &Urn, inputs: &Value, mask: bool) -> Json {
    let gvk = Gvk::parse(urn.kind()).ok();
    let mut result = Map::new();
    if let Some(gvk) = &gvk {
        result.insert("apiVersion".to_owned(), gvk.api_version().into());
        result.insert("kind".to_owned(), gvk.kind.clone().into());
    }
    let is_secret = gvk.as_ref().is_some_and(|gvk| gvk.is("", "Secret"));
    let Some(fields) = inputs.as_map() else { return Json::Object(result) };
    if let Some(metadata) = fields.get("metadata") {
        result.insert("metadata".to_owned(), named_first(plain(metadata, mask, MASK)));
    }
    for (key, value) in fields {
        if !matches!(key.as_str(), "metadata" | "apiVersion" | "kind") {
            // The data of a Secret is base64, so its mask is too.
            let encoded = STANDARD.encode(MASK);
            let text = if is_secret && key == "data" { encoded.as_str() } else { MASK };
            result.insert(key.clone(), plain(value, mask, text));
        }
    }
    Json::Object(result)
}

fn plain(value: &Value, mask: bool, text: &str) -> Json {
    match value {
        Value::Secret(_) if mask => text.into(),
        Value::Secret(inner) => plain(inner, mask, text),
        Value::Unknown | Value::Output(_) | Value::Concat(_) => LATER.into(),
        Value::List(list) => list.iter().map(|item| plain(item, mask, text)).collect(),
        Value::Map(map) => {
            Json::Object(map.iter().map(|(key, item)| (key.clone(), plain(item, mask, text))).collect())
        }
        other => other.expose(),
    }
}

/// `name` and `namespace` before the rest: what a reader looks for.
fn named_first(metadata: Json) -> Json {
    let Json::Object(mut rest) = metadata else { return metadata };
    let mut result = Map::new();
    for key in ["name", "namespace"] {
        if let Some(value) = rest.shift_remove(key) {
            result.insert(key.to_owned(), value);
        }
    }
    result.extend(rest);
    Json::Object(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_first_and_secrets_masked() {
        let urn = Urn::new("s", "k8s:v1/Secret", "x").unwrap();
        let inputs = Value::from([
            ("data", Value::from([("k", Value::secret("aHVzaA=="))])),
            ("metadata", Value::from([("labels", Value::map()), ("name", "x".into())])),
        ]);
        let text = serde_json::to_string(&manifest(&urn, &inputs)).unwrap();
        assert!(text.starts_with(r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x""#), "{text}");
        assert!(!text.contains("aHVzaA"));
        let masked = manifest(&urn, &inputs);
        assert_eq!(STANDARD.decode(masked["data"]["k"].as_str().unwrap()).unwrap(), MASK.as_bytes());
        assert_eq!(manifest_exposed(&urn, &inputs)["data"]["k"], "aHVzaA==");
    }
}
