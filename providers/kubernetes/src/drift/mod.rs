//! Where a live object differs from what was applied, and who made it differ.
//!
//! Starts from what was recorded, not from the fields that we own: a field that somebody changed is not ours any more.
//! Only then `managedFields` says whose it is now.

mod compare;
pub(crate) mod fields;
mod taken;

use plinth_provider::{Drift, Live, Path, Recorded, Segment, Value};
use serde_json::Value as Json;

use crate::kind::Gvk;
use crate::normal;
use crate::outputs::REWRITTEN;
use compare::{Compare, Difference};
use fields::{Owners, Step};

pub(crate) use taken::taken;

/// Where live differs from recorded.
pub(crate) fn drift(gvk: &Gvk, recorded: &Recorded, live: &Live) -> Vec<Drift> {
    let none = Json::Null;
    let owners = Owners::of(live.details.get("managedFields").unwrap_or(&none));
    let rewritten = recorded.outputs.get(REWRITTEN);
    let deleting = live.details.get("deleting") == Some(&Json::Bool(true));
    let found = Compare::new(gvk, &owners)
        .run(&recorded.inputs, &live.inputs)
        .into_iter()
        .filter(|difference| !was_rewritten(rewritten, difference))
        .filter(|difference| !is_scaled(&owners, difference))
        .map(|difference| attribute(&owners, difference));
    deleting.then(being_deleted).into_iter().chain(recreated(&owners, recorded, live)).chain(found).collect()
}

/// Somebody deleted it and made it again with our marks: what depends on its uid points nowhere.
fn recreated(owners: &Owners<'_>, recorded: &Recorded, live: &Live) -> Option<Drift> {
    let (before, now) = (recorded.outputs.text_at("metadata.uid")?, live.outputs.text_at("metadata.uid")?);
    if before == now {
        return None;
    }
    let by = owners.first();
    Some(Drift {
        path: Path::parse("metadata.uid"),
        recorded: Some(before.into()),
        live: Some(now.into()),
        by: by.map(|owner| owner.manager.to_owned()),
        at: by.and_then(|owner| owner.time),
    })
}

/// Nothing of it differs yet, but it will be gone.
fn being_deleted() -> Drift {
    Drift {
        path: Path::parse("metadata.deletionTimestamp"),
        recorded: None,
        live: Some("being deleted".into()),
        by: None,
        at: None,
    }
}

/// What admission made of our own write at once: the server stores it under our name, and writing it again changes
/// nothing. `None` when everything came back as it was sent.
pub(crate) fn rewritten(gvk: &Gvk, sent: &Value, reply: &Json) -> Option<Value> {
    let none = Json::Null;
    let owners = Owners::of(crate::tree::at(reply, "metadata.managedFields").unwrap_or(&none));
    let live = normal::project(gvk, reply);
    let found: plinth_provider::Map = Compare::new(gvk, &owners)
        .run(sent, &live)
        .into_iter()
        .map(|difference| (difference.path.to_string(), difference.live.unwrap_or(Value::Null)))
        .collect();
    (!found.is_empty()).then_some(Value::Map(found))
}

/// What an update dropped and what stays all the same, because somebody else owns it too: paths and owners.
pub(crate) fn left_in_place(gvk: &Gvk, before: &Value, after: &Value, reply: &Json) -> Vec<(Path, String)> {
    let none = Json::Null;
    let owners = Owners::of(crate::tree::at(reply, "metadata.managedFields").unwrap_or(&none));
    let live = normal::project(gvk, reply);
    let mut left = Vec::new();
    for change in plinth_provider::changes(before, after) {
        let dropped = change.after.is_none() && live.at(&change.path).is_some();
        let steps: Option<Vec<Step>> = change
            .path
            .segments()
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => Some(Step::Field(key.clone())),
                // Indexes differ between ours and theirs.
                Segment::Index(_) => None,
            })
            .collect();
        if let (true, Some(steps)) = (dropped, steps)
            && let Some(owner) = owners.last_writer(&steps)
        {
            left.push((change.path, owner.manager.to_owned()));
        }
    }
    left
}

fn was_rewritten(rewritten: Option<&Value>, difference: &Difference) -> bool {
    rewritten
        .and_then(|rewritten| rewritten.get(&difference.path.to_string()))
        .is_some_and(|value| *value == difference.live.clone().unwrap_or(Value::Null))
}

/// Replicas that an autoscaler wrote through the scale subresource are its business.
fn is_scaled(owners: &Owners<'_>, difference: &Difference) -> bool {
    difference.path == Path::parse("spec.replicas")
        && owners.last_writer(&difference.steps).is_some_and(|owner| owner.is_autoscaler())
}

fn attribute(owners: &Owners<'_>, difference: Difference) -> Drift {
    let (by, at) = match owners.last_writer(&difference.steps) {
        Some(owner) => (Some(owner.manager.to_owned()), owner.time),
        // Nobody owns what is gone. Only one who has written since we did can have removed it.
        None => match owners.suspect() {
            Some(owner) => (Some(format!("{} (the last to write)", owner.manager)), owner.time),
            None => (None, None),
        },
    };
    Drift { path: difference.path, recorded: Some(difference.recorded), live: difference.live, by, at }
}

#[cfg(test)]
mod tests;
