//! `aws:eks/Cluster`: the control plane.

mod fields;
mod more;
mod parts;
mod support;

pub(super) use fields::{group, subnet};

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_eks::types::{Cluster as Described, ClusterStatus};
use plinth_provider::{
    Applied, Change, Class, Diff, Error, Lane, Live, Preview, PreviewRequest, Recorded, Result, Value,
};

use super::updates::{Begun, Of, Target, when_free};
use super::versions::{self, Minor};
use super::{
    Call, Going, PROPAGATION, all_tags, broken, cidr, client_token, exists_already, gone, insights,
    is_propagating, issues, lane, names_cluster, node_groups, settle_tags, tag_map, waits, without,
};
use crate::error::{failed, is_missing, refused};
use crate::kinds::{Handler, Spec, There, text};
use crate::marks::{self, Owner};
use crate::wait::{Look, again, until};
use parts::Part;

/// The kind.
pub(crate) struct Cluster;

/// Inputs that only say how something is to be done, or that only count when the cluster is made. EKS does not tell the
/// latter, so a difference in them is never a reason to touch a cluster that lives.
const NOT_COMPARED: &[&str] = &["creatorAdmin", "selfManagedAddOns", "force", "rollback"];

/// Outputs that only EKS knows.
const LATER: &[&str] = &[
    "arn",
    "connection",
    "region",
    "platformVersion",
    "endpoint",
    "certificateAuthority",
    "oidcIssuer",
    "securityGroupId",
    "vpcId",
    "serviceCidr",
];

/// The cluster as EKS describes it; `None` when there is none.
pub(crate) async fn describe(call: &Call<'_>, name: &str) -> Result<Option<Described>> {
    match call.aws.eks.describe_cluster().name(name).send().await {
        Ok(answer) => Ok(answer.cluster),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refused("eks:DescribeCluster", name, error)),
    }
}

fn health(cluster: &Described) -> String {
    let found = cluster.health().map(|health| health.issues()).unwrap_or_default();
    issues(
        found
            .iter()
            .map(|issue| (issue.code().map(|code| code.as_str()), issue.message(), issue.resource_ids())),
    )
}

fn status(cluster: &Described) -> &str {
    cluster.status().map_or("in an unknown state", ClusterStatus::as_str)
}

fn noun(name: &str) -> String {
    format!("the cluster {name}")
}

fn live(call: &Call<'_>, cluster: &Described) -> There {
    let tags = tag_map(cluster.tags());
    let live = Live {
        id: cluster.arn().unwrap_or_default().to_owned(),
        outputs: outputs(call.aws.region(), cluster),
        inputs: parts::inputs(cluster, call.inputs, &tags),
        details: serde_json::Value::Null,
    };
    There { live, tags }
}

/// What a Kubernetes connection and other resources need to know. Nothing of it is secret: the authority is public.
fn outputs(region: &str, cluster: &Described) -> Value {
    let arn = cluster.arn().unwrap_or_default();
    let vpc = cluster.resources_vpc_config();
    let issuer = cluster.identity().and_then(|identity| identity.oidc()?.issuer());
    let entries = [
        ("arn", Some(arn)),
        ("connection", Some(arn)),
        ("name", cluster.name()),
        ("region", Some(region)),
        ("version", cluster.version()),
        ("platformVersion", cluster.platform_version()),
        ("endpoint", cluster.endpoint()),
        ("certificateAuthority", cluster.certificate_authority().and_then(|held| held.data())),
        ("oidcIssuer", issuer),
        ("securityGroupId", vpc.and_then(|vpc| vpc.cluster_security_group_id())),
        ("vpcId", vpc.and_then(|vpc| vpc.vpc_id())),
        ("serviceCidr", cluster.kubernetes_network_config().and_then(|network| network.service_ipv4_cidr())),
    ];
    Value::Map(
        entries.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text?)))).collect(),
    )
}

/// Waits until nothing is going on with the cluster itself. One that is being deleted is gone.
async fn settled(call: &Call<'_>, name: &str) -> Result<Option<Described>> {
    let going = |cluster: &Described| match cluster.status() {
        Some(
            ClusterStatus::Creating
            | ClusterStatus::Updating
            | ClusterStatus::Pending
            | ClusterStatus::Deleting,
        ) => Going::On,
        _ => Going::Still,
    };
    let words = |cluster: &Described| waits(&noun(name), status(cluster), &health(cluster));
    super::settled(call, || describe(call, name), going, words).await
}

impl Cluster {
    fn target(name: &str) -> Target<'_> {
        Target { cluster: name, of: Of::Cluster }
    }

    async fn make(&self, call: &Call<'_>, name: &str) -> Result<Applied> {
        loop {
            let begun = again(call.context, PROPAGATION, is_propagating, || parts::create(call, name)).await;
            match begun {
                Ok(()) => break,
                Err(error) if exists_already(&error) => {
                    let Some(there) = describe(call, name).await? else { continue };
                    let tags = tag_map(there.tags());
                    if marks::owner(call.urn, &tags) == Owner::Others {
                        return Err(marks::taken(&noun(name), &tags));
                    }
                    if there.status() != Some(&ClusterStatus::Deleting) {
                        return Err(error);
                    }
                    // One of ours is on its way out; the new one comes after it.
                    settled(call, name).await?;
                }
                Err(error) => return Err(error),
            }
        }
        call.context.reporter.started(&format!("create:{name}")).await?;
        self.ready(call, name).await
    }

    /// Waits until the cluster is made.
    async fn ready(&self, call: &Call<'_>, name: &str) -> Result<Applied> {
        let cluster = settled(call, name).await?.ok_or_else(|| gone(&noun(name)))?;
        if cluster.status() == Some(&ClusterStatus::Failed) {
            return Err(broken(&noun(name), "FAILED", &health(&cluster)));
        }
        let there = live(call, &cluster);
        Ok(Applied { id: there.live.id, outputs: there.live.outputs })
    }

    async fn remove(&self, call: &Call<'_>, name: &str) -> Result<()> {
        when_free(call, Self::target(name), || async {
            match call.aws.eks.delete_cluster().name(name).send().await {
                Ok(_) => Ok(()),
                Err(error) if is_missing(&error) => Ok(()),
                Err(error) => Err(failed("eks:DeleteCluster", name, error)),
            }
        })
        .await?;
        call.context.reporter.started(&format!("delete:{name}")).await?;
        match settled(call, name).await? {
            None => Ok(()),
            Some(cluster) => Err(broken(&noun(name), status(&cluster), &health(&cluster))),
        }
    }

    /// What must be so before a control plane goes to another version.
    async fn may_upgrade(&self, call: &Call<'_>, name: &str, from: &str, to: &str, anew: bool) -> Result<()> {
        let mut behind = Vec::new();
        for group in node_groups(call, name).await? {
            let asked =
                call.aws.eks.describe_nodegroup().cluster_name(name).nodegroup_name(&group).send().await;
            let answer = asked.map_err(|error| refused("eks:DescribeNodegroup", &group, error))?;
            let version = answer.nodegroup().and_then(|group| group.version()).unwrap_or(from).to_owned();
            if Minor::parse(&version) < Minor::parse(from) {
                behind.push(format!("{group} ({version})"));
            }
        }
        if !behind.is_empty() && !super::is_on(call.inputs, "force") {
            let message = format!(
                "the cluster {name} cannot go from {from} to {to} yet: node groups are still behind it: {}",
                behind.join(", ")
            );
            let help = format!("bring the node groups to {from} first, apply, and take the next step then");
            return Err(Error::invalid(message).at("version".into()).help(help));
        }
        let read = async {
            if anew {
                insights::refresh(call, name).await?;
            }
            insights::blockers(call, name, to).await
        };
        let blockers = match read.await {
            Ok(blockers) => blockers,
            // Where there are none to be had, none can be heeded.
            Err(error) if error.class == Class::NotFound => {
                call.context
                    .reporter
                    .warning(&format!("there are no upgrade insights of {name}: {}", error.message));
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        if blockers.is_empty() {
            return Ok(());
        }
        let error = insights::blocked(name, to, &blockers);
        if super::is_on(call.inputs, "force") {
            call.context.reporter.warning(&format!("{} (`force` is set)", error.message));
            return Ok(());
        }
        Err(error)
    }

    /// Brings one part to the inputs; `Waited` when something else went on meanwhile.
    async fn change(&self, call: &Call<'_>, name: &str, there: &Described, part: Part) -> Result<Begun> {
        if part == Part::Version {
            let (from, to) = (there.version().unwrap_or_default(), text(call.inputs, "version")?);
            versions::step(from, to, super::is_on(call.inputs, "rollback"))?;
            if Minor::parse(to) > Minor::parse(from) {
                self.may_upgrade(call, name, from, to, true).await?;
            }
        }
        Self::target(name).follow(call, parts::begin(call, name, part).await).await
    }
}

#[async_trait]
impl Handler for Cluster {
    fn spec(&self) -> &'static Spec {
        &fields::SPEC
    }

    fn rules(&self, inputs: &Value, _settings: &crate::Settings) -> Result<()> {
        fields::rules(inputs)
    }

    fn diff(&self, recorded: &Recorded, desired: &Value) -> Result<Diff> {
        let (before, after) = (self.comparable(&recorded.inputs), self.comparable(desired));
        let schema = self.spec().schema();
        let diff = Diff::structural(&schema, &before, &after);
        if !matches!(diff, Diff::Update(_)) {
            return Ok(diff);
        }
        let asked = desired.text_at("version").unwrap_or_default();
        let noted = [&recorded.inputs, &recorded.outputs];
        let known = noted.into_iter().filter_map(|noted| noted.text_at("version"));
        // EKS may have upgraded it by itself since.
        if let Some(newest) = known.max_by_key(|version| Minor::parse(version)) {
            let rollback = super::is_on(desired, "rollback");
            let unchanged = recorded.inputs.text_at("version") == Some(asked);
            if !unchanged {
                versions::step(newest, asked, rollback)?;
            }
        }
        parts::one_way(&before, &after)?;
        Ok(more::with_lasting_role(parts::with_lasting_key(diff)))
    }

    fn comparable(&self, inputs: &Value) -> Value {
        let mut inputs = without(inputs, NOT_COMPARED);
        let ranges: Option<Vec<Value>> = inputs.get("publicCidrs").and_then(Value::as_list).map(|list| {
            let first = |text: &str| cidr::network(text).unwrap_or_else(|| text.to_owned());
            list.iter().map(|range| range.as_str().map_or(range.clone(), |text| first(text).into())).collect()
        });
        match ranges {
            // They have no meaning while the address is not public, and EKS may keep older ones.
            _ if inputs.get("publicAccess") == Some(&Value::Bool(false)) => {
                inputs.remove(&"publicCidrs".into());
            }
            Some(ranges) => inputs.set(&"publicCidrs".into(), Value::List(ranges)),
            None => {}
        }
        more::comparable(&mut inputs);
        inputs
    }

    fn predict(&self, inputs: &Value, recorded: Option<&Recorded>) -> Value {
        let known = |key: &str| inputs.get(key).cloned().unwrap_or(Value::Unknown);
        let mut outputs = recorded.map_or_else(Value::map, |recorded| recorded.outputs.clone());
        for key in LATER {
            // One that an interrupted run was making has not told everything yet.
            if outputs.get(key).is_none() {
                outputs.set(&(*key).into(), Value::Unknown);
            }
        }
        outputs.set(&"name".into(), known("name"));
        outputs.set(&"version".into(), known("version"));
        outputs
    }

    fn lanes(&self, inputs: &Value) -> Vec<Lane> {
        lane(inputs.text_at("name"), true)
    }

    /// EKS upgrades clusters by itself at the end of their support: that is not undone.
    fn tolerates(&self, change: &Change) -> bool {
        let minor = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).and_then(Minor::parse);
        change.path.to_string() == "version" && minor(&change.after) > minor(&change.before)
    }

    fn is_worth_asking(&self, request: &PreviewRequest<'_>) -> bool {
        let version = |inputs: &Value| inputs.text_at("version").and_then(Minor::parse);
        version(request.inputs).is_some_and(|wanted| {
            request.recorded.is_none_or(|recorded| version(&recorded.inputs).is_some_and(|was| wanted > was))
        })
    }

    async fn preview(&self, call: &Call<'_>, request: &PreviewRequest<'_>) -> Result<Preview> {
        let Some(to) = request.inputs.text_at("version") else { return Ok(Preview::default()) };
        let name =
            request.recorded.filter(|_| !request.replaces).and_then(|_| request.inputs.text_at("name"));
        if let Some(name) = name
            && let Some(cluster) = describe(call, name).await?
        {
            let from = cluster.version().unwrap_or_default();
            if Minor::parse(from) >= Minor::parse(to) {
                return Ok(Preview::default());
            }
            versions::step(from, to, false)?;
            self.may_upgrade(call, name, from, to, false).await?;
        }
        Ok(Preview { warnings: support::notes(call, to).await?, ..Preview::default() })
    }

    async fn there(&self, call: &Call<'_>) -> Result<Option<There>> {
        let cluster = describe(call, text(call.inputs, "name")?).await?;
        let cluster = cluster.filter(|cluster| cluster.status() != Some(&ClusterStatus::Deleting));
        Ok(cluster.map(|cluster| live(call, &cluster)))
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        self.make(call, text(call.inputs, "name")?).await
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        let name = call.inputs.text_at("name").unwrap_or_else(|| super::last_part(id));
        Ok(describe(call, name).await?.map(|cluster| live(call, &cluster).live))
    }

    async fn update(&self, call: &Call<'_>, recorded: &Recorded) -> Result<Applied> {
        let name = text(call.inputs, "name")?;
        let inputs = more::with_dropped(call.inputs, &recorded.inputs);
        let call = &Call { inputs: &inputs, ..*call };
        Self::target(name).resume(call).await?;
        let mut tries: BTreeMap<Part, u32> = BTreeMap::new();
        loop {
            let there = settled(call, name).await?.ok_or_else(|| gone(&noun(name)))?;
            if there.status() == Some(&ClusterStatus::Failed) {
                // One that was never made has nothing to lose, and can only be made anew.
                if there.endpoint().is_some() {
                    return Err(broken(&noun(name), "FAILED", &health(&there)));
                }
                let why = health(&there);
                call.context
                    .reporter
                    .warning(&format!("the cluster {name} was never made ({why}); it is made anew"));
                self.remove(call, name).await?;
                return self.make(call, name).await;
            }
            let live = live(call, &there);
            settle_tags(call, &live.live.id, &live.tags).await?;
            let (held, wanted) = (self.comparable(&live.live.inputs), self.comparable(call.inputs));
            let Some(part) = parts::first_difference(&held, &wanted) else {
                return Ok(Applied { id: live.live.id, outputs: live.live.outputs });
            };
            if let Begun::Done = self.change(call, name, &there, part).await? {
                let tried = tries.entry(part).or_default();
                *tried += 1;
                if *tried > 3 {
                    return Err(Error::invalid(format!(
                        "the cluster {name} does not keep a change of its {part}: EKS accepts it and shows the old state"
                    )));
                }
            }
        }
    }

    fn may_refuse_to_go(&self) -> bool {
        true
    }

    async fn refuses_to_go(&self, call: &Call<'_>, _id: &str, going: &[&Recorded]) -> Result<()> {
        let name = text(call.inputs, "name")?;
        let Some(cluster) = describe(call, name).await? else { return Ok(()) };
        if cluster.status() == Some(&ClusterStatus::Deleting) {
            return Ok(());
        }
        unprotected(&cluster, name)?;
        let goes = |group: &str| {
            going.iter().any(|going| {
                going.urn.kind() == "aws:eks/NodeGroup"
                    && names_cluster(&going.inputs, Some(name))
                    && going.inputs.text_at("name") == Some(group)
            })
        };
        no_strangers(name, &staying_groups(call, name).await?, goes)
    }

    async fn delete(&self, call: &Call<'_>, _recorded: &Recorded) -> Result<()> {
        let name = text(call.inputs, "name")?;
        let Some(cluster) = describe(call, name).await? else { return Ok(()) };
        if cluster.status() != Some(&ClusterStatus::Deleting) {
            unprotected(&cluster, name)?;
            no_strangers(name, &staying_groups(call, name).await?, |_| false)?;
            wait_for_groups(call, name).await?;
        }
        self.remove(call, name).await
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let there = self.there(call).await?;
        Ok(there.filter(|there| marks::owner(call.urn, &there.tags) == Owner::Ours).map(|there| there.live))
    }
}

fn unprotected(cluster: &Described, name: &str) -> Result<()> {
    if cluster.deletion_protection() != Some(true) {
        return Ok(());
    }
    Err(Error::invalid(format!("the cluster {name} is protected against deletion"))
        .at("deletionProtection".into())
        .help("set `deletionProtection: false` and apply; then it can be deleted"))
}

/// The node groups of a cluster that are not on their way out.
async fn staying_groups(call: &Call<'_>, name: &str) -> Result<Vec<String>> {
    let mut staying = Vec::new();
    for group in node_groups(call, name).await? {
        let asked = call.aws.eks.describe_nodegroup().cluster_name(name).nodegroup_name(&group).send().await;
        match asked {
            Ok(answer)
                if answer.nodegroup().and_then(|group| group.status())
                    == Some(&aws_sdk_eks::types::NodegroupStatus::Deleting) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(refused("eks:DescribeNodegroup", &group, error)),
            Ok(_) => staying.push(group),
        }
    }
    Ok(staying)
}

fn no_strangers(name: &str, staying: &[String], goes: impl Fn(&str) -> bool) -> Result<()> {
    let strangers: Vec<&str> = staying.iter().map(String::as_str).filter(|group| !goes(group)).collect();
    if strangers.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the cluster {name} still has node groups that this stack did not make: {}",
        strangers.join(", ")
    );
    Err(Error::new(Class::Conflict, message)
        .help("delete them (`aws eks delete-nodegroup`), or import them into the stack, and run again"))
}

/// Node groups that are on their way out hold the cluster until they are gone.
async fn wait_for_groups(call: &Call<'_>, name: &str) -> Result<()> {
    until(call.context, call.settings.poll, || async {
        let groups = node_groups(call, name).await?;
        Ok(match groups.is_empty() {
            true => Look::Done(()),
            false => Look::Waiting(format!("node groups of {name} are being deleted: {}", groups.join(", "))),
        })
    })
    .await
}

/// The token and tags of a new cluster, for [`parts`].
fn token_and_tags(call: &Call<'_>) -> (String, std::collections::HashMap<String, String>) {
    (client_token(call, "create"), all_tags(call))
}
