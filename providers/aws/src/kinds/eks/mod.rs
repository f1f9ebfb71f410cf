//! The kinds of EKS: the cluster, its node groups, add-ons, access entries and pod identities.
//!
//! What they share is here: one change at a time and what to do while somebody else's is under way ([`updates`]), versions
//! and their order ([`versions`]), roles that IAM has made a moment ago, health as EKS words it. All of it works level by
//! level: what differs is looked up again after every change and after every wait, so that it does not matter who changed
//! what in between.

mod access_entry;
mod add_on;
mod cidr;
mod cluster;
mod insights;
mod node_group;
mod order;
mod pod_identity;
mod updates;
mod versions;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use plinth_provider::{Class, Error, Lane, Result, Value};

use super::{Call, integer as integer_at, is_on, texts};
use crate::error::{failed, is_missing, refused};
use crate::marks;
use crate::wait::{Look, until};

pub(crate) use access_entry::AccessEntry;
pub(crate) use add_on::AddOn;
pub(crate) use cluster::Cluster;
pub(crate) use node_group::NodeGroup;
pub(crate) use order::dependencies;
pub(crate) use pod_identity::PodIdentityAssociation;

/// How long IAM may take to show a role that it has just made to EKS.
const PROPAGATION: Duration = Duration::from_secs(120);

/// How many looks in a row may find a thing degraded before that is taken for its state.
const DEGRADED_LOOKS: u32 = 12;

/// Whether EKS does not know yet what IAM knows already. EKS has one code for all wrong parameters, so its words decide;
/// every other wrong parameter stays wrong.
fn is_propagating(error: &Error) -> bool {
    const WORDS: &[&str] = &[
        "Error in role params",
        "Role could not be assumed because the trusted entity is not correct",
        "The provided role doesn't have the Amazon EKS Managed Policies associated with it",
        "IAM role's policy must include",
        "Role provided in the request does not exist",
        "The specified principalArn is invalid",
        "ResourcePropagationDelayException",
    ];
    let says = |words: &str| error.message.contains(words);
    WORDS.iter().any(|words| says(words)) || says("does not exist") && says(":role/")
}

/// Whether EKS refuses only because something else is going on with the cluster.
fn is_under_way(error: &Error) -> bool {
    error.class == Class::Conflict && !exists_already(error) && !error.message.contains("attached")
}

fn exists_already(error: &Error) -> bool {
    error.class == Class::Conflict
        && (error.message.contains("already exists") || error.message.contains("already in use"))
}

/// The lanes of a cluster: it is changed alone; what is in it changes side by side, but not with the cluster.
fn lane(cluster: Option<&str>, exclusive: bool) -> Vec<Lane> {
    cluster.map(|name| Lane { key: format!("aws:eks/{name}"), exclusive }).into_iter().collect()
}

/// A client token of its own for each call of an operation: the same when the operation is repeated.
fn client_token(call: &Call<'_>, what: &str) -> String {
    format!("{}-{what}", call.context.token).chars().take(64).collect()
}

/// Tags as the SDK wants them.
fn all_tags(call: &Call<'_>) -> HashMap<String, String> {
    marks::tags(call.urn, call.inputs).into_iter().collect()
}

fn tag_map(tags: Option<&HashMap<String, String>>) -> BTreeMap<String, String> {
    tags.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Brings the tags of anything in EKS to those asked for. These changes wait for no other.
async fn settle_tags(call: &Call<'_>, arn: &str, there: &BTreeMap<String, String>) -> Result<()> {
    let put = async |set: BTreeMap<String, String>| {
        let tags = Some(set.into_iter().collect());
        let put = call.aws.eks.tag_resource().resource_arn(arn).set_tags(tags).send().await;
        put.map(drop).map_err(|error| failed("eks:TagResource", arn, error))
    };
    let remove = async |gone| {
        let removed = call.aws.eks.untag_resource().resource_arn(arn).set_tag_keys(Some(gone)).send().await;
        removed.map(drop).map_err(|error| failed("eks:UntagResource", arn, error))
    };
    marks::settle(call, there, put, remove).await
}

/// The tags as they are compared: only where tags were asked for.
fn set_tags(inputs: &mut Value, asked: &Value, tags: &BTreeMap<String, String>) {
    if asked.get("tags").is_some() {
        inputs.set(&"tags".into(), marks::foreign(tags.clone()));
    }
}

/// What never reaches AWS is as it was asked for.
fn keep(inputs: &mut Value, asked: &Value, keys: &[&str]) {
    for key in keys {
        if let Some(value) = asked.get(key) {
            inputs.set(&(*key).into(), value.clone());
        }
    }
}

/// The inputs without these.
fn without(inputs: &Value, keys: &[&str]) -> Value {
    let mut inputs = inputs.clone();
    for key in keys {
        inputs.remove(&(*key).into());
    }
    inputs
}

/// Health issues in one line; empty when there are none.
fn issues<'a>(issues: impl Iterator<Item = (Option<&'a str>, Option<&'a str>, &'a [String])>) -> String {
    let said: Vec<String> = issues
        .map(|(code, message, resources)| {
            let (code, message) = (code.unwrap_or("Unknown"), message.unwrap_or("no further words"));
            match resources {
                [] => format!("{code}: {message}"),
                resources => format!("{code}: {message} ({})", resources.join(", ")),
            }
        })
        .collect();
    said.join("; ")
}

/// What is shown while something is waited for.
fn waits(what: &str, status: &str, issues: &str) -> String {
    match issues {
        "" => format!("{what} is {status}"),
        issues => format!("{what} is {status}: {issues}"),
    }
}

/// What is in this state and will not leave it by itself.
fn broken(what: &str, status: &str, issues: &str) -> Error {
    let why = if issues.is_empty() { "EKS does not say why" } else { issues };
    Error::invalid(format!("{what} is {status}: {why}"))
        .help("put right what it says and run the same command again: it continues from here")
}

fn gone(what: &str) -> Error {
    Error::new(Class::NotFound, format!("{what} is gone"))
}

fn list<T: Into<Value>>(texts: impl IntoIterator<Item = T>) -> Value {
    Value::List(texts.into_iter().map(Into::into).collect())
}

/// Where a thing is, as EKS tells it.
enum Going {
    /// Something is going on with it.
    On,
    /// It may heal by itself.
    Degraded,
    /// Nothing moves any more.
    Still,
}

/// Waits until nothing is going on with a thing, and tells its status and health meanwhile; `None` when it is gone by then.
/// One that stays degraded is in that state.
async fn settled<T: Send, Looking>(
    call: &Call<'_>,
    look: impl Fn() -> Looking + Send + Sync,
    going: impl Fn(&T) -> Going + Send + Sync,
    words: impl Fn(&T) -> String + Send + Sync,
) -> Result<Option<T>>
where
    Looking: Future<Output = Result<Option<T>>> + Send,
{
    let degraded = AtomicU32::new(0);
    until(call.context, call.settings.poll, || async {
        let Some(thing) = look().await? else { return Ok(Look::Done(None)) };
        let waits = match going(&thing) {
            Going::On => true,
            Going::Degraded => degraded.fetch_add(1, Ordering::Relaxed) < DEGRADED_LOOKS,
            Going::Still => false,
        };
        Ok(if waits { Look::Waiting(words(&thing)) } else { Look::Done(Some(thing)) })
    })
    .await
}

/// The names of a cluster's node groups.
async fn node_groups(call: &Call<'_>, cluster: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = call.aws.eks.list_nodegroups().cluster_name(cluster).into_paginator().items().send();
    while let Some(name) = pages.next().await {
        match name {
            Ok(name) => found.push(name),
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(refused("eks:ListNodegroups", cluster, error)),
        }
    }
    Ok(found)
}

/// Whether a URN's resource names this cluster in its input `cluster`.
fn names_cluster(inputs: &Value, name: Option<&str>) -> bool {
    name.is_some() && inputs.text_at("cluster") == name
}

/// The last part of an ARN: the name of what it is of.
fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_by_itself_is_repeated() {
        let invalid = |text: &str| Error::invalid(text);
        assert!(is_propagating(&invalid(
            "roleArn, arn:aws:iam::1:role/dev-eks, does not exist (InvalidParameterException)"
        )));
        assert!(!is_propagating(&invalid(
            "The subnet ID 'subnet-1' does not exist (InvalidParameterException)"
        )));
        let conflict = |text: &str| Error::new(Class::Conflict, text);
        assert!(is_under_way(&conflict("Cannot update: cluster currently has update 1a in progress")));
        assert!(!is_under_way(&conflict("Cluster already exists with name: dev")));
        assert!(!is_under_way(&conflict("Cluster has nodegroups attached")));
    }
}
