//! A node group's inputs in EKS's words, and back.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_eks::types::{
    AmiTypes, CapacityTypes, LaunchTemplateSpecification, NodeRepairConfig, Nodegroup,
    NodegroupScalingConfig, NodegroupUpdateConfig, NodegroupUpdateStrategies, RemoteAccessConfig, Taint,
    TaintEffect, UpdateLabelsPayload, UpdateTaintsPayload, WarmPoolConfig, WarmPoolState,
};
use plinth_provider::{Result, Value};

use super::super::{all_tags, client_token, is_on, keep, list, set_tags, texts};
use super::fields::EFFECTS;
use crate::error::failed;
use crate::kinds::{Call, integer, text};

/// The inputs as EKS has them.
pub(super) fn inputs(group: &Nodegroup, asked: &Value, tags: &BTreeMap<String, String>) -> Value {
    let mut inputs = Value::map();
    let mut set = |key: &str, value: Value| inputs.set(&key.into(), value);
    let plain = [
        ("name", group.nodegroup_name()),
        ("cluster", group.cluster_name()),
        ("roleArn", group.node_role()),
        ("amiType", group.ami_type().map(AmiTypes::as_str)),
        ("capacityType", group.capacity_type().map(CapacityTypes::as_str)),
        ("releaseVersion", group.release_version()),
    ];
    for (key, value) in plain {
        if let Some(value) = value {
            set(key, value.into());
        }
    }
    // A patch version is EKS's choice.
    if let Some(version) = group.version() {
        let minor = super::super::versions::Minor::parse(version);
        set("version", minor.map_or_else(|| version.to_owned(), |minor| minor.to_string()).into());
    }
    set("subnetIds", list(group.subnets().iter().map(String::as_str)));
    if let Some(scaling) = group.scaling_config() {
        let sizes = [
            ("minSize", scaling.min_size()),
            ("maxSize", scaling.max_size()),
            ("desiredSize", scaling.desired_size()),
        ];
        for (key, size) in sizes {
            if let Some(size) = size {
                set(key, i64::from(size).into());
            }
        }
    }
    if !group.instance_types().is_empty() {
        set("instanceTypes", list(group.instance_types().iter().map(String::as_str)));
    }
    if let Some(size) = group.disk_size() {
        set("diskGb", i64::from(size).into());
    }
    if let Some(remote) = group.remote_access() {
        let mut value = Value::map();
        if let Some(key) = remote.ec2_ssh_key() {
            value.set(&"sshKey".into(), key.into());
        }
        if !remote.source_security_groups().is_empty() {
            let groups = list(remote.source_security_groups().iter().map(String::as_str));
            value.set(&"securityGroupIds".into(), groups);
        }
        set("remoteAccess", value);
    }
    if let Some(template) = group.launch_template() {
        set("launchTemplate", launch_template_value(template));
    }
    let labels = group.labels().into_iter().flatten();
    set("labels", Value::Map(labels.map(|(key, value)| (key.clone(), value.as_str().into())).collect()));
    set("taints", Value::List(group.taints().iter().map(taint_value).collect()));
    if let Some(update) = group.update_config() {
        let mut value = Value::map();
        let numbers = [
            ("maxUnavailable", update.max_unavailable()),
            ("maxUnavailablePercentage", update.max_unavailable_percentage()),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                value.set(&key.into(), i64::from(number).into());
            }
        }
        if let Some(strategy) = update.update_strategy() {
            value.set(&"strategy".into(), strategy.as_str().into());
        }
        set("update", value);
    }
    if let Some(repair) = group.node_repair_config() {
        set("nodeRepair", repair.enabled().unwrap_or(false).into());
    }
    if let Some(pool) = group.warm_pool_config() {
        let number = |number: Option<i32>| number.map(|number| Value::from(i64::from(number)));
        let parts = [
            ("enabled", Some(pool.enabled().unwrap_or(false).into())),
            ("minSize", number(pool.min_size())),
            ("maxPrepared", number(pool.max_group_prepared_capacity())),
            ("state", pool.pool_state().map(|state| state.as_str().into())),
            ("reuse", pool.reuse_on_scale_in().map(Value::from)),
        ];
        let parts = parts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        inputs.set(&"warmPool".into(), Value::Map(parts.collect()));
    }
    keep(&mut inputs, asked, super::NOT_COMPARED);
    if group.capacity_type().is_none() {
        keep(&mut inputs, asked, &["capacityType"]);
    }
    set_tags(&mut inputs, asked, tags);
    inputs
}

fn launch_template_value(template: &LaunchTemplateSpecification) -> Value {
    let parts = [("id", template.id()), ("name", template.name()), ("version", template.version())];
    let parts = parts.into_iter().filter_map(|(key, part)| Some((key.to_owned(), Value::from(part?))));
    Value::Map(parts.collect())
}

/// EKS answers with id and name, and takes only one of them.
fn launch_template(inputs: &Value) -> Option<LaunchTemplateSpecification> {
    let wanted = inputs.get("launchTemplate")?;
    let of = |key: &str| wanted.text_at(key).map(str::to_owned);
    Some(
        LaunchTemplateSpecification::builder()
            .set_id(of("id"))
            .set_name(of("name"))
            .set_version(of("version"))
            .build(),
    )
}

fn taint_value(taint: &Taint) -> Value {
    let mut value = Value::map();
    if let Some(key) = taint.key() {
        value.set(&"key".into(), key.into());
    }
    if let Some(text) = taint.value().filter(|text| !text.is_empty()) {
        value.set(&"value".into(), text.into());
    }
    let effect = taint.effect().map(TaintEffect::as_str).unwrap_or_default();
    let ours = EFFECTS.iter().find(|(_, theirs)| *theirs == effect).map_or(effect, |(ours, _)| ours);
    value.set(&"effect".into(), ours.into());
    value
}

fn taint(value: &Value) -> Taint {
    let effect = value.text_at("effect").unwrap_or_default();
    let theirs = EFFECTS.iter().find(|(ours, _)| *ours == effect).map_or(effect, |(_, theirs)| theirs);
    Taint::builder()
        .set_key(value.text_at("key").map(str::to_owned))
        .set_value(value.text_at("value").filter(|text| !text.is_empty()).map(str::to_owned))
        .effect(TaintEffect::from(theirs))
        .build()
}

fn taints(inputs: &Value) -> Vec<Taint> {
    inputs.get("taints").and_then(Value::as_list).unwrap_or_default().iter().map(taint).collect()
}

fn labels(inputs: &Value) -> HashMap<String, String> {
    let labels = inputs.get("labels").and_then(Value::as_map).into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn update_config(inputs: &Value) -> Option<NodegroupUpdateConfig> {
    inputs.get("update")?;
    Some(
        NodegroupUpdateConfig::builder()
            .set_max_unavailable(integer(inputs, "update.maxUnavailable"))
            .set_max_unavailable_percentage(integer(inputs, "update.maxUnavailablePercentage"))
            .set_update_strategy(
                inputs
                    .at(&"update.strategy".into())
                    .and_then(Value::as_str)
                    .map(NodegroupUpdateStrategies::from),
            )
            .build(),
    )
}

fn repair(inputs: &Value) -> Option<NodeRepairConfig> {
    inputs.get("nodeRepair")?;
    Some(NodeRepairConfig::builder().enabled(is_on(inputs, "nodeRepair")).build())
}

fn warm_pool(inputs: &Value) -> Option<WarmPoolConfig> {
    let wanted = inputs.get("warmPool")?;
    Some(
        WarmPoolConfig::builder()
            .enabled(is_on(wanted, "enabled"))
            .set_min_size(integer(wanted, "minSize"))
            .set_max_group_prepared_capacity(integer(wanted, "maxPrepared"))
            .set_pool_state(wanted.text_at("state").map(WarmPoolState::from))
            .set_reuse_on_scale_in(wanted.get("reuse").map(|_| is_on(wanted, "reuse")))
            .build(),
    )
}

/// Asks EKS for the node group.
pub(super) async fn create(call: &Call<'_>, cluster: &str, name: &str) -> Result<()> {
    let inputs = call.inputs;
    let (min, max) = (integer(inputs, "minSize").unwrap_or(1), integer(inputs, "maxSize").unwrap_or(3));
    let scaling = NodegroupScalingConfig::builder()
        .min_size(min)
        .max_size(max)
        .desired_size(integer(inputs, "desiredSize").unwrap_or_else(|| min.max(1).min(max)))
        .build();
    let remote = inputs.get("remoteAccess").map(|wanted| {
        RemoteAccessConfig::builder()
            .set_ec2_ssh_key(wanted.text_at("sshKey").map(str::to_owned))
            .set_source_security_groups(
                wanted.get("securityGroupIds").map(|_| texts(wanted, "securityGroupIds")),
            )
            .build()
    });
    let own = |key: &str| inputs.text_at(key).map(str::to_owned);
    let sent = call
        .aws
        .eks
        .create_nodegroup()
        .cluster_name(cluster)
        .nodegroup_name(name)
        .node_role(text(inputs, "roleArn")?)
        .set_subnets(Some(texts(inputs, "subnetIds")))
        .scaling_config(scaling)
        .set_instance_types(inputs.get("instanceTypes").map(|_| texts(inputs, "instanceTypes")))
        .set_ami_type(inputs.text_at("amiType").map(AmiTypes::from))
        .set_disk_size(integer(inputs, "diskGb"))
        .set_capacity_type(inputs.text_at("capacityType").map(CapacityTypes::from))
        .set_remote_access(remote)
        .set_launch_template(launch_template(inputs))
        .set_labels(Some(labels(inputs)))
        .set_taints(Some(taints(inputs)))
        .set_update_config(update_config(inputs))
        .set_node_repair_config(repair(inputs))
        .set_warm_pool_config(warm_pool(inputs))
        .set_version(own("version"))
        .set_release_version(own("releaseVersion"))
        .set_tags(Some(all_tags(call)))
        .client_request_token(client_token(call, "create"))
        .send()
        .await;
    sent.map(drop).map_err(|error| failed("eks:CreateNodegroup", name, error))
}

/// Begins the change of everything that changes nodes in place.
pub(super) async fn configure(
    call: &Call<'_>,
    cluster: &str,
    name: &str,
    there: &Nodegroup,
    differs: impl Fn(&str) -> bool,
) -> Result<Option<aws_sdk_eks::types::Update>> {
    let inputs = call.inputs;
    let sent = call
        .aws
        .eks
        .update_nodegroup_config()
        .cluster_name(cluster)
        .nodegroup_name(name)
        .set_labels(differs("labels").then(|| label_changes(there, inputs)))
        .set_taints(differs("taints").then(|| taint_changes(there, inputs)))
        .set_scaling_config((differs("minSize") || differs("maxSize")).then(|| scaling_change(there, inputs)))
        .set_update_config(update_config(inputs).filter(|_| differs("update")))
        .set_node_repair_config(repair(inputs).filter(|_| differs("nodeRepair")))
        .set_warm_pool_config(warm_pool(inputs).filter(|_| differs("warmPool")))
        .client_request_token(client_token(call, "config"))
        .send()
        .await;
    sent.map(|sent| sent.update).map_err(|error| failed("eks:UpdateNodegroupConfig", name, error))
}

/// Begins the replacement of the nodes by those of another version.
pub(super) async fn roll(
    call: &Call<'_>,
    cluster: &str,
    name: &str,
    differs: impl Fn(&str) -> bool,
) -> Result<Option<aws_sdk_eks::types::Update>> {
    let inputs = call.inputs;
    let own = |key: &str| inputs.text_at(key).map(str::to_owned).filter(|_| differs(key));
    let sent = call
        .aws
        .eks
        .update_nodegroup_version()
        .cluster_name(cluster)
        .nodegroup_name(name)
        .set_version(own("version"))
        .set_release_version(own("releaseVersion"))
        .set_launch_template(launch_template(inputs).filter(|_| differs("launchTemplate")))
        .force(is_on(inputs, "force"))
        .client_request_token(client_token(call, "version"))
        .send()
        .await;
    sent.map(|sent| sent.update).map_err(|error| failed("eks:UpdateNodegroupVersion", name, error))
}

fn label_changes(there: &Nodegroup, inputs: &Value) -> UpdateLabelsPayload {
    let wanted = labels(inputs);
    let held = there.labels().cloned().unwrap_or_default();
    let gone: Vec<String> = held.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
    let set: HashMap<String, String> =
        wanted.into_iter().filter(|(key, value)| held.get(key) != Some(value)).collect();
    UpdateLabelsPayload::builder()
        .set_add_or_update_labels((!set.is_empty()).then_some(set))
        .set_remove_labels((!gone.is_empty()).then_some(gone))
        .build()
}

/// A taint is known by key and effect.
fn taint_changes(there: &Nodegroup, inputs: &Value) -> UpdateTaintsPayload {
    let wanted = taints(inputs);
    let same = |one: &Taint, other: &Taint| one.key() == other.key() && one.effect() == other.effect();
    let equal = |one: &Taint, other: &Taint| {
        same(one, other) && one.value().unwrap_or_default() == other.value().unwrap_or_default()
    };
    let gone: Vec<Taint> =
        there.taints().iter().filter(|held| !wanted.iter().any(|taint| same(taint, held))).cloned().collect();
    let set: Vec<Taint> =
        wanted.into_iter().filter(|taint| !there.taints().iter().any(|held| equal(held, taint))).collect();
    UpdateTaintsPayload::builder()
        .set_add_or_update_taints((!set.is_empty()).then_some(set))
        .set_remove_taints((!gone.is_empty()).then_some(gone))
        .build()
}

/// The bounds; the size between them only where they leave it outside, since it is an autoscaler's.
fn scaling_change(there: &Nodegroup, inputs: &Value) -> NodegroupScalingConfig {
    let (min, max) = (integer(inputs, "minSize").unwrap_or(1), integer(inputs, "maxSize").unwrap_or(3));
    let now = there.scaling_config().and_then(NodegroupScalingConfig::desired_size);
    let moved = now.map(|now| now.clamp(min, max.max(min))).filter(|clamped| Some(*clamped) != now);
    NodegroupScalingConfig::builder().min_size(min).max_size(max).set_desired_size(moved).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(desired: i32) -> Nodegroup {
        let scaling = NodegroupScalingConfig::builder().min_size(1).max_size(9).desired_size(desired).build();
        let taint = |key: &str| Taint::builder().key(key).effect(TaintEffect::NoSchedule).build();
        Nodegroup::builder()
            .scaling_config(scaling)
            .labels("a", "1")
            .labels("b", "2")
            .taints(taint("old"))
            .taints(taint("kept"))
            .build()
    }

    #[test]
    fn the_size_is_the_autoscalers_within_the_bounds() {
        let bounds = |min: i64, max: i64| Value::from([("minSize", min), ("maxSize", max)]);
        assert_eq!(scaling_change(&group(5), &bounds(2, 8)).desired_size(), None);
        assert_eq!(scaling_change(&group(5), &bounds(2, 4)).desired_size(), Some(4));
        assert_eq!(scaling_change(&group(1), &bounds(2, 4)).desired_size(), Some(2));
    }

    #[test]
    fn only_what_differs_is_sent() {
        let taint = |key: &str| Value::from([("key", key), ("effect", "NoSchedule")]);
        let wanted = Value::from([
            ("labels", Value::from([("a", "1"), ("c", "3")])),
            ("taints", Value::List(vec![taint("kept"), taint("new")])),
        ]);
        let labels = label_changes(&group(1), &wanted);
        assert_eq!(labels.remove_labels(), ["b"]);
        assert_eq!(labels.add_or_update_labels().map(HashMap::len), Some(1));
        let taints = taint_changes(&group(1), &wanted);
        let keys = |taints: &[Taint]| {
            taints.iter().filter_map(|taint| taint.key().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(keys(taints.add_or_update_taints()), ["new"]);
        assert_eq!(keys(taints.remove_taints()), ["old"]);
        assert_eq!(taint_value(&group(1).taints()[0]).text_at("effect"), Some("NoSchedule"));
    }
}
