//! What already stands where a plan would make something: asked before a create is approved, so that adoption is a
//! planned step and nothing is found to exist half-way through a run.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use plinth_provider::{
    Class, Context, Error, Occupant, Options, Owner, Providers, ReadRequest, Recorded, Request, Urn, Value,
};
use tokio_util::sync::CancellationToken;

use super::plan::{Op, Plan, PlanError, Scope, Step};

/// How long the asking may take. It makes a plan more exact; a system that is away must not hold it up for long.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was found, and what could not be found out.
#[derive(Debug, Default)]
pub struct Existing {
    /// What stands there.
    pub found: BTreeMap<Urn, Occupant>,
    /// Resources of which it is not known, and why.
    pub unknown: Vec<(Urn, Error)>,
    /// What is to be taken over and cannot be.
    pub errors: Vec<PlanError>,
}

/// Asks for everything that the plan would make or take over.
pub async fn look(plan: &Plan, scope: &Scope, providers: &Providers, cancel: &CancellationToken) -> Existing {
    let mut by_provider: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| matches!(step.op, Op::Create | Op::Import)) {
        if step.connection.as_ref().is_none_or(|connection| !connection.has_unknown()) {
            let prefix = step.urn.kind().split(':').next().unwrap_or_default();
            by_provider.entry(prefix).or_default().push(step);
        }
    }
    let mut existing = Existing::default();
    let asked = join_all(by_provider.into_values().map(|steps| ask(steps, providers, cancel))).await;
    for (step, found) in asked.into_iter().flatten() {
        let wanted = scope.imports.get(&step.urn).or(step.options.import.as_ref());
        match (found, wanted) {
            (Err(error), _) => existing.unknown.push((step.urn.clone(), error)),
            (Ok(None), None) => {}
            (Ok(Some(occupant)), None) => {
                existing.found.insert(step.urn.clone(), occupant);
            }
            (Ok(occupant), Some(id)) => match named(step, id, occupant, providers, cancel).await {
                Ok(Ok(occupant)) => {
                    existing.found.insert(step.urn.clone(), occupant);
                }
                Ok(Err(error)) => existing.errors.push(error),
                Err(error) => existing.unknown.push((step.urn.clone(), error)),
            },
        }
    }
    existing
}

fn context(urn: &Urn, cancel: &CancellationToken) -> Context {
    Context { cancel: cancel.clone(), ..Context::new(urn.stack(), PATIENCE) }
}

type Answer = Result<Option<Occupant>, Error>;

async fn ask<'a>(
    steps: Vec<&'a Step>,
    providers: &Providers,
    cancel: &CancellationToken,
) -> Vec<(&'a Step, Answer)> {
    let Some(first) = steps.first() else { return Vec::new() };
    let provider = match providers.of(first.urn.kind()) {
        Ok(provider) => provider,
        Err(error) => return steps.into_iter().map(|step| (step, Err(error.clone()))).collect(),
    };
    let requests: Vec<Request<'_>> = steps
        .iter()
        .map(|step| Request { urn: &step.urn, inputs: &step.inputs, connection: step.connection.as_ref() })
        .collect();
    let answers = provider.occupants(&context(&first.urn, cancel), &requests).await;
    steps.into_iter().zip(answers).collect()
}

/// What has the id that is to be imported: it must be what the resource declares.
async fn named(
    step: &Step,
    id: &str,
    occupant: Option<Occupant>,
    providers: &Providers,
    cancel: &CancellationToken,
) -> Result<Result<Occupant, PlanError>, Error> {
    let refuse = |message: String, help: &str| {
        Ok(Err(PlanError::Invalid {
            urn: step.urn.clone(),
            path: None,
            message,
            help: Some(help.to_owned()),
        }))
    };
    let provider = providers.of(step.urn.kind())?;
    let recorded = Recorded {
        urn: step.urn.clone(),
        id: id.to_owned(),
        inputs: Value::Null,
        outputs: Value::Null,
        connection: step.connection.clone(),
        dependencies: Vec::new(),
        options: Options::default(),
        unsettled: false,
    };
    let read = provider.read(&context(&step.urn, cancel), ReadRequest { recorded: &recorded }).await;
    let live = match read {
        Err(error) if error.class != Class::NotFound => return Err(error),
        Err(_) | Ok(None) => {
            return refuse(
                format!("there is no {} `{id}` to take over", step.urn.kind()),
                "see what exists; an id is `namespace/name` (or the name alone) of an object, the id or name of a cloud's resource",
            );
        }
        Ok(Some(live)) => live,
    };
    match occupant {
        Some(occupant) if occupant.live.id == live.id => Ok(Ok(occupant)),
        // Its own inputs do not tell where it is; what has the id is what is meant.
        None if step.inputs.has_unknown() => Ok(Ok(Occupant { live, owner: Owner::Nobody })),
        _ => refuse(
            format!("`{}` is not what the resource declares: its inputs name another one", live.id),
            "declare the name (and namespace) of what is to be taken over, or correct the id",
        ),
    }
}
