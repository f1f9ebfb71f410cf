//! Asking live systems: one bulk read per provider, all at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use plinth_provider::{Context, Error, Providers, ReadRequest, Recorded, Urn};
use plinth_state::State;
use tokio_util::sync::CancellationToken;

use super::event::{Event, Events};
use super::facts::{Fact, Facts};

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

/// Reads what `refresh` wants read.
///
/// # Errors
/// Every read that failed. Something that cannot be reached is an error, never taken for deleted.
pub async fn refresh(
    state: &State,
    wanted: Refresh,
    now: jiff::Timestamp,
    providers: &Providers,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Facts, Vec<RefreshError>> {
    let started = Instant::now();
    let mut by_provider: BTreeMap<&str, Vec<&Recorded>> = BTreeMap::new();
    for tracked in state.resources.values().filter(|tracked| wanted.wants(tracked.updated_at, now)) {
        let prefix = tracked.urn.kind().split(':').next().unwrap_or_default();
        by_provider.entry(prefix).or_default().push(&tracked.recorded);
    }
    let total: usize = by_provider.values().map(Vec::len).sum();
    if total == 0 {
        return Ok(Facts::default());
    }
    events.send(Event::Refreshing { resources: total });
    let groups = join_all(by_provider.into_values().map(|group| read_group(group, providers, cancel))).await;
    let mut facts = Facts::default();
    let mut errors = Vec::new();
    for (recorded, result) in groups.into_iter().flatten() {
        match result {
            Ok(fact) => {
                facts.by_urn.insert(recorded.urn.clone(), fact);
            }
            Err(error) => errors.push(RefreshError { urn: recorded.urn.clone(), error }),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let gone = facts.by_urn.values().filter(|fact| **fact == Fact::Gone).count();
    let drifted = |fact: &&Fact| matches!(fact, Fact::There { drift, .. } if !drift.is_empty());
    events.send(Event::Refreshed {
        resources: total,
        gone,
        drifted: facts.by_urn.values().filter(drifted).count(),
        duration: started.elapsed(),
    });
    Ok(facts)
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
    let results = provider.read_many(&context, &requests).await;
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
