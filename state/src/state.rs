//! State, materialized: what folding the log gives.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use plinth_provider::{Recorded, Resource, Urn};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::seal::Masked;
use crate::{
    Base, Change, Declared, Delta, Finish, Incoming, Intent, Learned, Lease, Provenance, Slot, StackSecret,
    WrappedKey,
};

/// What is recorded of a stack at one position of its log. Cloning shares the resources.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// The position: the number of the last entry; 0 when there is none.
    pub seq: u64,
    /// Hash of the last entry's bytes; empty when there is none.
    pub hash: String,
    /// The newest lease's epoch.
    pub epoch: u64,
    /// Who holds the lease, if somebody does.
    pub lease: Option<Lease>,
    /// The wrapped data key, once a secret was recorded.
    pub key: Option<WrappedKey>,
    /// The stack's own secrets, by name.
    pub secrets: BTreeMap<String, StackSecret>,
    /// What exists.
    pub resources: BTreeMap<Urn, Arc<Tracked>>,
    /// Old instances of replaced resources that are still to be deleted.
    pub superseded: Vec<Arc<Recorded>>,
    /// Intents without an outcome, by number.
    pub pending: BTreeMap<u64, Arc<PendingOp>>,
    /// The desired graph of the newest revision.
    pub declared: Declared,
    /// Every revision, oldest first.
    pub revisions: Vec<Arc<Revision>>,
    /// How long things took.
    pub learned: Learned,
    /// The number that the next intent gets.
    pub next_op: u64,
    /// Checkpoints that state rests on, oldest first: the log begins with the first if it was compacted.
    pub bases: Vec<Base>,
    /// The oldest revision that can be returned to, if the log was compacted.
    pub revisions_from: u64,
    /// Entries were lost since the last apply that succeeded: what exists may not be recorded.
    pub doubtful: bool,
    /// Other stacks' resources that are on their way here.
    pub incoming: BTreeMap<Uuid, Arc<Incoming>>,
    /// What went to other stacks, and to which: how these find out that it did.
    pub sent: BTreeMap<Uuid, String>,
    /// Where the log goes on, if it was moved.
    pub migrated: Option<String>,
}

/// A resource that exists; dereferences to what is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tracked {
    /// What is recorded.
    pub recorded: Arc<Recorded>,
    /// The revision that created it; 0 when none did.
    pub created_revision: u64,
    /// When it was last written.
    pub updated_at: jiff::Timestamp,
    /// How long the last operation on it took.
    pub duration_ms: u64,
}

impl Deref for Tracked {
    type Target = Recorded;

    fn deref(&self) -> &Recorded {
        &self.recorded
    }
}

/// An intent without an outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingOp {
    /// What was about to be done.
    pub intent: Intent,
    /// The long operation, if one was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// The lease that it was begun under, once another run has taken that over: its holder may be slow instead of dead,
    /// and what it asked for may still arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_over: Option<Box<Lease>>,
}

impl PendingOp {
    /// Whether whoever began it may still carry it out.
    pub fn may_still_happen(&self, now: jiff::Timestamp) -> bool {
        self.taken_over.as_ref().is_some_and(|lease| !lease.is_over(now))
    }
}

/// One apply.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Its number.
    pub number: u64,
    /// What was run.
    pub command: String,
    /// The entry that began it.
    pub seq: u64,
    /// When it began.
    pub started: jiff::Timestamp,
    /// When it ended; absent while it runs or when it never got to say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<jiff::Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Finish>,
    /// Steps by what they did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// The promotable settings that it proves.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub settings: Json,
    /// Digest of the stack file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stack_file_digest: String,
    /// The revision whose promotion is in force from this one on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<u64>,
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revision")
            .field("number", &self.number)
            .field("command", &self.command)
            .field("seq", &self.seq)
            .field("started", &self.started)
            .field("finished", &self.finished)
            .field("result", &self.result)
            .field("counts", &self.counts)
            .field("provenance", &self.provenance)
            .field("settings", &Masked(&self.settings))
            .field("stack_file_digest", &self.stack_file_digest)
            .field("promotion", &self.promotion)
            .finish()
    }
}

impl State {
    /// The number that the next revision gets.
    pub fn next_revision(&self) -> u64 {
        self.revisions.last().map_or(1, |revision| revision.number + 1)
    }

    /// A revision by its number.
    pub fn revision(&self, number: u64) -> Option<&Arc<Revision>> {
        let at = self.revisions.binary_search_by_key(&number, |revision| revision.number).ok()?;
        self.revisions.get(at)
    }

    /// The promotion in force: what lies over the stack's own file.
    pub fn promotion(&self) -> Option<&Provenance> {
        let number = self.revisions.last()?.promotion?;
        self.revision(number)?.provenance.as_ref()
    }

    /// Everything that is recorded under a name.
    pub fn slot(&self, urn: &Urn) -> Slot {
        Slot {
            present: self.resources.get(urn).map(|tracked| Box::new((**tracked).clone())),
            superseded: self
                .superseded
                .iter()
                .filter(|old| old.urn == *urn)
                .map(|old| (**old).clone())
                .collect(),
            declared: self.declared.get(urn).map(|resource| Box::new((**resource).clone())),
        }
    }

    pub(crate) fn edit(&mut self, changes: Vec<Change>) {
        for Change { urn, after, .. } in changes {
            let Slot { present, superseded, declared } = after;
            match present {
                Some(tracked) => self.resources.insert(urn.clone(), Arc::from(tracked)),
                None => self.resources.remove(&urn),
            };
            match declared {
                Some(resource) => self.declared.set(Arc::from(resource)),
                None => self.declared.remove(&urn),
            }
            self.superseded.retain(|old| old.urn != urn);
            self.superseded.extend(superseded.into_iter().map(Arc::new));
        }
    }

    /// How the given desired graph differs from the newest revision's.
    pub fn delta<'a>(&self, desired: impl IntoIterator<Item = &'a Resource>) -> Delta {
        let mut set = Vec::new();
        let mut kept = std::collections::BTreeSet::new();
        for resource in desired {
            if self.declared.get(&resource.urn).is_none_or(|declared| **declared != *resource) {
                set.push(resource.clone());
            }
            kept.insert(&resource.urn);
        }
        let removed = self.declared.keys().filter(|urn| !kept.contains(urn)).cloned().collect();
        Delta { set, removed }
    }
}
