//! How long things took, from outcomes that succeeded: what tells the next run which of its steps to begin first. Hints, and
//! nothing rests on them.

use std::collections::BTreeMap;
use std::time::Duration;

use plinth_provider::Urn;
use serde::{Deserialize, Serialize};

use crate::{Action, Intent, State};

/// What took less is like every other of its kind, and not remembered by name.
const REMEMBERED_FROM_MS: u64 = 50;

/// More names than this, and twice as many as there are resources, are too many to keep those that are gone.
const NAMES_OF_THE_GONE: usize = 1_000;

/// How long things took.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Learned {
    /// Moving average in milliseconds, by `<kind> <action>`.
    pub(crate) kinds: BTreeMap<String, u64>,
    /// What is remembered of single resources, also of such as are gone: they may come back.
    pub(crate) resources: BTreeMap<Urn, Took>,
}

/// How long the operations on one resource took, in milliseconds; 0 where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Took {
    create: u32,
    update: u32,
    delete: u32,
}

impl Took {
    fn of(&mut self, action: Action) -> Option<&mut u32> {
        match action {
            Action::Create => Some(&mut self.create),
            Action::Update | Action::Import => Some(&mut self.update),
            Action::Delete => Some(&mut self.delete),
            Action::Read | Action::Forget => None,
        }
    }
}

/// A line of a checkpoint.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line(Urn, Took);

impl Learned {
    /// How long an action on a resource usually takes, in milliseconds: as it did on this one, else on its kind, if any was
    /// ever seen.
    pub fn usual(&self, urn: &Urn, action: Action) -> Option<u64> {
        let own = self.resources.get(urn).and_then(|took| took.clone().of(action).copied());
        let own = own.filter(|took| *took > 0).map(u64::from);
        own.or_else(|| self.of_kind(urn.kind(), action))
    }

    /// What was learned of kinds alone, by `<kind> <action>`, in milliseconds.
    pub fn of_kinds<'a>(kinds: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let kinds = kinds.into_iter().map(|(key, took)| (key.to_owned(), took)).collect();
        Self { kinds, ..Self::default() }
    }

    /// What others would learn to whom everything of such kinds takes so much of the time.
    #[must_use]
    pub fn scaled(&self, factor: f64, applies: impl Fn(&str) -> bool) -> Self {
        let scaled = |kind: &str, took: u64| match applies(kind) {
            true => Duration::from_millis(took).mul_f64(factor).as_millis() as u64,
            false => took,
        };
        let own = |urn: &Urn, took: u32| match took {
            0 => 0,
            took => milliseconds(scaled(urn.kind(), took.into())),
        };
        Self {
            kinds: self.kinds.iter().map(|(key, took)| (key.clone(), scaled(key, *took))).collect(),
            resources: self
                .resources
                .iter()
                .map(|(urn, took)| {
                    let Took { create, update, delete } = *took;
                    let took =
                        Took { create: own(urn, create), update: own(urn, update), delete: own(urn, delete) };
                    (urn.clone(), took)
                })
                .collect(),
        }
    }

    /// This, and of what nothing is known here what the other knows.
    #[must_use]
    pub fn or_else(mut self, other: &Self) -> Self {
        for (key, took) in &other.kinds {
            self.kinds.entry(key.clone()).or_insert(*took);
        }
        for (urn, took) in &other.resources {
            self.resources.entry(urn.clone()).or_insert(*took);
        }
        self
    }

    /// How long an action on a resource of a kind usually takes, in milliseconds, if any was ever seen.
    pub fn of_kind(&self, kind: &str, action: Action) -> Option<u64> {
        self.kinds.get(&key(kind, action)).copied()
    }

    /// An operation has succeeded.
    pub(crate) fn learn(&mut self, intent: &Intent, took_ms: u64) {
        // The rest of a wait that an earlier run began says nothing of the whole.
        if intent.resumed {
            return;
        }
        let (urn, action) = (&intent.urn, intent.action);
        let average = self.kinds.entry(key(urn.kind(), action)).or_insert(took_ms);
        *average = average.saturating_mul(3).saturating_add(took_ms) / 4;
        if took_ms.max(*average) < REMEMBERED_FROM_MS && !self.resources.contains_key(urn) {
            return;
        }
        if let Some(own) = self.resources.entry(urn.clone()).or_default().of(action) {
            let so_far = if *own == 0 { took_ms } else { u64::from(*own) };
            *own = milliseconds(so_far.saturating_add(took_ms) / 2);
        }
    }

    /// A resource has another name.
    pub(crate) fn rename(&mut self, from: &Urn, to: &Urn) {
        if let Some(took) = self.resources.remove(from) {
            self.resources.insert(to.clone(), took);
        }
    }

    /// What checkpoints hold of single resources.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        self.resources.iter().map(|(urn, took)| Line(urn.clone(), *took))
    }

    pub(crate) fn of_lines(kinds: BTreeMap<String, u64>, lines: Vec<Line>) -> Self {
        Self { kinds, resources: lines.into_iter().map(|Line(urn, took)| (urn, took)).collect() }
    }
}

impl State {
    /// Whether both are the same state. What was learned does not count: an older checkpoint that state was read from may have
    /// held less of it.
    pub(crate) fn tells_the_same(&self, other: &Self) -> bool {
        Self { learned: other.learned.clone(), ..self.clone() } == *other
    }

    /// Forgets those that are gone, before names that never come back fill the memory.
    pub(crate) fn forget_the_gone(&mut self) {
        if self.learned.resources.len() > NAMES_OF_THE_GONE + 2 * self.resources.len() {
            let (resources, declared) = (&self.resources, self.declared.read());
            let is_declared = |urn: &Urn| declared.as_ref().is_ok_and(|declared| declared.contains_key(urn));
            let is_known = |urn: &Urn| resources.contains_key(urn) || is_declared(urn);
            self.learned.resources.retain(|urn, _| is_known(urn));
        }
    }
}

/// At least one, since 0 means that nothing is known.
fn milliseconds(took_ms: u64) -> u32 {
    u32::try_from(took_ms).unwrap_or(u32::MAX).max(1)
}

/// Taking over is updating.
fn key(kind: &str, action: Action) -> String {
    let action = if action == Action::Import { Action::Update } else { action };
    format!("{kind} {}", action.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(name: &str, action: Action) -> Intent {
        Intent::new(1, action, Urn::new("s", "k:Kind", name).unwrap())
    }

    #[test]
    fn a_resource_is_weighed_by_itself_then_by_its_kind() {
        let mut learned = Learned::default();
        let [slow, quick, new] = ["slow", "quick", "new"].map(|name| intent(name, Action::Create));
        assert_eq!(learned.usual(&slow.urn, Action::Create), None);
        learned.learn(&slow, 60_000);
        for _ in 0..20 {
            learned.learn(&quick, 100);
        }
        assert_eq!(
            learned.usual(&slow.urn, Action::Create),
            Some(60_000),
            "whatever others of its kind take"
        );
        assert_eq!(learned.usual(&quick.urn, Action::Create), Some(100));
        let kind = learned.usual(&new.urn, Action::Create).unwrap();
        assert!((100..1_000).contains(&kind), "{kind}");
        assert_eq!(learned.usual(&slow.urn, Action::Delete), None, "another action is another thing");
        learned.learn(&intent("slow", Action::Import), 800);
        assert_eq!(learned.usual(&slow.urn, Action::Update), Some(800), "taking over is updating");
        learned.learn(&slow, 20_000);
        assert_eq!(learned.usual(&slow.urn, Action::Create), Some(40_000), "the newest counts half");
        learned.rename(&slow.urn, &new.urn);
        assert_eq!(learned.usual(&new.urn, Action::Create), Some(40_000));
    }

    #[test]
    fn checkpoints_keep_it_and_it_is_no_part_of_what_they_tell() {
        let mut state = State::default();
        let bytes =
            |state: &State| crate::checkpoint::encode("s", state, &crate::DataKeys::default()).unwrap();
        assert!(
            !String::from_utf8_lossy(&bytes(&state)).contains("learned"),
            "nothing where there is nothing"
        );
        state.learned.learn(&intent("a", Action::Create), 1_000);
        let whole = crate::checkpoint::Whole::new(bytes(&state)).unwrap();
        assert_eq!(
            whole.state("s", &crate::DataKeys::default(), crate::checkpoint::Extent::Whole).unwrap(),
            state
        );
        assert!(State::default().tells_the_same(&state));
        assert!(!State { seq: 1, ..State::default() }.tells_the_same(&state));
    }

    #[test]
    fn what_is_quick_costs_nothing_by_name_and_the_rest_of_a_wait_teaches_nothing() {
        let mut learned = Learned::default();
        learned.learn(&intent("a", Action::Create), 3);
        assert!(learned.resources.is_empty());
        assert_eq!(learned.usual(&intent("b", Action::Create).urn, Action::Create), Some(3));
        let resumed = Intent { resumed: true, ..intent("a", Action::Create) };
        learned.learn(&resumed, 90_000);
        assert_eq!(learned.usual(&resumed.urn, Action::Create), Some(3));
    }

    #[test]
    fn names_that_never_come_back_are_forgotten_in_the_end() {
        let mut state = State::default();
        for at in 0..NAMES_OF_THE_GONE {
            state.learned.learn(&intent(&at.to_string(), Action::Delete), 100);
        }
        state.forget_the_gone();
        assert_eq!(state.learned.resources.len(), NAMES_OF_THE_GONE, "they may come back");
        state.learned.learn(&intent("one more", Action::Delete), 100);
        state.forget_the_gone();
        assert!(state.learned.resources.is_empty());
    }
}
