//! Policy documents and other JSON that AWS keeps as text and gives back in another spelling.

use plinth_provider::{Path, Value};
use serde_json::Value as Json;

/// Turns documents that a stack file writes as maps into texts. A key that ends with `.*` stands for every value below.
pub(crate) fn spell_out(inputs: &mut Value, keys: &[&str]) {
    for key in keys {
        let paths: Vec<Path> = match key.strip_suffix(".*") {
            Some(key) => {
                let below = inputs.get(key).and_then(Value::as_map);
                let names = below.into_iter().flat_map(|map| map.keys());
                names.map(|name| Path::parse(key).key(name)).collect()
            }
            None => vec![Path::parse(key)],
        };
        for path in paths {
            let Some(document) = inputs.at(&path).filter(|held| matches!(held, Value::Map(_))) else {
                continue;
            };
            let text = match document {
                unknown if unknown.has_unknown() => Value::Unknown,
                secret if secret.has_secret() => Value::secret(secret.expose().to_string()),
                plain => plain.expose().to_string().into(),
            };
            inputs.set(&path, text);
        }
    }
}

/// The document in one spelling: URL escapes undone (IAM answers with them), lists of one member as the member, lists
/// sorted, keys sorted. `None` when it is not JSON.
pub(crate) fn normal(text: &str) -> Option<Json> {
    let parsed = serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&unescaped(text)?).ok())?;
    Some(order(parsed))
}

/// Whether two documents say the same.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one == other || matches!((normal(one), normal(other)), (Some(one), Some(other)) if one == other)
}

/// What was asked for when live says the same in other words, else live's own words.
pub(crate) fn as_asked(asked: Option<&str>, live: &str) -> String {
    match asked {
        Some(asked) if same(asked, live) => asked.to_owned(),
        _ => normal(live).map_or_else(|| live.to_owned(), |json| json.to_string()),
    }
}

fn order(json: Json) -> Json {
    match json {
        Json::Array(list) => {
            let mut list: Vec<Json> = list.into_iter().map(order).collect();
            if list.len() == 1 {
                return list.remove(0);
            }
            list.sort_by_key(Json::to_string);
            Json::Array(list)
        }
        Json::Object(map) => {
            let mut entries: Vec<(String, Json)> =
                map.into_iter().map(|(key, value)| (key, order(value))).collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            Json::Object(entries.into_iter().collect())
        }
        plain => plain,
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'%' => {
                let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &tail[2..];
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_may_be_a_map() {
        let trust = Value::from([("Statement", Value::List(Vec::new()))]);
        let mut inputs = Value::from([("trust", trust.clone()), ("policies", Value::from([("a", trust)]))]);
        spell_out(&mut inputs, &["trust", "policies.*", "absent"]);
        assert_eq!(inputs.text_at("trust"), Some(r#"{"Statement":[]}"#));
        assert_eq!(inputs.text_at("policies.a"), Some(r#"{"Statement":[]}"#));
        let mut unknown = Value::from([("trust", Value::from([("Statement", Value::Unknown)]))]);
        spell_out(&mut unknown, &["trust"]);
        assert_eq!(unknown.get("trust"), Some(&Value::Unknown));
    }

    #[test]
    fn spelling_does_not_count() {
        let asked = r#"{"Statement":[{"Effect":"Allow","Action":["s3:PutObject","s3:GetObject"],"Resource":"a"}],"Version":"2012-10-17"}"#;
        let live = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Action%22%3A%5B%22s3%3AGetObject%22%2C%22s3%3APutObject%22%5D%2C%22Resource%22%3A%5B%22a%22%5D%2C%22Effect%22%3A%22Allow%22%7D%7D";
        assert!(same(asked, live));
        assert_eq!(as_asked(Some(asked), live), asked);
        assert!(!same(asked, &live.replace("GetObject", "DeleteObject")));
        assert!(!same(asked, "not json"));
    }
}
