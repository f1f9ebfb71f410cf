//! The nodes of a node pool: what the simulated cloud asks of the Kubernetes API when it starts or stops machines.

use std::collections::BTreeMap;

use async_trait::async_trait;
use plinth_provider::Value;

use super::kinds::zones_of;
use super::record::Record;
use super::{instances, names};
use crate::cloud::kinds::{node_names, number, size};

/// A machine that joins a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// The node's name.
    pub name: String,
    /// The region.
    pub region: String,
    /// The zone.
    pub zone: String,
    /// The kind of machine.
    pub instance_type: String,
    /// Cores.
    pub cpu: u32,
    /// Memory in GiB.
    pub memory_gb: u32,
    /// Disk in GB.
    pub disk_gb: u32,
    /// The version of Kubernetes.
    pub version: String,
    /// Labels, with the pool's among them.
    pub labels: BTreeMap<String, String>,
    /// Taints: key, value, effect.
    pub taints: Vec<(String, String, String)>,
}

/// Where machines join and leave: the Kubernetes API of the place.
#[async_trait]
pub trait NodeHost: Send + Sync {
    /// A machine joins, or changes when it has joined before.
    async fn join(&self, machine: Machine) -> Result<(), String>;

    /// A machine leaves. One that has left already is no error.
    async fn leave(&self, name: &str) -> Result<(), String>;
}

/// The machines that a pool's inputs ask for, spread evenly over its zones.
pub fn machines(pool: &Record, cluster_version: &str) -> Vec<Machine> {
    let inputs = Value::from_json(pool.inputs.clone());
    let text = |name: &str| inputs.text_at(name).unwrap_or_default().to_owned();
    let whole = |name: &str| number(&inputs, name).and_then(|number| u32::try_from(number).ok());
    let (cluster, name, region) = (text("cluster"), text("name"), text("region"));
    let zones = match inputs.get("zones").and_then(Value::as_list) {
        Some(zones) => zones.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => zones_of(&region),
    };
    let known = instances::size_of(&text("instanceType"));
    let mut labels: BTreeMap<String, String> = texts(&inputs, "labels");
    labels.insert("cloud.plinth.dev/cluster".to_owned(), cluster.clone());
    labels.insert("cloud.plinth.dev/node-pool".to_owned(), name.clone());
    if inputs.get("spot") == Some(&Value::Bool(true)) {
        labels.insert("cloud.plinth.dev/spot".to_owned(), "true".to_owned());
    }
    let taints = inputs.get("taints").and_then(Value::as_list).unwrap_or_default();
    let taint = |taint: &Value| {
        let part = |key| taint.text_at(key).unwrap_or_default().to_owned();
        (part("key"), part("value"), part("effect"))
    };
    let machine = |(at, node): (usize, String)| Machine {
        name: node,
        region: region.clone(),
        zone: zones.get(at % zones.len().max(1)).cloned().unwrap_or_default(),
        instance_type: text("instanceType"),
        cpu: whole("cpu").or(known.map(|size| size.cpu)).unwrap_or(4),
        memory_gb: whole("memoryGb").or(known.map(|size| size.memory_gb)).unwrap_or(16),
        disk_gb: whole("diskGb").unwrap_or(100),
        version: inputs.text_at("version").unwrap_or(cluster_version).to_owned(),
        labels: labels.clone(),
        taints: taints.iter().map(taint).collect(),
    };
    node_names(&cluster, &name, size(&inputs)).into_iter().enumerate().map(machine).collect()
}

fn texts(inputs: &Value, name: &str) -> BTreeMap<String, String> {
    let map = inputs.get(name).and_then(Value::as_map);
    map.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// A host without nodes, for a cloud without a Kubernetes API.
#[derive(Debug, Clone, Copy)]
pub struct NoNodes;

#[async_trait]
impl NodeHost for NoNodes {
    async fn join(&self, _machine: Machine) -> Result<(), String> {
        Ok(())
    }

    async fn leave(&self, _name: &str) -> Result<(), String> {
        Ok(())
    }
}

/// The minor version in the form that nodes show.
pub fn kubelet_version(version: &str) -> String {
    match names::minor(version) {
        Some(_) if version.matches('.').count() == 2 => format!("v{version}"),
        Some(minor) => format!("v1.{minor}.0"),
        None => "v1.35.0".to_owned(),
    }
}
