//! The inputs of a cluster, and the rules between them.

use std::time::Duration;

use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{Error, Result, Value};

use super::super::{cidr::cidr, versions::version};
use crate::kinds::iam_role::arn;
use crate::kinds::{Spec, is_on};

const LOGS: &[&str] = &["api", "audit", "authenticator", "controllerManager", "scheduler"];
/// From where a cluster has come to where it may go: only forward in this list.
pub(super) const MODES: &[&str] = &["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"];
const SUPPORT: &[&str] = &["STANDARD", "EXTENDED"];
/// Pools of nodes that Auto Mode keeps itself.
const POOLS: &[&str] = &["general-purpose", "system"];
const SCORING: &[&str] = &["LeastAllocated", "MostAllocated"];
const TIERS: &[&str] = &["standard", "tier-xl", "tier-2xl", "tier-4xl", "tier-8xl"];

pub(super) const SPEC: Spec = Spec {
    name: "aws:eks/Cluster",
    fields: &[
        Field::required("name", Shape::Text(name)).immutable(),
        Field::required("version", Shape::Text(version)),
        Field::required("roleArn", Shape::Text(arn)).immutable(),
        Field::required("subnetIds", Shape::Set(&Shape::Text(subnet))),
        Field::default("securityGroupIds", Shape::Set(&Shape::Text(group)), none),
        Field::default("publicAccess", Shape::Boolean, || true.into()),
        Field::default("privateAccess", Shape::Boolean, || true.into()),
        Field::default("publicCidrs", Shape::Set(&Shape::Text(cidr)), || {
            Value::List(vec!["0.0.0.0/0".into()])
        }),
        Field::default("logging", Shape::Set(&Shape::Choice(LOGS)), none),
        Field::default("authenticationMode", Shape::Choice(MODES), || "API".into()),
        // Who makes the cluster gets no hidden rights: access entries are declared.
        Field::default("creatorAdmin", Shape::Boolean, || false.into()),
        Field::default("selfManagedAddOns", Shape::Boolean, || false.into()),
        Field::optional("secretsKeyArn", Shape::Text(arn)),
        Field::optional("serviceCidr", Shape::Text(cidr)).immutable(),
        Field::default("ipFamily", Shape::Choice(&["ipv4", "ipv6"]), || "ipv4".into()).immutable(),
        Field::default("supportType", Shape::Choice(SUPPORT), || "EXTENDED".into()),
        Field::default("deletionProtection", Shape::Boolean, || false.into()),
        Field::optional("zonalShift", Shape::Boolean),
        Field::optional("scalingTier", Shape::Choice(TIERS)),
        // EKS keeps nodes, volumes and load balancers itself: all three or none.
        Field::optional(
            "autoMode",
            Shape::Object(&[
                Field::default("enabled", Shape::Boolean, || true.into()),
                Field::optional("nodePools", Shape::Set(&Shape::Choice(POOLS))),
                Field::optional("nodeRoleArn", Shape::Text(arn)),
            ]),
        ),
        // A local cluster, whose control plane is on an Outpost and stays as it was made.
        Field::optional(
            "outpostConfig",
            Shape::Object(&[
                Field::required("outpostArns", Shape::Set(&Shape::Text(arn))),
                Field::required("controlPlaneInstanceType", ANY),
                Field::optional("placementGroup", ANY),
            ]),
        )
        .immutable(),
        // Where nodes and pods outside of AWS are.
        Field::optional(
            "remoteNetworks",
            Shape::Object(&[
                Field::default("nodeCidrs", Shape::Set(&Shape::Text(cidr)), none),
                Field::default("podCidrs", Shape::Set(&Shape::Text(cidr)), none),
            ]),
        ),
        // Settings of the control plane's own parts.
        Field::optional(
            "controlPlane",
            Shape::Object(&[
                Field::optional("eventTtl", ANY),
                Field::optional("nodePorts", Shape::Text(ports)),
                Field::optional("scoring", Shape::Choice(SCORING)),
                Field::optional("terminatedPods", Shape::Integer(1, 1_000_000)),
                Field::optional("autoscalerPeriod", ANY),
            ]),
        ),
        // Upgrades in spite of insights and of node groups that are behind.
        Field::default("force", Shape::Boolean, || false.into()),
        // Goes back by one version, which EKS allows for a week after an upgrade.
        Field::default("rollback", Shape::Boolean, || false.into()),
        Field::optional("tags", TAGS),
    ],
    longest_name: Some(100),
    delete_before_replace: true,
    usual: Duration::from_secs(600),
    timeout: Duration::from_secs(60 * 60),
    computed: &[],
};

fn none() -> Value {
    Value::List(Vec::new())
}

/// The two ends of a range of ports such as `30000-32767`.
pub(super) fn port_range(text: &str) -> Option<(i32, i32)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
    (0 < first && first <= last).then_some((first.into(), last.into()))
}

fn ports(text: &str) -> std::result::Result<(), String> {
    port_range(text).map(drop).ok_or_else(|| "a range of ports is such as 30000-32767".to_owned())
}

fn name(name: &str) -> std::result::Result<(), String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    (begins && name.len() <= 100 && name.chars().all(fits)).then_some(()).ok_or_else(|| {
        "a cluster's name has 1 to 100 letters, digits, - and _, and begins with a letter or digit".to_owned()
    })
}

pub(in super::super) fn subnet(id: &str) -> std::result::Result<(), String> {
    (id.starts_with("subnet-") && id.len() > 7)
        .then_some(())
        .ok_or_else(|| "a subnet's id begins with `subnet-`".to_owned())
}

pub(in super::super) fn group(id: &str) -> std::result::Result<(), String> {
    (id.starts_with("sg-") && id.len() > 3)
        .then_some(())
        .ok_or_else(|| "a security group's id begins with `sg-`".to_owned())
}

pub(super) fn rules(inputs: &Value) -> Result<()> {
    let is = |key: &str, wanted: bool| inputs.get(key) == Some(&Value::Bool(wanted));
    if is("publicAccess", false) && is("privateAccess", false) {
        return Err(Error::invalid(
            "the cluster's address is neither public nor private: nobody could reach it",
        )
        .at("privateAccess".into())
        .help("set `privateAccess: true`"));
    }
    if let Some(subnets) = inputs.get("subnetIds").and_then(Value::as_list)
        && subnets.len() < 2
        && inputs.get("outpostConfig").is_none()
        && !subnets.iter().any(Value::has_unknown)
    {
        return Err(Error::invalid("a control plane needs subnets in at least two zones")
            .at("subnetIds".into())
            .help("name two or more subnets, each in another availability zone, with at least six free addresses each"));
    }
    if let Some(ranges) = inputs.get("publicCidrs").and_then(Value::as_list)
        && ranges.is_empty()
        && is("publicAccess", true)
    {
        return Err(Error::invalid("the cluster's address is public, and nobody may use it")
            .at("publicCidrs".into())
            .help("name the ranges that may, or set `publicAccess: false`"));
    }
    if let Some(outposts) = inputs.get("outpostConfig").and_then(|held| held.get("outpostArns")?.as_list())
        && outposts.len() != 1
    {
        return Err(
            Error::invalid("a local cluster is on one Outpost").at("outpostConfig.outpostArns".into())
        );
    }
    auto_mode(inputs)
}

fn auto_mode(inputs: &Value) -> Result<()> {
    let Some(wanted) = inputs.get("autoMode").filter(|wanted| is_on(wanted, "enabled")) else {
        return Ok(());
    };
    let refuse = |path: &str, why: &str, help: &str| Err(Error::invalid(why).at(path.into()).help(help));
    if inputs.text_at("authenticationMode") == Some("CONFIG_MAP") {
        return refuse(
            "authenticationMode",
            "Auto Mode lets its nodes in by access entries, which this authentication mode does not know",
            "set `authenticationMode: API`",
        );
    }
    if is_on(inputs, "selfManagedAddOns") {
        return refuse(
            "selfManagedAddOns",
            "Auto Mode brings its own network, names and disks, and takes no self-managed add-ons",
            "leave `selfManagedAddOns` out",
        );
    }
    let pools = wanted.get("nodePools").and_then(Value::as_list).is_some_and(|pools| !pools.is_empty());
    if pools != wanted.get("nodeRoleArn").is_some() {
        return refuse(
            "autoMode",
            "`nodePools` and `nodeRoleArn` go together: EKS makes the nodes of its pools in that role",
            "set both, or neither and make node pools of your own in the cluster",
        );
    }
    Ok(())
}
