//! The rules of custom resources: expressions in the Common Expression Language over an object and what it was.
//!
//! A rule that uses a function which only the real server knows (quantities, addresses, formats) is not asked: an
//! embedded server that let everything through would be of no use, and one that refused what a real one takes
//! would be worse.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cel::{Context, ExecutionError, Program, Value};

use super::json::{Json, Look};
use super::status::Cause;

const RULES: &str = "x-kubernetes-validations";

/// Why an expression is none; nothing when it is one.
pub(crate) fn fault(expression: &str) -> Option<String> {
    compiled(expression).err()
}

type Compiled = Result<Arc<Program>, String>;

/// Expressions are few and asked often.
fn compiled(expression: &str) -> Compiled {
    static KNOWN: OnceLock<Mutex<HashMap<String, Compiled>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    if let Some(found) = known.lock().unwrap_or_else(PoisonError::into_inner).get(expression) {
        return found.clone();
    }
    let fresh: Compiled = Program::compile(expression).map(Arc::new).map_err(|error| error.to_string());
    known.lock().unwrap_or_else(PoisonError::into_inner).insert(expression.to_owned(), fresh.clone());
    fresh
}

/// Whether there is a rule anywhere in a schema.
pub(crate) fn has_rules(schema: &Json) -> bool {
    if !schema.list(RULES).is_empty() {
        return true;
    }
    let below = schema.map("properties").into_iter().flatten().any(|(_, s)| has_rules(s));
    below || ["items", "additionalProperties"].iter().any(|k| schema.get(*k).is_some_and(has_rules))
}

/// Asks the rules of a schema. With `old`, only those that look at what was there before; without, all others.
pub(crate) fn check(value: &Json, old: Option<&Json>, schema: &Json, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() {
        return;
    }
    for rule in schema.list(RULES) {
        let compares = rule.text("rule").contains("oldSelf");
        if compares == old.is_some() {
            causes.extend(ask(rule, value, old, path));
        }
    }
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, inner) in schema.map("properties").into_iter().flatten() {
        let before = old.map(|o| o.get(key).unwrap_or(&Json::Null));
        // What was not there has no past to be compared with.
        if before.is_none_or(|b| !b.is_null())
            && let Some(found) = value.get(key)
        {
            check(found, before, inner, &join(key), causes);
        }
    }
    if let Some(inner @ Json::Object(_)) = schema.get("additionalProperties") {
        for (key, found) in value.as_object().into_iter().flatten() {
            let before = old.map(|o| o.get(key).unwrap_or(&Json::Null));
            if before.is_none_or(|b| !b.is_null()) {
                check(found, before, inner, &format!("{path}[{key}]"), causes);
            }
        }
    }
    let keys: Vec<&str> = schema.list("x-kubernetes-list-map-keys").iter().filter_map(Json::as_str).collect();
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        let same = |other: &&Json| keys.iter().all(|k| other.at(k) == item.at(k));
        let before = match old {
            // Only items with keys can be told apart.
            Some(old) if !keys.is_empty() => match old.as_array().into_iter().flatten().find(same) {
                Some(found) => Some(found),
                None => continue,
            },
            Some(_) => continue,
            None => None,
        };
        check(item, before, schema.at("items"), &format!("{path}[{index}]"), causes);
    }
}

fn ask(rule: &Json, value: &Json, old: Option<&Json>, path: &str) -> Option<Cause> {
    let program = compiled(rule.text("rule")).ok()?;
    let mut context = Context::default();
    context.add_variable("self", value.clone()).ok()?;
    if let Some(old) = old {
        context.add_variable("oldSelf", old.clone()).ok()?;
    }
    let why = match program.execute(&context) {
        Ok(Value::Bool(true)) => return None,
        Ok(_) => message(rule, &context),
        Err(ExecutionError::NoSuchKey(key)) => {
            format!("no such key: {key} evaluating rule: {}", message(rule, &context))
        }
        Err(error) => {
            tracing::debug!(%error, rule = rule.text("rule"), "a rule that cannot be asked here");
            return None;
        }
    };
    let field = match rule.text("fieldPath") {
        "" => path.to_owned(),
        below => format!("{path}{below}"),
    };
    let mut cause = match value {
        // The real server quotes no value that has parts.
        Json::Object(_) | Json::Array(_) => Cause::plain(field, &why),
        scalar => Cause::invalid(field, scalar, &why),
    };
    match rule.text("reason") {
        "FieldValueForbidden" => cause = Cause::forbidden(cause.field, &why),
        "FieldValueRequired" => cause = Cause::required(cause.field, &why),
        "FieldValueDuplicate" => cause = Cause::duplicate(cause.field, value),
        _ => {}
    }
    Some(cause)
}

fn message(rule: &Json, context: &Context<'_, '_>) -> String {
    let made = compiled(rule.text("messageExpression")).ok().filter(|_| rule.has("messageExpression"));
    if let Some(Ok(Value::String(text))) = made.map(|program| program.execute(context)) {
        return text.to_string();
    }
    match rule.text("message") {
        "" => format!("failed rule: {}", rule.text("rule")),
        given => given.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn causes(value: &Json, old: Option<&Json>) -> Vec<(String, String)> {
        let schema = json!({"type": "object", RULES: [{"rule": "self.a <= self.b", "message": "a must not exceed b"}],
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"},
                "fixed": {"type": "string", RULES: [{"rule": "self == oldSelf"}]},
                "odd": {"type": "string", RULES: [{"rule": "quantity(self).isLessThan(quantity('1'))"}]}}});
        let mut causes = Vec::new();
        check(value, old, &schema, "spec", &mut causes);
        causes.into_iter().map(|c| (c.field, c.detail)).collect()
    }

    #[test]
    fn rules_are_asked_and_what_they_compare_waits_for_a_change() {
        let good = json!({"a": 1, "b": 2, "fixed": "x", "odd": "5"});
        assert!(causes(&good, None).is_empty());
        let bad = causes(&json!({"a": 3, "b": 2}), None);
        assert_eq!(bad, [("spec".to_owned(), "Invalid value: a must not exceed b".to_owned())]);
        let changed = causes(&json!({"a": 1, "b": 2, "fixed": "y"}), Some(&good));
        let why = "Invalid value: \"y\": failed rule: self == oldSelf";
        assert_eq!(changed, [("spec.fixed".to_owned(), why.to_owned())]);
        assert!(fault("self.a >").is_some());
        assert!(fault("self.a > 1").is_none());
    }
}
