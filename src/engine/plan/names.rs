//! Names that do not mean what a plan would make of them: objects that would be lost because of how they are called.

use std::collections::HashMap;

use plinth_provider::{Providers, Urn, Value};
use plinth_state::State;

use super::error::PlanError;
use super::{Op, Step};
use crate::engine::graph::Desired;

/// Former names that cannot be meant: what has one is recorded under its own name too, and would lose what it has, or what
/// the former name stands for.
pub(super) fn swapped(steps: &[Step], desired: &Desired, state: &State) -> Vec<PlanError> {
    let mut errors = Vec::new();
    for step in steps.iter().filter(|step| !step.options.aliases.is_empty()) {
        let own = step.recorded.as_ref().is_some_and(|recorded| recorded.urn == step.urn);
        if !own || !state.resources.contains_key(&step.urn) {
            continue;
        }
        let recorded = step.options.aliases.iter().filter(|alias| state.resources.contains_key(*alias));
        for alias in recorded.filter(|alias| **alias != step.urn) {
            let goes = desired.position(alias).is_none();
            if goes || step.op == Op::Replace {
                let why = match goes {
                    true => "it is recorded under its own name, and what has the former one would be deleted",
                    false => "it is recorded under its own name, and would be replaced",
                };
                let (urn, alias) = (step.urn.clone(), alias.clone());
                errors.push(PlanError::Alias { urn, alias, why: why.to_owned() });
            }
        }
    }
    errors
}

/// Objects that the plan would make under one name and delete under another one.
pub(super) fn renamed(steps: &[Step], providers: &Providers) -> Vec<PlanError> {
    if !steps.iter().any(|step| step.op == Op::Delete) || !steps.iter().any(|step| step.op == Op::Create) {
        return Vec::new();
    }
    let place = |connection: &Option<Value>| connection.as_ref().map(Value::to_string).unwrap_or_default();
    let mut going: HashMap<(String, String), &Urn> = HashMap::new();
    for step in steps.iter().filter(|step| step.op == Op::Delete && !step.superseded) {
        let Some(recorded) = &step.recorded else { continue };
        let provider = providers.of(recorded.urn.kind()).ok();
        if let Some(identity) = provider.and_then(|of| of.identity(&recorded.urn, &recorded.inputs)) {
            going.insert((place(&recorded.connection), identity), &recorded.urn);
        }
    }
    let made = steps.iter().filter(|step| step.op == Op::Create);
    made.filter_map(|step| {
        let identity = providers.of(step.urn.kind()).ok()?.identity(&step.urn, &step.inputs)?;
        let what = identity.trim().to_owned();
        let recorded = going.get(&(place(&step.connection), identity))?;
        Some(PlanError::Renamed { urn: step.urn.clone(), recorded: (*recorded).clone(), what })
    })
    .collect()
}
