//! `aws:kms/Key`: a symmetric key. Keys have no names: the ownership tag is what one is found by, also when it waits for
//! its deletion.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_sdk_kms::config::Builder;
use aws_sdk_kms::types::{KeyMetadata, KeyState, Tag};
use futures::StreamExt;
use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{Applied, Class, Error, Live, Path, Recorded, Result, Value};
use serde_json::json;

use super::{Call, Handler, Spec, integer, is_on};
use crate::document;
use crate::error::{code, failed, is_missing, message, refused};
use crate::marks::{self, Owner};
use crate::wait::again;

/// The kind.
pub(crate) struct Key;

/// The only name that a key's policy can have.
const POLICY: &str = "default";
/// The statement without which nobody could ever manage the key again.
const ROOT: &str = "PlinthAccountRoot";
/// How long KMS may not know a principal that IAM made a moment ago.
const PROPAGATION: Duration = Duration::from_secs(120);
/// How many keys' tags are read at once.
const LOOKS_AT_ONCE: usize = 8;

const SPEC: Spec = Spec {
    name: "aws:kms/Key",
    fields: &[
        Field::default("description", ANY, || "".into()),
        Field::default("enabled", Shape::Boolean, || true.into()),
        Field::default("rotation", Shape::Boolean, || true.into()),
        Field::default("rotationDays", Shape::Integer(90, 2560), || 365.into()),
        Field::default("multiRegion", Shape::Boolean, || false.into()).immutable(),
        // The account's own administrators always keep access.
        Field::default("accountAccess", Shape::Boolean, || true.into()),
        // Further statements, as a policy document.
        Field::optional("policy", Shape::Text(super::iam_role::policy)),
        // How long a deleted key can be taken back.
        Field::default("deletionWindowDays", Shape::Integer(7, 30), || 30.into()),
        Field::optional("tags", TAGS),
    ],
    longest_name: None,
    delete_before_replace: false,
    usual: Duration::from_secs(3),
    timeout: Duration::from_secs(300),
    computed: &[],
};

type Tags = BTreeMap<String, String>;

fn tag_list(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter()
        .map(|(key, value)| {
            let tag = Tag::builder().tag_key(key).tag_value(value).build();
            tag.map_err(|error| Error::invalid(error.to_string()))
        })
        .collect()
}

async fn tags(call: &Call<'_>, id: &str) -> Result<Option<Tags>> {
    let mut found = Tags::new();
    let mut pages = call.aws.kms.list_resource_tags().key_id(id).into_paginator().items().send();
    while let Some(tag) = pages.next().await {
        match tag {
            Ok(tag) => {
                found.insert(tag.tag_key().to_owned(), tag.tag_value().to_owned());
            }
            Err(error) if is_missing(&error) => return Ok(None),
            // Keys of AWS's own services do not show their tags.
            Err(error) if code(&error) == "AccessDeniedException" => return Ok(None),
            Err(error) => return Err(refused("kms:ListResourceTags", id, error)),
        }
    }
    Ok(Some(found))
}

async fn described(call: &Call<'_>, id: &str) -> Result<Option<KeyMetadata>> {
    match call.aws.kms.describe_key().key_id(id).send().await {
        Ok(got) => Ok(got.key_metadata().cloned()),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refused("kms:DescribeKey", id, error)),
    }
}

fn is_going(key: &KeyMetadata) -> bool {
    matches!(key.key_state(), Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion))
}

/// Every key of the account that carries this resource's tag; without names there is no shorter way.
async fn ours(call: &Call<'_>) -> Result<Vec<KeyMetadata>> {
    let mut ids = Vec::new();
    let mut pages = call.aws.kms.list_keys().into_paginator().items().send();
    while let Some(key) = pages.next().await {
        let key = key.map_err(|error| refused("kms:ListKeys", "the account", error))?;
        ids.extend(key.key_id().map(str::to_owned));
    }
    let tagged: Vec<Result<Option<String>>> = futures::stream::iter(ids)
        .map(|id| async move {
            let tags = tags(call, &id).await?;
            Ok(tags.filter(|tags| marks::owner(call.urn, tags) == Owner::Ours).map(|_| id))
        })
        .buffer_unordered(LOOKS_AT_ONCE)
        .collect()
        .await;
    let mut found = Vec::new();
    for id in tagged {
        if let Some(key) = match id? {
            Some(id) => described(call, &id).await?,
            None => None,
        } {
            found.push(key);
        }
    }
    // One that lives before one that goes, the youngest first.
    found.sort_by_key(|key| (is_going(key), key.creation_date().map(|at| -at.secs())));
    Ok(found)
}

/// The key's policy as it is to be.
fn whole(call: &Call<'_>) -> String {
    let mut document = json!({ "Version": "2012-10-17" });
    let mut statements = vec![root(call)];
    let own = call.inputs.text_at("policy").and_then(|text| serde_json::from_str(text).ok());
    if let Some(serde_json::Value::Object(own)) = own {
        for (key, value) in own {
            match (key.as_str(), value) {
                ("Statement", serde_json::Value::Array(list)) => statements.extend(list),
                ("Statement", one) => statements.push(one),
                (_, value) => document[key] = value,
            }
        }
    }
    document["Statement"] = serde_json::Value::Array(statements);
    document.to_string()
}

fn root(call: &Call<'_>) -> serde_json::Value {
    let identity = &call.aws.identity;
    json!({
        "Sid": ROOT,
        "Effect": "Allow",
        "Principal": { "AWS": format!("arn:{}:iam::{}:root", identity.partition, identity.account) },
        "Action": "kms:*",
        "Resource": "*",
    })
}

/// Whether the policy that is there has our statement, and the rest of it.
fn split(call: &Call<'_>, text: &str) -> (bool, Option<String>) {
    let Ok(serde_json::Value::Object(mut document)) = serde_json::from_str(text) else {
        return (false, Some(text.to_owned()));
    };
    let statements = match document.remove("Statement") {
        Some(serde_json::Value::Array(list)) => list,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let wanted = root(call).to_string();
    let (root, rest): (Vec<_>, Vec<_>) =
        statements.into_iter().partition(|statement| document::same(&statement.to_string(), &wanted));
    let rest = (!rest.is_empty()).then(|| {
        document.insert("Statement".to_owned(), serde_json::Value::Array(rest));
        serde_json::Value::Object(document).to_string()
    });
    (!root.is_empty(), rest)
}

fn outputs(key: &KeyMetadata) -> Value {
    Value::from([("id", key.key_id()), ("arn", key.arn().unwrap_or_default())])
}

async fn live(call: &Call<'_>, key: &KeyMetadata) -> Result<Option<(Live, Tags)>> {
    let kms = &call.aws.kms;
    let id = key.key_id();
    let (policy, rotation, tags) = tokio::join!(
        kms.get_key_policy().key_id(id).policy_name(POLICY).send(),
        kms.get_key_rotation_status().key_id(id).send(),
        tags(call, id),
    );
    let policy = policy.map_err(|error| refused("kms:GetKeyPolicy", id, error))?;
    let rotation = rotation.map_err(|error| refused("kms:GetKeyRotationStatus", id, error))?;
    let Some(tags) = tags? else { return Ok(None) };
    let (account, rest) = split(call, policy.policy().unwrap_or_default());
    let asked =
        |name: &str, otherwise: i64| call.inputs.get(name).cloned().unwrap_or_else(|| otherwise.into());
    let mut inputs = Value::from([
        ("description", Value::from(key.description().unwrap_or_default())),
        ("enabled", (key.key_state() == Some(&KeyState::Enabled)).into()),
        ("rotation", rotation.key_rotation_enabled().into()),
        (
            "rotationDays",
            rotation
                .rotation_period_in_days()
                .filter(|_| rotation.key_rotation_enabled())
                .map_or_else(|| asked("rotationDays", 365), |days| i64::from(days).into()),
        ),
        ("multiRegion", key.multi_region().unwrap_or_default().into()),
        ("accountAccess", account.into()),
        ("deletionWindowDays", asked("deletionWindowDays", 30)),
    ]);
    if let Some(rest) = rest {
        inputs.set(&"policy".into(), document::as_asked(call.inputs.text_at("policy"), &rest).into());
    }
    if call.inputs.get("tags").is_some() {
        inputs.set(&"tags".into(), marks::foreign(tags.clone()));
    }
    let live = Live { id: id.to_owned(), outputs: outputs(key), inputs, details: serde_json::Value::Null };
    Ok(Some((live, tags)))
}

/// Brings a key that exists to the inputs.
async fn settle(call: &Call<'_>, key: &KeyMetadata) -> Result<Applied> {
    let kms = &call.aws.kms;
    let id = key.key_id();
    let applied = Applied { id: id.to_owned(), outputs: outputs(key) };
    let wanted_on = is_on(call.inputs, "enabled");
    // A key that is switched off takes few other changes; and one taken back from its deletion is switched off.
    if wanted_on && key.key_state() != Some(&KeyState::Enabled) {
        let enabled = kms.enable_key().key_id(id).send().await;
        enabled.map_err(|error| failed("kms:EnableKey", id, error))?;
    }
    let Some((there, tags)) = live(call, key).await? else {
        return Err(Error::new(Class::NotFound, format!("the key {id} is gone")));
    };
    let differs = |name: &str| call.inputs.get(name) != there.inputs.get(name);
    if differs("description") {
        kms.update_key_description()
            .key_id(id)
            .description(call.inputs.text_at("description").unwrap_or_default())
            .send()
            .await
            .map_err(|error| failed("kms:UpdateKeyDescription", id, error))?;
    }
    if differs("policy") || differs("accountAccess") {
        put_policy(call, id).await?;
    }
    let rotates = is_on(call.inputs, "rotation");
    if rotates && (differs("rotation") || differs("rotationDays")) {
        kms.enable_key_rotation()
            .key_id(id)
            .set_rotation_period_in_days(integer(call.inputs, "rotationDays"))
            .send()
            .await
            .map_err(|error| failed("kms:EnableKeyRotation", id, error))?;
    } else if !rotates && differs("rotation") {
        let off = kms.disable_key_rotation().key_id(id).send().await;
        off.map_err(|error| failed("kms:DisableKeyRotation", id, error))?;
    }
    let put = async |set| {
        let put = kms.tag_resource().key_id(id).set_tags(Some(tag_list(&set)?)).send().await;
        put.map(drop).map_err(|error| failed("kms:TagResource", id, error))
    };
    let remove = async |gone| {
        let removed = kms.untag_resource().key_id(id).set_tag_keys(Some(gone)).send().await;
        removed.map(drop).map_err(|error| failed("kms:UntagResource", id, error))
    };
    marks::settle(call, &tags, put, remove).await?;
    if !wanted_on && key.key_state() == Some(&KeyState::Enabled) {
        let disabled = kms.disable_key().key_id(id).send().await;
        disabled.map_err(|error| failed("kms:DisableKey", id, error))?;
    }
    Ok(applied)
}

/// A policy may name a principal that was made a moment ago.
fn unknown_principal(error: &Error) -> bool {
    error.message.contains("MalformedPolicyDocument") && error.message.contains("principal")
}

async fn put_policy(call: &Call<'_>, id: &str) -> Result<()> {
    let text = whole(call);
    let put = || async {
        let put = call.aws.kms.put_key_policy().key_id(id).policy_name(POLICY).policy(&text).send().await;
        put.map(drop).map_err(|error| failed("kms:PutKeyPolicy", id, error))
    };
    again(call.context, PROPAGATION, unknown_principal, put).await
}

/// A cluster whose secrets are encrypted with this key is lost without it. Those that `go` first need it no more.
async fn guard(call: &Call<'_>, key: &KeyMetadata, goes: impl Fn(&str) -> bool) -> Result<()> {
    let mut pages = call.aws.eks.list_clusters().into_paginator().items().send();
    while let Some(name) = pages.next().await {
        let name = match name {
            Ok(name) => name,
            // Who may not look cannot be told; the key can be taken back for days.
            Err(error) => {
                let error = refused("eks:ListClusters", "the account", error);
                call.context.reporter.warning(&format!(
                    "it is not known whether a cluster still needs the key {}: {}",
                    key.key_id(),
                    error.message
                ));
                return Ok(());
            }
        };
        if goes(&name) {
            continue;
        }
        let Ok(cluster) = call.aws.eks.describe_cluster().name(&name).send().await else { continue };
        let configs = cluster.cluster().map(|cluster| cluster.encryption_config()).unwrap_or_default();
        let named = configs
            .iter()
            .filter_map(|config| config.provider()?.key_arn())
            .any(|arn| Some(arn) == key.arn() || arn.ends_with(&format!("/{}", key.key_id())));
        if named {
            return Err(Error::invalid(format!(
                "the key {} encrypts the secrets of the cluster {name}, which could never be read again without it",
                key.key_id()
            ))
            .help("delete the cluster first, or keep the key with `retainOnDelete`"));
        }
    }
    Ok(())
}

#[async_trait]
impl Handler for Key {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn documents(&self) -> &'static [&'static str] {
        &["policy"]
    }

    fn rules(&self, inputs: &Value, _settings: &crate::Settings) -> Result<()> {
        if inputs.get("accountAccess") == Some(&Value::Bool(false)) {
            return Err(Error::invalid(
                "`accountAccess` cannot be false: nobody could ever manage the key again",
            )
            .at(Path::parse("accountAccess")));
        }
        Ok(())
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        // Two keys are as good as one to KMS: so it is looked first whether an earlier try made it, or whether it waits
        // for its deletion. The instance that a replacement replaces is not it.
        let found = ours(call).await?;
        let old = call.context.beside.as_deref();
        if let Some(key) = found.into_iter().find(|key| old != Some(key.key_id())) {
            if is_going(&key) {
                let id = key.key_id();
                let cancelled = call.aws.kms.cancel_key_deletion().key_id(id).send().await;
                cancelled.map_err(|error| failed("kms:CancelKeyDeletion", id, error))?;
                call.context.reporter.warning(&format!("the key {id} was to be deleted and is taken back"));
            }
            let key = described(call, key.key_id()).await?.unwrap_or(key);
            return settle(call, &key).await;
        }
        let text = whole(call);
        let make = || async {
            call.aws
                .kms
                .create_key()
                .description(call.inputs.text_at("description").unwrap_or_default())
                .multi_region(is_on(call.inputs, "multiRegion"))
                .policy(&text)
                .set_tags(Some(tag_list(&marks::tags(call.urn, call.inputs))?))
                .customize()
                // Tried again after a lost answer, it would make a second key: it is looked first, by the next try.
                .config_override(Builder::new().retry_config(RetryConfig::disabled()))
                .send()
                .await
                .map_err(|error| failed("kms:CreateKey", call.urn.name(), error))
        };
        let made = again(call.context, PROPAGATION, unknown_principal, make).await?;
        let Some(key) = made.key_metadata() else {
            return Err(Error::new(Class::UnknownOutcome, "kms:CreateKey gave no key"));
        };
        settle(call, key).await
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        match described(call, id).await? {
            Some(key) if !is_going(&key) => Ok(live(call, &key).await?.map(|(live, _)| live)),
            _ => Ok(None),
        }
    }

    async fn update(&self, call: &Call<'_>, recorded: &Recorded) -> Result<Applied> {
        match described(call, &recorded.id).await? {
            Some(key) if !is_going(&key) => settle(call, &key).await,
            _ => Err(Error::new(Class::NotFound, format!("the key {} is gone", recorded.id))),
        }
    }

    fn may_refuse_to_go(&self) -> bool {
        true
    }

    async fn refuses_to_go(&self, call: &Call<'_>, id: &str, going: &[&Recorded]) -> Result<()> {
        let Some(key) = described(call, id).await?.filter(|key| !is_going(key)) else { return Ok(()) };
        let goes = |name: &str| {
            let clusters = going.iter().filter(|going| going.urn.kind() == "aws:eks/Cluster");
            clusters.filter_map(|going| going.inputs.text_at("name")).any(|cluster| cluster == name)
        };
        guard(call, &key, goes).await
    }

    async fn delete(&self, call: &Call<'_>, recorded: &Recorded) -> Result<()> {
        let kms = &call.aws.kms;
        let id = &recorded.id;
        let Some(key) = described(call, id).await?.filter(|key| !is_going(key)) else { return Ok(()) };
        guard(call, &key, |_| false).await?;
        // Aliases would keep their names from being used again until the key is really gone.
        let mut aliases = kms.list_aliases().key_id(id).into_paginator().items().send();
        while let Some(alias) = aliases.next().await {
            let alias = alias.map_err(|error| refused("kms:ListAliases", id, error))?;
            let Some(name) = alias.alias_name() else { continue };
            match kms.delete_alias().alias_name(name).send().await {
                Err(error) if !is_missing(&error) => return Err(failed("kms:DeleteAlias", name, error)),
                _ => {}
            }
        }
        let days = integer(&recorded.inputs, "deletionWindowDays").unwrap_or(30);
        match kms.schedule_key_deletion().key_id(id).pending_window_in_days(days).send().await {
            Ok(_) => {
                call.context.reporter.warning(&format!(
                    "the key {id} can be taken back for {days} days, by an apply of the same stack"
                ));
                Ok(())
            }
            Err(error) if is_missing(&error) => Ok(()),
            Err(error)
                if code(&error) == "KMSInvalidStateException" && message(&error).contains("pending") =>
            {
                Ok(())
            }
            Err(error) => Err(failed("kms:ScheduleKeyDeletion", id, error)),
        }
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let old = call.context.beside.as_deref();
        let key = ours(call).await?.into_iter().find(|key| !is_going(key) && old != Some(key.key_id()));
        match key {
            Some(key) => Ok(live(call, &key).await?.map(|(live, _)| live)),
            None => Ok(None),
        }
    }
}
