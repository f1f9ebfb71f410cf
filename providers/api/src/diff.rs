//! The structural difference between two values.

use serde::Serialize;

use crate::{Path, Pattern, Value};

/// One place where two values differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Where.
    pub path: Path,
    /// What was there; absent when it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What will be there; absent when it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Where `after` differs from `before`, in path order. Lists are compared by position; something unknown always
/// differs.
pub fn changes(before: &Value, after: &Value) -> Vec<Change> {
    changes_with_sets(before, after, &[])
}

/// Like [`changes`], but the lists that a pattern of `sets` names are compared without regard to order.
pub fn changes_with_sets(before: &Value, after: &Value, sets: &[Pattern]) -> Vec<Change> {
    let mut found = Vec::new();
    walk(&Path::root(), Some(before), Some(after), sets, &mut found);
    found
}

fn unwrap(value: &Value) -> (&Value, bool) {
    match value {
        Value::Secret(inner) => (unwrap(inner).0, true),
        plain => (plain, false),
    }
}

fn walk(
    path: &Path,
    before: Option<&Value>,
    after: Option<&Value>,
    sets: &[Pattern],
    found: &mut Vec<Change>,
) {
    if before == after && !after.is_some_and(Value::has_unknown) {
        return;
    }
    if let (Some(before), Some(after)) = (before, after) {
        let ((old, old_secret), (new, new_secret)) = (unwrap(before), unwrap(after));
        match (old, new) {
            // A value that merely became secret (or stopped being one) is the same value to the system.
            _ if old == new && !new.has_unknown() => return,
            _ if old_secret || new_secret => {}
            (Value::Map(old), Value::Map(new)) => {
                let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
                for key in keys {
                    walk(&path.key(key.as_str()), old.get(key), new.get(key), sets, found);
                }
                return;
            }
            (Value::List(old), Value::List(new)) => {
                if sets.iter().any(|set| set.covers(path)) && same_members(old, new) {
                    return;
                }
                for index in 0..old.len().max(new.len()) {
                    walk(&path.index(index), old.get(index), new.get(index), sets, found);
                }
                return;
            }
            _ => {}
        }
    }
    found.push(Change { path: path.clone(), before: before.cloned(), after: after.cloned() });
}

fn same_members(old: &[Value], new: &[Value]) -> bool {
    let sorted = |list: &[Value]| {
        let mut texts: Vec<String> = list.iter().map(|value| value.expose().to_string()).collect();
        texts.sort_unstable();
        texts
    };
    !new.iter().any(Value::has_unknown) && sorted(old) == sorted(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_paths() {
        let before = Value::from([("a", Value::from(vec![1, 2])), ("b", "x".into())]);
        let after = Value::from([("a", Value::from(vec![1, 3])), ("c", "y".into())]);
        let paths: Vec<String> =
            changes(&before, &after).iter().map(|change| change.path.to_string()).collect();
        assert_eq!(paths, ["a[1]", "b", "c"]);
        assert!(changes(&before, &before.clone()).is_empty());
    }

    #[test]
    fn unknown_always_differs_and_secrets_compare_by_content() {
        assert_eq!(changes(&Value::Unknown, &Value::Unknown).len(), 1);
        assert!(changes(&Value::secret("a"), &"a".into()).is_empty());
        assert_eq!(changes(&Value::secret("a"), &Value::secret("b")).len(), 1);
    }

    #[test]
    fn sets_ignore_order() {
        let (before, after) = (Value::from([("s", vec![1, 2])]), Value::from([("s", vec![2, 1])]));
        assert_eq!(changes(&before, &after).len(), 2);
        assert!(changes_with_sets(&before, &after, &[Pattern::parse("s")]).is_empty());
    }
}
