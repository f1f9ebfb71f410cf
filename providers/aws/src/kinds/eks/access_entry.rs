//! `aws:eks/AccessEntry`: who may enter a cluster, and with which policies of EKS. One entry is of one principal, named by
//! an ARN: never by who happens to run Plinth.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_eks::types::{AccessEntry as Described, AccessScope, AccessScopeType};
use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{Applied, Error, Lane, Live, Recorded, Result, Value};

use super::updates::{Of, Target, when_free};
use super::{
    Call, PROPAGATION, all_tags, client_token, exists_already, gone, is_propagating, lane, list,
    names_cluster, set_tags, settle_tags, tag_map, texts,
};
use crate::error::{failed, is_missing, refused};
use crate::kinds::{Handler, Spec, There, text};
use crate::marks::{self, Owner};
use crate::wait::again;

/// The kind.
pub(crate) struct AccessEntry;

const TYPES: &[&str] =
    &["STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"];

const SPEC: Spec = Spec {
    name: "aws:eks/AccessEntry",
    fields: &[
        Field::required("cluster", ANY).immutable(),
        Field::required("principalArn", Shape::Text(principal)).immutable(),
        Field::default("type", Shape::Choice(TYPES), || "STANDARD".into()).immutable(),
        Field::optional("username", ANY),
        Field::default("groups", Shape::Set(&ANY), || Value::List(Vec::new())),
        Field::default(
            "policies",
            Shape::Set(&Shape::Object(&[
                Field::required("arn", Shape::Text(policy)),
                // None: the whole cluster.
                Field::default("namespaces", Shape::Set(&ANY), || Value::List(Vec::new())),
            ])),
            || Value::List(Vec::new()),
        ),
        Field::optional("tags", TAGS),
    ],
    longest_name: None,
    delete_before_replace: true,
    usual: Duration::from_secs(2),
    timeout: Duration::from_secs(5 * 60),
    computed: &[],
};

fn principal(text: &str) -> std::result::Result<(), String> {
    if text.contains(":assumed-role/") {
        return Err("that is a session, and sessions end: name the role itself (arn:aws:iam::<account>:role/<path and name>)".to_owned());
    }
    let fits = text.contains(":iam::") && (text.contains(":role/") || text.contains(":user/"));
    fits.then_some(())
        .ok_or_else(|| "an entry is of a role or user, by its ARN with its whole path".to_owned())
}

fn policy(text: &str) -> std::result::Result<(), String> {
    text.contains(":eks::").then_some(()).ok_or_else(|| {
        "a policy of EKS has an ARN such as arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy".to_owned()
    })
}

fn names(inputs: &Value) -> Result<(&str, &str)> {
    Ok((text(inputs, "cluster")?, text(inputs, "principalArn")?))
}

async fn describe(call: &Call<'_>, cluster: &str, principal: &str) -> Result<Option<Described>> {
    match call.aws.eks.describe_access_entry().cluster_name(cluster).principal_arn(principal).send().await {
        Ok(answer) => Ok(answer.access_entry),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refused("eks:DescribeAccessEntry", principal, error)),
    }
}

/// The policies of an entry, by ARN, with the namespaces that they hold in.
type Policies = BTreeMap<String, Vec<String>>;

async fn policies(call: &Call<'_>, cluster: &str, principal: &str) -> Result<Policies> {
    let mut found = Policies::new();
    let ask = call.aws.eks.list_associated_access_policies().cluster_name(cluster).principal_arn(principal);
    let mut pages = ask.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = match page {
            Ok(page) => page,
            Err(error) if is_missing(&error) => return Ok(found),
            Err(error) => return Err(refused("eks:ListAssociatedAccessPolicies", principal, error)),
        };
        for held in page.associated_access_policies() {
            let Some(arn) = held.policy_arn() else { continue };
            let mut namespaces =
                held.access_scope().map(|scope| scope.namespaces().to_vec()).unwrap_or_default();
            namespaces.sort_unstable();
            found.insert(arn.to_owned(), namespaces);
        }
    }
    Ok(found)
}

fn wanted_policies(inputs: &Value) -> Policies {
    let wanted = inputs.get("policies").and_then(Value::as_list).unwrap_or_default();
    let one = |policy: &Value| {
        let mut namespaces = texts(policy, "namespaces");
        namespaces.sort_unstable();
        Some((policy.text_at("arn")?.to_owned(), namespaces))
    };
    wanted.iter().filter_map(one).collect()
}

fn policies_value(policies: &Policies) -> Value {
    let one = |(arn, namespaces): (&String, &Vec<String>)| {
        Value::from([
            ("arn", Value::from(arn.as_str())),
            ("namespaces", list(namespaces.iter().map(String::as_str))),
        ])
    };
    Value::List(policies.iter().map(one).collect())
}

/// The type of people and of programs; all others are of nodes, which EKS gives name and groups itself.
const STANDARD: &str = "STANDARD";

fn is_of_nodes(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind != STANDARD)
}

/// The groups that are anybody's choice.
fn groups(entry: &Described) -> Vec<String> {
    if is_of_nodes(entry.r#type()) { Vec::new() } else { entry.kubernetes_groups().to_vec() }
}

async fn live(call: &Call<'_>, cluster: &str, entry: &Described) -> Result<There> {
    let principal = entry.principal_arn().unwrap_or_default();
    let tags = tag_map(entry.tags());
    let held = policies(call, cluster, principal).await?;
    let mut inputs = Value::from([
        ("cluster", Value::from(cluster)),
        ("principalArn", principal.into()),
        ("type", entry.r#type().unwrap_or("STANDARD").into()),
        ("groups", list(groups(entry))),
        ("policies", policies_value(&held)),
    ]);
    if let Some(name) = entry.username() {
        inputs.set(&"username".into(), name.into());
    }
    set_tags(&mut inputs, call.inputs, &tags);
    let arn = entry.access_entry_arn().unwrap_or_default();
    let mut outputs = Value::from([("arn", arn), ("cluster", cluster), ("principalArn", principal)]);
    if let Some(name) = entry.username() {
        outputs.set(&"username".into(), name.into());
    }
    let live = Live { id: arn.to_owned(), outputs, inputs, details: serde_json::Value::Null };
    Ok(There { live, tags })
}

/// Brings groups, name and policies to the inputs.
async fn settle(call: &Call<'_>, cluster: &str, principal: &str) -> Result<Applied> {
    let missing = || gone(&format!("the access entry of {principal}"));
    let entry = describe(call, cluster, principal).await?.ok_or_else(missing)?;
    let there = live(call, cluster, &entry).await?;
    settle_tags(call, &there.live.id, &there.tags).await?;
    let (eks, inputs) = (&call.aws.eks, call.inputs);
    let target = Target { cluster, of: Of::Cluster };
    let sorted = |mut texts: Vec<String>| {
        texts.sort_unstable();
        texts
    };
    let groups_differ = sorted(texts(inputs, "groups")) != sorted(groups(&entry));
    let name_differs = inputs.text_at("username").is_some_and(|name| entry.username() != Some(name));
    if groups_differ || name_differs {
        when_free(call, target, || async {
            let sent = eks
                .update_access_entry()
                .cluster_name(cluster)
                .principal_arn(principal)
                .set_kubernetes_groups(Some(texts(inputs, "groups")))
                .set_username(inputs.text_at("username").map(str::to_owned))
                .client_request_token(client_token(call, "update"))
                .send()
                .await;
            sent.map(drop).map_err(|error| failed("eks:UpdateAccessEntry", principal, error))
        })
        .await?;
    }
    let (held, wanted) = (policies(call, cluster, principal).await?, wanted_policies(inputs));
    for (policy, namespaces) in &wanted {
        if held.get(policy) == Some(namespaces) {
            continue;
        }
        let scope = match namespaces.as_slice() {
            [] => AccessScope::builder().r#type(AccessScopeType::Cluster).build(),
            some => AccessScope::builder()
                .r#type(AccessScopeType::Namespace)
                .set_namespaces(Some(some.to_vec()))
                .build(),
        };
        when_free(call, target, || async {
            let sent = eks
                .associate_access_policy()
                .cluster_name(cluster)
                .principal_arn(principal)
                .policy_arn(policy)
                .access_scope(scope.clone())
                .send()
                .await;
            sent.map(drop).map_err(|error| failed("eks:AssociateAccessPolicy", policy, error))
        })
        .await?;
    }
    for policy in held.keys().filter(|policy| !wanted.contains_key(*policy)) {
        let sent = eks
            .disassociate_access_policy()
            .cluster_name(cluster)
            .principal_arn(principal)
            .policy_arn(policy);
        match sent.send().await {
            Err(error) if !is_missing(&error) => {
                return Err(failed("eks:DisassociateAccessPolicy", policy, error));
            }
            _ => {}
        }
    }
    let entry = describe(call, cluster, principal).await?.ok_or_else(missing)?;
    let there = live(call, cluster, &entry).await?;
    Ok(Applied { id: there.live.id, outputs: there.live.outputs })
}

#[async_trait]
impl Handler for AccessEntry {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn rules(&self, inputs: &Value, _settings: &crate::Settings) -> Result<()> {
        let chosen = inputs.get("username").is_some() || !texts(inputs, "groups").is_empty();
        if is_of_nodes(inputs.text_at("type")) && chosen {
            return Err(Error::invalid("EKS gives nodes their name and groups itself")
                .at("groups".into())
                .help("leave `groups` and `username` out, or use the type STANDARD"));
        }
        let policies = inputs.get("policies").and_then(Value::as_list).unwrap_or_default();
        let of_nodes = inputs.text_at("type").is_some_and(|of| of != "STANDARD" && of != "EC2");
        if of_nodes && !policies.is_empty() {
            return Err(Error::invalid(
                "only an entry of type STANDARD or EC2 takes policies: those of other nodes have their rights from EKS",
            )
            .at("policies".into())
            .help("leave `policies` out, or make the entry of type STANDARD"));
        }
        let mut arns: Vec<&str> = policies.iter().filter_map(|policy| policy.text_at("arn")).collect();
        arns.sort_unstable();
        if let Some(twice) = arns.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid(format!("the policy {} is there twice", twice[0]))
                .at("policies".into())
                .help("name it once, with all its namespaces"));
        }
        Ok(())
    }

    fn identity(&self, inputs: &Value) -> Option<String> {
        Some(format!("{}/{}/{}", SPEC.name, inputs.text_at("cluster")?, inputs.text_at("principalArn")?))
    }

    fn lanes(&self, inputs: &Value) -> Vec<Lane> {
        lane(inputs.text_at("cluster"), false)
    }

    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        let inputs = &dependent.inputs;
        match dependency.urn.kind() {
            "aws:eks/Cluster" => names_cluster(inputs, dependency.inputs.text_at("name")),
            // An entry is bound to the principal itself: one that was made anew under the same ARN is somebody else.
            "aws:iam/Role" => inputs.text_at("principalArn") == Some(dependency.id.as_str()),
            _ => false,
        }
    }

    async fn there(&self, call: &Call<'_>) -> Result<Option<There>> {
        let (cluster, principal) = names(call.inputs)?;
        match describe(call, cluster, principal).await? {
            Some(entry) => live(call, cluster, &entry).await.map(Some),
            None => Ok(None),
        }
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let (cluster, principal) = names(call.inputs)?;
        let inputs = call.inputs;
        let make = || async {
            let sent = call
                .aws
                .eks
                .create_access_entry()
                .cluster_name(cluster)
                .principal_arn(principal)
                .set_type(inputs.text_at("type").map(str::to_owned))
                .set_username(inputs.text_at("username").map(str::to_owned))
                .set_kubernetes_groups(
                    (!is_of_nodes(inputs.text_at("type"))).then(|| texts(inputs, "groups")),
                )
                .set_tags(Some(all_tags(call)))
                .client_request_token(client_token(call, "create"))
                .send()
                .await;
            sent.map(drop).map_err(|error| failed("eks:CreateAccessEntry", principal, error))
        };
        let target = Target { cluster, of: Of::Cluster };
        let begun = when_free(call, target, || again(call.context, PROPAGATION, is_propagating, make)).await;
        match begun {
            Ok(()) => settle(call, cluster, principal).await,
            Err(error) if exists_already(&error) => match self.there(call).await? {
                Some(there) if marks::owner(call.urn, &there.tags) == Owner::Others => {
                    let what = format!("the access entry of {principal} in {cluster}");
                    Err(marks::taken(&what, &there.tags))
                }
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        // <cluster>,<principal ARN> from somebody who imports it.
        let (cluster, principal) = match (names(call.inputs), id.split_once(',')) {
            (Ok(names), _) => names,
            (_, Some((cluster, principal))) => (cluster, principal),
            (Err(error), None) => {
                return Err(error.help("import an access entry by `<cluster>,<ARN of the principal>`"));
            }
        };
        match describe(call, cluster, principal).await? {
            Some(entry) => Ok(Some(live(call, cluster, &entry).await?.live)),
            None => Ok(None),
        }
    }

    async fn update(&self, call: &Call<'_>, _recorded: &Recorded) -> Result<Applied> {
        let (cluster, principal) = names(call.inputs)?;
        settle(call, cluster, principal).await
    }

    async fn delete(&self, call: &Call<'_>, _recorded: &Recorded) -> Result<()> {
        let (cluster, principal) = names(call.inputs)?;
        let target = Target { cluster, of: Of::Cluster };
        when_free(call, target, || async {
            let sent =
                call.aws.eks.delete_access_entry().cluster_name(cluster).principal_arn(principal).send();
            match sent.await {
                Ok(_) => Ok(()),
                Err(error) if is_missing(&error) => Ok(()),
                Err(error) => Err(failed("eks:DeleteAccessEntry", principal, error)),
            }
        })
        .await
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let there = self.there(call).await?;
        Ok(there.filter(|there| marks::owner(call.urn, &there.tags) == Owner::Ours).map(|there| there.live))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_of_a_principal_and_not_of_a_session() {
        assert!(
            principal("arn:aws:iam::1:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_1").is_ok()
        );
        let session = principal("arn:aws:sts::1:assumed-role/admin/jo").unwrap_err();
        assert!(session.contains("role itself"), "{session}");
        assert!(principal("admin").is_err());
    }

    #[test]
    fn what_is_bound_to_a_role_goes_with_it() {
        let recorded = |kind: &str, id: &str, inputs: Value| Recorded {
            urn: plinth_provider::Urn::new("dev", kind, "x").unwrap(),
            id: id.to_owned(),
            inputs,
            outputs: Value::map(),
            connection: None,
            dependencies: Vec::new(),
            options: plinth_provider::Options::default(),
            unsettled: false,
        };
        let arn = "arn:aws:iam::1:role/admin";
        let entry = recorded("aws:eks/AccessEntry", "e", Value::from([("principalArn", arn)]));
        assert!(AccessEntry.lives_in(&entry, &recorded("aws:iam/Role", arn, Value::map())));
        assert!(
            !AccessEntry
                .lives_in(&entry, &recorded("aws:iam/Role", "arn:aws:iam::1:role/other", Value::map()))
        );
    }

    #[test]
    fn policies_are_for_people() {
        let policy = Value::from([("arn", "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy")]);
        let inputs = |of: &str, count: usize| {
            Value::from([("type", Value::from(of)), ("policies", Value::List(vec![policy.clone(); count]))])
        };
        let settings = crate::Settings::new("eu-central-1");
        assert!(AccessEntry.rules(&inputs("STANDARD", 1), &settings).is_ok());
        assert!(AccessEntry.rules(&inputs("EC2_LINUX", 1), &settings).is_err());
        assert!(AccessEntry.rules(&inputs("STANDARD", 2), &settings).is_err());
    }
}
