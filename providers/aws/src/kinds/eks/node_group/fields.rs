//! The inputs of a node group, and the rules between them.

use std::time::Duration;

use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{Error, Result, Value};

use super::super::cluster::{group, subnet};
use super::super::versions::version;
use crate::kinds::Spec;
use crate::kinds::iam_role::arn;

const AMI_TYPES: &[&str] = &[
    "AL2023_x86_64_STANDARD",
    "AL2023_ARM_64_STANDARD",
    "AL2023_x86_64_NEURON",
    "AL2023_x86_64_NVIDIA",
    "AL2023_ARM_64_NVIDIA",
    "AL2_x86_64",
    "AL2_x86_64_GPU",
    "AL2_ARM_64",
    "BOTTLEROCKET_x86_64",
    "BOTTLEROCKET_ARM_64",
    "BOTTLEROCKET_x86_64_FIPS",
    "BOTTLEROCKET_ARM_64_FIPS",
    "BOTTLEROCKET_x86_64_NVIDIA",
    "BOTTLEROCKET_ARM_64_NVIDIA",
    "WINDOWS_CORE_2019_x86_64",
    "WINDOWS_CORE_2022_x86_64",
    "WINDOWS_CORE_2025_x86_64",
    "WINDOWS_FULL_2019_x86_64",
    "WINDOWS_FULL_2022_x86_64",
    "WINDOWS_FULL_2025_x86_64",
    "CUSTOM",
];

/// Taints as Kubernetes words them, and EKS.
pub(super) const EFFECTS: [(&str, &str); 3] =
    [("NoSchedule", "NO_SCHEDULE"), ("PreferNoSchedule", "PREFER_NO_SCHEDULE"), ("NoExecute", "NO_EXECUTE")];

const MOST: i64 = 10_000;

pub(super) const SPEC: Spec = Spec {
    name: "aws:eks/NodeGroup",
    fields: &[
        Field::required("name", Shape::Text(name)).immutable(),
        Field::required("cluster", ANY).immutable(),
        Field::required("roleArn", Shape::Text(arn)).immutable(),
        Field::required("subnetIds", Shape::Set(&Shape::Text(subnet))).immutable(),
        Field::default("minSize", Shape::Integer(0, MOST), || 1.into()),
        Field::default("maxSize", Shape::Integer(1, MOST), || 3.into()),
        // Only at the beginning: an autoscaler owns it from then on.
        Field::optional("desiredSize", Shape::Integer(0, MOST)),
        Field::optional("instanceTypes", Shape::List(&ANY)).immutable(),
        Field::optional("amiType", Shape::Choice(AMI_TYPES)).immutable(),
        Field::optional("diskGb", Shape::Integer(1, 16_384)).immutable(),
        Field::default("capacityType", Shape::Choice(&["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"]), || {
            "ON_DEMAND".into()
        })
        .immutable(),
        Field::optional(
            "remoteAccess",
            Shape::Object(&[
                Field::optional("sshKey", ANY),
                Field::optional("securityGroupIds", Shape::Set(&Shape::Text(group))),
            ]),
        )
        .immutable(),
        Field::optional(
            "launchTemplate",
            Shape::Object(&[
                Field::optional("id", ANY).immutable(),
                Field::optional("name", ANY).immutable(),
                Field::optional("version", ANY),
            ]),
        ),
        Field::default("labels", Shape::Map(&ANY), Value::map),
        Field::default(
            "taints",
            Shape::Set(&Shape::Object(&[
                Field::required("key", ANY),
                Field::optional("value", ANY),
                Field::required("effect", Shape::Choice(&["NoSchedule", "PreferNoSchedule", "NoExecute"])),
            ])),
            || Value::List(Vec::new()),
        ),
        Field::optional(
            "update",
            Shape::Object(&[
                Field::optional("maxUnavailable", Shape::Integer(1, 100)),
                Field::optional("maxUnavailablePercentage", Shape::Integer(1, 100)),
                Field::optional("strategy", Shape::Choice(&["DEFAULT", "MINIMAL"])),
            ]),
        ),
        Field::optional("nodeRepair", Shape::Boolean),
        // Machines that are prepared and wait.
        Field::optional(
            "warmPool",
            Shape::Object(&[
                Field::default("enabled", Shape::Boolean, || true.into()),
                Field::optional("minSize", Shape::Integer(0, MOST)),
                Field::optional("maxPrepared", Shape::Integer(0, MOST)),
                Field::optional("state", Shape::Choice(&["STOPPED", "RUNNING", "HIBERNATED"])),
                Field::optional("reuse", Shape::Boolean),
            ]),
        ),
        Field::optional("version", Shape::Text(version)),
        Field::optional("releaseVersion", ANY),
        // Replaces nodes in spite of PodDisruptionBudgets.
        Field::default("force", Shape::Boolean, || false.into()),
        Field::optional("tags", TAGS),
    ],
    longest_name: Some(63),
    delete_before_replace: true,
    usual: Duration::from_secs(180),
    timeout: Duration::from_secs(60 * 60),
    computed: &[],
};

fn name(name: &str) -> std::result::Result<(), String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    (begins && name.len() <= 63 && name.chars().all(fits)).then_some(()).ok_or_else(|| {
        "a node group's name has 1 to 63 letters, digits, - and _, and begins with a letter or digit"
            .to_owned()
    })
}

pub(super) fn rules(inputs: &Value) -> Result<()> {
    let refuse = |path: &str, why: &str, help: &str| Err(Error::invalid(why).at(path.into()).help(help));
    let has = |path: &str| inputs.at(&path.into()).is_some();
    if has("launchTemplate") {
        for (key, where_else) in [("diskGb", "block devices"), ("remoteAccess", "key and security groups")] {
            if has(key) {
                return refuse(
                    key,
                    &format!("a node group with a launch template takes no `{key}`: EKS refuses it"),
                    &format!("set the {where_else} in the launch template, and leave `{key}` out"),
                );
            }
        }
        if has("launchTemplate.id") == has("launchTemplate.name") {
            return refuse(
                "launchTemplate",
                "a launch template is named by its id or by its name, and by one of them only",
                "set `launchTemplate.id` or `launchTemplate.name`",
            );
        }
    }
    if inputs.text_at("amiType") == Some("CUSTOM") {
        if !has("launchTemplate") {
            return refuse(
                "amiType",
                "a custom image comes in a launch template",
                "name one in `launchTemplate`",
            );
        }
        if has("version") || has("releaseVersion") {
            return refuse(
                "amiType",
                "the version of a custom image is its own: `version` and `releaseVersion` say nothing of it",
                "leave both out; a new version of the launch template brings a new image",
            );
        }
    }
    if has("update.maxUnavailable") && has("update.maxUnavailablePercentage") {
        return refuse(
            "update",
            "`maxUnavailable` and `maxUnavailablePercentage` exclude each other",
            "set one of them",
        );
    }
    let size = |key: &str| match inputs.get(key) {
        Some(Value::Number(number)) => number.as_i64(),
        _ => None,
    };
    let (min, max, desired) = (size("minSize"), size("maxSize"), size("desiredSize"));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return refuse(
            "minSize",
            &format!("`minSize` {min} is above `maxSize` {max}"),
            "raise the one or lower the other",
        );
    }
    if let (Some(min), Some(max), Some(desired)) = (min, max, desired)
        && !(min..=max).contains(&desired)
    {
        return refuse(
            "desiredSize",
            &format!("`desiredSize` {desired} is not between `minSize` {min} and `maxSize` {max}"),
            "take a number between them; it counts only when the group is made",
        );
    }
    Ok(())
}
