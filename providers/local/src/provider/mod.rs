//! The provider of the kinds `local:…`: what the engine asks, in the words of the simulated cloud.
//!
//! Planning (`check`, `diff`, `predict`, `infer_dependencies`) needs no place: the kinds' own tables tell everything,
//! down to the ids. What must not live here: how the cloud behaves, and how a place is reached.

mod client;
mod mask;
mod plan;
mod work;

use async_trait::async_trait;
use futures::future::join_all;
use plinth_provider::{
    Applied, Context, Drift, KindSchema, Lane, Live, Occupant, Owner as Whose, Provider, ReadRequest,
    Recorded, Request, Resource, Result, Urn, Value, changes_with_sets,
};
use serde::{Deserialize, Serialize};

use crate::cloud::{CloudKind, Record, Status, Touch};
use crate::place::Place;
use client::Client;

/// The client's name: what it touches is no drift of somebody else's making.
const CLIENT: &str = "plinth";

/// The provider of the simulated cloud.
#[derive(Debug, Clone)]
pub struct LocalCloud {
    client: Client,
}

impl LocalCloud {
    /// The provider of the cloud in a place. The place is reached when it is first needed.
    pub fn new(place: Place) -> Self {
        Self { client: Client::new(place) }
    }

    /// The place that the cloud lives in.
    pub fn place(&self) -> &Place {
        self.client.place()
    }
}

/// What drift is judged with, beside the inputs.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Details {
    status: Option<Status>,
    touched: std::collections::BTreeMap<String, Touch>,
}

fn live(record: Record, inputs: &Value) -> Live {
    let details = Details { status: Some(record.status), touched: record.touched.clone() };
    Live {
        id: record.id().to_owned(),
        outputs: mask::like(inputs, Value::from_json(record.outputs)),
        inputs: mask::like(inputs, Value::from_json(record.inputs)),
        details: serde_json::to_value(details).unwrap_or_default(),
    }
}

fn applied(record: Record, inputs: &Value) -> Applied {
    let live = live(record, inputs);
    Applied { id: live.id, outputs: live.outputs }
}

#[async_trait]
impl Provider for LocalCloud {
    fn name(&self) -> &str {
        "local"
    }

    fn schema(&self, kind: &str) -> Result<KindSchema> {
        CloudKind::parse(kind).map(CloudKind::schema)
    }

    fn check(&self, urn: &Urn, inputs: Value) -> Result<Value> {
        let kind = CloudKind::parse(urn.kind())?;
        kind.check(plan::with_name(kind, urn, inputs))
    }

    fn predict(&self, urn: &Urn, desired: &Value, _recorded: Option<&Recorded>) -> Value {
        match CloudKind::parse(urn.kind()) {
            Ok(kind) if desired.as_map().is_some() => (kind.spec().outputs)(desired),
            _ => Value::Unknown,
        }
    }

    fn infer_dependencies(&self, resources: &[&Resource]) -> Vec<(Urn, Urn)> {
        plan::dependencies(resources)
    }

    fn inferred_because(
        &self,
        _resources: &[&Resource],
        _dependent: &Urn,
        _dependency: &Urn,
    ) -> Option<&'static str> {
        Some("its inputs name it")
    }

    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        plan::uses(dependent, dependency)
    }

    fn identity(&self, urn: &Urn, inputs: &Value) -> Option<String> {
        let kind = CloudKind::parse(urn.kind()).ok()?;
        Some(format!("{} {}", kind.spec().noun, kind.full_name(inputs)?))
    }

    fn beside(&self, recorded: &Recorded, declared: &Value, desired: &Value) -> Option<Value> {
        plan::beside(recorded, declared, desired)
    }

    fn keep_name(&self, recorded: &Recorded, declared: &Value, desired: Value) -> Value {
        plan::keep_name(recorded, declared, desired)
    }

    fn lanes(&self, urn: &Urn, inputs: &Value) -> Vec<Lane> {
        CloudKind::parse(urn.kind()).map(|kind| plan::lanes(kind, inputs)).unwrap_or_default()
    }

    async fn create(&self, context: &Context, request: Request<'_>) -> Result<Applied> {
        work::create(&self.client, context, request).await.map(|record| applied(record, request.inputs))
    }

    async fn read(&self, context: &Context, request: ReadRequest<'_>) -> Result<Option<Live>> {
        let recorded = request.recorded;
        let found = work::read(&self.client, context, recorded).await?;
        Ok(found.map(|record| live(record, &recorded.inputs)))
    }

    async fn read_many(&self, context: &Context, requests: &[ReadRequest<'_>]) -> Vec<Result<Option<Live>>> {
        let mut kinds: Vec<CloudKind> = requests
            .iter()
            .filter_map(|request| CloudKind::parse(request.recorded.urn.kind()).ok())
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        let lists = join_all(kinds.iter().map(|kind| async {
            (
                *kind,
                context
                    .bounded(|| format!("listing {}", kind.spec().collection), self.client.list(*kind))
                    .await,
            )
        }))
        .await;
        let answer = async |request: &ReadRequest<'_>| {
            let recorded = request.recorded;
            let kind = CloudKind::parse(recorded.urn.kind())?;
            let Some((_, list)) = lists.iter().find(|(of, _)| *of == kind) else { return Ok(None) };
            let list = list.as_ref().map_err(Clone::clone)?;
            match plan::found_in(list, kind, recorded) {
                Some(record) => {
                    let there = work::going(&self.client, context, record.clone()).await?;
                    Ok(there.map(|record| live(record, &recorded.inputs)))
                }
                None => Ok(None),
            }
        };
        join_all(requests.iter().map(answer)).await
    }

    async fn update(&self, context: &Context, request: Request<'_>, recorded: &Recorded) -> Result<Applied> {
        work::update(&self.client, context, request, recorded)
            .await
            .map(|record| applied(record, request.inputs))
    }

    async fn delete(&self, context: &Context, recorded: &Recorded) -> Result<()> {
        work::delete(&self.client, context, recorded).await
    }

    async fn find(&self, context: &Context, request: Request<'_>) -> Result<Option<Live>> {
        let found = work::find(&self.client, context, request).await?;
        Ok(found.map(|record| live(record, request.inputs)))
    }

    async fn occupants(&self, context: &Context, requests: &[Request<'_>]) -> Vec<Result<Option<Occupant>>> {
        if !self.place().dir().exists() {
            return requests.iter().map(|_| Ok(None)).collect();
        }
        let ask = async |request: &Request<'_>| {
            let Some(record) = work::occupant(&self.client, context, *request).await? else {
                return Ok(None);
            };
            let owner = match &record.tags {
                None => Whose::Nobody,
                Some(tags) if tags.stack == context.stack && tags.urn == request.urn.as_str() => Whose::Ours,
                Some(tags) => Whose::Other { stack: tags.stack.clone(), urn: tags.urn.clone() },
            };
            Ok(Some(Occupant { live: live(record, request.inputs), owner }))
        };
        join_all(requests.iter().map(ask)).await
    }

    fn drift(&self, recorded: &Recorded, live: &Live) -> Vec<Drift> {
        let sets = self.schema(recorded.urn.kind()).map(|schema| schema.set_like).unwrap_or_default();
        let details: Details = serde_json::from_value(live.details.clone()).unwrap_or_default();
        changes_with_sets(&recorded.inputs, &live.inputs, &sets)
            .into_iter()
            .map(|change| {
                let input = match change.path.segments().first() {
                    Some(plinth_provider::Segment::Key(key)) => details.touched.get(key),
                    _ => None,
                };
                let touch = input.filter(|touch| touch.by != CLIENT);
                Drift {
                    path: change.path,
                    recorded: change.before,
                    live: change.after,
                    by: touch.map(|touch| touch.by.clone()),
                    at: touch.map(|touch| touch.at),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
