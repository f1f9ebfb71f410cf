//! A stack's log: opening it and following it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::try_join;
use plinth_provider::{Resource, Urn};
use uuid::Uuid;

use crate::append::{Landed, create};
use crate::checkpoint::{Extent, Whole};
use crate::entry::{Place, blocking, encode, installed_key, key_of, read, skim, texts};
use crate::lines::{Flaw, Parsed};
use crate::reader::Reader;
use crate::ring::KeyRing;
use crate::{
    Backend, Clock, DataKeys, Entry, Error, Event, Former, Keys, Result, Retention, State, WrappedKey,
};

/// How often a log is read again that seems to lack something: entries may have been compacted away meanwhile.
const READS: u32 = 3;

/// A stack's log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    backend: Arc<dyn Backend>,
    stack: String,
    keys: Keys,
    former: Option<Former>,
    data: Arc<Mutex<DataKeys>>,
    tail: Arc<Tail>,
    retention: Retention,
    clock: Clock,
    /// Reads no more than leases and transfers, for which no key is needed.
    skims: bool,
}

/// How much there is to read after the newest checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The position of that checkpoint.
    pub checkpoint: AtomicU64,
    /// Its size.
    pub size: AtomicU64,
    /// The bytes of the entries after it.
    pub bytes: AtomicU64,
}

/// A checkpoint is worth its writing when this many entries or bytes lie after the last one.
const CHECKPOINT_EVERY: (u64, u64) = (50, 4 << 20);
/// What a run leaves behind is worth a checkpoint from so many bytes on.
const WORTH_READING_LESS: u64 = 128 << 10;
/// However large the stack, no run goes on for longer than this without a checkpoint.
const MOST_ENTRIES: u64 = 5_000;

impl Tail {
    /// Whether a checkpoint is worth its writing. While a run goes on, what is written for checkpoints stays in
    /// proportion to what is appended, or the time of a run would grow with the square of what it makes.
    pub fn is_long(&self, newest: u64, running: bool) -> bool {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (entries, bytes) = (newest.saturating_sub(load(&self.checkpoint)), load(&self.bytes));
        let size = load(&self.size);
        match running {
            true => {
                let much = entries >= CHECKPOINT_EVERY.0 || bytes >= CHECKPOINT_EVERY.1;
                much && (bytes >= 2 * size || entries >= MOST_ENTRIES)
            }
            // Entries tell every step; the checkpoint only what came out, which is read in a third of the time.
            false => entries >= CHECKPOINT_EVERY.0 || (bytes >= WORTH_READING_LESS && bytes >= size / 2),
        }
    }

    /// There is a checkpoint of this size at this position, and nothing after it.
    pub fn restart(&self, checkpoint: u64, size: u64) {
        self.checkpoint.store(checkpoint, Ordering::Relaxed);
        self.size.store(size, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }
}

impl Log {
    /// Opens a stack's log and computes its state. Takes no lease and changes nothing; a stack that was never written
    /// to is empty.
    ///
    /// # Errors
    /// When storage fails, the log is damaged or of a newer format, or the key does not open the stack's data key.
    pub async fn open(backend: Arc<dyn Backend>, stack: &str, keys: Keys) -> Result<(Self, State)> {
        Self::unread(backend, stack, keys)?.opened().await
    }

    /// Opens a stack's log by this thread alone, reading as it goes: where state lies in a folder and its keys on this
    /// machine ([`crate::folder_of`], [`Keys::are_local`]), handing every read to another thread costs more than it saves.
    ///
    /// # Errors
    /// As [`Log::open`].
    ///
    /// # Panics
    /// In a thread that drives a runtime's tasks.
    pub fn open_here(backend: Arc<dyn Backend>, stack: &str, keys: Keys) -> Result<(Self, State)> {
        futures::executor::block_on(Self::open(backend, stack, keys))
    }

    /// Opens a stack's log whose secrets may still be those of the keys until now: what [`Writer::rotate`] needs.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub async fn open_formerly(
        backend: Arc<dyn Backend>,
        stack: &str,
        keys: Keys,
        former: Former,
    ) -> Result<(Self, State)> {
        Self::unread(backend, stack, keys)?.or_formerly(former).opened().await
    }

    pub(crate) fn or_formerly(self, former: Former) -> Self {
        Self { former: Some(former), ..self }
    }

    async fn opened(self) -> Result<(Self, State)> {
        let state = self.read(Extent::AsNeeded).await?;
        match &state.migrated {
            Some(to) => Err(Error::Migrated { stack: self.stack, to: to.clone() }),
            None => Ok((self, state)),
        }
    }

    /// The state that the log gives now.
    pub(crate) async fn read(&self, extent: Extent) -> Result<State> {
        let mut tries = 1;
        loop {
            match self.read_once(extent).await {
                Err(Error::Missing { .. }) if tries < READS => tries += 1,
                read => return read,
            }
        }
    }

    async fn read_once(&self, extent: Extent) -> Result<State> {
        // Before the entries: what it names was there before it was.
        let (head, newest) = try_join(self.head(), self.sized_checkpoint(u64::MAX, extent)).await?;
        let (mut state, size) = newest.unwrap_or_default();
        self.tail.restart(state.seq, size);
        self.follow(&mut state, true).await?;
        if let Some(head) = head.filter(|head| head.seq > state.seq) {
            let (seq, file) = (state.seq + 1, self.entry_key(state.seq + 1));
            let what = format!("the log once went on to entry {} ({})", head.seq, self.head_key());
            return Err(Error::Missing { seq, file, what });
        }
        Ok(state)
    }

    pub(crate) fn unread(backend: Arc<dyn Backend>, stack: &str, keys: Keys) -> Result<Self> {
        check_stack_name(stack)?;
        Ok(Self {
            backend,
            stack: stack.to_owned(),
            keys,
            former: None,
            data: Arc::default(),
            tail: Arc::default(),
            retention: Retention::default(),
            clock: Clock::default(),
            skims: false,
        })
    }

    /// Another stack's log, of which no more is read than who holds it and what it sent where: that is not secret and
    /// takes no key.
    pub(crate) async fn skim(backend: Arc<dyn Backend>, stack: &str, clock: Clock) -> Result<(Self, State)> {
        let log = Self::unread(backend, stack, Keys::Identity(Default::default()))?;
        let log = Self { skims: true, clock, ..log };
        let state = log.read(Extent::AsNeeded).await?;
        Ok((log, state))
    }

    /// Takes in what was appended since.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub async fn refresh(&self, state: &mut State) -> Result<()> {
        match self.follow(state, false).await {
            // What comes next may have been compacted away: the log begins later now.
            Err(Error::Missing { .. }) => {
                *state = self.read(Extent::AsNeeded).await?;
                Ok(())
            }
            followed => followed,
        }
    }

    /// The same log, by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The clock that leases and entries are timed by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The same log, keeping only so much of its history from now on.
    #[must_use]
    pub fn with_retention(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    pub(crate) fn retention(&self) -> Retention {
        self.retention
    }

    /// The stack's name.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// What opens the stack's data key.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The stack's data keys; none before its first secret.
    pub fn data_keys(&self) -> DataKeys {
        self.data.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Data keys to seal something beside the log with, such as a plan file, and their wrapped form to store there: the
    /// stack's own, or a new one when the stack has none yet.
    ///
    /// # Errors
    /// When a new one cannot be wrapped.
    pub async fn sealing_keys(&self, state: &State) -> Result<(DataKeys, WrappedKey)> {
        let data = self.data_keys();
        match &state.key {
            Some(wrapped) if !data.is_empty() => Ok((data, wrapped.clone())),
            _ => self.keys.generate(&self.stack).await,
        }
    }

    /// Opens data keys that [`Log::sealing_keys`] gave.
    ///
    /// # Errors
    /// When the stack's key does not open them.
    pub async fn unwrap_keys(&self, wrapped: &WrappedKey) -> Result<DataKeys> {
        let ring = self.ring();
        // Those that the log knows are open already, whatever wraps them now.
        if wrapped.id.is_some() && ring.covers(wrapped) { Ok(ring.data) } else { ring.open(wrapped).await }
    }

    /// One entry; `None` beyond the log's end.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub async fn entry(&self, seq: u64) -> Result<Option<Entry>> {
        let key = self.entry_key(seq);
        let Some(bytes) = self.backend.get(&key).await? else { return Ok(None) };
        let mut ring = self.ring();
        self.decode(seq, &bytes, &mut ring).await?.map(Some).map_err(|flaw| flaw.into_error(seq, &key))
    }

    /// The desired graph of a revision.
    ///
    /// # Errors
    /// When there is no such revision, or as [`Log::open`].
    pub async fn declared_at(&self, state: &State, revision: u64) -> Result<BTreeMap<Urn, Arc<Resource>>> {
        let newest = state.revisions.last().map_or(0, |revision| revision.number);
        let Some(wanted) = state.revision(revision) else {
            return Err(Error::NoRevision { stack: self.stack.clone(), revision, newest });
        };
        if revision == newest {
            return self.declared(state).cloned();
        }
        let not_kept = || Error::NotKept {
            stack: self.stack.clone(),
            revision,
            from: state
                .revisions
                .iter()
                .map(|revision| revision.number)
                .find(|number| *number >= state.revisions_from && *number > revision),
        };
        if revision < state.revisions_from {
            return Err(not_kept());
        }
        let mut then = match self.state_at(wanted.seq - 1).await {
            Err(Error::Missing { .. }) | Ok(None) if !state.bases.is_empty() => return Err(not_kept()),
            then => then?.ok_or_else(not_kept)?,
        };
        let mut ring = self.ring();
        let mut reader = Reader::new(self, wanted.seq, wanted.seq);
        if let Some((seq, bytes)) = reader.next().await? {
            let entry = self.linked(seq, bytes, &then, &mut ring).await?;
            for event in entry.events {
                let found = matches!(&event, Event::RevisionStarted(started) if started.revision == revision);
                then.apply_event(event, seq, entry.time);
                if found {
                    return self.declared(&then).cloned();
                }
            }
        }
        Err(Error::NoRevision { stack: self.stack.clone(), revision, newest })
    }

    /// What the newest revision declared, read if nobody has.
    pub(crate) fn declared<'s>(&self, state: &'s State) -> Result<&'s BTreeMap<Urn, Arc<Resource>>> {
        // Read from a checkpoint whose bytes are whole: what is wrong with it was written so.
        state.declared.read().map_err(|flaw| flaw.into_error(state.seq, &self.checkpoint_folder()))
    }

    /// State as it was at a position; `None` when what led there is lost.
    pub(crate) async fn state_at(&self, seq: u64) -> Result<Option<State>> {
        let mut then = self.newest_checkpoint(seq).await?.unwrap_or_default();
        let mut ring = self.ring();
        let mut reader = Reader::new(self, then.seq + 1, seq);
        while then.seq < seq {
            let Some((at, bytes)) = reader.next().await? else { return Ok(None) };
            let entry = self.linked(at, bytes, &then, &mut ring).await?;
            if entry.resume().is_some() {
                return Ok(None);
            }
            then.apply(entry);
        }
        Ok(Some(then))
    }

    /// Appends one entry after `state` and takes it in; [`Error::Moved`] when its position is taken.
    pub(crate) async fn append(
        &self,
        state: &mut State,
        writer: Uuid,
        epoch: u64,
        events: Vec<Event>,
    ) -> Result<()> {
        let ring = self.ring();
        let seq = state.seq + 1;
        let texts = texts(&events)?;
        let time = self.clock.now();
        let place = Place { stack: &self.stack, seq, prev: &state.hash, epoch, writer, time };
        let encoded = encode(place, events, &texts, &ring).await?;
        match create(&*self.backend, &self.entry_key(seq), &encoded.bytes).await? {
            Landed::Other(_) => Err(Error::Moved { seq }),
            Landed::Ours => {
                state.apply(encoded.entry);
                self.tail.bytes.fetch_add(encoded.bytes.len() as u64, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Reads from the state's position on. With `anchored`, the entry that the state was computed at is checked too: a
    /// checkpoint whose log is gone or another one is not believed.
    pub(crate) async fn follow(&self, state: &mut State, mut anchored: bool) -> Result<()> {
        // What is listed has to be there; what is appended meanwhile is found by looking.
        let from = self.entry_key(state.seq);
        let listed = self.backend.list_after(&self.log_folder(), &from).await?;
        let listed = listed.iter().rev().find_map(|key| key_seq(key)).unwrap_or(0);
        while let Some(resume) = self.follow_to_gap(state, anchored, listed).await? {
            // The entries of a mended gap are lost: state goes on with what was found to hold after it.
            *state = self.base(resume).await?;
            anchored = true;
        }
        Ok(())
    }

    /// Reads on to the log's end or to a mended gap, and tells where state goes on after that.
    async fn follow_to_gap(&self, state: &mut State, anchored: bool, listed: u64) -> Result<Option<u64>> {
        let anchored = anchored && state.seq > 0;
        let mut ring = self.ring();
        let mut reader = Reader::new(self, if anchored { state.seq } else { state.seq + 1 }, listed);
        if anchored {
            let key = self.entry_key(state.seq);
            let Some((seq, bytes)) = reader.next().await? else {
                let what = "a checkpoint was made from it".to_owned();
                return Err(Error::Missing { seq: state.seq, file: key, what });
            };
            let (_, hash) = crate::entry::decode_header(&bytes).map_err(|flaw| flaw.into_error(seq, &key))?;
            if hash != state.hash {
                let what = "it is not the entry that the checkpoint at its position was made from".to_owned();
                return Err(Error::Damaged { seq, file: key, what });
            }
        }
        while let Some((seq, bytes)) = reader.next().await? {
            self.tail.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let entry = self.linked(seq, bytes, state, &mut ring).await?;
            if let Some(resume) = entry.resume() {
                self.keep(&ring);
                return Ok(Some(resume));
            }
            state.apply(entry);
        }
        self.keep(&ring);
        Ok(None)
    }

    async fn base(&self, seq: u64) -> Result<State> {
        let file = self.checkpoint_key(seq);
        let damaged = |what: String| Error::Base { seq, file: file.clone(), what };
        let bytes = self.backend.get(&file).await?.ok_or_else(|| damaged("it is missing".to_owned()))?;
        let read = self.read_checkpoint(bytes, Extent::Whole).await?;
        let state = read.map_err(|flaw| damaged(flaw.to_string()))?;
        if state.seq == seq { Ok(state) } else { Err(damaged(format!("it is that of entry {}", state.seq))) }
    }

    /// Reads an entry and checks that it is the one that follows the state.
    pub(crate) async fn linked(
        &self,
        seq: u64,
        bytes: Bytes,
        state: &State,
        ring: &mut KeyRing,
    ) -> Result<Entry> {
        let file = self.entry_key(seq);
        let read = if self.skims { skim(&bytes) } else { self.decode(seq, &bytes, ring).await? };
        let entry = read.map_err(|flaw| flaw.into_error(seq, &file))?;
        if entry.seq != seq {
            let what = format!("it holds entry {}: it was copied or renamed", entry.seq);
            return Err(Error::Damaged { seq, file, what });
        }
        if !entry.stack.is_empty() && entry.stack != self.stack {
            let what = format!("it belongs to the stack `{}`", entry.stack);
            return Err(Error::Damaged { seq, file, what });
        }
        if entry.prev != state.hash {
            let what = "it does not follow the entry before it: one of the two was replaced".to_owned();
            return Err(Error::Damaged { seq, file, what });
        }
        Ok(entry)
    }

    /// The newest checkpoint that can be read, at or before a position. One that cannot is passed over: it is a cache.
    pub(crate) async fn newest_checkpoint(&self, at_most: u64) -> Result<Option<State>> {
        Ok(self.sized_checkpoint(at_most, Extent::Whole).await?.map(|(state, _)| state))
    }

    async fn sized_checkpoint(&self, at_most: u64, extent: Extent) -> Result<Option<(State, u64)>> {
        let mut keys = self.backend.list(&self.checkpoint_folder()).await?;
        keys.retain(|key| key_seq(key).is_some_and(|seq| seq <= at_most));
        for key in keys.iter().rev() {
            let Some(bytes) = self.backend.get(key).await? else { continue };
            let size = bytes.len() as u64;
            match self.read_checkpoint(bytes, extent).await? {
                Ok(state) if key_seq(key) == Some(state.seq) => return Ok(Some((state, size))),
                Ok(state) => {
                    tracing::warn!(%key, state.seq, "passing over a checkpoint that is another position's")
                }
                Err(flaw) => tracing::warn!(%key, ?flaw, "passing over a checkpoint that cannot be read"),
            }
        }
        Ok(None)
    }

    pub(crate) async fn read_checkpoint(&self, bytes: Bytes, extent: Extent) -> Result<Result<State, Flaw>> {
        let whole = match Whole::new(bytes) {
            Ok(whole) => whole,
            Err(flaw) => return Ok(Err(flaw)),
        };
        if self.skims {
            return Ok(whole.plain_state(&self.stack));
        }
        let mut ring = self.ring();
        if let Some(key) = whole.key().filter(|key| !ring.covers(key)) {
            self.install(whole.seq(), key, &mut ring).await?;
            self.keep(&ring);
        }
        let stack = self.stack.clone();
        blocking(move || Ok(whole.state(&stack, &ring.data, extent))).await
    }

    /// Reads an entry. Its secrets open with the ring's data keys; the ring takes over a key that the entry installs, which
    /// may have been succeeded by one that opens it. The outer error is the key's: a wrong one is no damage of the log.
    pub(crate) async fn decode(
        &self,
        seq: u64,
        bytes: &[u8],
        ring: &mut KeyRing,
    ) -> Result<Result<Entry, Flaw>> {
        let parsed = match Parsed::new(bytes) {
            Ok(parsed) => parsed,
            Err(flaw) => return Ok(Err(flaw)),
        };
        if let Some(key) = installed_key(&parsed).filter(|key| !ring.covers(key)) {
            self.install(seq, &key, ring).await?;
        }
        Ok(read(&parsed, &ring.data))
    }

    /// Takes over the key that was installed at a position. When it does not open, it may be that the keys were changed
    /// later: then the newest one opens it.
    async fn install(&self, seq: u64, key: &WrappedKey, ring: &mut KeyRing) -> Result<()> {
        let Err(error) = ring.install(key).await else { return Ok(()) };
        let mut newest = None;
        let mut reader = Reader::new(self, seq + 1, 0);
        while let Some((_, bytes)) = reader.next().await? {
            newest = key_of(&bytes).or(newest);
        }
        match newest {
            Some(newest) => ring.install(&newest).await,
            None => Err(error),
        }
    }

    pub(crate) fn ring(&self) -> KeyRing {
        KeyRing {
            stack: self.stack.clone(),
            keys: self.keys.clone(),
            former: self.former.clone(),
            data: self.data_keys(),
        }
    }

    pub(crate) fn keep(&self, ring: &KeyRing) {
        if !ring.data.is_empty() {
            self.data.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&ring.data);
        }
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }

    pub(crate) fn entry_key(&self, seq: u64) -> String {
        format!("{}/log/{seq:020}.json", self.stack)
    }

    pub(crate) fn checkpoint_key(&self, seq: u64) -> String {
        format!("{}/checkpoint/{seq:020}.json", self.stack)
    }

    pub(crate) fn head_key(&self) -> String {
        format!("{}/head.json", self.stack)
    }

    pub(crate) fn log_folder(&self) -> String {
        format!("{}/log", self.stack)
    }

    pub(crate) fn checkpoint_folder(&self) -> String {
        format!("{}/checkpoint", self.stack)
    }
}

/// The position that a key names.
pub(crate) fn key_seq(key: &str) -> Option<u64> {
    let name = key.rsplit('/').next()?.strip_suffix(".json")?;
    if name.len() != 20 || !name.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    name.parse().ok()
}

fn check_stack_name(stack: &str) -> Result<()> {
    let bad = |why| Err(Error::StackName { stack: stack.to_owned(), why });
    if stack.is_empty() || stack.len() > 100 {
        return bad("it must have 1 to 100 characters");
    }
    if stack.starts_with('.') {
        return bad("it must not begin with a dot");
    }
    if !stack.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return bad("it may hold letters, digits, `-`, `_` and `.`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of entries that fill a checkpoint as they come.
    fn written_for_checkpoints(entries: u64, bytes: u64) -> u64 {
        let tail = Tail::default();
        let mut written = 0;
        for seq in 1..=entries {
            tail.bytes.fetch_add(bytes, Ordering::Relaxed);
            if tail.is_long(seq, true) {
                tail.restart(seq, seq * bytes);
                written += seq * bytes;
            }
        }
        written
    }

    #[test]
    fn checkpoints_of_a_run_take_no_more_than_some_times_what_it_appends() {
        for (entries, bytes) in [(100, 1_000), (1_000, 100_000), (20_000, 10_000)] {
            let times = written_for_checkpoints(entries, bytes) as f64 / (entries * bytes) as f64;
            assert!(times < 4.0, "{entries} entries of {bytes} bytes: {times:.1} times as much");
        }
    }

    #[test]
    fn a_run_that_ends_leaves_a_short_tail_however_large_the_stack() {
        let tail = Tail::default();
        tail.restart(10, 1 << 30);
        assert!(!tail.is_long(59, false) && tail.is_long(60, false));
        assert!(!tail.is_long(60, true) && tail.is_long(5_010, true));
    }
}
