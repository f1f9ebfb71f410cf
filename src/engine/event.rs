//! What the engine tells while it works. Presenters turn events into a live view, plain lines, NDJSON, Markdown;
//! the engine itself prints nothing.

use std::time::Duration;

use plinth_provider::{Change, Drift, Path, Urn};
use serde::Serialize;
use tokio::sync::mpsc;

use super::facts::Freshness;
use super::plan::{Counts, Explanation, LeftOut, Op, Step};

/// Something the user may want to see.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A command began to work on a stack.
    Started {
        /// `apply`, `destroy`, ….
        command: String,
        /// Which stack.
        stack: String,
        /// The revision that it will write, if it writes one.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
    },
    /// Another run left an operation without an outcome; what became of it was found out.
    Recovered {
        /// Which resource.
        urn: Urn,
        /// What was being done.
        action: String,
        /// What became of it.
        found: String,
    },
    /// Another run holds the lease; its end is waited for.
    Locked {
        /// Whose lease it is.
        lease: String,
        /// How long the wait is at most.
        #[serde(rename = "up_to_ms", serialize_with = "millis")]
        up_to: Duration,
    },
    /// Operations that an earlier run left without an outcome are being looked into.
    Recovering {
        /// How many.
        operations: usize,
    },
    /// Live systems are being asked what they say of a plan's changes.
    Asking {
        /// How many changes.
        changes: usize,
    },
    /// Live systems are being asked.
    Refreshing {
        /// About how many resources.
        resources: usize,
    },
    /// Live systems have answered.
    Refreshed {
        /// For how many resources.
        resources: usize,
        /// How many of them are gone.
        gone: usize,
        /// How many of them differ from what was recorded.
        drifted: usize,
        /// How long it took.
        #[serde(rename = "duration_ms", serialize_with = "millis")]
        duration: Duration,
    },
    /// How fresh what the plan rests on is.
    Facts(Freshness),
    /// One step of a plan.
    Step(Box<StepEvent>),
    /// A change that the plan leaves out, because only a part of the stack was asked for.
    LeftOut(LeftOut),
    /// Why a step is there.
    Explanation(Box<Explanation>),
    /// Something about the plan or the run as a whole.
    Note {
        /// What.
        message: String,
    },
    /// What is left in the account of a cluster that is gone.
    Leftovers {
        /// The cluster's name.
        cluster: String,
        /// What is left.
        arns: Vec<String>,
    },
    /// The steps that are about to run, in no particular order.
    Executing {
        /// What each will do.
        steps: Vec<Queued>,
        /// The estimate, from the durations of earlier runs.
        #[serde(rename = "estimate_ms", serialize_with = "millis")]
        estimate: Duration,
    },
    /// A step has begun: its intent is durable.
    StepStarted {
        /// Which resource.
        urn: Urn,
        /// What happens to it.
        op: Op,
        /// Which half of a replacement, or the op itself.
        action: &'static str,
    },
    /// What a step waits for.
    StepWaiting {
        /// Which resource.
        urn: Urn,
        /// For what.
        reason: String,
    },
    /// A system asked for a pause, and steps that could begin wait for its end.
    Paused {
        /// Whose system, by the prefix of the provider's kinds.
        provider: String,
        /// How many steps.
        steps: usize,
        /// How long it still takes.
        #[serde(rename = "after_ms", serialize_with = "millis")]
        after: Duration,
    },
    /// Steps that could begin wait for others to end, as no more run at a time.
    Full {
        /// Whose, by the prefix of the provider's kinds; absent when it is the limit of the whole run.
        #[serde(skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        /// How many steps.
        steps: usize,
        /// How many run at a time.
        most: usize,
    },
    /// A try failed, another one follows.
    StepRetrying {
        /// Which resource.
        urn: Urn,
        /// The number of the try that failed.
        attempt: u32,
        /// How long until the next one.
        #[serde(rename = "after_ms", serialize_with = "millis")]
        after: Duration,
        /// Why it failed.
        reason: String,
    },
    /// Something about a step that is not an error.
    StepWarning {
        /// Which resource.
        urn: Urn,
        /// What.
        message: String,
    },
    /// A step is done: its outcome is durable.
    StepFinished {
        /// Which resource.
        urn: Urn,
        /// What happened to it.
        op: Op,
        /// Which half of a replacement, or the op itself.
        action: &'static str,
        /// How long it took.
        #[serde(rename = "duration_ms", serialize_with = "millis")]
        duration: Duration,
    },
    /// A step failed.
    StepFailed {
        /// Which resource.
        urn: Urn,
        /// What was to happen to it.
        op: Op,
        /// The error's class.
        class: &'static str,
        /// What is wrong.
        message: String,
        /// What to do.
        #[serde(skip_serializing_if = "Option::is_none")]
        help: Option<String>,
        /// How long it took.
        #[serde(rename = "duration_ms", serialize_with = "millis")]
        duration: Duration,
    },
    /// A step did not run because of something else.
    StepSkipped {
        /// Which resource.
        urn: Urn,
        /// What was to happen to it.
        op: Op,
        /// The resource whose failure stopped it, or the interrupt.
        because: String,
    },
    /// The user asked to stop.
    Interrupted {
        /// Whether steps in flight are abandoned too.
        at_once: bool,
    },
    /// What became of one resource behind Plinth's back.
    Drift {
        /// Which resource.
        urn: Urn,
        /// `missing` or `changed`.
        verdict: &'static str,
        /// Where.
        fields: Vec<Drift>,
    },
    /// The end of a drift report.
    DriftSummary {
        /// How many were looked at.
        resources: usize,
        /// How many are gone.
        missing: usize,
        /// How many differ.
        changed: usize,
        /// How long it took.
        #[serde(rename = "duration_ms", serialize_with = "millis")]
        duration: Duration,
    },
    /// The last event of `plan`, `apply` and `destroy`.
    Summary(Summary),
}

/// One step of a plan, as events show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepEvent {
    /// Which resource.
    pub urn: Urn,
    /// What happens to it.
    pub op: Op,
    /// Where a tree of progress shows it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phase: String,
    /// What changes. Secrets are masked, unknowns marked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The paths that force a replacement.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forced_by: Vec<Path>,
    /// Why it is here, when the changes alone do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The name that it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<Urn>,
    /// For an import: it is recorded as it is, and the changes are left to the next plan.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub as_it_is: bool,
}

impl From<&Step> for StepEvent {
    fn from(step: &Step) -> Self {
        Self {
            urn: step.urn.clone(),
            op: step.op,
            phase: step.options.phase.clone(),
            changes: step.changes.clone(),
            forced_by: step.forced_by.clone(),
            reason: step.reason.clone(),
            moved_from: step.moved_from.clone(),
            as_it_is: step.as_it_is,
        }
    }
}

/// A step that is about to run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Queued {
    /// Which resource.
    pub urn: Urn,
    /// What happens to it.
    pub op: Op,
    /// Where a tree of progress shows it.
    pub phase: String,
}

/// The end of a plan or a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How many steps of which kind.
    #[serde(flatten)]
    pub counts: Counts,
    /// How long it took.
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub duration: Duration,
    /// How many changes were left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// Operations of a run that began, and of which no outcome is known.
    #[serde(skip_serializing_if = "is_zero")]
    pub unfinished: usize,
    /// Why a run could not go on to its end, when neither steps nor the user are the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The steps of a run that took longest, longest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub longest: Vec<Took>,
    /// The chain of steps, each waiting for the one before it, that took longest in sum.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub critical_path: Vec<Took>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// How long a step took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Took {
    /// Which resource.
    pub urn: Urn,
    /// What was done.
    pub action: &'static str,
    /// For how long.
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub duration: Duration,
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Where events go. Cheap to clone; sending never blocks, and never fails when nobody listens.
#[derive(Debug, Clone)]
pub struct Events(mpsc::UnboundedSender<Event>);

impl Events {
    /// A channel of events.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells.
    pub fn send(&self, event: Event) {
        let _ = self.0.send(event);
    }
}
