//! Label and field selectors: parsing, and whether an object matches.

use super::json::{Json, Look};
use super::kinds::Resource;

/// One requirement on a label.
#[derive(Debug, Clone, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// Requirements on labels, all of which must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

impl LabelSelector {
    /// Parses `a=b,c!=d,e in (f,g),!h`; the error is the sentence that the API gives.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut out = Vec::new();
        for part in split_outside(text) {
            let part = part.trim();
            if !part.is_empty() {
                out.push(requirement(part).map_err(|why| format!("unable to parse requirement: {why}"))?);
            }
        }
        Ok(Self(out))
    }

    /// Reads the `LabelSelector` of an object: `matchLabels` and `matchExpressions`.
    pub fn of(selector: &Json) -> Self {
        let mut out = Vec::new();
        for (key, value) in selector.map("matchLabels").into_iter().flatten() {
            out.push(Requirement::In(key.clone(), vec![value.as_str().unwrap_or_default().into()]));
        }
        for e in selector.list("matchExpressions") {
            let key = e.text("key").to_owned();
            let values =
                e.list("values").iter().filter_map(Json::as_str).map(str::to_owned).collect::<Vec<_>>();
            let first = values.first().and_then(|v| v.parse().ok()).unwrap_or_default();
            out.push(match e.text("operator") {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "DoesNotExist" => Requirement::Absent(key),
                "Gt" => Requirement::Greater(key, first),
                "Lt" => Requirement::Less(key, first),
                _ => Requirement::Exists(key),
            });
        }
        Self(out)
    }

    /// Reads a plain map of labels, as Services select.
    pub fn of_map(map: &Json) -> Self {
        Self::of(&super::json::json!({ "matchLabels": map }))
    }

    /// Whether there is no requirement at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the labels fulfil every requirement.
    pub fn matches(&self, labels: &Json) -> bool {
        let get = |key: &str| labels.get(key).and_then(Json::as_str);
        let number = |key: &str| get(key).and_then(|v| v.parse::<i64>().ok());
        self.0.iter().all(|r| match r {
            Requirement::In(key, values) => get(key).is_some_and(|v| values.iter().any(|x| x == v)),
            Requirement::NotIn(key, values) => get(key).is_none_or(|v| values.iter().all(|x| x != v)),
            Requirement::Exists(key) => get(key).is_some(),
            Requirement::Absent(key) => get(key).is_none(),
            Requirement::Greater(key, bound) => number(key).is_some_and(|n| n > *bound),
            Requirement::Less(key, bound) => number(key).is_some_and(|n| n < *bound),
        })
    }
}

impl std::fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|r| match r {
                Requirement::In(k, v) if v.len() == 1 => format!("{k}={}", v[0]),
                Requirement::In(k, v) => format!("{k} in ({})", v.join(",")),
                Requirement::NotIn(k, v) if v.len() == 1 => format!("{k}!={}", v[0]),
                Requirement::NotIn(k, v) => format!("{k} notin ({})", v.join(",")),
                Requirement::Exists(k) => k.clone(),
                Requirement::Absent(k) => format!("!{k}"),
                Requirement::Greater(k, n) => format!("{k}>{n}"),
                Requirement::Less(k, n) => format!("{k}<{n}"),
            })
            .collect();
        f.write_str(&parts.join(","))
    }
}

/// One requirement of a selector written as text.
fn requirement(part: &str) -> Result<Requirement, String> {
    const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";
    if let Some(key) = part.strip_prefix('!') {
        return Ok(Requirement::Absent(key_of(key)?));
    }
    let end = part.find(|c: char| c.is_whitespace() || "=!<>(".contains(c)).unwrap_or(part.len());
    let (key, rest) = part.split_at(end);
    let (key, rest) = (key_of(key)?, rest.trim_start());
    if rest.is_empty() {
        return Ok(Requirement::Exists(key));
    }
    let number = |text: &str| -> Result<i64, String> {
        text.parse().map_err(|_| {
            format!("values[0][{key}]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must be an integer")
        })
    };
    for (sign, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some(value) = rest.strip_prefix(sign) {
            let value = value_of(value, &key, 0)?;
            return Ok(match equal {
                true => Requirement::In(key, vec![value]),
                false => Requirement::NotIn(key, vec![value]),
            });
        }
    }
    if let Some(bound) = rest.strip_prefix('>') {
        return Ok(Requirement::Greater(key.clone(), number(bound.trim())?));
    }
    if let Some(bound) = rest.strip_prefix('<') {
        return Ok(Requirement::Less(key.clone(), number(bound.trim())?));
    }
    let (word, list) = match rest.find(|c: char| c.is_whitespace() || c == '(') {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    if !matches!(word, "in" | "notin") {
        return Err(format!("found '{word}', expected: {OPERATORS}"));
    }
    let list = list.trim();
    let Some(inner) = list.strip_prefix('(') else {
        return Err(format!("found '{list}' expected: '('"));
    };
    let inner = inner.strip_suffix(')').ok_or("found '', expected: ',', or ')'")?;
    let values: Result<Vec<String>, String> =
        inner.split(',').enumerate().map(|(index, v)| value_of(v, &key, index)).collect();
    Ok(if word == "in" { Requirement::In(key, values?) } else { Requirement::NotIn(key, values?) })
}

fn key_of(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("found '', expected: identifier, or end of string".into());
    }
    match super::validate::label_key_error(text) {
        Some(why) => Err(format!("<nil>: Invalid value: {text:?}: {why}")),
        None => Ok(text.to_owned()),
    }
}

fn value_of(text: &str, key: &str, index: usize) -> Result<String, String> {
    let text = text.trim();
    match super::validate::label_value_error(text) {
        Some(why) => Err(format!("values[{index}][{key}]: Invalid value: {text:?}: {why}")),
        None => Ok(text.to_owned()),
    }
}

fn split_outside(text: &str) -> Vec<&str> {
    let (mut out, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

/// Requirements on a few fields that the API can select by.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldSelector(Vec<(String, bool, String)>);

impl FieldSelector {
    /// Parses `metadata.name=x,status.phase!=Running`; the error is a field the resource cannot be selected by.
    pub fn parse(text: &str, resource: &Resource) -> Result<Self, String> {
        let mut out = Vec::new();
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let (path, equal, value) = if let Some((p, v)) = part.split_once("!=") {
                (p, false, v)
            } else if let Some((p, v)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (p, true, v)
            } else {
                return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
            };
            if !supported(resource, path) {
                return Err(unsupported(resource, path));
            }
            out.push((path.to_owned(), equal, value.to_owned()));
        }
        Ok(Self(out))
    }

    /// Whether an object fulfils every requirement.
    pub fn matches(&self, object: &Json) -> bool {
        self.0.iter().all(|(path, equal, value)| {
            let path = match path.as_str() {
                // An event's source is the component, whichever of the two places holds it.
                "source" => "source.component",
                // Events are stored in their older form.
                "reportingController" => "reportingComponent",
                "note" => "message",
                other => other,
            };
            let old = path.strip_prefix("regarding.").map(|rest| format!("involvedObject.{rest}"));
            let path = old.as_deref().unwrap_or(path);
            let found = match object.at(path) {
                Json::String(s) => s.clone(),
                Json::Null if path == "spec.unschedulable" || path == "spec.hostNetwork" => "false".into(),
                Json::Null if path == "status.successful" || path == "status.replicas" => "0".into(),
                Json::Null => String::new(),
                other => other.to_string(),
            };
            (found == *value) == *equal
        })
    }
}

/// How the API says that a field cannot be selected by: kinds with fields of their own say it in one way, all others
/// in another, and Jobs in a third.
fn unsupported(resource: &Resource, path: &str) -> String {
    match resource.storage.as_str() {
        "jobs.batch" => format!("field label {path:?} not supported for Job"),
        "pods"
        | "events"
        | "secrets"
        | "namespaces"
        | "nodes"
        | "services"
        | "replicationcontrollers"
        | "certificatesigningrequests.certificates.k8s.io" => {
            format!("field label not supported: {path}")
        }
        _ if resource.custom.is_some() => format!("field label not supported: {path}"),
        _ => {
            format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
    }
}

fn supported(resource: &Resource, path: &str) -> bool {
    if path == "metadata.name" || (path == "metadata.namespace" && resource.namespaced) {
        return true;
    }
    if let Some(custom) = &resource.custom {
        return custom.selectable.iter().any(|s| s == path);
    }
    if resource.group == "events.k8s.io" {
        let new = ["note", "reportingController", "type", "reason"];
        return new.contains(&path) || path.starts_with("regarding.");
    }
    let known: &[&str] = match resource.storage.as_str() {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "secrets" => &["type"],
        "namespaces" => &["status.phase"],
        "nodes" => &["spec.unschedulable"],
        "services" => &["spec.clusterIP", "spec.type"],
        "replicationcontrollers" => &["status.replicas"],
        "jobs.batch" => &["status.successful"],
        "certificatesigningrequests.certificates.k8s.io" => &["spec.signerName"],
        _ => &[],
    };
    known.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn set_based_selectors_match_like_the_real_ones() {
        let labels = json!({"app": "web", "tier": "front", "n": "5"});
        for (text, expected) in [
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app in (web, api),tier notin (back)", true),
            ("missing notin (x)", true),
            ("!missing", true),
            ("app", true),
            ("!app", false),
            ("n>4,n<6", true),
            ("app in (api)", false),
            ("", true),
        ] {
            let selector = LabelSelector::parse(text).expect(text);
            assert_eq!(selector.matches(&labels), expected, "{text}");
        }
        assert!(LabelSelector::parse("a b c").is_err());
    }
}
