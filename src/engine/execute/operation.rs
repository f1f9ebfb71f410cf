//! One side effect: a durable intent, the provider's call with its retries, a durable outcome.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plinth_provider::{
    Applied, Class, Context, Error, Lane, Options, Provider, Recorded, Redactor, Reporter, Request, Urn,
    Value,
};
use plinth_state::{Action, Event as LogEvent, Intent, OutcomeResult, Writer, class_name};
use rand::RngExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::apart::apart;
use super::pace::Pace;
use crate::engine::event::{Event, Events};

/// Tries of one call, the first included. With the backoff below that is about a minute and a half of a system
/// that is away. Refusals for there being too many calls do not count: such a system is there, and asks for patience.
const MAX_TRIES: u32 = 12;
/// How long after its deadline a provider may still be cleaning up before its call is given up. Providers keep their
/// deadlines themselves and say what they waited for; this is for one that does not.
const GRACE: Duration = Duration::from_secs(10);
/// How long it may take to look what a failed create has left behind.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(15);

/// What every operation of a run shares.
#[derive(Clone)]
pub struct Shared {
    /// The stack's name.
    pub stack: Arc<str>,
    /// The right to append.
    pub writer: Arc<Writer>,
    /// Where to tell.
    pub events: Events,
    /// Set when steps in flight are to be abandoned.
    pub stop_now: CancellationToken,
    /// Creates of an earlier run that are still open; an operation on the same resource takes their place.
    pub doubts: Arc<Mutex<HashMap<Urn, u64>>>,
    /// Knows the stack's own secrets.
    pub redactor: Arc<Redactor>,
    /// Where to tell that a call has returned.
    pub returns: mpsc::UnboundedSender<Returned>,
}

/// A call that succeeded, and whose outcome has its place in the log's queue.
pub struct Returned {
    /// Which task.
    pub task: usize,
    /// The id and the outputs of what exists now; nothing when it is gone.
    pub made: Option<(String, Value)>,
}

/// What is done to the system.
pub enum Call {
    /// Make it. The present instance, if one stands beside it, is kept as superseded.
    Create {
        /// The id of an older instance of the same URN that still exists.
        beside: Option<String>,
    },
    /// Bring what is recorded to the inputs.
    Update(Arc<Recorded>),
    /// Take over what exists, and bring it to the inputs.
    Import(Arc<Recorded>),
    /// Delete what is recorded.
    Delete {
        /// What goes.
        recorded: Arc<Recorded>,
        /// Whether it is the old instance of a replacement that has been made already.
        superseded: bool,
    },
}

impl Call {
    fn action(&self) -> Action {
        match self {
            Self::Create { .. } => Action::Create,
            Self::Update(_) => Action::Update,
            Self::Import(_) => Action::Import,
            Self::Delete { .. } => Action::Delete,
        }
    }
}

/// One operation, ready to run.
pub struct Operation {
    /// The resource.
    pub urn: Urn,
    /// What is done.
    pub call: Call,
    /// Resolved and checked; null for a delete.
    pub inputs: Value,
    /// Resolved.
    pub connection: Option<Value>,
    /// What it needs, for the record.
    pub dependencies: Vec<Urn>,
    /// Its options, for the record.
    pub options: Options,
    /// Who does it.
    pub provider: Arc<dyn Provider>,
    /// How long it may take.
    pub timeout: Duration,
    /// Inputs that it takes back from whoever changed them.
    pub take_over: Vec<plinth_provider::Path>,
    /// Its name before, when it has a new one.
    pub moved_from: Option<Urn>,
}

/// How an operation ended.
pub enum Ended {
    /// It exists, and that is recorded.
    Made,
    /// It is gone.
    Deleted,
    /// The provider failed.
    Failed(Error),
    /// It was abandoned; the next run finds out what became of it.
    Abandoned,
    /// It was to be recorded first, and that failed: nothing has happened.
    NotBegun(plinth_state::Error),
    /// Nothing more can be recorded: another run has the lease, or the storage failed.
    LogFailed(plinth_state::Error),
    /// Only state was written.
    Noted,
}

/// Writes something that has no effect outside of state. `told` is told once it is durable.
pub fn note(
    events: Vec<LogEvent>,
    told: Option<Event>,
    shared: &Shared,
) -> impl Future<Output = Ended> + use<> {
    let receipt = shared.writer.submit(events);
    let events = shared.events.clone();
    async move {
        match receipt.await {
            Ok(()) => {
                if let Some(told) = told {
                    events.send(told);
                }
                Ended::Noted
            }
            Err(error) => Ended::NotBegun(error),
        }
    }
}

impl Operation {
    /// Asks for its intent at once, and gives the rest: nothing happens before the intent is durable.
    ///
    /// `told` is told then. A `handle` is that of an operation that an earlier run began: its wait goes on.
    pub fn begin(
        self: Box<Self>,
        task: usize,
        told: Event,
        handle: Option<String>,
        pace: Option<Pace>,
        shared: &Shared,
    ) -> impl Future<Output = Ended> + use<> {
        let op = shared.writer.next_op();
        // Tells when the step was meant first: what a lost create has made is not older.
        let token = uuid::Uuid::now_v7().to_string();
        let intent = Intent {
            inputs: self.inputs.clone(),
            connection: self.connection.clone(),
            dependencies: self.dependencies.clone(),
            options: self.options.clone(),
            token: token.clone(),
            resumed: handle.is_some(),
            replaces: matches!(
                self.call,
                Call::Create { beside: Some(_) } | Call::Delete { superseded: true, .. }
            ),
            id: match &self.call {
                Call::Create { .. } => None,
                Call::Update(recorded) | Call::Import(recorded) | Call::Delete { recorded, .. } => {
                    Some(recorded.id.clone())
                }
            },
            ..Intent::new(op, self.call.action(), self.urn.clone())
        };
        let moved = self.moved_from.clone().map(|from| LogEvent::Moved { from, to: self.urn.clone() });
        let doubt = shared.doubts.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.urn);
        let closed =
            doubt.map(|op| LogEvent::Outcome { op, result: OutcomeResult::NotHappened, duration_ms: 0 });
        let resumed = handle.clone().map(|handle| LogEvent::Started { op, handle });
        let intent = [LogEvent::Intent(Box::new(intent))];
        let events = closed.into_iter().chain(moved).chain(intent).chain(resumed).collect();
        let receipt = shared.writer.submit(events);
        let shared = shared.clone();
        let span = tracing::info_span!("step", urn = %self.urn, action = self.call.action().as_str());
        let work = async move {
            if let Err(error) = receipt.await {
                return Ended::NotBegun(error);
            }
            shared.events.send(told);
            let doing = Doing { operation: *self, task, op, token, handle, pace, shared };
            doing.finish().await
        };
        work.instrument(span)
    }

    /// The lanes that it takes. What goes takes those of what it was made of.
    pub fn lanes(&self) -> Vec<Lane> {
        let inputs = match &self.call {
            Call::Delete { recorded, .. } => &recorded.inputs,
            Call::Create { .. } | Call::Update(_) | Call::Import(_) => &self.inputs,
        };
        self.provider.lanes(&self.urn, inputs)
    }

    fn beside(&self) -> Option<&String> {
        match &self.call {
            Call::Create { beside } => beside.as_ref(),
            _ => None,
        }
    }

    fn request(&self) -> Request<'_> {
        Request { urn: &self.urn, inputs: &self.inputs, connection: self.connection.as_ref() }
    }

    fn recorded(&self, applied: Applied) -> Recorded {
        let schema = self.provider.schema(self.urn.kind()).unwrap_or_default();
        Recorded {
            urn: self.urn.clone(),
            id: applied.id,
            inputs: self.inputs.clone(),
            outputs: schema.seal(applied.outputs),
            connection: self.connection.clone(),
            dependencies: self.dependencies.clone(),
            options: self.options.clone(),
            unsettled: false,
        }
    }

    async fn call_once(&self, context: &Context, shared: &Shared) -> Result<Option<Applied>, Error> {
        let provider = &self.provider;
        match &self.call {
            Call::Create { beside } => match provider.create(context, self.request()).await? {
                // Going on would delete the only one there is.
                applied if beside.as_ref() == Some(&applied.id) => Err(Error::invalid(format!(
                    "a new instance was to be made beside `{}`, and none was",
                    applied.id
                ))
                .help("set `deleteBeforeReplace: true` on the resource")),
                applied => Ok(Some(applied)),
            },
            Call::Update(recorded) => match provider.update(context, self.request(), recorded).await {
                Err(error) if error.class == Class::NotFound => {
                    // It went away behind our back; the inputs are what counts.
                    shared.events.send(Event::StepWarning {
                        urn: self.urn.clone(),
                        message: "it was gone and is made anew".to_owned(),
                    });
                    provider.create(context, self.request()).await.map(Some)
                }
                result => result.map(Some),
            },
            Call::Import(existing) => provider.update(context, self.request(), existing).await.map(Some),
            Call::Delete { recorded, .. } => match provider.delete(context, recorded).await {
                Err(error) if error.class == Class::NotFound => Ok(None),
                result => result.map(|()| None),
            },
        }
    }

    /// What no text of the provider may show, whoever echoes it.
    fn redactor(&self, shared: &Shared) -> Redactor {
        let recorded = match &self.call {
            Call::Create { .. } => None,
            Call::Update(recorded) | Call::Import(recorded) | Call::Delete { recorded, .. } => Some(recorded),
        };
        let recorded = recorded.into_iter().flat_map(|recorded| [&recorded.inputs, &recorded.outputs]);
        Redactor::of([&self.inputs].into_iter().chain(&self.connection).chain(recorded)).and(&shared.redactor)
    }

    /// The outer error: the lease could not be held, so that nothing more may be done.
    async fn try_until_done(
        &self,
        context: &Context,
        pace: Option<&Pace>,
        shared: &Shared,
        reporter: &StepReporter,
    ) -> plinth_state::Result<Result<Option<Applied>, Error>> {
        let redactor = &reporter.redactor;
        let (began, mut failures) = (Instant::now(), 0);
        for attempt in 1.. {
            // The intent proves that the lease was ours when it landed. Between then and now this process may have
            // slept, and between two tries it did.
            shared.writer.hold().await?;
            let span = tracing::info_span!(
                "call",
                provider = self.provider.name(),
                kind = self.urn.kind(),
                action = self.call.action().as_str(),
                attempt,
                error = tracing::field::Empty
            );
            let call = self.call_once(context, shared).instrument(span.clone());
            let error = match tokio::time::timeout_at(context.deadline + GRACE, call).await {
                Ok(Ok(applied)) => return Ok(Ok(applied)),
                Ok(Err(error)) => redactor.error(error),
                Err(_) => self.no_answer(&reporter.last()),
            };
            // The class alone: a message may quote what a system said, and a trace goes to other places than the log.
            span.record("error", class_name(error.class));
            drop(span);
            // A call whose reply was lost is simply repeated: every call is idempotent under its token and marks.
            let repeatable = error.is_retryable() || error.class == Class::UnknownOutcome;
            match error.class {
                Class::Throttled { retry_after } => {
                    if let Some(pace) = pace {
                        pace.throttled(retry_after, Instant::now());
                    }
                }
                _ => failures += 1,
            }
            let after = backoff(attempt, &error);
            if !repeatable {
                return Ok(Err(error));
            }
            if failures >= MAX_TRIES || Instant::now() + after >= context.deadline {
                return Ok(Err(gave_up(error, attempt, began.elapsed())));
            }
            shared.events.send(Event::StepRetrying {
                urn: self.urn.clone(),
                attempt,
                after,
                reason: error.message.clone(),
            });
            tokio::select! {
                () = tokio::time::sleep(after) => {}
                () = context.cancel.cancelled() => {
                    return Ok(Err(Error::new(Class::Cancelled, "interrupted")));
                }
            }
        }
        unreachable!("the loop ends by returning")
    }

    fn no_answer(&self, last: &Option<String>) -> Error {
        let last = last.as_ref().map(|last| format!("; last: {last}")).unwrap_or_default();
        let within = self.timeout.as_secs_f64();
        Error::new(Class::Timeout, format!("it was not done within {within:.0} s{last}"))
    }

    /// What exists although the operation failed; it must be recorded, or it would be orphaned.
    async fn left_behind(&self, context: &Context, error: &Error, begun: bool) -> Left {
        match &self.call {
            Call::Update(recorded) | Call::Delete { recorded, superseded: false } => {
                Left::Something(Box::new(Recorded {
                    unsettled: true,
                    urn: self.urn.clone(),
                    ..(**recorded).clone()
                }))
            }
            Call::Delete { superseded: true, .. } | Call::Import(_) => Left::Nothing,
            Call::Create { .. } if error.class == Class::AlreadyExists => Left::Nothing,
            Call::Create { .. } => {
                let deadline = Instant::now() + LOOK_TIMEOUT;
                let context = Context { deadline, ..context.clone() };
                let look = self.provider.find(&context, self.request());
                match tokio::time::timeout_at(deadline + GRACE, look).await {
                    Ok(Ok(Some(live))) if self.beside() != Some(&live.id) => {
                        let applied = Applied { id: live.id, outputs: live.outputs };
                        Left::Something(Box::new(Recorded { unsettled: true, ..self.recorded(applied) }))
                    }
                    Ok(Ok(_)) => Left::Nothing,
                    Ok(Err(_)) | Err(_) if begun || may_have_happened(error) => Left::Unknown,
                    Ok(Err(_)) | Err(_) => Left::Nothing,
                }
            }
        }
    }
}

/// What a failed operation has left in its system.
enum Left {
    Nothing,
    Something(Box<Recorded>),
    /// The system does not say.
    Unknown,
}

/// Whether a create that failed so may have made something all the same.
fn may_have_happened(error: &Error) -> bool {
    matches!(error.class, Class::UnknownOutcome | Class::Unavailable | Class::Timeout)
}

fn gave_up(error: Error, tries: u32, after: Duration) -> Error {
    if tries < 2 {
        return error;
    }
    let message = format!("{} (given up after {tries} tries in {} s)", error.message, after.as_secs());
    Error { message, ..error }
}

/// An operation whose intent is durable.
struct Doing {
    operation: Operation,
    task: usize,
    op: u64,
    token: String,
    handle: Option<String>,
    pace: Option<Pace>,
    shared: Shared,
}

impl Doing {
    async fn finish(self) -> Ended {
        let Self { operation, task, op, token, handle, pace, shared } = self;
        let started = Instant::now();
        let redactor = Arc::new(operation.redactor(&shared));
        let reporter = Arc::new(StepReporter {
            urn: operation.urn.clone(),
            op,
            shared: shared.clone(),
            redactor: Arc::clone(&redactor),
            last: Mutex::default(),
            begun: AtomicBool::new(false),
        });
        let context = Context {
            stack: shared.stack.to_string(),
            token,
            deadline: started + operation.timeout,
            cancel: shared.stop_now.clone(),
            reporter: Arc::clone(&reporter) as Arc<dyn Reporter>,
            handle,
            take_over: operation.take_over.clone(),
            beside: operation.beside().cloned(),
        };
        let urn = operation.urn.clone();
        let beside = shared.clone();
        let call = async move {
            let result = operation.try_until_done(&context, pace.as_ref(), &beside, &reporter).await;
            let left = match &result {
                Ok(Err(error)) if error.class != Class::Cancelled => {
                    operation.left_behind(&context, error, reporter.has_begun()).await
                }
                _ => Left::Nothing,
            };
            (operation, result, left)
        };
        let (operation, result, left) = match apart(call.in_current_span()).await {
            Ok(returned) => returned,
            // The intent stays without an outcome; recovery finds out what became of it.
            Err(panic) => {
                let panic = redactor.clean(&panic.to_string());
                let what = format!("the provider of {} failed in an unforeseen way: {panic}", urn.kind());
                let help =
                    "this is a mistake in Plinth; what became of the step is found out by the next run";
                return Ended::Failed(Error::new(Class::UnknownOutcome, what).help(help));
            }
        };
        let result = match result {
            Ok(result) => result,
            Err(error) => return Ended::LogFailed(error),
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (outcome, returned, ended) = match result {
            Ok(Some(applied)) => {
                let recorded = operation.recorded(applied);
                let returned = Returned { task, made: Some((recorded.id.clone(), recorded.outputs.clone())) };
                (OutcomeResult::Succeeded { recorded: Box::new(recorded) }, Some(returned), Ended::Made)
            }
            Ok(None) => (OutcomeResult::Deleted, Some(Returned { task, made: None }), Ended::Deleted),
            // As above.
            Err(error) if error.class == Class::Cancelled => return Ended::Abandoned,
            // As above, too: the intent is what the next run asks by.
            Err(error) if matches!(left, Left::Unknown) => {
                let doubt = "whether it was made could not be found out either; the next run asks again before anything else";
                // What the user can do about the cause comes first.
                let help =
                    error.help.as_ref().map_or_else(|| doubt.to_owned(), |own| format!("{own}; {doubt}"));
                return Ended::Failed(error.help(help));
            }
            Err(error) => {
                let left = match left {
                    Left::Something(recorded) => Some(recorded),
                    Left::Nothing | Left::Unknown => None,
                };
                let outcome = OutcomeResult::Failed {
                    class: class_name(error.class).to_owned(),
                    message: error.message.clone(),
                    recorded: left,
                };
                (outcome, None, Ended::Failed(error))
            }
        };
        let receipt = shared.writer.submit(vec![LogEvent::Outcome { op, result: outcome, duration_ms }]);
        if let Some(returned) = returned {
            // Whoever waits for it asks for an intent now, which then stands behind this outcome.
            let _ = shared.returns.send(returned);
        }
        match receipt.await {
            Ok(()) => ended,
            Err(error) => Ended::LogFailed(error),
        }
    }
}

/// Exponential with full jitter; what the system asked for at least.
fn backoff(attempt: u32, error: &Error) -> Duration {
    let ceiling = FIRST_BACKOFF.saturating_mul(1 << attempt.min(10)).min(LONGEST_BACKOFF);
    let jittered = ceiling.mul_f64(rand::rng().random_range(0.1..1.0));
    match error.class {
        Class::Throttled { retry_after: Some(asked) } => jittered.max(asked),
        _ => jittered,
    }
}

struct StepReporter {
    urn: Urn,
    op: u64,
    shared: Shared,
    redactor: Arc<Redactor>,
    /// What was waited for last.
    last: Mutex<Option<String>>,
    /// Whether the system has accepted something long.
    begun: AtomicBool,
}

impl StepReporter {
    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    fn last(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait::async_trait]
impl Reporter for StepReporter {
    fn waiting(&self, reason: &str) {
        let reason = self.redactor.clean(reason);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        self.shared.events.send(Event::StepWaiting { urn: self.urn.clone(), reason });
    }

    fn warning(&self, message: &str) {
        self.shared
            .events
            .send(Event::StepWarning { urn: self.urn.clone(), message: self.redactor.clean(message) });
    }

    async fn started(&self, handle: &str) -> plinth_provider::Result<()> {
        self.begun.store(true, Ordering::Relaxed);
        let event = LogEvent::Started { op: self.op, handle: handle.to_owned() };
        match self.shared.writer.append(vec![event]).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::new(Class::Cancelled, format!("the log could not be written: {error}"))),
        }
    }
}
