//! The stack file as types: what may be written, what is the default, and what each part means. The doc comments
//! become the descriptions of the published JSON Schema. Nothing here reads files or makes resources.

mod cloud;
mod cluster;
pub mod forms;
mod parameters;
mod platform;
mod resource;
mod scalars;
mod secret;
mod settings;
mod storage;
mod workload;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use cloud::*;
pub use cluster::*;
pub use platform::*;
pub use resource::*;
pub use scalars::*;
pub use secret::*;
pub use settings::*;
pub use storage::*;
pub use workload::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;

/// One environment's instance of the platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stack {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// Always `Stack`.
    pub kind: StackKind,
    /// The stack's name.
    pub name: DnsLabel,
    /// Files to start from, relative to this one: maps merge, lists and values replace. Later files win over earlier ones, this one over all.
    #[serde(default)]
    pub extends: Option<Extends>,
    /// Where the stack lives.
    #[serde(default = "local")]
    pub cloud: Cloud,
    /// The Kubernetes cluster.
    #[serde(default)]
    pub cluster: Cluster,
    /// Block storage and buckets.
    #[serde(default)]
    pub storage: Storage,
    /// Versions and images that differ from the catalogue's.
    #[serde(default)]
    pub catalogue: Catalogue,
    /// The observability platform. Without it the stack holds only its `resources`.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// More resources, of any kind of any provider.
    #[serde(default)]
    pub resources: Vec<ResourceEntry>,
    /// What a program of one's own is told: anything, in the program's own words.
    #[serde(default)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// How the engine treats the stack.
    #[serde(default)]
    pub settings: Settings,
    /// The folder of the stack file, where relative paths start. Set by the loader.
    #[serde(skip)]
    pub directory: PathBuf,
    /// The stack's own secrets, as far as they are known. Set by the loader.
    #[serde(skip)]
    pub secrets: BTreeMap<String, SecretText>,
}

fn local() -> Cloud {
    Cloud::Local(LocalCloud::default())
}

/// The version of the stack file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first.
    #[serde(rename = "plinth.dev/v1")]
    V1,
}

/// The kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StackKind {
    /// A stack.
    Stack,
}

/// One file or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Extends {
    /// One file.
    One(String),
    /// Several; later ones win.
    Many(Vec<String>),
}

impl Stack {
    /// The domain of the platform.
    pub fn domain(&self) -> String {
        match self.platform.as_ref().and_then(|platform| platform.domain.as_ref()) {
            Some(domain) => domain.to_string(),
            None => format!("{}.plinth.internal", self.name),
        }
    }

    /// The name under which Grafana is reached.
    pub fn grafana_host(&self) -> String {
        match self.platform.as_ref().and_then(|platform| platform.grafana.host.as_ref()) {
            Some(host) => host.to_string(),
            None => format!("grafana.{}", self.domain()),
        }
    }

    /// The environment's name in labels of telemetry.
    pub fn environment(&self) -> &str {
        self.platform
            .as_ref()
            .and_then(|platform| platform.environment.as_deref())
            .unwrap_or_else(|| self.name.as_str())
    }

    /// The cluster's name.
    pub fn cluster_name(&self) -> String {
        self.cluster.name.as_ref().map_or_else(|| format!("plinth-{}", self.name), ToString::to_string)
    }

    /// The class of the platform's persistent volumes; `None` means the cluster's default class.
    pub fn storage_class(&self) -> Option<String> {
        if let Some(name) = &self.storage.class_name {
            return Some(name.clone());
        }
        match &self.cloud {
            Cloud::Existing(cluster) => cluster.storage_class.clone(),
            _ => Some("plinth-ssd".to_owned()),
        }
    }

    /// The name of the bucket for a purpose.
    pub fn bucket_name(&self, purpose: BucketPurpose) -> String {
        if let Cloud::Existing(ExistingCluster { object_store: Some(store), .. }) = &self.cloud {
            let named = match purpose {
                BucketPurpose::Loki => &store.buckets.loki,
                BucketPurpose::Tempo => &store.buckets.tempo,
                BucketPurpose::Thanos => &store.buckets.thanos,
                BucketPurpose::Backup => &store.buckets.backup,
            };
            if let Some(name) = named {
                return name.clone();
            }
        }
        let prefix = match &self.storage.buckets.prefix {
            Some(prefix) => prefix.to_string(),
            None => match &self.cloud {
                Cloud::Aws(Aws { account_id: Some(account), .. }) => {
                    format!("plinth-{}-{account}", self.name)
                }
                Cloud::Gcp(gcp) => format!("plinth-{}-{}", self.name, gcp.project),
                _ => format!("plinth-{}", self.name),
            },
        };
        format!("{prefix}-{}", purpose.name())
    }

    /// Whether the object store is a small one inside the cluster, because the stack names none outside.
    pub fn embedded_object_store(&self) -> bool {
        matches!(&self.cloud, Cloud::Existing(cluster) if cluster.object_store.is_none())
    }

    /// Zones over which nodes spread, as far as the stack file says.
    pub fn zones(&self) -> &[String] {
        match &self.cloud {
            Cloud::Local(cloud) => &cloud.zones,
            Cloud::Existing(_) => &[],
            Cloud::Aws(cloud) => &cloud.zones,
            Cloud::Gcp(cloud) => &cloud.zones,
            Cloud::Azure(cloud) => &cloud.zones,
        }
    }
}

/// A default that stands in this source. A malformed one would fail the test that deserializes every default.
fn constant<T: std::str::FromStr<Err = String>>(text: &'static str) -> T {
    match text.parse() {
        Ok(value) => value,
        Err(message) => unreachable!("a built-in default is malformed: {message}"),
    }
}
