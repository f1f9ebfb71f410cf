//! Everything that lies in a stack's log, damaged or not, and which of it belongs together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::checkpoint;
use crate::entry::{KeyRing, decode, decode_header};
use crate::head::Head;
use crate::lines::Flaw;
use crate::log::key_seq;
use crate::{Base, Entry, Error, Event, Log, Result, State, WrappedKey};

/// How many objects are read at once.
const WIDTH: usize = 16;
/// How far beyond the last entry an unreadable object is still taken for one.
const STRAY: u64 = 1000;

/// A whole entry.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Where it lies.
    pub key: String,
    /// The hash of its bytes.
    pub object: String,
    pub entry: Entry,
}

/// What an object was meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Entry,
    Checkpoint,
    Head,
}

/// An object that is not what should lie there.
#[derive(Debug, Clone)]
pub(crate) struct Bad {
    pub kind: Kind,
    pub key: String,
    /// The position that its name says.
    pub seq: Option<u64>,
    pub what: String,
    pub bytes: Bytes,
    /// The whole entry that it is, of another position.
    pub holds: Option<Found>,
    pub newer: bool,
}

/// A checkpoint that can be read and lies in its place.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub key: String,
    pub object: String,
    pub state: State,
}

/// An object that our key does not open.
struct Sealed {
    kind: Kind,
    key: String,
    bytes: Bytes,
    /// The position and the hash of the entry that a checkpoint or a hint is of.
    at: Option<(u64, String)>,
    error: Error,
}

/// Everything that lies in a log.
pub(crate) struct Survey {
    /// Whole entries in their places that belong together.
    pub entries: BTreeMap<u64, Found>,
    pub checkpoints: BTreeMap<u64, Point>,
    pub head: Option<Head>,
    pub bad: Vec<Bad>,
    /// How many objects there are of each.
    pub counts: (u64, usize),
    pub ring: KeyRing,
}

impl Survey {
    pub async fn of(log: &Log) -> Result<Self> {
        let mut survey = Self {
            entries: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            head: None,
            bad: Vec::new(),
            counts: (0, 0),
            ring: log.ring(),
        };
        // First: they tell the key, should the entry that installed it be damaged.
        let mut sealed = survey.read_checkpoints(log).await?;
        sealed.extend(survey.read_head(log).await?);
        sealed.extend(survey.read_entries(log).await?);
        survey.settle_keys(sealed)?;
        survey.settle_conflicts();
        log.keep(survey.ring.clone());
        Ok(survey)
    }

    fn set_aside(&mut self, kind: Kind, key: &str, bytes: Bytes, flaw: &Flaw) {
        self.bad.push(Bad {
            kind,
            key: key.to_owned(),
            seq: key_seq(key).filter(|_| kind != Kind::Head),
            what: flaw.to_string(),
            bytes,
            holds: None,
            newer: matches!(flaw, Flaw::Newer(_)),
        });
    }

    /// Gives the checkpoints that our key does not open.
    async fn read_checkpoints(&mut self, log: &Log) -> Result<Vec<Sealed>> {
        let mut sealed = Vec::new();
        let keys = log.backend().list(&log.checkpoint_folder()).await?;
        self.counts.1 = keys.len();
        for key in keys {
            let Some(bytes) = log.backend().get(&key).await? else { continue };
            let read = match log.read_checkpoint(bytes.clone()).await {
                Err(error @ Error::Key { .. }) => {
                    let at = checkpoint::place(&bytes);
                    sealed.push(Sealed { kind: Kind::Checkpoint, key, bytes, at, error });
                    continue;
                }
                read => read?,
            };
            let flaw = match (read, checkpoint::object_hash(&bytes)) {
                (Ok(state), Ok(object)) if key_seq(&key) == Some(state.seq) => {
                    self.checkpoints.insert(state.seq, Point { key, object, state });
                    continue;
                }
                (Ok(state), _) => {
                    Flaw::Damage(format!("it is that of entry {}: it was copied or renamed", state.seq))
                }
                (Err(flaw), _) => flaw,
            };
            self.set_aside(Kind::Checkpoint, &key, bytes, &flaw);
        }
        self.ring = log.ring();
        Ok(sealed)
    }

    async fn read_head(&mut self, log: &Log) -> Result<Option<Sealed>> {
        let key = log.head_key();
        let Some(bytes) = log.backend().get(&key).await? else { return Ok(None) };
        match Head::decode(&bytes, log.stack()) {
            Ok(head) => {
                let unopened = head.key.as_ref().filter(|_| self.ring.data_key.is_none());
                if let Some(wrapped) = unopened
                    && let Err(error) = self.ring.install(wrapped).await
                {
                    let at = Some((head.seq, head.hash));
                    return Ok(Some(Sealed { kind: Kind::Head, key, bytes, at, error }));
                }
                self.head = Some(head);
            }
            Err(flaw) => self.set_aside(Kind::Head, &key, bytes, &flaw),
        }
        Ok(None)
    }

    /// Gives the entries that our key does not open.
    async fn read_entries(&mut self, log: &Log) -> Result<Vec<Sealed>> {
        let mut sealed = Vec::new();
        let keys = log.backend().list(&log.log_folder()).await?;
        let mut objects =
            stream::iter(keys).map(|key| async move { (log.backend().get(&key).await, key) }).buffered(WIDTH);
        while let Some((bytes, key)) = objects.next().await {
            let Some(bytes) = bytes? else { continue };
            self.counts.0 += 1;
            let read = match decode(bytes.clone(), &mut self.ring).await {
                Err(error @ Error::Key { .. }) => {
                    sealed.push(Sealed { kind: Kind::Entry, key, bytes, at: None, error });
                    continue;
                }
                read => read?,
            };
            let entry = match read {
                Ok(entry) => entry,
                Err(flaw) => {
                    self.set_aside(Kind::Entry, &key, bytes, &flaw);
                    continue;
                }
            };
            let object = checkpoint::object_hash(&bytes).unwrap_or_default();
            let flaw = if !entry.stack.is_empty() && entry.stack != log.stack() {
                Some(format!("it belongs to the stack `{}`", entry.stack))
            } else if key_seq(&key) != Some(entry.seq) {
                Some(format!("it holds entry {}: it was copied or renamed", entry.seq))
            } else {
                None
            };
            let foreign = !entry.stack.is_empty() && entry.stack != log.stack();
            let found = Found { key: key.clone(), object, entry };
            match flaw {
                None => drop(self.entries.insert(found.entry.seq, found)),
                Some(what) => {
                    self.set_aside(Kind::Entry, &key, bytes, &Flaw::Damage(what));
                    if let Some(bad) = self.bad.last_mut().filter(|_| !foreign) {
                        bad.holds = Some(found);
                    }
                }
            }
        }
        Ok(sealed)
    }

    /// An object whose key is not ours means a wrong key, unless it does not belong to this log at all.
    fn settle_keys(&mut self, sealed: Vec<Sealed>) -> Result<()> {
        for Sealed { kind, key, bytes, at, error } in sealed {
            if kind != Kind::Entry {
                let strays = at.as_ref().is_some_and(|(seq, hash)| {
                    self.entries.get(seq).is_some_and(|found| found.entry.hash != *hash)
                });
                if !strays {
                    return Err(error);
                }
                let flaw = Flaw::Damage("it is of another history, and another key sealed it".to_owned());
                self.set_aside(kind, &key, bytes, &flaw);
                continue;
            }
            let Ok((header, hash)) = decode_header(&bytes) else { return Err(error) };
            let before = header.seq.checked_sub(1).and_then(|seq| self.entries.get(&seq));
            let after = self.entries.get(&(header.seq + 1));
            let strays = before.is_some_and(|found| found.entry.hash != header.prev)
                || after.is_some_and(|found| found.entry.prev != hash)
                || key_seq(&key) != Some(header.seq);
            if !strays {
                return Err(error);
            }
            let flaw =
                Flaw::Damage("it does not follow the entry before it, and another key sealed it".to_owned());
            self.set_aside(Kind::Entry, &key, bytes, &flaw);
        }
        Ok(())
    }

    /// Sets aside whole entries that do not belong: where one does not follow the one before it, either it or that one
    /// was replaced. The side that a checkpoint or the hint at the end knows stays, else the longer one.
    fn settle_conflicts(&mut self) {
        loop {
            let mut runs: Vec<RangeInclusive<u64>> = Vec::new();
            for (&seq, found) in &self.entries {
                let follows = seq.checked_sub(1).and_then(|before| self.entries.get(&before));
                match runs.last_mut() {
                    Some(run) if follows.is_some_and(|before| before.entry.hash == found.entry.prev) => {
                        *run = *run.start()..=seq;
                    }
                    _ => runs.push(seq..=seq),
                }
            }
            let weight = |run: &RangeInclusive<u64>| {
                let known = |seq: u64, hash: &str| {
                    run.contains(&seq) && self.entries.get(&seq).is_some_and(|found| found.entry.hash == hash)
                };
                let points =
                    self.checkpoints.values().filter(|point| known(point.state.seq, &point.state.hash));
                let head = self.head.as_ref().is_some_and(|head| known(head.seq, &head.hash));
                (points.count() + usize::from(head), run.end() - run.start())
            };
            let conflict = runs.windows(2).find(|pair| *pair[0].end() + 1 == *pair[1].start());
            let Some([first, second]) = conflict else { return };
            let loser = if weight(first) < weight(second) { first } else { second };
            for seq in loser.clone() {
                if let Some(found) = self.entries.remove(&seq) {
                    self.bad.push(Bad {
                        kind: Kind::Entry,
                        key: found.key.clone(),
                        seq: Some(seq),
                        what: "it does not follow the entry before it: one of the two was replaced"
                            .to_owned(),
                        bytes: Bytes::new(),
                        holds: Some(found),
                        newer: false,
                    });
                }
            }
        }
    }

    /// The last position that certainly held an entry.
    pub fn top(&self) -> u64 {
        let entries = self.entries.keys().next_back().copied();
        let points = self.checkpoints.keys().next_back().copied();
        let head = self.head.as_ref().map(|head| head.seq);
        let known = entries.max(points).max(head).unwrap_or(0);
        // What cannot be read may have been one; what can, and belongs elsewhere, was copied there.
        let torn = self.bad.iter().filter(|bad| bad.kind == Kind::Entry && bad.holds.is_none());
        let torn = torn.filter_map(|bad| bad.seq).filter(|seq| *seq <= known + STRAY).max().unwrap_or(0);
        let mut top = known.max(torn);
        let places: BTreeSet<u64> =
            self.bad.iter().filter(|bad| bad.kind == Kind::Entry).filter_map(|bad| bad.seq).collect();
        while places.contains(&(top + 1)) {
            top += 1;
        }
        top
    }

    /// The checkpoints that entries vouch for, by position.
    pub fn bases(&self) -> BTreeMap<u64, Base> {
        let mut bases: BTreeMap<u64, Base> = BTreeMap::new();
        let mut first = 0;
        for event in self.entries.values().flat_map(|found| &found.entry.events) {
            match event {
                Event::Compacted { base, .. } => {
                    first = first.max(base.seq);
                    bases.insert(base.seq, base.clone());
                }
                Event::Repaired(repaired) => {
                    bases.extend(repaired.bases.iter().map(|base| (base.seq, base.clone())));
                }
                _ => {}
            }
        }
        bases.retain(|seq, _| *seq >= first);
        bases
    }

    /// Where the log begins: 1, or where it was compacted to.
    pub fn first(&self) -> u64 {
        let events = self.entries.values().flat_map(|found| &found.entry.events);
        let told = events.filter_map(|event| match event {
            Event::Compacted { base, .. } => Some(base.seq),
            _ => None,
        });
        let recalled = self.checkpoints.values().filter(|point| point.state.revisions_from > 0);
        let recalled = recalled.filter_map(|point| point.state.bases.first().map(|base| base.seq));
        told.chain(recalled).max().unwrap_or(1)
    }

    /// Placeholders, by position: the hash of the bytes that a repair vouched for.
    pub fn mended(&self) -> BTreeMap<u64, String> {
        let mut mended = BTreeMap::new();
        for event in self.entries.values().flat_map(|found| &found.entry.events) {
            if let Event::Repaired(repaired) = event {
                mended.extend(repaired.lost.iter().map(|lost| (lost.seq, lost.object.clone())));
            }
        }
        mended
    }

    /// Whether a checkpoint is that of the entry at its position, as far as its entry or the next one tell.
    pub fn anchored(&self, point: &Point) -> Option<bool> {
        let seq = point.state.seq;
        if let Some(found) = self.entries.get(&seq) {
            return Some(found.entry.hash == point.state.hash);
        }
        self.entries.get(&(seq + 1)).map(|next| next.entry.prev == point.state.hash)
    }

    /// The stack's wrapped data key, from wherever it is still known.
    pub fn key(&self) -> Option<WrappedKey> {
        let points = self.checkpoints.values().filter_map(|point| point.state.key.clone());
        points.chain(self.head.as_ref().and_then(|head| head.key.clone())).next()
    }

    /// Whether an entry stands where another was lost, and a repair that came to its end has put it there.
    pub fn is_mended(&self, seq: u64, mended: &BTreeMap<u64, String>) -> bool {
        self.entries.get(&seq).is_some_and(|found| mended.get(&seq) == Some(&found.object))
    }
}
