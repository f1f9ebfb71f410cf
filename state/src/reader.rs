//! Reads entries in order, many at a time, until the log's end.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::future::try_join_all;

use crate::{Error, Log, Result};

/// How many entries are asked for at once where they are known to be: at first, and at most.
const WINDOW: (u64, u64) = (16, 128);

/// Reads entries in order.
pub(crate) struct Reader<'a> {
    log: &'a Log,
    next: u64,
    /// Up to here every entry has to be there.
    listed: u64,
    ahead: VecDeque<Bytes>,
    width: u64,
    ended: bool,
}

impl<'a> Reader<'a> {
    /// Reads from a position on. Entries up to `listed` must exist; whether there are more is found by asking.
    pub fn new(log: &'a Log, from: u64, listed: u64) -> Self {
        let width = if from <= listed { WINDOW.0 } else { 1 };
        Self { log, next: from, listed, ahead: VecDeque::new(), width, ended: false }
    }

    /// The next entry's position and bytes.
    pub async fn next(&mut self) -> Result<Option<(u64, Bytes)>> {
        if self.ahead.is_empty() && !self.ended {
            self.fill().await?;
        }
        Ok(self.ahead.pop_front().map(|bytes| {
            self.next += 1;
            (self.next - 1, bytes)
        }))
    }

    async fn fill(&mut self) -> Result<()> {
        let known = (self.listed + 1).saturating_sub(self.next);
        let count = if known > 0 { known.min(self.width) } else { self.width };
        let log = self.log;
        let get = |seq| async move { log.backend().get(&log.entry_key(seq)).await };
        let mut found = try_join_all((self.next..self.next.saturating_add(count)).map(get)).await?;
        let at = found.iter().position(Option::is_none).unwrap_or(found.len());
        // The end may have moved on while we were reading: what is after the first gap is read again in its turn.
        let gap = at < found.len();
        if gap && known > 0 {
            let (seq, file) = (self.next + at as u64, self.log.entry_key(self.next + at as u64));
            return Err(Error::Missing { seq, file, what: "entries after it exist".to_owned() });
        }
        self.ended = gap;
        found.truncate(at);
        self.ahead.extend(found.into_iter().flatten());
        // Beyond what is known there is seldom much; one more is asked for, then some more.
        self.width = (self.width * 2).min(WINDOW.1);
        if self.next + self.ahead.len() as u64 > self.listed && known > 0 {
            self.width = 1;
        }
        Ok(())
    }
}
