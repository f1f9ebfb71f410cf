//! `aws:cloudformation/Stack`: whatever else the account needs, as a template: networks most of all.
//!
//! Here: its inputs and its life. What a change comes to is in `change_set`, what it became of in `progress`, what
//! somebody changed inside it in `drift`, and what it leaves behind in `sweep` and `strays`.

mod change_set;
mod drift;
mod progress;
mod strays;
mod sweep;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudformation::types::{Capability, OnFailure, Parameter, Stack as Described, StackStatus, Tag};
use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{
    Applied, Class, Drift, Error, Lane, Live, Preview, PreviewRequest, Recorded, Result, Value,
};

use super::{Call, Handler, Spec, There, is_on, text, texts};
use crate::error::{code, failed, message, refused};
use crate::marks::{self, Owner};
use strays::Strays;
use sweep::Held;

/// The kind.
pub(crate) struct Stack;

/// The longest template that fits into a request.
const LONGEST: usize = 51_200;

const SPEC: Spec = Spec {
    name: "aws:cloudformation/Stack",
    fields: &[
        Field::required("name", Shape::Text(name)).immutable(),
        // In JSON, as a map, or in YAML as text.
        Field::required("template", Shape::Text(template)),
        Field::default("parameters", Shape::Map(&ANY), Value::map),
        Field::default(
            "capabilities",
            Shape::Set(&Shape::Choice(&["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"])),
            || Value::List(Vec::new()),
        ),
        Field::default("terminationProtection", Shape::Boolean, || false.into()),
        Field::optional("tags", TAGS),
    ],
    longest_name: Some(128),
    delete_before_replace: true,
    usual: Duration::from_secs(180),
    timeout: Duration::from_secs(3600),
    computed: &[],
};

fn name(name: &str) -> std::result::Result<(), String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let first = name.chars().next().is_some_and(|letter| letter.is_ascii_alphabetic());
    (first && name.len() <= 128 && name.chars().all(fits)).then_some(()).ok_or_else(|| {
        "a stack's name begins with a letter and has up to 128 letters, digits and hyphens".to_owned()
    })
}

fn template(text: &str) -> std::result::Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("a template has at most {LONGEST} bytes"));
    }
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(json) if json.get("Resources").is_none_or(|held| !held.is_object()) => {
            Err("a template has `Resources`".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) if text.trim_start().starts_with('{') => Err(format!("it is not JSON: {error}")),
        Err(_) if text.contains("Resources:") => Ok(()),
        Err(_) => Err("a template has `Resources`".to_owned()),
    }
}

/// A template in one spelling; the order of lists counts in it, that of keys does not.
fn spelled(text: &str) -> String {
    fn sorted(json: serde_json::Value) -> serde_json::Value {
        match json {
            serde_json::Value::Array(list) => list.into_iter().map(sorted).collect(),
            serde_json::Value::Object(map) => {
                let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
                entries.sort_by(|(one, _), (other, _)| one.cmp(other));
                serde_json::Value::Object(entries.into_iter().collect())
            }
            plain => plain,
        }
    }
    serde_json::from_str(text).map_or_else(|_| text.trim_end().to_owned(), |json| sorted(json).to_string())
}

fn parameters(inputs: &Value) -> Vec<Parameter> {
    let map = inputs.get("parameters").and_then(Value::as_map);
    map.into_iter()
        .flatten()
        .filter_map(|(key, value)| {
            Some(Parameter::builder().parameter_key(key).parameter_value(value.as_str()?).build())
        })
        .collect()
}

fn capabilities(inputs: &Value) -> Vec<Capability> {
    texts(inputs, "capabilities").iter().map(|name| Capability::from(name.as_str())).collect()
}

fn tag_list(call: &Call<'_>) -> Vec<Tag> {
    let tags = marks::tags(call.urn, call.inputs);
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn tags(stack: &Described) -> BTreeMap<String, String> {
    let pairs = stack.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
    pairs.collect()
}

/// The template's own outputs, and the stack's id under a name that no template can use.
fn outputs(stack: &Described) -> Value {
    let mut outputs = Value::map();
    for output in stack.outputs() {
        if let (Some(key), Some(value)) = (output.output_key(), output.output_value()) {
            outputs.set(&plinth_provider::Path::root().key(key), value.into());
        }
    }
    outputs.set(&"stack_id".into(), stack.stack_id().unwrap_or_default().into());
    outputs
}

/// What is there under a name or an id. A stack that is gone can still be asked for by its id.
async fn described(call: &Call<'_>, name: &str) -> Result<Option<Described>> {
    match call.aws.cloudformation.describe_stacks().stack_name(name).send().await {
        Ok(got) => {
            let stack = got.stacks().first().cloned();
            Ok(stack.filter(|stack| stack.stack_status() != Some(&StackStatus::DeleteComplete)))
        }
        Err(error) if code(&error) == "ValidationError" && message(&error).contains("does not exist") => {
            Ok(None)
        }
        Err(error) => Err(refused("cloudformation:DescribeStacks", name, error)),
    }
}

fn owner(call: &Call<'_>, stack: &Described) -> Owner {
    marks::owner(call.urn, &tags(stack))
}

/// Whether its first creation failed, so that it can only be removed.
fn is_stillborn(stack: &Described) -> bool {
    matches!(
        stack.stack_status(),
        Some(
            StackStatus::RollbackComplete
                | StackStatus::RollbackFailed
                | StackStatus::CreateFailed
                | StackStatus::ReviewInProgress
        )
    )
}

async fn live(call: &Call<'_>, stack: &Described) -> Result<Live> {
    let id = stack.stack_id().unwrap_or_default();
    let got = call.aws.cloudformation.get_template().stack_name(id).send().await;
    let got = got.map_err(|error| refused("cloudformation:GetTemplate", id, error))?;
    let held = got.template_body().unwrap_or_default();
    let template = match call.inputs.text_at("template") {
        Some(asked) if spelled(asked) == spelled(held) => asked.to_owned(),
        _ => spelled(held),
    };
    // Parameters that are left out have the template's defaults.
    let asked = call.inputs.get("parameters").and_then(Value::as_map);
    let mut parameters = Value::map();
    for parameter in stack.parameters() {
        let Some(key) = parameter.parameter_key() else { continue };
        if asked.is_none_or(|asked| asked.contains_key(key)) {
            let value = parameter.parameter_value().unwrap_or_default();
            // `NoEcho` parameters never come back.
            let value = match asked.and_then(|asked| asked.get(key)) {
                Some(asked) if value == "****" => asked.clone(),
                Some(Value::Secret(_)) => Value::secret(value),
                _ => value.into(),
            };
            parameters.set(&plinth_provider::Path::root().key(key), value);
        }
    }
    let mut inputs = Value::from([
        ("name", Value::from(stack.stack_name().unwrap_or_default())),
        ("template", template.into()),
        ("parameters", parameters),
        // What a change may do is said with each change, and not kept by all that imitate AWS.
        ("capabilities", call.inputs.get("capabilities").cloned().unwrap_or_else(|| Value::List(Vec::new()))),
        ("terminationProtection", stack.enable_termination_protection().unwrap_or_default().into()),
    ]);
    if call.inputs.get("tags").is_some() {
        inputs.set(&"tags".into(), marks::foreign(tags(stack)));
    }
    Ok(Live { id: id.to_owned(), outputs: outputs(stack), inputs, details: serde_json::Value::Null })
}

async fn protect(call: &Call<'_>, id: &str, on: bool) -> Result<()> {
    let set = call.aws.cloudformation.update_termination_protection().stack_name(id);
    let set = set.enable_termination_protection(on).send().await;
    set.map(drop).map_err(|error| failed("cloudformation:UpdateTerminationProtection", id, error))
}

fn protected(id: &str) -> Error {
    Error::invalid(format!("the CloudFormation stack {id} is protected against deletion"))
        .at("terminationProtection".into())
        .help("set `terminationProtection: false` and apply; then it can be deleted")
}

/// Removes a stack and waits until it is gone. What pins its networks, and what it leaves behind of them, is removed too.
async fn remove(call: &Call<'_>, id: &str) -> Result<()> {
    // Some that imitate AWS forget a stack that they could not remove.
    let held = Held::by(call, id).await;
    let error = match remove_once(call, id).await {
        Err(error) if error.class == Class::Conflict => error,
        result => return result,
    };
    let swept = async {
        let held = held?;
        if described(call, id).await?.is_none() {
            held.remove(call).await?;
            return Ok(true);
        }
        Ok(held.unpin(call).await? > 0)
    };
    match swept.await {
        Ok(false) => Err(error),
        Ok(true) => remove_once(call, id).await,
        // Why it did not go says more than why it could not be helped.
        Err(why) => {
            let why: Error = why;
            call.context.reporter.warning(&format!("what pins {id} could not be removed: {}", why.message));
            Err(error)
        }
    }
}

async fn remove_once(call: &Call<'_>, id: &str) -> Result<()> {
    // Without a token: a second delete is a new one, and deleting twice does no harm.
    let removed = call.aws.cloudformation.delete_stack().stack_name(id).send().await;
    if let Err(error) = removed {
        if message(&error).contains("TerminationProtection") {
            return Err(protected(id));
        }
        return Err(failed("cloudformation:DeleteStack", id, error));
    }
    progress::until_gone(call, id).await
}

impl Stack {
    /// Whether template, parameters or tags of the stack are not those of the inputs.
    async fn says_otherwise(&self, call: &Call<'_>, stack: &Described) -> Result<bool> {
        let (held, wanted) =
            (self.comparable(&live(call, stack).await?.inputs), self.comparable(call.inputs));
        let differs = ["template", "parameters"].iter().any(|key| held.get(key) != wanted.get(key));
        Ok(differs
            || !marks::tags(call.urn, call.inputs)
                .iter()
                .all(|(key, value)| tags(stack).get(key) == Some(value)))
    }
}

#[async_trait]
impl Handler for Stack {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn documents(&self) -> &'static [&'static str] {
        &["template"]
    }

    fn comparable(&self, inputs: &Value) -> Value {
        let mut inputs = inputs.clone();
        if let Some(text) = inputs.text_at("template").map(spelled) {
            inputs.set(&"template".into(), text.into());
        }
        inputs
    }

    fn predict(&self, inputs: &Value, recorded: Option<&Recorded>) -> Value {
        // Another template may have other outputs; the same one with the same parameters has the same.
        match recorded {
            Some(recorded)
                if ["template", "parameters"]
                    .iter()
                    .all(|key| recorded.inputs.get(key) == inputs.get(key)) =>
            {
                recorded.outputs.clone()
            }
            _ => Value::Unknown,
        }
    }

    fn lanes(&self, inputs: &Value) -> Vec<Lane> {
        let name = inputs.text_at("name");
        name.map(|name| Lane { key: format!("cloudformation/{name}"), exclusive: true }).into_iter().collect()
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let name = text(call.inputs, "name")?;
        if let Some(stack) = described(call, name).await? {
            if owner(call, &stack) == Owner::Others {
                return Err(marks::taken(&format!("the CloudFormation stack {name}"), &tags(&stack)));
            }
            // An earlier try: its creation goes on, or it failed and is in the way, or it is done.
            let stack = progress::settled(call, stack).await?;
            match stack {
                Some(stack) if !is_stillborn(&stack) => {
                    return Err(Error::new(Class::AlreadyExists, format!("the stack {name} exists already")));
                }
                Some(stack) => {
                    let id = stack.stack_id().unwrap_or(name);
                    call.context.reporter.waiting(&format!("removing {name}, whose creation failed before"));
                    remove(call, id).await?;
                }
                None => {}
            }
        }
        // In the way of nothing, so that it need not succeed; what is still left then goes with the stack.
        if let Err(error) = Strays::sweep(call).await {
            let why = error.message;
            call.context
                .reporter
                .warning(&format!("what an earlier {name} has left could not be removed: {why}"));
        }
        let made = call
            .aws
            .cloudformation
            .create_stack()
            .stack_name(name)
            .template_body(text(call.inputs, "template")?)
            .set_parameters(Some(parameters(call.inputs)))
            .set_capabilities(Some(capabilities(call.inputs)))
            .set_tags(Some(tag_list(call)))
            .on_failure(OnFailure::Rollback)
            .enable_termination_protection(is_on(call.inputs, "terminationProtection"))
            .client_request_token(&call.context.token)
            .send()
            .await
            .map_err(|error| failed("cloudformation:CreateStack", name, error))?;
        let id = made.stack_id().unwrap_or(name).to_owned();
        call.context.reporter.started(&id).await?;
        let stack = progress::until_stable(call, &id).await?;
        progress::judge(call, &stack, StackStatus::CreateComplete).await?;
        Ok(Applied { outputs: outputs(&stack), id })
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        let Some(stack) = described(call, id).await? else { return Strays::live(call).await };
        let mut live = live(call, &stack).await?;
        live.details = drift::detected(call, &stack).await?;
        Ok(Some(live))
    }

    async fn update(&self, call: &Call<'_>, recorded: &Recorded) -> Result<Applied> {
        let id = &recorded.id;
        let gone = || Error::new(Class::NotFound, format!("the CloudFormation stack {id} is gone"));
        let stack = described(call, id).await?.ok_or_else(gone)?;
        // Somebody else's change, or our own of an interrupted run, is waited for.
        let stack = progress::settled(call, stack).await?.ok_or_else(gone)?;
        progress::refuse_stuck(&stack)?;
        let protected = is_on(call.inputs, "terminationProtection");
        if stack.enable_termination_protection().unwrap_or_default() != protected {
            protect(call, id, protected).await?;
        }
        let reverts = call.context.take_over.iter().any(drift::is_inside);
        if reverts && !change_set::execute(call, id, true).await? {
            call.context.reporter.warning(&format!(
                "CloudFormation sees nothing to revert in {id}; what was changed inside it stays as it is"
            ));
        }
        if !change_set::execute(call, id, false).await? && self.says_otherwise(call, &stack).await? {
            // Outputs and tags are no resources: a change of them alone is none to some change sets.
            change_set::update(call, id).await?;
        }
        let stack = described(call, id).await?.ok_or_else(gone)?;
        Ok(Applied { id: id.clone(), outputs: outputs(&stack) })
    }

    fn may_refuse_to_go(&self) -> bool {
        true
    }

    async fn refuses_to_go(&self, call: &Call<'_>, id: &str, _going: &[&Recorded]) -> Result<()> {
        match described(call, id).await? {
            Some(stack) if stack.enable_termination_protection() == Some(true) => Err(protected(id)),
            _ => Ok(()),
        }
    }

    async fn delete(&self, call: &Call<'_>, recorded: &Recorded) -> Result<()> {
        if let Some(stack) = described(call, &recorded.id).await?
            && progress::settled(call, stack).await?.is_some()
        {
            remove(call, &recorded.id).await?;
        }
        Strays::sweep(call).await
    }

    async fn there(&self, call: &Call<'_>) -> Result<Option<There>> {
        let Some(stack) = described(call, text(call.inputs, "name")?).await? else { return Ok(None) };
        // What is left of a failed creation of ours is removed by the next one.
        if owner(call, &stack) == Owner::Ours && is_stillborn(&stack) {
            return Ok(None);
        }
        Ok(Some(There { live: live(call, &stack).await?, tags: tags(&stack) }))
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        match described(call, text(call.inputs, "name")?).await? {
            Some(stack) if owner(call, &stack) == Owner::Ours && !is_stillborn(&stack) => {
                Ok(Some(live(call, &stack).await?))
            }
            Some(_) => Ok(None),
            None => Strays::live(call).await,
        }
    }

    fn further_drift(&self, _recorded: &Recorded, live: &Live) -> Vec<Drift> {
        drift::told(live)
    }

    fn is_worth_asking(&self, request: &PreviewRequest<'_>) -> bool {
        request.recorded.is_some() && !request.replaces && !request.inputs.has_unknown()
    }

    async fn preview(&self, call: &Call<'_>, request: &PreviewRequest<'_>) -> Result<Preview> {
        let warnings = match request.recorded {
            // Taken for what was recorded, and gone since: reading it tells.
            Some(recorded) if described(call, &recorded.id).await?.is_none() => {
                return Err(Error::new(
                    Class::Conflict,
                    format!("the CloudFormation stack {} is gone", recorded.id),
                )
                .help("plan again with `--refresh always`"));
            }
            Some(recorded) => change_set::preview(call, &recorded.id).await?,
            None => Vec::new(),
        };
        Ok(Preview { replaces: Vec::new(), warnings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_no_order_in_a_template_and_lists_have() {
        let one = r#"{"Resources":{"A":{"Type":"x","P":["a","b"]}},"Outputs":{}}"#;
        assert_eq!(
            spelled(one),
            spelled(r#"{"Outputs": {}, "Resources": {"A": {"P": ["a","b"], "Type": "x"}}}"#)
        );
        assert_ne!(spelled(one), spelled(&one.replace(r#""a","b""#, r#""b","a""#)));
    }

    #[test]
    fn a_template_without_resources_is_refused() {
        assert!(template(r#"{"Resources":{}}"#).is_ok());
        assert!(template("Resources:\n  A: { Type: x }\n").is_ok());
        assert!(template("{}").is_err());
        assert!(template("{").is_err());
        assert!(template("hello").is_err());
    }
}
