//! Drift: what somebody changed behind Plinth's back, judged on the paths that Plinth set.

use std::time::Instant;

use plinth_provider::{Drift, Providers, Urn};
use plinth_state::State;
use tokio_util::sync::CancellationToken;

use super::event::{Event, Events};
use super::facts::Fact;
use super::refresh::{Refresh, RefreshError, refresh};

/// What became of a resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is gone.
    Missing,
    /// It differs.
    Changed(Vec<Drift>),
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DriftReport {
    /// How many resources were looked at.
    pub resources: usize,
    /// Those that are not as recorded, by URN.
    pub drifted: Vec<(Urn, Verdict)>,
}

/// Compares live with recorded, for every resource.
///
/// # Errors
/// Every read that failed.
pub async fn drift(
    state: &State,
    providers: &Providers,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<DriftReport, Vec<RefreshError>> {
    let started = Instant::now();
    if !state.resources.is_empty() {
        events.send(Event::Refreshing { resources: state.resources.len() });
    }
    let read = refresh(state, Refresh::Always, jiff::Timestamp::now(), providers, cancel).await;
    read.tell(events);
    let facts = read.whole()?;
    let mut report = DriftReport { resources: facts.len(), drifted: Vec::new() };
    for (urn, fact) in facts.by_urn {
        let verdict = match fact {
            Fact::Gone => Verdict::Missing,
            Fact::There { drift, .. } if !drift.is_empty() => Verdict::Changed(drift),
            Fact::There { .. } => continue,
        };
        let (name, fields) = match &verdict {
            Verdict::Missing => ("missing", Vec::new()),
            Verdict::Changed(fields) => ("changed", fields.clone()),
        };
        events.send(Event::Drift { urn: urn.clone(), verdict: name, fields });
        report.drifted.push((urn, verdict));
    }
    let missing = report.drifted.iter().filter(|(_, verdict)| *verdict == Verdict::Missing).count();
    events.send(Event::DriftSummary {
        resources: report.resources,
        missing,
        changed: report.drifted.len() - missing,
        duration: started.elapsed(),
    });
    Ok(report)
}
