//! Taking fields back: an approved plan that says which fields somebody else changed may overrule just these.

use plinth_provider::{Path, Value};

/// Whether a field in dispute, as a conflict spells it (`spec.containers[name="web"].image`), lies at or below one of
/// the paths that the plan takes back.
pub(super) fn is_planned(field: &str, inputs: &Value, planned: &[Path]) -> bool {
    let Some(path) = locate(field, inputs) else { return false };
    planned.iter().any(|allowed| allowed.contains(&path))
}

/// The field's path in the inputs. Keys with dots are told from nested ones by what the inputs hold.
fn locate(field: &str, inputs: &Value) -> Option<Path> {
    let mut path = Path::root();
    let mut value = inputs;
    let mut rest = field;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        match value {
            Value::Secret(inner) => value = inner,
            Value::Map(map) => {
                let fits = |key: &&String| {
                    rest.strip_prefix(key.as_str())
                        .is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
                };
                let key = map.keys().filter(fits).max_by_key(|key| key.len())?;
                path = path.key(key.as_str());
                value = &map[key];
                rest = &rest[key.len()..];
            }
            Value::List(list) => {
                let (keys, after) = rest.strip_prefix('[')?.split_once(']')?;
                let at = list.iter().position(|item| is_item(keys, item))?;
                path = path.index(at);
                value = &list[at];
                rest = after;
            }
            _ => return None,
        }
    }
    Some(path)
}

/// Whether `name="web",port=80` are the keys of a list's item, or `="x"` is the item itself. What the item leaves out
/// is what the server fills in, so it does not count against it.
fn is_item(keys: &str, item: &Value) -> bool {
    keys.split(',').all(|pair| {
        let Some((key, wanted)) = pair.split_once('=') else { return false };
        let found = if key.is_empty() { Some(item) } else { item.get(key) };
        found.is_none_or(|found| {
            let text = found.expose().to_string();
            text == wanted
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conflicts_are_found_in_the_inputs() {
        let inputs = Value::from_json(json!({
            "metadata": {"annotations": {"a.b/c": "1"}, "finalizers": ["x"]},
            "spec": {"containers": [{"name": "a"}, {"name": "web", "image": "i", "ports": [{"containerPort": 80}]}]},
        }));
        let planned =
            [Path::parse("spec.containers[1].image"), Path::parse("metadata.annotations[\"a.b/c\"]")];
        assert!(is_planned("spec.containers[name=\"web\"].image", &inputs, &planned));
        assert!(is_planned(".metadata.annotations.a.b/c", &inputs, &planned));
        assert!(!is_planned("spec.containers[name=\"a\"].image", &inputs, &planned));
        assert!(!is_planned("spec.containers[name=\"web\"].ports", &inputs, &planned));
        assert!(!is_planned("spec.replicas", &inputs, &planned));
        assert_eq!(
            locate(
                "spec.containers[name=\"web\"].ports[containerPort=80,protocol=\"TCP\"].containerPort",
                &inputs
            ),
            Some(Path::parse("spec.containers[1].ports[0].containerPort"))
        );
        assert_eq!(
            locate("metadata.finalizers[=\"x\"]", &inputs),
            Some(Path::parse("metadata.finalizers[0]"))
        );
    }
}
