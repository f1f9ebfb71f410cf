//! What the cloud gives to the components, in words that are the same for every cloud: how the cluster is reached,
//! where buckets are, and who may use them.

use std::collections::BTreeMap;

use plinth_provider::{Urn, Value};
use serde_json::{Value as Json, json};

use super::parts::Part;
use super::workload::CA_FILE;
use crate::model::BucketPurpose;

/// What the cloud gives to the components.
#[derive(Debug, Clone, Default)]
pub(crate) struct Foundation {
    /// How Kubernetes objects reach their cluster.
    pub connection: Option<Value>,
    /// What lets Plinth into the cluster: every object of it waits for these.
    pub doors: Vec<Urn>,
    /// What pods wait for: the node pools.
    pub nodes: Vec<Urn>,
    /// The buckets.
    pub buckets: BTreeMap<BucketPurpose, Bucket>,
    /// Who may use a bucket without a password.
    pub identities: BTreeMap<Part, Identity>,
    /// The Secret with the keys of a store that knows only passwords: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    pub credentials: Option<String>,
}

/// A pod's identity in the cloud.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    /// What the ServiceAccount must carry.
    pub annotations: BTreeMap<String, String>,
    /// What the pod must carry.
    pub labels: BTreeMap<String, String>,
    /// What the pod carries so that it is made anew with another identity: one that was admitted before its identity was
    /// there, or with an earlier one, keeps what it had.
    pub marks: BTreeMap<String, String>,
    /// The variable that every container of the pod gets with its identity, when it is admitted.
    pub variable: Option<&'static str>,
    /// What must exist before the pod.
    pub needs: Vec<Urn>,
}

/// A bucket.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    /// Its name (on Azure, the container's).
    pub name: String,
    /// The store it is in.
    pub kind: StoreKind,
    /// What must exist before pods use it.
    pub needs: Vec<Urn>,
}

/// An object store.
#[derive(Debug, Clone)]
pub(crate) enum StoreKind {
    /// Anything that speaks S3.
    S3 {
        /// The address without a scheme.
        endpoint: String,
        /// The region that requests are signed for.
        region: String,
        /// The bucket's name goes into the path.
        path_style: bool,
        /// Plain HTTP.
        insecure: bool,
        /// Its certificate is of the platform's own authority.
        internal_authority: bool,
    },
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure {
        /// The storage account.
        account: String,
    },
}

impl Bucket {
    /// The content of Thanos' object store file.
    pub fn thanos(&self) -> Json {
        match &self.kind {
            StoreKind::S3 { endpoint, region, path_style, insecure, internal_authority } => {
                let mut config = json!({
                    "bucket": self.name,
                    "endpoint": endpoint,
                    "region": region,
                    "aws_sdk_auth": true,
                    "insecure": insecure,
                    "bucket_lookup_type": if *path_style { "path" } else { "auto" },
                });
                if *internal_authority {
                    config["http_config"] = json!({ "tls_config": { "ca_file": CA_FILE } });
                }
                json!({ "type": "S3", "config": config })
            }
            StoreKind::Gcs => json!({ "type": "GCS", "config": { "bucket": self.name } }),
            StoreKind::Azure { account } => json!({
                "type": "AZURE",
                "config": {
                    "storage_account": account,
                    "container": self.name,
                    "storage_create_container": false,
                },
            }),
        }
    }

    /// The name that Loki and Tempo have for the kind of store: `s3`, `gcs` or `azure`.
    pub fn backend(&self) -> &'static str {
        match &self.kind {
            StoreKind::S3 { .. } => "s3",
            StoreKind::Gcs => "gcs",
            StoreKind::Azure { .. } => "azure",
        }
    }

    /// Loki's settings for [`Bucket::backend`].
    pub fn loki(&self) -> Json {
        match &self.kind {
            StoreKind::S3 { endpoint, region, path_style, insecure, internal_authority } => {
                let mut config = json!({
                    "bucketnames": self.name,
                    "endpoint": endpoint,
                    "region": region,
                    "s3forcepathstyle": path_style,
                    "insecure": insecure,
                });
                if *internal_authority {
                    config["http_config"] = json!({ "ca_file": CA_FILE });
                }
                config
            }
            StoreKind::Gcs => json!({ "bucket_name": self.name }),
            StoreKind::Azure { account } => json!({
                "account_name": account,
                "container_name": self.name,
                "use_federated_token": true,
            }),
        }
    }

    /// Tempo's settings for [`Bucket::backend`].
    pub fn tempo(&self) -> Json {
        match &self.kind {
            StoreKind::S3 { endpoint, region, path_style, insecure, internal_authority } => {
                let mut config = json!({
                    "bucket": self.name,
                    "endpoint": endpoint,
                    "region": region,
                    "forcepathstyle": path_style,
                    "insecure": insecure,
                });
                if *internal_authority {
                    config["tls_ca_path"] = json!(CA_FILE);
                }
                config
            }
            StoreKind::Gcs => json!({ "bucket_name": self.name }),
            StoreKind::Azure { account } => json!({
                "storage_account_name": account,
                "container_name": self.name,
                "use_federated_token": true,
            }),
        }
    }

    /// The environment in which rclone finds the bucket as the remote `bucket:`, and the path after the colon.
    pub fn rclone(&self) -> (Vec<(&'static str, String)>, String) {
        let mut environment = match &self.kind {
            StoreKind::S3 { endpoint, region, path_style, insecure, internal_authority } => {
                let scheme = if *insecure { "http" } else { "https" };
                let mut environment = vec![
                    ("RCLONE_CONFIG_BUCKET_TYPE", "s3".to_owned()),
                    ("RCLONE_CONFIG_BUCKET_PROVIDER", if *path_style { "Other" } else { "AWS" }.to_owned()),
                    ("RCLONE_CONFIG_BUCKET_ENV_AUTH", "true".to_owned()),
                    ("RCLONE_CONFIG_BUCKET_REGION", region.clone()),
                    ("RCLONE_CONFIG_BUCKET_ENDPOINT", format!("{scheme}://{endpoint}")),
                    ("RCLONE_CONFIG_BUCKET_FORCE_PATH_STYLE", path_style.to_string()),
                ];
                if *internal_authority {
                    environment.push(("RCLONE_CA_CERT", CA_FILE.to_owned()));
                }
                environment
            }
            StoreKind::Gcs => vec![
                ("RCLONE_CONFIG_BUCKET_TYPE", "google cloud storage".to_owned()),
                ("RCLONE_CONFIG_BUCKET_ENV_AUTH", "true".to_owned()),
                ("RCLONE_CONFIG_BUCKET_BUCKET_POLICY_ONLY", "true".to_owned()),
            ],
            StoreKind::Azure { account } => vec![
                ("RCLONE_CONFIG_BUCKET_TYPE", "azureblob".to_owned()),
                ("RCLONE_CONFIG_BUCKET_ENV_AUTH", "true".to_owned()),
                ("RCLONE_CONFIG_BUCKET_ACCOUNT", account.clone()),
            ],
        };
        // The bucket is made by the stack; the job may not make one.
        environment.push(("RCLONE_CONFIG_BUCKET_NO_CHECK_BUCKET", "true".to_owned()));
        (environment, self.name.clone())
    }
}
