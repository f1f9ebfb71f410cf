//! The three patch formats other than apply. Each takes a document and returns the changed one.

mod json_patch;
mod strategic;

pub(crate) use json_patch::json_patch;
pub(crate) use strategic::strategic;

use super::json::{Json, object};

/// RFC 7386: null removes, maps merge, everything else replaces.
pub(crate) fn merge_patch(target: &mut Json, patch: &Json) {
    let Json::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    let map = object(target);
    for (key, value) in changes {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            merge_patch(map.entry(key.clone()).or_insert(Json::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patch_follows_the_rfc() {
        let mut doc = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        merge_patch(&mut doc, &json!({"a": {"b": null, "d": {"e": null, "f": 1}}, "list": [3]}));
        assert_eq!(doc, json!({"a": {"c": 2, "d": {"f": 1}}, "list": [3]}));
    }
}
