//! What a cluster may have beyond a control plane with an address: Auto Mode, networks outside of AWS, and settings of the
//! control plane's own parts; in EKS's words and back.

use aws_sdk_eks::types::{
    BlockStorage, Cluster as Described, ComputeConfigRequest, ControlPlanePlacementRequest,
    ElasticLoadBalancing, HorizontalPodAutoscalerControllerConfigRequest, KubeApiServerConfigRequest,
    KubeControllerManagerConfigRequest, KubeSchedulerConfigRequest, NodeResourcesFitConfig,
    OutpostConfigRequest, PodGcControllerConfigRequest, RemoteNetworkConfigRequest, RemoteNodeNetwork,
    RemotePodNetwork, ScoringStrategy, ScoringStrategyType, ServiceNodePortRange, StorageConfigRequest,
};
use plinth_provider::{Diff, Error, Path, Result, Value};

use super::super::{integer_at, is_on, list, texts};
use super::fields;
use crate::kinds::text;

/// Auto Mode, whose three parts EKS only takes together.
pub(super) struct AutoMode {
    pub compute: ComputeConfigRequest,
    pub balancing: ElasticLoadBalancing,
    pub storage: StorageConfigRequest,
}

/// Auto Mode as it is asked for, if anything is said of it.
pub(super) fn auto_mode(inputs: &Value) -> Option<AutoMode> {
    let wanted = inputs.get("autoMode")?;
    let on = is_on(wanted, "enabled");
    let pools = wanted.get("nodePools").filter(|_| on).map(|_| texts(wanted, "nodePools"));
    Some(AutoMode {
        compute: ComputeConfigRequest::builder()
            .enabled(on)
            .set_node_pools(pools)
            .set_node_role_arn(wanted.text_at("nodeRoleArn").filter(|_| on).map(str::to_owned))
            .build(),
        balancing: ElasticLoadBalancing::builder().enabled(on).build(),
        storage: StorageConfigRequest::builder()
            .block_storage(BlockStorage::builder().enabled(on).build())
            .build(),
    })
}

/// The Outpost of a local cluster.
pub(super) fn outpost(inputs: &Value) -> Result<Option<OutpostConfigRequest>> {
    let Some(wanted) = inputs.get("outpostConfig") else { return Ok(None) };
    let group = wanted.text_at("placementGroup");
    let built = OutpostConfigRequest::builder()
        .set_outpost_arns(Some(texts(wanted, "outpostArns")))
        .control_plane_instance_type(text(wanted, "controlPlaneInstanceType")?)
        .set_control_plane_placement(
            group.map(|group| ControlPlanePlacementRequest::builder().group_name(group).build()),
        )
        .build();
    built.map(Some).map_err(|error| Error::invalid(error.to_string()).at("outpostConfig".into()))
}

/// Networks outside of AWS as they are asked for.
pub(super) fn remote_networks(inputs: &Value) -> Option<RemoteNetworkConfigRequest> {
    let wanted = inputs.get("remoteNetworks")?;
    let (nodes, pods) = (texts(wanted, "nodeCidrs"), texts(wanted, "podCidrs"));
    let nodes = (!nodes.is_empty()).then(|| RemoteNodeNetwork::builder().set_cidrs(Some(nodes)).build());
    let pods = (!pods.is_empty()).then(|| RemotePodNetwork::builder().set_cidrs(Some(pods)).build());
    Some(
        RemoteNetworkConfigRequest::builder()
            .set_remote_node_networks(Some(nodes.into_iter().collect()))
            .set_remote_pod_networks(Some(pods.into_iter().collect()))
            .build(),
    )
}

/// Settings of the API server, the scheduler and the controllers, as far as they are asked for.
#[derive(Default)]
pub(super) struct Components {
    pub api_server: Option<KubeApiServerConfigRequest>,
    pub scheduler: Option<KubeSchedulerConfigRequest>,
    pub controllers: Option<KubeControllerManagerConfigRequest>,
}

/// The settings that are asked for.
pub(super) fn components(inputs: &Value) -> Components {
    let Some(wanted) = inputs.get("controlPlane") else { return Components::default() };
    let text = |key: &str| wanted.text_at(key).map(str::to_owned);
    let ports = text("nodePorts").as_deref().and_then(fields::port_range);
    let ports =
        ports.map(|(first, last)| ServiceNodePortRange::builder().min_port(first).max_port(last).build());
    let api_server = (ports.is_some() || text("eventTtl").is_some()).then(|| {
        KubeApiServerConfigRequest::builder()
            .set_event_ttl(text("eventTtl"))
            .set_service_node_port_range(ports)
            .build()
    });
    let scheduler = text("scoring").map(|scoring| {
        let strategy = ScoringStrategy::builder().r#type(ScoringStrategyType::from(scoring.as_str())).build();
        let fit = NodeResourcesFitConfig::builder().scoring_strategy(strategy).build();
        KubeSchedulerConfigRequest::builder().node_resources_fit(fit).build()
    });
    let pods = integer_at(wanted, "terminatedPods")
        .map(|pods| PodGcControllerConfigRequest::builder().terminated_pod_gc_threshold(pods).build());
    let period = text("autoscalerPeriod").map(|period| {
        HorizontalPodAutoscalerControllerConfigRequest::builder()
            .horizontal_pod_autoscaler_sync_period(period)
            .build()
    });
    let controllers = (pods.is_some() || period.is_some()).then(|| {
        KubeControllerManagerConfigRequest::builder()
            .set_pod_gc_controller_config(pods)
            .set_horizontal_pod_autoscaler_controller_config(period)
            .build()
    });
    Components { api_server, scheduler, controllers }
}

/// All of it as EKS has it. What was not asked for and is not there stays unsaid.
pub(super) fn inputs(cluster: &Described, asked: &Value, inputs: &mut Value) {
    let compute = cluster.compute_config();
    if compute.is_some_and(|held| held.enabled() == Some(true)) || asked.get("autoMode").is_some() {
        let mut held = Value::from([("enabled", compute.is_some_and(|held| held.enabled() == Some(true)))]);
        if let Some(compute) = compute.filter(|held| held.enabled() == Some(true)) {
            if !compute.node_pools().is_empty() {
                held.set(&"nodePools".into(), list(compute.node_pools().iter().map(String::as_str)));
            }
            if let Some(role) = compute.node_role_arn() {
                held.set(&"nodeRoleArn".into(), role.into());
            }
        }
        inputs.set(&"autoMode".into(), held);
    }
    if let Some(outpost) = cluster.outpost_config() {
        let mut held = Value::from([
            ("outpostArns", list(outpost.outpost_arns().iter().map(String::as_str))),
            ("controlPlaneInstanceType", outpost.control_plane_instance_type().into()),
        ]);
        if let Some(group) = outpost.control_plane_placement().and_then(|held| held.group_name()) {
            held.set(&"placementGroup".into(), group.into());
        }
        inputs.set(&"outpostConfig".into(), held);
    }
    let remote = cluster.remote_network_config();
    if remote.is_some() || asked.get("remoteNetworks").is_some() {
        let nodes = remote.map(|held| held.remote_node_networks()).unwrap_or_default();
        let pods = remote.map(|held| held.remote_pod_networks()).unwrap_or_default();
        let held = Value::from([
            ("nodeCidrs", list(nodes.iter().flat_map(RemoteNodeNetwork::cidrs).map(String::as_str))),
            ("podCidrs", list(pods.iter().flat_map(RemotePodNetwork::cidrs).map(String::as_str))),
        ]);
        inputs.set(&"remoteNetworks".into(), held);
    }
    // EKS fills in defaults of its own: only what is asked for is compared.
    let Some(wanted) = asked.get("controlPlane") else { return };
    let mut held = Value::map();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|_| wanted.get(key).is_some()) {
            held.set(&key.into(), value);
        }
    };
    let server = cluster.kube_api_server_config();
    set("eventTtl", server.and_then(|held| held.event_ttl()).map(Value::from));
    let ports = server.and_then(|held| held.service_node_port_range());
    set("nodePorts", ports.map(|held| format!("{}-{}", held.min_port(), held.max_port()).into()));
    let scoring = cluster.kube_scheduler_config().and_then(|held| {
        held.node_resources_fit()?.scoring_strategy()?.r#type().map(ScoringStrategyType::as_str)
    });
    set("scoring", scoring.map(Value::from));
    let controllers = cluster.kube_controller_manager_config();
    let pods = controllers
        .and_then(|held| held.pod_gc_controller_config()?.terminated_pod_gc_threshold())
        .map(|pods| Value::from(i64::from(pods)));
    set("terminatedPods", pods);
    let period = controllers.and_then(|held| {
        held.horizontal_pod_autoscaler_controller_config()?.horizontal_pod_autoscaler_sync_period()
    });
    set("autoscalerPeriod", period.map(Value::from));
    inputs.set(&"controlPlane".into(), held);
}

/// The inputs, and for what was asked for before and is not any more: what EKS does without it.
pub(super) fn with_dropped(inputs: &Value, recorded: &Value) -> Value {
    let mut inputs = inputs.clone();
    let nothing = || list::<&str>([]);
    let without = [
        ("autoMode", Value::from([("enabled", false)])),
        ("remoteNetworks", Value::from([("nodeCidrs", nothing()), ("podCidrs", nothing())])),
        ("zonalShift", false.into()),
        ("scalingTier", "standard".into()),
    ];
    for (key, off) in without {
        if inputs.get(key).is_none() && recorded.get(key).is_some() {
            inputs.set(&key.into(), off);
        }
    }
    inputs
}

/// Lists in one order, and nothing about what is switched off.
pub(super) fn comparable(inputs: &mut Value) {
    let sorted = |value: &Value, key: &str| {
        let mut texts = texts(value, key);
        texts.sort_unstable();
        list(texts)
    };
    if let Some(mut mode) = inputs.get("autoMode").cloned() {
        if mode.get("enabled") == Some(&Value::Bool(false)) {
            mode = Value::from([("enabled", false)]);
        } else if mode.get("nodePools").is_some_and(|pools| !pools.has_unknown()) {
            mode.set(&"nodePools".into(), sorted(&mode, "nodePools"));
        }
        inputs.set(&"autoMode".into(), mode);
    }
    if let Some(mut remote) = inputs.get("remoteNetworks").filter(|held| !held.has_unknown()).cloned() {
        for key in ["nodeCidrs", "podCidrs"] {
            remote.set(&key.into(), sorted(&remote, key));
        }
        inputs.set(&"remoteNetworks".into(), remote);
    }
}

/// The role of Auto Mode's nodes stays once it is set, for as long as Auto Mode is on.
pub(super) fn with_lasting_role(diff: Diff) -> Diff {
    let Diff::Update(changes) = diff else { return diff };
    let forced_by: Vec<Path> = changes
        .iter()
        .filter(|change| change.path.to_string() == "autoMode.nodeRoleArn")
        .filter(|change| change.before.is_some() && change.after.is_some())
        .map(|change| change.path.clone())
        .collect();
    if forced_by.is_empty() { Diff::Update(changes) } else { Diff::Replace { changes, forced_by } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(on: bool, role: &str) -> Value {
        let pools = list(["system", "general-purpose"]);
        let held = [("enabled", Value::from(on)), ("nodePools", pools), ("nodeRoleArn", role.into())];
        Value::from([("autoMode", Value::from(held))])
    }

    #[test]
    fn the_three_parts_go_together_and_what_is_off_needs_nothing() {
        let on = auto_mode(&mode(true, "r")).unwrap();
        assert_eq!(on.compute.node_role_arn(), Some("r"));
        assert_eq!(on.balancing.enabled(), Some(true));
        let off = auto_mode(&mode(false, "r")).unwrap();
        assert_eq!((off.compute.enabled(), off.compute.node_role_arn()), (Some(false), None));
        assert!(auto_mode(&Value::map()).is_none());
        let dropped = with_dropped(&Value::map(), &mode(true, "r"));
        assert_eq!(dropped.get("autoMode"), Some(&Value::from([("enabled", false)])));
    }

    #[test]
    fn an_outpost_is_for_good() {
        let on = |kind: &str| {
            let outposts = list(["arn:aws:outposts:eu-central-1:123456789012:outpost/op-1"]);
            let held = [("outpostArns", outposts), ("controlPlaneInstanceType", kind.into())];
            Value::from([("outpostConfig", Value::from(held))])
        };
        let asked = outpost(&on("m5.large")).unwrap().unwrap();
        assert_eq!((asked.outpost_arns().len(), asked.control_plane_instance_type()), (1, "m5.large"));
        assert!(outpost(&Value::map()).unwrap().is_none());
        let schema = fields::SPEC.schema();
        for other in [on("m5.xlarge"), Value::map()] {
            assert!(matches!(Diff::structural(&schema, &on("m5.large"), &other), Diff::Replace { .. }));
        }
    }

    #[test]
    fn the_role_of_the_nodes_stays() {
        let schema = fields::SPEC.schema();
        let diff =
            |before: &Value, after: &Value| with_lasting_role(Diff::structural(&schema, before, after));
        assert!(matches!(diff(&mode(true, "a"), &mode(true, "b")), Diff::Replace { .. }));
        let (mut before, mut after) = (mode(true, "a"), mode(false, "a"));
        comparable(&mut before);
        comparable(&mut after);
        assert!(matches!(diff(&before, &after), Diff::Update(_)));
    }
}
