//! What IAM says of permissions without anything being done.

use std::time::Duration;

use aws_sdk_iam::config::Builder;
use aws_sdk_iam::operation::simulate_principal_policy::builders::SimulatePrincipalPolicyFluentBuilder;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType};
use plinth_provider::{Error, Result};

use super::Permissions;
use crate::Clients;
use crate::error::refused;
use crate::marks::STACK;

/// How many actions are asked about at once.
const ACTIONS_AT_ONCE: usize = 20;

/// An action that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The action.
    pub action: String,
    /// On what.
    pub resource: String,
}

/// What of the permissions the caller does not have.
///
/// # Errors
/// When IAM does not tell: asking is a permission of its own, and the account's root has no policies to look at.
pub async fn missing(clients: &Clients, permissions: &Permissions) -> Result<Vec<Missing>> {
    let source = principal(clients).await?;
    let mut found = Vec::new();
    for statement in &permissions.statements {
        for actions in statement.actions.chunks(ACTIONS_AT_ONCE) {
            let mut ask = clients
                .iam
                .simulate_principal_policy()
                .policy_source_arn(&source)
                .set_action_names(Some(actions.to_vec()))
                .set_resource_arns(Some(statement.resources.clone()));
            if statement.tagged {
                let tag = ContextEntry::builder()
                    .context_key_name(format!("aws:ResourceTag/{STACK}"))
                    .context_key_type(ContextKeyTypeEnum::String)
                    .context_key_values(&permissions.place.stack)
                    .build();
                ask = ask.context_entries(tag);
            }
            for result in asked(&source, ask).await? {
                let denied = |decision: &PolicyEvaluationDecisionType| {
                    *decision != PolicyEvaluationDecisionType::Allowed
                };
                let each = result.resource_specific_results();
                let of_each = each.iter().filter(|one| denied(one.eval_resource_decision()));
                let mut resources: Vec<String> =
                    of_each.map(|one| one.eval_resource_name().to_owned()).collect();
                if each.is_empty() && denied(result.eval_decision()) {
                    resources.push(result.eval_resource_name().unwrap_or("*").to_owned());
                }
                let action = result.eval_action_name().to_owned();
                found.extend(
                    resources.into_iter().map(|resource| Missing { action: action.clone(), resource }),
                );
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Every page of an answer. What cannot simulate says so at once, and asking again changes nothing.
async fn asked(source: &str, ask: SimulatePrincipalPolicyFluentBuilder) -> Result<Vec<EvaluationResult>> {
    let once = aws_config::retry::RetryConfig::standard().with_max_attempts(2);
    let once = once.with_initial_backoff(Duration::from_millis(100));
    let mut results = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let page = ask.clone().set_marker(marker).customize();
        let page = page.config_override(Builder::new().retry_config(once.clone())).send().await;
        let page = page.map_err(|error| refused("iam:SimulatePrincipalPolicy", source, error))?;
        results.extend(page.evaluation_results().iter().cloned());
        marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
        if marker.is_none() {
            return Ok(results);
        }
    }
}

/// Whose policies count: of a session, those of its role, under its whole path.
async fn principal(clients: &Clients) -> Result<String> {
    let arn = &clients.identity.arn;
    if arn.ends_with(":root") {
        return Err(Error::invalid("the account's root may do everything and should do nothing: use a role"));
    }
    let Some((_, session)) = arn.split_once(":assumed-role/") else { return Ok(arn.clone()) };
    let role = session.split('/').next().unwrap_or(session);
    let got = clients.iam.get_role().role_name(role).send().await;
    let got = got.map_err(|error| refused("iam:GetRole", role, error))?;
    Ok(got.role().map(|role| role.arn().to_owned()).unwrap_or_default())
}
