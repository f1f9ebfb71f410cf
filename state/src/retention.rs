//! How much of the history is kept, and giving up the rest of it.
//!
//! What state rests on is never removed: first a checkpoint is written, read back and compared with what the log gives;
//! then an entry vouches for it; only then the entries before it go. A crash in between leaves entries that nobody needs,
//! which the next compaction removes.

use std::sync::Arc;

use crate::entry::blocking;
use crate::log::key_seq;
use crate::{Base, Error, Event, Log, Result, State, checkpoint};

/// How much of the history is kept. A revision is kept as long as either rule keeps it; without rules, all are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// This many of the newest revisions.
    pub revisions: Option<u64>,
    /// Those of the last so many days.
    pub days: Option<u64>,
}

impl Retention {
    /// The oldest revision that is kept, when it pays to remove what is before it.
    pub(crate) fn first_kept(self, state: &State, now: jiff::Timestamp) -> Option<(u64, u64)> {
        if self.revisions.is_none() && self.days.is_none() {
            return None;
        }
        let reachable = state.revisions.iter().filter(|revision| revision.number >= state.revisions_from);
        let reachable: Vec<_> = reachable.collect();
        let newest = usize::try_from(self.revisions.unwrap_or(0)).unwrap_or(usize::MAX).max(1);
        let by_number = reachable.len().saturating_sub(newest);
        let days = i64::try_from(self.days.unwrap_or(0)).unwrap_or(i64::MAX).min(100_000);
        let since = now - jiff::SignedDuration::from_hours(days * 24);
        let by_age = reachable.iter().position(|revision| revision.started >= since);
        let first = by_number.min(by_age.unwrap_or(by_number));
        // Each compaction costs a checkpoint: it should be worth that.
        if first <= (reachable.len() - first) / 10 {
            return None;
        }
        let kept = reachable.get(first)?;
        let base = kept.seq.checked_sub(1).filter(|seq| *seq > 0)?;
        let begins = state.bases.first().map_or(0, |base| base.seq);
        (base > begins).then_some((base, kept.number))
    }
}

impl Log {
    /// Prepares the removal of what need not be kept: gives the event that vouches for it, if there is anything.
    pub(crate) async fn compaction(&self, state: &State, now: jiff::Timestamp) -> Result<Option<Event>> {
        let Some((seq, revisions_from)) = self.retention().first_kept(state, now) else { return Ok(None) };
        let Some(then) = self.state_at(seq).await? else { return Ok(None) };
        let base = self.write_base(Arc::new(then)).await?;
        Ok(Some(Event::Compacted { base, revisions_from }))
    }

    /// Writes a checkpoint that state shall rest on, and proves that it can be read.
    pub(crate) async fn write_base(&self, state: Arc<State>) -> Result<Base> {
        let (stack, keys, given) = (self.stack().to_owned(), self.data_keys(), Arc::clone(&state));
        let bytes = blocking(move || checkpoint::encode(&stack, &given, &keys)).await?;
        let file = self.checkpoint_key(state.seq);
        self.backend().put(&file, bytes).await?;
        let unfit = |what: String| Error::Base { seq: state.seq, file: file.clone(), what };
        let bytes = self.backend().get(&file).await?.ok_or_else(|| unfit("it is gone".to_owned()))?;
        let object = checkpoint::object_hash(&bytes).map_err(|flaw| unfit(flaw.to_string()))?;
        let read = self
            .read_checkpoint(bytes, checkpoint::Extent::Whole)
            .await?
            .map_err(|flaw| unfit(flaw.to_string()))?;
        if read != *state {
            return Err(unfit("it does not give the state that it was made from".to_owned()));
        }
        Ok(Base { seq: state.seq, hash: state.hash.clone(), object })
    }

    /// Removes what is before the first base. The entry at it stays, to tell whose checkpoint it is.
    pub(crate) async fn remove_compacted(&self, state: &State) -> Result<()> {
        let Some(base) = state.bases.first().filter(|_| state.revisions_from > 0) else { return Ok(()) };
        let stored = self.backend().get(&self.checkpoint_key(base.seq)).await?;
        if stored.and_then(|bytes| checkpoint::object_hash(&bytes).ok()).as_ref() != Some(&base.object) {
            let (seq, file) = (base.seq, self.checkpoint_key(base.seq));
            return Err(Error::Base { seq, file, what: "it is not what was written".to_owned() });
        }
        for folder in [self.log_folder(), self.checkpoint_folder()] {
            let keys = self.backend().list(&folder).await?;
            for key in keys.iter().filter(|key| key_seq(key).is_some_and(|seq| seq < base.seq)) {
                self.backend().delete(key).await?;
            }
        }
        Ok(())
    }
}
