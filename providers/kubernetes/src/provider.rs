//! The provider itself: hands every call of the contract to the file that knows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use plinth_provider::{
    Applied, Class, Context, Diff, Drift, KindSchema, Live, Occupant, Preview, PreviewRequest, Provider,
    ReadRequest, Recorded, Request, Resource, Result, Taken, Urn, Value,
};

use crate::cluster::{Cluster, Served};
use crate::connect::Connector;
use crate::kind::{Gvk, PREFIX};
use crate::{apply, delete, diff, drift, infer, normal, occupy, outputs, preview, read};

/// Kubernetes objects of any kind, on any number of clusters.
pub struct Kubernetes {
    connector: Arc<dyn Connector>,
    /// What each cluster was found to serve, by connection.
    served: Mutex<HashMap<String, Arc<Served>>>,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes").finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// A provider that reaches its clusters through `connector`.
    pub fn new(connector: Arc<dyn Connector>) -> Self {
        Self { connector, served: Mutex::default() }
    }

    pub(crate) fn is_there(&self, connection: Option<&Value>) -> bool {
        self.connector.is_there(connection)
    }

    pub(crate) async fn cluster(&self, context: &Context, connection: Option<&Value>) -> Result<Cluster> {
        let served = {
            let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(served.entry(connection_key(connection)).or_default())
        };
        let connecting = Cluster::connect(Arc::clone(&self.connector), connection, served);
        context.bounded(|| "the cluster's credentials had not come".to_owned(), connecting).await
    }
}

/// What tells one connection from another; it holds no credentials.
pub(crate) fn connection_key(connection: Option<&Value>) -> String {
    connection.map(|value| value.expose().to_string()).unwrap_or_default()
}

#[async_trait]
impl Provider for Kubernetes {
    fn name(&self) -> &str {
        PREFIX.trim_end_matches(':')
    }

    fn schema(&self, kind: &str) -> Result<KindSchema> {
        Ok(diff::schema(&Gvk::known(kind)?))
    }

    fn check(&self, urn: &Urn, inputs: Value) -> Result<Value> {
        normal::check(urn, inputs)
    }

    fn diff(&self, recorded: &Recorded, desired: &Value) -> Result<Diff> {
        diff::diff(&Gvk::known(recorded.urn.kind())?, recorded, desired)
    }

    fn predict(&self, urn: &Urn, desired: &Value, recorded: Option<&Recorded>) -> Value {
        match Gvk::parse(urn.kind()) {
            Ok(gvk) => outputs::predicted(&gvk, desired, recorded),
            Err(_) => Value::Unknown,
        }
    }

    /// The same object may be written in several versions of its API, so the version does not count.
    fn identity(&self, urn: &Urn, inputs: &Value) -> Option<String> {
        let gvk = Gvk::parse(urn.kind()).ok()?;
        let name = inputs.text_at("metadata.name")?;
        let namespace = inputs.text_at("metadata.namespace").unwrap_or_default();
        let kind = match gvk.group.as_str() {
            "" => gvk.kind,
            group => format!("{group}/{}", gvk.kind),
        };
        let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        Some(format!("{kind} {place}{name}"))
    }

    fn infer_dependencies(&self, resources: &[&Resource]) -> Vec<(Urn, Urn)> {
        infer::dependencies(resources)
    }

    fn inferred_because(
        &self,
        resources: &[&Resource],
        dependent: &Urn,
        dependency: &Urn,
    ) -> Option<&'static str> {
        infer::because(resources, dependent, dependency)
    }

    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        occupy::lives_in(dependent, dependency)
    }

    async fn occupants(&self, context: &Context, requests: &[Request<'_>]) -> Vec<Result<Option<Occupant>>> {
        if requests.iter().all(|request| !self.connector.is_there(request.connection)) {
            return requests.iter().map(|_| Ok(None)).collect();
        }
        occupy::occupants(self, context, requests).await
    }

    async fn create(&self, context: &Context, request: Request<'_>) -> Result<Applied> {
        let cluster = self.cluster(context, request.connection).await?;
        apply::create(&cluster, context, request).await
    }

    async fn read(&self, context: &Context, request: ReadRequest<'_>) -> Result<Option<Live>> {
        match self.cluster(context, request.recorded.connection.as_ref()).await {
            Ok(cluster) => read::one(&cluster, context, request.recorded).await,
            // With the cluster, everything in it is gone.
            Err(error) if error.class == Class::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read_many(&self, context: &Context, requests: &[ReadRequest<'_>]) -> Vec<Result<Option<Live>>> {
        read::many(self, context, requests).await
    }

    async fn update(&self, context: &Context, request: Request<'_>, recorded: &Recorded) -> Result<Applied> {
        let cluster = self.cluster(context, request.connection).await?;
        apply::update(&cluster, context, request, recorded).await
    }

    async fn delete(&self, context: &Context, recorded: &Recorded) -> Result<()> {
        let cluster = self.cluster(context, recorded.connection.as_ref()).await?;
        delete::delete(&cluster, context, recorded).await
    }

    async fn find(&self, context: &Context, request: Request<'_>) -> Result<Option<Live>> {
        match self.cluster(context, request.connection).await {
            Ok(cluster) => read::find(&cluster, context, request).await,
            Err(error) if error.class == Class::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn preview_many(&self, context: &Context, requests: &[PreviewRequest<'_>]) -> Vec<Result<Preview>> {
        preview::many(self, context, requests).await
    }

    fn taken(&self, now: &Recorded, live: &Live) -> Taken {
        match Gvk::parse(now.urn.kind()) {
            Ok(gvk) => drift::taken(&gvk, &now.inputs, live),
            Err(_) => Taken { inputs: now.inputs.clone(), lost: Vec::new() },
        }
    }

    fn drift(&self, recorded: &Recorded, live: &Live) -> Vec<Drift> {
        match Gvk::parse(recorded.urn.kind()) {
            Ok(gvk) => drift::drift(&gvk, recorded, live),
            Err(_) => Vec::new(),
        }
    }
}
