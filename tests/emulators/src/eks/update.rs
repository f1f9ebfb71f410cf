//! Updates: begun one at a time, and looked up by id.

use std::time::Instant;

use serde_json::{Value, json};

use super::Ask;
use super::wire::{Refused, Reply, in_use, missing};
use super::world::{Of, Update, World, now};

fn of(ask: &Ask<'_>) -> Of {
    match (ask.asked("nodegroupName"), ask.asked("addonName")) {
        (Some(name), _) => Of::NodeGroup(name.to_owned()),
        (_, Some(name)) => Of::AddOn(name.to_owned()),
        _ => Of::Cluster,
    }
}

pub(super) fn list(world: &mut World, ask: &Ask<'_>) -> Reply {
    let of = of(ask);
    let updates = &world.cluster(ask.part(1))?.updates;
    let ids: Vec<&str> =
        updates.iter().filter(|update| update.of == of).map(|update| update.id.as_str()).collect();
    Ok(json!({ "updateIds": ids }))
}

pub(super) fn describe(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (of, id) = (of(ask), ask.part(3));
    let updates = &world.cluster(ask.part(1))?.updates;
    let update = updates.iter().find(|update| update.id == id && update.of == of);
    update.map(shown).ok_or_else(|| missing(format!("No update found for ID: {id}")))
}

fn shown(update: &Update) -> Value {
    let failed = update.error.iter().filter(|_| update.status == "Failed");
    let errors: Vec<Value> = failed
        .map(|(code, message)| json!({ "errorCode": code, "errorMessage": message, "resourceIds": [] }))
        .collect();
    json!({ "update": {
        "id": update.id,
        "status": update.status,
        "type": update.kind,
        "params": [],
        "createdAt": now(),
        "errors": errors,
    } })
}

/// Begins an update, unless one of the same thing is under way. A repeated request is answered with what it began.
pub(super) fn begin(
    world: &mut World,
    cluster: &str,
    of: Of,
    kind: &str,
    token: Option<&str>,
    change: Value,
) -> Result<Value, Refused> {
    let id = world.id();
    let pace = world.pace;
    let error = world.failing_updates.remove(kind);
    let cluster_name = cluster.to_owned();
    let cluster = world.cluster(cluster)?;
    let same = |update: &&Update| token.is_some() && update.token.as_deref() == token && update.of == of;
    if let Some(earlier) = cluster.updates.iter().find(same) {
        return Ok(shown(earlier));
    }
    free(cluster, &cluster_name, &of, kind)?;
    let doc = match &of {
        Of::Cluster => Some(&mut cluster.doc),
        Of::NodeGroup(name) => cluster.node_groups.get_mut(name).map(|thing| &mut thing.doc),
        Of::AddOn(name) => cluster.add_ons.get_mut(name).map(|thing| &mut thing.doc),
    };
    if let Some(doc) = doc {
        doc["status"] = "UPDATING".into();
    }
    let update = Update {
        id,
        token: token.map(str::to_owned),
        kind: kind.to_owned(),
        of,
        status: "InProgress",
        error,
        ends: Instant::now() + pace,
        looks_over: Instant::now() + pace / 2,
        change,
    };
    let answer = shown(&update);
    cluster.updates.push(update);
    Ok(answer)
}

/// Refuses while an update of the same thing is under way.
pub(super) fn free(cluster: &super::world::Cluster, name: &str, of: &Of, kind: &str) -> Result<(), Refused> {
    let going = cluster.updates.iter().find(|update| update.of == *of && update.status == "InProgress");
    match going {
        None => Ok(()),
        Some(going) => Err(in_use(format!(
            "Cannot {kind} because cluster {name} currently has update {} in progress",
            going.id
        ))),
    }
}
