//! Deletes, in reverse order of the recorded dependencies.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use plinth_provider::{Diff, Providers, Recorded, Urn, Value};
use plinth_state::State;
use rustc_hash::FxHashMap;

use super::{Op, Scope, Step};
use crate::engine::facts::{Fact, Facts};

/// The deletes of everything that no declared resource stands for, dependents first, and of what interrupted
/// replacements left. `claimed` tells which declared resource a recorded one is.
pub(super) fn steps(state: &State, claimed: &FxHashMap<Urn, Urn>, facts: &Facts, scope: &Scope) -> Vec<Step> {
    let doomed = state.resources.values().filter(|tracked| !claimed.contains_key(&tracked.urn));
    let doomed: BTreeMap<&Urn, &Arc<Recorded>> =
        doomed.map(|tracked| (&tracked.urn, &tracked.recorded)).collect();
    let mut steps: Vec<Step> =
        state.superseded.iter().map(|recorded| superseded(recorded, state, claimed, scope)).collect();
    for urn in dependents_first(&doomed) {
        let recorded = doomed[urn];
        let gone = facts.get(urn) == Some(&Fact::Gone);
        let retained = recorded.options.retain_on_delete || scope.retains.contains(urn);
        let op = if retained || gone { Op::Forget } else { Op::Delete };
        let reason = match op {
            Op::Forget if gone => Some("it is gone already".to_owned()),
            Op::Forget => Some("it is to be retained".to_owned()),
            _ => None,
        };
        steps.push(Step { reason, ..step(recorded, op) });
    }
    steps
}

/// How and when the old instances of interrupted replacements go, given what becomes of their resources.
pub(super) fn old_instances(steps: &mut [Step], providers: &Providers) {
    for at in 0..steps.len() {
        let old = &steps[at];
        let (Some(recorded), true) = (&old.recorded, old.superseded && old.op == Op::Delete) else {
            continue;
        };
        let Some(present) = steps.iter().find(|step| !step.superseded && step.urn == old.urn) else {
            continue;
        };
        let Ok(provider) = providers.of(old.urn.kind()) else { continue };
        // In whose place its resource is to be made once more goes before, unless it can become the present one again.
        let makes = matches!(present.op, Op::Create | Op::Replace) && !present.by_update;
        let identity = provider.identity(&present.urn, &present.inputs);
        let is_in_the_way = makes
            && present.connection == recorded.connection
            && identity.is_some()
            && identity == provider.identity(&old.urn, &recorded.inputs)
            && matches!(provider.diff(recorded, &present.inputs), Ok(Diff::Replace { .. }));
        // The stack file speaks of the present one alone; nobody could tell it how the old one is to go.
        let mut going = (**recorded).clone();
        for path in provider.schema(old.urn.kind()).map(|schema| schema.at_delete).unwrap_or_default() {
            if let Some(value) = present.inputs.at(&path).filter(|value| !value.has_unknown()) {
                going.inputs.set(&path, value.clone());
            }
        }
        steps[at].recorded = Some(Arc::new(going));
        steps[at].delete_before_replace = is_in_the_way;
    }
}

/// The end of an old instance, under the name that its resource has by then.
fn superseded(recorded: &Arc<Recorded>, state: &State, claimed: &FxHashMap<Urn, Urn>, scope: &Scope) -> Step {
    // What retains is the option of the newest instance: it may have come with the replacement.
    let present = state.resources.get(&recorded.urn);
    let retained = recorded.options.retain_on_delete
        || present.is_some_and(|present| present.options.retain_on_delete)
        || scope.retains.contains(&recorded.urn);
    let (op, what) = match retained {
        true => (Op::Forget, "an interrupted replacement left it; it is to be retained"),
        false => (Op::Delete, "an interrupted replacement left it"),
    };
    let renamed = claimed.get(&recorded.urn).filter(|now| **now != recorded.urn);
    let recorded = match renamed {
        Some(now) => &Arc::new(Recorded { urn: now.clone(), ..(**recorded).clone() }),
        None => recorded,
    };
    Step { superseded: true, reason: Some(what.to_owned()), ..step(recorded, op) }
}

fn step(recorded: &Arc<Recorded>, op: Op) -> Step {
    Step {
        urn: recorded.urn.clone(),
        op,
        changes: Vec::new(),
        forced_by: Vec::new(),
        reason: None,
        inputs: Value::Null,
        connection: recorded.connection.clone(),
        dependencies: recorded.dependencies.clone(),
        options: recorded.options.clone(),
        recorded: Some(Arc::clone(recorded)),
        delete_before_replace: false,
        by_update: false,
        take_over: Vec::new(),
        moved_from: None,
        superseded: false,
        outlived_by: None,
        beside: false,
        as_it_is: false,
        adjust: false,
    }
}

/// Kahn's algorithm over the reversed edges; ties by URN. Should recorded dependencies ever hold a cycle (each
/// resource was recorded at another time), its members come last, by URN, rather than not at all.
fn dependents_first<'a>(doomed: &BTreeMap<&'a Urn, &Arc<Recorded>>) -> Vec<&'a Urn> {
    let mut dependents: HashMap<&Urn, usize> = doomed.keys().map(|urn| (*urn, 0)).collect();
    for recorded in doomed.values() {
        for dependency in &recorded.dependencies {
            if let Some(count) = dependents.get_mut(dependency) {
                *count += 1;
            }
        }
    }
    let mut ready: BinaryHeap<std::cmp::Reverse<&'a Urn>> =
        doomed.keys().filter(|urn| dependents[**urn] == 0).map(|urn| std::cmp::Reverse(*urn)).collect();
    let mut order = Vec::with_capacity(doomed.len());
    let mut left: BTreeSet<&'a Urn> = doomed.keys().copied().collect();
    while let Some(std::cmp::Reverse(urn)) = ready.pop() {
        order.push(urn);
        left.remove(urn);
        for dependency in &doomed[urn].dependencies {
            let Some((known, _)) = doomed.get_key_value(dependency) else { continue };
            if let Some(count) = dependents.get_mut(dependency) {
                *count -= 1;
                if *count == 0 {
                    ready.push(std::cmp::Reverse(known));
                }
            }
        }
    }
    order.extend(left);
    order
}
