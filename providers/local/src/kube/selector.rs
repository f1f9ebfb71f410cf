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
    /// Parses `a=b,c!=d,e in (f,g),!h`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut out = Vec::new();
        for part in split_outside(text) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let bad = || {
                format!("unable to parse requirement: found '{part}', expected: identifier, or end of string")
            };
            let set = |list: &str| -> Option<Vec<String>> {
                let inner = list.trim().strip_prefix('(')?.strip_suffix(')')?;
                Some(inner.split(',').map(|v| v.trim().to_owned()).collect())
            };
            let requirement = if let Some(key) = part.strip_prefix('!') {
                Requirement::Absent(key.trim().into())
            } else if let Some((key, list)) = part.split_once(" notin ") {
                Requirement::NotIn(key.trim().into(), set(list).ok_or_else(bad)?)
            } else if let Some((key, list)) = part.split_once(" in ") {
                Requirement::In(key.trim().into(), set(list).ok_or_else(bad)?)
            } else if let Some((key, value)) = part.split_once("!=") {
                Requirement::NotIn(key.trim().into(), vec![value.trim().into()])
            } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                Requirement::In(key.trim().into(), vec![value.trim().into()])
            } else if let Some((key, value)) = part.split_once('>') {
                Requirement::Greater(key.trim().into(), value.trim().parse().map_err(|_| bad())?)
            } else if let Some((key, value)) = part.split_once('<') {
                Requirement::Less(key.trim().into(), value.trim().parse().map_err(|_| bad())?)
            } else if part.contains(char::is_whitespace) {
                return Err(bad());
            } else {
                Requirement::Exists(part.into())
            };
            out.push(requirement);
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
                return Err(format!("field label not supported: {path}"));
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
                other => other,
            };
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

fn supported(resource: &Resource, path: &str) -> bool {
    if path == "metadata.name" || (path == "metadata.namespace" && resource.namespaced) {
        return true;
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
        "replicationcontrollers" | "replicasets.apps" => &["status.replicas"],
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
