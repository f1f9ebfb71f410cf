//! The inputs of a cluster, and the rules between them.

use std::time::Duration;

use plinth_provider::fields::{Field, Shape, TAGS};
use plinth_provider::{Error, Result, Value};

use super::super::{cidr::cidr, versions::version};
use crate::kinds::Spec;
use crate::kinds::iam_role::arn;

const LOGS: &[&str] = &["api", "audit", "authenticator", "controllerManager", "scheduler"];
/// From where a cluster has come to where it may go: only forward in this list.
pub(super) const MODES: &[&str] = &["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"];
const SUPPORT: &[&str] = &["STANDARD", "EXTENDED"];
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
    Ok(())
}
