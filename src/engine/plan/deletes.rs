//! Deletes, in reverse order of the recorded dependencies.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use plinth_provider::{Recorded, Urn, Value};

use super::{Op, Step};
use crate::engine::facts::{Fact, Facts};

/// The deletes of everything doomed, dependents first, and of what interrupted replacements left.
pub fn steps<'a>(
    doomed: impl Iterator<Item = &'a Arc<Recorded>>,
    superseded: &[Arc<Recorded>],
    facts: &Facts,
) -> Vec<Step> {
    let doomed: BTreeMap<&Urn, &Arc<Recorded>> = doomed.map(|recorded| (&recorded.urn, recorded)).collect();
    let mut steps: Vec<Step> = superseded
        .iter()
        .map(|recorded| Step {
            superseded: true,
            reason: Some("an interrupted replacement left it".to_owned()),
            ..step(recorded, Op::Delete)
        })
        .collect();
    for urn in dependents_first(&doomed) {
        let recorded = doomed[urn];
        let gone = facts.get(urn) == Some(&Fact::Gone);
        let op = if recorded.options.retain_on_delete || gone { Op::Forget } else { Op::Delete };
        let reason = match op {
            Op::Forget if gone => Some("it is gone already".to_owned()),
            Op::Forget => Some("it is to be retained".to_owned()),
            _ => None,
        };
        steps.push(Step { reason, ..step(recorded, op) });
    }
    steps
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
