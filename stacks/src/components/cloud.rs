//! What the platform stands on: network, key, cluster, node pools, buckets and identities, made by the stack's cloud or
//! there already. The other components see only the [`Foundation`](crate::kit::Foundation) that comes out of it.

mod aws;
mod existing;
mod inputs;
mod managed;

use crate::kit::{Build, Part, StoreKind, Target, parts};
use crate::model::{BucketPurpose, Cloud, Stack};
use inputs::LifecycleRule;

/// Who uses which bucket, and whether to write.
const ACCESS: &[(Part, BucketPurpose, bool)] = &[
    (parts::PROMETHEUS, BucketPurpose::Thanos, true),
    (parts::THANOS_STORE, BucketPurpose::Thanos, false),
    (parts::THANOS_COMPACTOR, BucketPurpose::Thanos, true),
    (parts::THANOS_RULER, BucketPurpose::Thanos, true),
    (parts::LOKI_INGESTER, BucketPurpose::Loki, true),
    (parts::LOKI_QUERIER, BucketPurpose::Loki, false),
    (parts::LOKI_INDEX_GATEWAY, BucketPurpose::Loki, false),
    (parts::LOKI_COMPACTOR, BucketPurpose::Loki, true),
    (parts::LOKI_RULER, BucketPurpose::Loki, true),
    (parts::TEMPO_INGESTER, BucketPurpose::Tempo, true),
    (parts::TEMPO_QUERIER, BucketPurpose::Tempo, false),
    (parts::TEMPO_QUERY_FRONTEND, BucketPurpose::Tempo, false),
    (parts::TEMPO_COMPACTOR, BucketPurpose::Tempo, true),
    (parts::BACKUP, BucketPurpose::Backup, true),
];

/// Declares what the cloud gives, and records it as the build's foundation.
pub(crate) fn declare(build: &mut Build<'_>) {
    let simulated = build.target.rehearse || build.target.offline;
    match &build.stack.cloud {
        Cloud::Local(_) => managed::declare(build),
        Cloud::Existing(_) if build.target.rehearse => managed::declare(build),
        Cloud::Existing(cluster) => existing::declare(build, cluster),
        _ if simulated => managed::declare(build),
        Cloud::Aws(cloud) => aws::declare(build, cloud),
        cloud => {
            let name = cloud.name();
            build.error(
                format!("the {name} provider is not part of this build yet"),
                "run the same command with --rehearse to see the stack at work in the embedded cloud",
            );
        }
    }
}

/// How a cluster that is there already is reached, for stacks without a platform.
pub(crate) fn existing_connection(stack: &Stack, target: &Target) -> Option<plinth_provider::Value> {
    match &stack.cloud {
        Cloud::Existing(cluster) if !target.rehearse => existing::connection(stack, cluster),
        _ => None,
    }
}

/// What stands in for keys and the like after the namespaces exist.
pub(crate) fn declare_credentials(build: &mut Build<'_>) {
    existing::declare_credentials(build);
}

/// The object store that the components' configuration speaks to.
fn store(build: &Build<'_>) -> StoreKind {
    let s3 = |endpoint: String, region: &str| StoreKind::S3 {
        endpoint,
        region: region.to_owned(),
        path_style: false,
        insecure: false,
        internal_authority: false,
    };
    match &build.stack.cloud {
        Cloud::Local(cloud) => s3(format!("{}.buckets.plinth.internal", cloud.region), &cloud.region),
        Cloud::Aws(cloud) => s3(format!("s3.{}.amazonaws.com", cloud.region), &cloud.region),
        Cloud::Gcp(_) => StoreKind::Gcs,
        Cloud::Azure(_) => StoreKind::Azure { account: storage_account(build.stack.name.as_str()) },
        Cloud::Existing(cluster) => existing::store(build, cluster),
    }
}

/// What is removed from a bucket by its age.
fn lifecycle(build: &Build<'_>, purpose: BucketPurpose) -> Vec<LifecycleRule> {
    let platform = build.platform;
    let days = |retention: &crate::model::Duration| retention.seconds().div_ceil(86_400);
    // A safety net below what Loki and Tempo delete themselves; blocks of Thanos must never go behind its back.
    let expiration = match purpose {
        BucketPurpose::Loki => Some(days(&platform.loki.retention) + 30),
        BucketPurpose::Tempo => Some(days(&platform.tempo.retention) + 30),
        BucketPurpose::Backup => Some(days(&platform.backup.retention)),
        BucketPurpose::Thanos => None,
    };
    let rule = |id, expiration_days, noncurrent_expiration_days, abort_uploads_days| LifecycleRule {
        id,
        expiration_days,
        noncurrent_expiration_days,
        abort_uploads_days,
    };
    let mut lifecycle = vec![rule("unfinished-uploads", None, None, Some(7))];
    if build.stack.storage.buckets.versioning {
        lifecycle.push(rule("earlier-versions", None, Some(30), None));
    }
    if expiration.is_some() {
        lifecycle.push(rule("retention", expiration, None, None));
    }
    lifecycle
}

/// Azure allows 3 to 24 lower-case letters and digits.
fn storage_account(stack: &str) -> String {
    let letters: String = stack.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("plinth{letters}").chars().take(24).collect()
}

/// Whether a part runs, for those that use buckets.
fn runs(build: &Build<'_>, part: Part) -> bool {
    let platform = build.platform;
    match part.app {
        "loki" => platform.loki.enabled,
        "tempo" => platform.tempo.enabled,
        "prometheus" | "thanos" => platform.thanos.enabled,
        "backup" => platform.backup.enabled,
        _ => true,
    }
}
