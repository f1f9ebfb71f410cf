//! Everything that lies in a stack's log, damaged or not, and which of it belongs together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use crate::checkpoint::{self, Extent, Whole};
use crate::entry::{blocking, decode, decode_header, key_of};
use crate::head::Head;
use crate::lines::Flaw;
use crate::log::key_seq;
use crate::ring::KeyRing;
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

/// The objects of a log, read and not looked at.
struct Objects {
    checkpoints: Vec<(String, Bytes)>,
    head: Option<(String, Bytes)>,
    entries: Vec<(String, Bytes)>,
}

impl Objects {
    async fn of(log: &Log) -> Result<Self> {
        let checkpoints = Self::under(log, &log.checkpoint_folder()).await?;
        let head = log.head_key();
        let head = log.backend().get(&head).await?.map(|bytes| (head, bytes));
        let entries = Self::under(log, &log.log_folder()).await?;
        Ok(Self { checkpoints, head, entries })
    }

    async fn under(log: &Log, folder: &str) -> Result<Vec<(String, Bytes)>> {
        let keys = log.backend().list(folder).await?;
        let get = |key: String| async move { Ok(log.backend().get(&key).await?.map(|bytes| (key, bytes))) };
        let objects = stream::iter(keys).map(get).buffered(WIDTH);
        objects.try_filter_map(|object| async move { Ok(object) }).try_collect().await
    }
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
        let objects = Objects::of(log).await?;
        survey.counts = (objects.entries.len() as u64, objects.checkpoints.len());
        survey.open_keys(log, &objects).await;
        let mut sealed = survey.read_checkpoints(log, objects.checkpoints).await?;
        sealed.extend(survey.read_head(log, objects.head).await);
        sealed.extend(survey.read_entries(log, objects.entries).await?);
        survey.settle_keys(sealed)?;
        survey.settle_conflicts();
        if let Some(id) = survey.key().and_then(|key| key.id) {
            survey.ring.data = survey.ring.data.led_by(&id);
        }
        log.keep(&survey.ring);
        Ok(survey)
    }

    /// Opens the data keys before anything that they sealed is read: the newest opens the earlier ones, and what seals
    /// an object may be told by any other, should the entry that installed it be damaged. What does not open is met
    /// again where it stands.
    async fn open_keys(&mut self, log: &Log, objects: &Objects) {
        let mut found: Vec<(u64, WrappedKey)> = Vec::new();
        for (_, bytes) in &objects.checkpoints {
            if let Ok(whole) = Whole::new(bytes.clone()) {
                found.extend(whole.key().map(|key| (whole.seq(), key.clone())));
            }
        }
        let head = objects.head.as_ref().and_then(|(_, bytes)| Head::decode(bytes, log.stack()).ok());
        found.extend(head.and_then(|head| Some((head.seq, head.key?))));
        for (key, bytes) in &objects.entries {
            // One of another stack was copied here, and its key is none of ours.
            if let (Some(seq), Some(wrapped), Ok((header, _))) =
                (key_seq(key), key_of(bytes), decode_header(bytes))
                && (header.stack.is_empty() || header.stack == log.stack())
            {
                found.push((seq, wrapped));
            }
        }
        found.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
        for (_, key) in found {
            if !self.ring.covers(&key)
                && let Ok(opened) = self.ring.open(&key).await
            {
                let known = std::mem::take(&mut self.ring.data);
                self.ring.data = if known.is_empty() { opened } else { known.with_older(&opened) };
            }
        }
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
    async fn read_checkpoints(&mut self, log: &Log, objects: Vec<(String, Bytes)>) -> Result<Vec<Sealed>> {
        let mut sealed = Vec::new();
        for (key, bytes) in objects {
            let whole = match Whole::new(bytes.clone()) {
                Ok(whole) => whole,
                Err(flaw) => {
                    self.set_aside(Kind::Checkpoint, &key, bytes, &flaw);
                    continue;
                }
            };
            if let Some(wrapped) = whole.key().filter(|wrapped| !self.ring.covers(wrapped))
                && let Err(error) = self.ring.open(wrapped).await
            {
                let at = Some(whole.place());
                sealed.push(Sealed { kind: Kind::Checkpoint, key, bytes, at, error });
                continue;
            }
            let (stack, data) = (log.stack().to_owned(), self.ring.data.clone());
            let object = whole.object_hash().to_owned();
            let flaw = match blocking(move || Ok(whole.state(&stack, &data, Extent::Whole))).await? {
                Ok(state) if key_seq(&key) == Some(state.seq) => {
                    self.checkpoints.insert(state.seq, Point { key, object, state });
                    continue;
                }
                Ok(state) => {
                    Flaw::Damage(format!("it is that of entry {}: it was copied or renamed", state.seq))
                }
                Err(flaw) => flaw,
            };
            self.set_aside(Kind::Checkpoint, &key, bytes, &flaw);
        }
        Ok(sealed)
    }

    async fn read_head(&mut self, log: &Log, object: Option<(String, Bytes)>) -> Option<Sealed> {
        let (key, bytes) = object?;
        match Head::decode(&bytes, log.stack()) {
            Ok(head) => {
                if let Some(wrapped) = head.key.as_ref().filter(|wrapped| !self.ring.covers(wrapped))
                    && let Err(error) = self.ring.open(wrapped).await
                {
                    let at = Some((head.seq, head.hash));
                    return Some(Sealed { kind: Kind::Head, key, bytes, at, error });
                }
                self.head = Some(head);
            }
            Err(flaw) => self.set_aside(Kind::Head, &key, bytes, &flaw),
        }
        None
    }

    /// Gives the entries that our key does not open.
    async fn read_entries(&mut self, log: &Log, objects: Vec<(String, Bytes)>) -> Result<Vec<Sealed>> {
        let mut sealed = Vec::new();
        for (key, bytes) in objects {
            let foreign = |entry: &Entry| !entry.stack.is_empty() && entry.stack != log.stack();
            // A key that is told by an object of another stack opens nothing here.
            let mut ring = self.ring.clone();
            let read = match decode(&bytes, &mut ring).await {
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
            let foreign = foreign(&entry);
            let flaw = if foreign {
                Some(format!("it belongs to the stack `{}`", entry.stack))
            } else if key_seq(&key) != Some(entry.seq) {
                Some(format!("it holds entry {}: it was copied or renamed", entry.seq))
            } else {
                None
            };
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

    /// The stack's newest wrapped data key, from wherever it is still known.
    pub fn key(&self) -> Option<WrappedKey> {
        let installed = self.entries.values().filter_map(|found| {
            let key = found.entry.events.iter().rev().find_map(|event| match event {
                Event::KeyInstalled { key } => Some(key),
                _ => None,
            });
            Some((found.entry.seq, key?))
        });
        let points = self.checkpoints.values().filter(|point| self.anchored(point) != Some(false));
        let points = points.filter_map(|point| Some((point.state.seq, point.state.key.as_ref()?)));
        let head = self.head.as_ref().and_then(|head| Some((head.seq, head.key.as_ref()?)));
        let newest = installed.chain(points).chain(head).max_by_key(|(seq, _)| *seq);
        newest.map(|(_, key)| key.clone())
    }

    /// Whether an entry stands where another was lost, and a repair that came to its end has put it there.
    pub fn is_mended(&self, seq: u64, mended: &BTreeMap<u64, String>) -> bool {
        self.entries.get(&seq).is_some_and(|found| mended.get(&seq) == Some(&found.object))
    }
}
