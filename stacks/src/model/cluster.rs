//! The Kubernetes cluster and its node pools, for the clouds in which the stack makes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::{Cidr, DnsLabel, KubernetesVersion, Quantity};

/// The cluster. Ignored where the cluster exists already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cluster {
    /// The cluster's name; `plinth-<stack>` when left out.
    pub name: Option<DnsLabel>,
    /// The minor version of Kubernetes. Raise it by one at a time.
    pub version: KubernetesVersion,
    /// From where the API server can be reached.
    pub endpoint_access: EndpointAccess,
    /// Ranges that may reach a public endpoint. Everywhere when empty, which `check` warns about.
    pub public_cidrs: Vec<Cidr>,
    /// Encrypts Kubernetes secrets with a key of the cloud's key management.
    pub secrets_encryption: bool,
    /// An existing key for that, instead of one made for the stack.
    pub secrets_encryption_key: Option<String>,
    /// Kinds of control plane logs to keep, where the cloud offers a choice.
    pub control_plane_logs: Vec<String>,
    /// The node pools. One pool of three general-purpose nodes over all zones when empty.
    pub node_pools: Vec<NodePool>,
    /// Refuses to delete the cluster, in the cloud and in a plan, until this is false.
    pub deletion_protection: bool,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: None,
            version: super::constant("1.35"),
            endpoint_access: EndpointAccess::PublicAndPrivate,
            public_cidrs: Vec::new(),
            secrets_encryption: true,
            secrets_encryption_key: None,
            control_plane_logs: vec!["api".to_owned(), "audit".to_owned(), "authenticator".to_owned()],
            node_pools: Vec::new(),
            deletion_protection: false,
        }
    }
}

/// From where an API server can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EndpointAccess {
    /// From the internet, limited by `publicCidrs`.
    Public,
    /// From the stack's network only.
    Private,
    /// From both; nodes use the private way.
    PublicAndPrivate,
}

/// A group of equal nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePool {
    /// The pool's name, unique in the cluster.
    pub name: DnsLabel,
    /// The cloud's name for the machine, such as `m7i.xlarge`, `n2-standard-4` or `Standard_D4s_v5`.
    #[serde(default)]
    pub instance_type: Option<String>,
    /// The fewest nodes, over all zones together.
    #[serde(default = "three")]
    pub min_size: u32,
    /// The most nodes, over all zones together.
    #[serde(default = "six")]
    pub max_size: u32,
    /// The number to start with; `minSize` when left out. Later changes by an autoscaler are left alone.
    #[serde(default)]
    pub desired_size: Option<u32>,
    /// The zones; those of the stack's cloud when left out.
    #[serde(default)]
    pub zones: Vec<String>,
    /// The size of each node's disk.
    #[serde(default = "hundred")]
    #[schemars(range(min = 20))]
    pub disk_gb: u32,
    /// Labels on the nodes.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints on the nodes.
    #[serde(default)]
    pub taints: Vec<Taint>,
    /// Uses machines that the cloud may take back at any time. Not for stores.
    #[serde(default)]
    pub spot: bool,
    /// Cores of one node, for instance types that `check` does not know.
    #[serde(default)]
    pub cpu: Option<Quantity>,
    /// Memory of one node, for instance types that `check` does not know.
    #[serde(default)]
    pub memory: Option<Quantity>,
}

impl NodePool {
    /// The number of nodes to start with.
    pub fn desired(&self) -> u32 {
        self.desired_size.unwrap_or(self.min_size)
    }
}

fn three() -> u32 {
    3
}

fn six() -> u32 {
    6
}

fn hundred() -> u32 {
    100
}

/// A taint: pods that do not tolerate it stay away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// The taint's key.
    pub key: String,
    /// The taint's value.
    #[serde(default)]
    pub value: Option<String>,
    /// What happens to pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// New pods are not placed.
    NoSchedule,
    /// New pods are placed elsewhere if possible.
    PreferNoSchedule,
    /// Running pods are evicted as well.
    NoExecute,
}
