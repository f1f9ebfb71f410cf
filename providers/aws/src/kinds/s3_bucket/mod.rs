//! `aws:s3/Bucket`: a bucket with everything that makes it fit for production: ownership, public access block,
//! versioning, encryption, policy, lifecycle, replication, object lock, tags.
//!
//! Here: its inputs and the order of the calls. How each part is written and read is in `parts`; the policy that
//! refuses plain HTTP is in `policy`, and whose the name is in `namespace`.

mod namespace;
mod parts;
mod policy;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketNamespace, CreateBucketConfiguration, Delete, ObjectIdentifier,
};
use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{Applied, Class, Error, Lane, Live, Path, Recorded, Result, Value};

use super::{Call, Handler, Spec, There as Standing, text};
use crate::Settings;
use crate::error::{code, failed, is_missing, refused};
use crate::marks::{self, Owner};
use crate::wait::again;

/// The kind.
pub(crate) struct Bucket;

/// How long a bucket that was just made, or a name that was just given up, may be in dispute.
const SETTLING: Duration = Duration::from_secs(120);

const LIFECYCLE: Shape = Shape::Object(&[
    Field::required("id", ANY),
    Field::default("prefix", ANY, || "".into()),
    Field::optional("expirationDays", Shape::Integer(1, 36_500)),
    Field::optional("noncurrentExpirationDays", Shape::Integer(1, 36_500)),
    Field::optional("abortUploadsDays", Shape::Integer(1, 36_500)),
]);

const SPEC: Spec = Spec {
    name: "aws:s3/Bucket",
    fields: &[
        Field::required("name", Shape::Text(bucket_name)).immutable(),
        // Another region than the stack's.
        Field::optional("region", ANY).immutable(),
        Field::optional(namespace::KEY, namespace::SPACES).immutable(),
        Field::default("versioning", Shape::Boolean, || true.into()),
        Field::default(
            "encryption",
            Shape::Object(&[
                Field::default("algorithm", Shape::Choice(&["AES256", "aws:kms"]), || "AES256".into()),
                Field::optional("keyId", ANY),
            ]),
            || Value::from([("algorithm", "AES256")]),
        ),
        Field::default("publicAccessBlock", Shape::Boolean, || true.into()),
        Field::default(
            "ownership",
            Shape::Choice(&["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]),
            || "BucketOwnerEnforced".into(),
        ),
        Field::default("tlsOnly", Shape::Boolean, || true.into()),
        // Further statements, as a policy document.
        Field::optional("policy", Shape::Text(super::iam_role::policy)),
        Field::default("lifecycle", Shape::Set(&LIFECYCLE), || Value::List(Vec::new())),
        Field::optional(
            "replication",
            Shape::Object(&[
                Field::required("role", Shape::Text(super::iam_role::arn)),
                Field::required("destination", Shape::Text(super::iam_role::arn)),
                Field::optional("keyId", ANY),
            ]),
        ),
        Field::optional(
            "objectLock",
            Shape::Object(&[
                Field::default("mode", Shape::Choice(&["GOVERNANCE", "COMPLIANCE"]), || "GOVERNANCE".into()),
                Field::required("days", Shape::Integer(1, 36_500)),
            ]),
        ),
        // Whether a delete removes the objects as well.
        Field::default("forceDestroy", Shape::Boolean, || false.into()).at_delete(),
        Field::optional("tags", TAGS),
    ],
    longest_name: Some(63),
    delete_before_replace: true,
    usual: Duration::from_secs(3),
    timeout: Duration::from_secs(900),
    computed: &[],
};

fn bucket_name(name: &str) -> std::result::Result<(), String> {
    let letters = name
        .chars()
        .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || ".-".contains(letter));
    let ends = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    let reserved = name.starts_with("xn--") || name.ends_with("-s3alias") || name.contains("..");
    let address = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    ((3..=63).contains(&name.len())
        && letters
        && ends(name.chars().next())
        && ends(name.chars().last())
        && !reserved
        && !address)
        .then_some(())
        .ok_or_else(|| {
            "a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens, and is no address"
                .to_owned()
        })
}

/// Where the bucket is.
fn region<'a>(call: &Call<'a>) -> &'a str {
    call.inputs.text_at("region").unwrap_or_else(|| call.aws.region())
}

fn s3(call: &Call<'_>) -> Client {
    call.aws.s3_in(call.inputs.text_at("region"))
}

fn outputs(call: &Call<'_>, name: &str) -> Value {
    let (partition, region) = (&call.aws.identity.partition, region(call));
    let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Value::from([
        ("name", Value::from(name)),
        ("arn", format!("arn:{partition}:s3:::{name}").into()),
        ("region", region.into()),
        ("endpoint", format!("s3.{region}.{domain}").into()),
    ])
}

/// Whose a bucket is, and where it stands, before anything is done to it.
enum There {
    /// Nobody has the name.
    Free,
    /// It is this account's.
    Mine,
}

async fn there(call: &Call<'_>, name: &str) -> Result<There> {
    let head = s3(call).head_bucket().bucket(name).expected_bucket_owner(&call.aws.identity.account);
    match head.send().await {
        Ok(_) => Ok(There::Mine),
        Err(error) if is_missing(&error) => Ok(There::Free),
        Err(error) => {
            let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
            match status {
                403 => Err(Error::new(
                    Class::AlreadyExists,
                    format!("the bucket name {name} is taken by another account, or s3:ListBucket is not allowed on it"),
                )
                .help("bucket names are one space for everybody: choose another name (storage.buckets.prefix)")),
                301 => Err(Error::new(
                    Class::AlreadyExists,
                    format!("the bucket {name} exists in another region"),
                )
                .help("choose another name, or use that region")),
                _ => Err(refused("s3:ListBucket", name, error)),
            }
        }
    }
}

#[async_trait]
impl Handler for Bucket {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn documents(&self) -> &'static [&'static str] {
        &["policy"]
    }

    fn suffix(&self, inputs: &Value, settings: &Settings) -> Result<String> {
        namespace::suffix(inputs, settings)
    }

    fn comparable(&self, inputs: &Value) -> Value {
        let mut inputs = inputs.clone();
        // What it is without a word.
        if !namespace::is_own(&inputs) {
            inputs.remove(&namespace::KEY.into());
        }
        inputs
    }

    fn rules(&self, inputs: &Value, settings: &Settings) -> Result<()> {
        namespace::rules(inputs, settings)?;
        let unversioned = inputs.get("versioning") == Some(&Value::Bool(false));
        match ["replication", "objectLock"].into_iter().find(|part| inputs.get(part).is_some()) {
            Some(part) if unversioned => {
                Err(Error::invalid(format!("`{part}` needs `versioning`")).at("versioning".into()))
            }
            _ => Ok(()),
        }
    }

    fn lanes(&self, inputs: &Value) -> Vec<Lane> {
        let name = inputs.text_at("name");
        name.map(|name| Lane { key: format!("s3/{name}"), exclusive: true }).into_iter().collect()
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let name = text(call.inputs, "name")?;
        // us-east-1 answers 200 to whoever makes his own bucket again: so it is asked first whose the name is.
        if let There::Mine = there(call, name).await? {
            let tags = parts::tags(call, name).await?;
            if marks::owner(call.urn, &tags) == Owner::Others && !is_unfinished(call, name, &tags).await? {
                return Err(marks::taken(&format!("the bucket {name}"), &tags));
            }
        }
        let region = region(call);
        // Tagged from the first moment on, so that a create whose reply is lost is known for ours.
        let configuration = CreateBucketConfiguration::builder()
            .set_location_constraint((region != "us-east-1").then(|| BucketLocationConstraint::from(region)))
            .set_tags(Some(parts::tag_list(&marks::tags(call.urn, call.inputs))?))
            .build();
        let locked = call.inputs.get("objectLock").is_some();
        let space = namespace::is_own(call.inputs).then_some(BucketNamespace::AccountRegional);
        let make = || async {
            let made = s3(call)
                .create_bucket()
                .bucket(name)
                .create_bucket_configuration(configuration.clone())
                .set_bucket_namespace(space.clone())
                .set_object_lock_enabled_for_bucket(locked.then_some(true))
                .send()
                .await;
            match made {
                Ok(_) => Ok(()),
                Err(error) if code(&error) == "BucketAlreadyOwnedByYou" => Ok(()),
                Err(error) => Err(failed("s3:CreateBucket", name, error)),
            }
        };
        // A name given up a moment ago stays in dispute for a while.
        again(call.context, SETTLING, |error| error.class == Class::Conflict, make).await?;
        parts::settle(call, name, None).await?;
        Ok(Applied { id: name.to_owned(), outputs: outputs(call, name) })
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        let name = call.inputs.text_at("name").unwrap_or(id);
        match there(call, name).await {
            Ok(There::Mine) => {}
            Ok(There::Free) => return Ok(None),
            Err(error) => return Err(error),
        }
        let (inputs, _) = parts::read(call, name).await?;
        Ok(Some(Live {
            id: name.to_owned(),
            outputs: outputs(call, name),
            inputs,
            details: serde_json::Value::Null,
        }))
    }

    async fn update(&self, call: &Call<'_>, _recorded: &Recorded) -> Result<Applied> {
        let name = text(call.inputs, "name")?;
        let (live, _) = parts::read(call, name).await?;
        parts::settle(call, name, Some(&live)).await?;
        Ok(Applied { id: name.to_owned(), outputs: outputs(call, name) })
    }

    fn may_refuse_to_go(&self) -> bool {
        true
    }

    async fn refuses_to_go(&self, call: &Call<'_>, _id: &str, _going: &[&Recorded]) -> Result<()> {
        let name = text(call.inputs, "name")?;
        let emptied = call.inputs.get("forceDestroy") == Some(&Value::Bool(true));
        match there(call, name).await? {
            There::Mine if !emptied && !is_empty(call, name).await? => Err(not_empty(name)),
            _ => Ok(()),
        }
    }

    async fn delete(&self, call: &Call<'_>, recorded: &Recorded) -> Result<()> {
        let name = text(call.inputs, "name")?;
        if let There::Free = there(call, name).await? {
            return Ok(());
        }
        if recorded.inputs.get("forceDestroy") == Some(&Value::Bool(true)) {
            empty(call, name).await?;
        }
        match s3(call).delete_bucket().bucket(name).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) if code(&error) == "BucketNotEmpty" => Err(not_empty(name)),
            Err(error) => Err(failed("s3:DeleteBucket", name, error)),
        }
    }

    async fn there(&self, call: &Call<'_>) -> Result<Option<Standing>> {
        let name = text(call.inputs, "name")?;
        // A name that another account has is refused here, before anything is done.
        if let There::Free = there(call, name).await? {
            return Ok(None);
        }
        let (inputs, tags) = parts::read(call, name).await?;
        let live = Live {
            id: name.to_owned(),
            outputs: outputs(call, name),
            inputs,
            details: serde_json::Value::Null,
        };
        Ok(Some(Standing { live, tags }))
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let name = text(call.inputs, "name")?;
        match there(call, name).await {
            Ok(There::Mine) => {}
            Ok(There::Free) => return Ok(None),
            Err(error) if error.class == Class::AlreadyExists => return Ok(None),
            Err(error) => return Err(error),
        }
        let (inputs, tags) = parts::read(call, name).await?;
        let ours = marks::owner(call.urn, &tags) == Owner::Ours || is_unfinished(call, name, &tags).await?;
        Ok(ours.then(|| Live {
            id: name.to_owned(),
            outputs: outputs(call, name),
            inputs,
            details: serde_json::Value::Null,
        }))
    }
}

/// Whether a bucket without tags can only be what an earlier try of this very step has made: in a store that does not
/// take tags with a create, a crash may come between the two. It is not older than the step's intent, in this account,
/// under the name that the intent says, and nothing was put into it.
async fn is_unfinished(call: &Call<'_>, name: &str, tags: &Tags) -> Result<bool> {
    let Some(intended) = call.context.intended_at().filter(|_| tags.is_empty()) else { return Ok(false) };
    let listed = s3(call).list_buckets().prefix(name).send().await;
    let listed = listed.map_err(|error| refused("s3:ListAllMyBuckets", "the account", error))?;
    let bucket = listed.buckets().iter().find(|bucket| bucket.name() == Some(name));
    let Some(created) = bucket.and_then(|bucket| bucket.creation_date()) else { return Ok(false) };
    // Stores keep whole seconds.
    if created.secs() < intended.as_second() {
        return Ok(false);
    }
    is_empty(call, name).await
}

/// Whether nothing is in it, no earlier version either.
async fn is_empty(call: &Call<'_>, name: &str) -> Result<bool> {
    let versions = s3(call).list_object_versions().bucket(name).max_keys(1).send().await;
    let versions = versions.map_err(|error| refused("s3:ListBucketVersions", name, error))?;
    Ok(versions.versions().is_empty() && versions.delete_markers().is_empty())
}

fn not_empty(name: &str) -> Error {
    Error::invalid(format!("the bucket {name} is not empty")).at(Path::parse("forceDestroy")).help(
        "set `forceDestroy: true` to remove its objects with it (apply that first), or empty it by hand",
    )
}

/// Removes every object, every version and every delete marker.
async fn empty(call: &Call<'_>, name: &str) -> Result<()> {
    let s3 = &s3(call);
    loop {
        let page = s3
            .list_object_versions()
            .bucket(name)
            .max_keys(1000)
            .send()
            .await
            .map_err(|error| refused("s3:ListBucketVersions", name, error))?;
        let versions = page.versions().iter().map(|version| (version.key(), version.version_id()));
        let markers = page.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
        let mut objects = Vec::new();
        for (key, version) in versions.chain(markers) {
            let Some(key) = key else { continue };
            let object =
                ObjectIdentifier::builder().key(key).set_version_id(version.map(str::to_owned)).build();
            objects.push(object.map_err(|error| Error::invalid(error.to_string()))?);
        }
        if objects.is_empty() {
            return Ok(());
        }
        call.context
            .reporter
            .waiting(&format!("emptying the bucket {name}: {} objects at once", objects.len()));
        if call.context.cancel.is_cancelled() {
            return Err(Error::new(Class::Cancelled, "interrupted"));
        }
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = delete.map_err(|error| Error::invalid(error.to_string()))?;
        let answer = s3
            .delete_objects()
            .bucket(name)
            .delete(delete)
            .send()
            .await
            .map_err(|error| failed("s3:DeleteObjectVersion", name, error))?;
        if let Some(error) = answer.errors().first() {
            let what = error.message().unwrap_or("AWS does not say why");
            return Err(Error::invalid(format!(
                "{} cannot be removed from {name}: {what}",
                error.key().unwrap_or("an object")
            )));
        }
    }
}

/// The tags as the map that `marks` works with.
type Tags = BTreeMap<String, String>;
