//! Writing objects by server-side apply, so that nothing of anybody else's is taken over by accident.
//!
//! A create carries a resource version that cannot match: it succeeds only when nothing is there. An update carries
//! the uid that was read: it cannot bring back what somebody deleted. Neither forces a conflict unless the object's
//! annotation says so.

mod claims;
pub(crate) mod handover;
mod one_of;
mod pause;
mod take_over;

use http::Method;
use plinth_provider::{Applied, Class, Context, Error, Path, Recorded, Request, Result, Urn, Value};
use serde_json::{Value as Json, json};

use crate::cluster::{Cluster, Conflict, Redactor, Status};
use crate::delete;
use crate::diff;
use crate::drift;
use crate::kind::Gvk;
use crate::manifest::manifest_exposed;
use crate::outputs;
use crate::owner::{self, MANAGER, Owner, owner_of};
use crate::read::Target;
use crate::seal::seal;
use crate::tree;
use crate::wait;
use pause::Patience;

const APPLY: &str = "application/apply-patch+yaml";
/// How often one write is tried again for reasons of ownership before it is given up.
const ATTEMPTS: usize = 8;

/// Creates the object and waits until it is ready.
pub(crate) async fn create(cluster: &Cluster, context: &Context, request: Request<'_>) -> Result<Applied> {
    let writer = Writer::new(cluster, context, request)?;
    let written = writer.create().await;
    writer.finish(written).await
}

/// Brings the recorded object to the inputs and waits until it is ready.
pub(crate) async fn update(
    cluster: &Cluster,
    context: &Context,
    request: Request<'_>,
    recorded: &Recorded,
) -> Result<Applied> {
    let writer = Writer::new(cluster, context, request)?;
    let written = writer.update(recorded).await;
    if let Ok(written) = &written {
        writer.tell_what_stays(recorded, written);
    }
    let applied = writer.finish(written).await?;
    if writer.gvk.is("apps", "StatefulSet") {
        claims::enlarge(&writer).await?;
    }
    Ok(applied)
}

/// What a write may assume.
enum Precondition<'a> {
    /// Nothing is there.
    Absent,
    /// This very object is there.
    Uid(&'a str),
}

/// How an apply treats what others own.
#[derive(Debug, Clone, Copy, Default)]
struct Manner {
    force: bool,
    /// An autoscaler decides; keeping ours would fight it.
    without_replicas: bool,
}

/// What became of a dry run.
pub(crate) enum DryRun {
    /// The object as it would be.
    Accepted(Json),
    /// It would not be written.
    Refused(Refusal),
}

/// Why something would not be written.
pub(crate) enum Refusal {
    /// Something is there already, or is not what was read.
    Exists,
    /// As the server says.
    Status(Status),
}

/// One object being written.
pub(crate) struct Writer<'a> {
    cluster: &'a Cluster,
    context: &'a Context,
    urn: &'a Urn,
    gvk: Gvk,
    inputs: &'a Value,
    redactor: Redactor,
    force: bool,
    /// Nothing is stored.
    dry: bool,
}

/// What was written, where, and as it came back.
struct Written {
    target: Target,
    object: Json,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(cluster: &'a Cluster, context: &'a Context, request: Request<'a>) -> Result<Self> {
        let annotations = request.inputs.at(&Path::parse("metadata.annotations"));
        let force = annotations.and_then(|map| map.get(owner::FORCE)).and_then(Value::as_str) == Some("true");
        Ok(Self {
            cluster,
            context,
            urn: request.urn,
            gvk: Gvk::known(request.urn.kind())?,
            inputs: request.inputs,
            redactor: Redactor::of(request.inputs),
            force,
            dry: false,
        })
    }

    pub(crate) fn gvk(&self) -> &Gvk {
        &self.gvk
    }

    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Says what a create would come to. Stores nothing.
    pub(crate) async fn try_create(&mut self, target: &Target) -> Result<DryRun> {
        self.dry = true;
        Ok(match self.apply(target, Precondition::Absent, Manner::default()).await? {
            Ok(object) => DryRun::Accepted(object),
            Err(status) if status.is_version_conflict() || !status.conflicts().is_empty() => {
                DryRun::Refused(Refusal::Exists)
            }
            Err(status) => DryRun::Refused(Refusal::Status(status)),
        })
    }

    /// Says what bringing a live object to the inputs would come to. Stores nothing.
    pub(crate) async fn try_update(&mut self, target: &Target, live: &Json) -> Result<DryRun> {
        self.dry = true;
        let mut manner = Manner { force: self.force, without_replicas: false };
        loop {
            let status = match self.apply(target, Precondition::Uid(uid(live)), manner).await? {
                Ok(object) => return Ok(DryRun::Accepted(object)),
                Err(status) => status,
            };
            let conflicts = status.conflicts();
            if conflicts.is_empty() {
                let moved = status.is_version_conflict() || is_uid_mismatch(&status);
                return Ok(DryRun::Refused(if moved { Refusal::Exists } else { Refusal::Status(status) }));
            }
            if !manner.without_replicas && handover::is_scaled(live, &conflicts) {
                manner.without_replicas = true;
            } else if !manner.force && conflicts.iter().all(|conflict| self.may_overrule(live, conflict)) {
                manner.force = true;
            } else {
                return Ok(DryRun::Refused(Refusal::Status(status)));
            }
        }
    }

    /// Whether a field in dispute is ours to write: held by one of our own names or by what the object was written
    /// with before it was adopted, or taken back by the approved plan.
    fn may_overrule(&self, live: &Json, conflict: &Conflict) -> bool {
        handover::is_ours(&conflict.manager)
            || handover::is_absorbed(live, &conflict.manager)
            || take_over::is_planned(&conflict.field, self.inputs, &self.context.take_over)
    }

    /// Waits until what was written is ready, and takes what is recorded from it.
    async fn finish(&self, written: Result<Written>) -> Result<Applied> {
        let clean = |error| self.redactor.error(error);
        let Written { target, object } = written.map_err(clean)?;
        let rewritten = drift::rewritten(&self.gvk, self.inputs, &object);
        let ready = wait::until_ready(self.cluster, self.context, &self.gvk, &target, object, &self.redactor)
            .await
            .map_err(clean)?;
        let mut outputs = seal(outputs::of_live(&self.gvk, &ready), self.inputs);
        if let Some(rewritten) = rewritten {
            outputs.set(&Path::root().key(outputs::REWRITTEN), seal(rewritten, self.inputs));
        }
        Ok(Applied { id: target.id(), outputs })
    }

    /// What was dropped but is owned by others too stays; the user should know.
    fn tell_what_stays(&self, recorded: &Recorded, written: &Written) {
        let left = drift::left_in_place(&self.gvk, &recorded.inputs, self.inputs, &written.object);
        for (path, owner) in left.into_iter().filter(|(_, owner)| !handover::is_ours(owner)) {
            let id = written.target.id();
            self.context.reporter.warning(&format!("{id}: {path} is left in place, owned by {owner}"));
        }
    }

    async fn create(&self) -> Result<Written> {
        let mut patience = Patience::default();
        loop {
            let Some(target) = self.target().await? else {
                patience.kind_missing(self).await?;
                continue;
            };
            let status = match self.apply(&target, Precondition::Absent, Manner::default()).await? {
                Ok(object) => return Ok(Written { target, object }),
                Err(status) => status,
            };
            if !status.is_version_conflict() && status.conflicts().is_empty() {
                patience.after(self, status).await?;
                continue;
            }
            match self.cluster.get(self.context, &target.path()).await? {
                None => patience.again(self, "the object comes and goes").await?,
                Some(live) if is_terminating(&live) => {
                    delete::until_gone(self.cluster, self.context, &target, uid(&live)).await?;
                }
                Some(live) => match owner_of(&live, self.urn) {
                    Owner::Ours => return self.bring(target, live).await,
                    other => return Err(self.already_exists(&target, &live, &other)),
                },
            }
        }
    }

    async fn update(&self, recorded: &Recorded) -> Result<Written> {
        let Some(target) = self.target().await? else { return self.create().await };
        let Some(live) = self.cluster.get(self.context, &target.path()).await? else {
            self.context
                .reporter
                .warning(&format!("{} was deleted outside of Plinth; it is created again", target.id()));
            return self.create().await;
        };
        if is_terminating(&live) {
            delete::until_gone(self.cluster, self.context, &target, uid(&live)).await?;
            return self.create().await;
        }
        if let Some(stack) = owner::lost_to(&live, recorded) {
            return Err(Error::new(Class::Conflict, format!("{} now belongs to the stack {stack}", target.id()))
                .help("remove the resource from one of the two stacks; `plinth state rm` forgets it without deleting"));
        }
        let known = recorded.outputs.text_at("metadata.uid");
        if known.is_some_and(|known| known != uid(&live)) && owner_of(&live, self.urn) != Owner::Ours {
            return Err(Error::new(
                Class::Conflict,
                format!("{} was deleted and created again by somebody else", target.id()),
            )
            .help("delete it to have it created again, or mark it with plinth.dev/stack and plinth.dev/urn to adopt it"));
        }
        if diff::recreates(&self.gvk, &recorded.inputs, self.inputs) {
            return self.recreate(&target, uid(&live)).await;
        }
        if handover::own_entry(&live).is_none() && owner_of(&live, self.urn) == Owner::Ours {
            let live = handover::reclaim(self, &target, live, &recorded.inputs).await?;
            return self.bring(target, live).await;
        }
        self.bring(target, live).await
    }

    /// The entry of `managedFields` that applying these inputs would make. Stores nothing.
    async fn entry_of(&self, target: &Target, live: &Json, inputs: &Value) -> Result<Option<Json>> {
        let request = Request { urn: self.urn, inputs, connection: None };
        let mut trying = Writer::new(self.cluster, self.context, request)?;
        trying.dry = true;
        let manner = Manner { force: true, without_replicas: false };
        let tried = trying.apply(target, Precondition::Uid(uid(live)), manner).await?;
        Ok(tried.ok().and_then(|object| handover::own_entry(&object).cloned()))
    }

    /// Deletes the object, leaves what it made, and creates it again; the new one adopts the pods and claims.
    async fn recreate(&self, target: &Target, uid: &str) -> Result<Written> {
        self.context.reporter.waiting("leaving its pods and claims while it is created again");
        delete::orphan(self.cluster, self.context, target, uid).await?;
        Box::pin(self.create()).await
    }

    /// Brings an object that is ours to the inputs.
    async fn bring(&self, target: Target, live: Json) -> Result<Written> {
        let mut patience = Patience::default();
        // What was moved here from another stack has that one's mark until this write.
        let former = owner::foreign_stack(&live, self.urn).map(str::to_owned);
        let mut live = handover::prepare(self, &target, live).await?;
        live = one_of::prepare(self, &target, live).await?;
        let mut manner = Manner { force: self.force, without_replicas: false };
        for _ in 0..ATTEMPTS {
            let id = uid(&live).to_owned();
            let status = match self.apply(&target, Precondition::Uid(&id), manner).await? {
                Ok(object) if is_terminating(&object) => {
                    delete::until_gone(self.cluster, self.context, &target, &id).await?;
                    return Box::pin(self.create()).await;
                }
                Ok(object) => return Ok(Written { target, object }),
                Err(status) => status,
            };
            let conflicts = status.conflicts();
            if !conflicts.is_empty() {
                if !manner.without_replicas && handover::is_scaled(&live, &conflicts) {
                    let id = target.id();
                    self.context.reporter.warning(&format!("{id}: spec.replicas is left to its autoscaler"));
                    manner.without_replicas = true;
                    continue;
                }
                if conflicts.iter().all(|conflict| self.may_overrule(&live, conflict)) {
                    if conflicts.iter().any(|conflict| handover::is_ours(&conflict.manager)) {
                        live = handover::absorb(self, &target, live, &[MANAGER]).await?;
                    }
                    manner.force = true;
                    continue;
                }
                return Err(status.into_error(false));
            } else if status.is_immutable() && self.gvk.is("apps", "StatefulSet") {
                // The record did not show it (an interrupted update), or this server allows less than others.
                return self.recreate(&target, &id).await;
            } else if status.is_one_of() {
                live = one_of::replace_branches(self, &target, live, status).await?;
            } else if status.is_version_conflict() || is_uid_mismatch(&status) {
                match self.cluster.get(self.context, &target.path()).await? {
                    None => return Box::pin(self.create()).await,
                    Some(now)
                        if owner::foreign_stack(&now, self.urn)
                            .is_some_and(|stack| former.as_deref() != Some(stack)) =>
                    {
                        return Err(status.into_error(false));
                    }
                    Some(now) => live = now,
                }
                patience.again(self, "the object changes while it is written").await?;
            } else {
                patience.after(self, status).await?;
            }
        }
        Err(Error::new(Class::Conflict, format!("{} changes as fast as it is written", target.id())))
    }

    pub(crate) async fn target(&self) -> Result<Option<Target>> {
        Target::of(self.cluster, self.context, &self.gvk, self.inputs).await
    }

    async fn apply(
        &self,
        target: &Target,
        precondition: Precondition<'_>,
        manner: Manner,
    ) -> Result<Result<Json, Status>> {
        let mut body = manifest_exposed(self.urn, self.inputs);
        body["apiVersion"] = target.resource.api_version().into();
        if manner.without_replicas
            && let Some(spec) = body.get_mut("spec").and_then(Json::as_object_mut)
        {
            spec.shift_remove("replicas");
        }
        let force = manner.force;
        match precondition {
            // No object ever has this version, so the write is refused unless nothing is there.
            Precondition::Absent => body["metadata"]["resourceVersion"] = "1".into(),
            Precondition::Uid(uid) => body["metadata"]["uid"] = uid.into(),
        }
        if let Some(namespace) = &target.namespace {
            body["metadata"]["namespace"] = namespace.as_str().into();
        }
        let dry = if self.dry { "&dryRun=All" } else { "" };
        let path =
            format!("{}?fieldManager={MANAGER}&fieldValidation=Strict&force={force}{dry}", target.path());
        let content = Some((APPLY, &body));
        let reply = match precondition {
            Precondition::Absent if !self.dry => {
                self.cluster.send(self.context, Method::PATCH, &path, content).await?
            }
            // Bringing an object to its inputs may be repeated whatever became of the first try.
            _ => self.cluster.send_again(self.context, Method::PATCH, &path, content).await?,
        };
        for warning in &reply.warnings {
            self.context.reporter.warning(&self.redactor.clean(warning));
        }
        Ok(reply.success())
    }

    /// A patch other than apply, where apply cannot do it.
    async fn json_patch(&self, target: &Target, patch: &Json, manager: &str) -> Result<Result<Json, Status>> {
        let path = format!("{}?fieldManager={manager}", target.path());
        let content = Some(("application/json-patch+json", patch));
        Ok(self.cluster.send_again(self.context, Method::PATCH, &path, content).await?.success())
    }

    pub(crate) fn already_exists(&self, target: &Target, live: &Json, owner: &Owner) -> Error {
        let what = format!("{} {}", self.gvk.kind, target.id());
        if let Owner::Other { stack, urn } = owner
            && stack == self.urn.stack()
            && Urn::parse(urn).is_ok()
        {
            return Error::new(Class::AlreadyExists, format!("{what} exists and is {urn} of this stack")).help(
                format!(
                    "if the resource was renamed, give it the former URN under aliases: [\"{urn}\"]; otherwise \
                     give one of the two another metadata.name"
                ),
            );
        }
        let error = match owner {
            Owner::Other { stack, urn } => Error::new(
                Class::AlreadyExists,
                format!("{what} exists and belongs to {urn} of the stack {stack}"),
            ),
            _ => {
                let managers = owner::managers(live);
                let by = if managers.is_empty() {
                    String::new()
                } else {
                    format!(" (written by {})", managers.join(", "))
                };
                Error::new(Class::AlreadyExists, format!("{what} exists and was not made by this stack{by}"))
            }
        };
        error.help(format!(
            "give the resource another name, or hand the object over by marking it: kubectl label … \
             plinth.dev/stack={} and kubectl annotate … plinth.dev/urn={}",
            self.urn.stack(),
            self.urn
        ))
    }
}

fn uid(object: &Json) -> &str {
    tree::text(object, "metadata.uid").unwrap_or("")
}

pub(crate) fn is_terminating(object: &Json) -> bool {
    tree::text(object, "metadata.deletionTimestamp").is_some()
}

fn is_uid_mismatch(status: &Status) -> bool {
    status.code == 422 && status.causes.iter().any(|cause| cause.field == "metadata.uid")
}

/// One operation of a JSON patch.
fn operation(op: &str, path: &str, value: Json) -> Json {
    json!({"op": op, "path": path, "value": value})
}
