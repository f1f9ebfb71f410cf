//! Walks a whole log and says everything that is wrong with it.

use std::fmt;
use std::sync::Arc;

use crate::survey::{Kind, Survey};
use crate::{Backend, Keys, Log, Result, State};

/// What a walk over a log found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many entries there are.
    pub entries: u64,
    /// How many checkpoints there are.
    pub checkpoints: usize,
    /// Where the log begins: 1, unless it was compacted.
    pub first: u64,
    /// Everything that is wrong, in the log's order.
    pub problems: Vec<Problem>,
    /// State rebuilt from the entries, as far as they are whole.
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
    /// What to do about it.
    pub todo: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "entry {seq} ({}): {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

const RESTORE: &str =
    "restore it from a backup or an older version of the object, or run `plinth state repair`";
const REPAIR: &str = "run `plinth state repair`";
const CACHE: &str = "it is only a cache: `plinth state repair` sets it aside";
const UPGRADE: &str = "use the Plinth that wrote it, or a newer one";

/// Reads every object, checks checksums and the chain of hashes, rebuilds state, and compares it with every checkpoint.
///
/// # Errors
/// When storage fails, or the key does not open the stack's data key. What is wrong with the log is in the report.
pub async fn verify(backend: Arc<dyn Backend>, stack: &str, keys: Keys) -> Result<Report> {
    let log = Log::unread(backend, stack, keys)?;
    Ok(report(&log, &Survey::of(&log).await?))
}

/// What a survey says about a log.
pub(crate) fn report(log: &Log, survey: &Survey) -> Report {
    let (entries, checkpoints) = survey.counts;
    let first = survey.first();
    let report = Report { entries, checkpoints, first, ..Report::default() };
    let mut walk = Walk { log, survey, report, broken: false };
    walk.objects();
    walk.missing();
    walk.entries();
    walk.bases();
    walk.head();
    walk.report.problems.sort_by_key(|problem| (problem.seq.is_none(), problem.seq));
    walk.report
}

struct Walk<'a> {
    log: &'a Log,
    survey: &'a Survey,
    report: Report,
    /// The rebuilt state is not that of the log any more.
    broken: bool,
}

impl Walk<'_> {
    fn problem(&mut self, seq: Option<u64>, file: &str, what: impl Into<String>, todo: &'static str) {
        self.report.problems.push(Problem { seq, file: file.to_owned(), what: what.into(), todo });
    }

    /// Objects that are not what should lie there.
    fn objects(&mut self) {
        let bases = self.survey.bases();
        for bad in &self.survey.bad {
            let todo = match bad.kind {
                _ if bad.newer => UPGRADE,
                Kind::Entry if bad.seq.is_some() => RESTORE,
                Kind::Checkpoint if bad.seq.is_some_and(|seq| bases.contains_key(&seq)) => RESTORE,
                _ => CACHE,
            };
            match (bad.kind, bad.seq) {
                (Kind::Entry, Some(seq)) => self.problem(Some(seq), &bad.key, &bad.what, todo),
                (Kind::Entry, None) => {
                    self.problem(None, &bad.key, "it is not an entry by its name", REPAIR);
                }
                (Kind::Checkpoint, _) => {
                    let what = format!("this checkpoint cannot be used: {}", bad.what);
                    self.problem(None, &bad.key, what, todo);
                }
                (Kind::Head, _) => {
                    let what = format!("this hint at the log's end cannot be used: {}", bad.what);
                    self.problem(None, &bad.key, what, CACHE);
                }
            }
        }
    }

    fn missing(&mut self) {
        let mut from = self.report.first;
        let top = self.survey.top();
        let known: Vec<u64> = {
            let bad = self.survey.bad.iter().filter(|bad| bad.kind == Kind::Entry).filter_map(|bad| bad.seq);
            let mut known: Vec<u64> = self.survey.entries.keys().copied().chain(bad).collect();
            known.sort_unstable();
            known.dedup();
            known.retain(|seq| *seq >= from);
            known
        };
        for seq in known.into_iter().filter(|seq| *seq <= top).chain([top + 1]) {
            if seq > from {
                let why = if seq > top {
                    "a checkpoint or the hint at the log's end tells of it"
                } else {
                    "entries after it exist"
                };
                let what = match seq - from {
                    1 => format!("it is missing: {why}"),
                    count => format!("it and the {} after it are missing: {why}", count - 1),
                };
                self.problem(Some(from), &self.log.entry_key(from), what, RESTORE);
            }
            from = seq + 1;
        }
    }

    /// Rebuilds state and compares it with every checkpoint.
    fn entries(&mut self) {
        let survey = self.survey;
        let mended = survey.mended();
        let mut seq = self.report.first;
        if seq > 1 {
            match survey.checkpoints.get(&seq) {
                // It is compared with what vouches for it.
                Some(point) => self.report.state = point.state.clone(),
                None => self.broken = true,
            }
        }
        let top = survey.top();
        while seq <= top {
            let begins = seq == self.report.first && seq > 1;
            match survey.entries.get(&seq) {
                None => self.broken = true,
                Some(_) if begins => {}
                Some(found) => {
                    if let Some(resume) = found.entry.resume() {
                        if !survey.is_mended(seq, &mended) {
                            let what = "it stands in the place of a lost entry, and the repair did not come to its end";
                            self.problem(Some(seq), &found.key, what, "run `plinth state repair` again");
                        }
                        match survey.checkpoints.get(&resume) {
                            Some(point) => {
                                self.report.state = point.state.clone();
                                self.broken = false;
                                self.checkpoint(resume);
                            }
                            None => self.broken = true,
                        }
                        seq = resume.max(seq) + 1;
                        continue;
                    }
                    if found.entry.epoch < self.report.state.epoch && !self.broken {
                        let what = format!(
                            "it was appended under epoch {} after epoch {} had begun",
                            found.entry.epoch, self.report.state.epoch
                        );
                        self.problem(Some(seq), &found.key, what, REPAIR);
                    }
                    if !self.broken {
                        self.report.state.apply(found.entry.clone());
                    }
                }
            }
            self.checkpoint(seq);
            seq += 1;
        }
        for (seq, point) in &survey.checkpoints {
            if *seq < self.report.first {
                let what = "this checkpoint is older than the beginning of the log";
                self.problem(None, &point.key, what, CACHE);
            }
        }
    }

    fn checkpoint(&mut self, seq: u64) {
        let survey = self.survey;
        let Some(point) = survey.checkpoints.get(&seq) else { return };
        match survey.anchored(point) {
            Some(false) => {
                let what =
                    "this checkpoint is not that of the entry at its position: one of the two was replaced";
                self.problem(None, &point.key, what, REPAIR);
            }
            // Where entries are missing before it, it is what state goes on with.
            _ if self.broken => {
                self.report.state = point.state.clone();
                self.broken = false;
            }
            _ if !point.state.tells_the_same(&self.report.state) => {
                let what = "this checkpoint differs from the state that the log gives";
                self.problem(None, &point.key, what, REPAIR);
            }
            _ => {}
        }
    }

    /// What state rests on must be what was vouched for.
    fn bases(&mut self) {
        for base in self.survey.bases().into_values() {
            let key = self.log.checkpoint_key(base.seq);
            match self.survey.checkpoints.get(&base.seq) {
                Some(point) if point.object == base.object && point.state.hash == base.hash => {}
                Some(_) => {
                    let what = "the log rests on this checkpoint, and it is not the one that was vouched for";
                    self.problem(None, &key, what, RESTORE);
                }
                // One that lies there and cannot be read is told already.
                None if self.survey.bad.iter().any(|bad| bad.key == key) => {}
                None => {
                    self.problem(None, &key, "the log rests on this checkpoint, and it is missing", RESTORE)
                }
            }
        }
    }

    fn head(&mut self) {
        let Some(head) = &self.survey.head else { return };
        let differs = self.survey.entries.get(&head.seq).is_some_and(|found| found.entry.hash != head.hash);
        if differs {
            let what = format!("it tells of another entry {} than the one that is there", head.seq);
            self.problem(None, &self.log.head_key(), what, REPAIR);
        }
    }
}
