//! What every request to a place passes: the token, the count, and the faults that were asked for.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Endpoint, Options, PlaceError};
use crate::cloud::{Code, Refusal};
use crate::faults::{Draw, Fault};

/// The header by which a client knows that it reached the place it meant.
pub const INSTANCE: &str = "x-plinth-place";

/// Where the place tells about itself.
pub const ABOUT: &str = "/place/v1";

/// How many requests a place has served since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Requests that only read.
    pub reads: u64,
    /// Requests that change something.
    pub writes: u64,
    /// Those that were made to go wrong.
    pub faults: u64,
    /// Those without the token.
    pub unauthorized: u64,
}

#[derive(Debug, Default)]
struct Counters {
    reads: AtomicU64,
    writes: AtomicU64,
    faults: AtomicU64,
    unauthorized: AtomicU64,
}

/// The gate in front of the stores.
#[derive(Debug)]
pub struct Gate {
    endpoint: Endpoint,
    faults: Option<Draw>,
    audit: Option<File>,
    cloud: TowerToHyperService<Router>,
    kubernetes: TowerToHyperService<Router>,
    counters: Counters,
}

/// The connection ends here: the request was carried out and nobody will know.
#[derive(Debug, thiserror::Error)]
#[error("the reply is lost on purpose")]
pub struct Lost;

impl Gate {
    pub fn new(
        endpoint: Endpoint,
        options: &Options,
        cloud: Router,
        kubernetes: Router,
    ) -> Result<Self, PlaceError> {
        let open = |path: &PathBuf| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.map_err(PlaceError::files(format!("open {}", path.display())))
        };
        Ok(Self {
            endpoint,
            audit: options.audit.as_ref().map(open).transpose()?,
            faults: options.faults.map(Draw::new),
            cloud: TowerToHyperService::new(cloud),
            kubernetes: TowerToHyperService::new(kubernetes),
            counters: Counters::default(),
        })
    }

    pub async fn serve(&self, request: Request<Incoming>) -> Result<Response, Lost> {
        let mut response = self.answer(request).await?;
        if let Ok(instance) = HeaderValue::from_str(&self.endpoint.instance) {
            response.headers_mut().insert(INSTANCE, instance);
        }
        Ok(response)
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response, Lost> {
        let known = self.knows(&request) || is_public(&request);
        let is_cloud = request.uri().path().starts_with("/cloud/");
        if !known {
            self.counters.unauthorized.fetch_add(1, Ordering::Relaxed);
            return Ok(refused(is_cloud, StatusCode::UNAUTHORIZED));
        }
        if request.uri().path() == ABOUT {
            return Ok(self.about());
        }
        // A dry run changes nothing either.
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
            || request.uri().query().is_some_and(|query| query.contains("dryRun="));
        let counter = if reads { &self.counters.reads } else { &self.counters.writes };
        counter.fetch_add(1, Ordering::Relaxed);
        let request = request.map(Body::new);
        if reads || (self.faults.is_none() && self.audit.is_none()) {
            return Ok(self.pass(is_cloud, request).await);
        }
        let (served, request) = Served::of(is_cloud, request).await;
        let Some(draw) = &self.faults else { return Ok(self.write(is_cloud, request, &served).await) };
        let fault = draw.fault(&served.method, &served.path, &served.what);
        if fault.is_some() {
            self.counters.faults.fetch_add(1, Ordering::Relaxed);
        }
        match fault {
            None => Ok(self.write(is_cloud, request, &served).await),
            Some(Fault::Late(by)) => {
                tokio::time::sleep(by).await;
                Ok(self.write(is_cloud, request, &served).await)
            }
            Some(Fault::Throttled) => Ok(refused(is_cloud, StatusCode::TOO_MANY_REQUESTS)),
            Some(Fault::Failed) => Ok(refused(is_cloud, StatusCode::INTERNAL_SERVER_ERROR)),
            Some(Fault::Unavailable) => Ok(refused(is_cloud, StatusCode::SERVICE_UNAVAILABLE)),
            Some(Fault::LostReply) => {
                drop(self.write(is_cloud, request, &served).await);
                Err(Lost)
            }
        }
    }

    /// Passes a change on and writes down what came of it.
    async fn write(&self, is_cloud: bool, request: Request<Body>, served: &Served) -> Response {
        let response = self.pass(is_cloud, request).await;
        if let Some(mut audit) = self.audit.as_ref() {
            let line = json!({
                "pid": self.endpoint.pid, "served": served.method, "path": served.path, "name": served.what,
                "token": served.token,
                "status": response.status().as_u16(),
            });
            // Losing a line would only hide something from whoever reads the file.
            let _ = audit.write_all(format!("{line}\n").as_bytes());
        }
        response
    }

    async fn pass(&self, is_cloud: bool, request: Request<Body>) -> Response {
        let store = if is_cloud { &self.cloud } else { &self.kubernetes };
        match store.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn knows(&self, request: &Request<Incoming>) -> bool {
        let given = request.headers().get(header::AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        self.is_token(given.strip_prefix(b"Bearer ").unwrap_or_default())
    }

    fn is_token(&self, token: &[u8]) -> bool {
        let want = self.endpoint.token.as_bytes();
        // Compared in constant time: how much of a guess is right must not show.
        token.len() == want.len() && token.iter().zip(want).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
    }

    fn about(&self) -> Response {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests = Requests {
            reads: count(&self.counters.reads),
            writes: count(&self.counters.writes),
            faults: count(&self.counters.faults),
            unauthorized: count(&self.counters.unauthorized),
        };
        Json(About { instance: self.endpoint.instance.clone(), pid: self.endpoint.pid, requests })
            .into_response()
    }
}

/// Whether anybody may know: that the API is well, and its version, as in every cluster.
fn is_public(request: &Request<Incoming>) -> bool {
    let path = request.uri().path().trim_end_matches('/');
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    *request.method() == Method::GET
        && (path == "/version" || matches!(first, "healthz" | "livez" | "readyz"))
}

/// A change that was asked for.
struct Served {
    method: String,
    path: String,
    /// What tells it from others to the same address: the name in the body, where Kubernetes creates into a collection.
    what: String,
    /// What the cloud knows it again by when it is repeated.
    token: String,
}

impl Served {
    async fn of(is_cloud: bool, request: Request<Body>) -> (Self, Request<Body>) {
        let method = request.method().to_string();
        let path = request.uri().path().to_owned();
        if request.method() != Method::POST {
            return (Self { method, path, what: String::new(), token: String::new() }, request);
        }
        let (parts, body) = request.into_parts();
        // A body that breaks off is passed on as it came; the store refuses it.
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let object: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |at| object.pointer(at).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let (what, token) = match is_cloud {
            true => (String::new(), text("/clientToken")),
            false => (text("/metadata/name"), String::new()),
        };
        (Self { method, path, what, token }, Request::from_parts(parts, Body::from(bytes)))
    }
}

/// What a place tells about itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct About {
    pub instance: String,
    pub pid: u32,
    pub requests: Requests,
}

/// A refusal, in the words of the API that was asked.
fn refused(is_cloud: bool, status: StatusCode) -> Response {
    let (code, reason, message) = match status {
        StatusCode::UNAUTHORIZED => (Code::Denied, "Unauthorized", "Unauthorized"),
        StatusCode::TOO_MANY_REQUESTS => {
            (Code::Throttled, "TooManyRequests", "too many requests (on purpose)")
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            (Code::Unavailable, "ServiceUnavailable", "unavailable for a moment (on purpose)")
        }
        _ => (Code::Internal, "InternalError", "an internal error (on purpose)"),
    };
    let throttled = code == Code::Throttled;
    if is_cloud {
        let mut refusal = Refusal::new(code, message);
        refusal.retry_after_ms = throttled.then_some(200);
        return refusal.into_response();
    }
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Failure", "message": message, "reason": reason, "code": status.as_u16(),
    });
    if throttled {
        body["details"] = json!({ "retryAfterSeconds": 1 });
    }
    let mut response = (status, Json(body)).into_response();
    if throttled {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
