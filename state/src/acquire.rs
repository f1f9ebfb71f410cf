//! Taking the lease, and ending another run's.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::checkpoint::Extent;
use crate::{Error, Event, Holder, Lease, Log, Result, State, Writer};

/// How often a held lease is looked at again.
const POLL: Duration = Duration::from_millis(250);

/// How a lease is asked for.
pub struct Ask<'a> {
    /// Who asks.
    pub holder: Holder,
    /// How long the lease shall last without renewal.
    pub ttl: Duration,
    /// How long to wait for a run that holds it.
    pub lock_timeout: Duration,
    /// Told once when there is something to wait for: whose lease, and for how long at most.
    pub waiting: &'a (dyn Fn(&Lease, Duration) + Send + Sync),
}

/// A lease without a sign of life from its holder, and since when we have been looking.
struct Watch {
    seq: u64,
    since: Instant,
}

impl Log {
    /// Takes the lease and gives the writer that holds it. Waits up to `lock_timeout` for another run to end.
    ///
    /// # Errors
    /// [`Error::Held`] when another run holds it; [`Error::Key`] when no secret could be recorded; else as [`Log::open`].
    pub async fn acquire(
        &self,
        state: State,
        holder: Holder,
        ttl: Duration,
        lock_timeout: Duration,
    ) -> Result<Writer> {
        self.acquire_telling(state, Ask { holder, ttl, lock_timeout, waiting: &|_, _| {} }).await
    }

    /// As [`Log::acquire`], telling when it has to wait.
    ///
    /// A lease is taken over when its holder is known to be dead, when it expired so long ago that no clock explains it,
    /// or when this process itself has seen no renewal for as long as the lease lasts. The last needs no two clocks to
    /// agree: a machine whose clock is ahead does not steal a lease that is alive, and one whose clock is behind takes
    /// over one that is not. One that looks expired is watched for that long even beyond the lock timeout.
    ///
    /// # Errors
    /// As [`Log::acquire`].
    pub async fn acquire_telling(&self, state: State, ask: Ask<'_>) -> Result<Writer> {
        let writer = self.take(state, ask).await?;
        let from = writer.state().incoming.values().next().map(|incoming| incoming.from.clone());
        let Some(from) = from else { return Ok(writer) };
        writer.release().await?;
        let why = "a run ended while it moved them, and this one began before that; run the command again"
            .to_owned();
        Err(Error::Transfer { from, why })
    }

    /// As [`Log::acquire_telling`], whatever is on its way to the stack.
    pub(crate) async fn take(&self, mut state: State, ask: Ask<'_>) -> Result<Writer> {
        let writer = Uuid::new_v4();
        if state.key.is_none() {
            // The first secret needs it in the middle of a run, when it is too late to find out.
            self.keys().check(self.stack()).await?;
        }
        loop {
            self.wait_until_free(&mut state, &ask).await?;
            if let Some(to) = &state.migrated {
                return Err(Error::Migrated { stack: self.stack().to_owned(), to: to.clone() });
            }
            if state.declared.read().is_err() {
                // A run is begun on nothing that cannot be read: what the log gives without that checkpoint is right.
                state = self.read(Extent::Whole).await?;
                continue;
            }
            let epoch = state.epoch + 1;
            let asked = Instant::now();
            let expires = self.clock().now() + ask.ttl;
            let event = Event::LeaseAcquired { epoch, holder: ask.holder.clone(), expires };
            match self.append(&mut state, writer, epoch, vec![event]).await {
                Ok(()) => return Ok(Writer::start(self.clone(), state, writer, epoch, ask.ttl, asked)),
                Err(Error::Moved { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns once nobody holds the lease, or may be said to hold it, with the state of that moment.
    pub(crate) async fn wait_until_free(&self, state: &mut State, ask: &Ask<'_>) -> Result<()> {
        let deadline = Instant::now() + ask.lock_timeout;
        let mut watch: Option<Watch> = None;
        let (mut told, mut renewed) = (false, false);
        loop {
            let looked = Instant::now();
            self.refresh(state).await?;
            let now = self.clock().now();
            let Some(lease) = state.lease.as_ref().filter(|lease| !lease.is_over(now)) else { return Ok(()) };
            // Whatever was appended came from the holder: nobody else may.
            let seen = watch.take().filter(|watch| watch.seq == state.seq);
            renewed |= told && seen.is_none();
            let seen = seen.unwrap_or(Watch { seq: state.seq, since: looked });
            let unseen = looked.saturating_duration_since(seen.since);
            if unseen >= lease.ttl() {
                return Ok(());
            }
            watch = Some(seen);
            let mut left = deadline.saturating_duration_since(Instant::now());
            // Its holder may have been dead for long. That is worth finding out, once.
            if lease.looks_over(now) && !renewed {
                left = left.max(lease.ttl() - unseen);
            }
            if left.is_zero() {
                return Err(Error::Held { stack: self.stack().to_owned(), lease: Box::new(lease.clone()) });
            }
            if !told {
                (ask.waiting)(lease, left);
                told = true;
            }
            tokio::time::sleep(left.min(POLL).min(lease.ttl() / 4).max(Duration::from_millis(5))).await;
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
}
