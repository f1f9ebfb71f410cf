//! What lives in an embedded cloud and cluster, read from their journals while nobody serves them, and what of it must
//! be the same after every run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value as Json;

/// What controllers and the cloud make of what is asked for, under names of their own.
const MADE_BY_OTHERS: &[&str] = &[
    "pods",
    "replicasets.apps",
    "controllerrevisions.apps",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "events",
    "events.events.k8s.io",
    "leases.coordination.k8s.io",
    "persistentvolumes",
    "certificaterequests.cert-manager.io",
    "orders.acme.cert-manager.io",
];

/// What a system sets by itself, anew each time.
const VOLATILE: &[&str] = &["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"];

/// Live things by what tells them apart. Of what Plinth did not make, only that it is there counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Live(BTreeMap<String, Json>);

/// Places where two runs differ that nothing went wrong with: random passwords and what is computed from them.
pub type Mask = BTreeSet<String>;

impl Live {
    pub fn of(place: &Path) -> Self {
        let mut live = BTreeMap::new();
        for line in lines(&place.join("kubernetes/kubernetes.jsonl")) {
            let text = |key: &str| line[key].as_str().unwrap_or_default();
            if MADE_BY_OTHERS.contains(&text("r")) {
                continue;
            }
            let key = format!("{} {}/{}", text("r"), text("ns"), text("n"));
            match line.get("o") {
                Some(object) => live.insert(key, object_of(object.clone())),
                None => live.remove(&key),
            };
        }
        for line in lines(&place.join("cloud/journal.jsonl")) {
            for record in line["put"].as_array().into_iter().flatten() {
                let key = format!("{} {}", record["kind"], record["name"]);
                let mut kept = serde_json::Map::new();
                for part in ["status", "inputs", "outputs", "tags"] {
                    kept.insert(part.to_owned(), record[part].clone());
                }
                live.insert(key, Json::Object(kept));
            }
            for gone in line["gone"].as_array().into_iter().flatten() {
                live.remove(&format!("{} {}", gone[0], gone[1]));
            }
        }
        Self(live)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Where the two differ, one text each.
    pub fn differences(&self, other: &Self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let keys: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        for key in keys {
            match (self.0.get(key), other.0.get(key)) {
                (Some(_), None) => found.push((key.clone(), format!("{key} is missing"))),
                (None, Some(_)) => found.push((key.clone(), format!("{key} should not be there"))),
                (Some(one), Some(two)) => differ(key, one, two, &mut found),
                (None, None) => {}
            }
        }
        found
    }

    pub fn mask(&self, other: &Self) -> Mask {
        self.differences(other).into_iter().map(|(place, _)| place).collect()
    }
}

fn lines(file: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn object_of(mut object: Json) -> Json {
    if object.pointer("/metadata/labels/plinth.dev~1stack").is_none() {
        return Json::Null;
    }
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    // Addresses and ports are given out in the order in which Services happen to come; that there is one counts.
    let spec = &mut object["spec"];
    for given in ["/clusterIP", "/clusterIPs/0"] {
        if let Some(address) = spec.pointer_mut(given).filter(|address| *address != "None") {
            *address = "given out".into();
        }
    }
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        if let Some(port) = port.get_mut("nodePort") {
            *port = "given out".into();
        }
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|key, _| !VOLATILE.contains(&key.as_str()));
    }
    object
}

fn differ(place: &str, one: &Json, two: &Json, found: &mut Vec<(String, String)>) {
    match (one, two) {
        (Json::Object(one), Json::Object(two)) => {
            let keys: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
            for key in keys {
                let at = |map: &serde_json::Map<String, Json>| map.get(key).cloned().unwrap_or(Json::Null);
                differ(&format!("{place}.{key}"), &at(one), &at(two), found);
            }
        }
        (Json::Array(one), Json::Array(two)) if one.len() == two.len() => {
            for (at, (one, two)) in one.iter().zip(two).enumerate() {
                differ(&format!("{place}[{at}]"), one, two, found);
            }
        }
        (one, two) if one == two => {}
        (one, two) => found.push((place.to_owned(), format!("{place} should be {one} and is {two}"))),
    }
}
