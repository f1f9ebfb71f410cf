//! What goes when an object is taken over from a client-side applier: its fields become ours, and those that the
//! declaration does not speak of are dropped with the next apply, as that applier itself would have dropped them.

use plinth_provider::{Change, Live, Map, Path, Taken, Value};
use serde_json::Value as Json;

use super::fields::{self, Owners, Step};
use crate::apply::handover;
use crate::kind::Gvk;
use crate::owner;

/// What taking the object over with these inputs loses, and the inputs that lose nothing. What it loses is told by what
/// the applier has applied last: its entry in `managedFields` also holds everything that is defaulted.
pub(crate) fn taken(gvk: &Gvk, inputs: &Value, live: &Live) -> Taken {
    let mut taken = Taken { inputs: inputs.clone(), lost: Vec::new() };
    let none = Json::Null;
    let entries = live.details.get("managedFields").and_then(Json::as_array).map(Vec::as_slice);
    let Some(applied) = live.details.get("lastApplied").filter(|applied| applied.is_object()) else {
        return taken;
    };
    // A takeover that was cut short has made the entry ours already.
    let goes = |entry: &&Json| handover::is_handed_over(entry) || handover::is_own(entry);
    let entries = entries.unwrap_or_default();
    let others = Json::Array(entries.iter().filter(|entry| !goes(entry)).cloned().collect());
    let mut walk = Walk { gvk, others: Owners::of(&others), steps: Vec::new(), lost: Vec::new() };
    for entry in entries.iter().filter(goes) {
        let fields = entry.get("fieldsV1").unwrap_or(&none);
        walk.map(fields, applied, &live.inputs, &mut taken.inputs, &Path::root());
    }
    taken.lost = walk.lost;
    taken
}

struct Walk<'a> {
    gvk: &'a Gvk,
    others: Owners<'a>,
    steps: Vec<Step>,
    lost: Vec<Change>,
}

fn peel(value: &mut Value) -> &mut Value {
    match value {
        Value::Secret(inner) => peel(inner),
        other => other,
    }
}

impl Walk<'_> {
    /// Goes through the fields of one map or struct.
    fn map(&mut self, fields: &Json, applied: &Json, live: &Value, ours: &mut Value, path: &Path) {
        for (key, below) in fields.as_object().into_iter().flatten() {
            let Some(key) = key.strip_prefix("f:") else { continue };
            let (Some(live), Some(applied)) = (live.get(key), applied.get(key)) else { continue };
            let here = path.key(key);
            self.steps.push(Step::Field(key.to_owned()));
            let Value::Map(map) = peel(ours) else { break };
            match map.get_mut(key) {
                Some(ours) => self.value(below, applied, live, ours, &here),
                None if self.is_lost(&here) => {
                    let value = owned(below, applied, live);
                    map.insert(key.to_owned(), value.clone());
                    self.lost.push(Change { path: here, before: Some(value), after: None });
                }
                None => {}
            }
            self.steps.pop();
        }
    }

    fn value(&mut self, fields: &Json, applied: &Json, live: &Value, ours: &mut Value, path: &Path) {
        match (live, peel(ours)) {
            (Value::Map(_), Value::Map(_)) => self.map(fields, applied, live, ours, path),
            (Value::List(live), Value::List(ours)) => self.list(fields, applied, live, ours, path),
            _ => {}
        }
    }

    /// Items that are told apart by keys or values; what is told apart by nothing is declared as a whole.
    fn list(&mut self, fields: &Json, applied: &Json, live: &[Value], ours: &mut Vec<Value>, path: &Path) {
        let mut place = 0;
        for (at, item) in live.iter().enumerate() {
            let Some((key, below)) = held(fields, item) else { continue };
            let Some(applied) = same_item(applied, key) else { continue };
            self.steps.push(Step::Item(item.clone()));
            match ours.iter().position(|other| fields::is_item(key, other)) {
                Some(own) => {
                    place = own + 1;
                    self.value(below, applied, item, &mut ours[own], &path.index(own));
                }
                None if self.is_lost(path) => {
                    let value = owned(below, applied, item);
                    ours.insert(place.min(ours.len()), value.clone());
                    place += 1;
                    self.lost.push(Change { path: path.index(at), before: Some(value), after: None });
                }
                None => {}
            }
            self.steps.pop();
        }
    }

    /// Nobody else holds it, and nothing keeps it.
    fn is_lost(&self, path: &Path) -> bool {
        let kept = self.gvk.group == "apps" && *path == Path::parse("spec.replicas");
        let last_applied = Path::parse("metadata.annotations").key(handover::LAST_APPLIED);
        let mark = Path::parse("metadata.labels").key(owner::STACK);
        !kept && *path != last_applied && *path != mark && self.others.last_writer(&self.steps).is_none()
    }
}

/// The entry of a set of fields that holds an item.
fn held<'a>(fields: &'a Json, item: &Value) -> Option<(&'a str, &'a Json)> {
    let mut all = fields.as_object().into_iter().flatten();
    all.find(|(key, _)| fields::is_item(key, item)).map(|(key, below)| (key.as_str(), below))
}

/// The applied item that an entry of a set of fields holds.
fn same_item<'a>(applied: &'a Json, key: &str) -> Option<&'a Json> {
    applied.as_array()?.iter().find(|item| fields::is_item(key, &Value::from_json((*item).clone())))
}

/// A live value, as far as it was applied.
fn owned(fields: &Json, applied: &Json, live: &Value) -> Value {
    let empty = fields.as_object().is_none_or(serde_json::Map::is_empty);
    match live {
        Value::Map(map) if !empty => {
            let kept = map.iter().filter_map(|(key, value)| {
                let (below, applied) = (fields.get(format!("f:{key}"))?, applied.get(key)?);
                Some((key.clone(), owned(below, applied, value)))
            });
            Value::Map(kept.collect::<Map>())
        }
        Value::List(list) if !empty => {
            let kept = list.iter().filter_map(|item| {
                let (key, below) = held(fields, item)?;
                Some(owned(below, same_item(applied, key)?, item))
            });
            Value::List(kept.collect())
        }
        other => other.clone(),
    }
}
