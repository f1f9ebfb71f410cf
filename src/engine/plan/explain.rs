//! Why a step is there: from what changes in it back to the first causes. Pure.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use plinth_provider::{OutputRef, Path, Providers, Recorded, Resource, Urn, Value};
use serde::Serialize;

use super::{Op, Plan, Step};
use crate::engine::facts::{Fact, Facts};
use crate::engine::graph::Desired;

/// Why a step is there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The resource.
    pub urn: Urn,
    /// What happens to it.
    pub op: Op,
    /// Whether the plan leaves it out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
    /// The resource itself, then everything that it is a consequence of, nearest first.
    pub chain: Vec<Link>,
    /// What it needs.
    pub dependencies: Vec<Dependency>,
}

/// One resource in a chain of consequences.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// The resource.
    pub urn: Urn,
    /// What happens to it.
    pub op: Op,
    /// Why, in a sentence.
    pub why: String,
    /// What changes in it, as far as it matters here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Explained>,
}

/// One change, and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// Where in the inputs.
    pub path: Path,
    /// What was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What will be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Whether it forces a replacement.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forces_replacement: bool,
    /// Outputs that it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputRef>,
    /// Who changed it behind Plinth's back, if that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// Where it is declared; filled in by whoever knows the stack file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_at: Option<String>,
}

/// Something that a resource needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dependency {
    /// Which resource.
    pub urn: Urn,
    /// What happens to it.
    pub op: Op,
    /// `declared`, `reference` or `inferred`.
    pub how: &'static str,
    /// The rule of an inferred one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
}

/// Explains a step of a plan of the whole stack; `None` when the plan has no such resource.
pub fn explain(
    urn: &Urn,
    plan: &Plan,
    desired: &Desired,
    facts: &Facts,
    providers: &Providers,
) -> Option<Explanation> {
    let steps: HashMap<&Urn, &Step> =
        plan.steps.iter().filter(|step| !step.superseded).map(|step| (&step.urn, step)).collect();
    let step = steps.get(urn)?;
    let explainer = Explainer { steps: &steps, desired, facts };
    Some(Explanation {
        urn: urn.clone(),
        op: step.op,
        left_out: false,
        chain: explainer.chain(step),
        dependencies: explainer.dependencies(step, providers),
    })
}

struct Explainer<'a> {
    steps: &'a HashMap<&'a Urn, &'a Step>,
    desired: &'a Desired,
    facts: &'a Facts,
}

impl<'a> Explainer<'a> {
    fn chain(&self, step: &'a Step) -> Vec<Link> {
        let mut chain = Vec::new();
        let mut seen: HashSet<&Urn> = HashSet::from([&step.urn]);
        // Of the others, only what the one before refers to matters.
        let mut open: VecDeque<(&'a Step, Option<Vec<Path>>)> = VecDeque::from([(step, None)]);
        while let Some((step, outputs)) = open.pop_front() {
            let changes = self.changes(step, outputs.as_deref());
            let mut causes: Vec<(Urn, Path)> = changes
                .iter()
                .flat_map(|change| &change.outputs)
                .map(|output| (output.urn.clone(), output.path.clone()))
                .collect();
            causes.extend(step.outlived_by.iter().map(|outer| (outer.clone(), Path::root())));
            let mut wanted: HashMap<&'a Urn, Vec<Path>> = HashMap::new();
            let mut order = Vec::new();
            for (urn, path) in causes {
                let Some(cause) = self.steps.get(&urn).filter(|cause| cause.is_change()) else { continue };
                if seen.insert(&cause.urn) {
                    order.push(*cause);
                }
                wanted.entry(&cause.urn).or_default().push(path);
            }
            open.extend(order.into_iter().map(|cause| (cause, wanted.remove(&cause.urn))));
            chain.push(Link { urn: step.urn.clone(), op: step.op, why: self.why(step), changes });
        }
        chain
    }

    fn changes(&self, step: &Step, outputs: Option<&[Path]>) -> Vec<Explained> {
        let declared = self.desired.get(&step.urn);
        let explained = |path: &Path, before: Option<&Value>, after: Option<&Value>| Explained {
            path: path.clone(),
            before: before.cloned(),
            after: after.cloned(),
            forces_replacement: step.forced_by.iter().any(|forced| forced.contains(path)),
            outputs: declared.map(|declared| references(declared, path)).unwrap_or_default(),
            changed_by: self.changed_by(step, path),
            declared_at: None,
        };
        let mut all: Vec<Explained> = match step.op {
            Op::Create => unknown_places(&step.inputs)
                .iter()
                .map(|path| explained(path, None, Some(&Value::Unknown)))
                .collect(),
            _ => {
                step.changes.iter().map(|c| explained(&c.path, c.before.as_ref(), c.after.as_ref())).collect()
            }
        };
        // An output that is an input of the same name changes with that one; any other may change with all of them.
        if let (Some(outputs), Op::Update) = (outputs, step.op) {
            let near = |change: &Explained| {
                outputs.iter().any(|path| path.contains(&change.path) || change.path.contains(path))
            };
            if all.iter().any(near) {
                all.retain(near);
            }
        }
        all
    }

    fn fact(&self, recorded: Option<&Recorded>) -> Option<&'a Fact> {
        self.facts.get(&recorded?.urn)
    }

    fn changed_by(&self, step: &Step, path: &Path) -> Option<String> {
        let Some(Fact::There { drift, .. }) = self.fact(step.recorded.as_deref()) else { return None };
        let found = drift.iter().find(|drift| drift.path == *path && step.take_over.contains(path))?;
        Some(found.by.clone().unwrap_or_else(|| "somebody".to_owned()))
    }

    fn why(&self, step: &Step) -> String {
        if let Some(reason) = &step.reason {
            return reason.clone();
        }
        let paths = |paths: &[Path]| paths.iter().map(Path::to_string).collect::<Vec<_>>().join(", ");
        match step.op {
            Op::Create => "it is declared, and nothing is recorded of it".to_owned(),
            Op::Update => "what is declared differs from what is recorded".to_owned(),
            Op::Replace => format!("{} cannot change in place", paths(&step.forced_by)),
            Op::Delete => "it is recorded, and not declared any more".to_owned(),
            Op::Forget | Op::Import => step.op.as_str().to_owned(),
            Op::Same => {
                let mut why = "what is declared is what is recorded".to_owned();
                why.push_str(match self.fact(step.recorded.as_deref()) {
                    Some(_) => ", and it was read just now and is as recorded",
                    None => "; it was not read, what is recorded is trusted",
                });
                if !step.options.ignore_changes.is_empty() {
                    why.push_str(&format!(
                        "; changes of {} are ignored",
                        paths(&step.options.ignore_changes)
                    ));
                }
                if step.adjust {
                    why.push_str("; only its options or dependencies are recorded anew");
                }
                why
            }
        }
    }

    fn dependencies(&self, step: &Step, providers: &Providers) -> Vec<Dependency> {
        let Some(resource) = self.desired.get(&step.urn) else { return Vec::new() };
        let declared: BTreeSet<&Urn> = resource.options.depends_on.iter().collect();
        let known = resource.dependencies();
        let provider = providers.of(step.urn.kind()).ok();
        let prefix = step.urn.kind().split(':').next().unwrap_or_default();
        let own: Vec<&Resource> = self
            .desired
            .resources()
            .iter()
            .filter(|other| other.urn.kind().split(':').next() == Some(prefix))
            .collect();
        let dependency = |urn: &Urn| {
            let how = match (declared.contains(urn), known.contains(urn)) {
                (true, _) => "declared",
                (_, true) => "reference",
                _ => "inferred",
            };
            let rule = (how == "inferred")
                .then(|| provider.and_then(|provider| provider.inferred_because(&own, &step.urn, urn)))
                .flatten();
            let op = self.steps.get(urn).map_or(Op::Same, |step| step.op);
            Dependency { urn: urn.clone(), op, how, rule }
        };
        step.dependencies.iter().map(dependency).collect()
    }
}

/// The outputs that the declared value at a path is made of; those around it, where it lies inside of one.
fn references(declared: &Resource, path: &Path) -> Vec<OutputRef> {
    let mut value = &declared.inputs;
    for segment in path.segments() {
        let below = value.at(&Path::from(vec![segment.clone()]));
        match below {
            Some(below) => value = below,
            None => break,
        }
    }
    let mut found = BTreeSet::new();
    let reached_by = declared.connection.as_ref().filter(|_| *path == Path::parse("connection"));
    reached_by.unwrap_or(value).references(&mut |reference| {
        found.insert(reference.clone());
    });
    found.into_iter().collect()
}

fn unknown_places(value: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    let mut open = vec![(Path::root(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Unknown | Value::Output(_) | Value::Concat(_) => found.push(path),
            Value::Secret(inner) => open.push((path, inner)),
            Value::Map(map) => open.extend(map.iter().rev().map(|(key, value)| (path.key(key), value))),
            Value::List(list) => {
                open.extend(list.iter().enumerate().rev().map(|(at, value)| (path.index(at), value)));
            }
            _ => {}
        }
    }
    found
}
