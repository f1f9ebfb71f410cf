//! `local:cloud/NodePool`: a group of equal nodes of a cluster. They appear in the place's Kubernetes API.

use std::collections::BTreeMap;
use std::time::Duration;

use plinth_provider::{Error, Kind, Path, Property, Result, Value};
use serde::Serialize;

use super::{Spec, default_region, made, number, same};
use crate::cloud::{instances, names};
use plinth_provider::fields::{ANY, Field, Shape, TAGS};

/// The inputs of a node pool.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePool {
    /// The cluster's name.
    pub cluster: Property<String>,
    /// The name, unique in the cluster; the resource's when left out.
    pub name: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The machine: `standard-4`, or any of the large clouds' names.
    pub instance_type: Option<String>,
    /// Cores of a node, for machines that the simulation does not know.
    pub cpu: Option<u32>,
    /// Memory of a node in GiB, for machines that the simulation does not know.
    pub memory_gb: Option<u32>,
    /// The fewest nodes.
    pub min_size: Option<u32>,
    /// The most nodes.
    pub max_size: Option<u32>,
    /// The number of nodes; `minSize` when left out.
    pub desired_size: Option<u32>,
    /// The zones that nodes are spread over; three of the region when left out.
    pub zones: Option<Vec<String>>,
    /// The size of each node's disk.
    pub disk_gb: Option<u32>,
    /// Labels on the nodes.
    pub labels: BTreeMap<String, String>,
    /// Taints on the nodes.
    pub taints: Vec<Taint>,
    /// The nodes' version of Kubernetes; the cluster's when left out.
    pub version: Option<String>,
    /// Uses machines that the cloud may take back.
    pub spot: bool,
    /// Tags.
    pub tags: BTreeMap<String, Property<String>>,
}

/// A taint on a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl NodePool {
    /// A pool of a cluster, everything else left out.
    pub fn new(cluster: impl Into<Property<String>>) -> Self {
        Self {
            cluster: cluster.into(),
            name: None,
            region: None,
            instance_type: None,
            cpu: None,
            memory_gb: None,
            min_size: None,
            max_size: None,
            desired_size: None,
            zones: None,
            disk_gb: None,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            version: None,
            spot: false,
            tags: BTreeMap::new(),
        }
    }
}

impl Kind for NodePool {
    const KIND: &'static str = SPEC.name;
}

const SIZE: Shape = Shape::Integer(0, 450);

pub(super) const SPEC: Spec = Spec {
    name: "local:cloud/NodePool",
    collection: "nodePools",
    noun: "node pool",
    fields: &[
        Field::required("cluster", Shape::Text(names::cluster)).immutable(),
        Field::required("name", Shape::Text(names::label)).immutable(),
        Field::default("region", Shape::Text(names::label), default_region).immutable(),
        Field::default("instanceType", ANY, || "standard-4".into()).immutable(),
        Field::optional("cpu", Shape::Integer(1, 1024)).immutable(),
        Field::optional("memoryGb", Shape::Integer(1, 32_768)).immutable(),
        Field::default("minSize", SIZE, || Value::from(3)),
        Field::optional("maxSize", SIZE),
        Field::optional("desiredSize", SIZE),
        Field::optional("zones", Shape::List(&Shape::Text(names::label))).immutable(),
        Field::default("diskGb", Shape::Integer(20, 65_536), || Value::from(100)).immutable(),
        Field::optional("labels", Shape::Map(&Shape::Text(names::label_value))),
        Field::optional(
            "taints",
            Shape::Set(&Shape::Object(&[
                Field::required("key", Shape::Text(names::label_key)),
                Field::optional("value", Shape::Text(names::label_value)),
                Field::required("effect", Shape::Choice(&["NoSchedule", "PreferNoSchedule", "NoExecute"])),
            ])),
        ),
        Field::optional("version", Shape::Text(names::version)),
        Field::default("spot", Shape::Boolean, || false.into()).immutable(),
        Field::optional("tags", TAGS),
    ],
    max_name: 63,
    latency: Duration::from_millis(1200),
    quota: 200,
    rules,
    outputs,
};

fn rules(inputs: &Value) -> Result<()> {
    let [min, max, desired] = ["minSize", "maxSize", "desiredSize"].map(|name| number(inputs, name));
    if let (Some(min), Some(max)) = (min, max)
        && max < min
    {
        return Err(
            Error::invalid(format!("`maxSize` {max} is less than `minSize` {min}")).at("maxSize".into())
        );
    }
    if let Some(desired) = desired
        && (min.is_some_and(|min| desired < min) || max.is_some_and(|max| desired > max))
    {
        return Err(Error::invalid(format!(
            "`desiredSize` {desired} is not between `minSize` and `maxSize`"
        ))
        .at("desiredSize".into()));
    }
    if inputs.get("zones").and_then(Value::as_list).is_some_and(<[Value]>::is_empty) {
        return Err(Error::invalid("`zones` is empty").at("zones".into()).help("name at least one zone"));
    }
    for key in inputs.get("labels").and_then(Value::as_map).into_iter().flatten().map(|(key, _)| key) {
        if let Err(why) = names::label_key(key) {
            let path = Path::root().key("labels").key(key.as_str());
            return Err(Error::invalid(format!("`{key}` cannot be a label: {why}")).at(path));
        }
    }
    let sized = inputs.get("cpu").is_some() && inputs.get("memoryGb").is_some();
    if let Some(machine) = inputs.text_at("instanceType")
        && !sized
        && instances::size_of(machine).is_none()
    {
        return Err(Error::invalid(format!("`instanceType` `{machine}` is not a known machine"))
            .at("instanceType".into())
            .help(format!("{}, or give `cpu` and `memoryGb`", instances::suggestion(machine))));
    }
    Ok(())
}

/// The number of nodes that the inputs ask for.
pub(crate) fn size(inputs: &Value) -> usize {
    number(inputs, "desiredSize").or_else(|| number(inputs, "minSize")).unwrap_or_default().max(0) as usize
}

fn outputs(inputs: &Value) -> Value {
    let sizes_known =
        !["desiredSize", "minSize"].iter().any(|name| inputs.get(name).is_some_and(Value::has_unknown));
    let nodes = made(inputs, ["cluster", "name"], |[cluster, name]| {
        if sizes_known { node_names(cluster, name, size(inputs)).into() } else { Value::Unknown }
    });
    Value::from([
        (
            "id",
            made(inputs, ["cluster", "name"], |[cluster, name]| {
                format!("local:clusters:{cluster}:node-pool/{name}").into()
            }),
        ),
        ("name", same(inputs, "name")),
        ("cluster", same(inputs, "cluster")),
        ("nodes", nodes),
        ("status", "ACTIVE".into()),
    ])
}

/// The names of a pool's nodes: the same for the same pool, so that nothing is left behind when a step is repeated.
pub(crate) fn node_names(cluster: &str, pool: &str, size: usize) -> Vec<String> {
    // A node's name is also the value of a label, which has at most 63 characters.
    let base = names::sanitized(&format!("{cluster}-{pool}"), 57);
    (0..size)
        .map(|at| format!("{base}-{}", names::digest(&["node", cluster, pool, &at.to_string()], 5)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::CloudKind;
    use plinth_provider::Class;

    fn check(more: &[(&str, Value)]) -> Result<Value> {
        let mut inputs = Value::from([("cluster", "main"), ("name", "general")]);
        for (key, value) in more {
            inputs.set(&(*key).into(), value.clone());
        }
        CloudKind::NodePool.check(inputs)
    }

    #[test]
    fn sizes_and_machines() {
        assert_eq!(size(&check(&[]).unwrap()), 3);
        assert!(check(&[("maxSize", 2.into())]).unwrap_err().message.contains("less than"));
        assert!(check(&[("desiredSize", 2.into())]).unwrap_err().message.contains("not between"));
        assert!(check(&[("instanceType", "m7i.xlarge".into())]).is_ok());
        let error = check(&[("instanceType", "stadnard-4".into())]).unwrap_err();
        assert!(error.help.unwrap().contains("`standard-4`"));
        let label = |key: &str, value: &str| ("labels", Value::from([(key, value)]));
        assert!(check(&[label("example.com/role", "Stores_1")]).is_ok());
        for (key, value) in [("a b", "x"), ("/x", "x"), ("ok", "not ok"), ("", "x")] {
            assert_eq!(check(&[label(key, value)]).unwrap_err().class, Class::Invalid, "{key}: {value}");
        }
        assert!(check(&[("instanceType", "odd".into()), ("cpu", 4.into()), ("memoryGb", 16.into())]).is_ok());
    }

    #[test]
    fn outputs_are_known_before_there_is_a_pool() {
        let outputs = outputs(&check(&[]).unwrap());
        assert!(!outputs.has_unknown());
        let unknown = super::outputs(&check(&[("cluster", Value::Unknown)]).unwrap());
        assert_eq!(unknown.get("nodes"), Some(&Value::Unknown));
    }
}
