//! A provider whose every call is a point before and after it, and so is the recording of a long operation's handle.

use std::sync::Arc;

use async_trait::async_trait;
use plinth_provider::{
    Applied, Context, Diff, Drift, KindSchema, Lane, Live, Occupant, Preview, PreviewRequest, Provider,
    ReadRequest, Recorded, Reporter, Request, Resource, Result, Taken, Urn, Value,
};

use super::Points;

pub struct Pointed {
    pub inner: Arc<dyn Provider>,
    pub points: Arc<Points>,
}

impl Pointed {
    /// What a call is a point of: the same in every run of the stack.
    async fn around<T>(
        &self,
        call: &str,
        urn: &Urn,
        context: &Context,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let what = format!("{call} {}::{}", urn.kind(), urn.name());
        let token = context.token.as_str();
        self.points.reach(&format!("before {what}"), &[("call", call), ("token", token)]);
        let result = work.await;
        let came = match &result {
            Ok(_) => "ok",
            Err(error) => plinth_state::class_name(error.class),
        };
        self.points.reach(&format!("after {what}"), &[("came", came), ("token", token)]);
        result
    }

    fn listening(&self, context: &Context, urn: &Urn) -> Context {
        let reporter = Handles {
            inner: Arc::clone(&context.reporter),
            points: Arc::clone(&self.points),
            what: format!("handle {}::{}", urn.kind(), urn.name()),
        };
        Context { reporter: Arc::new(reporter), ..context.clone() }
    }
}

/// Every method is passed on, those with a default too: the decorated provider may have its own.
#[async_trait]
impl Provider for Pointed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn schema(&self, kind: &str) -> Result<KindSchema> {
        self.inner.schema(kind)
    }

    fn check(&self, urn: &Urn, inputs: Value) -> Result<Value> {
        self.inner.check(urn, inputs)
    }

    fn diff(&self, recorded: &Recorded, desired: &Value) -> Result<Diff> {
        self.inner.diff(recorded, desired)
    }

    fn predict(&self, urn: &Urn, desired: &Value, recorded: Option<&Recorded>) -> Value {
        self.inner.predict(urn, desired, recorded)
    }

    fn infer_dependencies(&self, resources: &[&Resource]) -> Vec<(Urn, Urn)> {
        self.inner.infer_dependencies(resources)
    }

    fn identity(&self, urn: &Urn, inputs: &Value) -> Option<String> {
        self.inner.identity(urn, inputs)
    }

    fn inferred_because(
        &self,
        resources: &[&Resource],
        dependent: &Urn,
        dependency: &Urn,
    ) -> Option<&'static str> {
        self.inner.inferred_because(resources, dependent, dependency)
    }

    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        self.inner.lives_in(dependent, dependency)
    }

    fn beside(&self, recorded: &Recorded, declared: &Value, desired: &Value) -> Option<Value> {
        self.inner.beside(recorded, declared, desired)
    }

    fn keep_name(&self, recorded: &Recorded, declared: &Value, desired: Value) -> Value {
        self.inner.keep_name(recorded, declared, desired)
    }

    fn concurrency(&self) -> Option<usize> {
        self.inner.concurrency()
    }

    fn taken(&self, now: &Recorded, live: &Live) -> Taken {
        self.inner.taken(now, live)
    }

    // Questions that change nothing are no points: who dies asking them has done nothing.

    async fn preview_many(&self, context: &Context, requests: &[PreviewRequest<'_>]) -> Vec<Result<Preview>> {
        self.inner.preview_many(context, requests).await
    }

    async fn preview_deletes(&self, context: &Context, going: &[&Recorded]) -> Vec<Result<Preview>> {
        self.inner.preview_deletes(context, going).await
    }

    async fn occupants(&self, context: &Context, requests: &[Request<'_>]) -> Vec<Result<Option<Occupant>>> {
        self.inner.occupants(context, requests).await
    }

    fn lanes(&self, urn: &Urn, inputs: &Value) -> Vec<Lane> {
        self.inner.lanes(urn, inputs)
    }

    async fn create(&self, context: &Context, request: Request<'_>) -> Result<Applied> {
        let context = self.listening(context, request.urn);
        self.around("create", request.urn, &context, self.inner.create(&context, request)).await
    }

    async fn read(&self, context: &Context, request: ReadRequest<'_>) -> Result<Option<Live>> {
        self.around("read", &request.recorded.urn, context, self.inner.read(context, request)).await
    }

    async fn read_many(&self, context: &Context, requests: &[ReadRequest<'_>]) -> Vec<Result<Option<Live>>> {
        let name = self.inner.name();
        self.points.reach(&format!("before read_many {name}"), &[]);
        let results = self.inner.read_many(context, requests).await;
        self.points.reach(&format!("after read_many {name}"), &[]);
        results
    }

    async fn update(&self, context: &Context, request: Request<'_>, recorded: &Recorded) -> Result<Applied> {
        let context = self.listening(context, request.urn);
        self.around("update", request.urn, &context, self.inner.update(&context, request, recorded)).await
    }

    async fn delete(&self, context: &Context, recorded: &Recorded) -> Result<()> {
        let context = self.listening(context, &recorded.urn);
        self.around("delete", &recorded.urn, &context, self.inner.delete(&context, recorded)).await
    }

    async fn find(&self, context: &Context, request: Request<'_>) -> Result<Option<Live>> {
        self.around("find", request.urn, context, self.inner.find(context, request)).await
    }

    fn drift(&self, recorded: &Recorded, live: &Live) -> Vec<Drift> {
        self.inner.drift(recorded, live)
    }
}

/// A reporter for whom a handle that is recorded is a point.
struct Handles {
    inner: Arc<dyn Reporter>,
    points: Arc<Points>,
    what: String,
}

#[async_trait]
impl Reporter for Handles {
    fn waiting(&self, reason: &str) {
        self.inner.waiting(reason);
    }

    fn warning(&self, message: &str) {
        self.inner.warning(message);
    }

    async fn started(&self, handle: &str) -> Result<()> {
        self.points.reach(&format!("before {}", self.what), &[("handle", handle)]);
        let result = self.inner.started(handle).await;
        self.points.reach(&format!("after {}", self.what), &[("handle", handle)]);
        result
    }
}

#[cfg(test)]
mod tests {
    /// The names of the methods that a trait or an implementation holds.
    fn methods(source: &str, begins: &str) -> Vec<String> {
        let body = source.split(begins).nth(1).expect("it is there");
        let body = body.split("\n}\n").next().expect("its end");
        let names = body.lines().filter_map(|line| {
            let rest = line.strip_prefix("    fn ").or_else(|| line.strip_prefix("    async fn "))?;
            rest.split('(').next().map(str::to_owned)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn every_method_of_a_provider_is_passed_on() {
        let contract = include_str!("../../providers/api/src/provider.rs");
        let ours = include_str!("provider.rs");
        let asked = methods(contract, "pub trait Provider");
        assert!(asked.contains(&"occupants".to_owned()), "{asked:?}");
        assert_eq!(methods(ours, "impl Provider for Pointed"), asked);
    }
}
