//! State materialized at one position: a cache, so that opening a stack reads little.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use plinth_provider::Recorded;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lines::{Builder, Flaw, Parsed, VERSION, item_text, items, seal_text};
use crate::{
    Base, DataKeys, Declared, Incoming, Learned, Lease, PendingOp, Result, Revision, StackSecret, State,
    Tracked, WrappedKey,
};

/// How many are kept.
pub(crate) const KEPT: usize = 3;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    version: u64,
    stack: String,
    seq: u64,
    hash: String,
    epoch: u64,
    next_op: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<Lease>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<WrappedKey>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    durations: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bases: Vec<Base>,
    #[serde(default, skip_serializing_if = "is_zero")]
    revisions_from: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    doubtful: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sent: BTreeMap<Uuid, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    migrated: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

const SECRETS: &str = "secrets";
const RESOURCES: &str = "resources";
const DECLARED: &str = "declared";
const SUPERSEDED: &str = "superseded";
const PENDING: &str = "pending";
const REVISIONS: &str = "revisions";
const INCOMING: &str = "incoming";
const LEARNED: &str = "learned";

/// The bytes of a checkpoint, secrets sealed.
pub(crate) fn encode(stack: &str, state: &State, keys: &DataKeys) -> Result<Bytes> {
    let mut builder = Builder::new(&Header {
        version: VERSION,
        stack: stack.to_owned(),
        seq: state.seq,
        hash: state.hash.clone(),
        epoch: state.epoch,
        next_op: state.next_op,
        lease: state.lease.clone(),
        key: state.key.clone(),
        durations: state.learned.kinds.clone(),
        bases: state.bases.clone(),
        revisions_from: state.revisions_from,
        doubtful: state.doubtful,
        sent: state.sent.clone(),
        migrated: state.migrated.clone(),
    })?;
    section(&mut builder, SECRETS, &state.secrets, keys)?;
    section(&mut builder, REVISIONS, &state.revisions, keys)?;
    section(&mut builder, PENDING, state.pending.values(), keys)?;
    section(&mut builder, SUPERSEDED, &state.superseded, keys)?;
    if !state.incoming.is_empty() {
        section(&mut builder, INCOMING, state.incoming.values(), keys)?;
    }
    if !state.learned.resources.is_empty() {
        section(&mut builder, LEARNED, state.learned.lines(), keys)?;
    }
    section(&mut builder, RESOURCES, state.resources.values(), keys)?;
    section(&mut builder, DECLARED, state.declared.values(), keys)?;
    Ok(builder.finish().0.into())
}

fn section<T: Serialize>(
    builder: &mut Builder,
    name: &str,
    items: impl IntoIterator<Item = T>,
    keys: &DataKeys,
) -> Result<()> {
    builder.section(name);
    let mut items = items.into_iter();
    let mut so_far = 0;
    let begun = builder.len();
    while let Some(item) = items.next() {
        builder.item(&seal_text(&item_text(&item)?, keys)?);
        so_far += 1;
        if so_far == TELLING {
            // One after the other they are much alike. A text that doubles as it grows would for a moment take three times
            // as much memory as all of them.
            let left = items.size_hint().0;
            builder.reserve((builder.len() - begun) / TELLING * left / 16 * 17);
        }
    }
    Ok(())
}

/// So many items tell how large the others of their list are.
const TELLING: usize = 64;

/// How much of a checkpoint is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// All but what the newest revision declared, which waits until somebody looks at it.
    AsNeeded,
}

/// A checkpoint whose bytes are whole, and whose secrets are still sealed.
pub(crate) struct Whole {
    parsed: Parsed<Bytes>,
    header: Header,
}

impl Whole {
    /// Checks the bytes.
    pub fn new(bytes: Bytes) -> Result<Self, Flaw> {
        let parsed = Parsed::new(bytes)?;
        let header = parsed.header()?;
        Ok(Self { parsed, header })
    }

    /// Its position.
    pub fn seq(&self) -> u64 {
        self.header.seq
    }

    /// The wrapped data key that it holds: what its secrets open with.
    pub fn key(&self) -> Option<&WrappedKey> {
        self.header.key.as_ref()
    }

    /// The position and the hash of the entry that it was made at.
    pub fn place(&self) -> (u64, String) {
        (self.header.seq, self.header.hash.clone())
    }

    /// The hash of all its bytes.
    pub fn object_hash(&self) -> &str {
        &self.parsed.hash
    }

    /// The state that it holds.
    pub fn state(self, stack: &str, keys: &DataKeys, extent: Extent) -> Result<State, Flaw> {
        let Self { parsed, header } = self;
        let mut plain = plain(header, stack)?;
        let secrets: Vec<(String, StackSecret)> = items(&parsed.section(SECRETS), keys)?;
        let resources: Vec<Tracked> = items(&parsed.section(RESOURCES), keys)?;
        let pending: Vec<PendingOp> = items(&parsed.section(PENDING), keys)?;
        let superseded: Vec<Recorded> = items(&parsed.section(SUPERSEDED), keys)?;
        let incoming: Vec<Incoming> = items(&parsed.section(INCOMING), keys)?;
        let revisions: Vec<Revision> = items(&parsed.section(REVISIONS), keys)?;
        let learned = items(&parsed.section(LEARNED), keys)?;
        let declared = Declared::of(Arc::new(parsed), DECLARED, keys);
        if extent == Extent::Whole {
            declared.read()?;
        }
        Ok(State {
            learned: Learned::of_lines(std::mem::take(&mut plain.learned.kinds), learned),
            secrets: secrets.into_iter().collect(),
            resources: resources
                .into_iter()
                .map(|tracked| (tracked.recorded.urn.clone(), Arc::new(tracked)))
                .collect(),
            superseded: superseded.into_iter().map(Arc::new).collect(),
            pending: pending.into_iter().map(|op| (op.intent.op, Arc::new(op))).collect(),
            declared,
            incoming: incoming.into_iter().map(|incoming| (incoming.transfer, Arc::new(incoming))).collect(),
            revisions: revisions.into_iter().map(Arc::new).collect(),
            ..plain
        })
    }

    /// Of the state what takes no key: the plain fields.
    pub fn plain_state(self, stack: &str) -> Result<State, Flaw> {
        plain(self.header, stack)
    }
}

fn plain(header: Header, stack: &str) -> Result<State, Flaw> {
    if header.stack != stack {
        return Err(Flaw::Damage(format!("it belongs to the stack `{}`", header.stack)));
    }
    Ok(State {
        seq: header.seq,
        hash: header.hash,
        epoch: header.epoch,
        lease: header.lease,
        key: header.key,
        learned: Learned { kinds: header.durations, ..Learned::default() },
        next_op: header.next_op,
        bases: header.bases,
        revisions_from: header.revisions_from,
        doubtful: header.doubtful,
        sent: header.sent,
        migrated: header.migrated,
        ..State::default()
    })
}

/// The hash of an object's bytes, when they are whole.
pub(crate) fn object_hash(bytes: &[u8]) -> Result<String, Flaw> {
    Ok(Parsed::new(bytes)?.hash)
}
