//! Which part of a stack a plan is about: `--target`, `--exclude`, `--replace`.
//!
//! The whole stack is planned first, since what is selected may depend on anything; then what is left out is taken
//! from the plan, and named.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use plinth_provider::Urn;
use plinth_state::State;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::error::PlanError;
use super::{Op, Step};
use crate::engine::graph::Desired;

/// Which part of a stack a plan is about; by default all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    /// Only these, with what they depend on; a delete brings along what depends on it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub targets: BTreeSet<Urn>,
    /// All but these and what depends on them; what is not deleted keeps what it depends on.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub excludes: BTreeSet<Urn>,
    /// Made anew although nothing asks for it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub replaces: BTreeSet<Urn>,
    /// What the stack file protects, where nothing of it is desired any more.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub protects: BTreeSet<Urn>,
    /// What the stack file retains, where nothing of it is desired any more.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub retains: BTreeSet<Urn>,
    /// Only these, taken over as they are: what exists under which id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub imports: BTreeMap<Urn, String>,
}

/// A change that a plan leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Which resource.
    pub urn: Urn,
    /// What would happen to it.
    pub op: Op,
}

impl Scope {
    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anything may be left out.
    pub fn is_partial(&self) -> bool {
        !self.targets.is_empty() || !self.excludes.is_empty() || !self.imports.is_empty()
    }

    /// What is within it; `None` for everything. `claimed` holds the recorded resources that a declared one stands
    /// for. Linear in resources plus edges.
    pub(super) fn within<'a>(
        &self,
        desired: &'a Desired,
        state: &'a State,
        claimed: &FxHashMap<Urn, Urn>,
        steps: &[Step],
    ) -> Option<HashSet<&'a Urn>> {
        if !self.is_partial() {
            return None;
        }
        if !self.imports.is_empty() {
            return Some(
                self.imports.keys().filter_map(|urn| desired.get(urn)).map(|found| &found.urn).collect(),
            );
        }
        let edges = Edges::new(desired, state, claimed);
        let mut within = if self.targets.is_empty() {
            edges.all.iter().copied().collect()
        } else {
            edges.with_users(&self.targets, steps)
        };
        let out = edges.closure(&self.excludes, |urn| edges.keeps_out(urn));
        within.retain(|urn| !out.contains(urn));
        Some(within)
    }
}

/// Who needs whom, over what is declared and what is about to go.
struct Edges<'a> {
    all: Vec<&'a Urn>,
    desired: &'a Desired,
    doomed: HashSet<&'a Urn>,
    /// What is declared, or still recorded, and needs this one.
    dependents: HashMap<&'a Urn, Vec<&'a Urn>>,
    /// What is about to go and was needed by this one when it was last applied.
    used: HashMap<&'a Urn, Vec<&'a Urn>>,
}

impl<'a> Edges<'a> {
    fn new(desired: &'a Desired, state: &'a State, claimed: &FxHashMap<Urn, Urn>) -> Self {
        let doomed: HashSet<&Urn> =
            state.resources.keys().filter(|urn| !claimed.contains_key(*urn)).collect();
        let declared = desired.resources().iter().map(|resource| &resource.urn);
        let superseded = state.superseded.iter().map(|recorded| &recorded.urn);
        let all = declared.chain(doomed.iter().copied()).chain(superseded);
        let mut edges =
            Self { all: all.collect(), desired, dependents: HashMap::new(), used: HashMap::new(), doomed };
        for (at, resource) in desired.resources().iter().enumerate() {
            for need in desired.dependencies(at) {
                let need = &desired.resources()[*need].urn;
                edges.dependents.entry(need).or_default().push(&resource.urn);
            }
        }
        for (urn, tracked) in &state.resources {
            let name = claimed.get(urn).and_then(|now| desired.get(now)).map_or(urn, |now| &now.urn);
            for need in &tracked.dependencies {
                let Some(need) = edges.doomed.get(need).copied() else { continue };
                edges.dependents.entry(need).or_default().push(name);
                edges.used.entry(name).or_default().push(need);
            }
        }
        edges
    }

    /// A resource that is made needs its dependencies; one that goes cannot go before its dependents.
    fn brings_along(&self, urn: &Urn) -> Vec<&'a Urn> {
        if self.doomed.contains(urn) {
            return self.dependents.get(urn).cloned().unwrap_or_default();
        }
        let Some(at) = self.desired.position(urn) else { return Vec::new() };
        self.desired.dependencies(at).iter().map(|need| &self.desired.resources()[*need].urn).collect()
    }

    /// Without a resource its dependents cannot be made, and what it still uses cannot go.
    fn keeps_out(&self, urn: &Urn) -> Vec<&'a Urn> {
        let mut out = self.used.get(urn).cloned().unwrap_or_default();
        if !self.doomed.contains(urn) {
            out.extend(self.dependents.get(urn).into_iter().flatten());
        }
        out
    }

    /// The targets with what they bring along. What changes because something is replaced comes with it: it uses what
    /// is about to go.
    fn with_users(&self, targets: &BTreeSet<Urn>, steps: &[Step]) -> HashSet<&'a Urn> {
        let (replaced, superseded) = (replaced(steps), superseded(steps));
        let mut found = self.closure(targets, |urn| self.brings_along(urn));
        loop {
            let goes = |need: &Urn| replaced.get(need).is_some_and(|now| found.contains(now));
            let old = |need: &Urn| superseded.contains(need) && found.contains(need);
            let uses = |step: &&Step| {
                step.is_change()
                    && !found.contains(&step.urn)
                    && (needs(step).any(goes) || needed(step).any(old))
            };
            let more: BTreeSet<Urn> = steps.iter().filter(uses).map(|step| step.urn.clone()).collect();
            if more.is_empty() {
                return found;
            }
            found.extend(self.closure(&more, |urn| self.brings_along(urn)));
        }
    }

    fn closure(&self, from: &BTreeSet<Urn>, next: impl Fn(&Urn) -> Vec<&'a Urn>) -> HashSet<&'a Urn> {
        let mut open: Vec<&'a Urn> = self.all.iter().copied().filter(|urn| from.contains(*urn)).collect();
        let mut found: HashSet<&'a Urn> = open.iter().copied().collect();
        while let Some(urn) = open.pop() {
            for more in next(urn) {
                if found.insert(more) {
                    open.push(more);
                }
            }
        }
        found
    }
}

/// Takes from the steps what is not within the scope, and names the changes among it. An old instance stays as long as
/// something is left out that may still use it.
pub(super) fn leave_out(steps: &mut Vec<Step>, within: &HashSet<&Urn>) -> Vec<LeftOut> {
    let mut left_out = Vec::new();
    let users = steps.iter().filter(|step| step.is_change() && !within.contains(&step.urn));
    let kept: HashSet<Urn> = match superseded(steps) {
        old if old.is_empty() => HashSet::new(),
        old => users.flat_map(needed).filter(|need| old.contains(need)).cloned().collect(),
    };
    steps.retain(|step| {
        let keep = within.contains(&step.urn) && !(step.superseded && kept.contains(&step.urn));
        if !keep && step.is_change() {
            left_out.push(LeftOut { urn: step.urn.clone(), op: step.op });
        }
        keep
    });
    left_out
}

/// What is replaced, by the name that it has and the one that it had.
fn replaced(steps: &[Step]) -> HashMap<&Urn, &Urn> {
    let replaced = steps.iter().filter(|step| step.op == Op::Replace && !step.by_update);
    replaced
        .flat_map(|step| {
            [Some(&step.urn), step.moved_from.as_ref()]
                .into_iter()
                .flatten()
                .map(move |name| (name, &step.urn))
        })
        .collect()
}

/// Old instances that an interrupted replacement left, by name.
fn superseded(steps: &[Step]) -> HashSet<&Urn> {
    steps.iter().filter(|step| step.superseded).map(|step| &step.urn).collect()
}

/// What a resource needs, and what it needed when it was last applied.
fn needs(step: &Step) -> impl Iterator<Item = &Urn> {
    step.dependencies.iter().chain(needed(step))
}

/// What a resource needed when it was last applied; of something replaced since then, that was the old instance.
fn needed(step: &Step) -> impl Iterator<Item = &Urn> {
    step.recorded.iter().flat_map(|recorded| &recorded.dependencies)
}

/// What is left out although it uses, and has to let go of, something that is replaced.
pub(super) fn torn_apart(steps: &[Step], within: &HashSet<&Urn>) -> Vec<PlanError> {
    let mut goes = replaced(steps);
    goes.retain(|_, now| within.contains(now));
    if goes.is_empty() {
        return Vec::new();
    }
    let left = steps.iter().filter(|step| step.is_change() && !within.contains(&step.urn));
    let torn = left.filter_map(|step| {
        let dependency = needs(step).find_map(|need| goes.get(need))?;
        Some(PlanError::LeftOut { urn: step.urn.clone(), dependency: (*dependency).clone() })
    });
    torn.collect()
}
