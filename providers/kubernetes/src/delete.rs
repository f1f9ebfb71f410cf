//! Deleting: only what is ours, with what it made, and until it is gone.

use std::time::Duration;

use http::Method;
use plinth_provider::{Class, Context, Error, Path, Recorded, Result, Value};
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use crate::apply::is_terminating;
use crate::cluster::{Cluster, Status, escaped};
use crate::kind::Gvk;
use crate::owner::{self, Owner, owner_of};
use crate::read::Target;
use crate::schema;
use crate::tree;

/// How long controllers get to remove what they made of custom resources that are gone.
const SETTLE: Duration = Duration::from_secs(20);
/// How often a delete that met another object under the name is tried again.
const ATTEMPTS: u32 = 10;
/// How long a volume may take to go after its claim.
const VOLUME_PATIENCE: Duration = Duration::from_secs(180);
/// How many objects of a kind are named in an error.
const NAMED: usize = 5;

/// Deletes a recorded object and waits until it is gone.
pub(crate) async fn delete(cluster: &Cluster, context: &Context, recorded: &Recorded) -> Result<()> {
    let gvk = Gvk::parse(recorded.urn.kind())?;
    let Some(target) = Target::of_recorded(cluster, context, &gvk, recorded).await? else {
        // Its definition is gone, and every object with it.
        return Ok(());
    };
    let mut tries = 0;
    loop {
        let Some(live) = cluster.get(context, &target.path()).await? else { break };
        if !is_ours(&live, recorded, &target)? {
            break;
        }
        let uid = tree::text(&live, "metadata.uid").unwrap_or("");
        if !is_terminating(&live) {
            if gvk.is("apiextensions.k8s.io", "CustomResourceDefinition") {
                refuse_with_instances(cluster, context, &live).await?;
            }
            match request(cluster, context, &target, uid, propagation(&gvk)).await? {
                Ok(Deleted::Gone) => break,
                Ok(Deleted::Going) => {}
                // It was replaced between the read and the delete: look again.
                Err(status) if status.code == 409 && tries < ATTEMPTS => {
                    tries += 1;
                    pause(context, "it changes while it is deleted").await?;
                    continue;
                }
                Err(status) => return Err(status.into_error(false)),
            }
        }
        until_gone(cluster, context, &target, uid).await?;
        break;
    }
    if gvk.is("apiextensions.k8s.io", "CustomResourceDefinition")
        && let Some(group) = recorded.inputs.text_at("spec.group")
    {
        cluster.served.forget(group);
    }
    if gvk.is("apps", "StatefulSet") && !retains_volumes(&recorded.inputs) {
        delete_claims(cluster, context, &recorded.inputs).await?;
    }
    Ok(())
}

/// Whether what is there is what we made. Another object under the same name is none of our business; one that was
/// handed to another stack must not be lost.
fn is_ours(live: &Json, recorded: &Recorded, target: &Target) -> Result<bool> {
    if owner_of(live, &recorded.urn) == Owner::Ours {
        return Ok(true);
    }
    let known = recorded.outputs.text_at("metadata.uid");
    let same = known.is_none_or(|known| tree::text(live, "metadata.uid") == Some(known));
    match owner::lost_to(live, recorded) {
        Some(stack) if same => {
            Err(Error::new(Class::Conflict, format!("{} now belongs to the stack {stack}", target.id()))
                .help("`plinth state rm` forgets it without deleting"))
        }
        Some(_) => Ok(false),
        None => Ok(same),
    }
}

/// What an object made goes before it where the order matters: pods before their controller's claims and accounts, and
/// whatever a custom resource stands for. Elsewhere nothing is waited for that nobody needs to wait for.
fn propagation(gvk: &Gvk) -> &'static str {
    let makes_others = matches!(gvk.group.as_str(), "apps" | "batch")
        || gvk.is("", "ReplicationController")
        || schema::built_in(gvk).is_none();
    if makes_others { "Foreground" } else { "Background" }
}

/// What a delete came to.
enum Deleted {
    Gone,
    /// Finalizers remain.
    Going,
}

async fn request(
    cluster: &Cluster,
    context: &Context,
    target: &Target,
    uid: &str,
    propagation: &str,
) -> Result<Result<Deleted, Status>> {
    let options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": propagation,
        "preconditions": {"uid": uid},
    });
    let content = Some(("application/json", &options));
    let reply = cluster.send_again(context, Method::DELETE, &target.path(), content).await?;
    Ok(match reply.success() {
        // A Status says that it is gone; what remains comes back as it is.
        Ok(body) if tree::text(&body, "kind") == Some("Status") => Ok(Deleted::Gone),
        Ok(_) => Ok(Deleted::Going),
        Err(status) if status.code == 404 => Ok(Deleted::Gone),
        Err(status) => Err(status),
    })
}

/// Deletes an object but leaves what it made, and waits until it is gone.
pub(crate) async fn orphan(cluster: &Cluster, context: &Context, target: &Target, uid: &str) -> Result<()> {
    match request(cluster, context, target, uid, "Orphan").await? {
        Ok(Deleted::Gone) => Ok(()),
        Ok(Deleted::Going) => until_gone(cluster, context, target, uid).await,
        Err(status) => Err(status.into_error(false)),
    }
}

/// Waits until the object of this uid is gone.
pub(crate) async fn until_gone(
    cluster: &Cluster,
    context: &Context,
    target: &Target,
    uid: &str,
) -> Result<()> {
    let mut delay = Duration::from_millis(20);
    let mut last = format!("{} is being deleted", target.id());
    let mut told = String::new();
    let path = target.path();
    loop {
        let work = cluster.get(context, &path);
        let Some(live) = context.bounded(|| last.clone(), work).await? else { return Ok(()) };
        if tree::text(&live, "metadata.uid") != Some(uid) {
            return Ok(());
        }
        last = lingering(&live);
        // Most are gone before anybody asks why not.
        if last != told && delay > Duration::from_millis(200) {
            context.reporter.waiting(&last);
            told.clone_from(&last);
        }
        let sleep = async {
            tokio::time::sleep(delay).await;
            Ok(())
        };
        context.bounded(|| last.clone(), sleep).await?;
        delay = (delay * 3 / 2).min(Duration::from_secs(2));
    }
}

/// Why an object is still there.
fn lingering(live: &Json) -> String {
    let stuck: Vec<String> = tree::items(live, "status.conditions")
        .filter(|condition| {
            tree::text(condition, "status") == Some("True")
                && tree::text(condition, "type").is_some_and(|kind| kind.starts_with("Namespace"))
        })
        .map(tree::explain)
        .collect();
    if !stuck.is_empty() {
        return stuck.join("; ");
    }
    let finalizers: Vec<&str> = tree::items(live, "metadata.finalizers").filter_map(Json::as_str).collect();
    if finalizers.is_empty() {
        return "being deleted".to_owned();
    }
    let by = finalizer_owners(live);
    let by = if by.is_empty() { String::new() } else { format!(" (set by {})", by.join(", ")) };
    format!("waiting for its finalizers {}{by}", finalizers.join(", "))
}

fn finalizer_owners(live: &Json) -> Vec<&str> {
    let mut names: Vec<&str> = tree::items(live, "metadata.managedFields")
        .filter(|entry| {
            entry
                .get("fieldsV1")
                .and_then(|fields| fields.get("f:metadata"))
                .and_then(|fields| fields.get("f:finalizers"))
                .is_some()
        })
        .filter_map(|entry| tree::text(entry, "manager"))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

async fn pause(context: &Context, reason: &str) -> Result<()> {
    let sleep = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(())
    };
    context.bounded(|| reason.to_owned(), sleep).await
}

/// Deleting a definition deletes every object of the kind, whoever made it. Our own are gone by now.
async fn refuse_with_instances(cluster: &Cluster, context: &Context, definition: &Json) -> Result<()> {
    if tree::annotation(definition, owner::DELETE_INSTANCES) == Some("true") {
        return Ok(());
    }
    let served = tree::items(definition, "spec.versions")
        .find(|version| version.get("served") == Some(&Json::Bool(true)))
        .and_then(|version| tree::text(version, "name"));
    let (Some(group), Some(plural), Some(version)) =
        (tree::text(definition, "spec.group"), tree::text(definition, "spec.names.plural"), served)
    else {
        return Ok(());
    };
    let path = format!("/apis/{group}/{version}/{plural}?limit=500");
    let begun = Instant::now();
    loop {
        let Some(list) = cluster.get_metadata(context, &path).await? else { return Ok(()) };
        // What a controller made goes with its owner.
        let left: Vec<String> = tree::items(&list, "items")
            .filter(|object| {
                !is_terminating(object) && tree::items(object, "metadata.ownerReferences").next().is_none()
            })
            .map(|object| {
                let name = tree::text(object, "metadata.name").unwrap_or("?");
                match tree::text(object, "metadata.namespace") {
                    Some(namespace) => format!("{namespace}/{name}"),
                    None => name.to_owned(),
                }
            })
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > SETTLE {
            let more = if left.len() > NAMED { ", …" } else { "" };
            return Err(Error::new(
                Class::Conflict,
                format!(
                    "deleting this definition would delete {} {plural}.{group} that the stack did not make: {}{more}",
                    left.len(),
                    left.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "),
                ),
            )
            .help(format!(
                "delete them first, set retainOnDelete on the definition, or annotate it with {}: \"true\"",
                owner::DELETE_INSTANCES
            )));
        }
        context.reporter.waiting(&format!("{} {plural}.{group} are still there", left.len()));
        let sleep = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        };
        context.bounded(|| format!("{plural}.{group} are still there"), sleep).await?;
    }
}

/// A claim made from a StatefulSet's template.
pub(crate) struct Claim {
    pub path: String,
    pub object: Json,
}

fn retains_volumes(inputs: &Value) -> bool {
    let annotations = inputs.at(&Path::parse("metadata.annotations"));
    annotations.and_then(|map| map.get(owner::RETAIN_VOLUMES)).and_then(Value::as_str) == Some("true")
        || inputs.text_at("spec.persistentVolumeClaimRetentionPolicy.whenDeleted") == Some("Retain")
}

/// The claims that a StatefulSet's controller made: `<template>-<set>-<ordinal>`.
pub(crate) async fn claims_of(
    cluster: &Cluster,
    context: &Context,
    inputs: &Value,
    template: Option<&str>,
) -> Result<Vec<Claim>> {
    let Some(set) = inputs.text_at("metadata.name") else { return Ok(Vec::new()) };
    let namespace = inputs.text_at("metadata.namespace").unwrap_or("default");
    let prefixes: Vec<String> = inputs
        .at(&Path::parse("spec.volumeClaimTemplates"))
        .and_then(Value::as_list)
        .unwrap_or_default()
        .iter()
        .filter_map(|claim| claim.text_at("metadata.name"))
        .filter(|name| template.is_none_or(|wanted| wanted == *name))
        .map(|name| format!("{name}-{set}-"))
        .collect();
    let labels: Vec<String> = inputs
        .at(&Path::parse("spec.selector.matchLabels"))
        .and_then(Value::as_map)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    if prefixes.is_empty() || labels.is_empty() {
        return Ok(Vec::new());
    }
    let collection = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims");
    let path = format!("{collection}?labelSelector={}", escaped(&labels.join(",")));
    let Some(list) = cluster.get(context, &path).await? else { return Ok(Vec::new()) };
    let is_ordinal = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    Ok(tree::items(&list, "items")
        .filter_map(|object| {
            let name = tree::text(object, "metadata.name")?;
            let made =
                prefixes.iter().any(|prefix| name.strip_prefix(prefix.as_str()).is_some_and(is_ordinal));
            made.then(|| Claim { path: format!("{collection}/{name}"), object: object.clone() })
        })
        .collect())
}

async fn delete_claims(cluster: &Cluster, context: &Context, inputs: &Value) -> Result<()> {
    let claims = claims_of(cluster, context, inputs, None).await?;
    for claim in &claims {
        if is_terminating(&claim.object) {
            continue;
        }
        let uid = tree::text(&claim.object, "metadata.uid").unwrap_or("");
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
        let content = Some(("application/json", &options));
        let reply = cluster.send_again(context, Method::DELETE, &claim.path, content).await?;
        if let Err(status) = reply.success()
            && !matches!(status.code, 404 | 409)
        {
            return Err(status.into_error(false));
        }
    }
    for claim in &claims {
        let uid = tree::text(&claim.object, "metadata.uid").unwrap_or("");
        loop {
            let live = cluster.get(context, &claim.path).await?;
            if live.is_none_or(|live| tree::text(&live, "metadata.uid") != Some(uid)) {
                break;
            }
            let name = tree::text(&claim.object, "metadata.name").unwrap_or("");
            context.reporter.waiting(&format!("the claim {name} is being deleted"));
            pause(context, &format!("the claim {name} is being deleted")).await?;
        }
    }
    for claim in &claims {
        if let Some(volume) = tree::text(&claim.object, "spec.volumeName") {
            volume_gone(cluster, context, volume).await?;
        }
    }
    Ok(())
}

/// Waits until a volume that goes with its claim is gone, and with it the disk in the cloud: the driver that removes it
/// lives in the cluster, and must not go first. One that stays for long is told and left.
async fn volume_gone(cluster: &Cluster, context: &Context, name: &str) -> Result<()> {
    let path = format!("/api/v1/persistentvolumes/{name}");
    let end = context.deadline.min(Instant::now() + VOLUME_PATIENCE);
    loop {
        let live = match cluster.get(context, &path).await {
            Ok(live) => live,
            // Who may not look at volumes waits for none.
            Err(error) if error.class == Class::Denied => return Ok(()),
            Err(error) => return Err(error),
        };
        let goes = |live: &Json| tree::text(live, "spec.persistentVolumeReclaimPolicy") == Some("Delete");
        let Some(live) = live.filter(goes) else { return Ok(()) };
        if Instant::now() >= end {
            let state = tree::text(&live, "status.phase").unwrap_or("there");
            context.reporter.warning(&format!(
                "the volume {name} is still {state}: its disk may stay when the cluster goes"
            ));
            return Ok(());
        }
        let reason = format!("the volume {name} is being deleted");
        context.reporter.waiting(&reason);
        pause(context, &reason).await?;
    }
}
