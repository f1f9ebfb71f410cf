//! What already stands where a create would make an object, and what cannot outlive what.
//!
//! Most of what a plan makes lies in namespaces that are not there yet, or is of kinds that it makes many of: one question
//! about a namespace, or one list of names, answers for all of it. What is found to be there is read in full.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::future::{BoxFuture, join_all};
use plinth_provider::{Context, Live, Occupant, Owner as Whose, Path, Recorded, Request, Result};

use crate::apply::is_terminating;
use crate::cluster::Cluster;
use crate::kind::Gvk;
use crate::owner::{Owner, owner_of};
use crate::provider::{Kubernetes, connection_key};
use crate::read::{Target, live};
use crate::tree;

/// How many objects are asked for at once.
const CONCURRENT: usize = 64;
/// From how many objects on a list of names is cheaper than asking for each.
const LIST_FROM: usize = 4;
/// How many names a list may hold. Where there are more, ours are asked for one by one.
const LIST_MOST: usize = 500;

type Answer = Result<Option<Occupant>>;

/// Asks for the object of every request whose name is known, cluster by cluster.
pub(crate) async fn occupants(
    provider: &Kubernetes,
    context: &Context,
    requests: &[Request<'_>],
) -> Vec<Answer> {
    let mut clusters: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, request) in requests.iter().enumerate() {
        clusters.entry(connection_key(request.connection)).or_default().push(at);
    }
    let mut answers: Vec<Answer> = requests.iter().map(|_| Ok(None)).collect();
    let mut work: Vec<BoxFuture<'_, (Vec<usize>, Vec<Answer>)>> = Vec::with_capacity(clusters.len());
    for group in clusters.into_values() {
        let asked: Vec<Request<'_>> = group.iter().map(|at| requests[*at]).collect();
        work.push(Box::pin(async move {
            let found = on_cluster(provider, context, &asked).await;
            (group, found)
        }));
    }
    for (group, found) in join_all(work).await {
        for (at, answer) in group.into_iter().zip(found) {
            answers[at] = answer;
        }
    }
    answers
}

async fn on_cluster(provider: &Kubernetes, context: &Context, asked: &[Request<'_>]) -> Vec<Answer> {
    let Some(first) = asked.first() else { return Vec::new() };
    let cluster = match provider.cluster(context, first.connection).await {
        Ok(cluster) => cluster,
        Err(error) => return asked.iter().map(|_| Err(error.clone())).collect(),
    };
    let mut targets = Vec::with_capacity(asked.len());
    for request in asked {
        targets.push(target(&cluster, context, request).await);
    }
    let absent = absent(&cluster, context, &targets).await;
    let mut work: Vec<BoxFuture<'_, Answer>> = Vec::with_capacity(asked.len());
    for (request, target) in asked.iter().zip(targets) {
        let (cluster, absent) = (&cluster, &absent);
        work.push(Box::pin(async move {
            match target? {
                Some(target) if !absent.holds(&target) => occupant(cluster, context, request, &target).await,
                _ => Ok(None),
            }
        }));
    }
    futures::stream::iter(work).buffered(CONCURRENT).collect().await
}

/// Where the object of a request would be, if that is known and its kind is served.
async fn target(cluster: &Cluster, context: &Context, request: &Request<'_>) -> Result<Option<Target>> {
    if request.inputs.text_at("metadata.name").is_none() {
        return Ok(None);
    }
    Target::of(cluster, context, &Gvk::parse(request.urn.kind())?, request.inputs).await
}

/// What is known not to be there.
#[derive(Default)]
struct Absent {
    namespaces: BTreeSet<String>,
    /// The names that there are, by collection: what is not among them is not there.
    listed: BTreeMap<String, BTreeSet<String>>,
}

impl Absent {
    fn holds(&self, target: &Target) -> bool {
        target.namespace.as_ref().is_some_and(|namespace| self.namespaces.contains(namespace))
            || self.listed.get(&collection(target)).is_some_and(|names| !names.contains(&target.name))
    }
}

fn collection(target: &Target) -> String {
    target.resource.collection(target.namespace.as_deref())
}

/// Finds out about many at once. What may not be asked for so is not known to be absent.
async fn absent(cluster: &Cluster, context: &Context, targets: &[Result<Option<Target>>]) -> Absent {
    let targets: Vec<&Target> =
        targets.iter().filter_map(|target| target.as_ref().ok().and_then(Option::as_ref)).collect();
    let mut absent = Absent::default();
    let namespaces: BTreeMap<&str, usize> = counted(targets.iter().filter_map(|t| t.namespace.as_deref()));
    let looks = namespaces.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| async move {
        let path = format!("/api/v1/namespaces/{name}");
        matches!(cluster.get_metadata(context, &path).await, Ok(None)).then(|| name.to_owned())
    });
    absent.namespaces = join_all(looks).await.into_iter().flatten().collect();
    let left: Vec<String> =
        targets.iter().filter(|target| !absent.holds(target)).map(|target| collection(target)).collect();
    let collections = counted(left.iter().map(String::as_str));
    let lists =
        collections.into_iter().filter(|(_, count)| *count >= LIST_FROM).map(|(path, _)| async move {
            let list = cluster.get_metadata(context, &format!("{path}?limit={LIST_MOST}")).await.ok()??;
            if tree::text(&list, "metadata.continue").is_some_and(|more| !more.is_empty()) {
                return None;
            }
            let names = tree::items(&list, "items").filter_map(|item| tree::text(item, "metadata.name"));
            Some((path.to_owned(), names.map(str::to_owned).collect()))
        });
    let lists: Vec<_> = lists.map(|list| -> BoxFuture<'_, _> { Box::pin(list) }).collect();
    absent.listed =
        futures::stream::iter(lists).buffered(CONCURRENT).filter_map(std::future::ready).collect().await;
    absent
}

fn counted<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

async fn occupant(cluster: &Cluster, context: &Context, request: &Request<'_>, target: &Target) -> Answer {
    let gvk = Gvk::parse(request.urn.kind())?;
    let Some(object) = cluster.get(context, &target.path()).await? else { return Ok(None) };
    if is_terminating(&object) {
        return Ok(None);
    }
    let owner = match owner_of(&object, request.urn) {
        Owner::Ours => Whose::Ours,
        Owner::Nobody => Whose::Nobody,
        Owner::Other { stack, urn } => Whose::Other { stack, urn },
    };
    let live: Live = live(&gvk, target, &object, request.inputs);
    Ok(Some(Occupant { live, owner }))
}

/// Whether the one goes with the other: what is in a namespace, and the objects of a definition.
pub(crate) fn lives_in(dependent: &Recorded, dependency: &Recorded) -> bool {
    let (Ok(inner), Ok(outer)) = (Gvk::parse(dependent.urn.kind()), Gvk::parse(dependency.urn.kind())) else {
        return false;
    };
    if outer.is("", "Namespace") {
        let namespace = dependent.inputs.text_at("metadata.namespace");
        return namespace.is_some() && namespace == dependency.inputs.text_at("metadata.name");
    }
    outer.is("apiextensions.k8s.io", "CustomResourceDefinition")
        && dependency.inputs.text_at("spec.group") == Some(inner.group.as_str())
        && dependency.inputs.at(&Path::parse("spec.names.kind")).and_then(|kind| kind.as_str())
            == Some(inner.kind.as_str())
}
