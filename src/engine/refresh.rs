//! Asking live systems: one bulk read per provider, all at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use plinth_provider::{Class, Context, Error, Providers, ReadRequest, Recorded, Redactor, Urn};
use plinth_state::State;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::event::{Event, Events};
use super::facts::{Fact, Facts, Freshness};

/// How long a bulk read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// How fresh the facts of a plan must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Facts that are younger than this are trusted, the rest is read.
    Auto {
        /// The age up to which what is recorded is trusted.
        max_age: Duration,
    },
    /// Everything is read.
    Always,
    /// Nothing is read.
    Never,
}

impl Refresh {
    fn wants(self, updated_at: jiff::Timestamp, now: jiff::Timestamp) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto { max_age } => {
                let age = now.duration_since(updated_at);
                // A record from the future (a clock was wrong) is not to be trusted either.
                age.is_negative() || age.unsigned_abs() > max_age
            }
        }
    }
}

/// A read that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("reading {urn} failed: {error}")]
pub struct RefreshError {
    /// Of which resource.
    pub urn: Urn,
    /// What went wrong.
    pub error: Error,
}

/// What a refresh came to.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// What was read.
    pub facts: Facts,
    /// Every read that failed. Something that cannot be reached is never taken for deleted.
    pub failed: Vec<RefreshError>,
    /// What was not read, or could not be.
    pub freshness: Freshness,
    duration: Duration,
}

impl Refreshed {
    /// What was read.
    ///
    /// # Errors
    /// When not everything was.
    pub fn whole(self) -> Result<Facts, Vec<RefreshError>> {
        if self.failed.is_empty() { Ok(self.facts) } else { Err(self.failed) }
    }

    /// Whether all that failed is that systems could not be reached.
    pub fn is_out_of_reach(&self) -> bool {
        let away = |error: &RefreshError| {
            matches!(error.error.class, Class::Unavailable | Class::Timeout | Class::Throttled { .. })
        };
        !self.failed.is_empty() && self.failed.iter().all(away)
    }

    /// Tells what was read.
    pub fn tell(&self, events: &Events) {
        let total = self.facts.len();
        if total == 0 || !self.failed.is_empty() {
            return;
        }
        let drifted = |fact: &&Fact| matches!(fact, Fact::There { drift, .. } if !drift.is_empty());
        events.send(Event::Refreshed {
            resources: total,
            gone: self.facts.by_urn.values().filter(|fact| **fact == Fact::Gone).count(),
            drifted: self.facts.by_urn.values().filter(drifted).count(),
            duration: self.duration,
        });
    }
}

/// How many resources are to be read.
pub fn due(state: &State, wanted: Refresh, now: jiff::Timestamp) -> usize {
    state.resources.values().filter(|tracked| wanted.wants(tracked.updated_at, now)).count()
}

/// A refresh under way, begun before it was known what is wanted: live systems answer while the stack file is read.
#[derive(Debug)]
pub struct Reading {
    seq: u64,
    task: JoinHandle<Refreshed>,
}

impl Reading {
    /// Begins to read what is recorded in `state`.
    pub fn begin(state: &State, wanted: Refresh, providers: &Providers, cancel: &CancellationToken) -> Self {
        let (seq, state, providers, cancel) = (state.seq, state.clone(), providers.clone(), cancel.clone());
        let task = tokio::spawn(async move {
            refresh(&state, wanted, jiff::Timestamp::now(), &providers, &cancel).await
        });
        Self { seq, task }
    }

    /// What was read, if it was read of this very state.
    pub async fn finish(self, state: &State) -> Option<Refreshed> {
        if self.seq != state.seq {
            self.task.abort();
            return None;
        }
        self.task.await.ok()
    }
}

/// Reads what `wanted` wants read: one bulk read per provider, all at once.
pub async fn refresh(
    state: &State,
    wanted: Refresh,
    now: jiff::Timestamp,
    providers: &Providers,
    cancel: &CancellationToken,
) -> Refreshed {
    let started = Instant::now();
    let mut oldest = None;
    let mut by_provider: BTreeMap<&str, Vec<&Recorded>> = BTreeMap::new();
    for tracked in state.resources.values() {
        if wanted.wants(tracked.updated_at, now) {
            let prefix = tracked.urn.kind().split(':').next().unwrap_or_default();
            by_provider.entry(prefix).or_default().push(&tracked.recorded);
        } else {
            oldest = oldest.min(Some(tracked.updated_at)).or(Some(tracked.updated_at));
        }
    }
    let total: usize = by_provider.values().map(Vec::len).sum();
    let mut refreshed = Refreshed::default();
    let groups = join_all(by_provider.into_values().map(|group| read_group(group, providers, cancel))).await;
    for (recorded, result) in groups.into_iter().flatten() {
        match result {
            Ok(fact) => {
                refreshed.facts.by_urn.insert(recorded.urn.clone(), fact);
            }
            Err(error) => {
                let known = [&recorded.inputs, &recorded.outputs].into_iter().chain(&recorded.connection);
                let error = Redactor::of(known).error(error);
                refreshed.failed.push(RefreshError { urn: recorded.urn.clone(), error });
            }
        }
    }
    refreshed.freshness = Freshness {
        read: refreshed.facts.len(),
        trusted: state.resources.len() - total,
        oldest_seconds: oldest.map(|at| u64::try_from(now.duration_since(at).as_secs()).unwrap_or_default()),
        unread: refreshed.failed.len(),
    };
    refreshed.duration = started.elapsed();
    refreshed
}

async fn read_group<'a>(
    group: Vec<&'a Recorded>,
    providers: &Providers,
    cancel: &CancellationToken,
) -> Vec<(&'a Recorded, Result<Fact, Error>)> {
    let Some(first) = group.first() else { return Vec::new() };
    let provider = match providers.of(first.urn.kind()) {
        Ok(provider) => provider,
        Err(error) => return group.into_iter().map(|recorded| (recorded, Err(error.clone()))).collect(),
    };
    let context = Context { cancel: cancel.clone(), ..Context::new(first.urn.stack(), READ_TIMEOUT) };
    let requests: Vec<ReadRequest<'_>> = group.iter().map(|recorded| ReadRequest { recorded }).collect();
    let span = tracing::info_span!("read_many", provider = provider.name(), resources = requests.len());
    let results = provider.read_many(&context, &requests).instrument(span).await;
    group
        .into_iter()
        .zip(results)
        .map(|(recorded, result)| {
            let fact = result.map(|live| match live {
                None => Fact::Gone,
                Some(live) => Fact::There { drift: provider.drift(recorded, &live), live: Box::new(live) },
            });
            (recorded, fact)
        })
        .collect()
}
