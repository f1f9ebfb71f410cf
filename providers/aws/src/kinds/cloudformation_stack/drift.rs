//! What somebody changed inside a stack, by CloudFormation's own detection.

use std::time::Duration;

use aws_sdk_cloudformation::config::Builder;
use aws_sdk_cloudformation::types::{
    Stack as Described, StackDriftDetectionStatus, StackResourceDriftStatus, StackStatus,
};
use plinth_provider::{Class, Drift, Error, Live, Path, Result, Value};
use serde_json::json;

use crate::error::refused;
use crate::kinds::Call;
use crate::wait::{Look, until};

/// Under this path a stack's own resources are told of; no input has that name.
const INSIDE: &str = "resources";

/// Whether a path is that of something inside a stack.
pub(super) fn is_inside(path: &Path) -> bool {
    Path::parse(INSIDE).contains(path)
}

/// Lets CloudFormation compare, and keeps what it finds. Who may not ask, or whose CloudFormation cannot, is told once
/// and sees the rest.
pub(super) async fn detected(call: &Call<'_>, stack: &Described) -> Result<serde_json::Value> {
    let comparable = matches!(
        stack.stack_status(),
        Some(
            StackStatus::CreateComplete
                | StackStatus::UpdateComplete
                | StackStatus::UpdateRollbackComplete
                | StackStatus::UpdateRollbackFailed
        )
    );
    if !comparable {
        return Ok(serde_json::Value::Null);
    }
    match compare(call, stack).await {
        Err(error)
            if matches!(
                error.class,
                Class::Denied | Class::Unavailable | Class::UnknownOutcome | Class::Invalid
            ) =>
        {
            let name = stack.stack_name().unwrap_or_default();
            call.context
                .reporter
                .warning(&format!("what is inside {name} was not compared: {}", error.message));
            Ok(serde_json::Value::Null)
        }
        result => result,
    }
}

async fn compare(call: &Call<'_>, stack: &Described) -> Result<serde_json::Value> {
    let id = stack.stack_id().unwrap_or_default();
    let cloudformation = &call.aws.cloudformation;
    // What cannot do it says so at once, and asking again changes nothing.
    let once = aws_config::retry::RetryConfig::standard().with_max_attempts(2);
    let once = once.with_initial_backoff(Duration::from_millis(100));
    let begun = cloudformation.detect_stack_drift().stack_name(id).customize();
    let begun = begun.config_override(Builder::new().retry_config(once)).send().await;
    let begun = begun.map_err(|error| refused("cloudformation:DetectStackDrift", id, error))?;
    let detection = begun.stack_drift_detection_id().unwrap_or_default().to_owned();
    until(call.context, call.settings.poll, || async {
        let got = cloudformation
            .describe_stack_drift_detection_status()
            .stack_drift_detection_id(&detection)
            .send()
            .await
            .map_err(|error| refused("cloudformation:DescribeStackDriftDetectionStatus", id, error))?;
        match got.detection_status() {
            Some(StackDriftDetectionStatus::DetectionInProgress) => {
                Ok(Look::Waiting("CloudFormation compares what is there".to_owned()))
            }
            // Even then those that could be compared are told.
            Some(StackDriftDetectionStatus::DetectionFailed)
                if got.drifted_stack_resource_count().is_none() =>
            {
                let why = got.detection_status_reason().unwrap_or("it does not say why");
                Err(Error::invalid(format!("CloudFormation could not compare {id}: {why}")))
            }
            _ => Ok(Look::Done(())),
        }
    })
    .await?;
    let mut found = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = cloudformation
            .describe_stack_resource_drifts()
            .stack_name(id)
            .stack_resource_drift_status_filters(StackResourceDriftStatus::Modified)
            .stack_resource_drift_status_filters(StackResourceDriftStatus::Deleted)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| refused("cloudformation:DescribeStackResourceDrifts", id, error))?;
        for drift in page.stack_resource_drifts() {
            let deleted = match drift.stack_resource_drift_status() {
                Some(StackResourceDriftStatus::Deleted) => true,
                Some(StackResourceDriftStatus::Modified) => false,
                _ => continue,
            };
            let differences: Vec<_> = drift
                .property_differences()
                .iter()
                .map(|difference| {
                    json!({
                        "path": difference.property_path(),
                        "expected": difference.expected_value(),
                        "actual": difference.actual_value(),
                    })
                })
                .collect();
            found.push(json!({
                "name": drift.logical_resource_id(),
                "id": drift.physical_resource_id(),
                "deleted": deleted,
                "differences": differences,
            }));
        }
        next = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if next.is_none() {
            return Ok(found.into());
        }
    }
}

/// What was found, as drift.
pub(super) fn told(live: &Live) -> Vec<Drift> {
    let text =
        |json: &serde_json::Value, key: &str| json.get(key).and_then(|held| held.as_str().map(str::to_owned));
    let drift = |path: Path, recorded: Option<String>, live: Option<String>| Drift {
        path,
        recorded: recorded.map(Value::from),
        live: live.map(Value::from),
        by: None,
        at: None,
    };
    let mut told = Vec::new();
    for resource in live.details.as_array().into_iter().flatten() {
        let path = Path::parse(INSIDE).key(text(resource, "name").unwrap_or_default());
        if resource.get("deleted") == Some(&true.into()) {
            told.push(drift(path, text(resource, "id"), None));
            continue;
        }
        for difference in resource.get("differences").and_then(|held| held.as_array()).into_iter().flatten() {
            let inner = text(difference, "path").unwrap_or_default();
            let steps = inner.split('/').filter(|step| !step.is_empty());
            let path = steps.fold(path.clone(), |path, step| path.key(step));
            let said = |key: &str| text(difference, key).filter(|said| said != "null");
            told.push(drift(path, said("expected"), said("actual")));
        }
    }
    told
}
