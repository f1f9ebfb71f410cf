//! What CloudFormation finds changed behind its back, and change sets that revert it: no server that other people wrote does
//! the latter. Everything else of it is theirs.

use std::collections::HashMap;
use std::fmt::Write as _;

use axum::response::{IntoResponse as _, Response};

use super::world::World;

/// Something inside a stack that somebody has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackDrift {
    /// Its name in the template.
    pub resource: String,
    /// Its type, such as `AWS::EC2::Subnet`.
    pub kind: String,
    /// The property, such as `/MapPublicIpOnLaunch`.
    pub property: String,
    /// What the template says.
    pub expected: String,
    /// What is there.
    pub actual: String,
}

/// A change set that reverts drift.
#[derive(Debug)]
pub(super) struct Revert {
    stack: String,
    template: String,
}

/// What becomes of a call.
pub(super) enum Turn {
    /// It is the other server's.
    Theirs,
    /// It is answered here.
    Answered(Response),
    /// The other server gets this instead, and when it has done it, this is the answer.
    Instead(String, Response),
}

type Form = HashMap<String, Vec<String>>;

fn text<'a>(form: &'a Form, key: &str) -> &'a str {
    form.get(key).and_then(|values| values.first()).map_or("", String::as_str)
}

/// A stack's name, also of its ARN.
fn name(form: &Form) -> String {
    let asked = text(form, "StackName");
    asked.split("stack/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or(asked).to_owned()
}

fn reply(action: &str, inner: &str) -> Response {
    let body = format!(
        "<{action}Response xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><{action}Result>{inner}</{action}Result>\
         <ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{action}Response>"
    );
    ([("content-type", "text/xml")], body).into_response()
}

/// Percent-encodes a value of a form.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte.is_ascii_alphanumeric() {
            true => encoded.push(char::from(byte)),
            false => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}

pub(super) fn turn(world: &mut World, form: &Form) -> Turn {
    const WHEN: &str = "2026-11-23T00:00:00Z";
    let action = text(form, "Action");
    let set = text(form, "ChangeSetName").to_owned();
    let stack = name(form);
    let drifts = |world: &World, stack: &str| world.drifts.get(stack).cloned().unwrap_or_default();
    match action {
        "DetectStackDrift" => {
            Turn::Answered(reply(action, &format!("<StackDriftDetectionId>{stack}</StackDriftDetectionId>")))
        }
        "DescribeStackDriftDetectionStatus" => {
            let stack = text(form, "StackDriftDetectionId");
            let count = drifts(world, stack).len();
            let status = if count == 0 { "IN_SYNC" } else { "DRIFTED" };
            Turn::Answered(reply(
                action,
                &format!(
                    "<StackId>{stack}</StackId><StackDriftDetectionId>{stack}</StackDriftDetectionId><StackDriftStatus>{status}</StackDriftStatus>\
                     <DetectionStatus>DETECTION_COMPLETE</DetectionStatus><DriftedStackResourceCount>{count}</DriftedStackResourceCount>\
                     <Timestamp>{WHEN}</Timestamp>"
                ),
            ))
        }
        "DescribeStackResourceDrifts" => {
            let members: String = drifts(world, &stack)
                .iter()
                .map(|drift| {
                    format!(
                        "<member><StackId>{stack}</StackId><LogicalResourceId>{}</LogicalResourceId><PhysicalResourceId>{}</PhysicalResourceId>\
                         <ResourceType>{}</ResourceType><PropertyDifferences><member><PropertyPath>{}</PropertyPath><ExpectedValue>{}</ExpectedValue>\
                         <ActualValue>{}</ActualValue><DifferenceType>NOT_EQUAL</DifferenceType></member></PropertyDifferences>\
                         <StackResourceDriftStatus>MODIFIED</StackResourceDriftStatus><Timestamp>{WHEN}</Timestamp></member>",
                        drift.resource, drift.resource, drift.kind, drift.property, drift.expected, drift.actual
                    )
                })
                .collect();
            Turn::Answered(reply(action, &format!("<StackResourceDrifts>{members}</StackResourceDrifts>")))
        }
        "CreateChangeSet" if text(form, "DeploymentMode") == "REVERT_DRIFT" => {
            let revert = Revert { stack: stack.clone(), template: text(form, "TemplateBody").to_owned() };
            world.reverts.insert(set.clone(), revert);
            Turn::Answered(reply(action, &format!("<Id>{set}</Id><StackId>{stack}</StackId>")))
        }
        "DescribeChangeSet" if world.reverts.contains_key(&set) => {
            let found = drifts(world, &stack);
            let members: String = found
                .iter()
                .map(|drift| {
                    format!(
                        "<member><Type>Resource</Type><ResourceChange><Action>Modify</Action><LogicalResourceId>{}</LogicalResourceId>\
                         <ResourceType>{}</ResourceType><Replacement>False</Replacement></ResourceChange></member>",
                        drift.resource, drift.kind
                    )
                })
                .collect();
            let status = match found.is_empty() {
                true => {
                    "<Status>FAILED</Status><StatusReason>The submitted information didn't contain changes.</StatusReason>"
                }
                false => "<Status>CREATE_COMPLETE</Status>",
            };
            Turn::Answered(reply(
                action,
                &format!(
                    "<ChangeSetName>{set}</ChangeSetName><StackName>{stack}</StackName>{status}<Changes>{members}</Changes>"
                ),
            ))
        }
        "ExecuteChangeSet" if world.reverts.contains_key(&set) => {
            let Some(revert) = world.reverts.remove(&set) else { return Turn::Theirs };
            world.drifts.remove(&revert.stack);
            let instead = format!(
                "Action=UpdateStack&Version=2010-05-15&StackName={}&TemplateBody={}",
                encode(&revert.stack),
                encode(&revert.template)
            );
            Turn::Instead(instead, reply(action, ""))
        }
        "DeleteChangeSet" if world.reverts.remove(&set).is_some() => Turn::Answered(reply(action, "")),
        _ => Turn::Theirs,
    }
}
