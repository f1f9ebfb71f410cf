//! The contract of the engine, carried to the kinds.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use futures::StreamExt;
use plinth_provider::{
    Applied, Class, Context, Diff, Drift, KindSchema, Lane, Live, Provider, ReadRequest, Recorded, Request,
    Result, Urn, Value, changes_with_sets, fields,
};

use crate::clients::Connection;
use crate::kinds::{self, Call};
use crate::{Clients, Settings, names};

/// How many reads are made at once; AWS's control planes throttle what comes in bursts.
const READS_AT_ONCE: usize = 8;

/// The provider of the kinds `aws:…` in one account and region.
#[derive(Debug, Clone)]
pub struct Aws {
    connection: Arc<Connection>,
}

impl Aws {
    /// The provider by these settings. Nothing is called before something must be.
    pub fn new(settings: Settings) -> Self {
        Self { connection: Arc::new(Connection::new(settings, None)) }
    }

    /// The provider with a configuration of the SDK's own instead of the default chain's: other credentials, another
    /// endpoint, an HTTP client of one's own.
    pub fn with_config(settings: Settings, config: SdkConfig) -> Self {
        Self { connection: Arc::new(Connection::new(settings, Some(config))) }
    }

    /// The clients, connected: for what is no resource, such as a cluster's token or a check of permissions.
    ///
    /// # Errors
    /// When there are no credentials, or those of another account than the stack means.
    pub async fn clients(&self) -> Result<&Clients> {
        self.connection.clients().await
    }

    async fn call<'a>(&'a self, context: &'a Context, urn: &'a Urn, inputs: &'a Value) -> Result<Call<'a>> {
        let what = || "connecting to AWS".to_owned();
        let aws = context.bounded(what, self.connection.clients()).await?;
        Ok(Call { aws, settings: self.connection.settings(), context, urn, inputs })
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
        let spec = kind.spec();
        let mut inputs = match inputs {
            Value::Null => Value::map(),
            inputs => inputs,
        };
        if let (Some(longest), Value::Map(map)) = (spec.longest_name, &mut inputs)
            && map.get("name").is_none_or(|name| *name == Value::Null)
        {
            map.insert("name".to_owned(), names::of(urn, longest).into());
        }
        let checked = fields::check(spec.fields, inputs)?;
        kind.rules(&checked)?;
        Ok(checked)
    }

    fn diff(&self, recorded: &Recorded, desired: &Value) -> Result<Diff> {
        kinds::of(recorded.urn.kind())?.diff(recorded, desired)
    }

    fn predict(&self, urn: &Urn, desired: &Value, recorded: Option<&Recorded>) -> Value {
        kinds::of(urn.kind()).map_or(Value::Unknown, |kind| kind.predict(desired, recorded))
    }

    fn identity(&self, urn: &Urn, inputs: &Value) -> Option<String> {
        kinds::of(urn.kind()).ok()?.identity(inputs)
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
        kind.update(&call, recorded).await
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

    fn drift(&self, recorded: &Recorded, live: &Live) -> Vec<Drift> {
        let Ok(kind) = kinds::of(recorded.urn.kind()) else { return Vec::new() };
        let (recorded, live) = (kind.comparable(&recorded.inputs), kind.comparable(&live.inputs));
        let sets = kind.spec().schema().set_like;
        changes_with_sets(&recorded, &live, &sets)
            .into_iter()
            // What was never asked for is the system's own affair.
            .filter(|change| change.before.is_some())
            .map(|change| Drift {
                path: change.path,
                recorded: change.before,
                live: change.after,
                by: None,
                at: None,
            })
            .collect()
    }
}
