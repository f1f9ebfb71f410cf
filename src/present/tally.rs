//! What is known of a run from its events: what the plain lines, the live view and the closing report have in common.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use plinth_provider::Urn;

use super::waits::Waits;
use super::words::one_line;
use crate::engine::{Counts, Event, Op, Queued, Summary};

/// A run, as far as it was told.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub command: String,
    pub stack: String,
    pub revision: Option<u64>,
    /// When the first step could begin.
    pub begun: Option<Instant>,
    /// How long the run takes by earlier ones.
    pub estimate: Duration,
    /// In the order of the plan.
    pub phases: Vec<Phase>,
    /// In the order of their beginning: by a number that counts them.
    pub running: BTreeMap<u64, Running>,
    /// Of each resource, its steps in flight.
    running_of: HashMap<Urn, Vec<u64>>,
    begun_steps: u64,
    pub finished: Vec<Finished>,
    pub failures: Vec<Failure>,
    pub skipped: Vec<Skipped>,
    /// What steps wait for that have not begun.
    pub waits: Waits,
    pub interrupted: bool,
    /// What is left of clusters that are gone.
    pub leftovers: Vec<(String, Vec<String>)>,
    pub summary: Option<Summary>,
    /// What happened, by op; complete only when the run is.
    counts: Counts,
    forgotten: u64,
    steps: HashMap<(Urn, Op), Queue>,
    /// Tasks done and tasks in all; a replacement is two.
    tasks: (u64, u64),
}

/// One part of the tree.
#[derive(Debug)]
pub(super) struct Phase {
    pub name: String,
    pub total: u64,
    pub done: u64,
    pub failed: u64,
    pub skipped: u64,
    pub running: u64,
    pub begun: Option<Instant>,
    pub ended: Option<Instant>,
}

/// A step in flight.
#[derive(Debug)]
pub(super) struct Running {
    pub urn: Urn,
    pub op: Op,
    pub action: &'static str,
    pub phase: usize,
    pub since: Instant,
    pub reason: Option<String>,
}

/// A step, or half of a replacement, that is done.
#[derive(Debug)]
pub(super) struct Finished {
    pub urn: Urn,
    pub action: &'static str,
    pub duration: Duration,
}

/// A step that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub urn: Urn,
    pub op: Op,
    pub phase: usize,
    pub class: &'static str,
    pub message: String,
    pub help: Option<String>,
    pub duration: Duration,
}

/// A step that never began.
#[derive(Debug)]
pub(super) struct Skipped {
    pub urn: Urn,
    pub because: String,
}

#[derive(Debug)]
struct Queue {
    phase: usize,
    halves: u8,
}

impl Phase {
    fn new(name: &str) -> Self {
        let name = if name.is_empty() { "resources" } else { name }.to_owned();
        Self { name, total: 0, done: 0, failed: 0, skipped: 0, running: 0, begun: None, ended: None }
    }

    /// Whether nothing of it is left to do.
    pub fn over(&self) -> bool {
        self.done + self.failed + self.skipped >= self.total
    }

    /// How long it took, or takes up to now.
    pub fn elapsed(&self, now: Instant) -> Option<Duration> {
        let end = if self.over() { self.ended.unwrap_or(now) } else { now };
        Some(end.saturating_duration_since(self.begun?))
    }
}

impl Tally {
    /// Takes note of an event.
    pub fn take(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Started { command, stack, revision } => {
                self.command.clone_from(command);
                self.stack.clone_from(stack);
                self.revision = *revision;
            }
            Event::Executing { steps, estimate } => {
                self.begun = Some(now);
                self.estimate = *estimate;
                self.queue(steps);
            }
            Event::StepStarted { urn, op, action } => {
                self.waits.over(urn);
                let phase = self.phase_of(urn, *op);
                self.phases[phase].running += 1;
                self.phases[phase].begun.get_or_insert(now);
                let running = Running { urn: urn.clone(), op: *op, action, phase, since: now, reason: None };
                self.begun_steps += 1;
                self.running.insert(self.begun_steps, running);
                self.running_of.entry(urn.clone()).or_default().push(self.begun_steps);
            }
            Event::StepWaiting { urn, reason } => self.reason(urn, one_line(reason)),
            Event::StepRetrying { urn, attempt, after, reason } => {
                let after = super::words::duration(*after);
                let reason = one_line(reason);
                self.reason(urn, format!("try {attempt} failed, next in {after}: {reason}"));
            }
            Event::StepFinished { urn, op, action, duration } => {
                self.stopped(urn, *op, now);
                self.finished.push(Finished { urn: urn.clone(), action, duration: *duration });
                self.half_done(urn, *op);
            }
            Event::StepFailed { urn, op, class, message, help, duration } => {
                self.waits.over(urn);
                let phase = self.stopped(urn, *op, now);
                self.phases[phase].failed += 1;
                self.counts.failed += 1;
                self.failures.push(Failure {
                    urn: urn.clone(),
                    op: *op,
                    phase,
                    class,
                    message: message.clone(),
                    help: help.clone(),
                    duration: *duration,
                });
            }
            Event::StepSkipped { urn, op, because } => {
                self.waits.over(urn);
                let phase = self.phase_of(urn, *op);
                self.phases[phase].skipped += 1;
                self.skipped.push(Skipped { urn: urn.clone(), because: because.clone() });
            }
            Event::Paused { .. } | Event::Full { .. } => self.waits.take(event, now),
            Event::Interrupted { .. } => self.interrupted = true,
            Event::Leftovers { cluster, arns } => self.leftovers.push((cluster.clone(), arns.clone())),
            Event::Summary(summary) => self.summary = Some(summary.clone()),
            _ => {}
        }
    }

    /// How many steps have succeeded, and of how many.
    pub fn steps(&self) -> (u64, u64) {
        let sum = |of: fn(&Phase) -> u64| self.phases.iter().map(of).sum();
        (sum(|phase| phase.done), sum(|phase| phase.total))
    }

    /// How many steps have not begun, and may still.
    pub fn to_begin(&self) -> u64 {
        let left = |phase: &Phase| {
            phase.total.saturating_sub(phase.done + phase.failed + phase.skipped + phase.running)
        };
        self.phases.iter().map(left).sum()
    }

    /// Which part of the run's tasks is over, between 0 and 1.
    pub fn progress(&self) -> f64 {
        let (done, total) = self.tasks;
        let lost = (self.failures.len() + self.skipped.len()) as u64;
        if total == 0 { 0.0 } else { ((done + lost) as f64 / total as f64).min(1.0) }
    }

    /// What was done, by the summary if there is one.
    pub fn counts(&self) -> Counts {
        self.summary.as_ref().map_or(self.counts, |summary| summary.counts)
    }

    /// How many of the deletes only forgot.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How long the run took, or takes up to now.
    pub fn elapsed(&self, now: Instant) -> Duration {
        match (&self.summary, self.begun) {
            (Some(summary), _) => summary.duration,
            (None, Some(begun)) => now.saturating_duration_since(begun),
            (None, None) => Duration::ZERO,
        }
    }

    fn queue(&mut self, steps: &[Queued]) {
        for step in steps {
            let phase = self.phase_named(&step.phase);
            self.phases[phase].total += 1;
            let halves = if step.op == Op::Replace { 2 } else { 1 };
            self.tasks.1 += u64::from(halves);
            self.steps.insert((step.urn.clone(), step.op), Queue { phase, halves });
        }
    }

    fn phase_named(&mut self, name: &str) -> usize {
        let phase = Phase::new(name);
        self.phases.iter().position(|known| known.name == phase.name).unwrap_or_else(|| {
            self.phases.push(phase);
            self.phases.len() - 1
        })
    }

    /// The phase of a step; one that was never announced is counted where it appears.
    fn phase_of(&mut self, urn: &Urn, op: Op) -> usize {
        if let Some(queue) = self.steps.get(&(urn.clone(), op)) {
            return queue.phase;
        }
        self.queue(&[Queued { urn: urn.clone(), op, phase: String::new() }]);
        self.phase_named("")
    }

    fn reason(&mut self, urn: &Urn, reason: String) {
        let newest = self.running_of.get(urn).and_then(|numbers| numbers.last());
        match newest.and_then(|number| self.running.get_mut(number)) {
            Some(running) => running.reason = Some(reason),
            None => self.waits.turn(urn, reason),
        }
    }

    fn stopped(&mut self, urn: &Urn, op: Op, now: Instant) -> usize {
        let phase = self.phase_of(urn, op);
        if let Some(numbers) = self.running_of.get_mut(urn)
            && let Some(at) =
                numbers.iter().position(|number| self.running.get(number).is_some_and(|step| step.op == op))
        {
            self.running.remove(&numbers.remove(at));
            if numbers.is_empty() {
                self.running_of.remove(urn);
            }
            self.phases[phase].running = self.phases[phase].running.saturating_sub(1);
        }
        self.phases[phase].ended = Some(now);
        phase
    }

    fn half_done(&mut self, urn: &Urn, op: Op) {
        self.tasks.0 += 1;
        let Some(queue) = self.steps.get_mut(&(urn.clone(), op)) else { return };
        queue.halves = queue.halves.saturating_sub(1);
        if queue.halves == 0 {
            self.phases[queue.phase].done += 1;
            self.counts.add(op);
            self.forgotten += u64::from(op == Op::Forget);
        }
    }
}
