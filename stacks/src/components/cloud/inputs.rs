//! The inputs of the embedded cloud's kinds, as typed structs.

use std::collections::BTreeMap;

use serde::Serialize;

pub(super) const NETWORK: &str = "local:cloud/Network";
pub(super) const KEY: &str = "local:cloud/Key";
pub(super) const CLUSTER: &str = "local:cloud/Cluster";
pub(super) const NODE_POOL: &str = "local:cloud/NodePool";
pub(super) const ADD_ON: &str = "local:cloud/AddOn";
pub(super) const BUCKET: &str = "local:cloud/Bucket";
pub(super) const IDENTITY: &str = "local:cloud/Identity";

#[derive(Debug, Serialize)]
pub(super) struct Network {
    pub name: String,
    pub cidr: String,
    pub region: String,
    pub zones: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    pub name: String,
    pub region: String,
    pub description: String,
    pub rotation_days: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cluster {
    pub name: String,
    pub version: String,
    pub region: String,
    pub network: Option<String>,
    pub secrets_encryption_key: Option<String>,
    pub endpoint_access: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_cidrs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub control_plane_logs: Vec<String>,
    pub deletion_protection: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodePool {
    pub cluster: String,
    pub name: String,
    pub region: String,
    pub instance_type: String,
    pub cpu: Option<u64>,
    pub memory_gb: Option<u64>,
    pub min_size: u32,
    pub max_size: u32,
    pub desired_size: u32,
    pub zones: Vec<String>,
    pub disk_gb: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    pub version: String,
    pub spot: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Taint {
    pub key: String,
    pub value: Option<String>,
    pub effect: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct AddOn {
    pub cluster: String,
    pub name: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bucket {
    pub name: String,
    pub location: String,
    pub versioning: bool,
    pub encryption: Encryption,
    pub public_access_block: bool,
    pub tls_only: bool,
    pub lifecycle: Vec<LifecycleRule>,
    pub replication: Option<Replication>,
    pub force_destroy: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Encryption {
    pub key: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LifecycleRule {
    pub id: &'static str,
    pub expiration_days: Option<u64>,
    pub noncurrent_expiration_days: Option<u64>,
    pub abort_uploads_days: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Replication {
    pub region: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    pub name: String,
    pub cluster: String,
    pub namespace: String,
    pub service_account: String,
    pub access: Vec<Access>,
}

#[derive(Debug, Serialize)]
pub(super) struct Access {
    pub bucket: String,
    pub role: &'static str,
}
