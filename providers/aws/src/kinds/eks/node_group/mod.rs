//! `aws:eks/NodeGroup`: machines that EKS keeps for a cluster.

mod fields;
mod shape;

use async_trait::async_trait;
use aws_sdk_eks::types::{Nodegroup, NodegroupStatus};
use plinth_provider::{Applied, Diff, Error, Lane, Live, Recorded, Result, Value};

use super::updates::{Begun, Of, Target, when_free};
use super::versions::Minor;
use super::{
    Call, Going, PROPAGATION, add_on, broken, cluster, exists_already, gone, is_propagating, issues, lane,
    names_cluster, settle_tags, tag_map, waits, without,
};
use crate::error::{failed, is_missing, refused};
use crate::kinds::{Handler, Spec, There, text};
use crate::marks::{self, Owner};
use crate::wait::again;

/// The kind.
pub(crate) struct NodeGroup;

/// Inputs that only count when the group is made, or that say how something is done.
const NOT_COMPARED: &[&str] = &["desiredSize", "force"];
/// Inputs that change while the nodes live on, and those that replace them one after the other.
const IN_PLACE: &[&str] = &["labels", "taints", "minSize", "maxSize", "update", "nodeRepair", "warmPool"];
const ROLLING: &[&str] = &["version", "releaseVersion", "launchTemplate"];

async fn describe(call: &Call<'_>, cluster: &str, name: &str) -> Result<Option<Nodegroup>> {
    match call.aws.eks.describe_nodegroup().cluster_name(cluster).nodegroup_name(name).send().await {
        Ok(answer) => Ok(answer.nodegroup),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refused("eks:DescribeNodegroup", name, error)),
    }
}

fn health(group: &Nodegroup) -> String {
    let found = group.health().map(|health| health.issues()).unwrap_or_default();
    issues(
        found
            .iter()
            .map(|issue| (issue.code().map(|code| code.as_str()), issue.message(), issue.resource_ids())),
    )
}

fn status(group: &Nodegroup) -> &str {
    group.status().map_or("in an unknown state", NodegroupStatus::as_str)
}

fn noun(name: &str) -> String {
    format!("the node group {name}")
}

fn live(call: &Call<'_>, group: &Nodegroup) -> There {
    let tags = tag_map(group.tags());
    let scaling = group.resources().map(|held| held.auto_scaling_groups()).unwrap_or_default();
    let entries = [
        ("arn", group.nodegroup_arn()),
        ("name", group.nodegroup_name()),
        ("cluster", group.cluster_name()),
        ("version", group.version()),
        ("releaseVersion", group.release_version()),
        ("autoScalingGroup", scaling.first().and_then(|held| held.name())),
    ];
    let outputs =
        entries.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text?)))).collect();
    let live = Live {
        id: group.nodegroup_arn().unwrap_or_default().to_owned(),
        outputs: Value::Map(outputs),
        inputs: shape::inputs(group, call.inputs, &tags),
        details: serde_json::Value::Null,
    };
    There { live, tags }
}

/// Waits until nothing is going on with the group. One that stays degraded is in that state; one that is being deleted is
/// gone.
async fn settled(call: &Call<'_>, cluster: &str, name: &str, heals: bool) -> Result<Option<Nodegroup>> {
    let going = |group: &Nodegroup| match group.status() {
        Some(NodegroupStatus::Creating | NodegroupStatus::Updating | NodegroupStatus::Deleting) => Going::On,
        Some(NodegroupStatus::Degraded) if heals => Going::Degraded,
        _ => Going::Still,
    };
    let words = |group: &Nodegroup| waits(&noun(name), status(group), &health(group));
    super::settled(call, || describe(call, cluster, name), going, words).await
}

fn names(inputs: &Value) -> Result<(&str, &str)> {
    Ok((text(inputs, "cluster")?, text(inputs, "name")?))
}

impl NodeGroup {
    async fn make(&self, call: &Call<'_>, cluster: &str, name: &str) -> Result<Applied> {
        not_ahead(call, cluster).await?;
        let target = Target { cluster, of: Of::NodeGroup(name) };
        loop {
            let begun = when_free(call, target, || {
                again(call.context, PROPAGATION, is_propagating, || shape::create(call, cluster, name))
            });
            match begun.await {
                Ok(()) => break,
                Err(error) if exists_already(&error) => {
                    let Some(there) = describe(call, cluster, name).await? else { continue };
                    let tags = tag_map(there.tags());
                    if marks::owner(call.urn, &tags) == Owner::Others {
                        return Err(marks::taken(&noun(name), &tags));
                    }
                    if there.status() != Some(&NodegroupStatus::Deleting) {
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

    /// Waits until the group's nodes have joined, and until what could not live without nodes does.
    async fn ready(&self, call: &Call<'_>, cluster: &str, name: &str) -> Result<Applied> {
        let group = settled(call, cluster, name, true).await?.ok_or_else(|| gone(&noun(name)))?;
        if group.status() != Some(&NodegroupStatus::Active) {
            return Err(broken(&noun(name), status(&group), &health(&group)));
        }
        add_on::healed(call, cluster).await?;
        let there = live(call, &group);
        Ok(Applied { id: there.live.id, outputs: there.live.outputs })
    }

    async fn remove(&self, call: &Call<'_>, cluster: &str, name: &str) -> Result<()> {
        let target = Target { cluster, of: Of::NodeGroup(name) };
        when_free(call, target, || async {
            match call.aws.eks.delete_nodegroup().cluster_name(cluster).nodegroup_name(name).send().await {
                Ok(_) => Ok(()),
                Err(error) if is_missing(&error) => Ok(()),
                Err(error) => Err(failed("eks:DeleteNodegroup", name, error)),
            }
        })
        .await?;
        call.context.reporter.started(&format!("delete:{name}")).await?;
        match settled(call, cluster, name, false).await? {
            None => Ok(()),
            Some(group) => Err(broken(&noun(name), status(&group), &health(&group))),
        }
    }
}

/// Nodes are never newer than the control plane that they belong to.
async fn not_ahead(call: &Call<'_>, name: &str) -> Result<()> {
    let Some(wanted) = call.inputs.text_at("version") else { return Ok(()) };
    let Some(cluster) = cluster::describe(call, name).await? else {
        return Err(Error::invalid(format!("there is no cluster {name}")).at("cluster".into()).help(
            "name a cluster of this account and region, or refer to one of this stack by its output `name`",
        ));
    };
    let control_plane = cluster.version().unwrap_or_default();
    if Minor::parse(wanted) > Minor::parse(control_plane) {
        return Err(Error::invalid(format!(
            "the node group asks for version {wanted}, and the control plane of {name} is at {control_plane}: nodes are never ahead of it"
        ))
        .at("version".into())
        .help(format!("upgrade the cluster first; refer to its version (`${{{name}.version}}`) and the order follows by itself")));
    }
    Ok(())
}

#[async_trait]
impl Handler for NodeGroup {
    fn spec(&self) -> &'static Spec {
        &fields::SPEC
    }

    fn rules(&self, inputs: &Value, _settings: &crate::Settings) -> Result<()> {
        fields::rules(inputs)
    }

    fn diff(&self, recorded: &Recorded, desired: &Value) -> Result<Diff> {
        let version = |inputs: &Value| inputs.text_at("version").and_then(Minor::parse);
        let (before, after) = (version(&recorded.inputs), version(desired));
        let diff = Diff::structural(
            &self.spec().schema(),
            &self.comparable(&recorded.inputs),
            &self.comparable(desired),
        );
        if let (Some(before), Some(after), Diff::Update(_)) = (before, after, &diff)
            && after < before
        {
            return Err(Error::invalid(format!(
                "the node group is at {before} and a lower version, {after}, is asked for: nodes are not downgraded"
            ))
            .at("version".into())
            .help("keep the version, or make another node group of the lower one and delete this one"));
        }
        Ok(diff)
    }

    fn comparable(&self, inputs: &Value) -> Value {
        without(inputs, NOT_COMPARED)
    }

    fn whole(&self) -> &'static [&'static str] {
        &["labels"]
    }

    fn predict(&self, inputs: &Value, recorded: Option<&Recorded>) -> Value {
        let known = |key: &str| inputs.get(key).cloned().unwrap_or(Value::Unknown);
        let mut outputs = recorded.map_or_else(Value::map, |recorded| recorded.outputs.clone());
        for key in ["arn", "version", "releaseVersion", "autoScalingGroup"] {
            if outputs.get(key).is_none() {
                outputs.set(&key.into(), Value::Unknown);
            }
        }
        let Some(recorded) = recorded else {
            outputs.set(&"name".into(), known("name"));
            outputs.set(&"cluster".into(), known("cluster"));
            return outputs;
        };
        let rolls = |key: &&str| inputs.get(key) != recorded.inputs.get(key);
        if ROLLING.iter().any(rolls) {
            outputs.set(&"version".into(), Value::Unknown);
            outputs.set(&"releaseVersion".into(), Value::Unknown);
        }
        outputs
    }

    fn identity(&self, inputs: &Value) -> Option<String> {
        Some(format!("{}/{}/{}", self.spec().name, inputs.text_at("cluster")?, inputs.text_at("name")?))
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
        let group = describe(call, cluster, name).await?;
        let group = group.filter(|group| group.status() != Some(&NodegroupStatus::Deleting));
        Ok(group.map(|group| live(call, &group)))
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let (cluster, name) = names(call.inputs)?;
        self.make(call, cluster, name).await
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        // arn:…:nodegroup/<cluster>/<name>/<uuid>, or <cluster>/<name> from somebody who imports it.
        let parts: Vec<&str> = id.split('/').collect();
        let (cluster, name) = match (names(call.inputs), parts.as_slice()) {
            (Ok(names), _) => names,
            (_, [_, cluster, name, _] | [cluster, name]) => (*cluster, *name),
            (Err(error), _) => return Err(error),
        };
        Ok(describe(call, cluster, name).await?.map(|group| live(call, &group).live))
    }

    async fn update(&self, call: &Call<'_>, recorded: &Recorded) -> Result<Applied> {
        let inputs = with_dropped(call.inputs, &recorded.inputs);
        let call = &Call { inputs: &inputs, ..*call };
        let (cluster, name) = names(call.inputs)?;
        let target = Target { cluster, of: Of::NodeGroup(name) };
        target.resume(call).await?;
        let mut tries = 0;
        loop {
            let there = settled(call, cluster, name, false).await?.ok_or_else(|| gone(&noun(name)))?;
            if there.status() == Some(&NodegroupStatus::CreateFailed) {
                // It has no nodes, and EKS changes nothing of it any more.
                let why = health(&there);
                call.context
                    .reporter
                    .warning(&format!("the node group {name} was never made ({why}); it is made anew"));
                self.remove(call, cluster, name).await?;
                return self.make(call, cluster, name).await;
            }
            let live = live(call, &there);
            settle_tags(call, &live.live.id, &live.tags).await?;
            let (held, wanted) = (&live.live.inputs, call.inputs);
            let differs = |key: &str| differs(key, wanted, held);
            let begun = if IN_PLACE.iter().any(|key| differs(key)) {
                shape::configure(call, cluster, name, &there, differs).await
            } else if ROLLING.iter().any(|key| differs(key)) {
                not_ahead(call, cluster).await?;
                shape::roll(call, cluster, name, differs).await
            } else {
                return self.ready(call, cluster, name).await;
            };
            if let Begun::Done = target.follow(call, begun).await? {
                tries += 1;
                if tries > 4 {
                    return Err(Error::invalid(format!(
                        "the node group {name} does not keep a change: EKS accepts it and shows the old state"
                    )));
                }
            }
        }
    }

    async fn delete(&self, call: &Call<'_>, _recorded: &Recorded) -> Result<()> {
        let (cluster, name) = names(call.inputs)?;
        match describe(call, cluster, name).await? {
            None => Ok(()),
            Some(_) => self.remove(call, cluster, name).await,
        }
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let there = self.there(call).await?;
        Ok(there.filter(|there| marks::owner(call.urn, &there.tags) == Owner::Ours).map(|there| there.live))
    }
}

/// The inputs, and for what was asked for before and is not any more: what EKS does without it.
fn with_dropped(inputs: &Value, recorded: &Value) -> Value {
    let mut inputs = inputs.clone();
    let without = [
        ("nodeRepair", Value::from(false)),
        ("warmPool", Value::from([("enabled", false)])),
        ("update", Value::from([("maxUnavailable", 1)])),
    ];
    for (key, off) in without {
        if inputs.get(key).is_none() && recorded.get(key).is_some() {
            inputs.set(&key.into(), off);
        }
    }
    inputs
}

/// Whether an input that is asked for is not what is there.
fn differs(key: &str, wanted: &Value, held: &Value) -> bool {
    match (wanted.get(key), held.get(key)) {
        (None, _) => false,
        // Of labels, those that nobody asked for any more have to go.
        (wanted, held) if key == "labels" => wanted != held,
        (wanted, held) => !covers(wanted, held),
    }
}

/// Whether everything that is wanted is there; to an object of settings, EKS adds its own.
fn covers(wanted: Option<&Value>, held: Option<&Value>) -> bool {
    match (wanted, held) {
        (Some(Value::Map(wanted)), Some(held)) => {
            wanted.iter().all(|(key, value)| covers(Some(value), held.get(key)))
        }
        (Some(Value::List(wanted)), Some(Value::List(held))) => {
            wanted.len() == held.len() && wanted.iter().all(|one| held.contains(one))
        }
        (wanted, held) => wanted == held,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_eks_adds_are_no_difference_and_labels_that_stay_are() {
        let template = |parts: &[(&str, &str)]| {
            Value::from([(
                "launchTemplate",
                Value::Map(parts.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect()),
            )])
        };
        let held = template(&[("id", "lt-1"), ("name", "nodes"), ("version", "3")]);
        assert!(!differs("launchTemplate", &template(&[("name", "nodes")]), &held));
        assert!(differs("launchTemplate", &template(&[("name", "nodes"), ("version", "4")]), &held));
        let labels = |keys: &[&str]| {
            Value::from([(
                "labels",
                Value::Map(keys.iter().map(|key| ((*key).to_owned(), "1".into())).collect()),
            )])
        };
        assert!(differs("labels", &labels(&["a"]), &labels(&["a", "b"])));
        assert!(!differs("labels", &Value::map(), &labels(&["a", "b"])));
    }
}
