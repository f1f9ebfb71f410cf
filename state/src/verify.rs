//! Walks a whole log and says everything that is wrong with it.

use std::fmt;
use std::sync::Arc;

use futures::{StreamExt, stream};

use crate::entry::{KeyRing, decode};
use crate::lines::Flaw;
use crate::log::key_seq;
use crate::{Backend, Keys, Log, Result, State};

/// What a walk over a log found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many entries there are.
    pub entries: u64,
    /// How many checkpoints there are.
    pub checkpoints: usize,
    /// Everything that is wrong, in the log's order.
    pub problems: Vec<Problem>,
    /// State rebuilt from the entries alone, as far as they are whole.
    pub state: State,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The position, where there is one.
    pub seq: Option<u64>,
    /// The object's key.
    pub file: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "entry {seq} ({}): {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// How many objects are read at once.
const WIDTH: usize = 16;

/// Reads every entry, checks checksums and the chain of hashes, rebuilds state, and compares it with every checkpoint.
///
/// # Errors
/// When storage fails, or the key does not open the stack's data key. What is wrong with the log is in the report.
pub async fn verify(backend: Arc<dyn Backend>, stack: &str, keys: Keys) -> Result<Report> {
    let log = Log::unread(Arc::clone(&backend), stack, keys)?;
    let mut walk =
        Walk { ring: log.ring(), log: &log, report: Report::default(), broken: false, known: true };

    let checkpoints = backend.list(&log.checkpoint_folder()).await?;
    walk.report.checkpoints = checkpoints.len();
    let mut checkpoints: Vec<(Option<u64>, String)> =
        checkpoints.into_iter().map(|key| (key_seq(&key), key)).collect();
    let keys = backend.list(&log.log_folder()).await?;
    let mut bytes = stream::iter(keys)
        .map(|key| {
            let backend = Arc::clone(&backend);
            async move { (backend.get(&key).await, key) }
        })
        .buffered(WIDTH);
    while let Some((bytes, key)) = bytes.next().await {
        let Some(seq) = key_seq(&key) else {
            walk.problem(None, &key, "it is not an entry; remove it");
            continue;
        };
        let Some(bytes) = bytes? else { continue };
        walk.entry(seq, key, bytes).await?;
        while let Some(at) = checkpoints.iter().position(|(at, _)| *at == Some(seq)) {
            let (_, key) = checkpoints.remove(at);
            walk.checkpoint(seq, &key).await?;
        }
    }
    for (_, key) in checkpoints {
        walk.problem(None, &key, "this checkpoint belongs to no entry; remove it, or restore the entries");
    }
    Ok(walk.report)
}

struct Walk<'a> {
    log: &'a Log,
    ring: KeyRing,
    report: Report,
    /// The rebuilt state is not that of the log any more.
    broken: bool,
    /// The hash of the last entry is known.
    known: bool,
}

impl Walk<'_> {
    fn problem(&mut self, seq: Option<u64>, file: &str, what: impl Into<String>) {
        self.report.problems.push(Problem { seq, file: file.to_owned(), what: what.into() });
    }

    async fn entry(&mut self, seq: u64, key: String, bytes: bytes::Bytes) -> Result<()> {
        self.report.entries += 1;
        let expected = self.report.state.seq + 1;
        if seq > expected {
            for missing in (expected..seq).take(10) {
                self.problem(Some(missing), &self.log.entry_key(missing), "it is missing");
            }
            if seq - expected > 10 {
                self.problem(None, &key, format!("{} entries before it are missing", seq - expected));
            }
            (self.broken, self.known) = (true, false);
        }
        match decode(bytes, &mut self.ring).await? {
            Err(Flaw::Damage(what)) => {
                self.problem(Some(seq), &key, what);
                (self.broken, self.known) = (true, false);
            }
            Err(Flaw::Newer(version)) => {
                self.problem(Some(seq), &key, format!("it has the newer format version {version}"));
                (self.broken, self.known) = (true, false);
            }
            Ok(entry) => {
                if entry.seq != seq {
                    self.problem(
                        Some(seq),
                        &key,
                        format!("it holds entry {}: it was copied or renamed", entry.seq),
                    );
                    self.broken = true;
                } else if self.known && entry.prev != self.report.state.hash {
                    self.problem(
                        Some(seq),
                        &key,
                        "it does not follow the entry before it: one of the two was replaced",
                    );
                    self.broken = true;
                } else if entry.epoch < self.report.state.epoch {
                    self.problem(
                        Some(seq),
                        &key,
                        format!(
                            "it was appended under epoch {} after epoch {} had begun",
                            entry.epoch, self.report.state.epoch
                        ),
                    );
                }
                self.known = true;
                self.report.state.hash.clone_from(&entry.hash);
                if !self.broken {
                    self.report.state.apply(entry);
                }
            }
        }
        self.report.state.seq = seq;
        Ok(())
    }

    async fn checkpoint(&mut self, seq: u64, key: &str) -> Result<()> {
        let Some(bytes) = self.log.backend().get(key).await? else { return Ok(()) };
        match self.log.read_checkpoint(bytes).await {
            Ok(Ok(state)) if self.broken || state == self.report.state => {}
            Ok(Ok(state)) if state.seq != seq => {
                self.problem(None, key, format!("this checkpoint is that of entry {}; remove it", state.seq));
            }
            Ok(Ok(_)) => {
                self.problem(
                    None,
                    key,
                    "this checkpoint differs from the state that the log gives; remove it",
                );
            }
            Ok(Err(flaw)) => {
                self.problem(None, key, format!("this checkpoint cannot be read ({flaw:?}); remove it"))
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
