//! The loop of a run: begins what is ready, takes in what has ended, tells about both.
//!
//! A step's dependents begin when its call has returned, not when its outcome is durable: their intents stand behind that
//! outcome in the log, often in the same entry, and no call is made before its intent is durable. So a chain of steps
//! waits for one append per step and not for two.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use plinth_provider::{Class, Error, Lane, Redactor, Urn, Value};
use plinth_state::class_name;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::lanes::Lanes;
use super::operation::{Ended, Operation, Returned, Shared, note};
use super::queue::{NO_SYSTEM, Queue};
use super::told::Told;
use super::{Execution, Prepared, Report, action, took};
use crate::engine::event::{Event, Took};
use crate::engine::plan::{Op, Plan, Step};
use crate::engine::schedule::{Schedule, Work};

/// A run, from its first step to its last.
pub(super) struct Run<'a> {
    plan: &'a Plan,
    schedule: Schedule,
    pub(super) execution: Execution<'a>,
    shared: Shared,
    /// The outputs of what exists now.
    pub(super) outputs: HashMap<Urn, Value>,
    /// What systems know by which id what this run has made, where an older instance is to go.
    pub(super) made: HashMap<Urn, String>,
    superseded: HashSet<Urn>,
    waits_for: Vec<usize>,
    /// What stopped a task, if something did.
    stopped_by: Vec<Option<String>>,
    /// Who does a task, as a group of the queue.
    groups: Vec<usize>,
    queue: Queue,
    lanes: Lanes,
    /// Tasks that wait for a lane or for room, with what they do.
    prepared: HashMap<usize, (Box<Operation>, Vec<Lane>)>,
    /// Lanes that tasks in flight hold.
    held: HashMap<usize, Vec<Lane>>,
    running: FuturesUnordered<BoxFuture<'static, (usize, Ended)>>,
    /// Calls that have returned; their outcomes are on their way into the log.
    returned: mpsc::UnboundedReceiver<Returned>,
    begun: Vec<Option<Instant>>,
    durations: Vec<Option<Duration>>,
    /// Tasks whose dependents have been let go already.
    released: Vec<bool>,
    /// What was told of what keeps ready tasks from beginning.
    told: Told,
    report: Report,
}

impl<'a> Run<'a> {
    pub(super) fn new(plan: &'a Plan, schedule: Schedule, execution: Execution<'a>) -> Self {
        let (returns, returned) = mpsc::unbounded_channel();
        let shared = Shared {
            stack: execution.stack.into(),
            writer: execution.writer.clone(),
            events: execution.events.clone(),
            stop_now: execution.interrupt.stop_now.clone(),
            doubts: Arc::new(Mutex::new(execution.doubts.clone())),
            redactor: Arc::new(Redactor::of(execution.state.secrets.values().map(|secret| &secret.value))),
            returns,
        };
        let outputs = plan
            .steps
            .iter()
            .filter(|step| step.op == Op::Same)
            .filter_map(|step| Some((step.urn.clone(), step.recorded.as_ref()?.outputs.clone())))
            .collect();
        let mut queue = Queue::new(execution.limits.clone());
        let tasks = schedule.tasks.len();
        let groups = schedule
            .tasks
            .iter()
            .map(|task| {
                let step = &plan.steps[task.step];
                if matches!(step.op, Op::Same | Op::Forget) {
                    return NO_SYSTEM;
                }
                match execution.providers.of(step.urn.kind()) {
                    Ok(provider) => queue.group(provider.name(), provider.concurrency()),
                    Err(_) => NO_SYSTEM,
                }
            })
            .collect();
        Self {
            made: HashMap::new(),
            superseded: plan.steps.iter().filter(|s| s.superseded).map(|s| s.urn.clone()).collect(),
            waits_for: schedule.tasks.iter().map(|task| task.waits_for).collect(),
            stopped_by: vec![None; tasks],
            groups,
            queue,
            lanes: Lanes::default(),
            prepared: HashMap::new(),
            held: HashMap::new(),
            running: FuturesUnordered::new(),
            returned,
            begun: vec![None; tasks],
            durations: vec![None; tasks],
            released: vec![false; tasks],
            told: Told::default(),
            report: Report::default(),
            plan,
            schedule,
            execution,
            shared,
            outputs,
        }
    }

    pub(super) async fn run(mut self) -> Report {
        for task in 0..self.schedule.tasks.len() {
            if self.waits_for[task] == 0 {
                self.push(task);
            }
        }
        let stop = self.execution.interrupt.stop.clone();
        let stop_now = self.execution.interrupt.stop_now.clone();
        let lost = self.execution.writer.lost().clone();
        loop {
            self.go_on();
            if !self.stopping() {
                let now = Instant::now();
                let hindered = self.queue.hindered(now);
                hindered.into_iter().for_each(|what| self.told.tell(what, now, &self.execution.events));
            }
            if self.running.is_empty() {
                let pause = self.queue.next_pause(Instant::now()).filter(|_| !self.stopping());
                let Some(pause) = pause else { break };
                tokio::select! {
                    () = tokio::time::sleep_until(pause) => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            let stopping = self.stopping();
            let pause = self.queue.next_pause(Instant::now());
            tokio::select! {
                Some((task, ended)) = self.running.next() => self.ended(task, ended),
                Some(returned) = self.returned.recv() => self.returned(returned),
                () = stop.cancelled(), if !stopping => self.report.interrupted = true,
                () = sleep_until(pause), if pause.is_some() && !stopping => {}
                // Another run goes on from here; what is in flight must not meet what it does.
                () = lost.cancelled(), if !stop_now.is_cancelled() => stop_now.cancel(),
            }
        }
        if stop.is_cancelled() && !self.is_over() {
            self.report.interrupted = true;
        }
        self.skip_the_rest();
        self.account();
        self.report
    }

    fn stopping(&self) -> bool {
        self.report.log_failure.is_some()
            || self.execution.interrupt.stop.is_cancelled()
            || self.execution.writer.lost().is_cancelled()
    }

    fn is_over(&self) -> bool {
        self.queue.left().next().is_none() && self.lanes.waiting().next().is_none()
    }

    /// Takes in everything that has happened and begins everything that may, in one go: what that asks of the log
    /// shares an entry.
    fn go_on(&mut self) {
        let _cork = self.shared.writer.cork();
        loop {
            let mut idle = true;
            while let Some(Some((task, ended))) = self.running.next().now_or_never() {
                self.ended(task, ended);
                idle = false;
            }
            while let Ok(returned) = self.returned.try_recv() {
                self.returned(returned);
                idle = false;
            }
            if !self.stopping() {
                let now = Instant::now();
                while let Some(task) = self.queue.pop(now) {
                    self.begin(task);
                    idle = false;
                }
            }
            if idle {
                return;
            }
        }
    }

    fn push(&mut self, task: usize) {
        self.queue.push(self.groups[task], task, self.schedule.tasks[task].remaining);
    }

    fn step(&self, task: usize) -> &'a Step {
        &self.plan.steps[self.schedule.tasks[task].step]
    }

    fn begin(&mut self, task: usize) {
        let step = self.step(task);
        let work = self.schedule.tasks[task].work;
        if step.op == Op::Same && !step.adjust {
            return self.done(task);
        }
        if let Some((operation, lanes)) = self.prepared.remove(&task) {
            return self.set_off(task, operation, lanes);
        }
        match self.operation(step, work) {
            Ok(Prepared::Record(events)) => {
                let told = (step.op != Op::Same).then(|| self.started(task));
                self.begun[task] = Some(Instant::now());
                let noted = note(events, told, &self.shared);
                self.running.push(noted.map(move |ended| (task, ended)).boxed());
            }
            Ok(Prepared::Operation(operation)) => {
                let lanes = operation.lanes();
                match self.lanes.take(task, &lanes) {
                    Ok(()) => self.set_off(task, operation, lanes),
                    Err(key) => {
                        let reason = format!("its turn: `{key}` takes one change at a time");
                        self.execution.events.send(Event::StepWaiting { urn: step.urn.clone(), reason });
                        self.prepared.insert(task, (operation, lanes));
                    }
                }
            }
            Err(error) => self.failed(task, error, Duration::ZERO),
        }
    }

    fn started(&self, task: usize) -> Event {
        let step = self.step(task);
        let action = action(step, self.schedule.tasks[task].work);
        Event::StepStarted { urn: step.urn.clone(), op: step.op, action }
    }

    fn set_off(&mut self, task: usize, operation: Box<Operation>, lanes: Vec<Lane>) {
        let group = self.groups[task];
        self.queue.begin(group);
        if !lanes.is_empty() {
            self.held.insert(task, lanes);
        }
        self.begun[task] = Some(Instant::now());
        let handle = self.execution.handles.remove(&operation.urn);
        let pace = self.queue.pace(group).cloned();
        let running = operation.begin(task, self.started(task), handle, pace, &self.shared);
        self.running.push(running.map(move |ended| (task, ended)).boxed());
    }

    /// A call has returned, and its outcome is on its way into the log: what waits for it may ask for its intent.
    fn returned(&mut self, Returned { task, made }: Returned) {
        if let Some((id, outputs)) = made {
            let urn = &self.step(task).urn;
            if self.superseded.contains(urn) {
                self.made.insert(urn.clone(), id);
            }
            self.outputs.insert(urn.clone(), outputs);
        }
        self.made_room(task, true);
        self.release_dependents(task);
    }

    /// A task uses its provider and its lanes no more.
    fn made_room(&mut self, task: usize, got_through: bool) {
        let Some(begun) = self.begun[task].take() else { return };
        self.durations[task] = Some(begun.elapsed());
        self.queue.end(self.groups[task], got_through);
        if let Some(lanes) = self.held.remove(&task) {
            for next in self.lanes.release(&lanes) {
                self.push(next);
            }
        }
    }

    fn ended(&mut self, task: usize, ended: Ended) {
        let got_through = matches!(ended, Ended::Made | Ended::Deleted);
        if self.groups[task] == NO_SYSTEM || !matches!(ended, Ended::Noted) {
            self.made_room(task, got_through);
        } else if let Some(begun) = self.begun[task].take() {
            // It came out as nothing to do for its provider, and never took any of its room.
            self.durations[task] = Some(begun.elapsed());
        }
        let duration = self.durations[task].unwrap_or_default();
        let step = self.step(task);
        match ended {
            Ended::Made | Ended::Deleted => {}
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
                self.report.unfinished += 1;
                return self.stop_dependents(task, "the run was interrupted");
            }
            Ended::NotBegun(error) => {
                self.execution.interrupt.stop_now.cancel();
                self.report.log_failure.get_or_insert(error);
                let because = "the log could not be written";
                if step.op != Op::Same {
                    self.report.skipped += 1;
                    let (urn, op, because) = (step.urn.clone(), step.op, because.to_owned());
                    self.execution.events.send(Event::StepSkipped { urn, op, because });
                }
                return self.stop_dependents(task, because);
            }
            Ended::LogFailed(error) => {
                self.report.unfinished += 1;
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
        if std::mem::replace(&mut self.released[task], true) {
            return;
        }
        for at in 0..self.schedule.tasks[task].dependents.len() {
            let dependent = self.schedule.tasks[task].dependents[at];
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
        // The failed task itself is neither done nor skipped.
        self.waits_for[task] = usize::MAX;
        if std::mem::replace(&mut self.released[task], true) {
            return;
        }
        let mut stopped = self.schedule.tasks[task].dependents.clone();
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
        let unstarted: HashSet<usize> = self.queue.left().chain(self.lanes.waiting()).collect();
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
            let because = because.unwrap_or_else(|| "the run was interrupted".to_owned());
            self.execution.events.send(Event::StepSkipped { urn: step.urn.clone(), op: step.op, because });
        }
    }

    /// Tells what the time was spent on.
    fn account(&mut self) {
        let took = |task: usize| {
            let step = self.step(task);
            let action = action(step, self.schedule.tasks[task].work);
            Took { urn: step.urn.clone(), action, duration: self.durations[task].unwrap_or_default() }
        };
        let longest = took::longest(&self.durations).into_iter().map(took).collect();
        let path = took::critical_path(&self.schedule, &self.durations).into_iter().map(took).collect();
        (self.report.longest, self.report.critical_path) = (longest, path);
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
