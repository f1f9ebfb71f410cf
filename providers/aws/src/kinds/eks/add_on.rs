//! `aws:eks/AddOn`: software that EKS keeps in a cluster.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_eks::types::{
    Addon, AddonNamespaceConfigRequest, AddonPodIdentityAssociations, AddonStatus, ResolveConflicts, Update,
};
use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{Applied, Diff, Drift, Error, Lane, Live, Recorded, Result, Value};

use super::updates::{Begun, Of, Target, when_free};
use super::versions::version;
use super::{
    Call, Going, PROPAGATION, all_tags, broken, client_token, cluster, exists_already, gone, is_propagating,
    issues, keep, lane, names_cluster, node_groups, set_tags, settle_tags, tag_map, waits, without,
};
use crate::error::{failed, is_missing, refused};
use crate::kinds::iam_role::arn;
use crate::kinds::{Handler, Spec, There, text};
use crate::marks::{self, Owner};
use crate::wait::again;

/// The kind.
pub(crate) struct AddOn;

/// How long the first node group waits for add-ons that could not live without nodes.
const HEALING: Duration = Duration::from_secs(10 * 60);

const SPEC: Spec = Spec {
    name: "aws:eks/AddOn",
    fields: &[
        Field::required("name", ANY).immutable(),
        Field::required("cluster", ANY).immutable(),
        // Without one: the default version for the cluster's version, and it stays until the cluster's changes.
        Field::optional("version", ANY),
        // The namespace that it runs in, where EKS lets one choose.
        Field::optional("namespace", ANY).immutable(),
        Field::optional("clusterVersion", Shape::Text(version)),
        Field::optional("configuration", Shape::Text(configuration)),
        Field::optional("roleArn", Shape::Text(arn)),
        // Service accounts and the roles that they act in.
        Field::optional("podIdentities", Shape::Map(&Shape::Text(arn))),
        Field::default("resolveConflicts", Shape::Choice(&["NONE", "OVERWRITE", "PRESERVE"]), || {
            "OVERWRITE".into()
        }),
        // Leaves the software in the cluster when the add-on is deleted.
        Field::default("preserve", Shape::Boolean, || false.into()),
        Field::optional("tags", TAGS),
    ],
    longest_name: None,
    delete_before_replace: true,
    usual: Duration::from_secs(40),
    timeout: Duration::from_secs(20 * 60),
    computed: &[],
};

/// Inputs that say how something is done.
const NOT_COMPARED: &[&str] = &["resolveConflicts", "preserve"];

fn configuration(text: &str) -> std::result::Result<(), String> {
    parsed(text).map(drop).ok_or_else(|| "it is neither JSON nor YAML".to_owned())
}

/// EKS takes the configuration as JSON or YAML and gives back its words; what counts is what they say.
fn parsed(text: &str) -> Option<serde_json::Value> {
    serde_saphyr::from_str(text).ok()
}

/// The same with keys in order.
fn sorted(json: serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> =
                map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            serde_json::Value::Object(sorted.into_iter().collect())
        }
        serde_json::Value::Array(list) => serde_json::Value::Array(list.into_iter().map(sorted).collect()),
        plain => plain,
    }
}

async fn describe(call: &Call<'_>, cluster: &str, name: &str) -> Result<Option<Addon>> {
    match call.aws.eks.describe_addon().cluster_name(cluster).addon_name(name).send().await {
        Ok(answer) => Ok(answer.addon),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refused("eks:DescribeAddon", name, error)),
    }
}

fn health(add_on: &Addon) -> String {
    let found = add_on.health().map(|health| health.issues()).unwrap_or_default();
    issues(
        found
            .iter()
            .map(|issue| (issue.code().map(|code| code.as_str()), issue.message(), issue.resource_ids())),
    )
}

fn status(add_on: &Addon) -> &str {
    add_on.status().map_or("in an unknown state", AddonStatus::as_str)
}

fn noun(name: &str) -> String {
    format!("the add-on {name}")
}

fn names(inputs: &Value) -> Result<(&str, &str)> {
    Ok((text(inputs, "cluster")?, text(inputs, "name")?))
}

/// The service accounts and roles that the add-on owns associations of.
async fn pod_identities(call: &Call<'_>, cluster: &str, add_on: &Addon) -> Result<Value> {
    let mut found = Value::map();
    for arn in add_on.pod_identity_associations() {
        let id = super::last_part(arn);
        let asked =
            call.aws.eks.describe_pod_identity_association().cluster_name(cluster).association_id(id).send();
        let held = match asked.await {
            Ok(answer) => answer.association,
            Err(error) if is_missing(&error) => None,
            Err(error) => return Err(refused("eks:DescribePodIdentityAssociation", arn, error)),
        };
        if let Some(held) = held
            && let (Some(account), Some(role)) = (held.service_account(), held.role_arn())
        {
            found.set(&plinth_provider::Path::root().key(account), role.into());
        }
    }
    Ok(found)
}

async fn live(call: &Call<'_>, cluster: &str, add_on: &Addon) -> Result<There> {
    let tags = tag_map(add_on.tags());
    let asked = call.inputs;
    let mut inputs = Value::from([("cluster", cluster), ("name", add_on.addon_name().unwrap_or_default())]);
    let mut set = |key: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            inputs.set(&key.into(), value.into());
        }
    };
    set("version", add_on.addon_version());
    set("roleArn", add_on.service_account_role_arn());
    set("namespace", add_on.namespace_config().and_then(|held| held.namespace()));
    let live_words = add_on.configuration_values().unwrap_or_default();
    set(
        "configuration",
        Some(match asked.text_at("configuration") {
            Some(words) if parsed(words) == parsed(live_words) => words,
            _ => live_words,
        }),
    );
    if asked.get("podIdentities").is_some() {
        inputs.set(&"podIdentities".into(), pod_identities(call, cluster, add_on).await?);
    }
    keep(&mut inputs, asked, &["clusterVersion", "resolveConflicts", "preserve"]);
    set_tags(&mut inputs, asked, &tags);
    let entries = [
        ("arn", add_on.addon_arn()),
        ("name", add_on.addon_name()),
        ("cluster", Some(cluster)),
        ("version", add_on.addon_version()),
    ];
    let outputs = entries.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text?))));
    let live = Live {
        id: add_on.addon_arn().unwrap_or_default().to_owned(),
        outputs: Value::Map(outputs.collect()),
        inputs,
        details: serde_json::Value::Null,
    };
    Ok(There { live, tags })
}

/// The version that EKS gives this add-on by default on a version of Kubernetes.
async fn default_version(call: &Call<'_>, cluster: &str, name: &str) -> Result<String> {
    let described;
    let kubernetes = match call.inputs.text_at("clusterVersion") {
        Some(version) => version,
        None => {
            let found = cluster::describe(call, cluster).await?;
            described = found.and_then(|cluster| cluster.version).ok_or_else(|| {
                Error::invalid(format!("there is no cluster {cluster}"))
                    .at("cluster".into())
                    .help("name a cluster of this account and region, or refer to one of this stack by its output `name`")
            })?;
            &described
        }
    };
    let mut newest: Option<String> = None;
    let mut known = Vec::new();
    let mut pages = call
        .aws
        .eks
        .describe_addon_versions()
        .addon_name(name)
        .kubernetes_version(kubernetes)
        .into_paginator()
        .items()
        .send();
    while let Some(info) = pages.next().await {
        let info = info.map_err(|error| refused("eks:DescribeAddonVersions", name, error))?;
        for held in info.addon_versions() {
            let Some(version) = held.addon_version() else { continue };
            let fits = held.compatibilities().iter().find(|fit| fit.cluster_version() == Some(kubernetes));
            match fits {
                Some(fit) if fit.default_version() => return Ok(version.to_owned()),
                // They are told newest first.
                Some(_) => newest = newest.or_else(|| Some(version.to_owned())),
                None => known.push(version.to_owned()),
            }
        }
    }
    newest.ok_or_else(|| {
        Error::invalid(format!("EKS has no version of the add-on {name} for Kubernetes {kubernetes}"))
            .at("name".into())
            .help("see `aws eks describe-addon-versions` for the add-ons that there are")
    })
}

/// The version that is to run: the pinned one; else the recorded one, for as long as it was chosen for the same version
/// of the cluster.
async fn wanted_version(
    call: &Call<'_>,
    cluster: &str,
    name: &str,
    recorded: Option<&Recorded>,
) -> Result<String> {
    if let Some(pinned) = call.inputs.text_at("version") {
        return Ok(pinned.to_owned());
    }
    let chosen = recorded.filter(|recorded| {
        !recorded.unsettled
            && recorded.inputs.get("version").is_none()
            && recorded.inputs.get("clusterVersion") == call.inputs.get("clusterVersion")
    });
    match chosen.and_then(|recorded| recorded.outputs.text_at("version")) {
        Some(version) => Ok(version.to_owned()),
        None => default_version(call, cluster, name).await,
    }
}

fn associations(inputs: &Value) -> Result<Option<Vec<AddonPodIdentityAssociations>>> {
    let Some(wanted) = inputs.get("podIdentities").and_then(Value::as_map) else { return Ok(None) };
    let built = wanted.iter().map(|(account, role)| {
        AddonPodIdentityAssociations::builder()
            .service_account(account)
            .role_arn(role.as_str().unwrap_or_default())
            .build()
            .map_err(|error| Error::invalid(error.to_string()))
    });
    built.collect::<Result<_>>().map(Some)
}

/// The inputs, and for what was asked for before and is not any more: nothing, said out loud. What was never asked for is
/// left alone.
fn with_dropped(inputs: &Value, recorded: &Recorded) -> Value {
    let mut inputs = inputs.clone();
    for (key, nothing) in [("configuration", Value::from("{}")), ("podIdentities", Value::map())] {
        if inputs.get(key).is_none() && recorded.inputs.get(key).is_some() {
            inputs.set(&key.into(), nothing);
        }
    }
    inputs
}

/// EKS preserves only what is there already, so a new add-on knows NONE and OVERWRITE alone.
fn on_conflict(inputs: &Value, creates: bool) -> ResolveConflicts {
    match inputs.text_at("resolveConflicts") {
        Some("PRESERVE") if creates => ResolveConflicts::None,
        Some(wanted) => ResolveConflicts::from(wanted),
        None => ResolveConflicts::Overwrite,
    }
}

async fn begin_create(call: &Call<'_>, cluster: &str, name: &str, version: &str) -> Result<()> {
    let inputs = call.inputs;
    let sent = call
        .aws
        .eks
        .create_addon()
        .cluster_name(cluster)
        .addon_name(name)
        .addon_version(version)
        .set_service_account_role_arn(inputs.text_at("roleArn").map(str::to_owned))
        .set_configuration_values(inputs.text_at("configuration").map(str::to_owned))
        .set_pod_identity_associations(associations(inputs)?)
        .set_namespace_config(
            inputs
                .text_at("namespace")
                .map(|name| AddonNamespaceConfigRequest::builder().namespace(name).build()),
        )
        .resolve_conflicts(on_conflict(inputs, true))
        .set_tags(Some(all_tags(call)))
        .client_request_token(client_token(call, "create"))
        .send()
        .await;
    sent.map(drop).map_err(|error| failed("eks:CreateAddon", name, error))
}

async fn begin_update(call: &Call<'_>, cluster: &str, name: &str, version: &str) -> Result<Option<Update>> {
    let inputs = call.inputs;
    let sent = call
        .aws
        .eks
        .update_addon()
        .cluster_name(cluster)
        .addon_name(name)
        .addon_version(version)
        .set_service_account_role_arn(inputs.text_at("roleArn").map(str::to_owned))
        .set_configuration_values(inputs.text_at("configuration").map(str::to_owned))
        .set_pod_identity_associations(associations(inputs)?)
        .resolve_conflicts(on_conflict(inputs, false))
        .client_request_token(client_token(call, "update"))
        .send()
        .await;
    sent.map(|sent| sent.update).map_err(|error| failed("eks:UpdateAddon", name, error))
}

/// Waits until nothing is going on with the add-on. Without nodes, most of them cannot come up: then they are not waited
/// for, and the first node group does that.
async fn settled(call: &Call<'_>, cluster: &str, name: &str, nodes: bool) -> Result<Option<Addon>> {
    let going = |add_on: &Addon| match add_on.status() {
        Some(AddonStatus::Creating) if nodes => Going::On,
        Some(AddonStatus::Updating | AddonStatus::Deleting) => Going::On,
        Some(AddonStatus::Degraded) if nodes => Going::Degraded,
        _ => Going::Still,
    };
    let words = |add_on: &Addon| waits(&noun(name), status(add_on), &health(add_on));
    super::settled(call, || describe(call, cluster, name), going, words).await
}

/// Waits for the add-ons that were made before there were nodes, now that there are. What is wrong with one of them is
/// told and does not fail the nodes.
pub(super) async fn healed(call: &Call<'_>, cluster: &str) -> Result<()> {
    let mut names = Vec::new();
    let mut pages = call.aws.eks.list_addons().cluster_name(cluster).into_paginator().items().send();
    while let Some(name) = pages.next().await {
        match name {
            Ok(name) => names.push(name),
            // Servers that imitate EKS may not know add-ons; then there are none.
            Err(error) if is_missing(&error) => return Ok(()),
            Err(error) => return Err(refused("eks:ListAddons", cluster, error)),
        }
    }
    let patience = call.context.deadline.min(tokio::time::Instant::now() + HEALING);
    let context = plinth_provider::Context { deadline: patience, ..call.context.clone() };
    let call = Call { context: &context, ..*call };
    for name in names {
        let add_on = match settled(&call, cluster, &name, true).await {
            Ok(add_on) => add_on,
            Err(error) if error.class == plinth_provider::Class::Timeout => {
                describe(&call, cluster, &name).await?
            }
            Err(error) => return Err(error),
        };
        if let Some(add_on) = add_on
            && add_on.status() != Some(&AddonStatus::Active)
        {
            call.context.reporter.warning(&waits(&noun(&name), status(&add_on), &health(&add_on)));
        }
    }
    Ok(())
}

impl AddOn {
    async fn make(
        &self,
        call: &Call<'_>,
        cluster: &str,
        name: &str,
        recorded: Option<&Recorded>,
    ) -> Result<Applied> {
        let version = wanted_version(call, cluster, name, recorded).await?;
        let target = Target { cluster, of: Of::AddOn(name) };
        loop {
            let begun = when_free(call, target, || {
                again(call.context, PROPAGATION, is_propagating, || {
                    begin_create(call, cluster, name, &version)
                })
            });
            match begun.await {
                Ok(()) => break,
                Err(error) if exists_already(&error) => {
                    let Some(there) = describe(call, cluster, name).await? else { continue };
                    let tags = tag_map(there.tags());
                    if marks::owner(call.urn, &tags) == Owner::Others {
                        return Err(marks::taken(&noun(name), &tags));
                    }
                    if there.status() != Some(&AddonStatus::Deleting) {
                        return Err(error);
                    }
                    settled(call, cluster, name, false).await?;
                }
                Err(error) => return Err(error),
            }
        }
        call.context.reporter.started(&format!("create:{name}")).await?;
        self.ready(call, cluster, name).await
    }

    async fn ready(&self, call: &Call<'_>, cluster: &str, name: &str) -> Result<Applied> {
        let nodes = !node_groups(call, cluster).await?.is_empty();
        let add_on = settled(call, cluster, name, nodes).await?.ok_or_else(|| gone(&noun(name)))?;
        let pending =
            matches!(add_on.status(), Some(AddonStatus::Creating | AddonStatus::Degraded)) && !nodes;
        if pending {
            call.context.reporter.waiting(&format!("{} comes up with the first nodes", noun(name)));
        } else if add_on.status() != Some(&AddonStatus::Active) {
            return Err(broken(&noun(name), status(&add_on), &health(&add_on)));
        }
        let there = live(call, cluster, &add_on).await?;
        Ok(Applied { id: there.live.id, outputs: there.live.outputs })
    }

    async fn remove(&self, call: &Call<'_>, cluster: &str, name: &str, preserve: bool) -> Result<()> {
        let target = Target { cluster, of: Of::AddOn(name) };
        when_free(call, target, || async {
            let sent =
                call.aws.eks.delete_addon().cluster_name(cluster).addon_name(name).preserve(preserve).send();
            match sent.await {
                Ok(_) => Ok(()),
                Err(error) if is_missing(&error) => Ok(()),
                Err(error) => Err(failed("eks:DeleteAddon", name, error)),
            }
        })
        .await?;
        call.context.reporter.started(&format!("delete:{name}")).await?;
        match settled(call, cluster, name, false).await? {
            None => Ok(()),
            Some(add_on) => Err(broken(&noun(name), status(&add_on), &health(&add_on))),
        }
    }
}

#[async_trait]
impl Handler for AddOn {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn diff(&self, recorded: &Recorded, desired: &Value) -> Result<Diff> {
        let version = |inputs: &Value| inputs.text_at("version").map(version_numbers);
        // The network plugin goes one minor version at a time.
        if desired.text_at("name") == Some("vpc-cni")
            && let (Some(Some(before)), Some(Some(after))) =
                (version(&recorded.outputs).or_else(|| version(&recorded.inputs)), version(desired))
            && (after.0 != before.0 || after.1 > before.1 + 1 || after.1 + 1 < before.1)
        {
            let message = format!(
                "vpc-cni is at {}.{} and {}.{} is asked for: it goes one minor version at a time",
                before.0, before.1, after.0, after.1
            );
            return Err(Error::invalid(message)
                .at("version".into())
                .help("take the versions in between one after the other"));
        }
        let (before, after) = (self.comparable(&recorded.inputs), self.comparable(desired));
        Ok(Diff::structural(&SPEC.schema(), &before, &after))
    }

    fn whole(&self) -> &'static [&'static str] {
        &["podIdentities"]
    }

    /// A version that was left to EKS is what it chose, until the cluster's version changes.
    fn further_drift(&self, recorded: &Recorded, live: &Live) -> Vec<Drift> {
        let of = |outputs: &Value| outputs.text_at("version").map(Value::from);
        let (chosen, now) = (of(&recorded.outputs), of(&live.outputs));
        if recorded.unsettled || recorded.inputs.get("version").is_some() || chosen.is_none() || chosen == now
        {
            return Vec::new();
        }
        vec![Drift { path: "version".into(), recorded: chosen, live: now, by: None, at: None }]
    }

    fn comparable(&self, inputs: &Value) -> Value {
        let mut inputs = without(inputs, NOT_COMPARED);
        let said = inputs.text_at("configuration").and_then(parsed);
        if let Some(said) = said {
            inputs.set(&"configuration".into(), sorted(said).to_string().into());
        }
        inputs
    }

    fn predict(&self, inputs: &Value, recorded: Option<&Recorded>) -> Value {
        let known = |key: &str| inputs.get(key).cloned().unwrap_or(Value::Unknown);
        let mut outputs = match recorded {
            Some(recorded) => recorded.outputs.clone(),
            None => {
                Value::from([("arn", Value::Unknown), ("name", known("name")), ("cluster", known("cluster"))])
            }
        };
        let chosen_anew = recorded.is_none_or(|recorded| {
            recorded.inputs.get("version").is_some()
                || recorded.inputs.get("clusterVersion") != inputs.get("clusterVersion")
        });
        if inputs.get("version").is_some() || chosen_anew {
            outputs.set(&"version".into(), known("version"));
        }
        outputs
    }

    fn identity(&self, inputs: &Value) -> Option<String> {
        Some(format!("{}/{}/{}", SPEC.name, inputs.text_at("cluster")?, inputs.text_at("name")?))
    }

    fn lanes(&self, inputs: &Value) -> Vec<Lane> {
        lane(inputs.text_at("cluster"), false)
    }

    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        dependency.urn.kind() == "aws:eks/Cluster"
            && names_cluster(&dependent.inputs, dependency.inputs.text_at("name"))
    }

    async fn there(&self, call: &Call<'_>) -> Result<Option<There>> {
        let (cluster, name) = names(call.inputs)?;
        match describe(call, cluster, name).await? {
            Some(add_on) if add_on.status() != Some(&AddonStatus::Deleting) => {
                live(call, cluster, &add_on).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let (cluster, name) = names(call.inputs)?;
        self.make(call, cluster, name, None).await
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        // arn:…:addon/<cluster>/<name>/<uuid>, or <cluster>/<name> from somebody who imports it.
        let parts: Vec<&str> = id.split('/').collect();
        let (cluster, name) = match (names(call.inputs), parts.as_slice()) {
            (Ok(names), _) => names,
            (_, [_, cluster, name, _] | [cluster, name]) => (*cluster, *name),
            (Err(error), _) => return Err(error),
        };
        match describe(call, cluster, name).await? {
            Some(add_on) => Ok(Some(live(call, cluster, &add_on).await?.live)),
            None => Ok(None),
        }
    }

    async fn update(&self, call: &Call<'_>, recorded: &Recorded) -> Result<Applied> {
        let (cluster, name) = names(call.inputs)?;
        let target = Target { cluster, of: Of::AddOn(name) };
        target.resume(call).await?;
        let inputs = with_dropped(call.inputs, recorded);
        let call = &Call { inputs: &inputs, ..*call };
        let version = wanted_version(call, cluster, name, Some(recorded)).await?;
        let mut tries = 0;
        loop {
            let there = settled(call, cluster, name, false).await?.ok_or_else(|| gone(&noun(name)))?;
            if there.status() == Some(&AddonStatus::CreateFailed) {
                let why = health(&there);
                call.context
                    .reporter
                    .warning(&format!("the add-on {name} was never made ({why}); it is made anew"));
                self.remove(call, cluster, name, true).await?;
                return self.make(call, cluster, name, Some(recorded)).await;
            }
            let live = live(call, cluster, &there).await?;
            settle_tags(call, &live.live.id, &live.tags).await?;
            let (held, wanted) = (self.comparable(&live.live.inputs), self.comparable(call.inputs));
            let empty = |value: Option<&Value>| match value {
                Some(Value::Map(map)) => map.is_empty(),
                value => value.is_none_or(|value| value.as_str() == Some("{}")),
            };
            let differs = |key: &str| {
                let (held, wanted) = (held.get(key), wanted.get(key));
                wanted.is_some() && held != wanted && !(empty(held) && empty(wanted))
            };
            let changes = there.addon_version() != Some(version.as_str())
                || ["configuration", "roleArn", "podIdentities"].iter().any(|key| differs(key));
            if !changes && there.status() != Some(&AddonStatus::UpdateFailed) {
                return self.ready(call, cluster, name).await;
            }
            let begun = begin_update(call, cluster, name, &version).await;
            match target.follow(call, begun).await? {
                Begun::Done => tries += 1,
                Begun::Waited => {}
            }
            if tries > 3 {
                return Err(Error::invalid(format!(
                    "the add-on {name} does not keep a change: EKS accepts it and shows the old state"
                )));
            }
        }
    }

    async fn delete(&self, call: &Call<'_>, recorded: &Recorded) -> Result<()> {
        let (cluster, name) = names(call.inputs)?;
        match describe(call, cluster, name).await? {
            None => Ok(()),
            Some(_) => self.remove(call, cluster, name, super::is_on(&recorded.inputs, "preserve")).await,
        }
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let there = self.there(call).await?;
        Ok(there.filter(|there| marks::owner(call.urn, &there.tags) == Owner::Ours).map(|there| there.live))
    }
}

/// Major and minor of a version such as `v1.20.1-eksbuild.1`.
fn version_numbers(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split(['.', '-']).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_compared_by_what_they_say() {
        let inputs = |words: &str| Value::from([("configuration", words)]);
        let json = AddOn.comparable(&inputs(r#"{"env": {"A": "1"}, "replicas": 2}"#));
        assert_eq!(json, AddOn.comparable(&inputs("replicas: 2\nenv:\n  A: '1'\n")));
        assert_ne!(json, AddOn.comparable(&inputs("replicas: 3\nenv:\n  A: '1'\n")));
        assert!(configuration("{unclosed").is_err());
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_taken_back_and_nothing_else() {
        let recorded = Recorded {
            urn: plinth_provider::Urn::new("dev", "aws:eks/AddOn", "dns").unwrap(),
            id: String::new(),
            inputs: Value::from([("configuration", "replicaCount: 3")]),
            outputs: Value::Null,
            connection: None,
            dependencies: Vec::new(),
            options: plinth_provider::Options::default(),
            unsettled: false,
        };
        let dropped = with_dropped(&Value::from([("name", "coredns")]), &recorded);
        assert_eq!(dropped.text_at("configuration"), Some("{}"));
        assert_eq!(dropped.get("podIdentities"), None);
    }

    #[test]
    fn preserving_is_nothing_that_a_new_add_on_knows() {
        let preserve = Value::from([("resolveConflicts", "PRESERVE")]);
        assert_eq!(on_conflict(&preserve, true), ResolveConflicts::None);
        assert_eq!(on_conflict(&preserve, false), ResolveConflicts::Preserve);
        assert_eq!(version_numbers("v1.20.1-eksbuild.1"), Some((1, 20)));
    }
}
