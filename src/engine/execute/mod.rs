//! Executing a plan: ready tasks by longest remaining path, concurrently, within lanes; a failed step stops what
//! depends on it and nothing else.

mod lanes;
mod operation;

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use plinth_provider::{Class, Diff, Error, Lane, OutputRef, Path, Providers, Recorded, Urn, Value};
use plinth_state::{Action, Event as LogEvent, State, Writer, class_name};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::lanes::Lanes;
use self::operation::{Call, Ended, Operation, Shared};
use super::event::{Event, Events, Queued};
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
    pub concurrency: usize,
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
    /// Changes that were no part of it.
    pub left_out: usize,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// Why nothing more could be recorded, if that happened.
    pub log_failure: Option<plinth_state::Error>,
}

/// How long tasks usually take, by the log and else by the kinds.
pub fn weights<'a>(
    plan: &'a Plan,
    state: &'a State,
    providers: &'a Providers,
) -> impl Fn(usize, Work) -> Duration + 'a {
    move |step, work| {
        let step = &plan.steps[step];
        let action = match (work, step.op) {
            (_, Op::Same | Op::Forget) => return Duration::ZERO,
            (Work::Remove, _) => Action::Delete,
            (Work::Make, Op::Update | Op::Import) => Action::Update,
            (Work::Make, _) => Action::Create,
        };
        let kind = step.urn.kind();
        state.usual_duration(kind, action).map(Duration::from_millis).unwrap_or_else(|| {
            providers
                .of(kind)
                .and_then(|provider| provider.schema(kind))
                .map(|s| s.usual_duration)
                .unwrap_or_default()
        })
    }
}

/// Executes a plan.
pub async fn execute(plan: &Plan, execution: Execution<'_>) -> Report {
    let schedule = Schedule::build(plan, weights(plan, execution.state, execution.providers));
    let queued = plan
        .changes()
        .map(|step| Queued { urn: step.urn.clone(), op: step.op, phase: step.options.phase.clone() })
        .collect();
    execution.events.send(Event::Executing { steps: queued, estimate: schedule.critical_path() });
    Run::new(plan, schedule, execution).run().await
}

/// A ready task: the longest remaining path goes first, ties in plan order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Ready {
    remaining: Duration,
    first: std::cmp::Reverse<usize>,
}

struct Run<'a> {
    plan: &'a Plan,
    schedule: Schedule,
    execution: Execution<'a>,
    shared: Shared,
    /// The outputs of what exists now.
    outputs: HashMap<Urn, Value>,
    waits_for: Vec<usize>,
    /// What stopped a task, if something did.
    stopped_by: Vec<Option<String>>,
    ready: BinaryHeap<Ready>,
    /// Ready, but a lane is taken.
    parked: Vec<usize>,
    lanes: Lanes,
    running: JoinSet<Finished>,
    report: Report,
}

struct Finished {
    task: usize,
    lanes: Vec<Lane>,
    ended: Ended,
    duration: Duration,
}

/// What starting a task came to.
enum Begun {
    Running,
    Done,
    LaneTaken,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, schedule: Schedule, execution: Execution<'a>) -> Self {
        let shared = Shared {
            stack: execution.stack.to_owned(),
            writer: execution.writer.clone(),
            events: execution.events.clone(),
            stop_now: execution.interrupt.stop_now.clone(),
            doubts: Arc::new(std::sync::Mutex::new(execution.doubts.clone())),
        };
        let outputs = plan
            .steps
            .iter()
            .filter(|step| step.op == Op::Same)
            .filter_map(|step| Some((step.urn.clone(), step.recorded.as_ref()?.outputs.clone())))
            .collect();
        Self {
            waits_for: schedule.tasks.iter().map(|task| task.waits_for).collect(),
            stopped_by: vec![None; schedule.tasks.len()],
            ready: BinaryHeap::new(),
            parked: Vec::new(),
            lanes: Lanes::default(),
            running: JoinSet::new(),
            report: Report::default(),
            plan,
            schedule,
            execution,
            shared,
            outputs,
        }
    }

    async fn run(mut self) -> Report {
        for task in 0..self.schedule.tasks.len() {
            if self.waits_for[task] == 0 {
                self.push(task);
            }
        }
        let mut stopping = false;
        let lost = self.execution.writer.lost().clone();
        loop {
            if !stopping {
                self.start_ready();
            }
            if self.report.log_failure.is_some() {
                stopping = true;
            }
            if self.running.is_empty() {
                break;
            }
            let stop = self.execution.interrupt.stop.clone();
            tokio::select! {
                finished = self.running.join_next() => {
                    if let Some(Ok(finished)) = finished {
                        self.finished(finished);
                    }
                }
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.report.interrupted = true;
                }
                // Another run goes on from here; what is in flight must not meet what it does.
                () = lost.cancelled(), if !self.execution.interrupt.stop_now.is_cancelled() => {
                    stopping = true;
                    self.execution.interrupt.stop_now.cancel();
                }
            }
        }
        self.skip_the_rest();
        self.report
    }

    fn push(&mut self, task: usize) {
        let remaining = self.schedule.tasks[task].remaining;
        self.ready.push(Ready { remaining, first: std::cmp::Reverse(task) });
    }

    fn start_ready(&mut self) {
        while self.running.len() < self.execution.concurrency {
            if self.report.log_failure.is_some() || self.execution.interrupt.stop.is_cancelled() {
                return;
            }
            let Some(Ready { first: std::cmp::Reverse(task), .. }) = self.ready.pop() else { return };
            if matches!(self.begin(task), Begun::LaneTaken) {
                self.parked.push(task);
            }
        }
    }

    fn step(&self, task: usize) -> &'a Step {
        &self.plan.steps[self.schedule.tasks[task].step]
    }

    fn begin(&mut self, task: usize) -> Begun {
        let step = self.step(task);
        let work = self.schedule.tasks[task].work;
        if step.op == Op::Same && !step.adjust {
            self.done(task);
            return Begun::Done;
        }
        let operation = match self.operation(step, work) {
            Ok(Prepared::Operation(operation)) => operation,
            Ok(Prepared::Record(events)) => {
                let urn = step.urn.clone();
                if step.op != Op::Same {
                    self.execution.events.send(Event::StepStarted {
                        urn,
                        op: step.op,
                        action: step.op.as_str(),
                    });
                }
                let writer = self.shared.writer.clone();
                self.running.spawn(async move {
                    let started = Instant::now();
                    let ended = match writer.append(events).await {
                        Ok(()) => Ended::Noted,
                        Err(error) => Ended::LogFailed(error),
                    };
                    Finished { task, lanes: Vec::new(), ended, duration: started.elapsed() }
                });
                return Begun::Running;
            }
            Err(error) => {
                self.failed(task, error, Duration::ZERO);
                return Begun::Done;
            }
        };
        let lanes = operation.provider.lanes(&operation.urn, &operation.inputs);
        if !self.lanes.try_take(&lanes) {
            return Begun::LaneTaken;
        }
        self.execution.events.send(Event::StepStarted {
            urn: step.urn.clone(),
            op: step.op,
            action: action(step, work),
        });
        let shared = self.shared.clone();
        self.running.spawn(async move {
            let started = Instant::now();
            let ended = operation.run(&shared).await;
            Finished { task, lanes, ended, duration: started.elapsed() }
        });
        Begun::Running
    }

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
            if step.op == Op::Forget {
                let urn = recorded.urn.clone();
                return Ok(Prepared::Record(vec![LogEvent::Forgot { urn, id: None }]));
            }
            // By the time that the old one of a replacement goes, a new name has been recorded for it too.
            let made_first = step.op == Op::Replace && !step.delete_before_replace;
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
            (Op::Replace, Some(old)) if !step.delete_before_replace => Call::Create { beside: Some(old.id) },
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

    fn finished(&mut self, finished: Finished) {
        let Finished { task, lanes, ended, duration } = finished;
        self.lanes.release(&lanes);
        for parked in std::mem::take(&mut self.parked) {
            self.push(parked);
        }
        let step = self.step(task);
        match ended {
            Ended::Made(recorded) => {
                self.outputs.insert(step.urn.clone(), recorded.outputs);
            }
            Ended::Deleted => {}
            Ended::Noted => {
                if self.schedule.tasks[task].work == Work::Make {
                    // An update that came out as nothing keeps its outputs, and counts as what it was.
                    let outputs = step.recorded.as_ref().map(|recorded| recorded.outputs.clone());
                    self.outputs.insert(step.urn.clone(), outputs.unwrap_or_default());
                    if step.op != Op::Same {
                        self.report.counts.same += 1;
                        self.tell_finished(step, task, duration);
                        return self.release_dependents(task);
                    }
                }
            }
            Ended::Failed(error) => return self.failed(task, error, duration),
            Ended::Abandoned => {
                self.report.interrupted = true;
                return self.stop_dependents(task, "the run was interrupted");
            }
            Ended::LogFailed(error) => {
                // Whoever cannot record must not act.
                self.execution.interrupt.stop_now.cancel();
                self.report.log_failure.get_or_insert(error);
                return self.stop_dependents(task, "the log could not be written");
            }
        }
        if step.op != Op::Same {
            self.tell_finished(step, task, duration);
        }
        self.done(task);
    }

    fn tell_finished(&self, step: &Step, task: usize, duration: Duration) {
        let action = action(step, self.schedule.tasks[task].work);
        self.execution.events.send(Event::StepFinished {
            urn: step.urn.clone(),
            op: step.op,
            action,
            duration,
        });
    }

    fn done(&mut self, task: usize) {
        let step = self.step(task);
        let last_half = match self.schedule.tasks[task].work {
            Work::Make => step.op != Op::Replace || step.delete_before_replace || step.by_update,
            Work::Remove => step.op != Op::Replace || !step.delete_before_replace,
        };
        if last_half {
            self.report.counts.add(step.op);
        }
        self.release_dependents(task);
    }

    fn release_dependents(&mut self, task: usize) {
        for dependent in self.schedule.tasks[task].dependents.clone() {
            self.waits_for[dependent] -= 1;
            if self.waits_for[dependent] == 0 && self.stopped_by[dependent].is_none() {
                self.push(dependent);
            }
        }
    }

    fn failed(&mut self, task: usize, error: Error, duration: Duration) {
        let step = self.step(task);
        self.report.counts.failed += 1;
        self.execution.events.send(Event::StepFailed {
            urn: step.urn.clone(),
            op: step.op,
            class: class_name(error.class),
            message: error.message.clone(),
            help: error.help.clone(),
            duration,
        });
        let cause =
            if error.class == Class::Cancelled { "the run was interrupted" } else { step.urn.as_str() };
        self.stop_dependents(task, cause);
        self.report.failures.push((step.urn.clone(), error));
    }

    fn stop_dependents(&mut self, task: usize, cause: &str) {
        let mut stopped = self.schedule.tasks[task].dependents.clone();
        // The failed task itself is neither done nor skipped.
        self.waits_for[task] = usize::MAX;
        while let Some(next) = stopped.pop() {
            if self.stopped_by[next].is_none() {
                self.stopped_by[next] = Some(cause.to_owned());
                stopped.extend(&self.schedule.tasks[next].dependents);
            }
        }
    }

    /// Reports every step that never ran.
    fn skip_the_rest(&mut self) {
        let mut left: Vec<(usize, Option<String>)> = Vec::new();
        let unstarted: HashSet<usize> =
            self.ready.drain().map(|ready| ready.first.0).chain(self.parked.drain(..)).collect();
        for task in 0..self.schedule.tasks.len() {
            let waits = self.waits_for[task];
            if waits != usize::MAX
                && (waits > 0 || self.stopped_by[task].is_some() || unstarted.contains(&task))
            {
                left.push((task, self.stopped_by[task].take()));
            }
        }
        let mut told = HashSet::new();
        for (task, because) in left {
            let step = self.step(task);
            if step.op == Op::Same || !told.insert(&step.urn) {
                continue;
            }
            self.report.skipped += 1;
            // Also when it came before the first step had begun.
            self.report.interrupted |= because.is_none() && self.execution.interrupt.stop.is_cancelled();
            let because = because.unwrap_or_else(|| "the run was interrupted".to_owned());
            self.execution.events.send(Event::StepSkipped { urn: step.urn.clone(), op: step.op, because });
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
    let recorded = step.recorded.clone().map(|mut recorded| {
        recorded.options = step.options.clone();
        recorded.dependencies = step.dependencies.clone();
        recorded
    });
    match recorded {
        Some(recorded) => LogEvent::Recorded { recorded },
        None => LogEvent::Forgot { urn: step.urn.clone(), id: None },
    }
}

fn action(step: &Step, work: Work) -> &'static str {
    match (step.op, work) {
        (Op::Replace, _) if step.by_update => "replace",
        (Op::Replace, Work::Make) => "create",
        (Op::Replace, Work::Remove) => "delete",
        (op, _) => op.as_str(),
    }
}
