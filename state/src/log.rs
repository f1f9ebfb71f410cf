//! A stack's log: opening it, following it, taking its lease.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use plinth_provider::{Resource, Urn};
use tokio::time::Instant;
use uuid::Uuid;

use crate::append::{Landed, create};
use crate::entry::{KeyRing, Place, blocking, decode, encode, texts};
use crate::lines::Flaw;
use crate::{
    Backend, DataKey, Entry, Error, Event, Holder, Keys, Lease, Result, State, WrappedKey, Writer, checkpoint,
};

/// How often a held lease is looked at again.
const POLL: Duration = Duration::from_millis(250);
/// How many entries are asked for at once: at first, and at most.
const WINDOW: (u64, u64) = (16, 128);
/// How many absent positions in a row prove the log's end.
const BEYOND: u64 = 8;

/// A stack's log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    backend: Arc<dyn Backend>,
    stack: String,
    keys: Keys,
    data_key: Arc<Mutex<Option<DataKey>>>,
    tail: Arc<Tail>,
}

/// How much there is to read after the newest checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    pub checkpoint: AtomicU64,
    pub bytes: AtomicU64,
}

impl Log {
    /// Opens a stack's log and computes its state. Takes no lease and changes nothing; a stack that was never written
    /// to is empty.
    ///
    /// # Errors
    /// When storage fails, the log is damaged or of a newer format, or the key does not open the stack's data key.
    pub async fn open(backend: Arc<dyn Backend>, stack: &str, keys: Keys) -> Result<(Self, State)> {
        let log = Self::unread(backend, stack, keys)?;
        let mut state = log.newest_checkpoint(u64::MAX).await?.unwrap_or_default();
        log.tail.checkpoint.store(state.seq, Ordering::Relaxed);
        log.follow(&mut state, true).await?;
        Ok((log, state))
    }

    pub(crate) fn unread(backend: Arc<dyn Backend>, stack: &str, keys: Keys) -> Result<Self> {
        check_stack_name(stack)?;
        Ok(Self { backend, stack: stack.to_owned(), keys, data_key: Arc::default(), tail: Arc::default() })
    }

    /// Takes in what was appended since.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub async fn refresh(&self, state: &mut State) -> Result<()> {
        self.follow(state, false).await
    }

    /// The stack's name.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// What opens the stack's data key.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The stack's data key, if it has one yet.
    pub fn data_key(&self) -> Option<DataKey> {
        self.data_key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A data key to seal something beside the log with, such as a plan file, and its wrapped form to store there: the
    /// stack's own, or a new one when the stack has none yet.
    ///
    /// # Errors
    /// When the identity file cannot be read or made.
    pub async fn sealing_key(&self, state: &State) -> Result<(DataKey, WrappedKey)> {
        match (self.data_key(), &state.key) {
            (Some(data_key), Some(wrapped)) => Ok((data_key, wrapped.clone())),
            _ => {
                let keys = self.keys.clone();
                blocking(move || keys.generate()).await
            }
        }
    }

    /// Opens a data key that [`Log::sealing_key`] gave.
    ///
    /// # Errors
    /// When the stack's key does not open it.
    pub async fn unwrap_key(&self, wrapped: &WrappedKey) -> Result<DataKey> {
        let (keys, wrapped) = (self.keys.clone(), wrapped.clone());
        blocking(move || keys.open(&wrapped)).await
    }

    /// One entry; `None` beyond the log's end.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub async fn entry(&self, seq: u64) -> Result<Option<Entry>> {
        let key = self.entry_key(seq);
        let Some(bytes) = self.backend.get(&key).await? else { return Ok(None) };
        let mut ring = self.ring();
        decode(bytes, &mut ring).await?.map(Some).map_err(|flaw| flaw.into_error(seq, &key))
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
            return Ok(state.declared.clone());
        }
        let mut then = self.newest_checkpoint(wanted.seq.saturating_sub(1)).await?.unwrap_or_default();
        let mut ring = self.ring();
        let mut reader = Reader::new(self, then.seq + 1);
        while let Some((seq, bytes)) = reader.next().await? {
            let entry = self.linked(seq, bytes, &then, &mut ring).await?;
            if seq < wanted.seq {
                then.apply(entry);
                continue;
            }
            for event in entry.events {
                let found = matches!(&event, Event::RevisionStarted(started) if started.revision == revision);
                then.apply_event(event, seq, entry.time);
                if found {
                    return Ok(then.declared);
                }
            }
            break;
        }
        Err(Error::NoRevision { stack: self.stack.clone(), revision, newest })
    }

    /// Takes the lease and gives the writer that holds it. Waits up to `lock_timeout` for another run to end; takes
    /// over at once what has expired or what a dead process of this machine held.
    ///
    /// # Errors
    /// [`Error::Held`] when another run holds it; else as [`Log::open`].
    pub async fn acquire(
        &self,
        mut state: State,
        holder: Holder,
        ttl: Duration,
        lock_timeout: Duration,
    ) -> Result<Writer> {
        let deadline = Instant::now() + lock_timeout;
        let writer = Uuid::new_v4();
        loop {
            self.refresh(&mut state).await?;
            if let Some(lease) =
                state.lease.as_ref().filter(|lease| !lease.may_be_taken(jiff::Timestamp::now()))
            {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Error::Held { stack: self.stack.clone(), lease: Box::new(lease.clone()) });
                }
                tokio::time::sleep(left.min(POLL)).await;
                continue;
            }
            let epoch = state.epoch + 1;
            let expires = jiff::Timestamp::now() + ttl;
            let event = Event::LeaseAcquired { epoch, holder: holder.clone(), expires };
            match self.append(&mut state, writer, epoch, vec![event]).await {
                Ok(()) => return Ok(Writer::start(self.clone(), state, writer, epoch, ttl)),
                Err(Error::Moved { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends another run's lease by force, dead or alive: it is fenced with its next append. Gives the lease that was
    /// ended, if there was one.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub async fn unlock(&self, state: &mut State, by: Holder) -> Result<Option<Lease>> {
        loop {
            self.refresh(state).await?;
            let Some(lease) = state.lease.clone() else { return Ok(None) };
            let epoch = state.epoch + 1;
            let event = Event::LeaseBroken { epoch, by: by.clone() };
            match self.append(state, Uuid::new_v4(), epoch, vec![event]).await {
                Ok(()) => return Ok(Some(lease)),
                Err(Error::Moved { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Appends one entry after `state` and takes it in; [`Error::Moved`] when its position is taken.
    async fn append(&self, state: &mut State, writer: Uuid, epoch: u64, events: Vec<Event>) -> Result<()> {
        let ring = self.ring();
        let seq = state.seq + 1;
        let texts = texts(&events)?;
        let place = Place { seq, prev: &state.hash, epoch, writer };
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
    async fn follow(&self, state: &mut State, anchored: bool) -> Result<()> {
        let anchored = anchored && state.seq > 0;
        let mut ring = self.ring();
        let mut reader = Reader::new(self, if anchored { state.seq } else { state.seq + 1 });
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
            state.apply(entry);
        }
        self.keep(ring);
        Ok(())
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
        let entry = decode(bytes, ring).await?.map_err(|flaw| flaw.into_error(seq, &file))?;
        if entry.seq != seq {
            let what = format!("it holds entry {}: it was copied or renamed", entry.seq);
            return Err(Error::Damaged { seq, file, what });
        }
        if entry.prev != state.hash {
            let what = "it does not follow the entry before it: one of the two was replaced".to_owned();
            return Err(Error::Damaged { seq, file, what });
        }
        Ok(entry)
    }

    /// The newest checkpoint that can be read, at or before a position. One that cannot is passed over: it is a cache.
    async fn newest_checkpoint(&self, at_most: u64) -> Result<Option<State>> {
        let mut keys = self.backend.list(&self.checkpoint_folder()).await?;
        keys.retain(|key| key_seq(key).is_some_and(|seq| seq <= at_most));
        for key in keys.iter().rev() {
            let Some(bytes) = self.backend.get(key).await? else { continue };
            match self.read_checkpoint(bytes).await? {
                Ok(state) => return Ok(Some(state)),
                Err(flaw) => tracing::warn!(%key, ?flaw, "passing over a checkpoint that cannot be read"),
            }
        }
        Ok(None)
    }

    pub(crate) async fn read_checkpoint(&self, bytes: Bytes) -> Result<Result<State, Flaw>> {
        let mut ring = self.ring();
        if ring.data_key.is_none() {
            match checkpoint::wrapped_key(&bytes) {
                Ok(Some(key)) => ring.install(&key).await?,
                Ok(None) => {}
                Err(flaw) => return Ok(Err(flaw)),
            }
            self.keep(ring.clone());
        }
        let stack = self.stack.clone();
        blocking(move || Ok(checkpoint::decode(&bytes, &stack, ring.data_key.as_ref()))).await
    }

    pub(crate) fn ring(&self) -> KeyRing {
        KeyRing { keys: self.keys.clone(), data_key: self.data_key() }
    }

    pub(crate) fn keep(&self, ring: KeyRing) {
        if ring.data_key.is_some() {
            *self.data_key.lock().unwrap_or_else(PoisonError::into_inner) = ring.data_key;
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

/// Reads entries in order, many at a time, until the log's end.
struct Reader<'a> {
    log: &'a Log,
    next: u64,
    ahead: VecDeque<Bytes>,
    width: u64,
    ended: bool,
}

impl<'a> Reader<'a> {
    fn new(log: &'a Log, from: u64) -> Self {
        Self { log, next: from, ahead: VecDeque::new(), width: WINDOW.0, ended: false }
    }

    /// The next entry's position and bytes.
    async fn next(&mut self) -> Result<Option<(u64, Bytes)>> {
        if self.ahead.is_empty() && !self.ended {
            self.fill().await?;
        }
        Ok(self.ahead.pop_front().map(|bytes| {
            self.next += 1;
            (self.next - 1, bytes)
        }))
    }

    async fn window(&self, from: u64, count: u64) -> Result<Vec<Option<Bytes>>> {
        let get = |seq| async move { self.log.backend.get(&self.log.entry_key(seq)).await };
        try_join_all((from..from.saturating_add(count)).map(get)).await
    }

    async fn fill(&mut self) -> Result<()> {
        let mut found = self.window(self.next, self.width).await?;
        let mut at = 0;
        loop {
            while let Some(Some(_)) = found.get(at) {
                at += 1;
            }
            if at == found.len() {
                break;
            }
            let gap = self.next + at as u64;
            let seen = (found.len() - at) as u64;
            if seen <= BEYOND {
                found.extend(self.window(gap + seen, BEYOND + 1 - seen).await?);
            }
            if found[at..].iter().all(Option::is_none) {
                self.ended = true;
                break;
            }
            // Entries after a gap: either they were appended while we were reading, or one was lost.
            let key = self.log.entry_key(gap);
            let Some(bytes) = self.log.backend.get(&key).await? else {
                let what = "entries after it exist".to_owned();
                return Err(Error::Missing { seq: gap, file: key, what });
            };
            found[at] = Some(bytes);
        }
        found.truncate(at);
        self.ahead.extend(found.into_iter().flatten());
        self.width = (self.width * 2).min(WINDOW.1);
        Ok(())
    }
}
