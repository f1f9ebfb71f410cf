//! Requests to a server in this process, without a network between.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use plinth_local::kube::{ApiServer, Options};
use serde_json::Value;
use tower_service::Service;

/// A reply, read whole.
#[derive(Debug)]
pub struct Reply {
    pub code: u16,
    pub body: Value,
    pub warnings: Vec<String>,
}

impl Reply {
    /// The message of a refusal.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
    /// The version of the object.
    pub fn version(&self) -> &str {
        self.body["metadata"]["resourceVersion"].as_str().unwrap_or_default()
    }
}

/// A server without controllers: nothing happens but what a test does.
pub fn still() -> ApiServer {
    ApiServer::in_memory(Options { controllers: false, ..Options::default() })
}

/// A server with quick controllers.
pub fn alive() -> ApiServer {
    ApiServer::in_memory(Options { time_scale: 0.2, ..Options::default() })
}

/// Sends one request.
pub async fn send(api: &ApiServer, method: &str, path: &str, content: &str, body: String) -> Reply {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content)
        .header("user-agent", "tests/1.0")
        .body(http_body_util::Full::new(bytes::Bytes::from(body)))
        .expect("request");
    let response = api.clone().call(request).await.expect("reply");
    let code = response.status().as_u16();
    let warnings = response
        .headers()
        .get_all("warning")
        .iter()
        .map(|w| w.to_str().unwrap_or_default().to_owned())
        .collect();
    let bytes = response.into_body().collect().await.expect("body").to_bytes();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Reply { code, body, warnings }
}

pub async fn get(api: &ApiServer, path: &str) -> Reply {
    send(api, "GET", path, "", String::new()).await
}

pub async fn post(api: &ApiServer, path: &str, body: Value) -> Reply {
    send(api, "POST", path, "application/json", body.to_string()).await
}

pub async fn put(api: &ApiServer, path: &str, body: Value) -> Reply {
    send(api, "PUT", path, "application/json", body.to_string()).await
}

pub async fn merge(api: &ApiServer, path: &str, body: Value) -> Reply {
    send(api, "PATCH", path, "application/merge-patch+json", body.to_string()).await
}

pub async fn delete(api: &ApiServer, path: &str) -> Reply {
    send(api, "DELETE", path, "application/json", String::new()).await
}

/// Applies as a manager; further query parameters may follow the path after `?`.
pub async fn apply(api: &ApiServer, path: &str, manager: &str, body: Value) -> Reply {
    let joiner = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{joiner}fieldManager={manager}");
    send(api, "PATCH", &path, "application/apply-patch+yaml", body.to_string()).await
}

/// Waits until an object fulfils a condition; fails with what it last looked like.
pub async fn until(api: &ApiServer, path: &str, test: impl Fn(&Reply) -> bool) -> Reply {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let reply = get(api, path).await;
        if test(&reply) {
            return reply;
        }
        assert!(Instant::now() < deadline, "{path} never got there: {:#}", reply.body);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
