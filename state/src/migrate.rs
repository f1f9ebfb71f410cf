//! Moving a stack's log to other storage: copied object by object, verified, resumable; the old place says where it went.
//!
//! The order makes a kill at any point harmless: the source's lease is taken first, everything is copied with
//! create-if-absent and read back, the copy is verified, and only then an entry ends the source's log. What was appended
//! meanwhile (renewals of the lease, nothing else) is copied last. Another try goes on where the last one stopped.

use std::sync::Arc;
use std::time::Duration;

use crate::append::{Landed, create};
use crate::log::key_seq;
use crate::survey::Survey;
use crate::verify::report;
use crate::{Backend, Error, Event, Former, Holder, Keys, Log, Result, State, Writer};

/// Where from, where to.
pub struct Migration {
    /// The storage that holds the log.
    pub from: Arc<dyn Backend>,
    /// The storage that shall hold it.
    pub to: Arc<dyn Backend>,
    /// The URL of that, for the last entry of the old log.
    pub to_url: String,
    /// What opens the stack's data key, when it was wrapped with what is given here.
    pub keys: Keys,
    /// What opens it otherwise: each stack's log says what it needs.
    pub former: Former,
    /// Who moves it.
    pub holder: Holder,
    /// How long to wait for another run of the stack to end.
    pub lock_timeout: Duration,
}

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// Objects that were copied.
    pub copied: u64,
    /// Objects that were there already.
    pub present: u64,
    /// Entries of the log.
    pub entries: u64,
    /// Resources that are recorded.
    pub resources: usize,
}

const TTL: Duration = Duration::from_secs(60);

impl Migration {
    /// Moves one stack.
    ///
    /// # Errors
    /// When the source is damaged or went elsewhere, the target holds another history, another run holds the lease, or
    /// storage fails.
    pub async fn run(&self, stack: &str) -> Result<Moved> {
        let source = self.log(&self.from, stack)?;
        let state = self.whole(&source).await?;
        if state.seq == 0 {
            return Err(Error::Migration { why: format!("there is no stack `{stack}` in the source") });
        }
        let mut moved = Moved { resources: state.resources.len(), ..Moved::default() };
        self.fits(&source, &state).await?;
        let last = match &state.migrated {
            // An earlier try came that far.
            Some(to) if *to == self.to_url => state.seq,
            Some(to) => return Err(Error::Migrated { stack: stack.to_owned(), to: to.clone() }),
            None => self.end_source(&source, state, &mut moved).await?,
        };
        // The marker and what follows it belong to the old place alone.
        let marker = self.marker(&source, last).await?;
        self.copy(&source, Some(marker), &mut moved).await?;
        let target = self.log(&self.to, stack)?;
        let mut there = self.whole(&target).await?;
        moved.entries = there.seq;
        // The lease of this move was copied too; what was appended after it is a run's that goes on there already.
        if there.seq + 1 == marker {
            target.unlock(&mut there, self.holder.clone()).await?;
        }
        Ok(moved)
    }

    fn log(&self, backend: &Arc<dyn Backend>, stack: &str) -> Result<Log> {
        Ok(Log::unread(Arc::clone(backend), stack, self.keys.clone())?.or_formerly(self.former.clone()))
    }

    async fn end_source(&self, source: &Log, state: State, moved: &mut Moved) -> Result<u64> {
        let writer = source.acquire(state, self.holder.clone(), TTL, self.lock_timeout).await?;
        let ended = self.copy_and_end(source, &writer, moved).await;
        let released = writer.release().await;
        ended?;
        released?;
        Ok(writer.state().seq)
    }

    async fn copy_and_end(&self, source: &Log, writer: &Writer, moved: &mut Moved) -> Result<()> {
        self.copy(source, None, moved).await?;
        let target = self.log(&self.to, source.stack())?;
        let there = self.whole(&target).await?;
        let here = writer.state();
        let same = there.resources == here.resources
            && there.revisions == here.revisions
            && there.secrets == here.secrets;
        if !same {
            return Err(Error::Migration { why: "what was copied does not give the same state".to_owned() });
        }
        drop(here);
        writer.append(vec![Event::Migrated { to: self.to_url.clone() }]).await
    }

    /// The state of a log that must be whole.
    async fn whole(&self, log: &Log) -> Result<State> {
        let report = report(log, &Survey::of(log).await?);
        match report.problems.first() {
            None => Ok(report.state),
            Some(problem) => Err(Error::Migration {
                why: format!("the log is damaged: {problem}; run `plinth state repair` first"),
            }),
        }
    }

    /// Refuses a target whose entries are not the beginning of the source's.
    async fn fits(&self, source: &Log, state: &State) -> Result<()> {
        let end = match state.migrated {
            Some(_) => self.marker(source, state.seq).await?,
            None => state.seq + 1,
        };
        for key in self.to.list(&source.log_folder()).await? {
            let Some(seq) = key_seq(&key) else { continue };
            let there = self.to.get(&key).await?;
            let here = self.from.get(&key).await?;
            let ours = if seq < end { here.is_some() && here == there } else { state.migrated.is_some() };
            if !ours {
                return Err(Error::Migration {
                    why: format!(
                        "the target holds another history of stack `{}`: its entry {seq} differs",
                        source.stack()
                    ),
                });
            }
        }
        Ok(())
    }

    /// The position of the entry that ended the source's log.
    async fn marker(&self, source: &Log, last: u64) -> Result<u64> {
        for seq in (1..=last).rev() {
            let entry = source.entry(seq).await?;
            let ends = |event: &Event| matches!(event, Event::Migrated { .. });
            if entry.is_some_and(|entry| entry.events.iter().any(ends)) {
                return Ok(seq);
            }
        }
        Err(Error::Migration { why: "the source's log has no end".to_owned() })
    }

    /// Copies everything up to, not including, a position.
    async fn copy(&self, source: &Log, end: Option<u64>, moved: &mut Moved) -> Result<()> {
        let folders =
            [source.log_folder(), source.checkpoint_folder(), format!("{}/damaged", source.stack())];
        for folder in folders {
            for key in self.from.list(&folder).await? {
                if end.is_some_and(|end| key_seq(&key).is_some_and(|seq| seq >= end)) {
                    continue;
                }
                // A checkpoint that is a cache may go meanwhile.
                let Some(bytes) = self.from.get(&key).await? else { continue };
                if self.to.get(&key).await?.as_ref() == Some(&bytes) {
                    moved.present += 1;
                    continue;
                }
                if let Landed::Other(_) = create(&*self.to, &key, &bytes).await? {
                    return Err(Error::Migration { why: format!("the target holds another {key}") });
                }
                if self.to.get(&key).await?.as_ref() != Some(&bytes) {
                    return Err(Error::Migration {
                        why: format!("{key} does not read back as it was written"),
                    });
                }
                moved.copied += 1;
            }
        }
        Ok(())
    }
}

/// The stacks that have a log in a storage.
///
/// # Errors
/// When storage fails.
pub async fn stacks(backend: &dyn Backend) -> Result<Vec<String>> {
    let keys = backend.list("").await?;
    let mut stacks: Vec<String> = keys
        .iter()
        .filter_map(|key| key.split_once("/log/"))
        .filter(|(stack, _)| !stack.contains('/') && !stack.starts_with('_'))
        .map(|(stack, _)| stack.to_owned())
        .collect();
    stacks.dedup();
    Ok(stacks)
}
