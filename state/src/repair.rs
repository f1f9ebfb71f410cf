//! Mends a damaged log: keeps everything that can be proven, sets aside what is damaged, and says what is lost.
//!
//! Nothing that is whole is changed. A lost entry's position gets a placeholder that says where state goes on: with a
//! checkpoint beyond it if there is one, else with what the entries after it give. Each placeholder and each such
//! checkpoint is vouched for by the entry that ends the repair, so that damage never passes for a repair.
//!
//! The order is that of a run: the lease first, by an entry after everything else; then copies of what is damaged; then
//! the changes; the entry that vouches for them last. A repair that is killed leaves a log that is still damaged, and
//! the next one begins again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use plinth_provider::Urn;
use tokio::time::Instant;
use uuid::Uuid;

use crate::append::{Landed, create};
use crate::entry::{Place, encode, placeholder, salvage, texts};
use crate::head::Head;
use crate::survey::{Bad, Found, Kind, Point, Survey};
use crate::verify::report;
use crate::{
    Action, Backend, Base, Error, Event, Holder, Intent, Keys, Log, OutcomeResult, Placeholder, Repaired,
    Report, Result, State, WrappedKey,
};

/// What a repair would do, and what it did.
#[derive(Debug, Clone, Default)]
pub struct Mending {
    /// What is wrong.
    pub problems: Vec<crate::Problem>,
    /// Entries that were found elsewhere and go back to their places: position and where it was found.
    pub restored: Vec<(u64, String)>,
    /// Positions whose entries are lost.
    pub lost: Vec<RangeInclusive<u64>>,
    /// Revisions that cannot be returned to any more.
    pub unreachable: Vec<u64>,
    /// Operations that were begun and whose outcome is not known; the next run finds it out.
    pub open: Vec<(u64, Action, Urn)>,
    /// Resources that may exist without a record, and what becomes of them.
    pub unaccounted: Vec<(Urn, &'static str)>,
    /// Whether state after the repair is proven: no entry is lost that no checkpoint makes up for.
    pub proven: bool,
    /// How many resources are recorded after it.
    pub resources: usize,
    /// The folder that what was damaged goes to.
    pub evidence: String,
}

/// What becomes of a resource that may exist without a record.
const LOOKED_FOR: &str = "the next run looks for it and takes it over if it exists";
const NOT_LOOKED_FOR: &str =
    "the next run looks for it if it is still declared; else check by hand whether it exists";
const READ_AGAIN: &str =
    "it is recorded as it was before; the next run reads it and brings it to its inputs again";

/// A repair that was thought through and not begun.
#[derive(Debug)]
pub struct Repair {
    log: Log,
    /// What it would do.
    pub mending: Mending,
    survey: Survey,
    /// State after the last position, with which the log goes on.
    state: State,
    top: u64,
    vouched: BTreeMap<u64, Base>,
    /// Lost positions and where state goes on after each.
    resume: BTreeMap<u64, u64>,
    /// Checkpoints that are there and become bases.
    bases: BTreeSet<u64>,
    /// The state at the last position is written as a base.
    write_base: bool,
    /// The log begins with this position now.
    begins: Option<u64>,
    intents: Vec<Intent>,
    /// The data key, when the entry that installed it is lost.
    install: Option<WrappedKey>,
}

impl std::fmt::Debug for Survey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Survey").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// Thinks a repair through; `None` when nothing is wrong. Changes nothing.
///
/// # Errors
/// When storage fails, the key does not open the stack's data key, or an object was written by a newer Plinth.
pub async fn plan_repair(backend: Arc<dyn Backend>, stack: &str, keys: Keys) -> Result<Option<Repair>> {
    let log = Log::unread(backend, stack, keys)?;
    let survey = Survey::of(&log).await?;
    let report = report(&log, &survey);
    if report.is_whole() {
        return Ok(None);
    }
    if let Some(newer) = survey.bad.iter().find(|bad| bad.newer) {
        let supported = crate::lines::VERSION;
        return Err(Error::NewerVersion { file: newer.key.clone(), version: supported + 1, supported });
    }
    Ok(Some(Repair::think(log, survey, report)))
}

impl Repair {
    fn think(log: Log, survey: Survey, report: Report) -> Self {
        let mut repair = Self {
            log,
            mending: Mending { problems: report.problems, proven: true, ..Mending::default() },
            top: survey.top(),
            vouched: survey.bases(),
            survey,
            state: State::default(),
            resume: BTreeMap::new(),
            bases: BTreeSet::new(),
            write_base: false,
            begins: None,
            intents: Vec::new(),
            install: None,
        };
        repair.restore();
        repair.fold();
        repair.account();
        repair.mending.resources = repair.state.resources.len();
        repair.mending.open = repair
            .state
            .pending
            .values()
            .map(|pending| &pending.intent)
            .chain(&repair.intents)
            .map(|intent| (intent.op, intent.action, intent.urn.clone()))
            .collect();
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        repair.mending.evidence = format!("{}/damaged/{time}", repair.log.stack());
        repair
    }

    /// Puts entries that were copied or renamed back where their neighbours ask for them.
    fn restore(&mut self) {
        let first = self.survey.first();
        let mut spare: BTreeMap<u64, Vec<Found>> = BTreeMap::new();
        for bad in &self.survey.bad {
            if let Some(found) = bad.holds.as_ref().filter(|found| bad.seq != Some(found.entry.seq)) {
                spare.entry(found.entry.seq).or_default().push(found.clone());
            }
        }
        for (seq, candidates) in spare {
            if seq < first || self.survey.entries.contains_key(&seq) {
                continue;
            }
            let before = seq.checked_sub(1).and_then(|seq| self.survey.entries.get(&seq));
            let before =
                if seq == 1 { Some(String::new()) } else { before.map(|found| found.entry.hash.clone()) };
            let after = self.survey.entries.get(&(seq + 1)).map(|found| found.entry.prev.clone());
            let fits = |found: &&Found| {
                let follows = before.as_ref().map(|hash| *hash == found.entry.prev);
                let leads = after.as_ref().map(|hash| *hash == found.entry.hash);
                follows != Some(false) && leads != Some(false) && (follows.is_some() || leads.is_some())
            };
            if let Some(found) = candidates.iter().find(fits) {
                self.mending.restored.push((seq, found.key.clone()));
                self.survey.entries.insert(seq, found.clone());
                self.top = self.top.max(seq);
            }
        }
    }

    /// The smallest checkpoint at or after a position that is proven to be the log's.
    fn proven_from(&self, seq: u64) -> Option<&Point> {
        let mut points = self.survey.checkpoints.range(seq..).map(|(_, point)| point);
        points.find(|point| match self.survey.anchored(point) {
            Some(anchored) => anchored && self.as_vouched(point),
            // Nothing after it can say otherwise.
            None => point.state.seq >= self.top && self.as_vouched(point),
        })
    }

    /// Whether a checkpoint is the one that an entry vouches for, if one does.
    fn as_vouched(&self, point: &Point) -> bool {
        self.vouched.get(&point.state.seq).is_none_or(|base| base.object == point.object)
    }

    /// The lost positions, in ranges. A placeholder of a repair that never came to its end counts as lost again.
    fn lost(&self, first: u64) -> Vec<RangeInclusive<u64>> {
        let mended = self.survey.mended();
        let mut lost: Vec<RangeInclusive<u64>> = Vec::new();
        for seq in first..=self.top {
            let there = self.survey.entries.get(&seq);
            let whole = there.is_some_and(|found| {
                found.entry.resume().is_none_or(|resume| {
                    self.survey.is_mended(seq, &mended)
                        && self.survey.checkpoints.get(&resume).is_some_and(|point| self.as_vouched(point))
                })
            });
            if whole {
                continue;
            }
            match lost.last_mut() {
                Some(range) if *range.end() + 1 == seq => *range = *range.start()..=seq,
                _ => lost.push(seq..=seq),
            }
        }
        lost
    }

    /// Computes the state that the log shall go on with.
    fn fold(&mut self) {
        let first = self.survey.first();
        let lost = self.lost(first);
        let begin = lost.first().is_some_and(|range| *range.start() == first);
        let mut state = State::default();
        let mut seq = first;
        // Without its beginning, the log begins with the first checkpoint that is proven.
        if first > 1 || begin {
            let needed =
                if first > 1 && !begin { first } else { lost.first().map_or(first, |range| *range.end()) };
            match self.proven_from(needed).map(|point| point.state.clone()) {
                Some(found) => {
                    let vouched = self.vouched.contains_key(&found.seq);
                    if !(vouched && found.seq == first && !begin) {
                        self.begins = Some(found.seq);
                        self.bases.insert(found.seq);
                        if !self.survey.entries.contains_key(&found.seq) {
                            self.resume.insert(found.seq, found.seq);
                        }
                    }
                    seq = found.seq + 1;
                    state = found;
                }
                None if first > 1 => self.mending.proven = false,
                None => {}
            }
        }
        let unproven_start = !self.mending.proven;
        while seq <= self.top {
            let range = lost.iter().find(|range| range.contains(&seq)).cloned();
            let Some(range) = range else {
                let entry = self.survey.entries[&seq].entry.clone();
                match entry.resume().and_then(|resume| self.survey.checkpoints.get(&resume)) {
                    Some(point) => state = point.state.clone(),
                    None => state.apply(entry),
                }
                seq = seq.max(state.seq) + 1;
                continue;
            };
            let end = *range.end();
            let proven = self.proven_from(end).map(|point| point.state.clone());
            let goes_on = proven.as_ref().map_or(self.top, |state| state.seq);
            for lost in range.clone().filter(|seq| self.begins.is_none_or(|begins| *seq > begins)) {
                self.resume.insert(lost, goes_on);
            }
            match proven {
                Some(proven) => {
                    self.bases.insert(proven.seq);
                    seq = proven.seq + 1;
                    state = proven;
                }
                None => {
                    self.mending.proven = false;
                    // One inside the range knows more than what is before it.
                    let inside = self.survey.checkpoints.range(range).next_back();
                    if let Some((_, point)) =
                        inside.filter(|(_, point)| self.survey.anchored(point) != Some(false))
                    {
                        state = point.state.clone();
                    }
                    state.seq = end;
                    seq = end + 1;
                }
            }
        }
        self.write_base = !self.mending.proven;
        if unproven_start {
            self.begins = Some(self.top);
        }
        state.seq = self.top;
        // Also when the entry that installed a later one is lost.
        if let Some(key) = self.survey.key().filter(|key| state.key.as_ref() != Some(key)) {
            state.key = Some(key);
            self.install.clone_from(&state.key);
        }
        state.next_op = state.next_op.max(self.highest_op() + 1);
        state.epoch =
            state.epoch.max(self.survey.entries.values().map(|found| found.entry.epoch).max().unwrap_or(0));
        self.mending.lost = lost;
        self.state = state;
    }

    fn highest_op(&self) -> u64 {
        let events = self.survey.entries.values().flat_map(|found| &found.entry.events);
        let ops = events.filter_map(|event| match event {
            Event::Intent(intent) => Some(intent.op),
            Event::Outcome { op, .. } => Some(*op),
            _ => None,
        });
        ops.max().unwrap_or(0)
    }

    /// Finds out what may exist without a record.
    fn account(&mut self) {
        let newest = self.state.revisions.last().map(|revision| revision.number);
        let gaps: Vec<(u64, u64)> = self.resume.iter().map(|(lost, resume)| (*lost, *resume)).collect();
        let begins = self.begins.unwrap_or(0);
        let unreachable = self.state.revisions.iter().filter(|revision| {
            let in_gap = gaps.iter().any(|(lost, resume)| (*lost..=*resume).contains(&revision.seq));
            (in_gap || revision.seq <= begins) && Some(revision.number) != newest
        });
        self.mending.unreachable = unreachable.map(|revision| revision.number).collect();
        if self.mending.proven {
            return;
        }
        let salvaged = self.salvage();
        let mut intents: BTreeMap<Urn, Intent> = BTreeMap::new();
        let mut named: BTreeSet<Urn> = self.named();
        for event in salvaged {
            match event {
                Event::Intent(intent) => {
                    named.insert(intent.urn.clone());
                    if intent.action == Action::Create {
                        intents.insert(intent.urn.clone(), *intent);
                    }
                }
                Event::Recorded { recorded }
                | Event::Outcome { result: OutcomeResult::Succeeded { recorded }, .. } => {
                    named.insert(recorded.urn.clone());
                    let mut intent = Intent::new(0, Action::Create, recorded.urn.clone());
                    intent.inputs = recorded.inputs;
                    intent.connection = recorded.connection;
                    intent.dependencies = recorded.dependencies;
                    intent.options = recorded.options;
                    intents.entry(recorded.urn).or_insert(intent);
                }
                Event::Forgot { urn, .. } => drop(named.insert(urn)),
                Event::Moved { from, to } => named.extend([from, to]),
                Event::Incoming(incoming) => {
                    named.extend(incoming.resources.into_iter().map(|tracked| tracked.recorded.urn.clone()));
                }
                Event::Edited(edit) | Event::Sent { edit, .. } => {
                    named.extend(edit.changes.into_iter().map(|change| change.urn))
                }
                _ => {}
            }
        }
        named.extend(self.state.declared.keys().cloned());
        let busy: BTreeSet<Urn> =
            self.state.pending.values().map(|pending| pending.intent.urn.clone()).collect();
        let mut op = self.state.next_op.max(1);
        for urn in named.into_iter().filter(|urn| urn.stack() == self.log.stack() && !busy.contains(urn)) {
            if self.state.resources.contains_key(&urn) {
                continue;
            }
            let intent = intents.remove(&urn);
            let known = intent.is_some() || self.state.declared.contains_key(&urn);
            let what = if known { LOOKED_FOR } else { NOT_LOOKED_FOR };
            self.mending.unaccounted.push((urn, what));
            if let Some(intent) = intent {
                self.intents.push(Intent { op, id: None, replaces: false, ..intent });
                op += 1;
            }
        }
        // What happened to these meanwhile is not known: none of it may be trusted without a look.
        for tracked in self.state.resources.values_mut() {
            Arc::make_mut(tracked).updated_at = jiff::Timestamp::UNIX_EPOCH;
        }
        for urn in self.named() {
            if let Some(tracked) = self.state.resources.get_mut(&urn) {
                Arc::make_mut(&mut Arc::make_mut(tracked).recorded).unsettled = true;
                self.mending.unaccounted.push((urn, READ_AGAIN));
            }
        }
    }

    /// Damaged objects that were entries at lost positions.
    fn torn(&self) -> impl Iterator<Item = &Bad> {
        let lost = |bad: &&Bad| bad.seq.is_some_and(|seq| self.resume.contains_key(&seq));
        self.survey.bad.iter().filter(|bad| bad.kind == Kind::Entry && bad.holds.is_none()).filter(lost)
    }

    fn salvage(&self) -> Vec<Event> {
        self.torn().flat_map(|bad| salvage(&bad.bytes, &self.survey.ring.data)).collect()
    }

    /// The resources that damaged entries name.
    fn named(&self) -> BTreeSet<Urn> {
        let mark = format!("\"plinth:{}::", self.log.stack());
        let mut named = BTreeSet::new();
        for bad in self.torn() {
            let text = String::from_utf8_lossy(&bad.bytes);
            for (at, _) in text.match_indices(&mark) {
                let urn = text[at + 1..].split('"').next().and_then(|urn| Urn::parse(urn).ok());
                named.extend(urn);
            }
        }
        named
    }

    /// Does it: takes the lease, sets aside what is damaged, mends the log.
    ///
    /// # Errors
    /// [`Error::Held`] when another run holds the lease, [`Error::Moved`] when one has appended meanwhile; else as
    /// [`plan_repair`].
    pub async fn run(mut self, holder: Holder, ttl: Duration, lock_timeout: Duration) -> Result<Mending> {
        self.wait_until_free(lock_timeout).await?;
        let writer = Uuid::new_v4();
        let epoch = self.state.epoch + 1;
        let (stack, time) = (self.log.stack().to_owned(), jiff::Timestamp::now());
        let placeholders = self.placeholders(writer, epoch, time)?;
        if let Some((hash, _)) = placeholders.get(&self.top) {
            self.state.hash.clone_from(hash);
        } else if let Some(found) = self.survey.entries.get(&self.top) {
            self.state.hash.clone_from(&found.entry.hash);
        }
        // The lease: from here on whoever appended before is fenced, and nobody else begins.
        let mut state = self.state.clone();
        let expires = time + ttl;
        self.append(&mut state, writer, epoch, vec![Event::LeaseAcquired { epoch, holder, expires }]).await?;

        let mut repaired = Repaired {
            evidence: self.mending.evidence.clone(),
            doubtful: !self.mending.proven,
            ..Repaired::default()
        };
        self.keep_evidence(&placeholders).await?;
        for key in self.goes() {
            self.log.backend().delete(&key).await?;
        }
        for seq in &self.bases {
            let point = &self.survey.checkpoints[seq];
            repaired.bases.push(Base {
                seq: *seq,
                hash: point.state.hash.clone(),
                object: point.object.clone(),
            });
        }
        if self.write_base {
            repaired.bases.push(self.log.write_base(Arc::new(self.state.clone())).await?);
        }
        for (seq, key) in &self.mending.restored {
            let bytes = self.bytes_of(key).await?;
            self.log.backend().put(&self.log.entry_key(*seq), bytes).await?;
        }
        for (seq, (_, bytes)) in &placeholders {
            self.log.backend().put(&self.log.entry_key(*seq), bytes.clone()).await?;
            let object = crate::checkpoint::object_hash(bytes).unwrap_or_default();
            repaired.lost.push(Placeholder { seq: *seq, object });
        }
        let mut events = Vec::new();
        if let Some(begins) = self.begins
            && let Some(base) = repaired.bases.iter().find(|base| base.seq == begins)
        {
            let revisions = &self.state.revisions;
            let oldest = revisions.iter().find(|revision| revision.seq > begins).or(revisions.last());
            let revisions_from = oldest.map_or(1, |revision| revision.number);
            events.push(Event::Compacted { base: base.clone(), revisions_from });
        }
        events.extend(self.install.take().map(|key| Event::KeyInstalled { key }));
        events.push(Event::Repaired(Box::new(repaired)));
        events.extend(self.intents.drain(..).map(|intent| Event::Intent(Box::new(intent))));
        events.push(Event::LeaseReleased);
        self.append(&mut state, writer, epoch, events).await?;
        self.log.put_head(&Head::of(&stack, &state)).await?;
        Ok(self.mending)
    }

    /// A holder of the lease that is alive shows it by appending.
    async fn wait_until_free(&self, lock_timeout: Duration) -> Result<()> {
        let now = jiff::Timestamp::now();
        let Some(lease) = self.state.lease.as_ref().filter(|lease| !lease.is_over(now)) else {
            return Ok(());
        };
        if !lease.looks_over(now) && lock_timeout < lease.ttl() {
            let stack = self.log.stack().to_owned();
            return Err(Error::Held { stack, lease: Box::new(lease.clone()) });
        }
        let until = Instant::now() + lease.ttl();
        let next = self.log.entry_key(self.top + 1);
        while Instant::now() < until {
            if self.log.backend().get(&next).await?.is_some() {
                return Err(Error::Moved { seq: self.top + 1 });
            }
            tokio::time::sleep(Duration::from_millis(250).min(lease.ttl() / 4)).await;
        }
        Ok(())
    }

    /// The placeholders' bytes, and the hashes that the entries after them follow.
    fn placeholders(
        &self,
        writer: Uuid,
        epoch: u64,
        time: jiff::Timestamp,
    ) -> Result<BTreeMap<u64, (String, Bytes)>> {
        let mut made: BTreeMap<u64, (String, Bytes)> = BTreeMap::new();
        for (&seq, &resume) in &self.resume {
            let prev = match (made.get(&(seq - 1)), self.survey.entries.get(&(seq - 1))) {
                (Some((hash, _)), _) => hash.clone(),
                (None, Some(found)) => found.entry.hash.clone(),
                (None, None) => String::new(),
            };
            let next = self.survey.entries.get(&(seq + 1)).filter(|_| !self.resume.contains_key(&(seq + 1)));
            let stands_for = match (next, self.survey.checkpoints.get(&seq)) {
                (Some(next), _) => Some(next.entry.prev.clone()),
                (None, Some(point)) if resume == seq => Some(point.state.hash.clone()),
                _ => None,
            };
            let place = Place { stack: self.log.stack(), seq, prev: &prev, epoch, writer, time };
            let (bytes, hash) = placeholder(place, stands_for.clone(), &Event::Lost { resume })?;
            made.insert(seq, (stands_for.unwrap_or(hash), bytes));
        }
        Ok(made)
    }

    /// The objects that are removed once they are copied: what lies where nothing belongs, and caches that are wrong.
    fn goes(&self) -> Vec<String> {
        let replaced = |seq: &u64| {
            self.resume.contains_key(seq) || self.mending.restored.iter().any(|(restored, _)| restored == seq)
        };
        let entries = self.survey.bad.iter().filter(|bad| bad.kind == Kind::Entry);
        let entries =
            entries.filter(|bad| !bad.seq.as_ref().is_some_and(replaced)).map(|bad| bad.key.clone());
        let kept: Vec<String> = self.bases.iter().map(|seq| self.log.checkpoint_key(*seq)).collect();
        let caches = self.mending.problems.iter().map(|problem| problem.file.clone()).filter(|file| {
            file.starts_with(&format!("{}/", self.log.checkpoint_folder())) || *file == self.log.head_key()
        });
        entries.chain(caches.filter(|file| !kept.contains(file))).collect()
    }

    async fn bytes_of(&self, key: &str) -> Result<Bytes> {
        let copied = self.survey.bad.iter().find(|bad| bad.key == key && !bad.bytes.is_empty());
        match copied {
            Some(bad) => Ok(bad.bytes.clone()),
            None => self.log.backend().get(key).await?.ok_or_else(|| Error::Storage {
                doing: format!("read {key}"),
                why: "it has disappeared".to_owned(),
            }),
        }
    }

    /// Copies everything that will be replaced or removed.
    async fn keep_evidence(&self, placeholders: &BTreeMap<u64, (String, Bytes)>) -> Result<()> {
        let mut keys: BTreeSet<String> = self.survey.bad.iter().map(|bad| bad.key.clone()).collect();
        keys.extend(placeholders.keys().map(|seq| self.log.entry_key(*seq)));
        keys.extend(self.goes());
        for key in keys {
            let Some(bytes) = self.log.backend().get(&key).await? else { continue };
            let inside = key.strip_prefix(&format!("{}/", self.log.stack())).unwrap_or(&key);
            let copy = format!("{}/{inside}", self.mending.evidence);
            self.log.backend().put(&copy, bytes).await?;
        }
        Ok(())
    }

    async fn append(&self, state: &mut State, writer: Uuid, epoch: u64, events: Vec<Event>) -> Result<()> {
        let seq = state.seq + 1;
        let texts = texts(&events)?;
        let time = self.log.clock().now();
        let place = Place { stack: self.log.stack(), seq, prev: &state.hash, epoch, writer, time };
        let encoded = encode(place, events, &texts, &self.log.ring()).await?;
        match create(self.log.backend(), &self.log.entry_key(seq), &encoded.bytes).await? {
            Landed::Other(_) => Err(Error::Moved { seq }),
            Landed::Ours => {
                state.apply(encoded.entry);
                Ok(())
            }
        }
    }
}
