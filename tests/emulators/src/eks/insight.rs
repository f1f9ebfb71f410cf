//! What EKS advises against, told only after it has looked again.

use std::time::Instant;

use serde_json::{Value, json};

use super::Ask;
use super::wire::{Reply, missing};
use super::world::{World, now};

fn insights(world: &World) -> Vec<Value> {
    let one = |(at, (version, name, reason)): (usize, &(String, String, String))| {
        json!({
            "id": format!("insight-{at}"),
            "name": name,
            "category": "UPGRADE_READINESS",
            "kubernetesVersion": version,
            "lastRefreshTime": now(),
            "description": reason,
            "insightStatus": { "status": "ERROR", "reason": reason },
        })
    };
    world.advice.iter().enumerate().map(one).collect()
}

pub(super) fn list(world: &mut World, ask: &Ask<'_>) -> Reply {
    world.cluster(ask.part(1))?;
    Ok(json!({ "insights": insights(world) }))
}

pub(super) fn describe(world: &mut World, ask: &Ask<'_>) -> Reply {
    world.cluster(ask.part(1))?;
    let found = insights(world).into_iter().find(|insight| insight["id"] == ask.part(3));
    let mut insight = found.ok_or_else(|| missing("No insight found"))?;
    insight["recommendation"] = "Update manifests and API clients to use newer Kubernetes APIs.".into();
    Ok(json!({ "insight": insight }))
}

pub(super) fn refresh(world: &mut World, ask: &Ask<'_>) -> Reply {
    let pace = world.pace;
    world.cluster(ask.part(1))?.refreshes = Some(Instant::now() + pace / 2);
    Ok(json!({ "message": "Insights refresh is in progress.", "status": "IN_PROGRESS" }))
}

pub(super) fn refreshed(world: &mut World, ask: &Ask<'_>) -> Reply {
    let cluster = world.cluster(ask.part(1))?;
    let going = cluster.refreshes.is_some_and(|until| until > Instant::now());
    let status = if going { "IN_PROGRESS" } else { "COMPLETED" };
    Ok(json!({ "message": "", "status": status, "startedAt": now() }))
}
