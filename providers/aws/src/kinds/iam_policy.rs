//! `aws:iam/Policy`: a policy of the account's own, for several roles to share.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{Applied, Class, Error, Live, Recorded, Result, Value};

use super::iam_role::{PROPAGATION, policy, role_path, tag_list, tag_map};
use super::{Call, Handler, Spec, There, text};
use crate::document;
use crate::error::{failed, is_missing, refused};
use crate::marks::{self, Owner};
use crate::wait::again;

/// The kind.
pub(crate) struct Policy;

/// How many versions IAM keeps of one policy.
const VERSIONS: usize = 5;

const SPEC: Spec = Spec {
    name: "aws:iam/Policy",
    fields: &[
        Field::required("name", Shape::Text(name)).immutable(),
        Field::default("path", Shape::Text(role_path), || "/".into()).immutable(),
        Field::default("description", ANY, || "".into()).immutable(),
        Field::required("document", Shape::Text(policy)),
        Field::optional("tags", TAGS),
    ],
    longest_name: Some(128),
    delete_before_replace: true,
    usual: Duration::from_secs(2),
    timeout: Duration::from_secs(300),
    computed: &[],
};

fn name(name: &str) -> std::result::Result<(), String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "+=,.@_-".contains(letter);
    ((1..=128).contains(&name.len()) && name.chars().all(fits))
        .then_some(())
        .ok_or_else(|| "a policy's name has 1 to 128 letters, digits and +=,.@_-".to_owned())
}

/// The name that IAM gives it.
fn arn(call: &Call<'_>) -> Result<String> {
    let identity = &call.aws.identity;
    let (path, name) = (call.inputs.text_at("path").unwrap_or("/"), text(call.inputs, "name")?);
    Ok(format!("arn:{}:iam::{}:policy{path}{name}", identity.partition, identity.account))
}

fn outputs(arn: &str, name: &str) -> Value {
    Value::from([("arn", arn), ("name", name)])
}

async fn live(call: &Call<'_>, arn: &str) -> Result<Option<(Live, BTreeMap<String, String>)>> {
    let iam = &call.aws.iam;
    let got = match iam.get_policy().policy_arn(arn).send().await {
        Ok(got) => got,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(refused("iam:GetPolicy", arn, error)),
    };
    let Some(policy) = got.policy() else { return Ok(None) };
    let version = policy.default_version_id().unwrap_or("v1");
    let held = match iam.get_policy_version().policy_arn(arn).version_id(version).send().await {
        Ok(held) => held,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(refused("iam:GetPolicyVersion", arn, error)),
    };
    let document = held.policy_version().and_then(|held| held.document()).unwrap_or_default();
    let tags = tag_map(policy.tags());
    let name = policy.policy_name().unwrap_or_default();
    let mut inputs = Value::from([
        ("name", Value::from(name)),
        ("path", policy.path().unwrap_or("/").into()),
        ("description", policy.description().unwrap_or_default().into()),
        ("document", document::as_asked(call.inputs.text_at("document"), document).into()),
    ]);
    if call.inputs.get("tags").is_some() {
        inputs.set(&"tags".into(), marks::foreign(tags.clone()));
    }
    let live =
        Live { id: arn.to_owned(), outputs: outputs(arn, name), inputs, details: serde_json::Value::Null };
    Ok(Some((live, tags)))
}

/// The versions that are not in force, the oldest first.
async fn spare(call: &Call<'_>, arn: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = call.aws.iam.list_policy_versions().policy_arn(arn).into_paginator().items().send();
    while let Some(version) = pages.next().await {
        let version = version.map_err(|error| refused("iam:ListPolicyVersions", arn, error))?;
        if let Some(id) = version.version_id().filter(|_| !version.is_default_version()) {
            let number: u64 = id.trim_start_matches('v').parse().unwrap_or_default();
            found.push((number, id.to_owned()));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

async fn drop_version(call: &Call<'_>, arn: &str, version: &str) -> Result<()> {
    match call.aws.iam.delete_policy_version().policy_arn(arn).version_id(version).send().await {
        Err(error) if !is_missing(&error) => Err(failed("iam:DeletePolicyVersion", arn, error)),
        _ => Ok(()),
    }
}

/// Who the policy is attached to.
async fn users(call: &Call<'_>, arn: &str) -> Result<Vec<String>> {
    let got = call.aws.iam.list_entities_for_policy().policy_arn(arn).send().await;
    let got = got.map_err(|error| refused("iam:ListEntitiesForPolicy", arn, error))?;
    let roles = got.policy_roles().iter().filter_map(|role| role.role_name());
    let groups = got.policy_groups().iter().filter_map(|group| group.group_name());
    let users = got.policy_users().iter().filter_map(|user| user.user_name());
    let all = roles
        .map(|name| format!("role {name}"))
        .chain(groups.map(|name| format!("group {name}")))
        .chain(users.map(|name| format!("user {name}")));
    Ok(all.collect())
}

#[async_trait]
impl Handler for Policy {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn documents(&self) -> &'static [&'static str] {
        &["document"]
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let name = text(call.inputs, "name")?;
        let description = call.inputs.text_at("description").filter(|text| !text.is_empty());
        let made = call
            .aws
            .iam
            .create_policy()
            .policy_name(name)
            .path(text(call.inputs, "path")?)
            .set_description(description.map(str::to_owned))
            .policy_document(text(call.inputs, "document")?)
            .set_tags(Some(tag_list(&marks::tags(call.urn, call.inputs))?))
            .send()
            .await
            .map_err(|error| failed("iam:CreatePolicy", name, error))?;
        let arn = match made.policy().and_then(|policy| policy.arn()) {
            Some(arn) => arn.to_owned(),
            None => arn(call)?,
        };
        Ok(Applied { outputs: outputs(&arn, name), id: arn })
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        Ok(live(call, id).await?.map(|(live, _)| live))
    }

    async fn update(&self, call: &Call<'_>, recorded: &Recorded) -> Result<Applied> {
        let iam = &call.aws.iam;
        let arn = &recorded.id;
        let Some((there, tags)) = live(call, arn).await? else {
            return Err(Error::new(Class::NotFound, format!("the policy {arn} is gone")));
        };
        let wanted = text(call.inputs, "document")?;
        if !there.inputs.text_at("document").is_some_and(|held| document::same(held, wanted)) {
            let spare = spare(call, arn).await?;
            if let Some(oldest) = spare.first().filter(|_| spare.len() + 1 >= VERSIONS) {
                drop_version(call, arn, oldest).await?;
            }
            iam.create_policy_version()
                .policy_arn(arn)
                .policy_document(wanted)
                .set_as_default(true)
                .send()
                .await
                .map_err(|error| failed("iam:CreatePolicyVersion", arn, error))?;
        }
        let put = async |set| {
            let put = iam.tag_policy().policy_arn(arn).set_tags(Some(tag_list(&set)?)).send().await;
            put.map(drop).map_err(|error| failed("iam:TagPolicy", arn, error))
        };
        let remove = async |gone| {
            let removed = iam.untag_policy().policy_arn(arn).set_tag_keys(Some(gone)).send().await;
            removed.map(drop).map_err(|error| failed("iam:UntagPolicy", arn, error))
        };
        marks::settle(call, &tags, put, remove).await?;
        Ok(Applied { id: there.id, outputs: there.outputs })
    }

    async fn delete(&self, call: &Call<'_>, recorded: &Recorded) -> Result<()> {
        let arn = &recorded.id;
        if live(call, arn).await?.is_none() {
            return Ok(());
        }
        for version in spare(call, arn).await? {
            drop_version(call, arn, &version).await?;
        }
        // It may still seem attached to a role that was removed a moment ago.
        let remove = || async {
            let gone = call.aws.iam.delete_policy().policy_arn(arn).send().await;
            gone.map(drop).map_err(|error| failed("iam:DeletePolicy", arn, error))
        };
        let gone = again(call.context, PROPAGATION / 4, |error| error.class == Class::Conflict, remove).await;
        match gone {
            Err(error) if error.class == Class::Conflict => {
                let users = users(call, arn).await?;
                Err(error.help(format!("it is attached to {}: detach it there first", users.join(", "))))
            }
            result => result,
        }
    }

    async fn there(&self, call: &Call<'_>) -> Result<Option<There>> {
        let there = live(call, &arn(call)?).await?;
        Ok(there.map(|(live, tags)| There { live, tags }))
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let Some((live, tags)) = live(call, &arn(call)?).await? else { return Ok(None) };
        Ok((marks::owner(call.urn, &tags) == Owner::Ours).then_some(live))
    }
}
