//! Whether a log could have been written by one writer after the other, and whether what the writers did to the systems
//! fits it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use plinth_state::{Entry, Event, Keys, Log};
use uuid::Uuid;

use super::audit::{Audit, Point};
use crate::place::Place;

/// Between a decision and the audit's line about it lies a little work of a busy machine.
const SLACK: Duration = Duration::from_millis(250);

/// Every entry of a log.
pub fn entries(place: &Place, url: &str, stack: &str) -> Result<Vec<Entry>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let said = |error: plinth_state::Error| error.to_string();
        let backend = place.open(url)?;
        let keys = Keys::Identity("/nonexistent/identity".into());
        let (log, state) = Log::open(Arc::clone(&backend), stack, keys).await.map_err(said)?;
        let mut entries = Vec::new();
        for seq in 1..=state.seq {
            entries.push(log.entry(seq).await.map_err(said)?.ok_or(format!("entry {seq} is missing"))?);
        }
        Ok(entries)
    })
}

/// What the log says about a call.
struct Promise {
    seq: u64,
    epoch: u64,
}

/// A log, read for what must hold of it.
#[derive(Default)]
pub struct History {
    /// The epoch in force; none while nobody holds the lease.
    held: Option<u64>,
    newest: u64,
    writers: HashMap<Uuid, u64>,
    pids: HashMap<u64, u64>,
    pending: BTreeMap<u64, String>,
    ops: HashSet<u64>,
    promises: HashMap<String, Promise>,
    /// By epoch: the entries that confirm its lease.
    confirmed: HashMap<u64, Vec<u64>>,
    /// By epoch: the entry that ended it while it was held.
    fenced: HashMap<u64, u64>,
    owners: HashMap<u64, u64>,
    pub takeovers: u64,
    pub late: u64,
    pub wrong: Vec<String>,
}

impl History {
    pub fn read(entries: &[Entry]) -> Self {
        let mut history = Self::default();
        let mut before: Option<&Entry> = None;
        for (at, entry) in entries.iter().enumerate() {
            if entry.seq != at as u64 + 1 {
                history.wrong.push(format!("position {} holds entry {}", at + 1, entry.seq));
            }
            let prev = before.map(|entry| entry.hash.as_str()).unwrap_or_default();
            if entry.prev != prev {
                history.wrong.push(format!("entry {} does not follow the one before it", entry.seq));
            }
            history.entry(entry);
            before = Some(entry);
        }
        history
    }

    fn must(&mut self, holds: bool, what: impl Fn() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    fn entry(&mut self, entry: &Entry) {
        let seq = entry.seq;
        self.owners.insert(seq, entry.epoch);
        let epoch_of_writer = *self.writers.entry(entry.writer).or_insert(entry.epoch);
        if epoch_of_writer != entry.epoch {
            self.wrong.push(format!("entry {seq}: its writer had epoch {epoch_of_writer} before"));
        }
        for event in &entry.events {
            match event {
                Event::LeaseAcquired { epoch, .. } | Event::LeaseBroken { epoch, .. } => {
                    if *epoch != self.newest + 1 || *epoch != entry.epoch {
                        self.wrong.push(format!("entry {seq}: epoch {epoch} follows {}", self.newest));
                    }
                    if let Some(ended) = self.held.replace(*epoch) {
                        self.takeovers += 1;
                        self.fenced.insert(ended, seq);
                    }
                    self.newest = *epoch;
                    if let Event::LeaseAcquired { holder, .. } = event {
                        self.pids.insert(*epoch, u64::from(holder.pid));
                    }
                    self.confirmed.entry(*epoch).or_default().push(seq);
                    continue;
                }
                _ if self.held != Some(entry.epoch) => {
                    self.wrong.push(format!(
                        "entry {seq}: a step under epoch {} while {:?} is in force",
                        entry.epoch, self.held
                    ));
                }
                Event::LeaseRenewed { .. } => self.confirmed.entry(entry.epoch).or_default().push(seq),
                Event::LeaseReleased => self.held = None,
                Event::Intent(intent) => {
                    if !self.ops.insert(intent.op) {
                        self.wrong.push(format!("entry {seq}: operation {} a second time", intent.op));
                    }
                    let urn = intent.urn.to_string();
                    if self.pending.values().any(|busy| *busy == urn) {
                        self.wrong.push(format!("entry {seq}: {urn} while an operation on it is open"));
                    }
                    self.pending.insert(intent.op, urn);
                    self.promises.insert(intent.token.clone(), Promise { seq, epoch: entry.epoch });
                }
                Event::Outcome { op, .. } => {
                    let open = self.pending.remove(op).is_some();
                    self.must(open, || format!("entry {seq}: an outcome of {op}, which is not open"));
                }
                Event::Started { op, .. } if !self.pending.contains_key(op) => {
                    self.wrong.push(format!("entry {seq}: a handle of {op}, which is not open"));
                }
                _ => {}
            }
        }
    }

    /// Compares with what the processes were seen to do.
    pub fn compare(&mut self, audit: &Audit, ttl: Duration) {
        let slack = SLACK.as_nanos() as u64;
        let mut began: HashMap<(u64, u64), u64> = HashMap::new();
        let mut ended: HashMap<(u64, u64), &Point> = HashMap::new();
        for point in &audit.points {
            let Some((when, seq)) = append(&point.name) else { continue };
            match when {
                "before" => _ = began.entry((point.pid, seq)).or_insert(point.at),
                _ => _ = ended.entry((point.pid, seq)).or_insert(point),
            }
        }
        // When a process was told that another has written where it wanted to.
        let mut knows: HashMap<u64, u64> = HashMap::new();
        for ((pid, seq), point) in &ended {
            let owner = self.owners.get(seq).and_then(|epoch| self.pids.get(epoch));
            if point.came == "exists" && owner.is_some_and(|owner| owner != pid) && began.len() > 1 {
                // Before it had a lease of its own it may lose as often as it likes.
                let held = self.pids.iter().any(|(epoch, of)| of == pid && self.owners[seq] > *epoch);
                if held {
                    let at = knows.entry(*pid).or_insert(point.at);
                    *at = (*at).min(point.at);
                }
            }
        }
        for call in audit.points.iter().filter(|point| is_change(&point.name)) {
            let Some(promise) = self.promises.get(&call.token) else {
                self.wrong.push(format!("process {}: {} without an intent", call.pid, call.name));
                continue;
            };
            match ended.get(&(call.pid, promise.seq)) {
                Some(landed) if landed.at <= call.at => {}
                _ => self.wrong.push(format!(
                    "process {}: {} before its intent {} was known to be durable",
                    call.pid, call.name, promise.seq
                )),
            }
            if knows.get(&call.pid).is_some_and(|known| call.at > known + slack) {
                self.wrong.push(format!("process {}: {} after it knew of its fence", call.pid, call.name));
            }
            let fence = self.fenced.get(&promise.epoch).and_then(|seq| {
                ended
                    .iter()
                    .find(|((_, of), point)| of == seq && point.came == "created")
                    .map(|(_, point)| point.at)
            });
            if fence.is_none_or(|fence| call.at <= fence) {
                continue;
            }
            self.late += 1;
            let confirmed = self.confirmed.get(&promise.epoch).into_iter().flatten();
            let last =
                confirmed.filter_map(|seq| began.get(&(call.pid, *seq))).filter(|at| **at <= call.at).max();
            let since = last.map_or(Duration::MAX, |at| Duration::from_nanos(call.at - at));
            if since > ttl + SLACK {
                self.wrong.push(format!(
                    "process {}: {} after its fence, {since:?} after its lease was last confirmed",
                    call.pid, call.name
                ));
            }
        }
    }
}

/// `before append to log 17 #2` as (`before`, 17).
fn append(point: &str) -> Option<(&str, u64)> {
    let (when, what) = point.split_once(' ')?;
    let seq = what.strip_prefix("append to log ")?.split(' ').next()?.parse().ok()?;
    Some((when, seq))
}

fn is_change(point: &str) -> bool {
    ["before create ", "before update ", "before delete "].iter().any(|call| point.starts_with(call))
}
