//! Change sets: what an update will do, before it does it.

use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    ChangeSetStatus, ChangeSetType, DeploymentMode, Replacement, ResourceChange, StackStatus,
};
use plinth_provider::{Error, Result};

use super::{capabilities, parameters, progress, tag_list};
use crate::error::{failed, is_missing, message, refused};
use crate::kinds::{Call, text};
use crate::wait::{Look, until};

/// Makes the stack what the inputs say, or reverts what others changed inside it; whether there was anything to do.
pub(super) async fn execute(call: &Call<'_>, id: &str, revert: bool) -> Result<bool> {
    let name = name(call, if revert { "revert" } else { "update" });
    let Some(set) = made(call, id, &name, revert).await? else { return Ok(false) };
    for change in changes(&set) {
        call.context.reporter.waiting(&change);
    }
    let cloudformation = &call.aws.cloudformation;
    cloudformation
        .execute_change_set()
        .stack_name(text(call.inputs, "name")?)
        .change_set_name(&name)
        .client_request_token(&name)
        .send()
        .await
        .map_err(|error| failed("cloudformation:ExecuteChangeSet", id, error))?;
    call.context.reporter.started(&name).await?;
    let stack = progress::until_stable(call, id).await?;
    progress::judge(call, &stack, StackStatus::UpdateComplete).await?;
    Ok(true)
}

/// Makes the stack what the inputs say without a change set.
pub(super) async fn update(call: &Call<'_>, id: &str) -> Result<()> {
    let token = name(call, "direct");
    let sent = call
        .aws
        .cloudformation
        .update_stack()
        .stack_name(text(call.inputs, "name")?)
        .template_body(text(call.inputs, "template")?)
        .set_parameters(Some(parameters(call.inputs)))
        .set_capabilities(Some(capabilities(call.inputs)))
        .set_tags(Some(tag_list(call)))
        .client_request_token(&token)
        .send()
        .await;
    match sent {
        Ok(_) => {}
        Err(error) if says_nothing_changes(message(&error)) => return Ok(()),
        Err(error) => return Err(failed("cloudformation:UpdateStack", id, error)),
    }
    call.context.reporter.started(&token).await?;
    let stack = progress::until_stable(call, id).await?;
    progress::judge(call, &stack, StackStatus::UpdateComplete).await
}

/// What an update would do, one line each; nothing stays of it.
pub(super) async fn preview(call: &Call<'_>, id: &str) -> Result<Vec<String>> {
    let name = name(call, "preview");
    let set = made(call, id, &name, false).await?;
    let told = set.as_ref().map(changes).unwrap_or_default();
    if set.is_some() {
        discard(call, id, &name).await?;
    }
    Ok(told)
}

/// The same for every try of one step, and a name as CloudFormation takes it.
fn name(call: &Call<'_>, what: &str) -> String {
    format!("plinth-{what}-{}", call.context.token)
}

/// Makes a change set and waits until it is worked out; `None` when nothing would change.
async fn made(
    call: &Call<'_>,
    id: &str,
    name: &str,
    revert: bool,
) -> Result<Option<DescribeChangeSetOutput>> {
    let stack = text(call.inputs, "name")?;
    let made = call
        .aws
        .cloudformation
        .create_change_set()
        .stack_name(stack)
        .change_set_name(name)
        .change_set_type(ChangeSetType::Update)
        .template_body(text(call.inputs, "template")?)
        .set_parameters(Some(parameters(call.inputs)))
        .set_capabilities(Some(capabilities(call.inputs)))
        .set_tags(Some(tag_list(call)))
        .set_deployment_mode(revert.then_some(DeploymentMode::RevertDrift))
        .client_token(name)
        .send()
        .await;
    match made {
        Ok(_) => {}
        Err(error) if says_nothing_changes(message(&error)) => return Ok(None),
        // An earlier try of this step made it.
        Err(error) if error.code() == Some("AlreadyExistsException") => {}
        Err(error) => return Err(failed("cloudformation:CreateChangeSet", id, error)),
    }
    let set = until(call.context, call.settings.poll, || async {
        let got = call
            .aws
            .cloudformation
            .describe_change_set()
            .stack_name(stack)
            .change_set_name(name)
            .send()
            .await;
        let got = match got {
            // What was made a moment ago may not be seen yet.
            Err(error) if is_missing(&error) => {
                return Ok(Look::Waiting("CloudFormation does not show the changes yet".to_owned()));
            }
            got => got.map_err(|error| refused("cloudformation:DescribeChangeSet", id, error))?,
        };
        Ok(match got.status() {
            Some(ChangeSetStatus::CreateComplete | ChangeSetStatus::Failed) => Look::Done(got),
            _ => Look::Waiting("CloudFormation works out the changes".to_owned()),
        })
    })
    .await?;
    if set.status() != Some(&ChangeSetStatus::Failed) {
        return Ok(Some(set));
    }
    let why = set.status_reason().unwrap_or_default().to_owned();
    discard(call, id, name).await?;
    if says_nothing_changes(&why) {
        return Ok(None);
    }
    Err(Error::invalid(format!("CloudFormation refuses the change of {id}: {why}")))
}

/// CloudFormation has no code for this, only words.
fn says_nothing_changes(said: &str) -> bool {
    said.contains("didn't contain changes") || said.contains("No updates are to be performed")
}

async fn discard(call: &Call<'_>, id: &str, name: &str) -> Result<()> {
    let gone = call
        .aws
        .cloudformation
        .delete_change_set()
        .stack_name(text(call.inputs, "name")?)
        .change_set_name(name)
        .send()
        .await;
    match gone {
        Err(error) if !is_missing(&error) => Err(failed("cloudformation:DeleteChangeSet", id, error)),
        _ => Ok(()),
    }
}

fn changes(set: &DescribeChangeSetOutput) -> Vec<String> {
    set.changes().iter().filter_map(|change| change.resource_change()).map(told).collect()
}

fn told(change: &ResourceChange) -> String {
    let what = change.logical_resource_id().unwrap_or("a resource");
    let kind = change.resource_type().unwrap_or_default();
    let action = change.action().map_or_else(String::new, |action| action.as_str().to_lowercase());
    let replaces = match change.replacement() {
        Some(Replacement::True) => ", by a new one",
        Some(Replacement::Conditional) => ", by a new one under circumstances",
        _ => "",
    };
    format!("CloudFormation would {action} {what} ({kind}){replaces}")
}
