//! RFC 6902.

use super::super::json::{Json, Look, same};

/// Applies the operations in order; the error is the sentence the API puts into its refusal.
pub(crate) fn json_patch(target: &mut Json, operations: &Json) -> Result<(), String> {
    let Some(list) = operations.as_array() else {
        return Err("json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp".into());
    };
    for op in list {
        let path = op.get("path").and_then(Json::as_str).ok_or("missing path")?;
        let value = || op.get("value").cloned().unwrap_or(Json::Null);
        match op.text("op") {
            "add" => add(target, path, value())?,
            "remove" => {
                take(target, path)?;
            }
            "replace" => {
                // What is absent from a map is put there, as the real server does.
                if let Some(here) = target.pointer_mut(path) {
                    *here = value();
                } else if within_map(target, path) {
                    add(target, path, value())?;
                } else {
                    return Err(format!(
                        "replace operation does not apply: doc is missing key: {path}: missing value"
                    ));
                }
            }
            "move" => {
                let moved = take(target, op.text("from"))?;
                add(target, path, moved)?;
            }
            "copy" => {
                let found = target.pointer(op.text("from")).cloned().ok_or_else(|| {
                    format!("copy operation does not apply: doc is missing from path: {}", op.text("from"))
                })?;
                add(target, path, found)?;
            }
            "test" => {
                let found = target.pointer(path).unwrap_or(&Json::Null);
                if !same(found, &value()) {
                    return Err(format!("testing value {path} failed: test failed"));
                }
            }
            other => return Err(format!("unexpected kind: {other}")),
        }
    }
    Ok(())
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

fn within_map(target: &Json, path: &str) -> bool {
    path.rsplit_once('/').and_then(|(parent, _)| target.pointer(parent)).is_some_and(Json::is_object)
}

fn add(target: &mut Json, path: &str, value: Json) -> Result<(), String> {
    let Some((parent, leaf)) = path.rsplit_once('/') else {
        *target = value;
        return Ok(());
    };
    let missing = || format!("add operation does not apply: doc is missing path: \"{path}\": missing value");
    match target.pointer_mut(parent).ok_or_else(missing)? {
        Json::Object(map) => {
            map.insert(unescape(leaf), value);
        }
        Json::Array(items) if leaf == "-" => items.push(value),
        Json::Array(items) => {
            let index: usize = leaf.parse().map_err(|_| missing())?;
            if index > items.len() {
                return Err(format!(
                    "add operation does not apply: doc is missing path: \"{path}\": index out of bounds"
                ));
            }
            items.insert(index, value);
        }
        _ => return Err(missing()),
    }
    Ok(())
}

fn take(target: &mut Json, path: &str) -> Result<Json, String> {
    let missing =
        || format!("remove operation does not apply: doc is missing path: \"{path}\": missing value");
    let (parent, leaf) = path.rsplit_once('/').ok_or_else(missing)?;
    match target.pointer_mut(parent).ok_or_else(missing)? {
        Json::Object(map) => map.shift_remove(&unescape(leaf)).ok_or_else(missing),
        Json::Array(items) => {
            let index: usize = leaf.parse().map_err(|_| missing())?;
            if index < items.len() { Ok(items.remove(index)) } else { Err(missing()) }
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_operation_works_and_failures_are_named() {
        let mut doc = json!({"a": [1, 2], "b/c": {"d": 1}});
        let ops = json!([
            {"op": "test", "path": "/a/0", "value": 1}, {"op": "add", "path": "/a/-", "value": 3},
            {"op": "replace", "path": "/b~1c/d", "value": 5}, {"op": "copy", "from": "/b~1c", "path": "/x"},
            {"op": "move", "from": "/x/d", "path": "/y"}, {"op": "remove", "path": "/a/0"},
        ]);
        json_patch(&mut doc, &ops).expect("applies");
        assert_eq!(doc, json!({"a": [2, 3], "b/c": {"d": 5}, "x": {}, "y": 5}));
        let failed = json_patch(&mut doc, &json!([{"op": "test", "path": "/y", "value": 6}]));
        assert_eq!(failed, Err("testing value /y failed: test failed".into()));
        assert!(json_patch(&mut doc, &json!([{"op": "remove", "path": "/nope"}])).is_err());
    }
}
