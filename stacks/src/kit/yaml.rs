//! Writes configuration files. Texts with markers of outputs in them come through unharmed, which no general YAML
//! writer promises: whatever is not plainly safe is written as a JSON string, which is YAML too.

use std::fmt::Write;

use serde_json::Value as Json;

/// A configuration as YAML text, in the order in which it was built.
pub(crate) fn to_yaml(value: &Json) -> String {
    let mut text = String::new();
    match value {
        Json::Object(map) if !map.is_empty() => mapping(map, 0, &mut text),
        Json::Array(list) if !list.is_empty() => sequence(list, 0, &mut text),
        scalar => {
            inline(scalar, &mut text);
            text.push('\n');
        }
    }
    text
}

fn indent(depth: usize, text: &mut String) {
    for _ in 0..depth {
        text.push_str("  ");
    }
}

fn mapping(map: &serde_json::Map<String, Json>, depth: usize, text: &mut String) {
    for (position, (key, value)) in map.iter().enumerate() {
        if position > 0 || depth == 0 {
            indent(depth, text);
        }
        entry(key, value, depth, text);
    }
}

fn entry(key: &str, value: &Json, depth: usize, text: &mut String) {
    scalar_text(key, text);
    text.push(':');
    match value {
        Json::Object(map) if !map.is_empty() => {
            text.push('\n');
            indent(depth + 1, text);
            mapping(map, depth + 1, text);
        }
        Json::Array(list) if !list.is_empty() => {
            text.push('\n');
            sequence(list, depth + 1, text);
        }
        Json::String(value) if is_block(value) => block(value, depth + 1, text),
        scalar => {
            text.push(' ');
            inline(scalar, text);
            text.push('\n');
        }
    }
}

fn sequence(list: &[Json], depth: usize, text: &mut String) {
    for item in list {
        indent(depth, text);
        text.push_str("- ");
        match item {
            Json::Object(map) if !map.is_empty() => mapping(map, depth + 1, text),
            Json::String(value) if is_block(value) => {
                text.pop();
                block(value, depth + 1, text);
            }
            scalar => {
                inline(scalar, text);
                text.push('\n');
            }
        }
    }
}

/// Texts of several lines are written as they are, when nothing in them could be misread.
fn is_block(value: &str) -> bool {
    value.contains('\n')
        && value.ends_with('\n')
        && !value.ends_with("\n\n")
        && !value.starts_with([' ', '\n', '\t'])
        && !value.chars().any(|character| character.is_control() && character != '\n')
}

fn block(value: &str, depth: usize, text: &mut String) {
    text.push_str(" |\n");
    for line in value.lines() {
        if !line.is_empty() {
            indent(depth, text);
            text.push_str(line);
        }
        text.push('\n');
    }
}

/// Scalars, empty collections, and collections inside lists (which JSON can write on one line).
fn inline(value: &Json, text: &mut String) {
    match value {
        Json::String(value) => scalar_text(value, text),
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

fn scalar_text(value: &str, text: &mut String) {
    let plain = !value.is_empty()
        && value.chars().all(|character| {
            character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | '/' | '+')
        })
        && value
            .starts_with(|character: char| character.is_ascii_alphabetic() || matches!(character, '/' | '_'))
        && !matches!(
            value.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if plain {
        text.push_str(value);
    } else {
        let _ = write!(text, "{}", Json::from(value));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_like_what_a_person_writes() {
        let text = to_yaml(&json!({
            "server": { "port": 3100, "tls": { "cert_file": "/etc/tls/tls.crt" }, "empty": {}, "list": [] },
            "targets": [{ "address": "a:1", "tags": ["x", "on"] }, "plain", 3],
            "script": "line one\n  line two\n",
            "odd": "a: b # c",
        }));
        assert_eq!(
            text,
            "server:\n  port: 3100\n  tls:\n    cert_file: /etc/tls/tls.crt\n  empty: {}\n  list: []\ntargets:\n  - address: \"a:1\"\n    tags:\n      - x\n      - \"on\"\n  - plain\n  - 3\nscript: |\n  line one\n    line two\nodd: \"a: b # c\"\n"
        );
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i32>().prop_map(Json::from),
            "[ -~\n]{0,12}".prop_map(Json::from),
            "[a-z\n ]{0,8}\n".prop_map(Json::from),
            Just(Json::from("\u{F0001}oplinth:s::k::n#out\u{F0002}")),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                proptest::collection::btree_map("[a-z.:# ]{0,5}", inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any_json()) {
            let text = to_yaml(&value);
            let back: Json = serde_saphyr::from_str(&text).map_err(|error| {
                TestCaseError::fail(format!("{error}\n{text}"))
            })?;
            prop_assert_eq!(back, value, "{}", text);
        }
    }
}
