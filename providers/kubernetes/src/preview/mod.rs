//! What the API server says of changes before they are made: a server-side dry run of each, and a look at whether its
//! kind is served and its namespace is there. Writes nothing.

mod planned;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use http::Method;
use plinth_provider::{
    Class, Context, Error, Path, Preview, PreviewRequest, Reporter, Request, Result, changes,
};
use serde_json::Value as Json;
use tokio::time::Instant;

use crate::apply::{DryRun, Refusal, Writer};
use crate::cluster::{Cluster, Status};
use crate::drift;
use crate::kind::Gvk;
use crate::normal::DEFAULT_NAMESPACE;
use crate::owner::{self, Owner, owner_of};
use crate::provider::{Kubernetes, connection_key};
use crate::schema;
use crate::tree;
use planned::Planned;

/// How many dry runs are under way at once.
const CONCURRENT: usize = 64;
/// How long a cluster may take to say that it is there, before the plan does without it.
const REACH: Duration = Duration::from_secs(8);

type Answer = Result<Preview>;

/// Asks about every change, cluster by cluster.
pub(crate) async fn many(
    provider: &Kubernetes,
    context: &Context,
    requests: &[PreviewRequest<'_>],
) -> Vec<Answer> {
    let mut clusters: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, request) in requests.iter().enumerate() {
        clusters.entry(connection_key(request.connection)).or_default().push(at);
    }
    let mut answers: Vec<Answer> = requests.iter().map(|_| Ok(Preview::default())).collect();
    let mut work: Vec<BoxFuture<'_, (Vec<usize>, Vec<Answer>)>> = Vec::with_capacity(clusters.len());
    for group in clusters.into_values() {
        let asked: Vec<PreviewRequest<'_>> = group.iter().map(|at| requests[*at]).collect();
        work.push(Box::pin(async move {
            let found = on_cluster(provider, context, &asked).await;
            (group, found)
        }));
    }
    for (group, found) in futures::future::join_all(work).await {
        for (at, answer) in group.into_iter().zip(found) {
            answers[at] = answer;
        }
    }
    answers
}

async fn on_cluster(provider: &Kubernetes, context: &Context, asked: &[PreviewRequest<'_>]) -> Vec<Answer> {
    let all = |error: &Error| asked.iter().map(|_| Err(error.clone())).collect::<Vec<_>>();
    let Some(first) = asked.first() else { return Vec::new() };
    if !provider.is_there(first.connection) {
        return asked.iter().map(|_| Ok(Preview::default())).collect();
    }
    let brief = Context { deadline: context.deadline.min(Instant::now() + REACH), ..context.clone() };
    let cluster = match provider.cluster(&brief, first.connection).await {
        Ok(cluster) => cluster,
        // Without credentials nothing can be asked; a plan needs none.
        Err(error) => return all(&Error { class: Class::Unavailable, ..error }),
    };
    // One question decides whether there is anybody to ask.
    match cluster.send(&brief, Method::GET, "/version", None).await {
        Ok(reply) if reply.status == 401 => return all(&Status::of(reply).into_error(false)),
        Ok(_) => {}
        Err(error) => return all(&error),
    }
    let planned = Planned::of(asked);
    let missing = missing_namespaces(&cluster, context, asked, &planned).await;
    let asking = Asking { cluster: &cluster, context, planned: &planned, missing: &missing };
    let mut work: Vec<BoxFuture<'_, Answer>> = Vec::with_capacity(asked.len());
    for request in asked {
        work.push(Box::pin(asking.one(request)));
    }
    futures::stream::iter(work).buffered(CONCURRENT).collect().await
}

/// The namespaces that changes go to, that nothing in the plan makes, and that are not there.
async fn missing_namespaces(
    cluster: &Cluster,
    context: &Context,
    asked: &[PreviewRequest<'_>],
    planned: &Planned<'_>,
) -> BTreeSet<String> {
    let wanted: BTreeSet<&str> = asked
        .iter()
        .filter(|request| request.recorded.is_none())
        .filter_map(|request| request.inputs.text_at("metadata.namespace"))
        .filter(|namespace| *namespace != DEFAULT_NAMESPACE && !planned.makes_namespace(namespace))
        .collect();
    let look = |namespace: &str| {
        let name = namespace.to_owned();
        async move {
            let path = format!("/api/v1/namespaces/{name}");
            // What cannot be read is not known to be missing.
            matches!(cluster.get(context, &path).await, Ok(None)).then_some(name)
        }
    };
    let looks: Vec<_> = wanted.into_iter().map(look).collect();
    futures::stream::iter(looks).buffered(CONCURRENT).filter_map(std::future::ready).collect().await
}

struct Asking<'a> {
    cluster: &'a Cluster,
    context: &'a Context,
    planned: &'a Planned<'a>,
    missing: &'a BTreeSet<String>,
}

impl Asking<'_> {
    async fn one(&self, request: &PreviewRequest<'_>) -> Answer {
        let gvk = Gvk::known(request.urn.kind())?;
        // What the plan itself defines cannot be tried before it is.
        if self.planned.defines(&gvk) {
            return Ok(Preview::default());
        }
        let known = match schema::built_in(&gvk) {
            Some(_) => true,
            None => self.cluster.resource(self.context, &gvk).await?.is_some(),
        };
        if !known {
            return self.unserved(request, &gvk).await;
        }
        let namespace = request.inputs.text_at("metadata.namespace");
        if let Some(missing) = namespace.filter(|name| self.missing.contains(*name)) {
            let message = format!("there is no namespace `{missing}`, and nothing in the stack makes it");
            if self.planned.comes_after_code(request) {
                return Ok(warned(message));
            }
            return Err(Error::invalid(message)
                .at("metadata.namespace".into())
                .help("declare the Namespace in the stack, or create it"));
        }
        if namespace.is_some_and(|name| self.planned.makes_namespace(name)) && request.recorded.is_none()
            || request.inputs.has_unknown()
        {
            return Ok(Preview::default());
        }
        let told = Arc::new(Told::default());
        let context =
            Context { reporter: told.clone(), take_over: request.take_over.to_vec(), ..self.context.clone() };
        let wanted = Request { urn: request.urn, inputs: request.inputs, connection: request.connection };
        let mut writer = Writer::new(self.cluster, &context, wanted)?;
        let answer = match request.recorded {
            // Nothing of the same name can be tried while the old one stands.
            Some(_) if request.replaces => Ok(replaced(&gvk)),
            Some(recorded) => self.update(&mut writer, request, recorded).await,
            None => self.create(&mut writer, request).await,
        };
        let mut preview = answer.map_err(|error| writer.redactor().error(error))?;
        preview.warnings.extend(told.take());
        Ok(preview)
    }

    async fn unserved(&self, request: &PreviewRequest<'_>, gvk: &Gvk) -> Answer {
        let message = match self.cluster.resource_any_version(self.context, gvk).await? {
            Some(other) => {
                format!("the cluster serves {} in version {}, not {}", gvk.kind, other.version, gvk.version)
            }
            None => format!("the cluster serves no kind {gvk}, and nothing in the stack defines it"),
        };
        if self.planned.comes_after_code(request) {
            return Ok(warned(message));
        }
        Err(Error::invalid(message)
            .help("declare its CustomResourceDefinition in the stack, or install what brings it"))
    }

    async fn create(&self, writer: &mut Writer<'_>, request: &PreviewRequest<'_>) -> Answer {
        let Some(target) = writer.target().await? else { return Ok(Preview::default()) };
        match writer.try_create(&target).await? {
            DryRun::Accepted(object) => Ok(self.accepted(writer, request, &object)),
            DryRun::Refused(Refusal::Exists) => {
                let Some(live) = self.cluster.get(self.context, &target.path()).await? else {
                    return Ok(Preview::default());
                };
                match owner_of(&live, request.urn) {
                    Owner::Ours => Ok(Preview::default()),
                    _ if crate::apply::is_terminating(&live) => Ok(Preview::default()),
                    other => Err(writer.already_exists(&target, &live, &other)),
                }
            }
            DryRun::Refused(Refusal::Status(status)) => self.refused(writer, request, status),
        }
    }

    async fn update(
        &self,
        writer: &mut Writer<'_>,
        request: &PreviewRequest<'_>,
        recorded: &plinth_provider::Recorded,
    ) -> Answer {
        let Some(target) = writer.target().await? else { return Ok(Preview::default()) };
        let Some(live) = self.cluster.get(self.context, &target.path()).await? else {
            return self.create(writer, request).await;
        };
        let same = recorded.outputs.text_at("metadata.uid") == tree::text(&live, "metadata.uid");
        if crate::apply::is_terminating(&live)
            || owner::lost_to(&live, recorded).is_some()
            || !(same || owner_of(&live, request.urn) == Owner::Ours)
        {
            // The update itself explains these.
            return Ok(Preview::default());
        }
        match writer.try_update(&target, &live).await? {
            DryRun::Accepted(object) => {
                let mut preview = self.accepted(writer, request, &object);
                for (path, owner) in
                    drift::left_in_place(writer.gvk(), &recorded.inputs, request.inputs, &object)
                {
                    preview.warnings.push(format!("{path} is left in place, owned by {owner}"));
                }
                Ok(preview)
            }
            DryRun::Refused(Refusal::Exists) => Ok(Preview::default()),
            DryRun::Refused(Refusal::Status(status)) if status.is_immutable() => {
                Ok(immutable(writer.gvk(), request, recorded, &status))
            }
            DryRun::Refused(Refusal::Status(status)) if status.is_one_of() => Ok(Preview::default()),
            // Fields that go with their former owner still stand beside ours.
            DryRun::Refused(Refusal::Status(status)) if loses(request, recorded, &live) => {
                Ok(warned(format!("it would be refused now: {}", writer.redactor().clean(&status.message))))
            }
            DryRun::Refused(Refusal::Status(status)) => self.refused(writer, request, status),
        }
    }

    /// What admission made of it is worth a word: it will differ from what was written.
    fn accepted(&self, writer: &Writer<'_>, request: &PreviewRequest<'_>, object: &Json) -> Preview {
        let rewritten = drift::rewritten(writer.gvk(), request.inputs, object);
        let mut preview = Preview::default();
        for (path, value) in rewritten.as_ref().and_then(plinth_provider::Value::as_map).into_iter().flatten()
        {
            preview.warnings.push(match value {
                plinth_provider::Value::Null => format!("the cluster leaves {path} out"),
                value => format!("the cluster makes {path} {value}"),
            });
        }
        preview
    }

    /// A refusal, unless it may be due to something that the plan is about to change.
    fn refused(&self, writer: &Writer<'_>, request: &PreviewRequest<'_>, status: Status) -> Answer {
        let message = writer.redactor().clean(&status.message);
        if status.is_namespace_missing() || status.is_namespace_terminating() {
            return Ok(Preview::default());
        }
        if status.is_webhook_down() || status.is_dry_run_unsupported() {
            return Ok(warned(format!("admission could not be asked: {message}")));
        }
        if status.is_kind_missing() {
            return Err(Error::invalid(format!("this cluster does not serve {}", writer.gvk()))
                .help("its Kubernetes version is too old for the kind, or has it switched off"));
        }
        let passing =
            status.says_quota() || status.is_admission() && self.planned.changes_a_dependency(request);
        if passing {
            return Ok(warned(format!("it would be refused now: {message}")));
        }
        Err(status.into_errors())
    }
}

/// Whether an object is taken over from somebody some of whose fields go.
fn loses(request: &PreviewRequest<'_>, recorded: &plinth_provider::Recorded, live: &Json) -> bool {
    crate::apply::handover::own_entry(live).is_none()
        && changes(&recorded.inputs, request.inputs).iter().any(|change| change.after.is_none())
}

fn warned(warning: String) -> Preview {
    Preview { warnings: vec![warning], ..Preview::default() }
}

/// What is lost with the old one.
fn replaced(gvk: &Gvk) -> Preview {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "PersistentVolumeClaim") => {
            warned("replacing the claim deletes its volume, unless the reclaim policy keeps it".to_owned())
        }
        ("", "Service") => warned("replacing the Service gives it a new address".to_owned()),
        _ => Preview::default(),
    }
}

/// The paths that force a replacement: those that the server names, as far as they are ours and change; where it names
/// no more than `spec`, all that changes.
fn immutable(
    gvk: &Gvk,
    request: &PreviewRequest<'_>,
    recorded: &plinth_provider::Recorded,
    status: &Status,
) -> Preview {
    // Its update leaves the pods and creates it again.
    if gvk.is("apps", "StatefulSet") {
        return warned("it is created again, leaving its pods and claims".to_owned());
    }
    let changed: Vec<Path> =
        changes(&recorded.inputs, request.inputs).into_iter().map(|change| change.path).collect();
    let named: Vec<Path> = status
        .causes
        .iter()
        .filter(|cause| !cause.field.is_empty() && cause.field != "<nil>" && cause.field != "spec")
        .map(|cause| Path::parse(&cause.field))
        .collect();
    let touched: Vec<Path> = changed
        .iter()
        .filter(|path| named.iter().any(|name| name.contains(path) || path.contains(name)))
        .cloned()
        .collect();
    let replaces = match (touched.is_empty(), named.is_empty()) {
        (false, _) => touched,
        (true, false) => named,
        (true, true) => changed,
    };
    Preview { replaces, ..Preview::default() }
}

/// Keeps what is told while something is tried.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Reporter for Told {
    fn waiting(&self, _reason: &str) {}
    fn warning(&self, message: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
    }
    async fn started(&self, _handle: &str) -> Result<()> {
        Ok(())
    }
}
