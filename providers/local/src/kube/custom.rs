//! Custom resources against their structural schema: pruning, defaults and validation.

use super::cel;
use super::json::{Json, Look, json, same};
use super::status::Cause;

const OBJECT_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops what the schema does not know.
pub(crate) fn prune(value: &mut Json, schema: &Json) {
    prune_at(value, schema, true);
}

fn prune_at(value: &mut Json, schema: &Json, object: bool) {
    match value {
        Json::Object(map) => {
            let preserve = schema.yes("x-kubernetes-preserve-unknown-fields");
            let properties = schema.at("properties");
            let extra = schema.get("additionalProperties");
            let free = matches!(extra, Some(Json::Bool(true)));
            map.retain(|key, inner| {
                if object && OBJECT_FIELDS.contains(&key.as_str()) {
                    return true;
                }
                if let Some(found) = properties.get(key) {
                    prune_at(inner, found, found.yes("x-kubernetes-embedded-resource"));
                } else if let Some(found @ Json::Object(_)) = extra {
                    prune_at(inner, found, found.yes("x-kubernetes-embedded-resource"));
                } else {
                    return preserve || free;
                }
                true
            });
        }
        Json::Array(items) => {
            let inner = schema.at("items");
            items.iter_mut().for_each(|i| prune_at(i, inner, inner.yes("x-kubernetes-embedded-resource")));
        }
        _ => {}
    }
}

/// Fills in defaults; a null that the schema does not allow counts as absent where there is a default.
pub(crate) fn fill(value: &mut Json, schema: &Json) {
    match value {
        Json::Object(map) => {
            for (key, inner) in schema.map("properties").into_iter().flatten() {
                if let Some(default) = inner.get("default") {
                    let absent = match map.get(key) {
                        None => true,
                        Some(found) => found.is_null() && !inner.yes("nullable"),
                    };
                    if absent {
                        map.insert(key.clone(), default.clone());
                    }
                }
                if let Some(found) = map.get_mut(key) {
                    fill(found, inner);
                }
            }
            if let Some(inner @ Json::Object(_)) = schema.get("additionalProperties") {
                let properties = schema.at("properties");
                for (_, found) in map.iter_mut().filter(|(k, _)| properties.get(k.as_str()).is_none()) {
                    fill(found, inner);
                }
            }
        }
        Json::Array(items) => {
            let inner = schema.at("items");
            items.iter_mut().for_each(|i| fill(i, inner));
        }
        _ => {}
    }
}

/// What the schema finds wrong, and then its rules. Rules that compare with what was there before are for
/// [`transitions`].
pub(crate) fn validate(value: &Json, schema: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    check(value, schema, "", &mut causes);
    // Items that are there twice do not keep the rules from being asked.
    let blocked = causes.iter().any(|c| c.reason != "FieldValueDuplicate");
    match (blocked, cel::has_rules(schema)) {
        (true, true) => causes.push(Cause::invalid(
            "<nil>",
            &Json::Null,
            "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
        )),
        (false, true) => cel::check(value, None, schema, "", &mut causes),
        _ => {}
    }
    causes
}

/// What the rules find wrong that compare an object with what it was.
pub(crate) fn transitions(old: &Json, new: &Json, schema: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    if cel::has_rules(schema) {
        cel::check(new, Some(old), schema, "", &mut causes);
    }
    causes
}

/// What is wrong with the counts behind a scale subresource.
pub(crate) fn scale(value: &Json, path: &str) -> Option<Cause> {
    let found = value.at(path.trim_start_matches('.'));
    match found {
        Json::Null => None,
        Json::Number(n) if n.as_i64().is_some_and(|n| n < 0) => {
            Some(Cause::invalid(path, found, "should be a non-negative integer"))
        }
        Json::Number(_) => None,
        other => {
            let why = format!("{path} accessor error: x is of the type {}, expected int64", type_name(other));
            Some(Cause::invalid(path, &json!(0), &why))
        }
    }
}

fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(n) if n.is_f64() && n.as_f64().is_some_and(|f| f.fract() != 0.0) => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn check(value: &Json, schema: &Json, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() {
        if !schema.yes("nullable") && schema.has("type") {
            let why = format!("{} in body must be of type {}: \"null\"", path, schema.text("type"));
            causes.push(Cause::wrong_type(path, "null", &why));
        }
        return;
    }
    let got = type_name(value);
    let want = schema.text("type");
    let fits = want.is_empty()
        || want == got
        || (want == "number" && got == "integer")
        || (schema.yes("x-kubernetes-int-or-string") && matches!(got, "integer" | "string"));
    if !fits {
        let why = format!("{path} in body must be of type {want}: {:?}", got);
        causes.push(Cause::wrong_type(path, got, &why));
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Json::as_array)
        && !allowed.iter().any(|a| same(a, value))
    {
        let texts: Vec<&str> = allowed.iter().filter_map(Json::as_str).collect();
        causes.push(Cause::unsupported(path, value, &texts));
    }
    match value {
        Json::String(text) => strings(text, value, schema, path, causes),
        Json::Number(n) => numbers(n.as_f64().unwrap_or_default(), value, schema, path, causes),
        Json::Array(items) => arrays(items, value, schema, path, causes),
        Json::Object(map) => {
            let properties = schema.at("properties");
            for required in schema.list("required").iter().filter_map(Json::as_str) {
                if !map.contains_key(required) {
                    causes.push(Cause::required(join(path, required), ""));
                }
            }
            for (key, inner) in map {
                if let Some(s) = properties.get(key) {
                    if !(path.is_empty() && OBJECT_FIELDS.contains(&key.as_str())) {
                        check(inner, s, &join(path, key), causes);
                    }
                } else if let Some(s @ Json::Object(_)) = schema.get("additionalProperties") {
                    check(inner, s, &join(path, key), causes);
                }
            }
            let count = map.len() as u64;
            if schema.at("minProperties").as_u64().is_some_and(|m| count < m) {
                let why =
                    format!("{path} in body should have at least {} properties", schema.at("minProperties"));
                causes.push(Cause::invalid(path, value, &why));
            }
            if schema.at("maxProperties").as_u64().is_some_and(|m| count > m) {
                causes.push(Cause::too_many(path, count, schema.at("maxProperties")));
            }
        }
        _ => {}
    }
    combined(value, schema, path, causes);
}

fn strings(text: &str, value: &Json, schema: &Json, path: &str, causes: &mut Vec<Cause>) {
    let length = text.chars().count() as u64;
    // Only the first of these is told.
    if schema.at("maxLength").as_u64().is_some_and(|m| length > m) {
        causes.push(Cause::too_long(path, &format!("may not be more than {} bytes", schema.at("maxLength"))));
    } else if schema.at("minLength").as_u64().is_some_and(|m| length < m) {
        let why = format!("{path} in body should be at least {} chars long", schema.at("minLength"));
        causes.push(Cause::invalid(path, value, &why));
    } else if let Some(pattern) = schema.at("pattern").as_str()
        && regex::Regex::new(pattern).is_ok_and(|m| !m.is_match(text))
    {
        let why = format!("{path} in body should match '{pattern}'");
        causes.push(Cause::invalid(path, value, &why));
    }
    if schema.text("format") == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
        let why = format!("{path} in body must be of type date-time: {text:?}");
        causes.push(Cause::wrong_type(path, text, &why));
    }
}

fn numbers(n: f64, value: &Json, schema: &Json, path: &str, causes: &mut Vec<Cause>) {
    let exclusive = |key: &str| schema.yes(key);
    if let Some(min) = schema.at("minimum").as_f64()
        && (n < min || (exclusive("exclusiveMinimum") && n <= min))
    {
        let sign = if exclusive("exclusiveMinimum") { "greater than" } else { "greater than or equal to" };
        causes.push(Cause::invalid(
            path,
            value,
            &format!("{path} in body should be {sign} {}", schema.at("minimum")),
        ));
    }
    if let Some(max) = schema.at("maximum").as_f64()
        && (n > max || (exclusive("exclusiveMaximum") && n >= max))
    {
        let sign = if exclusive("exclusiveMaximum") { "less than" } else { "less than or equal to" };
        causes.push(Cause::invalid(
            path,
            value,
            &format!("{path} in body should be {sign} {}", schema.at("maximum")),
        ));
    }
}

fn arrays(items: &[Json], value: &Json, schema: &Json, path: &str, causes: &mut Vec<Cause>) {
    let count = items.len() as u64;
    if schema.at("minItems").as_u64().is_some_and(|m| count < m) {
        let why = format!("{path} in body should have at least {} items", schema.at("minItems"));
        causes.push(Cause::invalid(path, value, &why));
    }
    if schema.at("maxItems").as_u64().is_some_and(|m| count > m) {
        causes.push(Cause::too_many(path, count, schema.at("maxItems")));
    }
    for (index, item) in items.iter().enumerate() {
        check(item, schema.at("items"), &format!("{path}[{index}]"), causes);
    }
    let keys: Vec<&str> = schema.list("x-kubernetes-list-map-keys").iter().filter_map(Json::as_str).collect();
    let unique = schema.text("x-kubernetes-list-type");
    if unique == "set" || (unique == "map" && !keys.is_empty()) {
        let identity = |item: &Json| match unique {
            "set" => item.clone(),
            _ => Json::Object(keys.iter().map(|k| ((*k).to_owned(), item.at(k).clone())).collect()),
        };
        for (index, item) in items.iter().enumerate() {
            if items[..index].iter().any(|other| same(&identity(other), &identity(item))) {
                causes.push(Cause::duplicate(format!("{path}[{index}]"), &identity(item)));
            }
        }
    }
}

fn combined(value: &Json, schema: &Json, path: &str, causes: &mut Vec<Cause>) {
    let passes = |s: &Json| {
        let mut inner = Vec::new();
        check(value, s, path, &mut inner);
        inner.is_empty()
    };
    for s in schema.list("allOf") {
        check(value, s, path, causes);
    }
    // These speak of the whole, and so name no field.
    let mut say = |why: String| causes.push(Cause::invalid("<nil>", &json!(""), &why));
    let any = schema.list("anyOf");
    if !any.is_empty() && !any.iter().any(passes) {
        say(format!("{path:?} must validate at least one schema (anyOf)"));
        check(value, &any[0], path, causes);
    }
    let one = schema.list("oneOf");
    let fitting = one.iter().filter(|s| passes(s)).count();
    let mut say = |why: String| causes.push(Cause::invalid("<nil>", &json!(""), &why));
    if !one.is_empty() && fitting != 1 {
        let found =
            if fitting == 0 { "none valid".to_owned() } else { format!("{fitting} valid alternatives") };
        say(format!("{path:?} must validate one and only one schema (oneOf). Found {found}"));
        if fitting == 0 {
            check(value, &one[0], path, causes);
        }
    }
    if let Some(not) = schema.get("not")
        && passes(not)
    {
        let why = format!("{path:?} must not validate the schema (not)");
        causes.push(Cause::invalid("<nil>", &json!(""), &why));
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
