//! `aws:iam/Role`: who may act as what. Trust, inline policies, attached policies.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_iam::types::Tag;
use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{Applied, Error, Live, Path, Recorded, Result, Value};

use super::{Call, Handler, Spec, There, integer, text};
use crate::document;
use crate::error::{failed, is_missing, refused};
use crate::marks::{self, Owner};
use crate::wait::again;

/// The kind.
pub(crate) struct Role;

/// How long IAM may take to show a principal that it has just made to its own other calls.
pub(super) const PROPAGATION: Duration = Duration::from_secs(120);

const SPEC: Spec = Spec {
    name: "aws:iam/Role",
    fields: &[
        Field::required("name", Shape::Text(role_name)).immutable(),
        Field::default("path", Shape::Text(role_path), || "/".into()).immutable(),
        Field::default("description", ANY, || "".into()),
        // Who may assume it: a policy document, as text or as a map.
        Field::required("trust", Shape::Text(policy)),
        Field::default("policies", Shape::Map(&Shape::Text(policy)), Value::map),
        Field::default("attached", Shape::Set(&Shape::Text(arn)), || Value::List(Vec::new())),
        Field::default("maxSessionSeconds", Shape::Integer(3600, 43200), || Value::from(3600)),
        Field::optional("permissionsBoundary", Shape::Text(arn)),
        Field::optional("tags", TAGS),
    ],
    longest_name: Some(64),
    delete_before_replace: true,
    usual: Duration::from_secs(2),
    timeout: Duration::from_secs(300),
    computed: &[],
};

fn role_name(name: &str) -> std::result::Result<(), String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "+=,.@_-".contains(letter);
    ((1..=64).contains(&name.len()) && name.chars().all(fits))
        .then_some(())
        .ok_or_else(|| "a role's name has 1 to 64 letters, digits and +=,.@_-".to_owned())
}

pub(super) fn role_path(path: &str) -> std::result::Result<(), String> {
    (path.starts_with('/') && path.ends_with('/') && path.len() <= 512)
        .then_some(())
        .ok_or_else(|| "a path begins and ends with `/`".to_owned())
}

/// Judges a policy document.
pub(super) fn policy(text: &str) -> std::result::Result<(), String> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    match json.get("Statement") {
        Some(_) => Ok(()),
        None => Err("a policy document has a `Statement`".to_owned()),
    }
}

/// Judges an ARN.
pub(super) fn arn(text: &str) -> std::result::Result<(), String> {
    (text.starts_with("arn:") && text.split(':').count() >= 6)
        .then_some(())
        .ok_or_else(|| "an ARN has the form arn:partition:service:region:account:resource".to_owned())
}

pub(super) fn tag_list(tags: &BTreeMap<String, String>) -> Result<Vec<Tag>> {
    tags.iter()
        .map(|(key, value)| {
            Tag::builder().key(key).value(value).build().map_err(|error| Error::invalid(error.to_string()))
        })
        .collect()
}

pub(super) fn tag_map(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

impl Role {
    async fn policies(&self, call: &Call<'_>, name: &str) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        let mut pages = call.aws.iam.list_role_policies().role_name(name).into_paginator().items().send();
        while let Some(policy) = pages.next().await {
            let policy = policy.map_err(|error| refused("iam:ListRolePolicies", name, error))?;
            let got = call.aws.iam.get_role_policy().role_name(name).policy_name(&policy).send().await;
            match got {
                Ok(got) => {
                    found.insert(policy, got.policy_document().to_owned());
                }
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(refused("iam:GetRolePolicy", name, error)),
            }
        }
        Ok(found)
    }

    async fn attached(&self, call: &Call<'_>, name: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut pages =
            call.aws.iam.list_attached_role_policies().role_name(name).into_paginator().items().send();
        while let Some(policy) = pages.next().await {
            let policy = policy.map_err(|error| refused("iam:ListAttachedRolePolicies", name, error))?;
            found.extend(policy.policy_arn().map(str::to_owned));
        }
        found.sort_unstable();
        Ok(found)
    }

    async fn live(&self, call: &Call<'_>, name: &str) -> Result<Option<(Live, BTreeMap<String, String>)>> {
        let got = match call.aws.iam.get_role().role_name(name).send().await {
            Ok(got) => got,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(refused("iam:GetRole", name, error)),
        };
        let Some(role) = got.role() else { return Ok(None) };
        let tags = tag_map(role.tags());
        let asked = |path: &str| call.inputs.at(&Path::parse(path)).and_then(Value::as_str);
        let policies = self.policies(call, name).await?.into_iter().map(|(policy, document)| {
            let asked = call.inputs.get("policies").and_then(|all| all.get(&policy)).and_then(Value::as_str);
            (policy, Value::from(document::as_asked(asked, &document)))
        });
        let mut inputs = Value::from([
            ("name", Value::from(name)),
            ("path", role.path().into()),
            ("description", role.description().unwrap_or_default().into()),
            (
                "trust",
                document::as_asked(asked("trust"), role.assume_role_policy_document().unwrap_or_default())
                    .into(),
            ),
            ("policies", Value::Map(policies.collect())),
            (
                "attached",
                Value::List(self.attached(call, name).await?.into_iter().map(Value::from).collect()),
            ),
            ("maxSessionSeconds", i64::from(role.max_session_duration().unwrap_or(3600)).into()),
        ]);
        if let Some(boundary) = role.permissions_boundary().and_then(|held| held.permissions_boundary_arn()) {
            inputs.set(&"permissionsBoundary".into(), boundary.into());
        }
        if call.inputs.get("tags").is_some() {
            inputs.set(&"tags".into(), marks::foreign(tags.clone()));
        }
        let live = Live {
            id: role.arn().to_owned(),
            outputs: outputs(role.arn(), name, role.role_id()),
            inputs,
            details: serde_json::Value::Null,
        };
        Ok(Some((live, tags)))
    }

    /// Everything of a role that is not the role itself.
    async fn settle(&self, call: &Call<'_>, name: &str, there: &Value) -> Result<()> {
        let iam = &call.aws.iam;
        let map =
            |inputs: &Value| inputs.get("policies").and_then(Value::as_map).cloned().unwrap_or_default();
        let (had, wanted) = (map(there), map(call.inputs));
        for (policy, document) in &wanted {
            let (Some(text), before) = (document.as_str(), had.get(policy).and_then(Value::as_str)) else {
                continue;
            };
            if before.is_some_and(|before| document::same(before, text)) {
                continue;
            }
            iam.put_role_policy()
                .role_name(name)
                .policy_name(policy)
                .policy_document(text)
                .send()
                .await
                .map_err(|error| failed("iam:PutRolePolicy", name, error))?;
        }
        for policy in had.keys() {
            if wanted.contains_key(policy) {
                continue;
            }
            match iam.delete_role_policy().role_name(name).policy_name(policy).send().await {
                Err(error) if !is_missing(&error) => return Err(failed("iam:DeleteRolePolicy", name, error)),
                _ => {}
            }
        }
        let list = |inputs: &Value| -> Vec<String> {
            let list = inputs.get("attached").and_then(Value::as_list).unwrap_or_default();
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (had, wanted) = (list(there), list(call.inputs));
        for policy in &wanted {
            if had.contains(policy) {
                continue;
            }
            // A policy made a moment ago may not be known yet.
            again(
                call.context,
                PROPAGATION,
                |error| error.message.contains("NoSuchEntity"),
                || async {
                    let attached = iam.attach_role_policy().role_name(name).policy_arn(policy).send().await;
                    attached.map(drop).map_err(|error| failed("iam:AttachRolePolicy", policy, error))
                },
            )
            .await?;
        }
        for policy in &had {
            if wanted.contains(policy) {
                continue;
            }
            match iam.detach_role_policy().role_name(name).policy_arn(policy).send().await {
                Err(error) if !is_missing(&error) => {
                    return Err(failed("iam:DetachRolePolicy", policy, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn outputs(arn: &str, name: &str, unique: &str) -> Value {
    Value::from([("arn", Value::from(arn)), ("name", name.into()), ("uniqueId", unique.into())])
}

#[async_trait]
impl Handler for Role {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn documents(&self) -> &'static [&'static str] {
        &["trust", "policies.*"]
    }

    fn whole(&self) -> &'static [&'static str] {
        &["policies"]
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let name = text(call.inputs, "name")?;
        let seconds = integer(call.inputs, "maxSessionSeconds").unwrap_or(3600);
        let make = || async {
            call.aws
                .iam
                .create_role()
                .role_name(name)
                .path(text(call.inputs, "path")?)
                .set_description(
                    call.inputs.text_at("description").filter(|text| !text.is_empty()).map(str::to_owned),
                )
                .assume_role_policy_document(text(call.inputs, "trust")?)
                .max_session_duration(seconds)
                .set_permissions_boundary(call.inputs.text_at("permissionsBoundary").map(str::to_owned))
                .set_tags(Some(tag_list(&marks::tags(call.urn, call.inputs))?))
                .send()
                .await
                .map_err(|error| failed("iam:CreateRole", name, error))
        };
        // A trust policy may name a principal that was made a moment ago.
        let unknown = |error: &Error| error.message.contains("Invalid principal in policy");
        let made = again(call.context, PROPAGATION, unknown, make).await?;
        let Some(role) = made.role() else {
            return Err(Error::new(plinth_provider::Class::UnknownOutcome, "iam:CreateRole gave no role"));
        };
        let applied =
            Applied { id: role.arn().to_owned(), outputs: outputs(role.arn(), name, role.role_id()) };
        self.settle(call, name, &Value::map()).await?;
        Ok(applied)
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        let name = call.inputs.text_at("name").or_else(|| id.rsplit('/').next()).unwrap_or(id);
        Ok(self.live(call, name).await?.map(|(live, _)| live))
    }

    async fn update(&self, call: &Call<'_>, _recorded: &Recorded) -> Result<Applied> {
        let name = text(call.inputs, "name")?;
        let Some((there, tags)) = self.live(call, name).await? else {
            return Err(Error::new(plinth_provider::Class::NotFound, format!("the role {name} is gone")));
        };
        let iam = &call.aws.iam;
        let trust = text(call.inputs, "trust")?;
        if !there.inputs.text_at("trust").is_some_and(|held| document::same(held, trust)) {
            iam.update_assume_role_policy()
                .role_name(name)
                .policy_document(trust)
                .send()
                .await
                .map_err(|error| failed("iam:UpdateAssumeRolePolicy", name, error))?;
        }
        let differs = |key: &str| call.inputs.get(key) != there.inputs.get(key);
        if differs("description") || differs("maxSessionSeconds") {
            let seconds = integer(call.inputs, "maxSessionSeconds").unwrap_or(3600);
            iam.update_role()
                .role_name(name)
                .description(call.inputs.text_at("description").unwrap_or_default())
                .max_session_duration(seconds)
                .send()
                .await
                .map_err(|error| failed("iam:UpdateRole", name, error))?;
        }
        if differs("permissionsBoundary") {
            match call.inputs.text_at("permissionsBoundary") {
                Some(boundary) => iam
                    .put_role_permissions_boundary()
                    .role_name(name)
                    .permissions_boundary(boundary)
                    .send()
                    .await
                    .map(drop)
                    .map_err(|error| failed("iam:PutRolePermissionsBoundary", name, error))?,
                None => iam
                    .delete_role_permissions_boundary()
                    .role_name(name)
                    .send()
                    .await
                    .map(drop)
                    .map_err(|error| failed("iam:DeleteRolePermissionsBoundary", name, error))?,
            }
        }
        self.settle(call, name, &there.inputs).await?;
        let put = async |set| {
            let put = iam.tag_role().role_name(name).set_tags(Some(tag_list(&set)?)).send().await;
            put.map(drop).map_err(|error| failed("iam:TagRole", name, error))
        };
        let remove = async |gone| {
            let removed = iam.untag_role().role_name(name).set_tag_keys(Some(gone)).send().await;
            removed.map(drop).map_err(|error| failed("iam:UntagRole", name, error))
        };
        marks::settle(call, &tags, put, remove).await?;
        Ok(Applied { id: there.id, outputs: there.outputs })
    }

    async fn delete(&self, call: &Call<'_>, _recorded: &Recorded) -> Result<()> {
        let name = text(call.inputs, "name")?;
        let iam = &call.aws.iam;
        let Some((there, _)) = self.live(call, name).await? else { return Ok(()) };
        // A role goes only when nothing is attached to it any more; what others attached is in the way as well.
        let bare = Call { inputs: &Value::map(), ..*call };
        self.settle(&bare, name, &there.inputs).await?;
        let mut profiles =
            iam.list_instance_profiles_for_role().role_name(name).into_paginator().items().send();
        while let Some(profile) = profiles.next().await {
            let profile = profile.map_err(|error| refused("iam:ListInstanceProfilesForRole", name, error))?;
            iam.remove_role_from_instance_profile()
                .role_name(name)
                .instance_profile_name(profile.instance_profile_name())
                .send()
                .await
                .map_err(|error| failed("iam:RemoveRoleFromInstanceProfile", name, error))?;
        }
        let gone = iam.delete_role().role_name(name).send().await;
        gone.map(drop).map_err(|error| failed("iam:DeleteRole", name, error))
    }

    async fn there(&self, call: &Call<'_>) -> Result<Option<There>> {
        let there = self.live(call, text(call.inputs, "name")?).await?;
        Ok(there.map(|(live, tags)| There { live, tags }))
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let Some((live, tags)) = self.live(call, text(call.inputs, "name")?).await? else { return Ok(None) };
        Ok((marks::owner(call.urn, &tags) == Owner::Ours).then_some(live))
    }
}
