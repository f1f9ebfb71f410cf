//! The parts of a bucket: reading them all into the form of the inputs, and writing those that differ, in the order in
//! which S3 takes them.

use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_bucket_versioning::GetBucketVersioningOutput;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketVersioningStatus, DefaultRetention,
    DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination, EncryptionConfiguration,
    ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode, ObjectLockRule, ObjectOwnership,
    OwnershipControls, OwnershipControlsRule, PublicAccessBlockConfiguration, ReplicationConfiguration,
    ReplicationRule, ReplicationRuleFilter, ReplicationRuleStatus, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
    SourceSelectionCriteria, SseKmsEncryptedObjects, SseKmsEncryptedObjectsStatus, Tag, Tagging,
    VersioningConfiguration,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use plinth_provider::{Class, Error, Result, Value};

use super::{Tags, namespace, policy};
use crate::error::{failed, is_missing, refused};
use crate::kinds::{Call, integer};
use crate::wait::again;
use crate::{document, marks};

/// How long S3 may take to see a change that another call on the bucket made.
const SETTLING: Duration = Duration::from_secs(120);

/// The bucket's tags.
pub(super) async fn tags(call: &Call<'_>, name: &str) -> Result<Tags> {
    let got =
        present("s3:GetBucketTagging", name, super::s3(call).get_bucket_tagging().bucket(name).send().await)?;
    Ok(got
        .iter()
        .flat_map(|got| got.tag_set())
        .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
        .collect())
}

/// An answer, or nothing where S3 says that there is no such configuration.
fn present<T, E>(
    action: &str,
    name: &str,
    answer: std::result::Result<T, SdkError<E, HttpResponse>>,
) -> Result<Option<T>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refused(action, name, error)),
    }
}

fn arn(call: &Call<'_>, name: &str) -> String {
    format!("arn:{}:s3:::{name}", call.aws.identity.partition)
}

/// The bucket in the form of the inputs, and its tags.
pub(super) async fn read(call: &Call<'_>, name: &str) -> Result<(Value, Tags)> {
    let s3 = &super::s3(call);
    let (versioning, encryption, block, ownership, lifecycle, replication, lock, said, tags) = tokio::join!(
        s3.get_bucket_versioning().bucket(name).send(),
        s3.get_bucket_encryption().bucket(name).send(),
        s3.get_public_access_block().bucket(name).send(),
        s3.get_bucket_ownership_controls().bucket(name).send(),
        s3.get_bucket_lifecycle_configuration().bucket(name).send(),
        s3.get_bucket_replication().bucket(name).send(),
        s3.get_object_lock_configuration().bucket(name).send(),
        s3.get_bucket_policy().bucket(name).send(),
        tags(call, name),
    );
    let tags = tags?;
    let mut inputs = Value::from([("name", Value::from(name))]);
    if let Some(region) = call.inputs.get("region") {
        inputs.set(&"region".into(), region.clone());
    }
    if call.inputs.get(namespace::KEY).is_some() {
        inputs.set(&namespace::KEY.into(), namespace::of(name, super::region(call)).into());
    }
    let mut set = |key: &str, value: Value| inputs.set(&key.into(), value);

    set("versioning", (versioning_of(name, versioning)? == Some(BucketVersioningStatus::Enabled)).into());

    let encryption = present("s3:GetEncryptionConfiguration", name, encryption)?;
    let rule =
        encryption.as_ref().and_then(|held| held.server_side_encryption_configuration()?.rules().first());
    let by = rule.and_then(|rule| rule.apply_server_side_encryption_by_default());
    // Every bucket encrypts with S3's own keys when nothing else is said; some stores do not say so.
    let mut held = Value::from([("algorithm", by.map_or("AES256", |by| by.sse_algorithm().as_str()))]);
    if let Some(key) = by.and_then(|by| by.kms_master_key_id()) {
        held.set(&"keyId".into(), same_key(call, key).into());
    }
    set("encryption", held);

    let block = present("s3:GetBucketPublicAccessBlock", name, block)?;
    let block = block.as_ref().and_then(|held| held.public_access_block_configuration());
    let all = block.is_some_and(|held| {
        [
            held.block_public_acls(),
            held.ignore_public_acls(),
            held.block_public_policy(),
            held.restrict_public_buckets(),
        ]
        .iter()
        .all(|part| *part == Some(true))
    });
    set("publicAccessBlock", all.into());

    let ownership = present("s3:GetBucketOwnershipControls", name, ownership)?;
    let rule = ownership.as_ref().and_then(|held| held.ownership_controls()?.rules().first());
    // Without a rule the uploader owns what he uploads; that is what buckets before 2023 have.
    set("ownership", rule.map_or("ObjectWriter", |rule| rule.object_ownership().as_str()).into());

    let said = present("s3:GetBucketPolicy", name, said)?;
    let (tls_only, own) = said
        .as_ref()
        .and_then(|held| held.policy())
        .map_or((false, None), |text| policy::split(&arn(call, name), text));
    set("tlsOnly", tls_only.into());
    if let Some(own) = own {
        set("policy", document::as_asked(call.inputs.text_at("policy"), &own).into());
    }

    let lifecycle = present("s3:GetLifecycleConfiguration", name, lifecycle)?;
    let rules = lifecycle.iter().flat_map(|held| held.rules()).map(lifecycle_value).collect();
    set("lifecycle", Value::List(rules));

    let replication = present("s3:GetReplicationConfiguration", name, replication)?;
    if let Some(value) =
        replication.as_ref().and_then(|held| replication_value(held.replication_configuration()?))
    {
        set("replication", value);
    }

    let lock = present("s3:GetBucketObjectLockConfiguration", name, lock)?;
    let retention =
        lock.as_ref().and_then(|held| held.object_lock_configuration()?.rule()?.default_retention());
    if let Some((mode, days)) = retention.and_then(|held| Some((held.mode()?, held.days()?))) {
        set(
            "objectLock",
            Value::from([("mode", Value::from(mode.as_str())), ("days", i64::from(days).into())]),
        );
    }

    // What never reaches the account is as it was asked for.
    if let Some(force) = call.inputs.get("forceDestroy") {
        set("forceDestroy", force.clone());
    }
    if call.inputs.get("tags").is_some() {
        set("tags", marks::foreign(tags.clone()));
    }
    Ok((inputs, tags))
}

/// The key as it was asked for, when live names the same one by another of its names.
fn same_key(call: &Call<'_>, live: &str) -> String {
    let asked = call.inputs.at(&"encryption.keyId".into()).and_then(Value::as_str);
    match asked {
        Some(asked) if live == asked || live.ends_with(&format!("/{asked}")) => asked.to_owned(),
        _ => live.to_owned(),
    }
}

/// Writes what differs from `live`; everything, when the bucket is new.
pub(super) async fn settle(call: &Call<'_>, name: &str, live: Option<&Value>) -> Result<()> {
    let is_new = live.is_none();
    let differs = |key: &str| live.is_none_or(|live| call.inputs.get(key) != live.get(key));
    // Tags say whose it is: they come first, so that a create that is cut short is found again.
    set_tags(call, name).await?;
    let steps: [(&str, Step); 8] = [
        ("ownership", Step::Ownership),
        ("publicAccessBlock", Step::PublicAccess),
        ("versioning", Step::Versioning),
        ("encryption", Step::Encryption),
        ("policy", Step::Policy),
        ("objectLock", Step::ObjectLock),
        ("lifecycle", Step::Lifecycle),
        ("replication", Step::Replication),
    ];
    for (key, step) in steps {
        let wanted = differs(key) || key == "policy" && differs("tlsOnly");
        if !wanted {
            continue;
        }
        // One change of a bucket at a time, says S3, also to calls that follow each other; and replication may not see
        // yet that versioning is on.
        // And a bucket that was just made may not be seen by all of S3.
        let passes = |error: &Error| {
            error.class == Class::Conflict
                || is_new && error.class == Class::NotFound
                || error.message.contains("Versioning must be 'Enabled' on the bucket")
        };
        again(call.context, SETTLING, passes, || write(call, name, step)).await?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Ownership,
    PublicAccess,
    Versioning,
    Encryption,
    Policy,
    ObjectLock,
    Lifecycle,
    Replication,
}

fn built<T, E: std::fmt::Display>(built: std::result::Result<T, E>) -> Result<T> {
    built.map_err(|error| Error::invalid(error.to_string()))
}

/// Tags as S3 takes them.
pub(super) fn tag_list(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| built(Tag::builder().key(key).value(value).build())).collect()
}

async fn set_tags(call: &Call<'_>, name: &str) -> Result<()> {
    let there = tags(call, name).await?;
    let wanted = marks::tags(call.urn, call.inputs);
    let (set, gone) = marks::changes(&there, &wanted, call.was);
    if set.is_empty() && gone.is_empty() {
        return Ok(());
    }
    // The call replaces all tags; those of others must be said again to stay.
    let theirs = there.into_iter().filter(|(key, _)| !gone.contains(key));
    let all = theirs.chain(wanted);
    let tagging = built(Tagging::builder().set_tag_set(Some(tag_list(&all.collect())?)).build())?;
    let passes = |error: &Error| matches!(error.class, Class::Conflict | Class::NotFound);
    again(call.context, SETTLING, passes, || async {
        let put = super::s3(call).put_bucket_tagging().bucket(name).tagging(tagging.clone()).send().await;
        put.map(drop).map_err(|error| failed("s3:PutBucketTagging", name, error))
    })
    .await
}

async fn write(call: &Call<'_>, name: &str, step: Step) -> Result<()> {
    let (s3, inputs) = (&super::s3(call), call.inputs);
    let is_on = |key: &str| inputs.get(key) == Some(&Value::Bool(true));
    match step {
        Step::Ownership => {
            let owner = inputs.text_at("ownership").unwrap_or("BucketOwnerEnforced");
            let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::from(owner));
            let controls = built(OwnershipControls::builder().rules(built(rule.build())?).build())?;
            let put =
                s3.put_bucket_ownership_controls().bucket(name).ownership_controls(controls).send().await;
            put.map(drop).map_err(|error| failed("s3:PutBucketOwnershipControls", name, error))
        }
        Step::PublicAccess => {
            let on = is_on("publicAccessBlock");
            let block = PublicAccessBlockConfiguration::builder()
                .block_public_acls(on)
                .ignore_public_acls(on)
                .block_public_policy(on)
                .restrict_public_buckets(on)
                .build();
            let put = s3
                .put_public_access_block()
                .bucket(name)
                .public_access_block_configuration(block)
                .send()
                .await;
            put.map(drop).map_err(|error| failed("s3:PutBucketPublicAccessBlock", name, error))
        }
        Step::Versioning => {
            let status = match is_on("versioning") {
                true => BucketVersioningStatus::Enabled,
                // It can be suspended, never taken away; a bucket that never had it needs no call.
                false if !versioned(call, name).await? => return Ok(()),
                false => BucketVersioningStatus::Suspended,
            };
            let versioning = VersioningConfiguration::builder().status(status).build();
            let put =
                s3.put_bucket_versioning().bucket(name).versioning_configuration(versioning).send().await;
            put.map(drop).map_err(|error| failed("s3:PutBucketVersioning", name, error))
        }
        Step::Encryption => {
            let algorithm = inputs.text_at("encryption.algorithm").unwrap_or("AES256");
            let by = ServerSideEncryptionByDefault::builder()
                .sse_algorithm(ServerSideEncryption::from(algorithm))
                .set_kms_master_key_id(inputs.text_at("encryption.keyId").map(str::to_owned));
            let rule = ServerSideEncryptionRule::builder()
                .apply_server_side_encryption_by_default(built(by.build())?)
                .set_bucket_key_enabled((algorithm == "aws:kms").then_some(true))
                .build();
            let configuration = built(ServerSideEncryptionConfiguration::builder().rules(rule).build())?;
            let put = s3
                .put_bucket_encryption()
                .bucket(name)
                .server_side_encryption_configuration(configuration)
                .send()
                .await;
            put.map(drop).map_err(|error| failed("s3:PutEncryptionConfiguration", name, error))
        }
        Step::Policy => match policy::whole(&arn(call, name), is_on("tlsOnly"), inputs.text_at("policy")) {
            Some(text) => {
                let put = s3.put_bucket_policy().bucket(name).policy(text).send().await;
                put.map(drop).map_err(|error| failed("s3:PutBucketPolicy", name, error))
            }
            None => {
                let gone = s3.delete_bucket_policy().bucket(name).send().await;
                gone.map(drop).map_err(|error| failed("s3:DeleteBucketPolicy", name, error))
            }
        },
        Step::ObjectLock => {
            let Some(days) = integer(inputs, "objectLock.days") else { return Ok(()) };
            let mode = inputs.text_at("objectLock.mode").unwrap_or("GOVERNANCE");
            let retention =
                DefaultRetention::builder().mode(ObjectLockRetentionMode::from(mode)).days(days).build();
            let lock = ObjectLockConfiguration::builder()
                .object_lock_enabled(ObjectLockEnabled::Enabled)
                .rule(ObjectLockRule::builder().default_retention(retention).build())
                .build();
            let put =
                s3.put_object_lock_configuration().bucket(name).object_lock_configuration(lock).send().await;
            put.map(drop).map_err(|error| failed("s3:PutBucketObjectLockConfiguration", name, error))
        }
        Step::Lifecycle => {
            let rules = inputs.get("lifecycle").and_then(Value::as_list).unwrap_or_default();
            if rules.is_empty() {
                let gone = s3.delete_bucket_lifecycle().bucket(name).send().await;
                return gone.map(drop).map_err(|error| failed("s3:PutLifecycleConfiguration", name, error));
            }
            let rules = rules.iter().map(lifecycle_rule).collect::<Result<Vec<_>>>()?;
            let configuration =
                built(BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build())?;
            let put = s3
                .put_bucket_lifecycle_configuration()
                .bucket(name)
                .lifecycle_configuration(configuration)
                .send()
                .await;
            put.map(drop).map_err(|error| failed("s3:PutLifecycleConfiguration", name, error))
        }
        Step::Replication => match inputs.get("replication") {
            Some(wanted) => {
                let put = s3
                    .put_bucket_replication()
                    .bucket(name)
                    .replication_configuration(replication(wanted)?)
                    .send()
                    .await;
                put.map(drop).map_err(|error| failed("s3:PutReplicationConfiguration", name, error))
            }
            None => {
                let gone = s3.delete_bucket_replication().bucket(name).send().await;
                match gone {
                    Err(error) if !is_missing(&error) => {
                        Err(failed("s3:PutReplicationConfiguration", name, error))
                    }
                    _ => Ok(()),
                }
            }
        },
    }
}

async fn versioned(call: &Call<'_>, name: &str) -> Result<bool> {
    let got = super::s3(call).get_bucket_versioning().bucket(name).send().await;
    Ok(versioning_of(name, got)?.is_some())
}

/// Whether versions are kept. Some stores answer under a name of their own for the whole, which the SDK does not take;
/// what they say inside is the same.
fn versioning_of<E>(
    name: &str,
    answer: std::result::Result<GetBucketVersioningOutput, SdkError<E, HttpResponse>>,
) -> Result<Option<BucketVersioningStatus>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let error = match answer {
        Ok(held) => return Ok(held.status().cloned()),
        Err(error) => error,
    };
    let raw = error.raw_response().filter(|raw| raw.status().is_success());
    let Some(text) = raw.and_then(|raw| std::str::from_utf8(raw.body().bytes()?).ok()) else {
        return Err(refused("s3:GetBucketVersioning", name, error));
    };
    let status = text.split_once("<Status>").and_then(|(_, rest)| rest.split_once('<'));
    Ok(status.map(|(status, _)| BucketVersioningStatus::from(status)))
}

fn lifecycle_rule(wanted: &Value) -> Result<LifecycleRule> {
    let days = |key: &str| integer(wanted, key);
    let rule = LifecycleRule::builder()
        .set_id(wanted.text_at("id").map(str::to_owned))
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(wanted.text_at("prefix").unwrap_or_default()).build())
        .set_expiration(days("expirationDays").map(|days| LifecycleExpiration::builder().days(days).build()))
        .set_noncurrent_version_expiration(
            days("noncurrentExpirationDays")
                .map(|days| NoncurrentVersionExpiration::builder().noncurrent_days(days).build()),
        )
        .set_abort_incomplete_multipart_upload(
            days("abortUploadsDays")
                .map(|days| AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build()),
        );
    built(rule.build())
}

fn lifecycle_value(rule: &LifecycleRule) -> Value {
    #[expect(deprecated, reason = "rules that others wrote may still use it")]
    let prefix =
        rule.filter().and_then(|filter| filter.prefix()).or_else(|| rule.prefix()).unwrap_or_default();
    let mut value =
        Value::from([("id", Value::from(rule.id().unwrap_or_default())), ("prefix", prefix.into())]);
    let mut set = |key: &str, days: Option<i32>| {
        if let Some(days) = days {
            value.set(&key.into(), i64::from(days).into());
        }
    };
    set("expirationDays", rule.expiration().and_then(LifecycleExpiration::days));
    set(
        "noncurrentExpirationDays",
        rule.noncurrent_version_expiration().and_then(NoncurrentVersionExpiration::noncurrent_days),
    );
    set(
        "abortUploadsDays",
        rule.abort_incomplete_multipart_upload()
            .and_then(AbortIncompleteMultipartUpload::days_after_initiation),
    );
    value
}

fn replication(wanted: &Value) -> Result<ReplicationConfiguration> {
    let destination = Destination::builder().bucket(wanted.text_at("destination").unwrap_or_default());
    let mut rule = ReplicationRule::builder()
        .id("plinth")
        .priority(1)
        .filter(ReplicationRuleFilter::builder().prefix("").build())
        .status(ReplicationRuleStatus::Enabled)
        .delete_marker_replication(
            DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Enabled).build(),
        );
    let destination = match wanted.text_at("keyId") {
        Some(key) => {
            let encrypted = built(
                SseKmsEncryptedObjects::builder().status(SseKmsEncryptedObjectsStatus::Enabled).build(),
            )?;
            rule = rule.source_selection_criteria(
                SourceSelectionCriteria::builder().sse_kms_encrypted_objects(encrypted).build(),
            );
            destination
                .encryption_configuration(EncryptionConfiguration::builder().replica_kms_key_id(key).build())
        }
        None => destination,
    };
    let rule = built(rule.destination(built(destination.build())?).build())?;
    built(
        ReplicationConfiguration::builder()
            .role(wanted.text_at("role").unwrap_or_default())
            .rules(rule)
            .build(),
    )
}

fn replication_value(held: &ReplicationConfiguration) -> Option<Value> {
    let destination = held.rules().first()?.destination()?;
    let mut value = Value::from([("role", held.role()), ("destination", destination.bucket())]);
    if let Some(key) =
        destination.encryption_configuration().and_then(EncryptionConfiguration::replica_kms_key_id)
    {
        value.set(&"keyId".into(), key.into());
    }
    Some(value)
}
