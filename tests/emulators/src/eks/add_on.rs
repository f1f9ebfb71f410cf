//! Add-ons: those that every cluster has, with versions for every version of Kubernetes.

use std::time::Instant;

use serde_json::{Value, json};

use super::Ask;
use super::cluster::{VERSIONS, minor};
use super::update::{begin, free};
use super::wire::{Refused, Reply, in_use, invalid, missing};
use super::world::{Cluster, End, Of, Thing, World, arn, now};

const KNOWN: &[&str] = &["aws-ebs-csi-driver", "coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"];

/// What runs as a Deployment is unhealthy without nodes; what runs on every node is content with none.
pub(super) fn needs_nodes(name: &str) -> bool {
    matches!(name, "coredns" | "aws-ebs-csi-driver")
}

/// The versions for a version of Kubernetes, newest first; the second is the default.
fn versions_for(kubernetes: &str) -> [String; 2] {
    let minor = minor(kubernetes);
    [format!("v1.{minor}.2-eksbuild.1"), format!("v1.{minor}.1-eksbuild.3")]
}

fn shown(thing: &Thing) -> Value {
    json!({ "addon": thing.doc })
}

fn find<'a>(cluster: &'a mut Cluster, name: &str) -> Result<&'a mut Thing, Refused> {
    cluster.add_ons.get_mut(name).ok_or_else(|| missing(format!("No addon: {name} found in cluster")))
}

pub(super) fn versions(ask: &Ask<'_>) -> Reply {
    let names = KNOWN.iter().filter(|name| ask.asked("addonName").is_none_or(|wanted| wanted == **name));
    let kubernetes =
        VERSIONS.iter().filter(|v| ask.asked("kubernetesVersion").is_none_or(|wanted| wanted == **v));
    let kubernetes: Vec<&&str> = kubernetes.collect();
    let addons: Vec<Value> = names
        .map(|name| {
            let versions: Vec<Value> = kubernetes
                .iter()
                .flat_map(|kubernetes| {
                    versions_for(kubernetes).into_iter().enumerate().map(move |(at, version)| {
                        json!({
                            "addonVersion": version,
                            "architecture": ["amd64", "arm64"],
                            "compatibilities": [{
                                "clusterVersion": kubernetes,
                                "platformVersions": ["*"],
                                "defaultVersion": at == 1,
                            }],
                            "requiresConfiguration": false,
                        })
                    })
                })
                .collect();
            json!({ "addonName": name, "type": "networking", "owner": "aws", "publisher": "eks", "addonVersions": versions })
        })
        .collect();
    Ok(json!({ "addons": addons }))
}

pub(super) fn list(world: &mut World, ask: &Ask<'_>) -> Reply {
    let names: Vec<String> = world.cluster(ask.part(1))?.add_ons.keys().cloned().collect();
    Ok(json!({ "addons": names }))
}

pub(super) fn describe(world: &mut World, ask: &Ask<'_>) -> Reply {
    find(world.cluster(ask.part(1))?, ask.part(3)).map(|thing| shown(thing))
}

fn fits(cluster: &Cluster, version: &str) -> Result<(), Refused> {
    let kubernetes = cluster.doc["version"].as_str().unwrap_or_default();
    // An add-on may lag behind while its cluster has gone on.
    let known = VERSIONS
        .iter()
        .filter(|known| minor(known) <= minor(kubernetes))
        .any(|known| versions_for(known).iter().any(|one| one == version));
    match known {
        true => Ok(()),
        false => Err(invalid(format!("Addon version specified is not supported: {version}"))),
    }
}

/// Makes the associations that an add-on owns, and returns their ARNs.
fn associate(world: &mut World, ask: &Ask<'_>, cluster: &str, owner: &str) -> Vec<String> {
    let wanted = ask.body["podIdentityAssociations"].as_array().cloned().unwrap_or_default();
    let mut arns = Vec::new();
    for one in wanted {
        let id = format!("a-{}", &world.id()[..8]);
        let arn = arn(ask.region, "podidentityassociation", &format!("{cluster}/{id}"));
        let doc = json!({
            "clusterName": cluster,
            "namespace": "kube-system",
            "serviceAccount": one["serviceAccount"],
            "roleArn": one["roleArn"],
            "associationArn": arn,
            "associationId": id,
            "ownerArn": owner,
            "tags": {},
        });
        if let Ok(cluster) = world.cluster(cluster) {
            cluster.associations.insert(id, Thing { doc, ..Thing::default() });
            arns.push(arn);
        }
    }
    arns
}

fn dissociate(cluster: &mut Cluster, owner: &str) {
    cluster.associations.retain(|_, thing| thing.doc["ownerArn"] != owner);
}

pub(super) fn create(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (cluster_name, name) = (ask.part(1), ask.text("addonName").unwrap_or_default());
    let token = ask.text("clientRequestToken");
    let id = world.id();
    let ends = world.ending(name);
    let cluster = world.active(cluster_name)?;
    if let Some(thing) = cluster.add_ons.get(name) {
        if token.is_some() && thing.token.as_deref() == token {
            return Ok(shown(thing));
        }
        return Err(in_use("Addon already exists."));
    }
    if !KNOWN.contains(&name) {
        return Err(invalid(format!("Addon {name} specified is not supported")));
    }
    if ask.text("resolveConflicts") == Some("PRESERVE") {
        return Err(invalid("PRESERVE is not supported when an add-on is created"));
    }
    let kubernetes = cluster.doc["version"].as_str().unwrap_or_default().to_owned();
    let version =
        ask.text("addonVersion").map_or_else(|| versions_for(&kubernetes)[1].clone(), str::to_owned);
    fits(cluster, &version)?;
    let arn = arn(ask.region, "addon", &format!("{cluster_name}/{name}/{id}"));
    let mut doc = json!({
        "addonName": name,
        "clusterName": cluster_name,
        "status": "CREATING",
        "addonVersion": version,
        "health": { "issues": [] },
        "addonArn": arn,
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": if ask.body["tags"].is_null() { json!({}) } else { ask.body["tags"].clone() },
    });
    for key in ["serviceAccountRoleArn", "configurationValues", "namespaceConfig"] {
        if !ask.body[key].is_null() {
            doc[key] = ask.body[key].clone();
        }
    }
    let owned = associate(world, ask, cluster_name, &arn);
    doc["podIdentityAssociations"] = json!(owned);
    let thing = Thing { doc, token: token.map(str::to_owned), ends: Some(ends) };
    let answer = shown(&thing);
    world.cluster(cluster_name)?.add_ons.insert(name.to_owned(), thing);
    Ok(answer)
}

pub(super) fn delete(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (cluster_name, name) = (ask.part(1), ask.part(3));
    let pace = world.pace;
    let cluster = world.cluster(cluster_name)?;
    free(cluster, cluster_name, &Of::AddOn(name.to_owned()), "DeleteAddon")?;
    let thing = find(cluster, name)?;
    thing.doc["status"] = "DELETING".into();
    thing.ends = Some((Instant::now() + pace, End::Gone));
    let answer = shown(thing);
    let owner = thing.doc["addonArn"].as_str().unwrap_or_default().to_owned();
    dissociate(cluster, &owner);
    Ok(answer)
}

pub(super) fn update(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (cluster_name, name) = (ask.part(1), ask.part(3));
    let token = ask.text("clientRequestToken");
    let of = Of::AddOn(name.to_owned());
    let cluster = world.cluster(cluster_name)?;
    let thing = find(cluster, name)?;
    let owner = thing.doc["addonArn"].as_str().unwrap_or_default().to_owned();
    if thing.doc["status"] == "CREATING" {
        return Err(in_use(format!("Addon {name} cannot be updated as it is currently in CREATING state")));
    }
    free(cluster, cluster_name, &of, "AddonUpdate")?;
    let mut change = json!({});
    if let Some(version) = ask.text("addonVersion") {
        fits(cluster, version)?;
        change["addonVersion"] = version.into();
    }
    for key in ["serviceAccountRoleArn", "configurationValues"] {
        if !ask.body[key].is_null() {
            change[key] = ask.body[key].clone();
        }
    }
    // An empty list takes them away; none leaves them alone.
    if !ask.body["podIdentityAssociations"].is_null() {
        dissociate(cluster, &owner);
        let owned = associate(world, ask, cluster_name, &owner);
        change["podIdentityAssociations"] = json!(owned);
    }
    begin(world, cluster_name, of, "AddonUpdate", token, change)
}
