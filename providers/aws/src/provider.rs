//! The contract of the engine, carried to the kinds.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use futures::StreamExt;
use plinth_provider::{
    Applied, Change, Class, Context, Diff, Drift, KindSchema, Lane, Live, Occupant, Preview, PreviewRequest,
    Provider, ReadRequest, Recorded, Request, Resource, Result, Segment, Urn, Value, changes_with_sets,
    fields,
};

use crate::clients::Connection;
use crate::entrance::Tokens;
use crate::kinds::{self, Call};
use crate::{Clients, Settings, document, marks, names};

/// How many reads are made at once; AWS's control planes throttle what comes in bursts.
const READS_AT_ONCE: usize = 8;

/// The provider of the kinds `aws:…` in one account and region.
#[derive(Debug, Clone)]
pub struct Aws {
    connection: Arc<Connection>,
    tokens: Arc<Tokens>,
}

impl Aws {
    /// The provider by these settings. Nothing is called before something must be.
    pub fn new(settings: Settings) -> Self {
        Self { connection: Arc::new(Connection::new(settings, None)), tokens: Arc::default() }
    }

    /// The provider with a configuration of the SDK's own instead of the default chain's: other credentials, another
    /// endpoint, an HTTP client of one's own.
    pub fn with_config(settings: Settings, config: SdkConfig) -> Self {
        Self { connection: Arc::new(Connection::new(settings, Some(config))), tokens: Arc::default() }
    }

    /// The clients, connected: for what is no resource, such as a cluster's token or a check of permissions.
    ///
    /// # Errors
    /// When there are no credentials, or those of another account than the stack means.
    pub async fn clients(&self) -> Result<&Clients> {
        self.connection.clients().await
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    async fn call<'a>(&'a self, context: &'a Context, urn: &'a Urn, inputs: &'a Value) -> Result<Call<'a>> {
        let what = || "connecting to AWS".to_owned();
        let aws = context.bounded(what, self.connection.clients()).await?;
        Ok(Call { aws, settings: self.connection.settings(), context, urn, inputs, was: None })
    }

    async fn preview(&self, context: &Context, request: PreviewRequest<'_>) -> Result<Preview> {
        let kind = kinds::of(request.urn.kind())?;
        if !kind.is_worth_asking(&request) {
            return Ok(Preview::default());
        }
        let call = self.call(context, request.urn, request.inputs).await?;
        let what = || format!("asking AWS about {}", request.urn.short());
        context.bounded(what, kind.preview(&call, &request)).await
    }

    async fn refuses_to_go(
        &self,
        context: &Context,
        recorded: &Recorded,
        going: &[&Recorded],
    ) -> Result<Preview> {
        let kind = kinds::of(recorded.urn.kind())?;
        if kind.may_refuse_to_go() {
            let call = self.call(context, &recorded.urn, &recorded.inputs).await?;
            let what = || format!("asking AWS what stands against deleting {}", recorded.urn.short());
            context.bounded(what, kind.refuses_to_go(&call, &recorded.id, going)).await?;
        }
        Ok(Preview::default())
    }

    async fn occupant(&self, context: &Context, request: Request<'_>) -> Result<Option<Occupant>> {
        let kind = kinds::of(request.urn.kind())?;
        // Without an identity, what it would be called is not known yet.
        if kind.identity(request.inputs).is_none() {
            return Ok(None);
        }
        let call = self.call(context, request.urn, request.inputs).await?;
        let what = || format!("looking for {}", request.urn.short());
        let there = context.bounded(what, kind.there(&call)).await?;
        Ok(there.map(|there| Occupant { owner: marks::whose(request.urn, &there.tags), live: there.live }))
    }
}

/// A thing that exists as if it had been recorded, so that it can be brought to the inputs.
fn as_recorded(urn: &Urn, live: Live) -> Recorded {
    Recorded {
        urn: urn.clone(),
        id: live.id,
        inputs: live.inputs,
        outputs: live.outputs,
        connection: None,
        dependencies: Vec::new(),
        options: plinth_provider::Options::default(),
        unsettled: false,
    }
}

/// Whether something is added to a list, or to a map that is asked for as a whole: what was asked for is not what is there.
fn is_added(change: &Change, whole: &[&str]) -> bool {
    match change.path.segments() {
        [.., Segment::Index(_)] => true,
        [Segment::Key(map), _, ..] => whole.contains(&map.as_str()),
        _ => false,
    }
}

#[async_trait]
impl Provider for Aws {
    fn name(&self) -> &str {
        "aws"
    }

    fn schema(&self, kind: &str) -> Result<KindSchema> {
        Ok(kinds::of(kind)?.spec().schema())
    }

    fn check(&self, urn: &Urn, inputs: Value) -> Result<Value> {
        let kind = kinds::of(urn.kind())?;
        let (spec, settings) = (kind.spec(), self.connection.settings());
        let mut inputs = match inputs {
            Value::Null => Value::map(),
            inputs => inputs,
        };
        let unnamed =
            inputs.as_map().is_some_and(|map| map.get("name").is_none_or(|name| *name == Value::Null));
        if let (Some(longest), true) = (spec.longest_name, unnamed) {
            let suffix = kind.suffix(&inputs, settings)?;
            let name = names::of(urn, longest.saturating_sub(suffix.len())) + &suffix;
            inputs.set(&"name".into(), name.into());
        }
        document::spell_out(&mut inputs, kind.documents());
        let checked = fields::check(spec.fields, inputs)?;
        kind.rules(&checked, settings)?;
        Ok(checked)
    }

    fn diff(&self, recorded: &Recorded, desired: &Value) -> Result<Diff> {
        kinds::of(recorded.urn.kind())?.diff(recorded, desired)
    }

    fn predict(&self, urn: &Urn, desired: &Value, recorded: Option<&Recorded>) -> Value {
        kinds::of(urn.kind()).map_or(Value::Unknown, |kind| kind.predict(desired, recorded))
    }

    fn infer_dependencies(&self, resources: &[&Resource]) -> Vec<(Urn, Urn)> {
        kinds::dependencies(resources)
    }

    fn inferred_because(
        &self,
        _resources: &[&Resource],
        _dependent: &Urn,
        _dependency: &Urn,
    ) -> Option<&'static str> {
        Some("it is part of the other, or cannot work without it")
    }

    fn identity(&self, urn: &Urn, inputs: &Value) -> Option<String> {
        kinds::of(urn.kind()).ok()?.identity(inputs)
    }

    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        kinds::of(dependent.urn.kind()).is_ok_and(|kind| kind.lives_in(dependent, dependency))
    }

    fn beside(&self, recorded: &Recorded, declared: &Value, desired: &Value) -> Option<Value> {
        let longest = kinds::of(recorded.urn.kind()).ok()?.spec().longest_name?;
        names::beside(recorded, declared, desired, longest)
    }

    fn keep_name(&self, recorded: &Recorded, declared: &Value, desired: Value) -> Value {
        let named = kinds::of(recorded.urn.kind()).is_ok_and(|kind| kind.spec().longest_name.is_some());
        if named { names::keep(recorded, declared, desired) } else { desired }
    }

    fn lanes(&self, urn: &Urn, inputs: &Value) -> Vec<Lane> {
        kinds::of(urn.kind()).map(|kind| kind.lanes(inputs)).unwrap_or_default()
    }

    async fn create(&self, context: &Context, request: Request<'_>) -> Result<Applied> {
        let kind = kinds::of(request.urn.kind())?;
        let call = self.call(context, request.urn, request.inputs).await?;
        let error = match kind.create(&call).await {
            Err(error) if matches!(error.class, Class::AlreadyExists | Class::Conflict) => error,
            result => return result,
        };
        // An earlier try of this very create may have made it; then it is brought to the inputs.
        match kind.find(&call).await? {
            Some(live) => kind.update(&call, &as_recorded(request.urn, live)).await,
            None => Err(error),
        }
    }

    async fn read(&self, context: &Context, request: ReadRequest<'_>) -> Result<Option<Live>> {
        let recorded = request.recorded;
        let kind = kinds::of(recorded.urn.kind())?;
        let call = self.call(context, &recorded.urn, &recorded.inputs).await?;
        context.bounded(|| format!("reading {}", recorded.urn.short()), kind.read(&call, &recorded.id)).await
    }

    async fn read_many(&self, context: &Context, requests: &[ReadRequest<'_>]) -> Vec<Result<Option<Live>>> {
        futures::stream::iter(0..requests.len())
            .map(|at| self.read(context, requests[at]))
            .buffered(READS_AT_ONCE)
            .collect()
            .await
    }

    async fn update(&self, context: &Context, request: Request<'_>, recorded: &Recorded) -> Result<Applied> {
        let kind = kinds::of(request.urn.kind())?;
        let call = self.call(context, request.urn, request.inputs).await?;
        kind.update(&Call { was: Some(&recorded.inputs), ..call }, recorded).await
    }

    async fn delete(&self, context: &Context, recorded: &Recorded) -> Result<()> {
        let kind = kinds::of(recorded.urn.kind())?;
        let call = self.call(context, &recorded.urn, &recorded.inputs).await?;
        match kind.delete(&call, recorded).await {
            Err(error) if error.class == Class::NotFound => Ok(()),
            result => result,
        }
    }

    async fn find(&self, context: &Context, request: Request<'_>) -> Result<Option<Live>> {
        let kind = kinds::of(request.urn.kind())?;
        let call = self.call(context, request.urn, request.inputs).await?;
        context.bounded(|| format!("looking for {}", request.urn.short()), kind.find(&call)).await
    }

    async fn preview_many(&self, context: &Context, requests: &[PreviewRequest<'_>]) -> Vec<Result<Preview>> {
        futures::stream::iter(0..requests.len())
            .map(|at| self.preview(context, requests[at]))
            .buffered(READS_AT_ONCE)
            .collect()
            .await
    }

    async fn preview_deletes(&self, context: &Context, going: &[&Recorded]) -> Vec<Result<Preview>> {
        futures::stream::iter(0..going.len())
            .map(|at| self.refuses_to_go(context, going[at], going))
            .buffered(READS_AT_ONCE)
            .collect()
            .await
    }

    async fn occupants(&self, context: &Context, requests: &[Request<'_>]) -> Vec<Result<Option<Occupant>>> {
        futures::stream::iter(0..requests.len())
            .map(|at| self.occupant(context, requests[at]))
            .buffered(READS_AT_ONCE)
            .collect()
            .await
    }

    fn drift(&self, recorded: &Recorded, live: &Live) -> Vec<Drift> {
        let Ok(kind) = kinds::of(recorded.urn.kind()) else { return Vec::new() };
        let further = kind.further_drift(recorded, live);
        let (asked, live) = (kind.comparable(&recorded.inputs), kind.comparable(&live.inputs));
        let sets = kind.spec().schema().set_like;
        changes_with_sets(&asked, &live, &sets)
            .into_iter()
            // What was never asked for is the system's own affair.
            .filter(|change| change.before.is_some() || is_added(change, kind.whole()))
            .filter(|change| !kind.tolerates(change))
            .map(|change| Drift {
                path: change.path,
                recorded: change.before,
                live: change.after,
                by: None,
                at: None,
            })
            .chain(further)
            .collect()
    }
}
