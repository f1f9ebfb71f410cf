//! HTTP: what a request asks for, who answers it, and how the answer is put.

mod body;
mod dispatch;
pub(crate) mod lost;
pub(crate) mod negotiate;
mod options;
mod read;
pub(crate) mod request;
mod reviews;
mod subresources;
mod watch;
mod writes;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderValue, Request, Response, StatusCode, header};

use super::json::{Json, Look};
use super::server::Server;
use super::status::Status;
use super::store::Key;

/// The API as a router: one handler, since paths are data.
pub(crate) fn router(server: Arc<Server>) -> Router {
    Router::new().fallback(handle).with_state(server)
}

/// The flow and the level of priority that every request belongs to, since everybody is an administrator.
const FLOW: [(&str, &str); 2] = [
    ("x-kubernetes-pf-flowschema-uid", "flowschemas.flowcontrol.apiserver.k8s.io"),
    ("x-kubernetes-pf-prioritylevel-uid", "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"),
];

async fn handle(State(server): State<Arc<Server>>, request: Request<Body>) -> Response<Body> {
    let mut response = dispatch::dispatch(Arc::clone(&server), request).await;
    for (name, storage) in FLOW {
        let exempt = server.store.get(&Key::new(storage, "", "exempt"));
        let uid = exempt.and_then(|found| HeaderValue::from_str(found.text("metadata.uid")).ok());
        if let Some(uid) = uid {
            response.headers_mut().insert(name, uid);
        }
    }
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().insert("audit-id", id);
    }
    response
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub code: u16,
    pub body: Json,
    pub warnings: Vec<String>,
    /// Another content type than plain JSON.
    pub content_type: Option<&'static str>,
    /// Text instead of JSON.
    pub text: Option<String>,
    /// Bytes instead of JSON.
    pub bytes: Option<Vec<u8>>,
    /// A validator for caches.
    pub etag: Option<String>,
    /// Whether the client would rather read YAML.
    pub yaml: bool,
}

impl Reply {
    /// 200 with a document.
    pub fn ok(body: Json) -> Self {
        Self {
            code: 200,
            body,
            warnings: Vec::new(),
            content_type: None,
            text: None,
            bytes: None,
            etag: None,
            yaml: false,
        }
    }
    /// Any code with a document.
    pub fn with(code: u16, body: Json, warnings: Vec<String>) -> Self {
        Self { code, warnings, ..Self::ok(body) }
    }
    /// 200 with plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::ok(Json::Null) }
    }

    fn into_response(self) -> Response<Body> {
        let kind = self.content_type;
        if self.yaml
            && let Ok(text) = serde_saphyr::to_string(&self.body)
        {
            let plain =
                Self { yaml: false, text: Some(text), content_type: Some("application/yaml"), ..self };
            return plain.into_response();
        }
        let (body, kind) = match (self.bytes, self.text) {
            (Some(bytes), _) => (Body::from(bytes), kind.unwrap_or("application/octet-stream")),
            (_, Some(text)) => (Body::from(text), kind.unwrap_or("text/plain; charset=utf-8")),
            _ => (Body::from(self.body.to_string()), kind.unwrap_or("application/json")),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if let Some(Ok(etag)) = self.etag.map(|e| HeaderValue::from_str(&e)) {
            headers.insert(header::ETAG, etag);
        }
        for warning in self.warnings {
            let clean: String = warning.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{clean}\"")) {
                headers.append(header::WARNING, value);
            }
        }
        response
    }
}

impl Status {
    fn into_response(self) -> Response<Body> {
        let mut reply =
            if self.plain { Reply::text(format!("{}\n", self.message)) } else { Reply::ok(self.to_json()) };
        reply.code = self.code;
        let mut response = reply.into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
