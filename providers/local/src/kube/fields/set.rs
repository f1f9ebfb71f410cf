//! Sets of paths into an object, in the shape in which `managedFields` stores them.

use std::collections::BTreeMap;

use super::super::json::{Json, Map};

/// A tree of path elements (`f:spec`, `k:{"name":"a"}`, `v:1`), each of which may itself be in the set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Whether the path that leads here is in the set.
    pub here: bool,
    /// What lies below.
    pub children: BTreeMap<String, Fields>,
}

impl Fields {
    /// No path at all.
    pub fn is_empty(&self) -> bool {
        !self.here && self.children.values().all(Self::is_empty)
    }

    /// Adds a path.
    pub fn insert(&mut self, path: &[String]) {
        let mut here = self;
        for element in path {
            here = here.children.entry(element.clone()).or_default();
        }
        here.here = true;
    }

    /// Reads the `fieldsV1` form.
    pub fn decode(value: &Json) -> Self {
        let mut out = Self::default();
        if let Some(map) = value.as_object() {
            for (key, inner) in map {
                if key == "." {
                    out.here = true;
                    continue;
                }
                let mut child = Self::decode(inner);
                if inner.as_object().is_none_or(Map::is_empty) {
                    child.here = true;
                }
                out.children.insert(key.clone(), child);
            }
        }
        out
    }

    /// Writes the `fieldsV1` form.
    pub fn encode(&self) -> Json {
        let mut map = Map::new();
        if self.here && !self.children.is_empty() {
            map.insert(".".into(), Json::Object(Map::new()));
        }
        for (key, child) in &self.children {
            if !child.is_empty() {
                map.insert(key.clone(), child.encode());
            }
        }
        Json::Object(map)
    }

    fn combine(&self, other: Option<&Self>, keep: &impl Fn(bool, bool) -> bool) -> Self {
        let nothing = Self::default();
        let other = other.unwrap_or(&nothing);
        let mut out = Self { here: keep(self.here, other.here), children: BTreeMap::new() };
        let keys = self.children.keys().chain(other.children.keys());
        for key in keys {
            if out.children.contains_key(key) {
                continue;
            }
            let left = self.children.get(key).unwrap_or(&nothing);
            let child = left.combine(other.children.get(key), keep);
            if !child.is_empty() {
                out.children.insert(key.clone(), child);
            }
        }
        out
    }

    /// Paths in either set.
    pub fn union(&self, other: &Self) -> Self {
        self.combine(Some(other), &|a, b| a || b)
    }

    /// Paths in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(Some(other), &|a, b| a && b)
    }

    /// Paths in this set and not in the other.
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(Some(other), &|a, b| a && !b)
    }

    /// Like [`difference`](Self::difference), but a path in the other set takes everything below it away too.
    pub fn without_subtrees(&self, other: &Self) -> Self {
        if other.here {
            return Self::default();
        }
        let mut out = Self { here: self.here, children: BTreeMap::new() };
        for (key, child) in &self.children {
            let child = match other.children.get(key) {
                Some(cut) => child.without_subtrees(cut),
                None => child.clone(),
            };
            if !child.is_empty() {
                out.children.insert(key.clone(), child);
            }
        }
        out
    }

    /// All paths, in order.
    pub fn paths(&self) -> Vec<Vec<String>> {
        fn go(set: &Fields, prefix: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
            if set.here {
                out.push(prefix.clone());
            }
            for (key, child) in &set.children {
                prefix.push(key.clone());
                go(child, prefix, out);
                prefix.pop();
            }
        }
        let mut out = Vec::new();
        go(self, &mut Vec::new(), &mut out);
        out
    }
}

/// A path as messages show it: `.spec.containers[name="a"].image`.
pub(crate) fn show(path: &[String]) -> String {
    let mut out = String::new();
    for element in path {
        let (kind, rest) = element.split_at(2.min(element.len()));
        match kind {
            "k:" => {
                let keys: Map<String, Json> = serde_json::from_str(rest).unwrap_or_default();
                let parts: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
                out.push_str(&format!("[{}]", parts.join(",")));
            }
            "v:" => out.push_str(&format!("[={rest}]")),
            "i:" => out.push_str(&format!("[{rest}]")),
            _ => {
                out.push('.');
                out.push_str(rest);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_stored_form_survives_a_round_trip() {
        let stored = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:list": {"k:{\"name\":\"x\"}": {".": {}, "f:v": {}}}}});
        assert_eq!(Fields::decode(&stored).encode(), stored);
    }

    #[test]
    fn difference_keeps_parents_of_what_stays() {
        let a = Fields::decode(&json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}}));
        let b = Fields::decode(&json!({"f:a": {"f:b": {}}}));
        assert_eq!(a.difference(&b).encode(), json!({"f:a": {".": {}, "f:c": {}}}));
        assert_eq!(a.intersection(&b).encode(), json!({"f:a": {"f:b": {}}}));
        let whole = Fields::decode(&json!({"f:a": {}}));
        assert!(a.without_subtrees(&whole).is_empty());
        assert_eq!(a.difference(&whole).encode(), json!({"f:a": {"f:b": {}, "f:c": {}}}));
    }

    #[test]
    fn paths_read_like_those_of_the_real_server() {
        let path =
            ["f:spec", "k:{\"containerPort\":80,\"protocol\":\"TCP\"}", "v:\"x\"", "i:3"].map(String::from);
        assert_eq!(show(&path), ".spec[containerPort=80,protocol=\"TCP\"][=\"x\"][3]");
    }
}
