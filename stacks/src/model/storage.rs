//! Block storage and buckets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::DnsLabel;

/// Persistent volumes and buckets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Storage {
    /// The storage class of the platform's volumes; `plinth-ssd`, which the stack makes, when left out
    /// (on an existing cluster: the cloud's `storageClass`, else the cluster's default class).
    pub class_name: Option<String>,
    /// The cloud's kind of disk behind the class that the stack makes: `gp3`, `pd-ssd`, `PremiumV2_LRS` and so on;
    /// the cloud's fast SSD when left out.
    #[serde(rename = "type")]
    pub disk_type: Option<String>,
    /// Parameters for that class beside the type, in the words of the cloud's driver (`iops`, `throughput` …).
    pub parameters: BTreeMap<String, String>,
    /// More storage classes to make.
    pub classes: Vec<StorageClass>,
    /// The buckets for logs, traces, long-term metrics and backups.
    pub buckets: Buckets,
}

/// A storage class to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StorageClass {
    /// The class's name.
    pub name: DnsLabel,
    /// The cloud's kind of disk.
    #[serde(rename = "type")]
    pub disk_type: String,
    /// More parameters for the cloud's driver.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// What happens to a disk when its claim is deleted.
    #[serde(default)]
    pub reclaim_policy: ReclaimPolicy,
    /// Makes it the class of claims that name none.
    #[serde(default)]
    pub default: bool,
}

/// What happens to a disk when its claim is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ReclaimPolicy {
    /// The disk is deleted too.
    #[default]
    Delete,
    /// The disk is kept.
    Retain,
}

/// How buckets are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Buckets {
    /// What the buckets' names start with. Bucket names are shared by all customers of a cloud, so choose something of
    /// your own; `plinth-<stack>`, with the account or project where it is known, when left out.
    pub prefix: Option<DnsLabel>,
    /// Where buckets are made, if not in the stack's region.
    pub location: Option<String>,
    /// Keeps earlier versions of objects, so that a mistaken delete can be undone.
    pub versioning: bool,
    /// Copies every object to a second region.
    pub replication: Option<Replication>,
    /// Deletes buckets with what they hold on `destroy`. Without it a bucket that holds anything is kept.
    pub force_destroy: bool,
    /// An existing key for encryption, instead of the cloud's own.
    pub encryption_key: Option<String>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            prefix: None,
            location: None,
            versioning: true,
            replication: None,
            force_destroy: false,
            encryption_key: None,
        }
    }
}

/// Copies of buckets in a second region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Replication {
    /// The second region.
    pub region: String,
}

/// What a bucket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BucketPurpose {
    /// Log chunks and their index.
    Loki,
    /// Trace blocks.
    Tempo,
    /// Metric blocks.
    Thanos,
    /// Exports of dashboards, data sources and alert rules.
    Backup,
}

impl BucketPurpose {
    /// Every purpose, in the order in which the platform names them.
    pub const ALL: [Self; 4] = [Self::Loki, Self::Tempo, Self::Thanos, Self::Backup];

    /// The purpose's short name, the last part of a bucket's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loki => "loki",
            Self::Tempo => "tempo",
            Self::Thanos => "thanos",
            Self::Backup => "backup",
        }
    }
}
