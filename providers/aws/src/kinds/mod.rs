//! The kinds of AWS: one file each, with its inputs, its own rules, what comes out of it, and the calls that make,
//! change and remove one.

mod cloudformation_stack;
mod eks;
mod iam_oidc_provider;
mod iam_policy;
mod iam_role;
mod kms_alias;
mod kms_key;
pub(crate) mod log_group;
mod s3_bucket;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use plinth_provider::fields::{self, Field};
use plinth_provider::{
    Applied, Change, Context, Diff, Drift, Error, KindSchema, Lane, Live, Preview, PreviewRequest, Recorded,
    Resource, Result, Urn, Value, did_you_mean,
};

use crate::{Clients, Settings};

/// Everything that a call needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub aws: &'a Clients,
    pub settings: &'a Settings,
    pub context: &'a Context,
    pub urn: &'a Urn,
    /// Of a read or delete: what is recorded. Else: what is asked for, resolved and checked.
    pub inputs: &'a Value,
    /// Of an update: what was asked for before.
    pub was: Option<&'a Value>,
}

/// What a kind declares about itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    /// Its name, such as `aws:iam/Role`.
    pub name: &'static str,
    /// Its inputs.
    pub fields: &'static [Field],
    /// The longest physical name, when it has one that is ours to choose.
    pub longest_name: Option<usize>,
    /// The physical name is fixed, so the old one must go before the new one can come.
    pub delete_before_replace: bool,
    /// How long a create usually takes.
    pub usual: Duration,
    /// How long one operation may take.
    pub timeout: Duration,
    /// Outputs that may change with an update.
    pub computed: &'static [&'static str],
}

impl Spec {
    pub fn schema(&self) -> KindSchema {
        let patterns =
            |texts: Vec<String>| KindSchema::patterns(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        KindSchema {
            immutable: patterns(fields::immutable(self.fields)),
            at_delete: fields::at_delete(self.fields),
            set_like: patterns(fields::sets(self.fields)),
            computed: KindSchema::patterns(self.computed),
            delete_before_replace: self.delete_before_replace,
            usual_duration: self.usual,
            default_timeout: self.timeout,
            ..KindSchema::default()
        }
    }
}

/// What stands under a name, whoever made it.
#[derive(Debug)]
pub(crate) struct There {
    pub live: Live,
    pub tags: BTreeMap<String, String>,
}

/// A kind.
#[async_trait]
pub(crate) trait Handler: Send + Sync {
    /// What it declares about itself.
    fn spec(&self) -> &'static Spec;

    /// Rules between inputs, and with what the stack says about its account. Inputs may be unknown.
    fn rules(&self, inputs: &Value, settings: &Settings) -> Result<()> {
        let _ = (inputs, settings);
        Ok(())
    }

    /// What a name ends with that is left to us.
    fn suffix(&self, inputs: &Value, settings: &Settings) -> Result<String> {
        let _ = (inputs, settings);
        Ok(String::new())
    }

    /// Inputs that hold policy documents or the like, which a stack file may write as maps: they become texts. `name.*`
    /// stands for every value under `name`.
    fn documents(&self) -> &'static [&'static str] {
        &[]
    }

    /// What it takes to come from recorded to desired.
    fn diff(&self, recorded: &Recorded, desired: &Value) -> Result<Diff> {
        let (before, after) = (self.comparable(&recorded.inputs), self.comparable(desired));
        Ok(Diff::structural(&self.spec().schema(), &before, &after))
    }

    /// The inputs as they are compared: documents in one spelling, nothing that is only wanted at the beginning.
    fn comparable(&self, inputs: &Value) -> Value {
        inputs.clone()
    }

    /// The outputs as far as they are certain.
    fn predict(&self, inputs: &Value, recorded: Option<&Recorded>) -> Value {
        let _ = inputs;
        recorded.map_or(Value::Unknown, |recorded| recorded.outputs.clone())
    }

    /// What the account knows it by.
    fn identity(&self, inputs: &Value) -> Option<String> {
        Some(format!("{}/{}", self.spec().name, inputs.text_at("name")?))
    }

    /// What must not overlap.
    fn lanes(&self, inputs: &Value) -> Vec<Lane> {
        let _ = inputs;
        Vec::new()
    }

    /// Whether the one goes with the other: AWS lets go of neither while the dependent is there, or deletes both.
    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        let _ = (dependent, dependency);
        false
    }

    /// A difference between what was asked for and what is there that is nobody's mistake.
    fn tolerates(&self, change: &Change) -> bool {
        let _ = change;
        false
    }

    /// Maps that hold what was asked for and nothing else: what somebody adds to them is a difference.
    fn whole(&self) -> &'static [&'static str] {
        &[]
    }

    /// Where live differs in what the inputs do not spell out, such as what a CloudFormation stack holds.
    fn further_drift(&self, recorded: &Recorded, live: &Live) -> Vec<Drift> {
        let _ = (recorded, live);
        Vec::new()
    }

    /// Whether AWS knows something of this change that its tables do not tell.
    fn is_worth_asking(&self, request: &PreviewRequest<'_>) -> bool {
        let _ = request;
        false
    }

    /// What AWS says of a change before it is made. Changes nothing.
    async fn preview(&self, call: &Call<'_>, request: &PreviewRequest<'_>) -> Result<Preview> {
        let _ = (call, request);
        Ok(Preview::default())
    }

    /// Whether AWS, or what is in the account, may stand against a delete, so that it has to be asked.
    fn may_refuse_to_go(&self) -> bool {
        false
    }

    /// What stands against deleting it. `going` is all that goes with it. Changes nothing.
    async fn refuses_to_go(&self, call: &Call<'_>, id: &str, going: &[&Recorded]) -> Result<()> {
        let _ = (call, id, going);
        Ok(())
    }

    /// What stands where a create would make something, whoever made it. Kinds without a name of their own have no place
    /// that could be taken.
    async fn there(&self, call: &Call<'_>) -> Result<Option<There>> {
        let _ = call;
        Ok(None)
    }

    /// Makes it. [`Class::AlreadyExists`](plinth_provider::Class) or `Conflict` when something is in its place; whether
    /// that is ours is then found out by `find`.
    async fn create(&self, call: &Call<'_>) -> Result<Applied>;

    /// What AWS says of it.
    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>>;

    /// Brings what is recorded to the inputs.
    async fn update(&self, call: &Call<'_>, recorded: &Recorded) -> Result<Applied>;

    /// Removes it.
    async fn delete(&self, call: &Call<'_>, recorded: &Recorded) -> Result<()>;

    /// What a create would have made, if it is there and ours.
    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>>;
}

const ALL: &[&dyn Handler] = &[
    &cloudformation_stack::Stack,
    &eks::AccessEntry,
    &eks::AddOn,
    &eks::Cluster,
    &eks::NodeGroup,
    &eks::PodIdentityAssociation,
    &iam_oidc_provider::OidcProvider,
    &iam_policy::Policy,
    &iam_role::Role,
    &kms_alias::Alias,
    &kms_key::Key,
    &log_group::LogGroup,
    &s3_bucket::Bucket,
];

/// What needs what although no reference says so.
pub(crate) fn dependencies(resources: &[&Resource]) -> Vec<(Urn, Urn)> {
    eks::dependencies(resources)
}

/// The names of every kind.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|handler| handler.spec().name)
}

/// The kind of a name such as `aws:iam/Role`.
pub(crate) fn of(kind: &str) -> Result<&'static dyn Handler> {
    ALL.iter().copied().find(|handler| handler.spec().name == kind).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|handler| handler.spec().name).collect();
        Error::invalid(format!("there is no kind `{kind}`")).help(did_you_mean(kind, &names))
    })
}

/// A text input that a call cannot do without; checked inputs have it.
pub(crate) fn text<'a>(inputs: &'a Value, path: &str) -> Result<&'a str> {
    inputs.text_at(path).ok_or_else(|| Error::invalid(format!("`{path}` is missing")).at(path.into()))
}

/// A list of texts; empty where there is none.
pub(crate) fn texts(inputs: &Value, key: &str) -> Vec<String> {
    let list = inputs.get(key).and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether an input is there and true.
pub(crate) fn is_on(inputs: &Value, key: &str) -> bool {
    inputs.at(&key.into()) == Some(&Value::Bool(true))
}

/// A whole number that fits AWS's 32 bits; checked inputs hold no others.
pub(crate) fn integer(inputs: &Value, path: &str) -> Option<i32> {
    match inputs.at(&path.into())? {
        Value::Number(number) => i32::try_from(number.as_i64()?).ok(),
        _ => None,
    }
}
