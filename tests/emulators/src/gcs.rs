//! Google's object storage as its XML interface has it, preconditions included, in memory.
//!
//! The servers that other people wrote enforce preconditions for some kinds of upload only, and not for the plain PUT.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::proxy::Background;

/// How many keys one page of a listing holds.
const PAGE: usize = 1000;
const XMLNS: &str = "http://doc.s3.amazonaws.com/2006-03-01";

/// A stand-in for Google's object storage with one bucket, `bucket`.
#[derive(Debug)]
pub struct Gcs {
    background: Background,
}

#[derive(Debug, Default)]
struct Bucket {
    objects: Mutex<BTreeMap<String, (u64, Bytes)>>,
    generation: AtomicU64,
}

impl Default for Gcs {
    fn default() -> Self {
        Self::new()
    }
}

impl Gcs {
    /// Starts one.
    pub fn new() -> Self {
        let bucket = Arc::new(Bucket::default());
        let background = Background::start(move |listener| async move {
            let one = get(object).put(object).delete(object);
            let router = axum::Router::new()
                .route("/bucket", get(list))
                .route("/bucket/{*key}", one)
                .fallback(|| async { error(StatusCode::NOT_FOUND, "NoSuchBucket") })
                .layer(axum::extract::DefaultBodyLimit::disable())
                .with_state(bucket);
            let _ = axum::serve(listener, router).await;
        });
        Self { background }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        self.background.url()
    }
}

fn error(status: StatusCode, code: &str) -> Response {
    let body = format!("<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>");
    (status, [("content-type", "application/xml")], body).into_response()
}

async fn object(
    State(bucket): State<Arc<Bucket>>,
    Path(key): Path<String>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut objects = bucket.objects.lock().unwrap_or_else(PoisonError::into_inner);
    if method == Method::PUT {
        let wanted = headers.get("x-goog-if-generation-match").and_then(|value| value.to_str().ok());
        let current = objects.get(&key).map_or(0, |(generation, _)| *generation);
        if wanted.is_some_and(|wanted| wanted.parse() != Ok(current)) {
            return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
        let generation = bucket.generation.fetch_add(1, Ordering::SeqCst) + 1;
        objects.insert(key, (generation, body));
        return tagged(generation).body(Body::empty()).unwrap_or_default();
    }
    if method == Method::DELETE {
        return match objects.remove(&key) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
        };
    }
    match objects.get(&key) {
        Some((generation, bytes)) => tagged(*generation).body(Body::from(bytes.clone())).unwrap_or_default(),
        None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
    }
}

fn tagged(generation: u64) -> http::response::Builder {
    http::Response::builder()
        .header("etag", format!("\"{generation}\""))
        .header("x-goog-generation", generation)
        .header("last-modified", "Mon, 05 Jan 2026 00:00:00 GMT")
}

async fn list(State(bucket): State<Arc<Bucket>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let objects = bucket.objects.lock().unwrap_or_else(PoisonError::into_inner);
    let empty = String::new();
    let prefix = query.get("prefix").unwrap_or(&empty);
    let after = query.get("continuation-token").or(query.get("start-after")).unwrap_or(&empty);
    let mut keys = objects
        .iter()
        .filter(|(key, _)| key.starts_with(prefix.as_str()) && (after.is_empty() || *key > after));
    let page: Vec<_> = keys.by_ref().take(PAGE).collect();
    let more = keys.next().is_some();
    let mut xml = format!("<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='{XMLNS}'>");
    let _ = write!(xml, "<IsTruncated>{more}</IsTruncated>");
    if let (true, Some((last, _))) = (more, page.last()) {
        let _ = write!(xml, "<NextContinuationToken>{last}</NextContinuationToken>");
    }
    for (key, (generation, bytes)) in page {
        let _ = write!(
            xml,
            "<Contents><Key>{key}</Key><LastModified>2026-01-05T00:00:00.000Z</LastModified>\
             <ETag>\"{generation}\"</ETag><Size>{}</Size></Contents>",
            bytes.len()
        );
    }
    xml.push_str("</ListBucketResult>");
    ([("content-type", "application/xml")], xml).into_response()
}
