//! Managed node groups.

use std::time::Instant;

use serde_json::{Value, json};

use super::Ask;
use super::cluster::minor;
use super::update::{begin, free};
use super::wire::{Refused, Reply, in_use, invalid, missing};
use super::world::{Cluster, End, Of, Thing, World, arn, now};

fn shown(thing: &Thing) -> Value {
    json!({ "nodegroup": thing.doc })
}

fn find<'a>(cluster: &'a mut Cluster, name: &str) -> Result<&'a mut Thing, Refused> {
    cluster.node_groups.get_mut(name).ok_or_else(|| missing(format!("No node group found for name: {name}.")))
}

pub(super) fn list(world: &mut World, ask: &Ask<'_>) -> Reply {
    let names: Vec<String> = world.cluster(ask.part(1))?.node_groups.keys().cloned().collect();
    Ok(json!({ "nodegroups": names }))
}

pub(super) fn describe(world: &mut World, ask: &Ask<'_>) -> Reply {
    find(world.cluster(ask.part(1))?, ask.part(3)).map(|thing| shown(thing))
}

pub(super) fn create(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (cluster_name, name) = (ask.part(1), ask.text("nodegroupName").unwrap_or_default());
    let token = ask.text("clientRequestToken");
    let id = world.id();
    let ends = world.ending(name);
    let cluster = world.active(cluster_name)?;
    if let Some(thing) = cluster.node_groups.get(name) {
        if token.is_some() && thing.token.as_deref() == token {
            return Ok(shown(thing));
        }
        let said = format!("NodeGroup already exists with name {name} and cluster name {cluster_name}");
        return Err(in_use(said));
    }
    let control_plane = cluster.doc["version"].as_str().unwrap_or_default().to_owned();
    let version = ask.text("version").unwrap_or(&control_plane);
    if minor(version) > minor(&control_plane) {
        return Err(invalid(format!(
            "Nodegroup version {version} cannot be newer than cluster version {control_plane}"
        )));
    }
    let body = ask.body;
    let template = !body["launchTemplate"].is_null();
    if template && !body["diskSize"].is_null() {
        return Err(invalid("Disk size must be specified within the launch template."));
    }
    let or = |key: &str, default: Value| if body[key].is_null() { default } else { body[key].clone() };
    let mut doc = json!({
        "nodegroupName": name,
        "nodegroupArn": arn(ask.region, "nodegroup", &format!("{cluster_name}/{name}/{id}")),
        "clusterName": cluster_name,
        "version": version,
        "releaseVersion": format!("{version}.0-20261101"),
        "createdAt": now(),
        "modifiedAt": now(),
        "status": "CREATING",
        "capacityType": or("capacityType", json!("ON_DEMAND")),
        "scalingConfig": body["scalingConfig"],
        "instanceTypes": or("instanceTypes", if template { json!([]) } else { json!(["t3.medium"]) }),
        "subnets": body["subnets"],
        "amiType": or("amiType", json!("AL2023_x86_64_STANDARD")),
        "nodeRole": body["nodeRole"],
        "labels": or("labels", json!({})),
        "taints": or("taints", json!([])),
        "resources": { "autoScalingGroups": [{ "name": format!("eks-{name}-{}", &id[..8]) }] },
        "health": { "issues": [] },
        "updateConfig": or("updateConfig", json!({ "maxUnavailable": 1 })),
        "tags": or("tags", json!({})),
    });
    if template {
        let mut held = body["launchTemplate"].clone();
        if held["id"].is_null() {
            held["id"] = "lt-0123456789".into();
        }
        if held["name"].is_null() {
            held["name"] = "nodes".into();
        }
        if held["version"].is_null() {
            held["version"] = "1".into();
        }
        doc["launchTemplate"] = held;
    } else {
        doc["diskSize"] = or("diskSize", json!(20));
    }
    for key in ["remoteAccess", "nodeRepairConfig", "warmPoolConfig"] {
        if !body[key].is_null() {
            doc[key] = body[key].clone();
        }
    }
    let thing = Thing { doc, token: token.map(str::to_owned), ends: Some(ends) };
    let answer = shown(&thing);
    cluster.node_groups.insert(name.to_owned(), thing);
    Ok(answer)
}

pub(super) fn delete(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (cluster_name, name) = (ask.part(1), ask.part(3));
    let pace = world.pace;
    let cluster = world.cluster(cluster_name)?;
    free(cluster, cluster_name, &Of::NodeGroup(name.to_owned()), "DeleteNodegroup")?;
    let thing = find(cluster, name)?;
    thing.doc["status"] = "DELETING".into();
    thing.ends = Some((Instant::now() + pace, End::Gone));
    Ok(shown(thing))
}

fn settled(world: &mut World, ask: &Ask<'_>) -> Result<Value, Refused> {
    let (cluster_name, name) = (ask.part(1), ask.part(3));
    let cluster = world.cluster(cluster_name)?;
    free(cluster, cluster_name, &Of::NodeGroup(name.to_owned()), "ConfigUpdate")?;
    let thing = find(cluster, name)?;
    match thing.doc["status"].as_str() {
        Some("ACTIVE" | "DEGRADED") => Ok(thing.doc.clone()),
        status => Err(in_use(format!("Nodegroup {name} is in status {}", status.unwrap_or_default()))),
    }
}

fn repeated(world: &mut World, ask: &Ask<'_>) -> bool {
    let token = ask.text("clientRequestToken");
    let known = |cluster: &mut Cluster| cluster.updates.iter().any(|update| update.token.as_deref() == token);
    token.is_some() && world.cluster(ask.part(1)).is_ok_and(known)
}

pub(super) fn configure(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (cluster, name) = (ask.part(1), ask.part(3));
    let of = Of::NodeGroup(name.to_owned());
    if repeated(world, ask) {
        return begin(world, cluster, of, "ConfigUpdate", ask.text("clientRequestToken"), json!({}));
    }
    let mut doc = settled(world, ask)?;
    let body = ask.body;
    super::world::merge(&mut doc["labels"], &body["labels"]["addOrUpdateLabels"].clone().take_or(json!({})));
    for key in body["labels"]["removeLabels"].as_array().into_iter().flatten() {
        if let (Some(labels), Some(key)) = (doc["labels"].as_object_mut(), key.as_str()) {
            labels.remove(key);
        }
    }
    let same = |one: &Value, other: &Value| one["key"] == other["key"] && one["effect"] == other["effect"];
    let mut taints: Vec<Value> = doc["taints"].as_array().cloned().unwrap_or_default();
    for gone in body["taints"]["removeTaints"].as_array().into_iter().flatten() {
        taints.retain(|taint| !same(taint, gone));
    }
    for new in body["taints"]["addOrUpdateTaints"].as_array().into_iter().flatten() {
        taints.retain(|taint| !same(taint, new));
        taints.push(new.clone());
    }
    let mut scaling = doc["scalingConfig"].clone();
    super::world::merge(&mut scaling, &body["scalingConfig"].clone().take_or(json!({})));
    let size = |key: &str| scaling[key].as_i64().unwrap_or(0);
    if size("desiredSize") < size("minSize") || size("desiredSize") > size("maxSize") {
        return Err(invalid("desired capacity must be between the minimum and the maximum size"));
    }
    // Labels are laid over each other at the end: what is to go is said with null.
    let mut labels = json!({});
    let held = world.cluster(cluster)?.node_groups.get(name).map(|thing| thing.doc["labels"].clone());
    for key in held.iter().filter_map(Value::as_object).flatten().map(|(key, _)| key) {
        labels[key] = Value::Null;
    }
    for (key, value) in doc["labels"].as_object().into_iter().flatten() {
        labels[key] = value.clone();
    }
    let mut change = json!({ "labels": labels, "taints": taints, "scalingConfig": scaling });
    for key in ["updateConfig", "nodeRepairConfig", "warmPoolConfig"] {
        if !body[key].is_null() {
            change[key] = body[key].clone();
        }
    }
    begin(world, cluster, of, "ConfigUpdate", ask.text("clientRequestToken"), change)
}

pub(super) fn roll(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (cluster, name) = (ask.part(1), ask.part(3));
    let of = Of::NodeGroup(name.to_owned());
    let token = ask.text("clientRequestToken");
    if repeated(world, ask) {
        return begin(world, cluster, of, "VersionUpdate", token, json!({}));
    }
    let doc = settled(world, ask)?;
    let control_plane = world.cluster(cluster)?.doc["version"].as_str().unwrap_or_default().to_owned();
    let held = doc["version"].as_str().unwrap_or_default();
    let version = ask.text("version").unwrap_or(if ask.body["launchTemplate"].is_null() {
        &control_plane
    } else {
        held
    });
    if minor(version) > minor(&control_plane) || minor(version) < minor(held) {
        return Err(invalid(format!(
            "Nodegroup version {version} must lie between its own {held} and the cluster's {control_plane}"
        )));
    }
    let release = ask.text("releaseVersion").map_or_else(|| format!("{version}.0-20261101"), str::to_owned);
    let mut change = json!({ "version": version, "releaseVersion": release });
    if !ask.body["launchTemplate"].is_null() {
        change["launchTemplate"] = ask.body["launchTemplate"].clone();
    }
    begin(world, cluster, of, "VersionUpdate", token, change)
}

trait Or {
    fn take_or(self, default: Value) -> Value;
}

impl Or for Value {
    fn take_or(self, default: Value) -> Value {
        if self.is_null() { default } else { self }
    }
}
