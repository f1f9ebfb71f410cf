//! The HTTP face of the simulated cloud, below `/cloud/v1`. Names of node pools and add-ons are `<cluster>/<name>`.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /cloud/v1` | lists kinds |
//! | `GET /cloud/v1/clusters?stack=prod` | lists resources |
//! | `GET`, `POST`, `PUT`, `DELETE /cloud/v1/clusters/<name>` | reads, makes, changes, removes one |
//! | `GET /cloud/v1/operations/<id>?waitMs=500` | tells how far an operation is, waiting a little for its end |
//! | `GET /cloud/v1/objects/<bucket>?prefix=` | lists a bucket's objects |
//! | `GET`, `PUT`, `DELETE /cloud/v1/objects/<bucket>/<key>` | reads, writes, removes an object |

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::{Code, Refusal};
use super::record::{Operation, Owner, Record};
use super::service::Wish;
use super::{Cloud, CloudKind, objects};
use plinth_provider::did_you_mean;

/// The body of a request that makes, changes or removes a resource.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Submission {
    /// The inputs; not for removals.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub inputs: serde_json::Value,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Owner>,
    /// The id of the resource, when another stack handed it over and its tags do not say so yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_over: Option<String>,
    /// The same for every try of one request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_token: String,
}

/// The answer to a request that was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Accepted {
    /// The resource as it is now.
    pub resource: Record,
    /// What was begun, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
}

/// Resources of one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listing {
    /// By name.
    pub items: Vec<Record>,
}

/// An operation and how far it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waited {
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
    /// How much of it is done.
    pub percent: u32,
}

impl Cloud {
    /// The routes below `/cloud/v1`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/cloud/v1", get(index))
            .route("/cloud/v1/operations/{id}", get(operation))
            .route("/cloud/v1/objects/{bucket}", get(list_objects))
            .route(
                "/cloud/v1/objects/{bucket}/{*key}",
                get(read_object).put(write_object).delete(remove_object),
            )
            .route("/cloud/v1/{collection}", get(list))
            .route("/cloud/v1/{collection}/{*name}", get(read).post(create).put(update).delete(delete))
            .fallback(nowhere)
            .layer(DefaultBodyLimit::max(LARGEST_BODY))
            .with_state(self.clone())
    }
}

type Answer = Result<Response, Refusal>;

/// The largest object that can be written.
const LARGEST_BODY: usize = 256 << 20;

async fn nowhere(uri: Uri) -> Refusal {
    Refusal::new(Code::NotFound, format!("there is nothing at {}", uri.path()))
        .help("everything is below /cloud/v1")
}

fn kind(collection: &str) -> Result<CloudKind, Refusal> {
    CloudKind::of_collection(collection).ok_or_else(|| {
        let known: Vec<&str> = CloudKind::ALL.iter().map(|kind| kind.spec().collection).collect();
        Refusal::new(Code::NotFound, format!("there is no collection `{collection}`"))
            .help(did_you_mean(collection, &known))
    })
}

fn wish(headers: &HeaderMap, body: &Bytes) -> Result<Wish, Refusal> {
    let submission: Submission = if body.is_empty() {
        Submission::default()
    } else {
        serde_json::from_slice(body).map_err(|error| {
            Refusal::new(Code::Invalid, format!("the request's body: {error}"))
                .help("send {\"inputs\": …, \"tags\": …, \"clientToken\": …}")
        })?
    };
    let client = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("unknown");
    Ok(Wish {
        inputs: submission.inputs,
        owner: submission.tags,
        takes_over: submission.takes_over,
        client_token: submission.client_token,
        client: client.split(['/', ' ']).next().unwrap_or(client).to_owned(),
    })
}

fn accepted(status: StatusCode, (resource, operation): (Record, Option<Operation>)) -> Response {
    (status, Json(Accepted { resource, operation })).into_response()
}

async fn index() -> Json<serde_json::Value> {
    let kinds: Vec<_> = CloudKind::ALL
        .iter()
        .map(|kind| {
            let spec = kind.spec();
            json!({ "kind": spec.name, "collection": spec.collection, "quota": spec.quota })
        })
        .collect();
    Json(json!({ "kinds": kinds }))
}

#[derive(Deserialize)]
struct Filter {
    stack: Option<String>,
}

async fn list(
    State(cloud): State<Cloud>,
    Path(collection): Path<String>,
    Query(filter): Query<Filter>,
) -> Answer {
    let items = cloud.list(kind(&collection)?, filter.stack.as_deref());
    Ok(Json(Listing { items }).into_response())
}

async fn read(State(cloud): State<Cloud>, Path((collection, name)): Path<(String, String)>) -> Answer {
    Ok(Json(cloud.get(kind(&collection)?, &name)?).into_response())
}

async fn create(
    State(cloud): State<Cloud>,
    Path((collection, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    Ok(accepted(StatusCode::CREATED, cloud.create(kind(&collection)?, &name, wish(&headers, &body)?)?))
}

async fn update(
    State(cloud): State<Cloud>,
    Path((collection, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    Ok(accepted(StatusCode::OK, cloud.update(kind(&collection)?, &name, wish(&headers, &body)?)?))
}

async fn delete(
    State(cloud): State<Cloud>,
    Path((collection, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    Ok(accepted(StatusCode::OK, cloud.delete(kind(&collection)?, &name, &wish(&headers, &body)?)?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Patience {
    #[serde(default)]
    wait_ms: u64,
}

async fn operation(
    State(cloud): State<Cloud>,
    Path(id): Path<String>,
    Query(patience): Query<Patience>,
) -> Answer {
    let operation = cloud.wait(&id, Duration::from_millis(patience.wait_ms.min(30_000))).await?;
    let percent = operation.percent(Timestamp::now());
    Ok(Json(Waited { operation, percent }).into_response())
}

#[derive(Deserialize)]
struct Prefix {
    #[serde(default)]
    prefix: String,
}

async fn list_objects(
    State(cloud): State<Cloud>,
    Path(bucket): Path<String>,
    Query(filter): Query<Prefix>,
) -> Answer {
    cloud.get(CloudKind::Bucket, &bucket)?;
    let items: Vec<_> = objects::list(&cloud.bucket_dir(&bucket), &filter.prefix)
        .into_iter()
        .map(|(key, size)| json!({ "key": key, "size": size }))
        .collect();
    Ok(Json(json!({ "items": items })).into_response())
}

async fn read_object(State(cloud): State<Cloud>, Path((bucket, key)): Path<(String, String)>) -> Answer {
    cloud.get(CloudKind::Bucket, &bucket)?;
    match std::fs::read(objects::file_of(&cloud.bucket_dir(&bucket), &key)?) {
        Ok(content) => Ok(content.into_response()),
        Err(_) => Err(Refusal::new(Code::NotFound, format!("bucket `{bucket}` holds no `{key}`"))),
    }
}

async fn write_object(
    State(cloud): State<Cloud>,
    Path((bucket, key)): Path<(String, String)>,
    content: Bytes,
) -> Answer {
    cloud.get(CloudKind::Bucket, &bucket)?;
    objects::write(&objects::file_of(&cloud.bucket_dir(&bucket), &key)?, &content)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn remove_object(State(cloud): State<Cloud>, Path((bucket, key)): Path<(String, String)>) -> Answer {
    cloud.get(CloudKind::Bucket, &bucket)?;
    let dir = cloud.bucket_dir(&bucket);
    objects::remove(&dir, &objects::file_of(&dir, &key)?)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
