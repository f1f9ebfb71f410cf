//! `plinth:Data`: stores its inputs and returns them as outputs. It has no side effect outside state, which makes
//! it the simplest provider there is: an example, and what benchmarks are made of.

use async_trait::async_trait;

use crate::{
    Applied, Context, Error, KindSchema, Live, Provider, ReadRequest, Recorded, Request, Result, Urn, Value,
};

/// The one kind.
pub const KIND: &str = "plinth:Data";

/// The provider of [`KIND`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Data;

#[async_trait]
impl Provider for Data {
    fn name(&self) -> &str {
        "plinth"
    }

    fn schema(&self, kind: &str) -> Result<KindSchema> {
        if kind != KIND {
            return Err(
                Error::invalid(format!("there is no kind `{kind}`")).help(format!("did you mean `{KIND}`?"))
            );
        }
        Ok(KindSchema { usual_duration: std::time::Duration::ZERO, ..KindSchema::default() })
    }

    fn check(&self, urn: &Urn, inputs: Value) -> Result<Value> {
        self.schema(urn.kind())?;
        match inputs {
            Value::Null => Ok(Value::map()),
            Value::Map(_) | Value::Unknown => Ok(inputs),
            other => Err(Error::invalid(format!("the inputs of {KIND} are a map, not `{other}`"))),
        }
    }

    fn predict(&self, _urn: &Urn, desired: &Value, _recorded: Option<&Recorded>) -> Value {
        desired.clone()
    }

    async fn create(&self, _context: &Context, request: Request<'_>) -> Result<Applied> {
        Ok(Applied { id: request.urn.name().to_owned(), outputs: request.inputs.clone() })
    }

    async fn read(&self, _context: &Context, request: ReadRequest<'_>) -> Result<Option<Live>> {
        let recorded = request.recorded;
        Ok(Some(Live {
            id: recorded.id.clone(),
            outputs: recorded.outputs.clone(),
            inputs: recorded.inputs.clone(),
            details: serde_json::Value::Null,
        }))
    }

    async fn update(&self, context: &Context, request: Request<'_>, _recorded: &Recorded) -> Result<Applied> {
        self.create(context, request).await
    }

    async fn delete(&self, _context: &Context, _recorded: &Recorded) -> Result<()> {
        Ok(())
    }

    /// It lives in state alone: what state does not have is not there.
    async fn find(&self, _context: &Context, _request: Request<'_>) -> Result<Option<Live>> {
        Ok(None)
    }
}
