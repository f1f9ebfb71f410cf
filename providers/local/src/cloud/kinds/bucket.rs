//! `local:cloud/Bucket`: a bucket of objects, which is a directory of the place.

use std::collections::BTreeMap;
use std::time::Duration;

use plinth_provider::{Error, Kind, Path, Property, Result, Value};
use serde::Serialize;

use super::{Spec, default_region, made, same};
use crate::cloud::names;
use plinth_provider::fields::{ANY, Field, Shape, TAGS};

/// The inputs of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// The name; one made of stack and resource when left out.
    pub name: Option<String>,
    /// The region that holds it.
    pub location: Option<String>,
    /// Keeps earlier versions of objects; yes when left out.
    pub versioning: Option<bool>,
    /// Encryption at rest; with the cloud's own key when left out.
    pub encryption: Option<Encryption>,
    /// Refuses public access, whatever else is said; yes when left out.
    pub public_access_block: Option<bool>,
    /// Refuses requests without TLS; yes when left out.
    pub tls_only: Option<bool>,
    /// What happens to objects as they age.
    pub lifecycle: Vec<LifecycleRule>,
    /// Where every object is copied to.
    pub replication: Option<Replication>,
    /// Deletes the bucket with what it holds.
    pub force_destroy: bool,
    /// Tags.
    pub tags: BTreeMap<String, Property<String>>,
}

/// Encryption at rest.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// The id of the key; the cloud's own when left out.
    pub key: Option<Property<String>>,
}

/// What happens to objects as they age.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleRule {
    /// The rule's name, unique in the bucket.
    pub id: String,
    /// Only objects whose keys begin with this.
    pub prefix: Option<String>,
    /// Deletes objects after so many days.
    pub expiration_days: Option<u32>,
    /// Deletes earlier versions after so many days.
    pub noncurrent_expiration_days: Option<u32>,
    /// Drops unfinished uploads after so many days.
    pub abort_uploads_days: Option<u32>,
}

/// Where every object is copied to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replication {
    /// The other region.
    pub region: String,
    /// The bucket there; one that the cloud makes when left out.
    pub bucket: Option<Property<String>>,
}

impl Kind for Bucket {
    const KIND: &'static str = SPEC.name;
}

const DAYS: Shape = Shape::Integer(1, 36_500);

pub(super) const SPEC: Spec = Spec {
    name: "local:cloud/Bucket",
    collection: "buckets",
    noun: "bucket",
    fields: &[
        Field::required("name", Shape::Text(names::bucket)).immutable(),
        Field::default("location", Shape::Text(names::label), default_region).immutable(),
        Field::default("versioning", Shape::Boolean, || true.into()),
        Field::default("encryption", Shape::Object(&[Field::optional("key", ANY)]), Value::map),
        Field::default("publicAccessBlock", Shape::Boolean, || true.into()),
        Field::default("tlsOnly", Shape::Boolean, || true.into()),
        Field::optional(
            "lifecycle",
            Shape::List(&Shape::Object(&[
                Field::required("id", ANY),
                Field::optional("prefix", ANY),
                Field::optional("expirationDays", DAYS),
                Field::optional("noncurrentExpirationDays", DAYS),
                Field::optional("abortUploadsDays", DAYS),
            ])),
        ),
        Field::optional(
            "replication",
            Shape::Object(&[
                Field::required("region", Shape::Text(names::label)),
                Field::optional("bucket", ANY),
            ]),
        ),
        Field::default("forceDestroy", Shape::Boolean, || false.into()).at_delete(),
        Field::optional("tags", TAGS),
    ],
    max_name: 63,
    latency: Duration::from_millis(200),
    quota: 200,
    rules,
    outputs,
};

fn rules(inputs: &Value) -> Result<()> {
    if inputs.get("replication").is_some() && inputs.get("versioning") == Some(&Value::Bool(false)) {
        return Err(Error::invalid("`replication` needs `versioning: true`").at("versioning".into()));
    }
    let region = inputs.text_at("replication.region");
    if region.is_some() && region == inputs.text_at("location") {
        return Err(Error::invalid("`replication.region` is the region that the bucket is in")
            .at("replication.region".into())
            .help("copies protect against the loss of a region only from another one"));
    }
    let mut seen = Vec::new();
    for (at, rule) in inputs.get("lifecycle").and_then(Value::as_list).unwrap_or_default().iter().enumerate()
    {
        let place = Path::root().key("lifecycle").index(at);
        if let Some(id) = rule.text_at("id") {
            if seen.contains(&id) {
                return Err(Error::invalid(format!("two rules have the id `{id}`")).at(place.key("id")));
            }
            seen.push(id);
        }
        let acts = ["expirationDays", "noncurrentExpirationDays", "abortUploadsDays"];
        if !rule.has_unknown() && !acts.iter().any(|act| rule.get(act).is_some()) {
            return Err(Error::invalid("the rule does nothing")
                .at(place)
                .help(format!("give it one of {}", acts.join(", "))));
        }
    }
    Ok(())
}

fn outputs(inputs: &Value) -> Value {
    let id = made(inputs, ["location", "name"], |[location, name]| {
        format!("local:buckets:{location}:bucket/{name}").into()
    });
    Value::from([
        ("id", id.clone()),
        ("arn", id),
        ("name", same(inputs, "name")),
        ("location", same(inputs, "location")),
        ("region", same(inputs, "location")),
        (
            "endpoint",
            made(inputs, ["location"], |[location]| {
                format!("https://{location}.buckets.plinth.internal").into()
            }),
        ),
        ("url", made(inputs, ["name"], |[name]| format!("local://{name}").into())),
        ("status", "ACTIVE".into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::CloudKind;
    use plinth_provider::typed;

    fn bucket() -> Bucket {
        Bucket { name: Some("logs".to_owned()), ..Bucket::default() }
    }

    #[test]
    fn safe_by_default() {
        let inputs = CloudKind::Bucket.check(typed(&bucket()).unwrap()).unwrap();
        for on in ["versioning", "publicAccessBlock", "tlsOnly"] {
            assert_eq!(inputs.get(on), Some(&Value::Bool(true)), "{on}");
        }
        assert_eq!(inputs.get("forceDestroy"), Some(&Value::Bool(false)));
    }

    #[test]
    fn rules_between_inputs() {
        let refused =
            |bucket: Bucket| CloudKind::Bucket.check(typed(&bucket).unwrap()).unwrap_err().to_string();
        let replication = |region: &str| Some(Replication { region: region.to_owned(), bucket: None });
        let unversioned = Bucket { versioning: Some(false), replication: replication("local-2"), ..bucket() };
        assert!(refused(unversioned).contains("needs `versioning"));
        assert!(
            refused(Bucket { replication: replication("local-1"), ..bucket() })
                .contains("region that the bucket")
        );
        let idle = LifecycleRule { id: "old".to_owned(), ..LifecycleRule::default() };
        assert!(refused(Bucket { lifecycle: vec![idle], ..bucket() }).contains("does nothing"));
        assert!(refused(Bucket { name: Some("Logs".to_owned()), ..bucket() }).contains("`L` is not allowed"));
    }
}
