//! What a cluster is made of, part by part: EKS takes one kind of change per call.

use std::collections::BTreeMap;

use aws_sdk_eks::types::{
    AuthenticationMode, Cluster as Described, ControlPlaneScalingConfig, CreateAccessConfigRequest,
    EncryptionConfig, IpFamily, KubernetesNetworkConfigRequest, LogSetup, LogType, Logging, Provider,
    ProvisionedControlPlaneTier, SupportType, Update, UpdateAccessConfigRequest, UpgradePolicyRequest,
    VpcConfigRequest, ZonalShiftConfigRequest,
};
use plinth_provider::{Diff, Error, Path, Result, Value};

use super::super::{client_token, is_on, keep, list, set_tags, texts};
use super::{NOT_COMPARED, fields, more, token_and_tags};
use crate::error::failed;
use crate::kinds::{Call, text};

/// One kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Version,
    Access,
    Encryption,
    Logging,
    SupportType,
    Endpoint,
    Subnets,
    SecurityGroups,
    ZonalShift,
    ScalingTier,
    AutoMode,
    RemoteNetworks,
    Components,
    DeletionProtection,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.keys().first().copied().unwrap_or_default())
    }
}

/// In the order in which they are made.
const ALL: [Part; 14] = [
    Part::DeletionProtection,
    Part::Version,
    Part::Access,
    Part::AutoMode,
    Part::Encryption,
    Part::Logging,
    Part::SupportType,
    Part::Endpoint,
    Part::Subnets,
    Part::SecurityGroups,
    Part::ZonalShift,
    Part::ScalingTier,
    Part::RemoteNetworks,
    Part::Components,
];

impl Part {
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Version => &["version"],
            Self::Access => &["authenticationMode"],
            Self::Encryption => &["secretsKeyArn"],
            Self::Logging => &["logging"],
            Self::SupportType => &["supportType"],
            Self::Endpoint => &["publicAccess", "privateAccess", "publicCidrs"],
            Self::Subnets => &["subnetIds"],
            Self::SecurityGroups => &["securityGroupIds"],
            Self::ZonalShift => &["zonalShift"],
            Self::ScalingTier => &["scalingTier"],
            Self::AutoMode => &["autoMode"],
            Self::RemoteNetworks => &["remoteNetworks"],
            Self::Components => &["controlPlane"],
            Self::DeletionProtection => &["deletionProtection"],
        }
    }
}

/// The first part in which what is held is not what is wanted. What is not asked for is EKS's affair, and so is a version
/// that it has gone to by itself.
pub(super) fn first_difference(held: &Value, wanted: &Value) -> Option<Part> {
    let sorted = |value: Option<&Value>| match value {
        Some(Value::List(list)) => {
            let mut texts: Vec<String> = list.iter().map(|value| value.expose().to_string()).collect();
            texts.sort_unstable();
            texts
        }
        value => value.map(|value| value.expose().to_string()).into_iter().collect(),
    };
    let differs = |key: &&str| wanted.get(key).is_some() && sorted(held.get(key)) != sorted(wanted.get(key));
    ALL.into_iter().find(|part| {
        let newer = || {
            use super::Minor;
            let minor = |value: &Value| value.text_at("version").and_then(Minor::parse);
            minor(held) > minor(wanted) && !is_on(wanted, "rollback")
        };
        part.keys().iter().any(differs) && !(*part == Part::Version && newer())
    })
}

/// How somebody may enter goes one way.
pub(super) fn one_way(before: &Value, after: &Value) -> Result<()> {
    let rank = |inputs: &Value| {
        let mode = inputs.text_at("authenticationMode")?;
        fields::MODES.iter().position(|known| *known == mode)
    };
    match (rank(before), rank(after)) {
        (Some(old), Some(new)) if new < old => Err(Error::invalid(format!(
            "the cluster's authentication mode is {} and cannot go back to {}",
            fields::MODES[old],
            fields::MODES[new]
        ))
        .at("authenticationMode".into())
        .help("EKS goes only from CONFIG_MAP over API_AND_CONFIG_MAP to API")),
        _ => Ok(()),
    }
}

/// A key for secrets can be added; taking it away or changing it needs another cluster.
pub(super) fn with_lasting_key(diff: Diff) -> Diff {
    let Diff::Update(changes) = diff else { return diff };
    let forced_by: Vec<Path> = changes
        .iter()
        .filter(|change| change.path.to_string() == "secretsKeyArn" && change.before.is_some())
        .map(|change| change.path.clone())
        .collect();
    if forced_by.is_empty() { Diff::Update(changes) } else { Diff::Replace { changes, forced_by } }
}

/// The inputs as EKS has them.
pub(super) fn inputs(cluster: &Described, asked: &Value, tags: &BTreeMap<String, String>) -> Value {
    let mut inputs = Value::map();
    let mut set = |key: &str, value: Value| inputs.set(&key.into(), value);
    for (key, value) in
        [("name", cluster.name()), ("version", cluster.version()), ("roleArn", cluster.role_arn())]
    {
        if let Some(value) = value {
            set(key, value.into());
        }
    }
    if let Some(vpc) = cluster.resources_vpc_config() {
        set("subnetIds", list(vpc.subnet_ids().iter().map(String::as_str)));
        set("securityGroupIds", list(vpc.security_group_ids().iter().map(String::as_str)));
        set("publicAccess", vpc.endpoint_public_access().into());
        set("privateAccess", vpc.endpoint_private_access().into());
        set("publicCidrs", list(vpc.public_access_cidrs().iter().map(String::as_str)));
    }
    let setups = cluster.logging().map(|logging| logging.cluster_logging()).unwrap_or_default();
    let on = setups.iter().filter(|setup| setup.enabled() == Some(true)).flat_map(LogSetup::types);
    set("logging", list(on.map(LogType::as_str)));
    if let Some(mode) = cluster.access_config().and_then(|access| access.authentication_mode()) {
        set("authenticationMode", mode.as_str().into());
    }
    let key = cluster.encryption_config().first().and_then(|held| held.provider()?.key_arn());
    if let Some(key) = key {
        set("secretsKeyArn", key.into());
    }
    if let Some(network) = cluster.kubernetes_network_config() {
        if let Some(range) = network.service_ipv4_cidr() {
            set("serviceCidr", range.into());
        }
        set("ipFamily", network.ip_family().map_or("ipv4", IpFamily::as_str).into());
    }
    if let Some(support) = cluster.upgrade_policy().and_then(|policy| policy.support_type()) {
        set("supportType", support.as_str().into());
    }
    set("deletionProtection", cluster.deletion_protection().unwrap_or(false).into());
    if let Some(shift) = cluster.zonal_shift_config() {
        set("zonalShift", shift.enabled().unwrap_or(false).into());
    }
    if let Some(tier) = cluster.control_plane_scaling_config().and_then(|config| config.tier()) {
        set("scalingTier", tier.as_str().into());
    }
    more::inputs(cluster, asked, &mut inputs);
    keep(&mut inputs, asked, NOT_COMPARED);
    // Older answers, and servers that imitate EKS, leave these out; nothing is known of them then.
    for (key, known) in [
        ("authenticationMode", cluster.access_config().is_some()),
        ("supportType", cluster.upgrade_policy().is_some()),
        ("ipFamily", cluster.kubernetes_network_config().is_some()),
    ] {
        if !known {
            keep(&mut inputs, asked, &[key]);
        }
    }
    set_tags(&mut inputs, asked, tags);
    inputs
}

fn logging(inputs: &Value) -> Logging {
    let wanted = texts(inputs, "logging");
    let (on, off): (Vec<LogType>, Vec<LogType>) = LogType::values()
        .iter()
        .map(|name| LogType::from(*name))
        .partition(|log| wanted.iter().any(|name| name == log.as_str()));
    let setups = [(on, true), (off, false)].into_iter().filter(|(types, _)| !types.is_empty());
    let setups =
        setups.map(|(types, enabled)| LogSetup::builder().set_types(Some(types)).enabled(enabled).build());
    Logging::builder().set_cluster_logging(Some(setups.collect())).build()
}

#[expect(deprecated, reason = "the service still wants the list, whatever it makes of it")]
fn encryption(key: &str) -> EncryptionConfig {
    EncryptionConfig::builder()
        .resources("secrets")
        .provider(Provider::builder().key_arn(key).build())
        .build()
}

/// Asks EKS for the cluster.
pub(super) async fn create(call: &Call<'_>, name: &str) -> Result<()> {
    let inputs = call.inputs;
    let (token, tags) = token_and_tags(call);
    let vpc = VpcConfigRequest::builder()
        .set_subnet_ids(Some(texts(inputs, "subnetIds")))
        .set_security_group_ids(Some(texts(inputs, "securityGroupIds")))
        .endpoint_public_access(is_on(inputs, "publicAccess"))
        .endpoint_private_access(is_on(inputs, "privateAccess"))
        .set_public_access_cidrs(is_on(inputs, "publicAccess").then(|| texts(inputs, "publicCidrs")))
        .build();
    let (mode, components) = (more::auto_mode(inputs), more::components(inputs));
    let network = KubernetesNetworkConfigRequest::builder()
        .ip_family(IpFamily::from(inputs.text_at("ipFamily").unwrap_or("ipv4")))
        .set_service_ipv4_cidr(inputs.text_at("serviceCidr").map(str::to_owned))
        .set_elastic_load_balancing(mode.as_ref().map(|mode| mode.balancing.clone()))
        .build();
    let access = CreateAccessConfigRequest::builder()
        .authentication_mode(AuthenticationMode::from(inputs.text_at("authenticationMode").unwrap_or("API")))
        .bootstrap_cluster_creator_admin_permissions(is_on(inputs, "creatorAdmin"))
        .build();
    let support = SupportType::from(inputs.text_at("supportType").unwrap_or("EXTENDED"));
    let shift = inputs.get("zonalShift").is_some();
    let tier = inputs.text_at("scalingTier").map(ProvisionedControlPlaneTier::from);
    let sent = call
        .aws
        .eks
        .create_cluster()
        .name(name)
        .version(text(inputs, "version")?)
        .role_arn(text(inputs, "roleArn")?)
        .resources_vpc_config(vpc)
        .kubernetes_network_config(network)
        .logging(logging(inputs))
        .access_config(access)
        .set_encryption_config(inputs.text_at("secretsKeyArn").map(|key| vec![encryption(key)]))
        .bootstrap_self_managed_addons(is_on(inputs, "selfManagedAddOns"))
        .upgrade_policy(UpgradePolicyRequest::builder().support_type(support).build())
        .deletion_protection(is_on(inputs, "deletionProtection"))
        .set_zonal_shift_config(shift.then(|| zonal_shift(inputs)))
        .set_control_plane_scaling_config(
            tier.map(|tier| ControlPlaneScalingConfig::builder().tier(tier).build()),
        )
        .set_compute_config(mode.as_ref().map(|mode| mode.compute.clone()))
        .set_storage_config(mode.map(|mode| mode.storage))
        .set_remote_network_config(more::remote_networks(inputs))
        .set_outpost_config(more::outpost(inputs)?)
        .set_kube_api_server_config(components.api_server)
        .set_kube_scheduler_config(components.scheduler)
        .set_kube_controller_manager_config(components.controllers)
        .set_tags(Some(tags))
        .client_request_token(token)
        .send()
        .await;
    sent.map(drop).map_err(|error| {
        let zones = error.as_service_error().and_then(|error| match error {
            aws_sdk_eks::operation::create_cluster::CreateClusterError::UnsupportedAvailabilityZoneException(said) => {
                Some(said.valid_zones().join(", "))
            }
            _ => None,
        });
        let error = failed("eks:CreateCluster", name, error);
        match zones {
            Some(zones) => error.at("subnetIds".into()).help(format!("take subnets in these zones: {zones}")),
            None => error,
        }
    })
}

fn zonal_shift(inputs: &Value) -> ZonalShiftConfigRequest {
    ZonalShiftConfigRequest::builder().enabled(is_on(inputs, "zonalShift")).build()
}

/// Begins one change, and sends nothing else with it.
pub(super) async fn begin(call: &Call<'_>, name: &str, part: Part) -> Result<Option<Update>> {
    let (eks, inputs) = (&call.aws.eks, call.inputs);
    let token = client_token(call, &part.to_string());
    let what = |input: &str| inputs.text_at(input).unwrap_or_default().to_owned();
    match part {
        Part::Version => {
            let sent = eks
                .update_cluster_version()
                .name(name)
                .version(what("version"))
                .set_force(is_on(inputs, "force").then_some(true))
                .client_request_token(token)
                .send()
                .await;
            return sent
                .map(|sent| sent.update)
                .map_err(|error| failed("eks:UpdateClusterVersion", name, error));
        }
        Part::Encryption => {
            let sent = eks
                .associate_encryption_config()
                .cluster_name(name)
                .encryption_config(encryption(&what("secretsKeyArn")))
                .client_request_token(token)
                .send()
                .await;
            return sent
                .map(|sent| sent.update)
                .map_err(|error| failed("eks:AssociateEncryptionConfig", name, error));
        }
        _ => {}
    }
    let change = eks.update_cluster_config().name(name).client_request_token(token);
    let vpc = VpcConfigRequest::builder();
    let change = match part {
        Part::Access => change.access_config(
            UpdateAccessConfigRequest::builder()
                .authentication_mode(AuthenticationMode::from(what("authenticationMode").as_str()))
                .build(),
        ),
        Part::Logging => change.logging(logging(inputs)),
        Part::SupportType => change.upgrade_policy(
            UpgradePolicyRequest::builder()
                .support_type(SupportType::from(what("supportType").as_str()))
                .build(),
        ),
        Part::Endpoint => {
            let public = is_on(inputs, "publicAccess");
            let vpc =
                vpc.endpoint_public_access(public).endpoint_private_access(is_on(inputs, "privateAccess"));
            let ranges = public.then(|| texts(inputs, "publicCidrs"));
            change.resources_vpc_config(vpc.set_public_access_cidrs(ranges).build())
        }
        Part::Subnets => {
            change.resources_vpc_config(vpc.set_subnet_ids(Some(texts(inputs, "subnetIds"))).build())
        }
        Part::SecurityGroups => change.resources_vpc_config(
            vpc.set_security_group_ids(Some(texts(inputs, "securityGroupIds"))).build(),
        ),
        Part::ZonalShift => change.zonal_shift_config(zonal_shift(inputs)),
        Part::ScalingTier => change.control_plane_scaling_config(
            ControlPlaneScalingConfig::builder()
                .tier(ProvisionedControlPlaneTier::from(what("scalingTier").as_str()))
                .build(),
        ),
        Part::AutoMode => match more::auto_mode(inputs) {
            Some(mode) => {
                change.compute_config(mode.compute).storage_config(mode.storage).kubernetes_network_config(
                    KubernetesNetworkConfigRequest::builder().elastic_load_balancing(mode.balancing).build(),
                )
            }
            None => change,
        },
        Part::RemoteNetworks => change.set_remote_network_config(more::remote_networks(inputs)),
        Part::Components => {
            let wanted = more::components(inputs);
            change
                .set_kube_api_server_config(wanted.api_server)
                .set_kube_scheduler_config(wanted.scheduler)
                .set_kube_controller_manager_config(wanted.controllers)
        }
        _ => change.deletion_protection(is_on(inputs, "deletionProtection")),
    };
    let sent = change.send().await;
    sent.map(|sent| sent.update).map_err(|error| failed("eks:UpdateClusterConfig", name, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_at_a_time_and_only_what_was_asked_for() {
        let held = Value::from([
            ("version", Value::from("1.34")),
            ("logging", list(["audit", "api"])),
            ("supportType", "STANDARD".into()),
        ]);
        let same = Value::from([("version", Value::from("1.34")), ("logging", list(["api", "audit"]))]);
        assert_eq!(first_difference(&held, &same), None);
        let both = Value::from([("version", Value::from("1.35")), ("logging", list(["api"]))]);
        assert_eq!(first_difference(&held, &both), Some(Part::Version));
        let older = Value::from([("version", "1.33")]);
        assert_eq!(first_difference(&held, &older), None, "what EKS has upgraded by itself stays");
    }

    #[test]
    fn access_goes_one_way_and_a_key_stays() {
        let mode = |mode: &str| Value::from([("authenticationMode", mode)]);
        assert!(one_way(&mode("API_AND_CONFIG_MAP"), &mode("API")).is_ok());
        assert!(one_way(&mode("API"), &mode("CONFIG_MAP")).is_err());
        let schema = fields::SPEC.schema();
        let key = |key: &str| Value::from([("secretsKeyArn", key)]);
        let added = Diff::structural(&schema, &Value::map(), &key("a"));
        assert!(matches!(with_lasting_key(added), Diff::Update(_)));
        let changed = Diff::structural(&schema, &key("a"), &key("b"));
        assert!(matches!(with_lasting_key(changed), Diff::Replace { .. }));
    }
}
