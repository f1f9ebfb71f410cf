//! Strategic merge patch: a merge patch that knows which lists are really maps.

use super::super::json::{Json, Look, Map, object, same};
use super::super::schema::{ListKind, Shape, TypeRef};

const DIRECTIVE: &str = "$patch";
const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const RETAIN: &str = "$retainKeys";

/// Applies a strategic merge patch to an object of a built-in kind.
pub(crate) fn strategic(target: &mut Json, patch: &Json, of: &TypeRef) -> Result<(), String> {
    let Json::Object(changes) = patch else {
        return Err("patch must be an object".into());
    };
    match changes.get(DIRECTIVE).and_then(Json::as_str) {
        Some("replace") => {
            let mut fresh = changes.clone();
            fresh.shift_remove(DIRECTIVE);
            *target = Json::Object(fresh);
            return Ok(());
        }
        Some("delete") => {
            *target = Json::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(format!("unknown patch type: {other} in map: {}", go(patch))),
    }
    let map = object(target);
    if let Some(keep) = changes.get(RETAIN).and_then(Json::as_array) {
        map.retain(|k, _| keep.iter().any(|x| x == k));
    }
    for (key, value) in changes {
        if key == DIRECTIVE || key == RETAIN || key.starts_with(ORDER) {
            continue;
        }
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            if let Some(Json::Array(items)) = map.get_mut(list) {
                items.retain(|i| !value.as_array().is_some_and(|gone| gone.contains(i)));
            }
            continue;
        }
        if value.is_null() {
            map.shift_remove(key);
            continue;
        }
        let Some(t) = of.field(key) else {
            map.insert(key.clone(), value.clone());
            continue;
        };
        match (&t.node().shape, value) {
            (Shape::Object { .. } | Shape::Any, Json::Object(_)) => {
                strategic(map.entry(key.clone()).or_insert(Json::Null), value, &t)?;
            }
            (Shape::List { kind, .. }, Json::Array(changes)) => {
                let here = map.entry(key.clone()).or_insert_with(|| Json::Array(Vec::new()));
                if !here.is_array() {
                    *here = Json::Array(Vec::new());
                }
                if let (Json::Array(items), Some(item)) = (here, t.item()) {
                    merge_list(items, changes, kind, key, &item)?;
                }
            }
            _ => {
                map.insert(key.clone(), value.clone());
            }
        }
    }
    for (key, wanted) in changes {
        if let (Some(list), Some(wanted)) = (key.strip_prefix(ORDER), wanted.as_array()) {
            let merge_key = of.field(list).and_then(|t| merge_key(&t, list));
            if let Some(Json::Array(items)) = map.get_mut(list) {
                reorder(items, wanted, merge_key.as_deref());
            }
        }
    }
    Ok(())
}

/// The one key that strategic merge goes by; where apply uses two, it is the first.
fn merge_key(of: &TypeRef, field: &str) -> Option<String> {
    match &of.node().shape {
        Shape::List { kind: ListKind::Map(keys), .. } => keys.first().map(|k| k.0.clone()),
        // Job conditions are atomic for apply and keyed for strategic merge.
        Shape::List { .. } if field == "conditions" => Some("type".into()),
        _ => None,
    }
}

fn merge_list(
    items: &mut Vec<Json>,
    changes: &[Json],
    kind: &ListKind,
    field: &str,
    item: &TypeRef,
) -> Result<(), String> {
    let key = match kind {
        ListKind::Map(keys) => keys.first().map(|k| k.0.as_str()),
        ListKind::Atomic if field == "conditions" => Some("type"),
        ListKind::Set => {
            for change in changes {
                if !items.contains(change) {
                    items.push(change.clone());
                }
            }
            return Ok(());
        }
        ListKind::Atomic => None,
    };
    if changes.iter().any(|c| c.text(DIRECTIVE) == "replace") {
        *items = changes.iter().filter(|c| !c.has(DIRECTIVE)).cloned().collect();
        return Ok(());
    }
    let Some(key) = key else {
        *items = changes.to_vec();
        return Ok(());
    };
    for change in changes {
        let Some(id) = change.get(key) else {
            return Err(format!("map: {} does not contain declared merge key: {key}", go(change)));
        };
        let found = items.iter().position(|i| i.get(key).is_some_and(|x| same(x, id)));
        if change.text(DIRECTIVE) == "delete" {
            if let Some(index) = found {
                items.remove(index);
            }
            continue;
        }
        match found {
            Some(index) => strategic(&mut items[index], change, item)?,
            None => {
                let mut fresh = Json::Object(Map::new());
                strategic(&mut fresh, change, item)?;
                items.push(fresh);
            }
        }
    }
    Ok(())
}

/// A value as Go prints it.
fn go(value: &Json) -> String {
    match value {
        Json::Object(map) => {
            let mut parts: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", go(v))).collect();
            parts.sort();
            format!("map[{}]", parts.join(" "))
        }
        Json::Array(items) => format!("[{}]", items.iter().map(go).collect::<Vec<_>>().join(" ")),
        Json::String(text) => text.clone(),
        Json::Null => "<nil>".into(),
        other => other.to_string(),
    }
}

fn reorder(items: &mut [Json], wanted: &[Json], key: Option<&str>) {
    let rank = |item: &Json| {
        wanted.iter().position(|w| match key {
            Some(key) => same(item.at(key), w.at(key)),
            None => same(item, w),
        })
    };
    // Items the patch does not name stay behind the ones it does.
    items.sort_by_key(|i| rank(i).unwrap_or(usize::MAX));
}

#[cfg(test)]
mod tests {
    use super::super::super::schema::builtin::builtin;
    use super::*;
    use serde_json::json;

    fn patched(mut doc: Json, patch: &Json) -> Json {
        let t = builtin().by_name("io.k8s.api.apps.v1.Deployment").expect("known");
        strategic(&mut doc, patch, &t).expect("applies");
        doc
    }

    #[test]
    fn containers_merge_by_name_and_tolerations_are_replaced() {
        let doc = json!({"spec": {"template": {"spec": {
            "containers": [{"name": "a", "image": "x:1", "ports": [{"containerPort": 1}]}, {"name": "b", "image": "y"}],
            "tolerations": [{"key": "k"}]
        }}}});
        let out = patched(
            doc,
            &json!({"spec": {"template": {"spec": {
                "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                "containers": [{"name": "a", "image": "x:2"}], "tolerations": [{"key": "z"}]
            }}}}),
        );
        let spec = out.at("spec.template.spec");
        assert_eq!(spec.list("containers")[0].text("name"), "b");
        assert_eq!(
            spec.list("containers")[1],
            json!({"name": "a", "image": "x:2", "ports": [{"containerPort": 1}]})
        );
        assert_eq!(spec.list("tolerations"), [json!({"key": "z"})]);
    }

    #[test]
    fn directives_delete_replace_and_retain() {
        let doc = json!({"metadata": {"finalizers": ["a", "b"]}, "spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}}});
        let out = patched(
            doc,
            &json!({
                "metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]},
                "spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"},
                    "template": {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}}}),
        );
        assert_eq!(out.at("metadata.finalizers"), &json!(["b"]));
        assert_eq!(out.at("spec.strategy"), &json!({"type": "Recreate"}));
        assert_eq!(out.at("spec.template.spec.containers"), &json!([{"name": "b"}]));
    }
}
