//! Waiting until an object is ready: a watch from the version that the write returned, so that nothing in between is
//! lost, and a read every few seconds, because watches die silently.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt, stream::BoxStream};
use http::{Method, Request};
use plinth_provider::{Class, Context, Error, Result};
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::apply::is_terminating;
use crate::cluster::{Cluster, Redactor, escaped};
use crate::kind::Gvk;
use crate::owner;
use crate::read::Target;
use crate::ready::{self, State, Trouble, assess, trouble};
use crate::schema;
use crate::tree;

/// Load balancers drop idle streams after four minutes; the server ends ours before.
const WATCH: u32 = 180;
/// How often the object is read beside the watch, and when first: most are ready before.
const POLL: Duration = Duration::from_secs(3);
const FIRST_POLL: Duration = Duration::from_millis(1500);
/// How often the object itself is read while a watch tells its changes.
const REREAD: Duration = Duration::from_secs(30);
/// How long a custom resource waits for the first report of a controller that may not run here at all.
const REPORT: Duration = Duration::from_secs(10);
/// How long a container may be stuck before waiting is given up, and how often it must be seen.
const GRACE: Duration = Duration::from_secs(20);
const SIGHTS: u32 = 3;
/// How often every pod is made anew that is admitted without what a webhook is to give to it.
const ROUNDS: usize = 2;
/// How many lines of a crashing container's log are shown.
const LOG_LINES: u32 = 10;

/// Waits until the object is ready, and gives it as it is then.
pub(crate) async fn until_ready(
    cluster: &Cluster,
    context: &Context,
    gvk: &Gvk,
    target: &Target,
    object: Json,
    redactor: &Redactor,
) -> Result<Json> {
    if tree::annotation(&object, owner::WAIT) == Some("false") {
        return Ok(object);
    }
    let waiter = Waiter { cluster, context, gvk, target, redactor };
    let ready = waiter.wait(object).await.map_err(|error| match (error.class, hint(gvk)) {
        (Class::Timeout, Some(hint)) => error.help(hint),
        _ => error,
    })?;
    if gvk.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        cluster.served.defined(&ready);
    }
    Ok(ready)
}

/// What to look at when an object of a kind never becomes ready.
fn hint(gvk: &Gvk) -> Option<&'static str> {
    Some(match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Service") => {
            "nothing gives this Service an address; annotate it with plinth.dev/wait: \"false\" if nothing will"
        }
        ("", "PersistentVolumeClaim") => {
            "see whether its StorageClass exists and has a provisioner: kubectl get storageclass"
        }
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            "see what its pods say (kubectl describe pod), or give it more time (timeouts)"
        }
        ("cert-manager.io", "Certificate") => {
            "see its CertificateRequest and its issuer: kubectl describe certificaterequest"
        }
        ("cert-manager.io", _) => "see its conditions: kubectl describe",
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => {
            "see whether the workload behind its Service runs, and the CA injector"
        }
        _ => return None,
    })
}

struct Waiter<'a> {
    cluster: &'a Cluster,
    context: &'a Context,
    gvk: &'a Gvk,
    target: &'a Target,
    redactor: &'a Redactor,
}

/// The pods that were evicted because of what they were admitted without.
#[derive(Default)]
struct Evictions {
    uids: BTreeSet<String>,
}

/// How long the same pod has been stuck.
#[derive(Default)]
struct Stuck {
    since: Option<Instant>,
    sights: u32,
}

type Events = BoxStream<'static, std::io::Result<String>>;

impl Waiter<'_> {
    async fn wait(&self, mut object: Json) -> Result<Json> {
        let mut events: Option<Events> = None;
        let mut stuck = Stuck::default();
        let mut last = String::new();
        let mut detail: Option<String> = None;
        if matches!(assess(self.gvk, &object), State::Waiting(_)) && self.is_for_first_consumer(&object).await
        {
            return Ok(object);
        }
        let begun = Instant::now();
        let reports = self.will_be_reported(&object).await;
        let mut next_read = begun + FIRST_POLL;
        let mut last_read = begun;
        let mut version = version_of(&object);
        let mut evictions = Evictions::default();
        // A watch that ended is opened again with the next read, not at once: it may end at once again.
        let mut next_watch = Instant::now();
        loop {
            let reason = match assess(self.gvk, &object) {
                State::Ready(_) if reports && is_silent(&object) && begun.elapsed() < REPORT => {
                    "its controller has not come to it yet".to_owned()
                }
                State::Ready(note) => {
                    let missing = match self.unanswered_service(&object).await {
                        None => self.admitted_without(&object, &mut evictions).await?,
                        missing => missing,
                    };
                    if let Some(missing) = missing {
                        self.tell(&mut last, &missing);
                        let pause = async {
                            tokio::time::sleep(Duration::from_millis(500)).await;
                            Ok(())
                        };
                        self.context.bounded(|| format!("{}: {missing}", self.target.id()), pause).await?;
                        continue;
                    }
                    if let Some(note) = note {
                        self.context.reporter.warning(&format!("{}: {note}", self.target.id()));
                    }
                    return Ok(object);
                }
                State::Failed(reason) => return Err(self.failed(&object, &reason).await),
                State::Waiting(reason) => reason,
            };
            let shown = match &detail {
                Some(detail) => format!("{reason}; {detail}"),
                None => reason,
            };
            self.tell(&mut last, &shown);
            if events.is_none() && Instant::now() >= next_watch {
                events = self.watch(version.as_deref()).await;
            }
            let step = async {
                let event = async {
                    match &mut events {
                        Some(stream) => stream.next().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    event = event => Ok(Some(event)),
                    () = tokio::time::sleep_until(next_read) => Ok(None),
                }
            };
            match self.context.bounded(|| format!("{}: {last}", self.target.id()), step).await? {
                Some(Some(Ok(line))) => match event(&line) {
                    Event::Object(new) => (version, object) = (version_of(&new), new),
                    Event::Bookmark(now) => version = Some(now),
                    Event::Gone => return self.missing(object),
                    // Too old: read again, then watch from there.
                    Event::Broken => {
                        (events, next_read) = (None, Instant::now() + Duration::from_millis(50));
                        (next_watch, last_read) = (next_read, begun - REREAD.min(begun.elapsed()));
                        version = None;
                    }
                },
                Some(_) => (events, next_watch) = (None, next_read),
                None => {
                    // A watch tells what changes; only now and then it is not believed.
                    if events.is_none() || last_read.elapsed() >= REREAD {
                        match self.cluster.get(self.context, &self.target.path()).await {
                            Ok(Some(now)) => (version, object) = (version_of(&now), now),
                            Ok(None) => return self.missing(object),
                            Err(error) if error.is_retryable() => detail = Some(error.message),
                            Err(error) => return Err(error),
                        }
                        last_read = Instant::now();
                    }
                    next_read = Instant::now() + POLL;
                    if matches!(assess(self.gvk, &object), State::Waiting(_)) {
                        if self.is_for_first_consumer(&object).await {
                            return Ok(object);
                        }
                        detail = self.look_closer(&object, &mut stuck).await?;
                    }
                }
            }
        }
    }

    /// A finished Job may remove itself before we look.
    fn missing(&self, last: Json) -> Result<Json> {
        if tree::at(&last, "spec.ttlSecondsAfterFinished").is_some() {
            self.context.reporter.warning(&format!("{} finished and removed itself", self.target.id()));
            return Ok(last);
        }
        Err(self.vanished())
    }

    fn vanished(&self) -> Error {
        Error::new(Class::NotFound, format!("{} was deleted while it was waited for", self.target.id()))
    }

    fn tell(&self, last: &mut String, reason: &str) {
        if reason != last {
            self.context.reporter.waiting(reason);
            reason.clone_into(last);
        }
    }

    /// Whether the definition of a custom resource says that some controller reports on it.
    async fn will_be_reported(&self, object: &Json) -> bool {
        if schema::built_in(self.gvk).is_some() || !is_silent(object) {
            return false;
        }
        self.cluster.is_reported(self.context, self.gvk, &self.target.resource).await
    }

    /// A Service that is to be called for what the object covers, and that nothing answers behind.
    async fn unanswered_service(&self, object: &Json) -> Option<String> {
        for (namespace, name) in ready::services_behind(self.gvk, object) {
            let path = format!(
                "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector={}",
                escaped(&format!("kubernetes.io/service-name={name}"))
            );
            // What may not be looked at is not waited for.
            let Ok(Some(slices)) = self.cluster.get(self.context, &path).await else { continue };
            let answers =
                tree::items(&slices, "items").flat_map(|slice| tree::items(slice, "endpoints")).any(
                    |endpoint| tree::at(endpoint, "conditions.ready").and_then(Json::as_bool).unwrap_or(true),
                );
            if !answers {
                return Some(format!("the Service {namespace}/{name} has no ready endpoint yet"));
            }
        }
        None
    }

    async fn watch(&self, version: Option<&str>) -> Option<Events> {
        let version = version?;
        let path = format!(
            "{}?watch=true&fieldSelector=metadata.name%3D{}&resourceVersion={version}&timeoutSeconds={WATCH}\
             &allowWatchBookmarks=true",
            self.target.resource.collection(self.target.namespace.as_deref()),
            escaped(&self.target.name),
        );
        let request = Request::get(path).body(Vec::new()).ok()?;
        let client = self.cluster.client();
        let opening = tokio::time::timeout(Duration::from_secs(10), client.request_stream(request));
        // Without a watch the reads go on.
        let stream = opening.await.ok()?.ok()?;
        Some(stream.lines().into_stream().boxed())
    }

    /// A claim of a class that waits for its first consumer stays pending until a pod comes.
    async fn is_for_first_consumer(&self, object: &Json) -> bool {
        if !self.gvk.is("", "PersistentVolumeClaim") {
            return false;
        }
        let class = match tree::text(object, "spec.storageClassName") {
            Some(name) if !name.is_empty() => {
                let path = format!("/apis/storage.k8s.io/v1/storageclasses/{}", escaped(name));
                self.cluster.get(self.context, &path).await.ok().flatten()
            }
            _ => None,
        };
        class.is_some_and(|class| tree::text(&class, "volumeBindingMode") == Some("WaitForFirstConsumer"))
    }

    /// What the pods and events of a waiting object say. Fails when a container has been stuck for long enough.
    async fn look_closer(&self, object: &Json, stuck: &mut Stuck) -> Result<Option<String>> {
        let found = match self.gvk.is("", "Pod") {
            true => trouble(object).map(|trouble| (self.target.name.clone(), trouble)).into_iter().collect(),
            false => self.troubles(object).await,
        };
        let Some(worst) = found.iter().find(|(_, trouble)| trouble.stuck).or(found.first()) else {
            *stuck = Stuck::default();
            return Ok(self.warning_event(object).await);
        };
        let (pod, trouble) = worst;
        if !trouble.stuck {
            *stuck = Stuck::default();
            return Ok(Some(self.redactor.clean(&trouble.text)));
        }
        let since = *stuck.since.get_or_insert_with(Instant::now);
        stuck.sights += 1;
        if stuck.sights < SIGHTS || since.elapsed() < GRACE {
            return Ok(Some(self.redactor.clean(&trouble.text)));
        }
        let mut message = format!("{} does not become ready: {}", self.target.id(), trouble.text);
        if let Some(container) = &trouble.container
            && let Some(log) = self.log(pod, container).await
        {
            message = format!("{message}; its log ends with: {log}");
        }
        Err(Error::new(Class::Invalid, self.redactor.clean(&message)).help(
            "mend the image or its configuration; the annotation plinth.dev/wait: \"false\" does not wait",
        ))
    }

    async fn failed(&self, object: &Json, reason: &str) -> Error {
        let mut message = format!("{} failed: {reason}", self.target.id());
        if let Some((pod, trouble)) = self.troubles(object).await.first() {
            message = format!("{message}; {}", trouble.text);
            if let Some(container) = &trouble.container
                && let Some(log) = self.log(pod, container).await
            {
                message = format!("{message}; its log ends with: {log}");
            }
        }
        Error::new(Class::Invalid, self.redactor.clean(&message))
    }

    /// The pods of the newest revision that are in trouble, with their names.
    async fn troubles(&self, object: &Json) -> Vec<(String, Trouble)> {
        let pods = self.pods(object).await;
        pods.iter()
            .filter_map(|pod| Some((tree::text(pod, "metadata.name")?.to_owned(), trouble(pod)?)))
            .collect()
    }

    /// The pods of the newest revision.
    async fn pods(&self, object: &Json) -> Vec<Json> {
        let makes_pods = matches!(
            (self.gvk.group.as_str(), self.gvk.kind.as_str()),
            ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job")
        );
        let labels = tree::at(object, "spec.selector.matchLabels").and_then(Json::as_object);
        let (true, Some(labels)) = (makes_pods, labels) else { return Vec::new() };
        let mut selector: Vec<String> =
            labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
        // Pods of an older revision may be broken; that is why they are replaced.
        if let Some(revision) = self.revision(object, &selector).await {
            selector.push(revision);
        }
        self.list("/api/v1", "pods", &selector).await
    }

    /// A pod that was admitted without what a webhook was to give to it, or that is not up again since. It is evicted, as
    /// far as disruption budgets let it go, and another one is made.
    async fn admitted_without(&self, object: &Json, evictions: &mut Evictions) -> Result<Option<String>> {
        let Some(variable) = tree::annotation(object, owner::ADMITTED_WITH) else { return Ok(None) };
        let mut pods = self.pods(object).await;
        pods.retain(|pod| !is_terminating(pod));
        let text = |pod: &Json, path| tree::text(pod, path).unwrap_or_default().to_owned();
        let lacking: Vec<&Json> = pods.iter().filter(|pod| !ready::carries(pod, variable)).collect();
        let Some(pod) = lacking.first() else {
            let unready =
                pods.iter().find(|pod| assess(&Gvk::new("", "v1", "Pod"), pod) != State::Ready(None));
            let coming = unready.filter(|_| !evictions.uids.is_empty());
            return Ok(coming.map(|pod| format!("{} is not ready yet", text(pod, "metadata.name"))));
        };
        let (name, uid) = (text(pod, "metadata.name"), text(pod, "metadata.uid"));
        let (known, enough) = (evictions.uids.contains(&uid), ROUNDS * pods.len().max(1));
        if !known && evictions.uids.len() >= enough {
            let count = evictions.uids.len();
            let id = self.target.id();
            return Err(Error::invalid(format!(
                "pods of {id} are admitted without {variable}, also after {count} of them were made anew"
            ))
            .help("see whether the webhook that adds it runs and knows the service account (on EKS: its pod identity association)"));
        }
        evictions.uids.insert(uid.clone());
        let namespace = self.target.namespace.as_deref().unwrap_or_default();
        let path = format!("/api/v1/namespaces/{namespace}/pods/{}/eviction", escaped(&name));
        let eviction = serde_json::json!({
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": name, "namespace": namespace },
            "deleteOptions": { "preconditions": { "uid": uid } },
        });
        // Refused by a budget, or gone meanwhile: the next look tells.
        let sent = self
            .cluster
            .send(self.context, Method::POST, &path, Some(("application/json", &eviction)))
            .await?;
        Ok(Some(match sent.success() {
            Ok(_) => format!("{name} was admitted without {variable}; another one is made"),
            Err(error) => format!("{name} was admitted without {variable}, and stays: {}", error.message),
        }))
    }

    /// The label that tells the pods of the newest revision.
    async fn revision(&self, object: &Json, selector: &[String]) -> Option<String> {
        match self.gvk.kind.as_str() {
            "StatefulSet" => {
                let revision = tree::text(object, "status.updateRevision")?;
                Some(format!("controller-revision-hash={revision}"))
            }
            "Deployment" => {
                const REVISION: &str = "deployment.kubernetes.io/revision";
                let current = tree::annotation(object, REVISION)?;
                let sets = self.list("/apis/apps/v1", "replicasets", selector).await;
                let newest = sets.iter().find(|set| tree::annotation(set, REVISION) == Some(current))?;
                Some(format!("pod-template-hash={}", tree::label(newest, "pod-template-hash")?))
            }
            _ => None,
        }
    }

    async fn list(&self, root: &str, plural: &str, selector: &[String]) -> Vec<Json> {
        let Some(namespace) = &self.target.namespace else { return Vec::new() };
        let path = format!(
            "{root}/namespaces/{namespace}/{plural}?limit=100&labelSelector={}",
            escaped(&selector.join(","))
        );
        match self.cluster.get(self.context, &path).await {
            Ok(Some(list)) => tree::items(&list, "items").cloned().collect(),
            // Only an explanation is lost.
            _ => Vec::new(),
        }
    }

    /// The newest warning about the object.
    async fn warning_event(&self, object: &Json) -> Option<String> {
        let namespace = self.target.namespace.as_deref().unwrap_or("default");
        let uid = tree::text(object, "metadata.uid")?;
        let selector = escaped(&format!("involvedObject.uid={uid},type=Warning"));
        let path = format!("/api/v1/namespaces/{namespace}/events?limit=50&fieldSelector={selector}");
        let list = self.cluster.get(self.context, &path).await.ok()??;
        let newest = tree::items(&list, "items")
            .filter(|event| tree::text(event, "type") == Some("Warning"))
            .max_by_key(|event| tree::text(event, "lastTimestamp").unwrap_or("").to_owned())?;
        Some(self.redactor.clean(&tree::explain(newest)))
    }

    /// The end of a crashed container's log.
    async fn log(&self, pod: &str, container: &str) -> Option<String> {
        let namespace = self.target.namespace.as_deref()?;
        for previous in ["true", "false"] {
            let path = format!(
                "/api/v1/namespaces/{namespace}/pods/{}/log?container={}&previous={previous}&tailLines={LOG_LINES}",
                escaped(pod),
                escaped(container)
            );
            let reply = self.cluster.send(self.context, Method::GET, &path, None).await.ok()?;
            let text = match reply.success() {
                Ok(Json::String(text)) => text,
                // A single line of JSON.
                Ok(line) => line.to_string(),
                Err(_) => continue,
            };
            if !text.trim().is_empty() {
                let lines: Vec<&str> = text.lines().rev().take(LOG_LINES as usize).collect();
                return Some(lines.into_iter().rev().collect::<Vec<_>>().join(" | "));
            }
        }
        None
    }
}

enum Event {
    Object(Json),
    Gone,
    /// Nothing has happened up to this version.
    Bookmark(String),
    Broken,
}

fn version_of(object: &Json) -> Option<String> {
    tree::text(object, "metadata.resourceVersion").map(str::to_owned)
}

/// Whether nothing has reported on the object.
fn is_silent(object: &Json) -> bool {
    tree::at(object, "status.conditions").is_none()
}

fn event(line: &str) -> Event {
    let Ok(mut json) = serde_json::from_str::<Json>(line) else { return Event::Broken };
    match tree::text(&json, "type") {
        Some("ADDED" | "MODIFIED") => Event::Object(json["object"].take()),
        Some("DELETED") => Event::Gone,
        Some("BOOKMARK") => version_of(&json["object"]).map_or(Event::Broken, Event::Bookmark),
        _ => Event::Broken,
    }
}
