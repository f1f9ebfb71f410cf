//! Objects with their types: which paths they hold, whether they fit, how they merge, differ and lose fields.

use std::collections::HashMap;

use super::super::json::{Json, Map, same};
use super::super::schema::{ListKind, Scalar, Shape, TypeRef};
use super::set::{Fields, show};

/// The shape that a value has to be treated as, once `Any` has been read off the value.
enum Form<'a> {
    Leaf,
    Object,
    Items(&'a ListKind),
}

const ATOMIC: ListKind = ListKind::Atomic;

fn form<'a>(of: &'a TypeRef, value: &Json) -> Form<'a> {
    match (&of.node().shape, value) {
        (Shape::Any, Json::Object(_)) | (Shape::Object { .. }, _) if !of.node().atomic => Form::Object,
        (Shape::List { kind, .. }, _) if *kind != ATOMIC => Form::Items(kind),
        _ => Form::Leaf,
    }
}

/// The path element that identifies an item of an associative list.
pub(crate) fn element(kind: &ListKind, item: &Json) -> Option<String> {
    match kind {
        ListKind::Atomic => None,
        ListKind::Set => Some(format!("v:{item}")),
        ListKind::Map(keys) => {
            let mut sorted: Vec<_> = keys.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            let mut map = Map::new();
            let mut found = false;
            for (key, default) in sorted {
                match item.get(key).filter(|v| !v.is_null()).or(default.as_ref()) {
                    Some(value) => {
                        found |= item.get(key).is_some();
                        map.insert(key.clone(), value.clone());
                    }
                    None if keys.len() > 1 => {}
                    None => return None,
                }
            }
            // The items of built-in lists always have a key, if only an empty one.
            let defaulted = keys.iter().all(|(_, default)| default.is_some());
            (found || defaulted).then(|| format!("k:{}", Json::Object(map)))
        }
    }
}

/// The set of paths that an object mentions.
pub(crate) fn field_set(value: &Json, of: &TypeRef) -> Fields {
    let mut out = Fields::default();
    match (form(of, value), value) {
        (Form::Object, Json::Object(map)) => {
            for (key, inner) in map {
                let Some(t) = of.field(key) else { continue };
                let mut child = field_set(inner, &t);
                if inner.is_null() || inner.as_object().is_some_and(Map::is_empty) || !of.declares(key) {
                    child.here = true;
                }
                out.children.insert(format!("f:{key}"), child);
            }
        }
        // An empty list of items is nothing; an empty map is owned as a whole.
        (Form::Items(kind), Json::Array(items)) => {
            let Some(t) = of.item() else { return out };
            for item in items {
                if let Some(pe) = element(kind, item) {
                    let mut child = field_set(item, &t);
                    child.here = true;
                    out.children.insert(pe, child);
                }
            }
        }
        _ => out.here = true,
    }
    out
}

/// Why an object does not fit its type, each with its path, in the words of the typed-patch errors.
pub(crate) fn misfits(value: &Json, of: &TypeRef) -> Vec<String> {
    let mut out = Vec::new();
    misfit(value, of, &mut Vec::new(), &mut out);
    out
}

fn misfit(value: &Json, of: &TypeRef, path: &mut Vec<String>, out: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    let at = |path: &[String], what: String| format!("{}: {what}", show(path));
    match (&of.node().shape, value) {
        (Shape::Any, _) => {}
        (Shape::Object { .. }, Json::Object(map)) => {
            for (key, inner) in map {
                path.push(format!("f:{key}"));
                match of.field(key) {
                    Some(t) => misfit(inner, &t, path, out),
                    None => out.push(at(path, "field not declared in schema".into())),
                }
                path.pop();
            }
        }
        (Shape::Object { .. }, other) => {
            out.push(at(path, format!("expected map, got &{{{}}}", plain(other))));
        }
        (Shape::List { kind, .. }, Json::Array(items)) => {
            let Some(t) = of.item() else { return };
            let mut seen: HashMap<String, usize> = HashMap::new();
            for (index, item) in items.iter().enumerate() {
                let pe = match (kind, element(kind, item)) {
                    (ListKind::Atomic, _) => format!("i:{index}"),
                    (_, Some(pe)) => {
                        if seen.insert(pe.clone(), index).is_some() {
                            let shown = show(std::slice::from_ref(&pe));
                            out.push(at(path, format!("duplicate entries for key {shown}")));
                        }
                        pe
                    }
                    (ListKind::Map(keys), None) => {
                        let key = keys.first().map_or("", |k| k.0.as_str());
                        out.push(at(
                            path,
                            format!("element {index}: associative list with keys has an element that omits key field {key:?} (and doesn't have default value)"),
                        ));
                        continue;
                    }
                    (ListKind::Set, None) => continue,
                };
                path.push(pe);
                misfit(item, &t, path, out);
                path.pop();
            }
        }
        (Shape::List { .. }, other) => {
            out.push(at(path, format!("expected list, got &{{{}}}", plain(other))));
        }
        (Shape::Scalar(scalar), other) => {
            let wrong = match scalar {
                Scalar::String | Scalar::Bytes | Scalar::Time if !other.is_string() => {
                    format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(other))
                }
                Scalar::Integer { .. } | Scalar::Number if !other.is_number() => {
                    format!("expected numeric (int or float), got {}", go_type(other))
                }
                Scalar::Boolean if !other.is_boolean() => {
                    format!("expected boolean, got &{{{}}}", plain(other))
                }
                Scalar::Quantity | Scalar::IntOrString if other.is_array() || other.is_object() => {
                    format!("expected any scalar, got &{{{}}}", plain(other))
                }
                _ => return,
            };
            out.push(at(path, wrong));
        }
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(s) => s.clone(),
        Json::Object(map) => {
            let parts: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", plain(v))).collect();
            format!("map[{}]", parts.join(" "))
        }
        Json::Array(list) => format!("[{}]", list.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Json::Null => "<nil>".into(),
        other => other.to_string(),
    }
}

fn go_type(value: &Json) -> &'static str {
    match value {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(n) if n.is_f64() => "float64",
        Json::Number(_) => "int64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    }
}

fn go_syntax(value: &Json) -> String {
    match value {
        Json::Object(map) => {
            let parts: Vec<String> = map.iter().map(|(k, v)| format!("{k:?}:{}", go_syntax(v))).collect();
            format!("map[string]interface {{}}{{{}}}", parts.join(", "))
        }
        Json::Array(list) => {
            format!("[]interface {{}}{{{}}}", list.iter().map(go_syntax).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Several misfits as one message.
pub(crate) fn misfit_text(misfits: &[String]) -> String {
    let mut misfits = misfits.to_vec();
    misfits.sort();
    misfits.dedup();
    match misfits.as_slice() {
        [one] => one.clone(),
        many => format!("errors:\n{}", many.iter().map(|m| format!("  {m}")).collect::<Vec<_>>().join("\n")),
    }
}

/// Lays `over` on top of `base`.
pub(crate) fn merge(base: Option<&Json>, over: Option<&Json>, of: &TypeRef) -> Option<Json> {
    let (Some(left), Some(right)) = (base, over) else { return over.or(base).cloned() };
    match (form(of, right), left, right) {
        (Form::Object, Json::Object(a), Json::Object(b)) => {
            let mut out = Map::new();
            for (key, value) in a {
                let merged = of.field(key).and_then(|t| merge(Some(value), b.get(key), &t));
                if let Some(merged) = merged.or_else(|| b.get(key).or(Some(value)).cloned()) {
                    out.insert(key.clone(), merged);
                }
            }
            for (key, value) in b.iter().filter(|(k, _)| !a.contains_key(*k)) {
                out.insert(key.clone(), value.clone());
            }
            Some(Json::Object(out))
        }
        (Form::Object, Json::Object(a), Json::Null) if !a.is_empty() => Some(left.clone()),
        (Form::Items(_), Json::Array(a), Json::Null) if !a.is_empty() => Some(left.clone()),
        (Form::Items(kind), Json::Array(a), Json::Array(b)) => {
            let t = of.item()?;
            Some(Json::Array(merge_items(kind, a, b, &t)))
        }
        _ => Some(right.clone()),
    }
}

/// Keeps the order of the right side for what it names, and slots what only the left side has in between.
fn merge_items(kind: &ListKind, left: &[Json], right: &[Json], t: &TypeRef) -> Vec<Json> {
    let index = |items: &[Json]| -> (Vec<String>, HashMap<String, usize>) {
        let names: Vec<String> =
            items.iter().enumerate().map(|(i, x)| element(kind, x).unwrap_or(format!("i:{i}"))).collect();
        let mut first = HashMap::new();
        for (i, name) in names.iter().enumerate() {
            first.entry(name.clone()).or_insert(i);
        }
        (names, first)
    };
    let (lnames, lindex) = index(left);
    let (rnames, rindex) = index(right);
    let mut shared = rnames.iter().filter(|n| lindex.contains_key(*n));
    let mut next = shared.next();
    let mut merged: Vec<&String> = Vec::new();
    let mut out = Vec::new();
    let join =
        |name: &String| merge(lindex.get(name).map(|i| &left[*i]), rindex.get(name).map(|i| &right[*i]), t);
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if l < left.len() && r < right.len() {
            if lnames[l] == rnames[r] {
                out.extend(join(&lnames[l]));
                merged.push(&lnames[l]);
                (l, r) = (l + 1, r + 1);
                next = shared.next();
                continue;
            }
            if rindex.contains_key(&lnames[l]) && next.is_some_and(|n| *n != lnames[l]) {
                l += 1;
                continue;
            }
        }
        if l < left.len() {
            if !rindex.contains_key(&lnames[l]) {
                out.push(left[l].clone());
                l += 1;
                continue;
            }
            if merged.contains(&&lnames[l]) {
                l += 1;
            }
        }
        if r < right.len() {
            out.extend(join(&rnames[r]));
            merged.push(&rnames[r]);
            if next == Some(&rnames[r]) {
                next = shared.next();
            }
            r += 1;
        }
    }
    out
}

/// How two objects differ, as sets of paths.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub added: Fields,
    pub modified: Fields,
    pub removed: Fields,
}

/// Compares two objects of one type.
pub(crate) fn compare(old: &Json, new: &Json, of: &TypeRef) -> Comparison {
    let mut out = Comparison::default();
    differ(Some(old), Some(new), of, &mut Vec::new(), &mut out);
    out
}

fn differ(
    old: Option<&Json>,
    new: Option<&Json>,
    of: &TypeRef,
    path: &mut Vec<String>,
    out: &mut Comparison,
) {
    let Some(sample) = new.or(old) else { return };
    let empty = |v: Option<&Json>| match v {
        Some(Json::Object(m)) => m.is_empty(),
        Some(Json::Array(a)) => a.is_empty(),
        Some(Json::Null) | None => true,
        _ => false,
    };
    let mismatch = match (old, new) {
        (Some(a), Some(b)) => {
            !a.is_null() && !b.is_null() && std::mem::discriminant(a) != std::mem::discriminant(b)
        }
        _ => false,
    };
    let form = if mismatch || (empty(old) && empty(new)) { Form::Leaf } else { form(of, sample) };
    match form {
        Form::Leaf => {
            match (old, new) {
                (None, _) => out.added.insert(path),
                (_, None) => out.removed.insert(path),
                (Some(a), Some(b)) if !same(a, b) => out.modified.insert(path),
                _ => {}
            }
            return;
        }
        Form::Object => {
            let nothing = Map::new();
            let a = old.and_then(Json::as_object).unwrap_or(&nothing);
            let b = new.and_then(Json::as_object).unwrap_or(&nothing);
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                let Some(t) = of.field(key) else { continue };
                path.push(format!("f:{key}"));
                differ(a.get(key), b.get(key), &t, path, out);
                path.pop();
            }
        }
        Form::Items(kind) => {
            let Some(t) = of.item() else { return };
            let index = |v: Option<&Json>| -> Vec<(String, Json)> {
                let items = v.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
                items.iter().filter_map(|i| Some((element(kind, i)?, i.clone()))).collect()
            };
            let (a, b) = (index(old), index(new));
            let find = |items: &[(String, Json)], name: &str| -> Option<usize> {
                items.iter().position(|(n, _)| n == name)
            };
            for (i, (name, item)) in a.iter().enumerate() {
                if find(&a, name) != Some(i) {
                    continue;
                }
                path.push(name.clone());
                differ(Some(item), find(&b, name).map(|i| &b[i].1), &t, path, out);
                path.pop();
            }
            for (i, (name, item)) in b.iter().enumerate() {
                if find(&a, name).is_some() || find(&b, name) != Some(i) {
                    continue;
                }
                path.push(name.clone());
                differ(None, Some(item), &t, path, out);
                path.pop();
            }
        }
    }
    match (old, new) {
        (None, Some(_)) => out.added.insert(path),
        (Some(_), None) => out.removed.insert(path),
        _ => {}
    }
}

/// Takes the paths of a set out of an object. What becomes empty by that goes too.
pub(crate) fn remove(value: &Json, of: &TypeRef, set: &Fields) -> Option<Json> {
    match (form(of, value), value) {
        (Form::Object, Json::Object(map)) => {
            let mut out = Map::new();
            for (key, inner) in map {
                let kept = match (set.children.get(&format!("f:{key}")), of.field(key)) {
                    (Some(cut), _) if cut.here => None,
                    (Some(cut), Some(t)) if !cut.is_empty() => remove(inner, &t, cut),
                    _ => Some(inner.clone()),
                };
                if let Some(kept) = kept {
                    out.insert(key.clone(), kept);
                }
            }
            (!out.is_empty() || map.is_empty()).then_some(Json::Object(out))
        }
        (Form::Items(kind), Json::Array(items)) => {
            let t = of.item()?;
            let mut out = Vec::new();
            for item in items {
                let cut = element(kind, item).and_then(|pe| set.children.get(&pe));
                out.extend(match cut {
                    Some(cut) if cut.here => None,
                    Some(cut) if !cut.is_empty() => remove(item, &t, cut),
                    _ => Some(item.clone()),
                });
            }
            (!out.is_empty() || items.is_empty()).then_some(Json::Array(out))
        }
        _ => Some(value.clone()),
    }
}

/// Marks declared fields that have something below them as members too, so that a struct goes with its last field.
pub(crate) fn with_named(set: &Fields, of: &TypeRef) -> Fields {
    let mut out = Fields { here: set.here, ..Fields::default() };
    for (pe, child) in &set.children {
        let t = match pe.strip_prefix("f:") {
            Some(field) => of.field(field),
            None => of.item(),
        };
        let mut inner = match &t {
            Some(t) => with_named(child, t),
            None => child.clone(),
        };
        let named = pe.strip_prefix("f:").is_some_and(|field| of.declares(field));
        inner.here |= named && !inner.children.is_empty();
        out.children.insert(pe.clone(), inner);
    }
    out
}
