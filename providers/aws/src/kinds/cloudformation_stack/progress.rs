//! Where a stack is on its way, and why it did not arrive. The SDK's own waiters take a rolled back update for a
//! success, so the last status is judged here.

use aws_sdk_cloudformation::types::{Stack as Described, StackEvent, StackStatus};
use plinth_provider::{Class, Error, Result};

use super::described;
use crate::error::{code, message, refused};
use crate::kinds::Call;
use crate::wait::{Look, until};

/// How many of the things that failed are told.
const TOLD: usize = 5;

fn status(stack: &Described) -> &str {
    stack.stack_status().map_or("of no status", StackStatus::as_str)
}

fn is_moving(stack: &Described) -> bool {
    status(stack).ends_with("_IN_PROGRESS") && stack.stack_status() != Some(&StackStatus::ReviewInProgress)
}

/// Waits until nothing moves any more, whoever began it; `None` when it is gone by then.
pub(super) async fn settled(call: &Call<'_>, stack: Described) -> Result<Option<Described>> {
    if !is_moving(&stack) {
        return Ok(Some(stack));
    }
    let id = stack.stack_id().unwrap_or_default().to_owned();
    until(call.context, call.settings.poll, || async {
        match described(call, &id).await? {
            None => Ok(Look::Done(None)),
            Some(stack) if is_moving(&stack) => Ok(Look::Waiting(on_its_way(call, &stack).await)),
            Some(stack) => Ok(Look::Done(Some(stack))),
        }
    })
    .await
}

/// Waits until a stack that must exist moves no more.
pub(super) async fn until_stable(call: &Call<'_>, id: &str) -> Result<Described> {
    until(call.context, call.settings.poll, || async {
        match described(call, id).await? {
            // A stack made a moment ago may not be seen yet.
            None => Ok(Look::Waiting(format!("CloudFormation does not show {id} yet"))),
            Some(stack) if is_moving(&stack) => Ok(Look::Waiting(on_its_way(call, &stack).await)),
            Some(stack) => Ok(Look::Done(stack)),
        }
    })
    .await
}

/// Waits until a stack is gone.
pub(super) async fn until_gone(call: &Call<'_>, id: &str) -> Result<()> {
    until(call.context, call.settings.poll, || async {
        match described(call, id).await? {
            None => Ok(Look::Done(())),
            Some(stack) if stack.stack_status() == Some(&StackStatus::DeleteFailed) => {
                let why = reasons(call, &stack).await?;
                let said = stack.stack_status_reason().unwrap_or_default();
                Err(Error::new(Class::Conflict, format!("CloudFormation cannot remove {id}: {said}{why}")).help(
                    "remove what stands in the way (load balancers and network interfaces that Kubernetes left, most often) and run it again",
                ))
            }
            Some(stack) => Ok(Look::Waiting(on_its_way(call, &stack).await)),
        }
    })
    .await
}

/// Fails unless the stack came to the status that was meant.
pub(super) async fn judge(call: &Call<'_>, stack: &Described, wanted: StackStatus) -> Result<()> {
    if stack.stack_status() == Some(&wanted) {
        return Ok(());
    }
    let why = reasons(call, stack).await?;
    let name = stack.stack_name().unwrap_or_default();
    let said = stack.stack_status_reason().unwrap_or_default();
    Err(Error::invalid(format!("the CloudFormation stack {name} ended in {}: {said}{why}", status(stack)))
        .help("correct what failed and apply again; what was made was rolled back"))
}

/// A stack whose last change could not be rolled back takes no other.
pub(super) fn refuse_stuck(stack: &Described) -> Result<()> {
    let name = stack.stack_name().unwrap_or_default();
    match stack.stack_status() {
        Some(StackStatus::UpdateRollbackFailed) => Err(Error::invalid(format!(
            "the CloudFormation stack {name} is in UPDATE_ROLLBACK_FAILED and takes no update"
        ))
        .help(format!(
            "correct what stands in the way, then `aws cloudformation continue-update-rollback --stack-name {name}`"
        ))),
        Some(StackStatus::DeleteFailed | StackStatus::RollbackComplete | StackStatus::RollbackFailed) => {
            Err(Error::invalid(format!("the CloudFormation stack {name} is in {} and takes no update", status(stack)))
                .help("it can only be removed: take it out of the stack file, apply, and put it in again"))
        }
        _ => Ok(()),
    }
}

/// What it is doing now, in a few words.
async fn on_its_way(call: &Call<'_>, stack: &Described) -> String {
    let name = stack.stack_name().unwrap_or_default();
    let id = stack.stack_id().unwrap_or(name);
    let latest = match call.aws.cloudformation.describe_stack_events().stack_name(id).send().await {
        Ok(got) => got.stack_events().first().and_then(what),
        Err(_) => None,
    };
    match latest {
        Some(latest) => format!("{name} is {}: {latest}", status(stack)),
        None => format!("{name} is {}", status(stack)),
    }
}

fn what(event: &StackEvent) -> Option<String> {
    let what = format!("{} {}", event.logical_resource_id()?, event.resource_status()?.as_str());
    Some(match event.resource_status_reason() {
        Some(reason) => format!("{what} ({reason})"),
        None => what,
    })
}

/// What failed of the last change, the first cause first.
async fn reasons(call: &Call<'_>, stack: &Described) -> Result<String> {
    let id = stack.stack_id().unwrap_or_default();
    let got = match call.aws.cloudformation.describe_stack_events().stack_name(id).send().await {
        Ok(got) => got,
        Err(error) if code(&error) == "ValidationError" && message(&error).contains("does not exist") => {
            return Ok(String::new());
        }
        Err(error) => return Err(refused("cloudformation:DescribeStackEvents", id, error)),
    };
    // The newest come first; what others failed for is only cancelled.
    let mut failed: Vec<String> = Vec::new();
    for event in got.stack_events() {
        let of_stack = event.physical_resource_id() == Some(id);
        let status = event.resource_status().map_or("", |status| status.as_str());
        // Where this change began, earlier ones end.
        if of_stack && matches!(status, "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS") {
            break;
        }
        let cancelled = event.resource_status_reason().is_some_and(|reason| reason.contains("cancelled"));
        if !of_stack && status.ends_with("_FAILED") && !cancelled {
            failed.extend(what(event));
        }
    }
    failed.reverse();
    failed.truncate(TOLD);
    Ok(if failed.is_empty() { String::new() } else { format!("; {}", failed.join("; ")) })
}
