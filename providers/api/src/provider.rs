//! The contract between the engine and a provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Change, Class, Error, KindSchema, Path, Recorded, Resource, Result, Urn, Value, changes_with_sets,
};

/// The code that creates, reads, updates and deletes the resources of one system.
///
/// `check`, `diff`, `predict` and `infer_dependencies` are offline and pure: planning calls them without credentials.
/// Every other call is idempotent, honours [`Context::deadline`] and [`Context::cancel`], and tells
/// [`Context::reporter`] what it waits for. A provider never prints, reads no environment variables, touches no state.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The prefix of its kinds, before the first colon: `k8s`, `local`, `plinth`.
    fn name(&self) -> &str;

    /// What a kind declares about itself.
    ///
    /// # Errors
    /// [`Class::Invalid`] when there is no such kind; the help names similar ones.
    fn schema(&self, kind: &str) -> Result<KindSchema>;

    /// Validates inputs, fills defaults and brings them to normal form. Inputs may hold [`Value::Unknown`] at plan
    /// time and [`Value::Secret`] always; both must survive. Idempotent.
    ///
    /// # Errors
    /// [`Class::Invalid`] with the path of what is wrong.
    fn check(&self, urn: &Urn, inputs: Value) -> Result<Value>;

    /// What it takes to bring `recorded` to `desired` (checked inputs).
    ///
    /// # Errors
    /// When the kind is unknown.
    fn diff(&self, recorded: &Recorded, desired: &Value) -> Result<Diff> {
        Ok(Diff::structural(&self.schema(recorded.urn.kind())?, &recorded.inputs, desired))
    }

    /// The outputs that a create (`recorded` is absent) or an update will have, as far as that is certain now;
    /// [`Value::Unknown`] for the rest.
    fn predict(&self, urn: &Urn, desired: &Value, recorded: Option<&Recorded>) -> Value {
        let _ = (urn, desired);
        recorded.map_or(Value::Unknown, |recorded| recorded.outputs.clone())
    }

    /// Dependencies that follow from what the resources of this provider are, beside the declared ones: pairs of
    /// (dependent, dependency). Both must be among `resources`.
    fn infer_dependencies(&self, resources: &[&Resource]) -> Vec<(Urn, Urn)> {
        let _ = resources;
        Vec::new()
    }

    /// What the system knows the resource by, as far as the inputs say; two resources of one stack must not share it.
    fn identity(&self, urn: &Urn, inputs: &Value) -> Option<String> {
        let _ = (urn, inputs);
        None
    }

    /// By which rule [`Provider::infer_dependencies`] finds that `dependent` needs `dependency`, in a few words.
    fn inferred_because(
        &self,
        resources: &[&Resource],
        dependent: &Urn,
        dependency: &Urn,
    ) -> Option<&'static str> {
        let _ = (resources, dependent, dependency);
        None
    }

    /// Whether `dependent` cannot outlive `dependency`: the system refuses to delete the one while the other is there,
    /// or deletes both. Where a dependency is deleted before its new one comes, such dependents are replaced with it.
    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        let _ = (dependent, dependency);
        false
    }

    /// The inputs of a new instance that can stand beside the recorded one: `desired` with another physical name. Only
    /// where `declared`, the inputs before [`Provider::check`], leaves the name to the kind; `None` means that the old
    /// instance has to go first. Deterministic: the same recorded instance gives the same name.
    fn beside(&self, recorded: &Recorded, declared: &Value, desired: &Value) -> Option<Value> {
        let _ = (recorded, declared, desired);
        None
    }

    /// `desired` with the physical name of the recorded instance, where that is one that [`Provider::beside`] gave and
    /// `declared` still leaves the name to the kind: later plans then see no change in it.
    fn keep_name(&self, recorded: &Recorded, declared: &Value, desired: Value) -> Value {
        let _ = (recorded, declared);
        desired
    }

    /// Keys under which the kind's operations must not overlap.
    fn lanes(&self, urn: &Urn, inputs: &Value) -> Vec<Lane> {
        let _ = (urn, inputs);
        Vec::new()
    }

    /// How many operations it takes at once at most, unless the stack file says otherwise; the engine goes below that as
    /// the system asks for it. `None`: it touches no system, and nothing has to be spared.
    fn concurrency(&self) -> Option<usize> {
        Some(64)
    }

    /// Creates it and waits until it is ready. What exists and carries this stack's and this URN's ownership marks is
    /// brought to the inputs and returned, unless it is the one that [`Context::beside`] names; what exists and does not
    /// carry them is [`Class::AlreadyExists`].
    async fn create(&self, context: &Context, request: Request<'_>) -> Result<Applied>;

    /// What the system says now; `None` when it is gone.
    async fn read(&self, context: &Context, request: ReadRequest<'_>) -> Result<Option<Live>>;

    /// Many reads at once; the results stand in the order of the requests.
    async fn read_many(&self, context: &Context, requests: &[ReadRequest<'_>]) -> Vec<Result<Option<Live>>> {
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            results.push(self.read(context, *request).await);
        }
        results
    }

    /// Brings what is recorded to the inputs and waits until it is ready.
    async fn update(&self, context: &Context, request: Request<'_>, recorded: &Recorded) -> Result<Applied>;

    /// Deletes it and waits until it is gone. Deleting what is gone already succeeds.
    async fn delete(&self, context: &Context, recorded: &Recorded) -> Result<()>;

    /// Whether what a create *would* have made exists and is ours: by deterministic name, client token or ownership
    /// marks. Asked after a create whose outcome is unknown.
    async fn find(&self, context: &Context, request: Request<'_>) -> Result<Option<Live>>;

    /// What the system says of changes before any of them is made, in the order of the requests: admission's opinion,
    /// what cannot change in place, what is refused. Changes nothing. The requests are all that the plan changes, so
    /// that one which needs another of them is not blamed for its absence. By default nothing more is known.
    ///
    /// An error of the classes [`Class::Unavailable`], [`Class::Timeout`], [`Class::Throttled`] and [`Class::Denied`]
    /// says that the system could not be asked; any other that it will refuse the change.
    async fn preview_many(&self, context: &Context, requests: &[PreviewRequest<'_>]) -> Vec<Result<Preview>> {
        let _ = context;
        requests.iter().map(|_| Ok(Preview::default())).collect()
    }

    /// What the system would refuse to let go of, asked before anything is deleted: protection that is switched on, what
    /// is not empty, what others still need. `going` is all that the plan deletes or replaces, so that what goes with it
    /// stands in nobody's way; the results stand in its order, and the classes of errors say what they do for
    /// [`Provider::preview_many`]. By default nothing is refused.
    async fn preview_deletes(&self, context: &Context, going: &[&Recorded]) -> Vec<Result<Preview>> {
        let _ = context;
        going.iter().map(|_| Ok(Preview::default())).collect()
    }

    /// What already stands where a create would make something, whoever made it; the results stand in the order of the
    /// requests. Asked before planning a create, so that nothing is taken over that the plan does not show.
    async fn occupants(&self, context: &Context, requests: &[Request<'_>]) -> Vec<Result<Option<Occupant>>> {
        let _ = context;
        requests.iter().map(|_| Ok(None)).collect()
    }

    /// What taking over a live object takes away, although its declaration does not speak of it: fields of those who
    /// are no longer asked once it is ours. `now` holds the declared inputs as they are live. Pure.
    fn taken(&self, now: &Recorded, live: &Live) -> Taken {
        let _ = live;
        Taken { inputs: now.inputs.clone(), lost: Vec::new() }
    }

    /// Where live differs from recorded, on the paths that were recorded. Pure.
    fn drift(&self, recorded: &Recorded, live: &Live) -> Vec<Drift> {
        let sets = self.schema(recorded.urn.kind()).map(|schema| schema.set_like).unwrap_or_default();
        changes_with_sets(&recorded.inputs, &live.inputs, &sets)
            .into_iter()
            .filter(|change| change.before.is_some())
            .map(|change| Drift {
                path: change.path,
                recorded: change.before,
                live: change.after,
                by: None,
                at: None,
            })
            .collect()
    }
}

/// What a call is about.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The resource.
    pub urn: &'a Urn,
    /// Its inputs: resolved and checked, nothing unknown.
    pub inputs: &'a Value,
    /// Its connection, resolved.
    pub connection: Option<&'a Value>,
}

/// What a read is about.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest<'a> {
    /// What is recorded of it.
    pub recorded: &'a Recorded,
}

/// A planned change that the system is asked about.
#[derive(Debug, Clone, Copy)]
pub struct PreviewRequest<'a> {
    /// The resource.
    pub urn: &'a Urn,
    /// Its inputs: checked; what is not known yet is [`Value::Unknown`].
    pub inputs: &'a Value,
    /// Its connection; may hold what is not known yet.
    pub connection: Option<&'a Value>,
    /// What is recorded of it, when it exists.
    pub recorded: Option<&'a Recorded>,
    /// Whether a new one comes in the place of the recorded one.
    pub replaces: bool,
    /// What it needs, by the desired graph.
    pub dependencies: &'a [Urn],
    /// Inputs that the plan takes back from whoever changed them.
    pub take_over: &'a [Path],
}

/// What a system says of a change before it is made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preview {
    /// Inputs that it refuses to change in place: the update has to be a replacement.
    pub replaces: Vec<Path>,
    /// What the user should know before approving.
    pub warnings: Vec<String>,
}

/// What a create or update came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The system's own identity of it.
    pub id: String,
    /// What came back.
    pub outputs: Value,
}

/// What the system says now.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The system's own identity of it.
    pub id: String,
    /// What comes back from it.
    pub outputs: Value,
    /// The inputs as the system has them, in normal form; may hold more than we set.
    pub inputs: Value,
    /// What the provider itself needs to judge drift; the engine does not look inside.
    pub details: serde_json::Value,
}

/// What stands where a create would make something.
#[derive(Debug, Clone, PartialEq)]
pub struct Occupant {
    /// What it is.
    pub live: Live,
    /// Whose it is, by its marks.
    pub owner: Owner,
}

/// What taking over takes away.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// Inputs with which nothing is lost: the given ones, and what would be.
    pub inputs: Value,
    /// What goes with the inputs as they were given.
    pub lost: Vec<Change>,
}

/// Whose something is, by its marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This very resource's.
    Ours,
    /// It carries no stack's marks.
    Nobody,
    /// Another resource's.
    Other {
        /// Of which stack.
        stack: String,
        /// Which one, as its mark says.
        urn: String,
    },
}

/// One place where live differs from what was recorded.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Drift {
    /// Where.
    pub path: Path,
    /// What was recorded; absent when it was added.
    pub recorded: Option<Value>,
    /// What is there; absent when it was removed.
    pub live: Option<Value>,
    /// Who changed it, if the system tells.
    pub by: Option<String>,
    /// When, if the system tells.
    pub at: Option<jiff::Timestamp>,
}

/// What it takes to bring recorded to desired.
#[derive(Debug, Clone, PartialEq)]
pub enum Diff {
    /// Nothing.
    None,
    /// A change in place.
    Update(Vec<Change>),
    /// A new one instead.
    Replace {
        /// Everything that changes.
        changes: Vec<Change>,
        /// The paths that force it.
        forced_by: Vec<Path>,
    },
}

impl Diff {
    /// The difference by a kind's schema alone.
    pub fn structural(schema: &KindSchema, before: &Value, after: &Value) -> Self {
        Self::from_changes(schema, changes_with_sets(before, after, &schema.set_like))
    }

    /// Sorts changes into none, update or replace by the schema's immutable and recreated paths.
    pub fn from_changes(schema: &KindSchema, changes: Vec<Change>) -> Self {
        if changes.is_empty() {
            return Self::None;
        }
        let forcing = || schema.immutable.iter().chain(&schema.recreated);
        let forced_by: Vec<Path> = changes
            .iter()
            .filter(|change| forcing().any(|pattern| pattern.touches(&change.path)))
            .map(|change| change.path.clone())
            .collect();
        if forced_by.is_empty() { Self::Update(changes) } else { Self::Replace { changes, forced_by } }
    }
}

/// A key under which operations must not overlap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    /// What is shared, such as `eks/main`.
    pub key: String,
    /// Whether holders exclude each other; shared holders only exclude exclusive ones.
    pub exclusive: bool,
}

/// What a provider tells while it works.
#[async_trait]
pub trait Reporter: Send + Sync {
    /// What the call waits for now.
    fn waiting(&self, reason: &str);
    /// Something the user should know that is not an error.
    fn warning(&self, message: &str);
    /// A long operation has begun under this handle. Returns once that is durable.
    ///
    /// # Errors
    /// When it could not be recorded; the call must then not go on.
    async fn started(&self, handle: &str) -> Result<()>;
}

/// A reporter that drops everything.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

#[async_trait]
impl Reporter for Silent {
    fn waiting(&self, _reason: &str) {}
    fn warning(&self, _message: &str) {}
    async fn started(&self, _handle: &str) -> Result<()> {
        Ok(())
    }
}

/// What every call is given.
#[derive(Clone)]
pub struct Context {
    /// The stack, for ownership marks.
    pub stack: String,
    /// The same for every try of one step: a client token where the system takes one.
    pub token: String,
    /// When the call must have ended.
    pub deadline: Instant,
    /// Set when the run is stopped at once.
    pub cancel: CancellationToken,
    /// Where to tell what is waited for.
    pub reporter: Arc<dyn Reporter>,
    /// The handle of an operation that an earlier run began: go on waiting for it.
    pub handle: Option<String>,
    /// Inputs that the approved plan takes back from whoever changed them; only these may be overruled.
    pub take_over: Vec<Path>,
    /// Of a create that replaces: the id of the old instance, which still stands and is not the one that is to be made.
    pub beside: Option<String>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("stack", &self.stack)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// A context with a deadline from now and nobody listening; what tests and one-off reads use.
    pub fn new(stack: &str, timeout: Duration) -> Self {
        Self {
            stack: stack.to_owned(),
            token: uuid::Uuid::new_v4().to_string(),
            deadline: Instant::now() + timeout,
            cancel: CancellationToken::new(),
            reporter: Arc::new(Silent),
            handle: None,
            take_over: Vec::new(),
            beside: None,
        }
    }

    /// When the step was about to be done for the first time, where its token tells: what an earlier try has made is not
    /// older than that.
    pub fn intended_at(&self) -> Option<jiff::Timestamp> {
        let (seconds, nanoseconds) = uuid::Uuid::parse_str(&self.token).ok()?.get_timestamp()?.to_unix();
        jiff::Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
    }

    /// Runs a future until it ends, the deadline passes or the run is stopped. `last_status` says what was waited for.
    ///
    /// # Errors
    /// [`Class::Timeout`] or [`Class::Cancelled`], beside the future's own.
    pub async fn bounded<T>(
        &self,
        last_status: impl Fn() -> String + Send,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::new(Class::Cancelled, "interrupted")),
            result = work => result,
            () = tokio::time::sleep_until(self.deadline) => {
                Err(Error::new(Class::Timeout, format!("the deadline passed: {}", last_status())))
            }
        }
    }
}

/// The providers at hand, by the prefix of their kinds.
#[derive(Clone, Default)]
pub struct Providers(BTreeMap<String, Arc<dyn Provider>>);

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Providers {
    /// No providers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; a later one of the same name takes its place.
    #[must_use]
    pub fn with(mut self, provider: Arc<dyn Provider>) -> Self {
        self.0.insert(provider.name().to_owned(), provider);
        self
    }

    /// The provider of a kind.
    ///
    /// # Errors
    /// [`Class::Invalid`] that names the known prefixes.
    pub fn of(&self, kind: &str) -> Result<&Arc<dyn Provider>> {
        let prefix = kind.split(':').next().unwrap_or(kind);
        self.0.get(prefix).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            Error::invalid(format!("no provider for kind `{kind}`"))
                .help(format!("a kind begins with one of: {}", known.join(":, ") + ":"))
        })
    }

    /// Every provider, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.0.values()
    }
}
