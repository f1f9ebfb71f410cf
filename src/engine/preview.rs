//! Asking live systems what they say of a plan's changes and deletes before any of them is made: dry runs, all at once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use plinth_provider::{Class, Context, Error, Path, Preview, PreviewRequest, Providers, Recorded, Urn};
use tokio_util::sync::CancellationToken;

use super::plan::{Op, Plan, PlanError, Step};

/// How long asking may take. What has not been answered by then is not known.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What the systems said.
#[derive(Debug, Default)]
pub struct Previews {
    /// Inputs that cannot change in place, by resource.
    pub replaces: BTreeMap<Urn, Vec<Path>>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What would be refused.
    pub refused: Vec<PlanError>,
    /// Whose refusal is about what somebody else has changed: reading them may explain it.
    pub disputed: Vec<Urn>,
}

/// Asks about every change whose system is known. Changes nothing.
pub async fn preview(plan: &Plan, providers: &Providers, cancel: &CancellationToken) -> Previews {
    let of_provider = |wanted: fn(&Step) -> bool| {
        let mut by_provider: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
        for step in plan.steps.iter().filter(|step| wanted(step)) {
            let prefix = step.urn.kind().split(':').next().unwrap_or_default();
            by_provider.entry(prefix).or_default().push(step);
        }
        by_provider.into_values()
    };
    let asked = |steps, deletes| ask(steps, deletes, &plan.stack, providers, cancel);
    let changed = of_provider(is_previewed).map(|steps| asked(steps, false));
    let deleted = of_provider(is_deleted).map(|steps| asked(steps, true));
    let (changed, deleted) = tokio::join!(join_all(changed), join_all(deleted));
    let mut found = Previews::default();
    let mut unanswered: Vec<(&Urn, Error)> = Vec::new();
    for (step, result) in changed.into_iter().chain(deleted).flatten() {
        match result {
            Ok(preview) => found.take(step, preview),
            Err(error) if is_unanswered(error.class) => unanswered.push((&step.urn, error)),
            Err(error) => {
                if error.class == Class::Conflict {
                    found.disputed.push(step.urn.clone());
                }
                let more = error.more.clone().into_iter();
                found.refused.extend(std::iter::once(error).chain(more).map(|error| PlanError::Invalid {
                    urn: step.urn.clone(),
                    path: error.path,
                    message: error.message,
                    help: error.help,
                }));
            }
        }
    }
    if let Some((_, error)) = unanswered.first() {
        let some = match unanswered.len() {
            1 => "a change was".to_owned(),
            many => format!("{many} changes were"),
        };
        found.notes.push(format!(
            "{some} planned without asking the live system, so this is a forecast: {}",
            error.message
        ));
    }
    found
}

impl Previews {
    fn take(&mut self, step: &Step, preview: Preview) {
        self.notes.extend(preview.warnings.into_iter().map(|warning| format!("{}: {warning}", step.urn)));
        let paths: Vec<String> = preview.replaces.iter().map(Path::to_string).collect();
        match step.op {
            Op::Update if !paths.is_empty() => {
                self.replaces.insert(step.urn.clone(), preview.replaces);
            }
            Op::Import if !paths.is_empty() => self.refused.push(PlanError::Invalid {
                urn: step.urn.clone(),
                path: preview.replaces.first().cloned(),
                message: format!(
                    "it cannot be taken over as it is declared: {} cannot change in place",
                    paths.join(", ")
                ),
                help: Some(
                    "declare what is there; what is to be replaced is changed after it was taken over"
                        .to_owned(),
                ),
            }),
            _ => {}
        }
    }
}

fn is_previewed(step: &Step) -> bool {
    let asked = match step.op {
        Op::Create | Op::Update | Op::Replace => true,
        // What was not read yet is not known well enough.
        Op::Import => !step.as_it_is && step.recorded.is_some(),
        _ => false,
    };
    asked && step.connection.as_ref().is_none_or(|connection| !connection.has_unknown())
}

fn is_deleted(step: &Step) -> bool {
    matches!(step.op, Op::Delete | Op::Replace) && step.recorded.is_some() && !step.retains_old()
}

/// Whether the system could not be asked, which says nothing about the change.
fn is_unanswered(class: Class) -> bool {
    matches!(
        class,
        Class::Unavailable
            | Class::Timeout
            | Class::Cancelled
            | Class::Denied
            | Class::UnknownOutcome
            | Class::Throttled { .. }
    )
}

/// Asks one provider about its changes, or about its deletes.
async fn ask<'a>(
    steps: Vec<&'a Step>,
    deletes: bool,
    stack: &str,
    providers: &Providers,
    cancel: &CancellationToken,
) -> Vec<(&'a Step, Result<Preview, Error>)> {
    let Some(first) = steps.first() else { return Vec::new() };
    let Ok(provider) = providers.of(first.urn.kind()) else { return Vec::new() };
    let context = Context { cancel: cancel.clone(), ..Context::new(stack, TIMEOUT) };
    let results = if deletes {
        let going: Vec<&Recorded> = steps.iter().filter_map(|step| step.recorded.as_deref()).collect();
        provider.preview_deletes(&context, &going).await
    } else {
        let requests: Vec<PreviewRequest<'_>> = steps.iter().map(|step| request(step)).collect();
        provider.preview_many(&context, &requests).await
    };
    steps.into_iter().zip(results).collect()
}

fn request(step: &Step) -> PreviewRequest<'_> {
    PreviewRequest {
        urn: &step.urn,
        inputs: &step.inputs,
        connection: step.connection.as_ref(),
        recorded: step.recorded.as_deref().filter(|_| step.op != Op::Create),
        replaces: step.op == Op::Replace,
        dependencies: &step.dependencies,
        take_over: &step.take_over,
    }
}
