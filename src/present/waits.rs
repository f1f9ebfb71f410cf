//! What steps that have not begun wait for: their turn in a lane, a pause that a system asked for, room.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use plinth_provider::Urn;

use super::tally::Running;
use super::words::{clean, count, seconds};
use crate::engine::Event;

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// In the order in which they came, with what each waits for.
    turns: BTreeMap<u64, (Urn, String)>,
    turn_of: HashMap<Urn, u64>,
    next: u64,
    /// By provider: how many steps, and until when.
    pauses: BTreeMap<String, (usize, Instant)>,
    /// How many run at a time, by provider; of the run as a whole without one.
    limits: BTreeMap<Option<String>, usize>,
}

/// A line about it: of one step, or of several that wait for the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wait<'a> {
    /// The step, if it is one.
    pub urn: Option<&'a Urn>,
    /// What is waited for.
    pub text: String,
}

impl Waits {
    /// A step that has not begun waits.
    pub fn turn(&mut self, urn: &Urn, reason: String) {
        self.over(urn);
        self.turns.insert(self.next, (urn.clone(), reason));
        self.turn_of.insert(urn.clone(), self.next);
        self.next += 1;
    }

    /// A step has begun, or never will.
    pub fn over(&mut self, urn: &Urn) {
        if let Some(turn) = self.turn_of.remove(urn) {
            self.turns.remove(&turn);
        }
    }

    /// Takes note of what keeps ready steps from beginning.
    pub fn take(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Paused { provider, steps, after } => {
                let until = now.checked_add(*after).unwrap_or(now);
                self.pauses.insert(provider.clone(), (*steps, until));
            }
            Event::Full { provider, most, .. } => {
                self.limits.insert(provider.clone(), *most);
            }
            _ => {}
        }
    }

    /// What is waited for now, while these run and so many are still to begin.
    pub fn now<'a>(&'a self, running: &BTreeMap<u64, Running>, to_begin: u64, now: Instant) -> Vec<Wait<'a>> {
        let mut turns: Vec<(&str, &Urn, u64)> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        for (urn, reason) in self.turns.values() {
            match known.get(reason.as_str()) {
                Some(at) => turns[*at].2 += 1,
                None => {
                    known.insert(reason, turns.len());
                    turns.push((reason, urn, 1));
                }
            }
        }
        let turns = turns.into_iter().map(|(reason, urn, steps)| match steps {
            1 => Wait { urn: Some(urn), text: format!("waits for {reason}") },
            steps => Wait { urn: None, text: format!("{} wait, each for {reason}", count(steps, "step")) },
        });
        let pauses = self.pauses.iter().filter(|(_, (_, until))| *until > now);
        let pauses = pauses
            .map(|(provider, (steps, until))| paused(provider, *steps, until.saturating_duration_since(now)));
        let limits = self.limits.iter().filter(|(provider, most)| {
            let of = |step: &&Running| provider.as_deref().is_none_or(|provider| is_of(&step.urn, provider));
            to_begin > 0 && running.values().filter(of).count() >= **most
        });
        let limits = limits.map(|(provider, most)| full(provider.as_deref(), None, *most));
        let others = pauses.chain(limits).map(|text| Wait { urn: None, text });
        turns.chain(others).collect()
    }
}

fn is_of(urn: &Urn, provider: &str) -> bool {
    urn.kind().strip_prefix(provider).is_some_and(|rest| rest.starts_with(':'))
}

/// That a system asked for a pause.
pub(super) fn paused(provider: &str, steps: usize, after: Duration) -> String {
    let who = clean(provider);
    // A second that has begun is one to wait for.
    let left = seconds(after + Duration::from_millis(999));
    format!("{} until {who} takes calls again, in {left}", wait(Some(steps)))
}

/// That no more run at a time.
pub(super) fn full(provider: Option<&str>, steps: Option<usize>, most: usize) -> String {
    match provider {
        Some(provider) => {
            format!("{} for others to end: {} takes {most} at a time now", wait(steps), clean(provider))
        }
        None => format!("{} for others to end: {most} run at a time", wait(steps)),
    }
}

fn wait(steps: Option<usize>) -> String {
    match steps {
        Some(1) => "1 step waits".to_owned(),
        Some(steps) => format!("{} wait", count(steps as u64, "step")),
        None => "steps wait".to_owned(),
    }
}
