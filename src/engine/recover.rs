//! Recovery: what became of operations that an earlier run began and never finished. Runs under the lease, before
//! planning, without a human.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures::future::join_all;
use plinth_provider::{Context, Error, Providers, ReadRequest, Recorded, Redactor, Request, Urn, Value};
use plinth_state::{Action, Event as LogEvent, Intent, OutcomeResult, PendingOp, State, Writer};
use tokio_util::sync::CancellationToken;

use super::event::{Event, Events};
use super::graph::Desired;

/// How long finding one thing out may take.
const FIND_TIMEOUT: Duration = Duration::from_secs(120);

/// What is left to know of operations that an earlier run began.
#[derive(Debug, Default)]
pub struct Resolved {
    /// Creates of which nothing was found: they stay open, for [`look_again`].
    pub doubts: Vec<Intent>,
    /// Handles of long operations that may still be under way, by resource: their waits go on.
    pub handles: HashMap<Urn, String>,
}

/// Resolves every pending operation: adopts what was made, records what never happened.
///
/// What is found to exist is recorded as unsettled, so that the plan that follows brings it to its inputs and waits
/// until it is ready.
///
/// # Errors
/// When a system could not be asked or the log could not be written. Nothing is guessed.
pub async fn recover(
    writer: &Writer,
    providers: &Providers,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Resolved, RecoverError> {
    let state = writer.state();
    if !state.pending.is_empty() {
        events.send(Event::Recovering { operations: state.pending.len() });
    }
    let found =
        join_all(state.pending.values().map(|pending| resolve(pending, &state, providers, cancel))).await;
    let mut outcomes = Vec::with_capacity(found.len());
    let mut resolved = Resolved::default();
    for (pending, result) in state.pending.values().zip(found) {
        let intent = &pending.intent;
        let result = result.map_err(|error| {
            let redactor = Redactor::of([&intent.inputs].into_iter().chain(&intent.connection));
            RecoverError::Provider { urn: intent.urn.clone(), error: Box::new(redactor.error(error)) }
        })?;
        events.send(Event::Recovered {
            urn: intent.urn.clone(),
            action: intent.action.as_str().to_owned(),
            found: describe(intent.action, &result).to_owned(),
        });
        // Its request may still be on its way. Where nobody knows the kind, looking again finds out no more, and once
        // the log is no longer in doubt it would stop every run.
        let can_be_asked = providers.of(intent.urn.kind()).is_ok();
        if intent.action == Action::Create && result == OutcomeResult::NotHappened && can_be_asked {
            resolved.doubts.push(intent.clone());
            continue;
        }
        if let (Some(handle), OutcomeResult::Succeeded { .. }) = (&pending.handle, &result) {
            resolved.handles.insert(intent.urn.clone(), handle.clone());
        }
        outcomes.push(LogEvent::Outcome { op: intent.op, result, duration_ms: 0 });
    }
    drop(state);
    writer.append(outcomes).await?;
    Ok(resolved)
}

/// Looks once more for what an interrupted run may have been creating, at the end of the run that found nothing: a
/// request that was on its way may have arrived since. What is there is recorded as unsettled, so that the next run
/// brings it to its inputs or deletes it; nothing is orphaned. Until then the intents stay open, so that a run that
/// does not come to its end leaves the question to the next; so they do while the process that began them may still live.
///
/// # Errors
/// As [`recover`].
pub async fn look_again(
    writer: &Writer,
    doubts: Vec<Intent>,
    providers: &Providers,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<(), RecoverError> {
    let state = writer.state();
    let open: Vec<_> = doubts.iter().filter_map(|intent| state.pending.get(&intent.op).cloned()).collect();
    let found = join_all(open.iter().map(|pending| resolve(pending, &state, providers, cancel))).await;
    drop(state);
    let (mut outcomes, now) = (Vec::with_capacity(open.len()), jiff::Timestamp::now());
    for (pending, result) in open.iter().zip(found) {
        let urn = &pending.intent.urn;
        let result =
            result.map_err(|error| RecoverError::Provider { urn: urn.clone(), error: Box::new(error) })?;
        if matches!(result, OutcomeResult::Succeeded { .. }) {
            let message = format!(
                "{urn}, which an interrupted run was creating, has appeared after all; it is recorded, and the next run \
                 brings it to the stack file"
            );
            events.send(Event::Note { message });
        } else if pending.may_still_happen(now) {
            // Stopped, not dead, or on a machine that we cannot ask: the next run looks again.
            continue;
        }
        outcomes.push(LogEvent::Outcome { op: pending.intent.op, result, duration_ms: 0 });
    }
    writer.append(outcomes).await?;
    Ok(())
}

/// Why recovery stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecoverError {
    /// A system could not be asked.
    #[error(
        "an earlier run was interrupted while it worked on {urn}, and what became of that cannot be found out: {error}"
    )]
    Provider {
        /// Which resource.
        urn: Urn,
        /// Why not.
        error: Box<Error>,
    },
    /// The log could not be written.
    #[error(transparent)]
    State(#[from] plinth_state::Error),
}

/// Looks for what is declared, now or by the newest revision, and not recorded, and takes over what exists: after a repair of the log that could not
/// prove what the lost entries told. One round after the other, as long as one makes the inputs of others known.
///
/// # Errors
/// As [`recover`].
pub async fn look_for(
    desired: &Desired,
    writer: &Writer,
    providers: &Providers,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<(), RecoverError> {
    let mut asked: BTreeSet<Urn> = BTreeSet::new();
    loop {
        let state = writer.state();
        let mut intents = Vec::new();
        let declared = state.declared.values().map(AsRef::as_ref);
        let declared = declared.filter(|resource| desired.position(&resource.urn).is_none());
        for resource in desired.resources().iter().chain(declared) {
            if state.resources.contains_key(&resource.urn) || asked.contains(&resource.urn) {
                continue;
            }
            let mut lookup = |reference: &plinth_provider::OutputRef| {
                state.resources.get(&reference.urn)?.outputs.lookup(&reference.path)
            };
            let mut intent = Intent::new(writer.next_op(), Action::Create, resource.urn.clone());
            intent.inputs = resource.inputs.resolve(&mut lookup);
            intent.connection =
                resource.connection.as_ref().map(|connection| connection.resolve(&mut lookup));
            intent.dependencies = match desired.position(&resource.urn) {
                Some(at) => desired.dependency_urns(at),
                None => resource.options.depends_on.clone(),
            };
            intent.options = resource.options.clone();
            if intent.inputs.has_unknown() || intent.connection.as_ref().is_some_and(Value::has_unknown) {
                continue;
            }
            asked.insert(resource.urn.clone());
            intents.push(LogEvent::Intent(Box::new(intent)));
        }
        drop(state);
        if intents.is_empty() {
            return Ok(());
        }
        let own: BTreeSet<u64> = intents
            .iter()
            .filter_map(|event| match event {
                LogEvent::Intent(intent) => Some(intent.op),
                _ => None,
            })
            .collect();
        writer.append(intents).await?;
        let missing = recover(writer, providers, events, cancel).await?.doubts;
        // Nobody has asked for these: what is not there does not arrive later either.
        let missing = missing.into_iter().filter(|intent| own.contains(&intent.op));
        let closed = missing.map(|intent| LogEvent::Outcome {
            op: intent.op,
            result: OutcomeResult::NotHappened,
            duration_ms: 0,
        });
        writer.append(closed.collect()).await?;
    }
}

fn describe(action: Action, result: &OutcomeResult) -> &'static str {
    match (action, result) {
        (Action::Create, OutcomeResult::Succeeded { .. }) => "it was created; taken over",
        (Action::Create, _) => "it was not created",
        (Action::Delete, OutcomeResult::Deleted) => "it was deleted",
        (Action::Delete, _) => "it was not deleted",
        _ => "it may be half done; it will be brought to its inputs again",
    }
}

async fn resolve(
    pending: &PendingOp,
    state: &State,
    providers: &Providers,
    cancel: &CancellationToken,
) -> Result<OutcomeResult, Error> {
    let intent = &pending.intent;
    let provider = match providers.of(intent.urn.kind()) {
        // What a repair took from a damaged entry may name what never was, of a kind that nobody knows.
        Err(_) if state.doubtful => return Ok(OutcomeResult::NotHappened),
        provider => provider?,
    };
    let context = Context { cancel: cancel.clone(), ..Context::new(intent.urn.stack(), FIND_TIMEOUT) };
    let context = Context { token: intent.token.clone(), handle: pending.handle.clone(), ..context };
    let recorded = recorded_instance(pending, state);
    let beside = recorded.filter(|_| intent.replaces && intent.action == Action::Create);
    let context = Context { beside: beside.map(|old| old.id.clone()), ..context };
    match intent.action {
        Action::Create => {
            let request =
                Request { urn: &intent.urn, inputs: &intent.inputs, connection: intent.connection.as_ref() };
            let found = provider.find(&context, request).await?;
            let own = |live: &plinth_provider::Live| {
                // While the old instance of a replacement still stands, finding it proves nothing.
                !intent.replaces || recorded.is_none_or(|recorded| recorded.id != live.id)
            };
            Ok(match found.filter(own) {
                None => OutcomeResult::NotHappened,
                Some(live) => OutcomeResult::Succeeded {
                    recorded: Box::new(Recorded {
                        urn: intent.urn.clone(),
                        id: live.id,
                        inputs: intent.inputs.clone(),
                        outputs: provider.schema(intent.urn.kind())?.seal(live.outputs),
                        connection: intent.connection.clone(),
                        dependencies: intent.dependencies.clone(),
                        options: intent.options.clone(),
                        unsettled: true,
                    }),
                },
            })
        }
        Action::Delete => match recorded {
            None => Ok(OutcomeResult::Deleted),
            Some(recorded) => match provider.read(&context, ReadRequest { recorded }).await? {
                None => Ok(OutcomeResult::Deleted),
                // A delete that was accepted may still be under way.
                Some(_) if intent.replaces => Ok(OutcomeResult::NotHappened),
                Some(_) => Ok(unsettled(recorded)),
            },
        },
        _ => Ok(recorded.map_or(OutcomeResult::NotHappened, unsettled)),
    }
}

fn unsettled(recorded: &Recorded) -> OutcomeResult {
    OutcomeResult::Succeeded { recorded: Box::new(Recorded { unsettled: true, ..recorded.clone() }) }
}

/// The recorded instance that an operation was done to.
fn recorded_instance<'a>(pending: &PendingOp, state: &'a State) -> Option<&'a Recorded> {
    let intent = &pending.intent;
    if intent.action == Action::Delete && intent.replaces {
        let of_urn = state.superseded.iter().filter(|old| old.urn == intent.urn);
        return of_urn
            .filter(|old| intent.id.as_ref().is_none_or(|id| *id == old.id))
            .map(AsRef::as_ref)
            .next();
    }
    state.resources.get(&intent.urn).map(|tracked| tracked.recorded.as_ref())
}
