//! Executing a plan: ready tasks by longest remaining path, concurrently, within lanes; a failed step stops what
//! depends on it and nothing else.

mod apart;
pub(crate) mod lanes;
mod operation;
mod pace;
pub(crate) mod queue;
mod run;
mod told;
mod took;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use plinth_provider::{Diff, Error, OutputRef, Path, Providers, Recorded, Urn, Value};
use plinth_state::{Action, Event as LogEvent, State, Writer};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::operation::{Call, Operation};
pub use self::queue::Limits;
use self::run::Run;
use super::event::{Event, Events, Queued, Took};
use super::graph::Desired;
use super::plan::inputs::prepare;
use super::plan::{Counts, Op, Plan, Step};
use super::schedule::{Schedule, Work};

/// How a user stops a run.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    /// Start nothing more; finish and record what is in flight.
    pub stop: CancellationToken,
    /// Abandon what is in flight; the next run finds out what became of it.
    pub stop_now: CancellationToken,
}

/// What executing needs beside the plan.
pub struct Execution<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// What the plan was made from.
    pub desired: &'a Desired,
    /// What was recorded when it was made; the source of learned durations.
    pub state: &'a State,
    /// Who does things.
    pub providers: &'a Providers,
    /// The right to append.
    pub writer: Arc<Writer>,
    /// Where to tell.
    pub events: Events,
    /// How many operations may run at once.
    pub limits: Limits,
    /// Long operations that an earlier run began, by resource: their waits go on.
    pub handles: HashMap<Urn, String>,
    /// How the user stops it.
    pub interrupt: Interrupt,
    /// Creates of an earlier run that are still open because nothing was found of them.
    pub doubts: HashMap<Urn, u64>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// What was done.
    pub counts: Counts,
    /// Every failure, first cause first.
    pub failures: Vec<(Urn, Error)>,
    /// Steps that did not run because of a failure or an interrupt.
    pub skipped: u64,
    /// Operations that began, and of which no outcome is recorded.
    pub unfinished: usize,
    /// Changes that were no part of it.
    pub left_out: usize,
    /// The steps that took longest, longest first.
    pub longest: Vec<Took>,
    /// The chain of steps, each waiting for the one before it, that took longest in sum.
    pub critical_path: Vec<Took>,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// Why nothing more could be recorded, if that happened.
    pub log_failure: Option<plinth_state::Error>,
}

impl Report {
    /// Whether everything was done.
    pub fn is_whole(&self) -> bool {
        !self.interrupted && self.log_failure.is_none() && self.counts.failed == 0
    }
}

/// How long tasks usually take.
pub fn weights<'a>(
    plan: &'a Plan,
    state: &'a State,
    providers: &'a Providers,
) -> impl Fn(usize, Work) -> Duration + 'a {
    move |step, work| {
        let step = &plan.steps[step];
        let action = match (work, step.op) {
            (_, Op::Same | Op::Forget) => return Duration::ZERO,
            (Work::Remove, _) if step.retains_old() => return Duration::ZERO,
            (Work::Remove, _) => Action::Delete,
            (Work::Make, Op::Update | Op::Import) => Action::Update,
            (Work::Make, _) if step.by_update => Action::Update,
            (Work::Make, _) => Action::Create,
        };
        // Under its new name nothing is known of it yet.
        let urn = step.moved_from.as_ref().unwrap_or(&step.urn);
        usual(urn, action, state, providers)
    }
}

/// How long an action on a resource usually takes: by what the log tells of it, else of its kind, else by what the kind says.
pub fn usual(urn: &Urn, action: Action, state: &State, providers: &Providers) -> Duration {
    state.learned.usual(urn, action).map(Duration::from_millis).unwrap_or_else(|| {
        let schema = providers.of(urn.kind()).and_then(|provider| provider.schema(urn.kind()));
        schema.map(|schema| schema.usual_duration).unwrap_or_default()
    })
}

/// Executes a plan.
pub async fn execute(plan: &Plan, execution: Execution<'_>) -> Report {
    let weight = weights(plan, execution.state, execution.providers);
    let schedule = Schedule::build(plan, &weight);
    let queued = plan
        .changes()
        .map(|step| Queued { urn: step.urn.clone(), op: step.op, phase: step.options.phase.clone() })
        .collect();
    let estimate = schedule.makespan(execution.limits.total, &weight);
    execution.events.send(Event::Executing { steps: queued, estimate });
    let span = tracing::info_span!("execute", tasks = schedule.tasks.len());
    let run = Run::new(plan, schedule, execution).run().instrument(span);
    // The loop takes in whatever has happened before it lets an append begin; a budget per turn would tear that apart.
    tokio::task::unconstrained(run).await
}

impl Run<'_> {
    /// What a task does, now that everything it needs is there.
    fn operation(&self, step: &Step, work: Work) -> Result<Prepared, Error> {
        let kind = step.urn.kind();
        let provider = self.execution.providers.of(kind)?.clone();
        let schema = provider.schema(kind)?;
        let timeouts = step.options.timeouts;
        if work == Work::Remove {
            let Some(recorded) = step.recorded.clone() else {
                return Err(Error::invalid("nothing is recorded of what is to be deleted"));
            };
            if step.superseded && self.is_present(&recorded) {
                // What was to go has become the present instance again.
                return Ok(Prepared::Record(Vec::new()));
            }
            // By the time that the old one of a replacement goes, a new name has been recorded for it too.
            let made_first = step.op == Op::Replace && !step.delete_before_replace;
            if step.op == Op::Forget || step.retains_old() {
                let urn = if made_first { &step.urn } else { &recorded.urn };
                let id = Some(recorded.id.clone());
                return Ok(Prepared::Record(vec![LogEvent::Forgot { urn: urn.clone(), id }]));
            }
            return Ok(Prepared::Operation(Box::new(Operation {
                urn: if made_first { step.urn.clone() } else { recorded.urn.clone() },
                inputs: Value::Null,
                connection: recorded.connection.clone(),
                dependencies: recorded.dependencies.clone(),
                options: recorded.options.clone(),
                provider,
                timeout: timeouts.delete.unwrap_or(schema.default_timeout),
                take_over: Vec::new(),
                moved_from: None,
                call: Call::Delete { superseded: step.superseded || made_first, recorded },
            })));
        }
        if step.op == Op::Same {
            return Ok(Prepared::Record(vec![adjusted(step)]));
        }
        let (inputs, connection) = self.resolved(step)?;
        let call = match (step.op, step.recorded.clone()) {
            (Op::Update, Some(recorded)) => {
                match self.still_an_update(step, &recorded, &inputs, provider.as_ref())? {
                    true => Call::Update(recorded),
                    // What was unknown came out as it is recorded: nothing is left to do.
                    false => return Ok(Prepared::Record(vec![adjusted(step)])),
                }
            }
            (Op::Import, Some(existing)) => Call::Import(existing),
            (Op::Replace, Some(recorded)) if step.by_update => Call::Update(recorded),
            (Op::Replace, Some(old)) if !step.delete_before_replace => {
                Call::Create { beside: Some(old.id.clone()) }
            }
            _ => Call::Create { beside: None },
        };
        let timeout = if step.op == Op::Update { timeouts.update } else { timeouts.create };
        Ok(Prepared::Operation(Box::new(Operation {
            urn: step.urn.clone(),
            call,
            inputs,
            connection,
            dependencies: step.dependencies.clone(),
            options: step.options.clone(),
            provider,
            timeout: timeout.unwrap_or(schema.default_timeout),
            take_over: step.take_over.clone(),
            moved_from: step.moved_from.clone(),
        })))
    }

    /// Whether an instance is the one that this run has made present, or taken over.
    fn is_present(&self, instance: &Recorded) -> bool {
        // The outcome of what this run has just made may still be on its way into the log.
        self.made.get(&instance.urn).is_some_and(|id| *id == instance.id)
    }

    /// The step's inputs and connection with every output in its place.
    fn resolved(&self, step: &Step) -> Result<(Value, Option<Value>), Error> {
        let is_known = |value: &Value| !value.has_unknown();
        if is_known(&step.inputs) && step.connection.as_ref().is_none_or(is_known) {
            return Ok((step.inputs.clone(), step.connection.clone()));
        }
        let declared = self
            .execution
            .desired
            .get(&step.urn)
            .ok_or_else(|| Error::invalid(format!("{} is not declared any more", step.urn)))?;
        let mut missing: Option<OutputRef> = None;
        let mut lookup = |reference: &OutputRef| {
            let found = self.outputs.get(&reference.urn).and_then(|outputs| outputs.lookup(&reference.path));
            if found.is_none() {
                missing.get_or_insert_with(|| reference.clone());
            }
            found
        };
        let inputs = declared.inputs.resolve(&mut lookup);
        let connection = declared.connection.as_ref().map(|connection| connection.resolve(&mut lookup));
        if let Some(OutputRef { urn, path }) = missing {
            return Err(Error::invalid(format!(
                "it refers to the output `{path}` of {urn}, which has none of that name"
            )));
        }
        let provider = self.execution.providers.of(step.urn.kind())?;
        let schema = provider.schema(step.urn.kind())?;
        let (urn, recorded) = (&step.urn, step.recorded.as_deref());
        let mut checked = prepare(provider.as_ref(), &schema, urn, &inputs, recorded, &step.options)?;
        if let (true, Some(recorded)) = (step.beside, recorded) {
            checked = provider.beside(recorded, &inputs, &checked).unwrap_or(checked);
        }
        let inputs = checked;
        if inputs.has_unknown() {
            return Err(Error::invalid("an input is still unknown although everything it needs exists"));
        }
        Ok((inputs, connection))
    }

    /// A step planned with unknowns is judged again once they are known.
    fn still_an_update(
        &self,
        step: &Step,
        recorded: &Recorded,
        inputs: &Value,
        provider: &dyn plinth_provider::Provider,
    ) -> Result<bool, Error> {
        if !step.inputs.has_unknown() {
            return Ok(true);
        }
        match provider.diff(recorded, inputs)? {
            Diff::Replace { forced_by, .. } => {
                let paths: Vec<String> = forced_by.iter().map(Path::to_string).collect();
                Err(Error::invalid(format!("it now has to be replaced, because of {}", paths.join(", ")))
                    .help("this became known only while applying; plan again to see and approve the replacement"))
            }
            Diff::Update(_) => Ok(true),
            Diff::None => {
                let certain = step.changes.iter().any(|c| !c.after.as_ref().is_some_and(Value::has_unknown));
                Ok(certain || recorded.unsettled || step.moved_from.is_some())
            }
        }
    }
}

enum Prepared {
    Operation(Box<Operation>),
    /// Nothing happens outside of state.
    Record(Vec<LogEvent>),
}

/// What is recorded of a resource whose system side stays as it is.
fn adjusted(step: &Step) -> LogEvent {
    match step.recorded.as_deref() {
        Some(recorded) => LogEvent::Recorded {
            recorded: Box::new(Recorded {
                options: step.options.clone(),
                dependencies: step.dependencies.clone(),
                ..recorded.clone()
            }),
        },
        None => LogEvent::Forgot { urn: step.urn.clone(), id: None },
    }
}

fn action(step: &Step, work: Work) -> &'static str {
    match (step.op, work) {
        (Op::Replace, _) if step.by_update => "replace",
        (Op::Replace, Work::Make) => "create",
        (Op::Replace, Work::Remove) if step.retains_old() => "forget",
        (Op::Replace, Work::Remove) => "delete",
        (op, _) => op.as_str(),
    }
}
