//! `aws:eks/PodIdentityAssociation`: the role that the pods of a service account act in.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_eks::types::PodIdentityAssociation as Described;
use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{Applied, Error, Lane, Live, Recorded, Result, Value};

use super::updates::{Of, Target, when_free};
use super::{
    Call, PROPAGATION, all_tags, client_token, exists_already, gone, is_on, is_propagating, lane,
    names_cluster, set_tags, settle_tags, tag_map,
};
use crate::document;
use crate::error::{failed, is_missing, refused};
use crate::kinds::iam_role::{arn, policy};
use crate::kinds::{Handler, Spec, There, text};
use crate::marks::{self, Owner};
use crate::wait::again;

/// The kind.
pub(crate) struct PodIdentityAssociation;

const SPEC: Spec = Spec {
    name: "aws:eks/PodIdentityAssociation",
    fields: &[
        Field::required("cluster", ANY).immutable(),
        Field::required("namespace", ANY).immutable(),
        Field::required("serviceAccount", ANY).immutable(),
        Field::required("roleArn", Shape::Text(arn)),
        // A role, perhaps of another account, that the first one assumes in turn.
        Field::optional("targetRoleArn", Shape::Text(arn)),
        Field::default("disableSessionTags", Shape::Boolean, || false.into()),
        // Narrows what the role may do.
        Field::optional("policy", Shape::Text(policy)),
        Field::optional("tags", TAGS),
    ],
    longest_name: None,
    delete_before_replace: true,
    usual: Duration::from_secs(12),
    timeout: Duration::from_secs(5 * 60),
    computed: &[],
};

async fn describe(call: &Call<'_>, cluster: &str, id: &str) -> Result<Option<Described>> {
    let asked =
        call.aws.eks.describe_pod_identity_association().cluster_name(cluster).association_id(id).send();
    match asked.await {
        Ok(answer) => Ok(answer.association),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refused("eks:DescribePodIdentityAssociation", id, error)),
    }
}

/// The association of the service account that the inputs name.
async fn lookup(call: &Call<'_>) -> Result<Option<Described>> {
    let (cluster, namespace) = (text(call.inputs, "cluster")?, text(call.inputs, "namespace")?);
    let account = text(call.inputs, "serviceAccount")?;
    let ask = call.aws.eks.list_pod_identity_associations().cluster_name(cluster);
    let mut pages = ask.namespace(namespace).service_account(account).into_paginator().items().send();
    while let Some(found) = pages.next().await {
        let found = match found {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(refused("eks:ListPodIdentityAssociations", cluster, error)),
        };
        let fits = found.namespace() == Some(namespace) && found.service_account() == Some(account);
        if let (true, Some(id)) = (fits, found.association_id()) {
            return describe(call, cluster, id).await;
        }
    }
    Ok(None)
}

fn live(call: &Call<'_>, held: &Described) -> There {
    let tags = tag_map(held.tags());
    let entries = [
        ("cluster", held.cluster_name()),
        ("namespace", held.namespace()),
        ("serviceAccount", held.service_account()),
        ("roleArn", held.role_arn()),
        ("targetRoleArn", held.target_role_arn()),
    ];
    let texts = entries.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text?))));
    let mut inputs = Value::Map(texts.collect());
    inputs.set(&"disableSessionTags".into(), held.disable_session_tags().unwrap_or(false).into());
    if let Some(words) = held.policy().filter(|words| !words.is_empty()) {
        inputs.set(&"policy".into(), document::as_asked(call.inputs.text_at("policy"), words).into());
    }
    set_tags(&mut inputs, call.inputs, &tags);
    let entries = [
        ("arn", held.association_arn()),
        ("id", held.association_id()),
        ("externalId", held.external_id()),
        ("roleArn", held.role_arn()),
    ];
    let outputs = entries.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text?))));
    let live = Live {
        id: held.association_arn().or(held.association_id()).unwrap_or_default().to_owned(),
        outputs: Value::Map(outputs.collect()),
        inputs,
        details: serde_json::Value::Null,
    };
    There { live, tags }
}

fn noun(inputs: &Value) -> String {
    let part = |key: &str| inputs.text_at(key).unwrap_or_default();
    format!("the pod identity of {}/{}", part("namespace"), part("serviceAccount"))
}

/// Pods get their role when they are admitted and never after, and no call of EKS tells when an association has come
/// through to the clusters. Whoever comes next must find it there.
async fn come_through(call: &Call<'_>) -> Result<()> {
    call.context.reporter.waiting("the association to reach the cluster");
    let late = || "the association is reaching the cluster".to_owned();
    call.context
        .bounded(late, async {
            tokio::time::sleep(call.settings.pod_identity_delay).await;
            Ok(())
        })
        .await
}

#[async_trait]
impl Handler for PodIdentityAssociation {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn rules(&self, inputs: &Value, _settings: &crate::Settings) -> Result<()> {
        if inputs.get("policy").is_some() && inputs.get("disableSessionTags") == Some(&Value::Bool(false)) {
            return Err(Error::invalid(
                "a policy and session tags do not go together: EKS packs both into one session",
            )
            .at("policy".into())
            .help("set `disableSessionTags: true`, or leave the policy out"));
        }
        Ok(())
    }

    fn comparable(&self, inputs: &Value) -> Value {
        let mut inputs = inputs.clone();
        if let Some(said) = inputs.text_at("policy").and_then(document::normal) {
            inputs.set(&"policy".into(), said.to_string().into());
        }
        inputs
    }

    fn predict(&self, inputs: &Value, recorded: Option<&Recorded>) -> Value {
        let Some(recorded) = recorded else { return Value::Unknown };
        let mut outputs = recorded.outputs.clone();
        // Pods are made anew by it.
        outputs.set(&"roleArn".into(), inputs.get("roleArn").cloned().unwrap_or(Value::Unknown));
        outputs
    }

    fn identity(&self, inputs: &Value) -> Option<String> {
        let part = |key: &str| inputs.text_at(key);
        let (cluster, namespace) = (part("cluster")?, part("namespace")?);
        Some(format!("{}/{cluster}/{namespace}/{}", SPEC.name, part("serviceAccount")?))
    }

    fn lanes(&self, inputs: &Value) -> Vec<Lane> {
        lane(inputs.text_at("cluster"), false)
    }

    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        dependency.urn.kind() == "aws:eks/Cluster"
            && names_cluster(&dependent.inputs, dependency.inputs.text_at("name"))
    }

    async fn there(&self, call: &Call<'_>) -> Result<Option<There>> {
        Ok(lookup(call).await?.map(|held| live(call, &held)))
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let (inputs, cluster) = (call.inputs, text(call.inputs, "cluster")?);
        let what = noun(inputs);
        let make = || async {
            let sent = call
                .aws
                .eks
                .create_pod_identity_association()
                .cluster_name(cluster)
                .namespace(text(inputs, "namespace")?)
                .service_account(text(inputs, "serviceAccount")?)
                .role_arn(text(inputs, "roleArn")?)
                .set_target_role_arn(inputs.text_at("targetRoleArn").map(str::to_owned))
                .disable_session_tags(is_on(inputs, "disableSessionTags"))
                .set_policy(inputs.text_at("policy").map(str::to_owned))
                .set_tags(Some(all_tags(call)))
                .client_request_token(client_token(call, "create"))
                .send()
                .await;
            sent.map_err(|error| failed("eks:CreatePodIdentityAssociation", &noun(inputs), error))
        };
        let target = Target { cluster, of: Of::Cluster };
        let begun = when_free(call, target, || again(call.context, PROPAGATION, is_propagating, make)).await;
        match begun {
            Ok(made) => {
                let held = made.association.ok_or_else(|| gone(&what))?;
                come_through(call).await?;
                let there = live(call, &held);
                Ok(Applied { id: there.live.id, outputs: there.live.outputs })
            }
            Err(error) if exists_already(&error) => match self.there(call).await? {
                Some(there) if marks::owner(call.urn, &there.tags) == Owner::Others => {
                    Err(marks::taken(&what, &there.tags))
                }
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        // arn:…:podidentityassociation/<cluster>/<id>.
        let held = match (call.inputs.text_at("cluster"), id.rsplitn(3, '/').collect::<Vec<_>>().as_slice()) {
            (Some(cluster), _) if !id.is_empty() => describe(call, cluster, super::last_part(id)).await?,
            (Some(_), _) => lookup(call).await?,
            (None, [id, cluster, ..]) => describe(call, cluster, id).await?,
            (None, _) => {
                return Err(Error::invalid(format!("`{id}` is no ARN of a pod identity association")));
            }
        };
        Ok(held.map(|held| live(call, &held).live))
    }

    async fn update(&self, call: &Call<'_>, _recorded: &Recorded) -> Result<Applied> {
        let (inputs, cluster) = (call.inputs, text(call.inputs, "cluster")?);
        let held = lookup(call).await?.ok_or_else(|| gone(&noun(inputs)))?;
        let there = live(call, &held);
        settle_tags(call, &there.live.id, &there.tags).await?;
        let (is, wanted) = (self.comparable(&there.live.inputs), self.comparable(inputs));
        let differs = |key: &str| is.get(key) != wanted.get(key);
        if !["roleArn", "targetRoleArn", "disableSessionTags", "policy"].iter().any(|key| differs(key)) {
            return Ok(Applied { id: there.live.id, outputs: there.live.outputs });
        }
        let id = held.association_id().unwrap_or_default();
        let change = || async {
            let sent = call
                .aws
                .eks
                .update_pod_identity_association()
                .cluster_name(cluster)
                .association_id(id)
                .role_arn(text(inputs, "roleArn")?)
                // An empty text takes it away.
                .set_target_role_arn(
                    differs("targetRoleArn")
                        .then(|| inputs.text_at("targetRoleArn").unwrap_or_default().to_owned()),
                )
                .disable_session_tags(is_on(inputs, "disableSessionTags"))
                .set_policy(
                    differs("policy").then(|| inputs.text_at("policy").unwrap_or_default().to_owned()),
                )
                .client_request_token(client_token(call, "update"))
                .send()
                .await;
            sent.map_err(|error| failed("eks:UpdatePodIdentityAssociation", &noun(inputs), error))
        };
        let target = Target { cluster, of: Of::Cluster };
        let made =
            when_free(call, target, || again(call.context, PROPAGATION, is_propagating, change)).await?;
        come_through(call).await?;
        let there = made.association.map_or(there, |held| live(call, &held));
        Ok(Applied { id: there.live.id, outputs: there.live.outputs })
    }

    async fn delete(&self, call: &Call<'_>, recorded: &Recorded) -> Result<()> {
        let cluster = text(call.inputs, "cluster")?;
        let target = Target { cluster, of: Of::Cluster };
        let id = super::last_part(&recorded.id);
        when_free(call, target, || async {
            let sent = call
                .aws
                .eks
                .delete_pod_identity_association()
                .cluster_name(cluster)
                .association_id(id)
                .send();
            match sent.await {
                Ok(_) => Ok(()),
                Err(error) if is_missing(&error) => Ok(()),
                Err(error) => Err(failed("eks:DeletePodIdentityAssociation", id, error)),
            }
        })
        .await
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let there = self.there(call).await?;
        Ok(there.filter(|there| marks::owner(call.urn, &there.tags) == Owner::Ours).map(|there| there.live))
    }
}
