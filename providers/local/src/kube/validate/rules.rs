//! Rules of single fields, and how they are put to an object. The tables of them stand in `fields.rs` and `podfields.rs`.
//!
//! Paths are dotted; `[]` after a part goes through a list. A rule about something that must be there holds wherever its
//! parent is.

use super::super::json::{Json, Look, json};
use super::super::quantity::Quantity;
use super::super::status::Cause;
use super::names;

/// What must hold of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// It is there and not empty; else this is said.
    Need(&'static str),
    /// If it is there it is one of these, even if it is empty.
    OneOf(&'static [&'static str]),
    /// It is there and one of these; what is missing is none of them.
    IsOneOf(&'static [&'static str]),
    /// If it is there it is a number from this to that; else this is said.
    Within(i64, i64, &'static str),
    /// The same, and what is missing is 0.
    IsWithin(i64, i64, &'static str),
    /// If it is there it is positive, as a quantity.
    Positive(&'static str),
    /// If it is there and not empty it is a name in the form of a domain.
    Subdomain,
    /// The same; the empty text is none.
    IsSubdomain,
    /// The same, and what is missing is the empty text.
    NamedSubdomain,
    /// If it is there and not empty it is one label of a domain.
    Label,
    /// The same; the empty text is none.
    IsLabel,
    /// If it is there it is a name, perhaps behind a domain and a slash.
    Qualified,
    /// The same, unless it is empty.
    Named,
    /// If it is there it is what the value of a label may be.
    LabelValue,
    /// If it is there and not empty it can be a key of a ConfigMap.
    Key,
    /// If it is there it is an address.
    Address,
    /// It is there and an address.
    IsAddress,
    /// If it is there it is a network.
    Network,
    /// A selector of labels.
    Selector,
    /// Expressions of a selector of nodes.
    NodeExpressions,
    /// Permissions of a file.
    Mode,
    /// Amounts of what containers may ask for.
    Resources,
    /// No value is there twice.
    Distinct,
    /// No item has the same value of this field as another.
    DistinctBy(&'static str),
}

use Rule::*;

pub(super) type Row = (&'static str, Rule);

const PERMISSIONS: &str = "must be a number between 0 and 0777 (octal), both inclusive";
pub(super) const ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
pub(super) const NETWORK: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const WHERE_IN: &str = "must be specified when `operator` is 'In' or 'NotIn'";

/// Puts every rule of a table to a value.
pub(super) fn check(rows: &[Row], value: &Json, at: &str, causes: &mut Vec<Cause>) {
    for (path, rule) in rows {
        let mut see = |at: &str, found: &Json| judge(*rule, at, found, causes);
        walk(value, path, at, &mut see);
    }
}

/// Calls `see` with every value at a path, and with null where only the last part is missing.
fn walk(value: &Json, path: &str, at: &str, see: &mut dyn FnMut(&str, &Json)) {
    let (part, rest) = path.split_once('.').unwrap_or((path, ""));
    let (field, list) = part.strip_suffix("[]").map_or((part, false), |field| (field, true));
    let here = if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") };
    let found = value.get(field).unwrap_or(&Json::Null);
    match (list, rest) {
        (false, "") => see(&here, found),
        (false, rest) if found.is_object() => walk(found, rest, &here, see),
        (false, _) => {}
        (true, rest) => {
            for (index, item) in found.as_array().into_iter().flatten().enumerate() {
                let here = format!("{here}[{index}]");
                if rest.is_empty() { see(&here, item) } else { walk(item, rest, &here, see) }
            }
        }
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn judge(rule: Rule, at: &str, found: &Json, causes: &mut Vec<Cause>) {
    let text = found.as_str().unwrap_or_default();
    let there = !found.is_null();
    let mut refuse = |whys: Vec<String>| {
        let shown = json!(text);
        causes.extend(whys.iter().map(|why| Cause::invalid(at, &shown, why)));
    };
    match rule {
        Need(why) if is_empty(found) => causes.push(Cause::required(at, why)),
        OneOf(choices) if there && !choices.contains(&text) => {
            causes.push(Cause::unsupported(at, found, choices));
        }
        IsOneOf(choices) if !choices.contains(&text) => {
            causes.push(Cause::unsupported(at, &json!(text), choices));
        }
        Within(low, high, why) if found.as_i64().is_some_and(|n| !(low..=high).contains(&n)) => {
            causes.push(Cause::invalid(at, found, why));
        }
        IsWithin(low, high, why) if !(low..=high).contains(&found.as_i64().unwrap_or(0)) => {
            causes.push(Cause::invalid(at, &json!(found.as_i64().unwrap_or(0)), why));
        }
        Positive(why) if quantity(found).is_some_and(|q| q.milli() <= 0) => {
            causes.push(Cause::invalid(at, found, why));
        }
        Subdomain if !text.is_empty() => refuse(names::subdomain_errors(text)),
        IsSubdomain if there => refuse(names::subdomain_errors(text)),
        NamedSubdomain => refuse(names::subdomain_errors(text)),
        Label if !text.is_empty() => refuse(names::label_errors(text)),
        IsLabel if there => refuse(names::label_errors(text)),
        Named if !text.is_empty() => refuse(names::qualified_errors(text)),
        Qualified if there => refuse(names::qualified_errors(text)),
        LabelValue if there => {
            refuse(names::label_value_error(text).into_iter().map(str::to_owned).collect())
        }
        Key if !text.is_empty() => refuse(names::config_key_errors(text)),
        Address if there && text.parse::<std::net::IpAddr>().is_err() => refuse(vec![ADDRESS.to_owned()]),
        IsAddress if text.parse::<std::net::IpAddr>().is_err() => refuse(vec![ADDRESS.to_owned()]),
        Network if there && !is_network(text) => refuse(vec![NETWORK.to_owned()]),
        Selector if there => selector(found, at, causes),
        NodeExpressions => {
            for (index, one) in found.as_array().into_iter().flatten().enumerate() {
                const KNOWN: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
                expression(one, &format!("{at}[{index}]"), &KNOWN, causes);
            }
        }
        Mode => judge(Within(0, 0o777, PERMISSIONS), at, found, causes),
        Resources => {
            for (key, _) in found.as_object().into_iter().flatten() {
                let at = format!("{at}[{key}]");
                let shown = json!(key);
                let known = ["cpu", "memory", "ephemeral-storage", "storage"].contains(&key.as_str());
                causes
                    .extend(names::qualified_errors(key).iter().map(|why| Cause::invalid(&at, &shown, why)));
                if !known && !key.contains('/') && !key.starts_with("hugepages-") {
                    causes.push(Cause::invalid(&at, &shown, "must be a standard resource for containers"));
                }
            }
        }
        Distinct => {
            let items = found.as_array().map(Vec::as_slice).unwrap_or_default();
            for (index, item) in items.iter().enumerate().filter(|(at, item)| items[..*at].contains(item)) {
                causes.push(Cause::duplicate(format!("{at}[{index}]"), item));
            }
        }
        DistinctBy(field) => {
            let items = found.as_array().map(Vec::as_slice).unwrap_or_default();
            for (index, item) in items.iter().enumerate() {
                let value = item.at(field);
                if !is_empty(value) && items[..index].iter().any(|other| other.at(field) == value) {
                    causes.push(Cause::duplicate(format!("{at}[{index}].{field}"), value));
                }
            }
        }
        _ => {}
    }
}

fn quantity(value: &Json) -> Option<Quantity> {
    value.as_str().and_then(Quantity::parse)
}

/// Whether a text is an address with the number of its leading bits.
pub(super) fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u32>().is_ok_and(|bits| bits <= most)
}

fn selector(selector: &Json, at: &str, causes: &mut Vec<Cause>) {
    names::labels(selector.at("matchLabels"), &format!("{at}.matchLabels"), causes);
    for (index, one) in selector.list("matchExpressions").iter().enumerate() {
        let at = format!("{at}.matchExpressions[{index}]");
        expression(one, &at, &["In", "NotIn", "Exists", "DoesNotExist"], causes);
    }
}

fn expression(one: &Json, at: &str, known: &[&str], causes: &mut Vec<Cause>) {
    let operator = one.text("operator");
    let values = one.list("values");
    match operator {
        "In" | "NotIn" if values.is_empty() => causes.push(Cause::required(format!("{at}.values"), WHERE_IN)),
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            causes.push(Cause::forbidden(format!("{at}.values"), why));
        }
        operator if !known.contains(&operator) => {
            let why = "not a valid selector operator";
            causes.push(Cause::invalid(format!("{at}.operator"), &json!(operator), why));
        }
        _ => {}
    }
    judge(Qualified, &format!("{at}.key"), &json!(one.text("key")), causes);
    for (index, value) in values.iter().enumerate() {
        judge(LabelValue, &format!("{at}.values[{index}]"), value, causes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_hold_wherever_their_parent_is() {
        let rows: [Row; 3] =
            [("a[].b.c", Need("")), ("a[].n", IsWithin(1, 9, "small")), ("a[].k", Qualified)];
        let value = json!({"a": [{"b": {}, "n": 3}, {"b": {"c": "x"}, "k": ""}, {}]});
        let mut causes = Vec::new();
        check(&rows, &value, "spec", &mut causes);
        let found: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
        assert_eq!(found, ["spec.a[0].b.c", "spec.a[1].n", "spec.a[2].n", "spec.a[1].k", "spec.a[1].k"]);
    }
}
