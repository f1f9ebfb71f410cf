//! What happens to each resource.

use std::collections::{BTreeMap, HashMap, HashSet};

use plinth_provider::{
    Change, Diff, Drift, KindSchema, OutputRef, Path, Pattern, Provider, Providers, Recorded, Resource, Urn,
    Value,
};
use plinth_state::State;

use super::{Op, Plan, Step, deletes};
use crate::engine::facts::{Fact, Facts};
use crate::engine::graph::Desired;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A provider refused the inputs.
    #[error("{urn}: {message}")]
    Invalid {
        /// Whose.
        urn: Urn,
        /// Which input.
        path: Option<Path>,
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// An output that its resource does not have.
    #[error("{urn} refers to the output `{output}` of {of}, which does not exist; it has: {known}")]
    NoSuchOutput {
        /// Who refers.
        urn: Urn,
        /// To which output.
        output: Path,
        /// Of which resource.
        of: Urn,
        /// What there is.
        known: String,
    },
    /// A protected resource would go.
    #[error("{urn} is protected and this plan would {op} it{why}")]
    Protected {
        /// Which.
        urn: Urn,
        /// What would happen.
        op: &'static str,
        /// Because of what.
        why: String,
    },
}

impl PlanError {
    /// The resource that it is about.
    pub fn urn(&self) -> &Urn {
        match self {
            Self::Invalid { urn, .. } | Self::NoSuchOutput { urn, .. } | Self::Protected { urn, .. } => urn,
        }
    }

    /// What to do about it, if there is more to say than the message does.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Invalid { help, .. } => help.clone(),
            Self::NoSuchOutput { .. } => None,
            Self::Protected { .. } => {
                Some(
                "if it really may go, take the protection away (`protect: false` on the resource, `cluster.deletionProtection: \
                 false` for the platform's cluster) and apply that first"
                    .to_owned(),
            )
            }
        }
    }
}

/// Plans. `facts` holds what was read; what was not read is trusted as recorded.
///
/// # Errors
/// Everything that the user must change, all at once.
pub fn plan(
    desired: &Desired,
    state: &State,
    facts: &Facts,
    providers: &Providers,
) -> Result<Plan, Vec<PlanError>> {
    let mut planner = Planner {
        desired,
        state,
        facts,
        providers,
        outputs: HashMap::with_capacity(desired.resources().len()),
        claimed: HashSet::new(),
        identities: HashMap::new(),
        deleted_first: HashSet::new(),
        errors: Vec::new(),
    };
    let mut steps = Vec::with_capacity(desired.resources().len());
    for at in desired.order() {
        if let Some(step) = planner.step(*at) {
            steps.push(step);
        }
    }
    let Planner { mut errors, claimed, .. } = planner;
    let doomed = state.resources.values().filter(|tracked| !claimed.contains(&tracked.urn));
    steps.extend(deletes::steps(doomed.map(|tracked| &tracked.recorded), &state.superseded, facts));
    errors.extend(steps.iter().filter_map(protected));
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Plan {
        stack: String::new(),
        base_seq: state.seq,
        base_hash: state.hash.clone(),
        steps,
        refreshed: facts.len(),
        notes: Vec::new(),
    })
}

fn protected(step: &Step) -> Option<PlanError> {
    let recorded =
        step.recorded.as_ref().filter(|recorded| recorded.options.protect && step.options.protect)?;
    if !matches!(step.op, Op::Delete | Op::Replace) {
        return None;
    }
    let forced: Vec<String> = step.forced_by.iter().map(Path::to_string).collect();
    let why = if forced.is_empty() { String::new() } else { format!(", because of {}", forced.join(", ")) };
    Some(PlanError::Protected { urn: recorded.urn.clone(), op: step.op.as_str(), why })
}

struct Planner<'a> {
    desired: &'a Desired,
    state: &'a State,
    facts: &'a Facts,
    providers: &'a Providers,
    /// The outputs that each planned resource will have, as far as they are known.
    outputs: HashMap<&'a Urn, Value>,
    /// Recorded resources that a desired one stands for.
    claimed: HashSet<Urn>,
    /// What systems know the planned resources by, and where.
    identities: HashMap<(String, String), &'a Urn>,
    /// Replacements whose old instance goes first.
    deleted_first: HashSet<Urn>,
    errors: Vec<PlanError>,
}

impl<'a> Planner<'a> {
    fn step(&mut self, at: usize) -> Option<Step> {
        let resource = &self.desired.resources()[at];
        let recorded = self.recorded(resource);
        if let Some(recorded) = recorded {
            self.claimed.insert(recorded.urn.clone());
        }
        let inputs = self.resolve(&resource.urn, &resource.inputs);
        let connection = resource.connection.as_ref().map(|value| self.resolve(&resource.urn, value));
        let checked = self.checked(resource, inputs, recorded);
        let (provider, inputs) = match checked {
            Ok(checked) => checked,
            Err(error) => {
                self.errors.push(invalid(&resource.urn, error));
                // Dependents are still checked, so that one run names every mistake.
                self.outputs.insert(&resource.urn, Value::Unknown);
                return None;
            }
        };
        self.check_identity(&resource.urn, &inputs, connection.as_ref(), provider.as_ref());
        let decision = match self.decide(resource, recorded, &inputs, connection.as_ref(), provider.as_ref())
        {
            Ok(decision) => decision,
            Err(error) => {
                self.errors.push(invalid(&resource.urn, error));
                self.outputs.insert(&resource.urn, Value::Unknown);
                return None;
            }
        };
        let outputs = match (decision.op, recorded) {
            (Op::Same, Some(recorded)) => recorded.outputs.clone(),
            (Op::Update, Some(recorded)) => provider.predict(&resource.urn, &inputs, Some(recorded)),
            _ => provider.predict(&resource.urn, &inputs, None),
        };
        self.outputs.insert(&resource.urn, outputs);
        let schema = provider.schema(resource.urn.kind()).unwrap_or_default();
        let by_update = decision.op == Op::Replace && recorded.is_some() && decision.is_by_update(&schema);
        let dependencies = self.desired.dependency_urns(at);
        // Where a dependency goes before its new one comes, what used the old one must go even earlier.
        let delete_before_replace =
            resource.options.delete_before_replace.unwrap_or(schema.delete_before_replace)
                || (decision.op == Op::Replace
                    && dependencies.iter().any(|urn| self.deleted_first.contains(urn)));
        if decision.op == Op::Replace && !by_update && delete_before_replace {
            self.deleted_first.insert(resource.urn.clone());
        }
        let adjust = decision.op == Op::Same
            && recorded.is_some_and(|r| r.options != resource.options || r.dependencies != dependencies);
        Some(Step {
            urn: resource.urn.clone(),
            op: decision.op,
            changes: decision.changes,
            forced_by: decision.forced_by,
            reason: decision.reason,
            inputs,
            connection,
            dependencies,
            options: resource.options.clone(),
            recorded: recorded.cloned().map(Box::new),
            delete_before_replace,
            by_update,
            take_over: decision.take_over,
            moved_from: recorded.map(|r| &r.urn).filter(|urn| **urn != resource.urn).cloned(),
            superseded: false,
            adjust,
        })
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
            self.errors.push(PlanError::Invalid {
                urn: urn.clone(),
                path: None,
                message: format!("it is the same object as {other} ({})", identity.trim()),
                help: Some(
                    "each object is declared once: remove one of the two, or give one another name"
                        .to_owned(),
                ),
            });
        }
    }

    /// What is recorded of a resource, under its name or a former one.
    fn recorded(&self, resource: &Resource) -> Option<&'a Recorded> {
        let own = self.state.resources.get(&resource.urn);
        own.or_else(|| {
            let former =
                resource.options.aliases.iter().filter(|alias| self.desired.position(alias).is_none());
            former.filter_map(|alias| self.state.resources.get(alias)).next()
        })
        .map(|tracked| &tracked.recorded)
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

    fn checked(
        &self,
        resource: &Resource,
        inputs: Value,
        recorded: Option<&Recorded>,
    ) -> plinth_provider::Result<(&'a std::sync::Arc<dyn Provider>, Value)> {
        let provider = self.providers.of(resource.urn.kind())?;
        let mut inputs = provider.check(&resource.urn, inputs)?;
        if let Some(recorded) = recorded {
            for path in &resource.options.ignore_changes {
                match recorded.inputs.at(path) {
                    Some(value) => inputs.set(path, value.clone()),
                    None => {
                        inputs.remove(path);
                    }
                }
            }
        }
        Ok((provider, inputs))
    }

    fn decide(
        &self,
        resource: &Resource,
        recorded: Option<&Recorded>,
        inputs: &Value,
        connection: Option<&Value>,
        provider: &dyn Provider,
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
            let schema = provider.schema(resource.urn.kind())?;
            decision.add_drift(drift, inputs, &schema, &resource.options.ignore_changes);
        }
        decision.replace_on(&resource.options.replace_on_changes);
        decision.refused_in_place(self.facts.replaces.get(&resource.urn));
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

struct Decision {
    op: Op,
    changes: Vec<Change>,
    forced_by: Vec<Path>,
    reason: Option<String>,
    take_over: Vec<Path>,
}

impl Decision {
    /// Whether everything that forces the replacement is what the kind's update replaces by itself.
    fn is_by_update(&self, schema: &KindSchema) -> bool {
        let touches = |patterns: &[Pattern], path| patterns.iter().any(|pattern| pattern.touches(path));
        !self.forced_by.is_empty()
            && self
                .forced_by
                .iter()
                .all(|path| touches(&schema.recreated, path) && !touches(&schema.immutable, path))
    }

    fn new(op: Op) -> Self {
        Self { op, changes: Vec::new(), forced_by: Vec::new(), reason: None, take_over: Vec::new() }
    }

    fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    fn from_diff(diff: Diff) -> Self {
        match diff {
            Diff::None => Self::new(Op::Same),
            Diff::Update(changes) => Self { changes, ..Self::new(Op::Update) },
            Diff::Replace { changes, forced_by } => Self { changes, forced_by, ..Self::new(Op::Replace) },
        }
    }

    /// Adds what somebody changed behind Plinth's back: it goes from the live value to the desired one.
    fn add_drift(&mut self, drift: &[Drift], inputs: &Value, schema: &KindSchema, ignored: &[Path]) {
        let mut by_path: BTreeMap<Path, Change> = std::mem::take(&mut self.changes)
            .into_iter()
            .map(|change| (change.path.clone(), change))
            .collect();
        for drifted in drift.iter().filter(|drifted| !ignored.iter().any(|path| path.contains(&drifted.path)))
        {
            let after = inputs.at(&drifted.path).cloned().or_else(|| drifted.recorded.clone());
            if drifted.live == after {
                by_path.remove(&drifted.path);
                continue;
            }
            by_path.insert(
                drifted.path.clone(),
                Change { path: drifted.path.clone(), before: drifted.live.clone(), after },
            );
            self.take_over.push(drifted.path.clone());
            if schema.immutable.iter().chain(&schema.recreated).any(|pattern| pattern.touches(&drifted.path))
            {
                self.forced_by.push(drifted.path.clone());
            }
            self.reason.get_or_insert_with(|| match &drifted.by {
                Some(by) => format!("{} was changed outside of Plinth, by {by}", drifted.path),
                None => format!("{} was changed outside of Plinth", drifted.path),
            });
        }
        self.changes = by_path.into_values().collect();
        // A live value that already is the desired one still has to be recorded.
        if self.op == Op::Same && !self.changes.is_empty() {
            self.op = Op::Update;
        }
        if !self.forced_by.is_empty() {
            self.op = Op::Replace;
        }
    }

    /// What the live system would not change in place is replaced.
    fn refused_in_place(&mut self, paths: Option<&Vec<Path>>) {
        if let (Op::Update, Some(paths)) = (self.op, paths) {
            self.forced_by.clone_from(paths);
            self.op = Op::Replace;
        }
    }

    fn replace_on(&mut self, paths: &[Path]) {
        if self.op != Op::Update {
            return;
        }
        let forcing =
            |change: &Change| paths.iter().any(|p| p.contains(&change.path) || change.path.contains(p));
        self.forced_by = self.changes.iter().filter(|c| forcing(c)).map(|c| c.path.clone()).collect();
        if !self.forced_by.is_empty() {
            self.op = Op::Replace;
        }
    }
}

fn invalid(urn: &Urn, error: plinth_provider::Error) -> PlanError {
    PlanError::Invalid { urn: urn.clone(), path: error.path, message: error.message, help: error.help }
}
