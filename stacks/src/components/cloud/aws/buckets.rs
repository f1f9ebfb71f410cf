//! Buckets with everything that production asks of one: encrypted, closed to the public, TLS only, versioned, emptied by
//! age, and copied to a second region where the stack wants that.

use serde_json::{Value as Json, json};

use super::{Site, policies, role};
use crate::kit::{self, Build};
use crate::model::BucketPurpose;

const BUCKET: &str = "aws:s3/Bucket";

pub(super) fn declare(build: &mut Build<'_>, site: &Site<'_>, purpose: BucketPurpose) {
    let name = build.stack.bucket_name(purpose);
    let mut inputs = common(build, site, &name, json!(super::super::lifecycle(build, purpose)));
    let settings = &build.stack.storage.buckets;
    if let Some(location) = &settings.location {
        inputs["region"] = location.as_str().into();
    }
    if let Some(key) = &settings.encryption_key {
        inputs["encryption"] = json!({ "algorithm": "aws:kms", "keyId": key });
    }
    if let Some(replication) = settings.replication.clone() {
        let (partition, copy) = (site.partition, format!("{name}-copy"));
        // The copies follow the originals' deletes by themselves; only earlier versions are tidied.
        let mut copied = common(build, site, &copy, tidied());
        copied["region"] = replication.region.as_str().into();
        let copy = build.resource(BUCKET, &format!("{}-copy", purpose.name()), &copied);
        let copy = build.output(&copy, "arn");
        // By its name, since the bucket itself needs the role.
        let own = policies::replication(&format!("arn:{partition}:s3:::{name}"), &copy);
        let role_name = format!("{}-replication", purpose.name());
        let role =
            role(build, site, &role_name, &policies::trust_of_replication(), &[], json!({ "copy": own }));
        inputs["replication"] = json!({ "role": build.output(&role, "arn"), "destination": copy });
    }
    let urn = build.resource(BUCKET, purpose.name(), &inputs);
    let bucket = kit::Bucket { name, kind: super::super::store(build), needs: vec![urn] };
    build.foundation.buckets.insert(purpose, bucket);
}

fn common(build: &Build<'_>, site: &Site<'_>, name: &str, lifecycle: Json) -> Json {
    let settings = &build.stack.storage.buckets;
    // Copies need versions on both ends.
    let versioning = settings.versioning || settings.replication.is_some();
    json!({
        "name": name,
        "versioning": versioning,
        "lifecycle": lifecycle,
        "forceDestroy": settings.force_destroy,
        "tags": site.tags,
    })
}

fn tidied() -> Json {
    json!([
        { "id": "unfinished-uploads", "abortUploadsDays": 7 },
        { "id": "earlier-versions", "noncurrentExpirationDays": 30 },
    ])
}
