//! One side effect: a durable intent, the provider's call with its retries, a durable outcome.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plinth_provider::{
    Applied, Class, Context, Error, Options, Provider, Recorded, Reporter, Request, Urn, Value,
};
use plinth_state::{Action, Event as LogEvent, Intent, OutcomeResult, Writer, class_name};
use rand::RngExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::event::{Event, Events};

/// Tries of one call, the first included. With the backoff below that is about a minute and a half of a system
/// that is away.
const MAX_TRIES: u32 = 12;
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(15);

/// What every operation of a run shares.
#[derive(Clone)]
pub struct Shared {
    /// The stack's name.
    pub stack: String,
    /// The right to append.
    pub writer: Arc<Writer>,
    /// Where to tell.
    pub events: Events,
    /// Set when steps in flight are to be abandoned.
    pub stop_now: CancellationToken,
    /// Creates of an earlier run that are still open; an operation on the same resource takes their place.
    pub doubts: Arc<Mutex<HashMap<Urn, u64>>>,
}

/// What is done to the system.
pub enum Call {
    /// Make it. The present instance, if one stands beside it, is kept as superseded.
    Create {
        /// The id of an older instance of the same URN that still exists.
        beside: Option<String>,
    },
    /// Bring what is recorded to the inputs.
    Update(Box<Recorded>),
    /// Take over what exists, and bring it to the inputs.
    Import(Box<Recorded>),
    /// Delete what is recorded.
    Delete {
        /// What goes.
        recorded: Box<Recorded>,
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
    /// It exists, and this is recorded.
    Made(Box<Recorded>),
    /// It is gone.
    Deleted,
    /// The provider failed.
    Failed(Error),
    /// It was abandoned; the next run finds out what became of it.
    Abandoned,
    /// Nothing more can be recorded: another run has the lease, or the storage failed.
    LogFailed(plinth_state::Error),
    /// Only state was written.
    Noted,
}

impl Operation {
    /// Runs it. Nothing happens before the intent is durable.
    pub async fn run(self, shared: &Shared) -> Ended {
        let op = shared.writer.next_op();
        let token = uuid::Uuid::new_v4().to_string();
        let intent = Intent {
            inputs: self.inputs.clone(),
            connection: self.connection.clone(),
            dependencies: self.dependencies.clone(),
            options: self.options.clone(),
            token: token.clone(),
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
        let events = closed.into_iter().chain(moved).chain([LogEvent::Intent(Box::new(intent))]).collect();
        if let Err(error) = shared.writer.append(events).await {
            return Ended::LogFailed(error);
        }
        let started = Instant::now();
        let context = Context {
            stack: shared.stack.clone(),
            token,
            deadline: started + self.timeout,
            cancel: shared.stop_now.clone(),
            reporter: Arc::new(StepReporter { urn: self.urn.clone(), op, shared: shared.clone() }),
            handle: None,
            take_over: self.take_over.clone(),
            beside: self.beside().cloned(),
        };
        let result = match self.try_until_done(&context, shared).await {
            Ok(result) => result,
            Err(error) => return Ended::LogFailed(error),
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (outcome, ended) = match result {
            Ok(Some(applied)) => {
                let recorded = self.recorded(applied);
                (
                    OutcomeResult::Succeeded { recorded: Box::new(recorded.clone()) },
                    Ended::Made(Box::new(recorded)),
                )
            }
            Ok(None) => (OutcomeResult::Deleted, Ended::Deleted),
            // The intent stays without an outcome; recovery resolves it.
            Err(error) if error.class == Class::Cancelled => return Ended::Abandoned,
            Err(error) => {
                let outcome = OutcomeResult::Failed {
                    class: class_name(error.class).to_owned(),
                    message: error.message.clone(),
                    recorded: self.left_behind(&context, &error).await.map(Box::new),
                };
                (outcome, Ended::Failed(error))
            }
        };
        match shared.writer.append(vec![LogEvent::Outcome { op, result: outcome, duration_ms }]).await {
            Ok(_) => ended,
            Err(error) => Ended::LogFailed(error),
        }
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

    /// The outer error: the lease could not be held, so that nothing more may be done.
    async fn try_until_done(
        &self,
        context: &Context,
        shared: &Shared,
    ) -> plinth_state::Result<Result<Option<Applied>, Error>> {
        for attempt in 1.. {
            // The intent proves that the lease was ours when it landed. Between then and now this process may have
            // slept, and between two tries it did.
            shared.writer.hold().await?;
            let error = match self.call_once(context, shared).await {
                Ok(applied) => return Ok(Ok(applied)),
                Err(error) => error,
            };
            // A call whose reply was lost is simply repeated: every call is idempotent under its token and marks.
            let repeatable = error.is_retryable() || error.class == Class::UnknownOutcome;
            let after = backoff(attempt, &error);
            if !repeatable || attempt >= MAX_TRIES || Instant::now() + after >= context.deadline {
                return Ok(Err(error));
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

    /// What exists although the operation failed; it must be recorded, or it would be orphaned.
    async fn left_behind(&self, context: &Context, error: &Error) -> Option<Recorded> {
        match &self.call {
            Call::Update(recorded) | Call::Delete { recorded, superseded: false } => {
                Some(Recorded { unsettled: true, urn: self.urn.clone(), ..(**recorded).clone() })
            }
            Call::Delete { superseded: true, .. } | Call::Import(_) => None,
            Call::Create { .. } if error.class == Class::AlreadyExists => None,
            Call::Create { .. } => {
                let context =
                    Context { deadline: Instant::now() + Duration::from_secs(30), ..context.clone() };
                let live = self.provider.find(&context, self.request()).await.ok().flatten()?;
                if self.beside() == Some(&live.id) {
                    return None;
                }
                let applied = Applied { id: live.id, outputs: live.outputs };
                Some(Recorded { unsettled: true, ..self.recorded(applied) })
            }
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
}

#[async_trait::async_trait]
impl Reporter for StepReporter {
    fn waiting(&self, reason: &str) {
        self.shared.events.send(Event::StepWaiting { urn: self.urn.clone(), reason: reason.to_owned() });
    }

    fn warning(&self, message: &str) {
        self.shared.events.send(Event::StepWarning { urn: self.urn.clone(), message: message.to_owned() });
    }

    async fn started(&self, handle: &str) -> plinth_provider::Result<()> {
        let event = LogEvent::Started { op: self.op, handle: handle.to_owned() };
        match self.shared.writer.append(vec![event]).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::new(Class::Cancelled, format!("the log could not be written: {error}"))),
        }
    }
}
