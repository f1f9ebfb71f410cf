//! Reading objects: one, the one that a create would have made, and many by one LIST per kind.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::StreamExt;
use futures::future::BoxFuture;
use http::Method;
use plinth_provider::{Class, Context, Error, Live, Path, ReadRequest, Recorded, Request, Result, Value};
use serde_json::{Value as Json, json};

use crate::apply::is_terminating;
use crate::cluster::{Cluster, Resource};
use crate::kind::Gvk;
use crate::normal::{self, DEFAULT_NAMESPACE};
use crate::outputs::{self, REWRITTEN};
use crate::owner::{self, Owner, owner_of};
use crate::provider::{Kubernetes, connection_key};
use crate::seal::seal;
use crate::tree;

/// How many objects a page of a LIST holds.
const PAGE: usize = 500;
/// How many requests run at once.
const CONCURRENT: usize = 8;

/// Where an object is.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub resource: Resource,
    pub namespace: Option<String>,
    pub name: String,
}

impl Target {
    /// Where the object of these inputs is; `None` when its kind is not served.
    pub(crate) async fn of(
        cluster: &Cluster,
        context: &Context,
        gvk: &Gvk,
        inputs: &Value,
    ) -> Result<Option<Self>> {
        match cluster.resource(context, gvk).await? {
            Some(resource) => Self::new(resource, gvk, inputs).map(Some),
            None => Ok(None),
        }
    }

    /// Where a recorded object is, in whatever version its kind is served now.
    pub(crate) async fn of_recorded(
        cluster: &Cluster,
        context: &Context,
        gvk: &Gvk,
        recorded: &Recorded,
    ) -> Result<Option<Self>> {
        let Some(resource) = cluster.resource_any_version(context, gvk).await? else { return Ok(None) };
        if recorded.inputs.text_at("metadata.name").is_none() {
            return Ok(Some(Self::of_id(resource, &recorded.id)));
        }
        Self::new(resource, gvk, &recorded.inputs).map(Some)
    }

    /// Where the object of an id is: all that is known of one that is to be imported.
    fn of_id(resource: Resource, id: &str) -> Self {
        let (namespace, name) = id.split_once('/').unwrap_or((DEFAULT_NAMESPACE, id));
        let namespace = resource.namespaced.then(|| namespace.to_owned());
        Self { resource, namespace, name: name.to_owned() }
    }

    fn new(resource: Resource, gvk: &Gvk, inputs: &Value) -> Result<Self> {
        let name = inputs
            .text_at("metadata.name")
            .ok_or_else(|| Error::invalid(format!("a {} without metadata.name", gvk.kind)))?
            .to_owned();
        let given = inputs.text_at("metadata.namespace").map(str::to_owned);
        let namespace = match (resource.namespaced, given) {
            (true, given) => Some(given.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())),
            (false, None) => None,
            (false, Some(_)) => {
                return Err(Error::invalid(format!("{} objects do not live in a namespace", gvk.kind))
                    .at("metadata.namespace".into())
                    .help("remove metadata.namespace"));
            }
        };
        Ok(Self { resource, namespace, name })
    }

    pub(crate) fn path(&self) -> String {
        self.resource.object(self.namespace.as_deref(), &self.name)
    }

    /// `namespace/name`, or the name alone.
    pub(crate) fn id(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What is told of a live object. `inputs` are those that it was made with: what is secret in them stays secret.
pub(crate) fn live(gvk: &Gvk, target: &Target, object: &Json, inputs: &Value) -> Live {
    Live {
        id: target.id(),
        outputs: seal(outputs::of_live(gvk, object), inputs),
        inputs: seal(normal::project(gvk, object), inputs),
        details: json!({
            "managedFields": tree::at(object, "metadata.managedFields").cloned().unwrap_or(Json::Null),
            "deleting": is_terminating(object),
            "lastApplied": last_applied(gvk, object),
        }),
    }
}

/// What a client-side applier has applied last; of a Secret only which keys there were.
fn last_applied(gvk: &Gvk, object: &Json) -> Json {
    let text = tree::annotation(object, crate::apply::handover::LAST_APPLIED).unwrap_or_default();
    let mut applied: Json = serde_json::from_str(text).unwrap_or_default();
    if gvk.is("", "Secret") {
        for field in ["data", "stringData"] {
            for (_, value) in applied.get_mut(field).and_then(Json::as_object_mut).into_iter().flatten() {
                *value = Json::Null;
            }
        }
    }
    applied
}

/// Like [`live`], of something recorded: what admission rewrote when it was written is still known of it.
fn live_recorded(gvk: &Gvk, target: &Target, object: &Json, recorded: &Recorded) -> Live {
    let mut live = live(gvk, target, object, &recorded.inputs);
    if let Some(rewritten) = recorded.outputs.get(REWRITTEN) {
        live.outputs.set(&Path::root().key(REWRITTEN), rewritten.clone());
    }
    live
}

/// Whether what lies at the recorded place is what was recorded: the same object, or one with our marks.
fn is_recorded(object: &Json, recorded: &Recorded) -> bool {
    match recorded.outputs.text_at("metadata.uid") {
        Some(uid) if tree::text(object, "metadata.uid") != Some(uid) => {
            owner_of(object, &recorded.urn) == Owner::Ours
        }
        _ => true,
    }
}

/// Reads one object.
pub(crate) async fn one(cluster: &Cluster, context: &Context, recorded: &Recorded) -> Result<Option<Live>> {
    let gvk = Gvk::parse(recorded.urn.kind())?;
    let Some(target) = Target::of_recorded(cluster, context, &gvk, recorded).await? else {
        return Ok(None);
    };
    match cluster.get(context, &target.path()).await? {
        Some(object) if is_recorded(&object, recorded) => {
            Ok(Some(live_recorded(&gvk, &target, &object, recorded)))
        }
        Some(_) => Ok(None),
        None => Ok(finished(&gvk, &target, recorded)),
    }
}

/// A Job that removes itself some time after it finished has done its work: it is not missed.
fn finished(gvk: &Gvk, target: &Target, recorded: &Recorded) -> Option<Live> {
    let removes_itself = gvk.is("batch", "Job")
        && recorded.inputs.at(&Path::parse("spec.ttlSecondsAfterFinished")).is_some()
        && recorded.outputs.text_at("metadata.uid").is_some();
    removes_itself.then(|| Live {
        id: target.id(),
        outputs: recorded.outputs.clone(),
        inputs: recorded.inputs.clone(),
        details: json!({"finished": true}),
    })
}

/// Finds what a create of this request would have made.
pub(crate) async fn find(cluster: &Cluster, context: &Context, request: Request<'_>) -> Result<Option<Live>> {
    let gvk = Gvk::parse(request.urn.kind())?;
    let Some(target) = Target::of(cluster, context, &gvk, request.inputs).await? else {
        return Ok(None);
    };
    let object = cluster.get(context, &target.path()).await?;
    Ok(object
        .filter(|object| owner_of(object, request.urn) == Owner::Ours && !is_terminating(object))
        .map(|object| live(&gvk, &target, &object, request.inputs)))
}

type Answer = Result<Option<Live>>;

/// Reads many objects: those of one kind by one LIST of what carries the stack's label.
pub(crate) async fn many(
    provider: &Kubernetes,
    context: &Context,
    requests: &[ReadRequest<'_>],
) -> Vec<Answer> {
    let mut groups: BTreeMap<(String, &str, &str), Vec<usize>> = BTreeMap::new();
    for (at, request) in requests.iter().enumerate() {
        let recorded = request.recorded;
        let key = (connection_key(recorded.connection.as_ref()), recorded.urn.kind(), recorded.urn.stack());
        groups.entry(key).or_default().push(at);
    }
    let mut answers: Vec<Option<Answer>> = requests.iter().map(|_| None).collect();
    let mut work: Vec<BoxFuture<'_, (Vec<usize>, Vec<Answer>)>> = Vec::with_capacity(groups.len());
    for group in groups.into_values() {
        let recorded: Vec<&Recorded> = group.iter().map(|at| requests[*at].recorded).collect();
        work.push(Box::pin(async move {
            let found = kind(provider, context, &recorded).await;
            (group, found)
        }));
    }
    let mut done = futures::stream::iter(work).buffer_unordered(CONCURRENT);
    while let Some((group, found)) = done.next().await {
        for (at, answer) in group.into_iter().zip(found) {
            answers[at] = Some(answer);
        }
    }
    drop(done);
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|| Err(Error::unavailable("the object was not read"))))
        .collect()
}

/// The objects of one kind, stack and connection.
async fn kind(provider: &Kubernetes, context: &Context, recorded: &[&Recorded]) -> Vec<Answer> {
    let all = |error: Error| recorded.iter().map(|_| Err(error.clone())).collect::<Vec<_>>();
    let Some(first) = recorded.first() else { return Vec::new() };
    let cluster = match provider.cluster(context, first.connection.as_ref()).await {
        Ok(cluster) => cluster,
        // With the cluster, everything in it is gone.
        Err(error) if error.class == Class::NotFound => return recorded.iter().map(|_| Ok(None)).collect(),
        Err(error) => return all(error),
    };
    let listed =
        if recorded.len() > 1 { list(&cluster, context, recorded).await } else { Ok(HashMap::new()) };
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => return all(error),
    };
    let mut work: Vec<BoxFuture<'_, Answer>> = Vec::with_capacity(recorded.len());
    for recorded in recorded {
        work.push(Box::pin(pick(&cluster, context, &listed, recorded)));
    }
    futures::stream::iter(work).buffered(CONCURRENT).collect().await
}

/// The object from the list; what lost its label is looked up singly.
async fn pick(cluster: &Cluster, context: &Context, listed: &Listed, recorded: &Recorded) -> Answer {
    let gvk = Gvk::parse(recorded.urn.kind())?;
    let name = recorded.inputs.text_at("metadata.name").unwrap_or_default();
    let places = match recorded.inputs.text_at("metadata.namespace") {
        Some(namespace) => vec![namespace],
        // A custom resource without one lives in the default namespace or in none.
        None => vec!["", DEFAULT_NAMESPACE],
    };
    let found = places.into_iter().find_map(|namespace| listed.get(&(namespace.to_owned(), name.to_owned())));
    match found {
        Some((target, object)) if is_recorded(object, recorded) => {
            Ok(Some(live_recorded(&gvk, target, object, recorded)))
        }
        _ => one(cluster, context, recorded).await,
    }
}

type Listed = HashMap<(String, String), (Target, Json)>;

/// Every object of the kind with the stack's label, by namespace and name: by one LIST, or, where that is not allowed,
/// by one in each namespace. Empty when neither is.
async fn list(cluster: &Cluster, context: &Context, recorded: &[&Recorded]) -> Result<Listed> {
    let mut found = Listed::new();
    let Some(like) = recorded.first() else { return Ok(found) };
    let gvk = Gvk::parse(like.urn.kind())?;
    let Some(resource) = cluster.resource_any_version(context, &gvk).await? else { return Ok(found) };
    if pages(cluster, context, &resource, None, like.urn.stack(), &mut found).await? || !resource.namespaced {
        return Ok(found);
    }
    let namespaces: BTreeSet<&str> = recorded
        .iter()
        .map(|recorded| recorded.inputs.text_at("metadata.namespace").unwrap_or(DEFAULT_NAMESPACE))
        .collect();
    for namespace in namespaces {
        pages(cluster, context, &resource, Some(namespace), like.urn.stack(), &mut found).await?;
    }
    Ok(found)
}

/// Lists page by page; false when listing there is not allowed, or nothing is served.
async fn pages(
    cluster: &Cluster,
    context: &Context,
    resource: &Resource,
    namespace: Option<&str>,
    stack: &str,
    found: &mut Listed,
) -> Result<bool> {
    let selector = format!("{}%3D{stack}", owner::STACK.replace('/', "%2F"));
    let mut next = String::new();
    loop {
        let path = format!("{}?limit={PAGE}&labelSelector={selector}{next}", resource.collection(namespace));
        let page = match cluster.send(context, Method::GET, &path, None).await?.success() {
            Ok(page) => page,
            Err(status) if matches!(status.code, 403 | 404) => return Ok(false),
            // The list has become too old to be continued; what is missing is looked up singly.
            Err(status) if status.code == 410 => return Ok(true),
            Err(status) => return Err(status.into_error(false)),
        };
        for object in tree::items(&page, "items") {
            let text = |path| tree::text(object, path).unwrap_or_default().to_owned();
            let (namespace, name) = (text("metadata.namespace"), text("metadata.name"));
            let target = Target {
                resource: resource.clone(),
                namespace: resource.namespaced.then(|| namespace.clone()),
                name: name.clone(),
            };
            found.insert((namespace, name), (target, object.clone()));
        }
        match tree::text(&page, "metadata.continue").filter(|token| !token.is_empty()) {
            Some(token) => next = format!("&continue={}", crate::cluster::escaped(token)),
            None => return Ok(true),
        }
    }
}
