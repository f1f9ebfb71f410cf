//! What a plan consists of.

use std::collections::BTreeMap;
use std::sync::Arc;

use plinth_provider::{Change, Options, Path, Recorded, Urn, Value};
use serde::{Deserialize, Serialize};

use super::LeftOut;
use crate::engine::facts::Freshness;

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Make it.
    Create,
    /// Change it in place.
    Update,
    /// Make a new one instead.
    Replace,
    /// Delete it.
    Delete,
    /// Take over what exists.
    Import,
    /// Stop managing it, and leave it where it is.
    Forget,
    /// Nothing.
    Same,
}

impl Op {
    /// The word of it, as in events and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Import => "import",
            Self::Forget => "forget",
            Self::Same => "same",
        }
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The resource.
    pub urn: Urn,
    /// What happens to it.
    pub op: Op,
    /// What changes, by path.
    pub changes: Vec<Change>,
    /// The paths that force a replacement.
    pub forced_by: Vec<Path>,
    /// Why it is here, when the changes alone do not say.
    pub reason: Option<String>,
    /// The inputs as far as they are known now; null for a delete.
    pub inputs: Value,
    /// The connection as far as it is known now.
    pub connection: Option<Value>,
    /// What the resource needs, by the desired graph; for a delete, by the recorded one.
    pub dependencies: Vec<Urn>,
    /// The options it will have.
    pub options: Options,
    /// What is recorded of it now.
    pub recorded: Option<Arc<Recorded>>,
    /// For a replacement: the old one goes first.
    pub delete_before_replace: bool,
    /// For a replacement: the provider's update carries it out, so that what belongs to the old one outlives it.
    pub by_update: bool,
    /// Inputs that the step takes back from whoever changed them.
    pub take_over: Vec<Path>,
    /// The name under which it is recorded, when that differs.
    pub moved_from: Option<Urn>,
    /// A delete of an old instance that an interrupted replacement left.
    pub superseded: bool,
    /// For a replacement: the new one gets another physical name, so that both can stand side by side.
    pub beside: bool,
    /// For an import: what differs is recorded as it is, and left to the next plan.
    pub as_it_is: bool,
    /// For a replacement: what it lives in or on, which goes before its new one comes.
    pub outlived_by: Option<Urn>,
    /// For an unchanged resource: its recorded options or dependencies are to be brought up to date.
    pub adjust: bool,
}

impl Step {
    /// For a replacement: whether the old instance is left where it is, and no longer managed.
    pub fn retains_old(&self) -> bool {
        let retained = |recorded: &Arc<Recorded>| recorded.options.retain_on_delete;
        self.op == Op::Replace
            && !self.by_update
            && (self.options.retain_on_delete || self.recorded.as_ref().is_some_and(retained))
    }

    /// Whether the step does anything.
    pub fn is_change(&self) -> bool {
        self.op != Op::Same
    }
}

/// How many steps of which kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Made.
    pub create: u64,
    /// Changed in place.
    pub update: u64,
    /// Made anew.
    pub replace: u64,
    /// Taken over.
    #[serde(default, skip_serializing_if = "is_none")]
    pub import: u64,
    /// Deleted (or no longer managed).
    pub delete: u64,
    /// Left as they are.
    pub same: u64,
    /// Not done because of an error of their own.
    pub failed: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// Counts one step.
    pub fn add(&mut self, op: Op) {
        match op {
            Op::Create => self.create += 1,
            Op::Update => self.update += 1,
            Op::Replace => self.replace += 1,
            Op::Import => self.import += 1,
            Op::Delete | Op::Forget => self.delete += 1,
            Op::Same => self.same += 1,
        }
    }

    /// How many change something.
    pub fn changes(&self) -> u64 {
        self.create + self.update + self.replace + self.import + self.delete
    }

    /// The form that the log records.
    pub fn to_map(self) -> BTreeMap<String, u64> {
        [
            ("create", self.create),
            ("update", self.update),
            ("replace", self.replace),
            ("delete", self.delete),
            ("same", self.same),
            ("failed", self.failed),
        ]
        .into_iter()
        .chain((self.import > 0).then_some(("import", self.import)))
        .map(|(key, count)| (key.to_owned(), count))
        .collect()
    }
}

/// The ordered, reviewable difference between what is desired and what is.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Whose.
    pub stack: String,
    /// The log position that it was made against.
    pub base_seq: u64,
    /// The hash of the entry there.
    pub base_hash: String,
    /// Every step, dependencies first; deletes last, dependents first.
    pub steps: Vec<Step>,
    /// How fresh what it rests on is.
    pub freshness: Freshness,
    /// Changes that it leaves out, because only a part of the stack was asked for.
    pub left_out: Vec<LeftOut>,
    /// Operations that an interrupted run left open: the next run finds out what became of them before it plans.
    pub open: usize,
    /// What the user should know of it.
    pub notes: Vec<String>,
}

impl Plan {
    /// How many steps of which kind.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for step in &self.steps {
            counts.add(step.op);
        }
        counts
    }

    /// Whether anything would change.
    pub fn has_changes(&self) -> bool {
        self.steps.iter().any(Step::is_change)
    }

    /// Whether an apply would do anything, as far as is known.
    pub fn has_work(&self) -> bool {
        self.has_changes() || self.open > 0
    }

    /// The steps that do something.
    pub fn changes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.is_change())
    }
}
