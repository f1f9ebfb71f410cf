//! What happens to each resource.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use plinth_provider::{
    Change, Diff, KindSchema, Live, OutputRef, Owner, Path, Provider, Providers, Recorded, Resource, Urn,
    Value,
};
use plinth_state::State;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::decision::Decision;
use super::error::{PlanError, invalid};
use super::inputs::{as_it_is, prepare};
use super::torn::Torn;
use super::{Op, Plan, Scope, Step, deletes, names, scope};
use crate::engine::facts::{Fact, Facts, Freshness};
use crate::engine::graph::Desired;

/// Plans. `facts` holds what was read; what was not read is trusted as recorded.
///
/// # Errors
/// Everything that the user must change, all at once.
pub fn plan(
    desired: &Desired,
    state: &State,
    facts: &Facts,
    providers: &Providers,
    scope: &Scope,
) -> Result<Plan, Vec<PlanError>> {
    let mut torn = Torn::default();
    let (mut steps, claimed, mut errors) = loop {
        let (steps, claimed, errors) = attempt(desired, state, facts, providers, scope, &torn);
        if !errors.is_empty() || !torn.add(&steps, providers) {
            break (steps, claimed, errors);
        }
    };
    errors.extend(names::swapped(&steps, desired, state));
    errors.extend(names::renamed(&steps, providers));
    if errors.iter().any(|error| matches!(error, PlanError::Alias { .. })) {
        // Whose names are not settled may well look like one object.
        errors.retain(|error| !matches!(error, PlanError::SameObject { .. } | PlanError::Renamed { .. }));
    }
    let mut left_out = Vec::new();
    if let Some(within) = scope.within(desired, state, &claimed, &steps) {
        errors.retain(|error| within.contains(error.urn()));
        errors.extend(scope::torn_apart(&steps, &within));
        left_out = scope::leave_out(&mut steps, &within);
    }
    errors.extend(steps.iter().filter_map(|step| protected(step, scope)));
    if !errors.is_empty() {
        return Err(errors);
    }
    let notes = new_options(&steps).into_iter().collect();
    Ok(Plan {
        stack: String::new(),
        base_seq: state.seq,
        base_hash: state.hash.clone(),
        steps,
        freshness: Freshness { read: facts.len(), ..Freshness::default() },
        left_out,
        open: 0,
        notes,
    })
}

/// One go at it: the steps of the whole stack, which recorded resources the declared ones stand for, and what is wrong.
fn attempt(
    desired: &Desired,
    state: &State,
    facts: &Facts,
    providers: &Providers,
    scope: &Scope,
    torn: &Torn,
) -> (Vec<Step>, FxHashMap<Urn, Urn>, Vec<PlanError>) {
    let mut planner = Planner {
        desired,
        state,
        facts,
        providers,
        scope,
        torn,
        outputs: FxHashMap::with_capacity_and_hasher(desired.resources().len(), FxBuildHasher),
        claimed: FxHashMap::with_capacity_and_hasher(state.resources.len(), FxBuildHasher),
        identities: FxHashMap::default(),
        deleted_first: HashMap::new(),
        errors: Vec::new(),
    };
    let mut steps = Vec::with_capacity(desired.resources().len());
    for at in desired.order() {
        if let Some(step) = planner.step(*at) {
            steps.push(step);
        }
    }
    let Planner { errors, claimed, .. } = planner;
    steps.extend(deletes::steps(state, &claimed, facts, scope));
    deletes::old_instances(&mut steps, providers);
    (steps, claimed, errors)
}

/// What a plan says of resources whose inputs stay and whose options do not.
fn new_options(steps: &[Step]) -> Option<String> {
    let changed = |step: &&Step| {
        step.adjust && step.recorded.as_ref().is_some_and(|recorded| recorded.options != step.options)
    };
    let mut changed = steps.iter().filter(changed);
    let first = changed.next()?.urn.short();
    Some(match changed.count() {
        0 => format!("the options of {first} have changed; applying records them"),
        more => format!("the options of {first} and {more} more have changed; applying records them"),
    })
}

fn protected(step: &Step, scope: &Scope) -> Option<PlanError> {
    // What the file newly protects is protected from this very plan on.
    let named = |urn: &Urn| scope.protects.contains(urn);
    let recorded = step
        .recorded
        .as_ref()
        .filter(|recorded| recorded.options.protect || step.options.protect || named(&recorded.urn))?;
    if !matches!(step.op, Op::Delete | Op::Replace) {
        return None;
    }
    let forced: Vec<String> = step.forced_by.iter().map(Path::to_string).collect();
    let why = match (&step.reason, forced.is_empty()) {
        (_, false) => format!(", because of {}", forced.join(", ")),
        (Some(reason), true) if step.op == Op::Replace => format!(": {reason}"),
        _ => String::new(),
    };
    Some(PlanError::Protected { urn: recorded.urn.clone(), op: step.op.as_str(), why })
}

struct Planner<'a> {
    desired: &'a Desired,
    state: &'a State,
    facts: &'a Facts,
    providers: &'a Providers,
    /// The outputs that each planned resource will have, as far as they are known.
    outputs: FxHashMap<&'a Urn, Cow<'a, Value>>,
    scope: &'a Scope,
    /// What an earlier go has shown to be impossible.
    torn: &'a Torn,
    /// Recorded resources that a desired one stands for, and which.
    claimed: FxHashMap<Urn, Urn>,
    /// What systems know the planned resources by, and where.
    identities: FxHashMap<(String, String), &'a Urn>,
    /// Replacements whose old instance goes first, with that.
    deleted_first: HashMap<Urn, &'a Recorded>,
    errors: Vec<PlanError>,
}

impl<'a> Planner<'a> {
    fn step(&mut self, at: usize) -> Option<Step> {
        let resource = &self.desired.resources()[at];
        let recorded = self.recorded(resource);
        if let Some(recorded) = recorded {
            self.claim(recorded, &resource.urn);
        }
        let inputs = self.resolve(&resource.urn, &resource.inputs);
        let connection = resource.connection.as_ref().map(|value| self.resolve(&resource.urn, value));
        let judged = self.judge(at, recorded, inputs, connection);
        if let Err(error) = &judged {
            self.errors.push(error.clone());
            // Dependents are still checked, so that one run names every mistake.
            self.outputs.insert(&resource.urn, Cow::Owned(Value::Unknown));
        }
        judged.ok()
    }

    /// The step of a resource whose references are resolved.
    fn judge(
        &mut self,
        at: usize,
        recorded: Option<&'a Arc<Recorded>>,
        declared: Value,
        connection: Option<Value>,
    ) -> Result<Step, PlanError> {
        let (resource, tracked) = (&self.desired.resources()[at], recorded);
        let recorded = tracked.map(Arc::as_ref);
        let refused = |error| invalid(&resource.urn, error);
        let provider = self.providers.of(resource.urn.kind()).map_err(refused)?;
        let schema = provider.schema(resource.urn.kind()).map_err(refused)?;
        let options = &resource.options;
        let prepared = prepare(provider.as_ref(), &schema, &resource.urn, &declared, recorded, options);
        let mut inputs = prepared.map_err(|mut error| {
            // All that is wrong with it, in order; the last is what is returned.
            let mut more = std::mem::take(&mut error.more).into_vec();
            if let Some(last) = more.pop() {
                self.errors
                    .extend(std::iter::once(std::mem::replace(&mut error, last)).chain(more).map(refused));
            }
            refused(error)
        })?;
        self.check_identity(&resource.urn, &inputs, connection.as_ref(), provider.as_ref());
        let dependencies = self.desired.dependency_urns(at);
        let decided =
            self.decide(resource, recorded, &inputs, connection.as_ref(), provider.as_ref(), &schema);
        let mut decision = decided.map_err(refused)?;
        let mut by_update =
            decision.op == Op::Replace && recorded.is_some() && decision.is_by_update(&schema);
        let mut outlived_by = None;
        if let Some(recorded) = recorded
            && !(self.deleted_first.is_empty() && self.torn.outlived.is_empty())
            && matches!(decision.op, Op::Same | Op::Update | Op::Replace)
        {
            outlived_by = self.outlived_by(at, recorded, provider.as_ref());
            by_update &= outlived_by.is_none();
            if let (Some(outer), true) = (&outlived_by, decision.op != Op::Replace) {
                let why = match self.deleted_first.contains_key(outer) {
                    true => "is deleted before it is made anew",
                    false => "has to go before this can let go of it",
                };
                decision.op = Op::Replace;
                decision.reason = Some(format!("it cannot outlive {}, which {why}", outer.short()));
            }
        }
        let replaced = recorded.filter(|_| decision.op == Op::Replace && !by_update);
        let (mut delete_before_replace, mut beside) = (schema.delete_before_replace, false);
        if let Some(recorded) = replaced {
            (delete_before_replace, beside) = self.order(
                at,
                recorded,
                &connection,
                provider.as_ref(),
                &declared,
                &mut inputs,
                outlived_by.is_some(),
            )?;
        }
        let mut step = Step {
            urn: resource.urn.clone(),
            op: decision.op,
            changes: decision.changes,
            forced_by: decision.forced_by,
            reason: decision.reason,
            inputs,
            connection,
            dependencies,
            options: resource.options.clone(),
            recorded: tracked.cloned(),
            delete_before_replace,
            by_update,
            take_over: decision.take_over,
            moved_from: recorded.map(|r| &r.urn).filter(|urn| **urn != resource.urn).cloned(),
            superseded: false,
            outlived_by,
            beside,
            as_it_is: false,
            adjust: false,
        };
        if step.op == Op::Create {
            self.take_over(&mut step, provider.as_ref())?;
        }
        step.adjust = step.op == Op::Same
            && recorded.is_some_and(|r| r.options != resource.options || r.dependencies != step.dependencies);
        let outputs = match (step.op, &step.recorded, recorded) {
            (Op::Same, _, Some(recorded)) => Cow::Borrowed(&recorded.outputs),
            (Op::Import, Some(taken_over), _) if step.as_it_is => Cow::Owned(taken_over.outputs.clone()),
            (Op::Update | Op::Import, Some(recorded), _) => {
                Cow::Owned(provider.predict(&resource.urn, &step.inputs, Some(recorded)))
            }
            _ => Cow::Owned(provider.predict(&resource.urn, &step.inputs, None)),
        };
        self.outputs.insert(&resource.urn, outputs);
        Ok(step)
    }

    /// What goes before its new one comes, and takes this resource with it.
    fn outlived_by(&self, at: usize, recorded: &Recorded, provider: &dyn Provider) -> Option<Urn> {
        let resource = &self.desired.resources()[at];
        let mut reached_by = HashSet::new();
        if let Some(connection) = &resource.connection {
            connection.references(&mut |reference| {
                reached_by.insert(reference.urn.clone());
            });
        }
        let outer = self.desired.dependency_urns(at).into_iter().find(|urn| {
            let old = self.deleted_first.get(urn);
            old.is_some_and(|old| reached_by.contains(urn) || provider.lives_in(recorded, old))
        });
        outer.or_else(|| self.torn.outlived.get(&resource.urn).cloned())
    }

    /// Whether the old instance of a replacement has to go before the new one comes, because of what it uses.
    fn goes_along(&self, at: usize, recorded: &Recorded) -> bool {
        // Where a dependency goes before its new one comes, what used the old one must go even earlier.
        let mut needed = self.desired.dependencies(at).iter().map(|at| &self.desired.resources()[*at].urn);
        let used = |old: &&Recorded| recorded.dependencies.contains(&old.urn);
        needed.any(|urn| self.deleted_first.get(urn).is_some_and(&used))
            || self.torn.first.contains(&self.desired.resources()[at].urn)
    }

    /// Which half of a replacement comes first, and whether the new one gets another physical name for that.
    #[expect(clippy::too_many_arguments, reason = "everything that the order depends on")]
    fn order(
        &mut self,
        at: usize,
        recorded: &'a Recorded,
        connection: &Option<Value>,
        provider: &dyn Provider,
        declared: &Value,
        inputs: &mut Value,
        cannot_outlive: bool,
    ) -> Result<(bool, bool), PlanError> {
        let resource = &self.desired.resources()[at];
        let has_one_name =
            provider.schema(resource.urn.kind()).is_ok_and(|schema| schema.delete_before_replace);
        let wanted = resource.options.delete_before_replace;
        let goes_along = cannot_outlive || self.goes_along(at, recorded);
        let mut beside = false;
        let retained = resource.options.retain_on_delete || recorded.options.retain_on_delete;
        if (retained || wanted != Some(true) && !goes_along)
            && let Some(other) = provider.beside(recorded, declared, inputs)
        {
            *inputs = other;
            beside = true;
        }
        let first = goes_along || wanted.unwrap_or(has_one_name && !beside);
        let identity = |inputs: &Value| provider.identity(&resource.urn, inputs);
        if (!first || retained) && !beside && has_one_name && recorded.connection == *connection {
            let same = identity(inputs).is_none_or(|now| Some(now) == identity(&recorded.inputs));
            if same && retained {
                return Err(PlanError::Retained { urn: resource.urn.clone() });
            }
            if same {
                return Err(PlanError::Invalid {
                    urn: resource.urn.clone(),
                    path: None,
                    message: "`deleteBeforeReplace: false` cannot be kept: it has one name, and two cannot stand side \
                              by side under it"
                        .to_owned(),
                    help: Some("leave the option out, or give it another name with this change".to_owned()),
                });
            }
        }
        if first {
            self.deleted_first.insert(resource.urn.clone(), recorded);
        }
        Ok((first, beside))
    }

    /// What stands already where a create would make something is taken over if that was asked for, and refused if not.
    fn take_over(&self, step: &mut Step, provider: &dyn Provider) -> Result<(), PlanError> {
        let asked = self.scope.imports.get(&step.urn).or(step.options.import.as_ref());
        let Some(occupant) = self.facts.existing.get(&step.urn) else {
            if let Some(id) = asked {
                step.reason =
                    Some(format!("`{id}` is to be taken over, and was not read: what changes is not known"));
                step.op = Op::Import;
            }
            return Ok(());
        };
        let what = format!("{} {}", step.urn.kind(), occupant.live.id);
        let owner = match &occupant.owner {
            Owner::Ours if asked.is_none() => {
                step.reason =
                    Some("it exists with this resource's marks; it is brought to its inputs".to_owned());
                return Ok(());
            }
            Owner::Ours => None,
            Owner::Nobody if asked.is_some() || step.options.adopt => None,
            Owner::Nobody => Some("was not made by this stack".to_owned()),
            Owner::Other { stack, urn } if stack == step.urn.stack() => {
                Some(format!("carries the marks of {urn} of this stack"))
            }
            Owner::Other { stack, urn } => Some(format!("belongs to {urn} of stack `{stack}`")),
        };
        if let Some(owner) = owner {
            let (urn, id) = (step.urn.clone(), occupant.live.id.clone());
            return Err(PlanError::Exists { urn, what, id, owner, free: occupant.owner == Owner::Nobody });
        }
        self.import(step, &occupant.live, provider)
    }

    fn import(&self, step: &mut Step, live: &Live, provider: &dyn Provider) -> Result<(), PlanError> {
        let declared = Recorded {
            urn: step.urn.clone(),
            id: live.id.clone(),
            inputs: step.inputs.clone(),
            outputs: live.outputs.clone(),
            connection: step.connection.clone(),
            dependencies: Vec::new(),
            options: step.options.clone(),
            unsettled: false,
        };
        let differences = provider.drift(&declared, live);
        let schema = provider.schema(step.urn.kind()).map_err(|error| invalid(&step.urn, error))?;
        let is_mark = |path: &Path| schema.marks.iter().any(|mark| mark.touches(path));
        let there: Vec<_> =
            differences.iter().map(|drift| (drift.path.clone(), drift.live.clone())).collect();
        let mut now = Recorded { inputs: as_it_is(&step.inputs, &there), ..declared };
        // What the former owner set and nobody declares goes with it.
        let taken = provider.taken(&now, live);
        now.inputs = taken.inputs;
        step.op = Op::Import;
        step.reason = Some(format!("`{}` exists and is taken over", live.id));
        step.changes = differences
            .iter()
            .filter(|drift| !is_mark(&drift.path))
            .map(|drift| Change {
                path: drift.path.clone(),
                before: drift.live.clone(),
                after: drift.recorded.clone(),
            })
            .chain(taken.lost.into_iter().filter(|change| !is_mark(&change.path)))
            .collect();
        if self.scope.imports.contains_key(&step.urn) {
            step.as_it_is = true;
            let kept: Vec<_> = there.iter().filter(|(path, _)| !is_mark(path)).cloned().collect();
            let kept = as_it_is(&step.inputs, &kept);
            step.inputs = provider.taken(&Recorded { inputs: kept, ..now.clone() }, live).inputs;
        } else {
            if let Diff::Replace { forced_by, .. } =
                provider.diff(&now, &step.inputs).map_err(|error| invalid(&step.urn, error))?
            {
                let paths: Vec<String> = forced_by.iter().map(Path::to_string).collect();
                return Err(PlanError::Invalid {
                    urn: step.urn.clone(),
                    path: forced_by.first().cloned(),
                    message: format!(
                        "`{}` cannot be taken over as it is declared: {} cannot change in place",
                        live.id,
                        paths.join(", ")
                    ),
                    help: Some(
                        "declare what is there; what is to be replaced is changed after it was taken over"
                            .to_owned(),
                    ),
                });
            }
            step.take_over = differences.into_iter().map(|drift| drift.path).collect();
        }
        step.recorded = Some(Arc::new(now));
        Ok(())
    }

    fn check_identity(
        &mut self,
        urn: &'a Urn,
        inputs: &Value,
        connection: Option<&Value>,
        provider: &dyn Provider,
    ) {
        let Some(identity) = provider.identity(urn, inputs) else { return };
        let place = connection.map(Value::to_string).unwrap_or_default();
        if let Some(other) = self.identities.insert((place, identity.clone()), urn) {
            let what = identity.trim().to_owned();
            self.errors.push(PlanError::SameObject { urn: urn.clone(), other: other.clone(), what });
        }
    }

    /// What is recorded of a resource, under its name or a former one.
    fn recorded(&mut self, resource: &Resource) -> Option<&'a Arc<Recorded>> {
        if let Some(own) = self.state.resources.get(&resource.urn) {
            return Some(&own.recorded);
        }
        let aliases = &resource.options.aliases;
        let Some(former) = aliases.iter().find_map(|alias| self.state.resources.get(alias)) else {
            // Made anew here, it would be there twice, or stand in its own way.
            let elsewhere = aliases.iter().find(|alias| alias.stack() != resource.urn.stack());
            self.errors.extend(elsewhere.map(|alias| PlanError::Invalid {
                urn: resource.urn.clone(),
                path: None,
                message: format!("the former name {alias} is one of another stack, whose state is not this one's"),
                help: Some(format!(
                    "move it here first: `plinth state mv -s {} {} --to-stack {}`; what is to be made anew has no such name",
                    alias.stack(),
                    alias.short(),
                    resource.urn.stack()
                )),
            }));
            return None;
        };
        if self.desired.position(&former.urn).is_some() {
            self.errors.push(PlanError::Alias {
                urn: resource.urn.clone(),
                alias: former.urn.clone(),
                why:
                    "a resource of that name is declared too, and only one of the two can be what is recorded"
                        .to_owned(),
            });
        }
        Some(&former.recorded)
    }

    fn claim(&mut self, recorded: &Recorded, by: &Urn) {
        if let Some(other) = self.claimed.insert(recorded.urn.clone(), by.clone())
            && recorded.urn != *by
            && self.desired.position(&recorded.urn).is_none()
        {
            self.errors.push(PlanError::Alias {
                urn: by.clone(),
                alias: recorded.urn.clone(),
                why: format!("{other} claims it too"),
            });
        }
    }

    fn resolve(&mut self, urn: &Urn, value: &Value) -> Value {
        let outputs = &self.outputs;
        let errors = &mut self.errors;
        value.resolve(&mut |reference: &OutputRef| {
            let of = outputs.get(&reference.urn)?;
            let found = of.lookup(&reference.path);
            if found.is_none() && !of.has_unknown() {
                let known = of.as_map().map(|map| map.keys().cloned().collect::<Vec<_>>().join(", "));
                errors.push(PlanError::NoSuchOutput {
                    urn: urn.clone(),
                    output: reference.path.clone(),
                    of: reference.urn.clone(),
                    known: known.filter(|known| !known.is_empty()).unwrap_or_else(|| "none".to_owned()),
                });
            }
            found
        })
    }

    fn decide(
        &self,
        resource: &Resource,
        recorded: Option<&Recorded>,
        inputs: &Value,
        connection: Option<&Value>,
        provider: &dyn Provider,
        schema: &KindSchema,
    ) -> plinth_provider::Result<Decision> {
        let Some(recorded) = recorded else { return Ok(Decision::new(Op::Create)) };
        let fact = self.facts.get(&recorded.urn);
        if fact == Some(&Fact::Gone) {
            return Ok(Decision::new(Op::Create).because("it was deleted outside of Plinth"));
        }
        if recorded.connection.as_ref() != connection {
            let path = Path::parse("connection");
            return Ok(Decision {
                op: Op::Replace,
                changes: vec![Change {
                    path: path.clone(),
                    before: recorded.connection.clone(),
                    after: connection.cloned(),
                }],
                forced_by: vec![path],
                reason: Some("it moves to another system".to_owned()),
                take_over: Vec::new(),
            });
        }
        let mut decision = Decision::from_diff(provider.diff(recorded, inputs)?);
        if let Some(Fact::There { drift, .. }) = fact {
            decision.add_drift(drift, inputs, schema, &resource.options.ignore_changes);
        }
        decision.replace_on(&resource.options.replace_on_changes);
        decision.refused_in_place(self.facts.replaces.get(&resource.urn));
        if self.scope.replaces.contains(&resource.urn) && decision.op != Op::Replace {
            decision.op = Op::Replace;
            decision.reason = Some("it was asked for with --replace".to_owned());
        }
        if decision.op == Op::Same && recorded.unsettled {
            decision = Decision::new(Op::Update)
                .because("its last operation did not finish; it is brought to its inputs again");
        }
        if decision.op == Op::Same && recorded.urn != resource.urn {
            decision = Decision::new(Op::Update).because("it has a new name");
        }
        Ok(decision)
    }
}
