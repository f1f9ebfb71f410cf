//! Where a stack lives: the embedded cloud, a cluster that exists already, or one of the clouds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::{Cidr, DnsName, Url};
use super::secret::SecretSource;

/// The cloud that carries a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "provider", rename_all = "camelCase")]
pub enum Cloud {
    /// The embedded cloud and Kubernetes API: needs nothing but this program.
    Local(LocalCloud),
    /// A Kubernetes cluster that exists already (Kind, k3s, a managed cluster made elsewhere).
    Existing(ExistingCluster),
    /// Amazon Web Services: EKS, S3, EBS.
    Aws(Aws),
    /// Google Cloud: GKE, Cloud Storage, persistent disks.
    Gcp(Gcp),
    /// Microsoft Azure: AKS, Blob Storage, managed disks.
    Azure(Azure),
}

impl Cloud {
    /// The provider's name as the stack file spells it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::Existing(_) => "existing",
            Self::Aws(_) => "aws",
            Self::Gcp(_) => "gcp",
            Self::Azure(_) => "azure",
        }
    }

    /// Whether the stack makes its own cluster (and node pools, buckets, identities) in this cloud.
    pub fn creates_cluster(&self) -> bool {
        !matches!(self, Self::Existing(_))
    }
}

/// The embedded cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LocalCloud {
    /// The name of the simulated region.
    pub region: String,
    /// The simulated zones.
    #[schemars(length(min = 1))]
    pub zones: Vec<String>,
}

impl Default for LocalCloud {
    fn default() -> Self {
        Self {
            region: "local-1".to_owned(),
            zones: vec!["local-1a".to_owned(), "local-1b".to_owned(), "local-1c".to_owned()],
        }
    }
}

/// A cluster that is there already. `kubeconfig` and `context` follow `kubectl`'s own rules when left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ExistingCluster {
    /// The kubeconfig file; relative paths start at the stack file's folder.
    pub kubeconfig: Option<String>,
    /// The context within the kubeconfig.
    pub context: Option<String>,
    /// The S3-compatible object store for logs, traces and long-term metrics. Without one, a stack that is not
    /// highly available gets a small store inside the cluster.
    pub object_store: Option<ObjectStore>,
    /// The storage class of persistent volumes; the cluster's default class when left out.
    pub storage_class: Option<String>,
}

/// An S3-compatible object store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectStore {
    /// Its address, such as `https://s3.example.com`.
    pub endpoint: Url,
    /// The region that requests are signed for.
    #[serde(default = "default_object_store_region")]
    pub region: String,
    /// The access key's id.
    pub access_key_id: SecretSource,
    /// The secret access key.
    pub secret_access_key: SecretSource,
    /// Puts the bucket's name in the path instead of the host name, as most self-hosted stores need.
    #[serde(default = "yes")]
    pub force_path_style: bool,
    /// The buckets' names. They must exist; `<prefix>-loki` and so on (see `storage.buckets.prefix`) when left out.
    #[serde(default)]
    pub buckets: BucketNames,
}

fn default_object_store_region() -> String {
    "us-east-1".to_owned()
}

fn yes() -> bool {
    true
}

/// Names of buckets, where they are not derived from the stack's name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BucketNames {
    /// For log chunks and index.
    pub loki: Option<String>,
    /// For trace blocks.
    pub tempo: Option<String>,
    /// For metric blocks.
    pub thanos: Option<String>,
    /// For backups of dashboards, data sources and alert rules.
    pub backup: Option<String>,
}

/// Amazon Web Services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Aws {
    /// The region, such as `eu-central-1`.
    #[schemars(regex(pattern = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$"))]
    pub region: String,
    /// The account that must be meant: an apply with another account's credentials is refused.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[0-9]{12}$"))]
    pub account_id: Option<String>,
    /// A role to assume for every request.
    #[serde(default)]
    pub role_arn: Option<String>,
    /// A named profile of the AWS configuration files.
    #[serde(default)]
    pub profile: Option<String>,
    /// The roles and users that administer the cluster, the one that runs Plinth among them; `roleArn` is one by itself.
    /// Of a session, name the role, with its whole path.
    #[serde(default)]
    pub admin_arns: Vec<String>,
    /// Availability zones; the first three of the region when left out.
    #[serde(default)]
    pub zones: Vec<String>,
    /// For how many days the logs of the control plane are kept.
    #[serde(default = "log_retention_days")]
    pub log_retention_days: u32,
    /// The network: a VPC made for the stack, or subnets that exist.
    #[serde(default)]
    pub network: AwsNetwork,
}

fn log_retention_days() -> u32 {
    90
}

/// The network of a stack on AWS. Either `vpcCidr` (a VPC is made) or `subnetIds` (they exist).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AwsNetwork {
    /// The address range of the VPC to make, at least a /20. Not used with `subnetIds`.
    pub vpc_cidr: Cidr,
    /// Makes one NAT gateway per zone instead of one for all: dearer, and no zone depends on another.
    pub nat_per_zone: bool,
    /// Existing subnets for nodes, in as many zones as the stack needs.
    pub subnet_ids: Vec<String>,
    /// Existing security groups to attach to the cluster, besides its own.
    pub security_group_ids: Vec<String>,
}

impl Default for AwsNetwork {
    fn default() -> Self {
        Self {
            vpc_cidr: super::constant("10.0.0.0/16"),
            nat_per_zone: true,
            subnet_ids: Vec::new(),
            security_group_ids: Vec::new(),
        }
    }
}

/// Google Cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gcp {
    /// The project's id.
    pub project: String,
    /// The region, such as `europe-west3`; the cluster is regional.
    pub region: String,
    /// Zones of the region for nodes; all of the region's when left out.
    #[serde(default)]
    pub zones: Vec<String>,
    /// The network; made for the stack when left out.
    #[serde(default)]
    pub network: GcpNetwork,
}

/// The network of a stack on Google Cloud.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GcpNetwork {
    /// An existing VPC network; one is made when left out.
    pub network: Option<String>,
    /// An existing subnetwork.
    pub subnetwork: Option<String>,
    /// The range of node addresses for the subnetwork that is made.
    pub cidr: Option<Cidr>,
}

/// Microsoft Azure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Azure {
    /// The subscription's id.
    pub subscription: String,
    /// The resource group; made when it does not exist.
    pub resource_group: String,
    /// The location, such as `westeurope`.
    pub location: String,
    /// Zones of the location; 1, 2 and 3 when left out.
    #[serde(default)]
    pub zones: Vec<String>,
    /// The network; made for the stack when left out.
    #[serde(default)]
    pub network: AzureNetwork,
}

/// The network of a stack on Azure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AzureNetwork {
    /// The id of an existing subnet; a network is made when left out.
    pub subnet_id: Option<String>,
    /// The range of the network that is made.
    pub cidr: Option<Cidr>,
    /// The DNS zone of a private API server.
    pub private_dns_zone: Option<DnsName>,
}
