//! Amazon EKS in memory, as far as it concerns whoever makes clusters: what takes time takes time, one change of a cluster
//! happens at a time, and things go wrong on demand. The servers that other people wrote know neither updates of a version
//! nor what became of an update.
//!
//! It answers in the documented wire format (REST with JSON); the official SDK is what it is tried with. Requests to other
//! services of Amazon are passed on to another server, if there is one; which service is meant, their signature says. Of
//! CloudFormation it knows what that one does not: drift inside of stacks, and its reversal.

mod access;
mod add_on;
mod cloudformation;
mod cluster;
mod insight;
mod node_group;
mod update;
mod wire;
mod world;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::proxy::Background;
pub use cloudformation::StackDrift;
use cloudformation::Turn;
use wire::Reply;
use world::World;

/// How long what takes ten minutes at Amazon takes here, unless a test says otherwise.
const PACE: Duration = Duration::from_millis(120);
/// The account that everything belongs to; moto's as well.
const ACCOUNT: &str = "123456789012";

/// A call as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCall {
    /// The service, by its signature: `eks`, `iam`, `s3`.
    pub service: String,
    /// The operation, such as `CreateCluster`; empty for other services.
    pub operation: String,
    /// Method and path.
    pub target: String,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsFault {
    /// It is carried out.
    Pass,
    /// It is refused with this status, code and message.
    Refuse(u16, &'static str, String),
    /// It is carried out, and the answer is this one nevertheless.
    RefuseAfter(u16, &'static str, String),
}

impl AwsFault {
    /// Too many requests.
    pub fn throttled() -> Self {
        Self::Refuse(429, "ThrottlingException", "Rate exceeded".to_owned())
    }

    /// The credentials are over.
    pub fn expired() -> Self {
        Self::Refuse(
            403,
            "ExpiredTokenException",
            "The security token included in the request is expired".to_owned(),
        )
    }

    /// The caller may not do this.
    pub fn denied(action: &str) -> Self {
        let said = format!(
            "User: arn:aws:iam::{ACCOUNT}:user/ci is not authorized to perform: {action} on resource: arn:aws:eks:eu-central-1:{ACCOUNT}:cluster/dev"
        );
        Self::Refuse(403, "AccessDeniedException", said)
    }
}

type Judge = Box<dyn FnMut(&AwsCall) -> AwsFault + Send>;

struct Shared {
    world: Mutex<World>,
    judge: Mutex<Judge>,
    seen: Mutex<Vec<AwsCall>>,
    other: Option<String>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stand-in for Amazon EKS. Ends when it is dropped.
pub struct Eks {
    background: Background,
    shared: Arc<Shared>,
}

/// Who pods are: the part of EKS that answers to the webhook in its clusters.
#[derive(Clone)]
pub struct PodIdentities(Arc<Shared>);

impl PodIdentities {
    /// Since when the pods of a service account have a role, in seconds since 1970.
    pub fn since(&self, cluster: &str, namespace: &str, account: &str) -> Option<f64> {
        let world = self.0.world();
        let associations = &world.clusters.get(cluster)?.associations;
        let fits = |doc: &Value| doc["namespace"] == namespace && doc["serviceAccount"] == account;
        associations.values().find(|thing| fits(&thing.doc))?.doc["createdAt"].as_f64()
    }
}

impl std::fmt::Debug for Eks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eks").field("background", &self.background).finish_non_exhaustive()
    }
}

impl Default for Eks {
    fn default() -> Self {
        Self::new()
    }
}

impl Eks {
    /// Starts one that knows no other service than STS.
    pub fn new() -> Self {
        Self::start(None)
    }

    /// Starts one that passes requests to other services on to the server at `http://host:port`.
    pub fn before(url: &str) -> Self {
        Self::start(Some(url.trim_end_matches('/').to_owned()))
    }

    fn start(other: Option<String>) -> Self {
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(PACE)),
            judge: Mutex::new(Box::new(|_| AwsFault::Pass)),
            seen: Mutex::default(),
            other,
            client: Client::builder(TokioExecutor::new()).build_http(),
        });
        let state = Arc::clone(&shared);
        let background = Background::start(move |listener| async move {
            let router = axum::Router::new()
                .fallback(serve)
                .layer(axum::extract::DefaultBodyLimit::disable())
                .with_state(state);
            let _ = axum::serve(listener, router).await;
        });
        Self { background, shared }
    }

    /// Where it listens: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        self.background.url()
    }

    /// How long what takes minutes at Amazon takes from now on.
    pub fn pace(&self, pace: Duration) {
        self.shared.world().pace = pace;
    }

    /// The address and the certificate authority (PEM in base64) that new clusters tell.
    pub fn kubernetes(&self, endpoint: &str, authority: &str) {
        let mut world = self.shared.world();
        world.endpoint = Some((endpoint.to_owned(), authority.to_owned()));
    }

    /// Who pods are in its clusters.
    pub fn identities(&self) -> PodIdentities {
        PodIdentities(Arc::clone(&self.shared))
    }

    /// Decides from now on what becomes of each call.
    pub fn judge(&self, judge: impl FnMut(&AwsCall) -> AwsFault + Send + 'static) {
        *self.shared.judge.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(judge);
    }

    /// Every call since the last time that this was asked.
    pub fn take_seen(&self) -> Vec<AwsCall> {
        std::mem::take(&mut self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the next create of the thing with this name end in failure, with this health issue.
    pub fn create_fails(&self, name: &str, code: &str, message: &str) {
        let issue = (code.to_owned(), message.to_owned());
        self.shared.world().failing_creates.insert(name.to_owned(), issue);
    }

    /// Lets the next update of this type (`VersionUpdate`) end in failure, with this error.
    pub fn update_fails(&self, kind: &str, code: &str, message: &str) {
        let error = (code.to_owned(), message.to_owned());
        self.shared.world().failing_updates.insert(kind.to_owned(), error);
    }

    /// Begins an update of a cluster as if somebody else had, and returns its id.
    ///
    /// # Panics
    /// When there is no such cluster.
    pub fn somebody_updates(&self, cluster: &str, time: Duration) -> String {
        self.shared.world().foreign_update(cluster, time).expect("a cluster of that name")
    }

    /// Lets EKS advise against upgrading clusters to a version.
    pub fn advise_against(&self, version: &str, name: &str, reason: &str) {
        let insight = (version.to_owned(), name.to_owned(), reason.to_owned());
        self.shared.world().advice.push(insight);
    }

    /// Lets a version of Kubernetes be one of extended support, which costs more.
    pub fn extended_support(&self, version: &str) {
        self.shared.world().extended.push(version.to_owned());
    }

    /// Every operation that it knows.
    pub fn operations() -> Vec<&'static str> {
        OPERATIONS.iter().map(|(_, _, operation)| *operation).collect()
    }

    /// Forgets all advice.
    pub fn clear_advice(&self) {
        self.shared.world().advice.clear();
    }

    /// What a cluster is described as; changes made to it are those of somebody behind everybody's back.
    ///
    /// # Panics
    /// When there is no such cluster.
    pub fn tamper(&self, cluster: &str, change: impl FnOnce(&mut Value)) {
        let mut world = self.shared.world();
        change(&mut world.clusters.get_mut(cluster).expect("a cluster of that name").doc);
    }

    /// Changes something inside a CloudFormation stack behind its back; a change set that reverts drift brings it back.
    pub fn drifts(&self, stack: &str, drift: StackDrift) {
        self.shared.world().drifts.entry(stack.to_owned()).or_default().push(drift);
    }

    /// The names of everything there is: clusters, and what is in them.
    pub fn inventory(&self) -> Vec<String> {
        let mut world = self.shared.world();
        world.advance();
        world.inventory()
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return Response::default() };
    let (service, region) = wire::scope(&parts.headers);
    let path = parts.uri.path().to_owned();
    let query = wire::query(parts.uri.query().unwrap_or_default());
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(wire::decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let operation = if service == "eks" { operation(&parts.method, &segments) } else { "" };
    let call = AwsCall {
        service: service.clone(),
        operation: operation.to_owned(),
        target: format!("{} {path}", parts.method),
    };
    let fault = shared.judge.lock().unwrap_or_else(PoisonError::into_inner)(&call);
    shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    if let AwsFault::Refuse(status, code, message) = &fault {
        return wire::refusal(&service, *status, code, message);
    }
    let answer = match (service.as_str(), &shared.other) {
        ("eks", _) => {
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let ask = Ask { operation, segments: &segments, query: &query, body: &body, region: &region };
            let mut world = shared.world();
            world.advance();
            match answer(&mut world, &ask) {
                Ok(value) => wire::json(&value),
                Err(refused) => wire::refusal_of(&refused),
            }
        }
        ("cloudformation", Some(other)) => {
            let form = wire::query(&String::from_utf8_lossy(&body));
            let turn = cloudformation::turn(&mut shared.world(), &form);
            match turn {
                Turn::Theirs => pass_on(&shared, other, parts, body).await,
                Turn::Answered(answer) => answer,
                Turn::Instead(instead, answer) => {
                    parts.headers.remove("content-length");
                    let done = pass_on(&shared, other, parts, instead.into()).await;
                    if done.status().is_success() { answer } else { done }
                }
            }
        }
        (_, Some(other)) => pass_on(&shared, other, parts, body).await,
        ("sts", None) => wire::caller_identity(ACCOUNT),
        (service, None) => wire::refusal(service, 501, "NotImplemented", "there is only EKS here"),
    };
    match fault {
        AwsFault::RefuseAfter(status, code, message) => wire::refusal(&service, status, code, &message),
        _ => answer,
    }
}

async fn pass_on(shared: &Shared, other: &str, mut parts: http::request::Parts, body: Bytes) -> Response {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("{other}{path}").parse() else { return Response::default() };
    parts.uri = uri;
    match shared.client.request(Request::from_parts(parts, Full::new(body))).await {
        Ok(reply) => {
            let (parts, body) = reply.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            Response::from_parts(parts, Body::from(body))
        }
        Err(error) => wire::refusal("", 502, "BadGateway", &error.to_string()),
    }
}

/// A request to EKS.
struct Ask<'a> {
    operation: &'static str,
    segments: &'a [&'a str],
    query: &'a HashMap<String, Vec<String>>,
    body: &'a Value,
    region: &'a str,
}

impl<'a> Ask<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        self.body[key].as_str()
    }

    fn asked(&self, key: &str) -> Option<&'a str> {
        self.query.get(key)?.first().map(String::as_str)
    }

    /// A part of the path; they are all there, since the operation was told by them.
    fn part(&self, at: usize) -> &'a str {
        self.segments.get(at).copied().unwrap_or_default()
    }
}

/// Method and path of every operation; `*` stands for one part of a path, `**` for all that follows.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("GET", "cluster-versions", "DescribeClusterVersions"),
    ("POST", "clusters", "CreateCluster"),
    ("GET", "clusters", "ListClusters"),
    ("GET", "clusters/*", "DescribeCluster"),
    ("DELETE", "clusters/*", "DeleteCluster"),
    ("POST", "clusters/*/update-config", "UpdateClusterConfig"),
    ("POST", "clusters/*/updates", "UpdateClusterVersion"),
    ("GET", "clusters/*/updates", "ListUpdates"),
    ("GET", "clusters/*/updates/*", "DescribeUpdate"),
    ("POST", "clusters/*/encryption-config/associate", "AssociateEncryptionConfig"),
    ("POST", "clusters/*/node-groups", "CreateNodegroup"),
    ("GET", "clusters/*/node-groups", "ListNodegroups"),
    ("GET", "clusters/*/node-groups/*", "DescribeNodegroup"),
    ("DELETE", "clusters/*/node-groups/*", "DeleteNodegroup"),
    ("POST", "clusters/*/node-groups/*/update-config", "UpdateNodegroupConfig"),
    ("POST", "clusters/*/node-groups/*/update-version", "UpdateNodegroupVersion"),
    ("POST", "clusters/*/addons", "CreateAddon"),
    ("GET", "clusters/*/addons", "ListAddons"),
    ("GET", "clusters/*/addons/*", "DescribeAddon"),
    ("DELETE", "clusters/*/addons/*", "DeleteAddon"),
    ("POST", "clusters/*/addons/*/update", "UpdateAddon"),
    ("GET", "addons/supported-versions", "DescribeAddonVersions"),
    ("POST", "clusters/*/access-entries", "CreateAccessEntry"),
    ("GET", "clusters/*/access-entries", "ListAccessEntries"),
    ("GET", "clusters/*/access-entries/*", "DescribeAccessEntry"),
    ("POST", "clusters/*/access-entries/*", "UpdateAccessEntry"),
    ("DELETE", "clusters/*/access-entries/*", "DeleteAccessEntry"),
    ("POST", "clusters/*/access-entries/*/access-policies", "AssociateAccessPolicy"),
    ("GET", "clusters/*/access-entries/*/access-policies", "ListAssociatedAccessPolicies"),
    ("DELETE", "clusters/*/access-entries/*/access-policies/*", "DisassociateAccessPolicy"),
    ("POST", "clusters/*/pod-identity-associations", "CreatePodIdentityAssociation"),
    ("GET", "clusters/*/pod-identity-associations", "ListPodIdentityAssociations"),
    ("GET", "clusters/*/pod-identity-associations/*", "DescribePodIdentityAssociation"),
    ("POST", "clusters/*/pod-identity-associations/*", "UpdatePodIdentityAssociation"),
    ("DELETE", "clusters/*/pod-identity-associations/*", "DeletePodIdentityAssociation"),
    ("POST", "clusters/*/insights", "ListInsights"),
    ("GET", "clusters/*/insights/*", "DescribeInsight"),
    ("POST", "clusters/*/insights-refresh", "StartInsightsRefresh"),
    ("GET", "clusters/*/insights-refresh", "DescribeInsightsRefresh"),
    ("POST", "tags/**", "TagResource"),
    ("GET", "tags/**", "ListTagsForResource"),
    ("DELETE", "tags/**", "UntagResource"),
];

fn operation(method: &Method, segments: &[&str]) -> &'static str {
    let fits = |path: &str| {
        let parts: Vec<&str> = path.split('/').collect();
        let rest = parts.last() == Some(&"**");
        (rest && segments.len() >= parts.len() || segments.len() == parts.len())
            && parts.iter().zip(segments).all(|(part, segment)| part.starts_with('*') || part == segment)
    };
    let found = OPERATIONS.iter().find(|(of, path, _)| *of == method.as_str() && fits(path));
    found.map_or("", |(_, _, operation)| operation)
}

fn answer(world: &mut World, ask: &Ask<'_>) -> Reply {
    match ask.operation {
        "DescribeClusterVersions" => cluster::versions(world, ask),
        "CreateCluster" => cluster::create(world, ask),
        "ListClusters" => cluster::list(world),
        "DescribeCluster" => cluster::describe(world, ask),
        "DeleteCluster" => cluster::delete(world, ask),
        "UpdateClusterConfig" => cluster::configure(world, ask),
        "UpdateClusterVersion" => cluster::upgrade(world, ask),
        "AssociateEncryptionConfig" => cluster::encrypt(world, ask),
        "ListUpdates" => update::list(world, ask),
        "DescribeUpdate" => update::describe(world, ask),
        "CreateNodegroup" => node_group::create(world, ask),
        "ListNodegroups" => node_group::list(world, ask),
        "DescribeNodegroup" => node_group::describe(world, ask),
        "DeleteNodegroup" => node_group::delete(world, ask),
        "UpdateNodegroupConfig" => node_group::configure(world, ask),
        "UpdateNodegroupVersion" => node_group::roll(world, ask),
        "CreateAddon" => add_on::create(world, ask),
        "ListAddons" => add_on::list(world, ask),
        "DescribeAddon" => add_on::describe(world, ask),
        "DeleteAddon" => add_on::delete(world, ask),
        "UpdateAddon" => add_on::update(world, ask),
        "DescribeAddonVersions" => add_on::versions(ask),
        "ListInsights" => insight::list(world, ask),
        "DescribeInsight" => insight::describe(world, ask),
        "StartInsightsRefresh" => insight::refresh(world, ask),
        "DescribeInsightsRefresh" => insight::refreshed(world, ask),
        "TagResource" | "ListTagsForResource" | "UntagResource" => world::tags(world, ask),
        other if other.contains("Access") => access::entry(world, ask),
        other if other.contains("PodIdentity") => access::association(world, ask),
        _ => Err(wire::refused(404, "NotFoundException", "there is no such operation")),
    }
}
