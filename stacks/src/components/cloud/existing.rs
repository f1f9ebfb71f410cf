//! A cluster that is there already, with an object store that speaks S3: outside, or a small one inside the cluster.

use plinth_provider::Value;

use crate::kit::{Bucket, Build, Entry, Phase, Space, StoreKind, parts};
use crate::model::{BucketPurpose, Cloud, ExistingCluster, Stack};

/// The Secret with the keys of the object store.
const CREDENTIALS: &str = "object-store-credentials";

/// How the cluster is reached; `None` leaves it to the rules of `kubectl`.
pub(super) fn connection(stack: &Stack, cluster: &ExistingCluster) -> Option<Value> {
    let mut connection = Value::map();
    if let Some(file) = &cluster.kubeconfig {
        let path = stack.directory.join(file);
        connection.set(&"kubeconfig".into(), path.to_string_lossy().into_owned().into());
    }
    if let Some(context) = &cluster.context {
        connection.set(&"context".into(), context.as_str().into());
    }
    (cluster.kubeconfig.is_some() || cluster.context.is_some()).then_some(connection)
}

pub(super) fn declare(build: &mut Build<'_>, cluster: &ExistingCluster) {
    build.foundation.connection = connection(build.stack, cluster);
    for purpose in BucketPurpose::ALL {
        let bucket =
            Bucket { name: build.stack.bucket_name(purpose), kind: super::store(build), needs: Vec::new() };
        build.foundation.buckets.insert(purpose, bucket);
    }
}

/// The Secret with the store's keys; other clouds give identities instead.
pub(super) fn declare_credentials(build: &mut Build<'_>) {
    let Cloud::Existing(cluster) = &build.stack.cloud else { return };
    build.phase(Phase::Identity);
    let entries = match &cluster.object_store {
        Some(store) => vec![
            Entry::source("AWS_ACCESS_KEY_ID", Some(&store.access_key_id)),
            Entry::source("AWS_SECRET_ACCESS_KEY", Some(&store.secret_access_key)),
        ],
        None => {
            let password = build.password("object-store", 40).mark();
            vec![Entry::text("AWS_ACCESS_KEY_ID", "plinth"), Entry::text("AWS_SECRET_ACCESS_KEY", password)]
        }
    };
    build.secret(Space::Platform, CREDENTIALS, entries);
    build.foundation.credentials = Some(CREDENTIALS.to_owned());
}

pub(super) fn store(build: &Build<'_>, cluster: &ExistingCluster) -> StoreKind {
    match &cluster.object_store {
        Some(store) => {
            let url = store.endpoint.as_str();
            let endpoint = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
            StoreKind::S3 {
                endpoint: endpoint.to_owned(),
                region: store.region.clone(),
                path_style: store.force_path_style,
                insecure: url.starts_with("http://"),
                internal_authority: false,
            }
        }
        None => StoreKind::S3 {
            endpoint: format!("{}:{}", build.host(parts::OBJECT_STORE), parts::ports::OBJECT_STORE),
            region: "us-east-1".to_owned(),
            path_style: true,
            insecure: false,
            internal_authority: true,
        },
    }
}
