//! Requests as they go over the wire. Whole replies come back whatever their status: what a 409 means depends on who
//! asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request};
use kube::client::Body;
use plinth_provider::{Class, Context, Error, Result, Value};
use serde_json::Value as Json;
use tokio::time::Instant;

use super::discovery::Served;
use super::error::Status;
use crate::connect::Connector;

/// The longest that one request (not a watch) may take; kube's client itself never gives up on reading.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a request that was refused for want of room waits for its turn before the refusal is handed on.
const REFUSALS: u32 = 4;

/// An API server, and what is known of it.
pub(crate) struct Cluster {
    client: Mutex<kube::Client>,
    connector: Arc<dyn Connector>,
    connection: Option<Value>,
    pub served: Arc<Served>,
}

const PLAIN: &str = "application/json, */*";
/// A server that knows no such form answers with whole objects.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

/// A request, before it is sent.
struct Asked<'a> {
    method: Method,
    path: &'a str,
    content: Option<(&'a str, &'a Json)>,
    accept: &'static str,
}

impl<'a> Asked<'a> {
    fn new(method: Method, path: &'a str) -> Self {
        Self { method, path, content: None, accept: PLAIN }
    }

    fn writes(&self) -> bool {
        self.method != Method::GET
    }

    /// For messages.
    fn text(&self) -> String {
        format!("{} {}", self.method, self.path.split('?').next().unwrap_or(self.path))
    }
}

/// What became of a request.
enum Sent {
    Replied(Reply),
    /// There was no connection.
    Unreached(Error),
}

/// A reply, whatever its status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub body: Json,
    pub warnings: Vec<String>,
    pub retry_after: Option<Duration>,
    /// The priority level that the server counts the request in.
    pub level: Option<String>,
}

impl Reply {
    /// Whether a 429 is the server's own flow control, and not an eviction that a budget forbids.
    fn is_about_room(&self) -> bool {
        self.retry_after.is_some() || self.level.is_some()
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body, or the error that the status stands for.
    pub(crate) fn success(self) -> Result<Json, Status> {
        if self.is_success() { Ok(self.body) } else { Err(Status::of(self)) }
    }
}

impl Cluster {
    /// The cluster of a connection.
    ///
    /// # Errors
    /// When its credentials cannot be had.
    pub(crate) async fn connect(
        connector: Arc<dyn Connector>,
        connection: Option<&Value>,
        served: Arc<Served>,
    ) -> Result<Self> {
        let client = Mutex::new(connector.client(connection).await?);
        Ok(Self { client, connector, connection: connection.cloned(), served })
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gets new credentials: those at hand are not accepted any more.
    async fn renew(&self) -> Result<()> {
        self.connector.forget(self.connection.as_ref()).await;
        let client = self.connector.client(self.connection.as_ref()).await?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }

    /// Reads what is at a path without specs and states: names, marks and owners are enough for some questions, and
    /// cost a fraction. `None` when nothing is there.
    pub(crate) async fn get_metadata(&self, context: &Context, path: &str) -> Result<Option<Json>> {
        let asked = Asked { accept: METADATA, ..Asked::new(Method::GET, path) };
        match self.deliver(context, asked).await?.success() {
            Ok(body) => Ok(Some(body)),
            Err(status) if status.code == 404 => Ok(None),
            Err(status) => Err(status.into_error(false)),
        }
    }

    /// Sends a request and reads the whole reply.
    ///
    /// # Errors
    /// [`Class::Unavailable`] when it did not arrive, [`Class::UnknownOutcome`] when a write may have,
    /// [`Class::Cancelled`] and [`Class::Timeout`] as the context says.
    pub(crate) async fn send(
        &self,
        context: &Context,
        method: Method,
        path: &str,
        content: Option<(&str, &Json)>,
    ) -> Result<Reply> {
        self.deliver(context, Asked { content, ..Asked::new(method, path) }).await
    }

    async fn deliver(&self, context: &Context, asked: Asked<'_>) -> Result<Reply> {
        let mut tries = 0;
        loop {
            let reply = self.passed(context, &asked).await?;
            // What was refused for want of room did not happen; its turn comes when the server says.
            if reply.status != 429 || tries >= REFUSALS || !reply.is_about_room() {
                return Ok(reply);
            }
            tries += 1;
        }
    }

    /// Sends when the server has room, once more with new credentials where the old ones are not accepted.
    async fn passed(&self, context: &Context, asked: &Asked<'_>) -> Result<Reply> {
        let entering = async { Ok(self.served.flow.enter(&asked.method, asked.path).await) };
        let pass = context.bounded(|| "the API server is too busy".to_owned(), entering).await?;
        let reply = self.authenticated(context, asked).await?;
        pass.answered(reply.level.as_deref(), reply.status == 429, reply.retry_after);
        Ok(reply)
    }

    async fn authenticated(&self, context: &Context, asked: &Asked<'_>) -> Result<Reply> {
        let mut sent = self.once(context, asked).await?;
        // A token that expired between plan and apply or in the middle of a run; a server that has moved.
        if matches!(&sent, Sent::Unreached(_) | Sent::Replied(Reply { status: 401, .. })) {
            context.bounded(|| "the cluster's credentials had not come".to_owned(), self.renew()).await?;
            sent = self.once(context, asked).await?;
        }
        match sent {
            Sent::Replied(reply) => Ok(reply),
            Sent::Unreached(error) => Err(error),
        }
    }

    async fn once(&self, context: &Context, ask: &Asked<'_>) -> Result<Sent> {
        let (asked, writes) = (ask.text(), ask.writes());
        let mut request = Request::builder().method(&ask.method).uri(ask.path).header("accept", ask.accept);
        let body = match ask.content {
            Some((kind, body)) => {
                request = request.header("content-type", kind);
                Body::from(body.to_string().into_bytes())
            }
            None => Body::empty(),
        };
        let request =
            request.body(body).map_err(|error| Error::invalid(format!("cannot ask {asked}: {error}")))?;
        let client = self.client();
        let work = async {
            let lost = |error: &kube::Error| transport(error, &asked, writes);
            let response = match client.send(request).await {
                Ok(response) => response,
                Err(error) if is_connecting(&error) => return Ok(Sent::Unreached(lost(&error))),
                Err(error) => return Err(lost(&error)),
            };
            let (parts, body) = response.into_parts();
            let bytes = body.collect_bytes().await.map_err(|error| lost(&error))?;
            let body = serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&bytes).trim().to_owned()));
            let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
            let retry_after =
                header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
            let warnings = parts
                .headers
                .get_all("warning")
                .iter()
                .filter_map(|value| warning_text(value.to_str().ok()?))
                .collect();
            let level = header("x-kubernetes-pf-prioritylevel-uid").map(str::to_owned);
            Ok(Sent::Replied(Reply { status: parts.status.as_u16(), body, warnings, retry_after, level }))
        };
        let timed = async {
            match tokio::time::timeout(PATIENCE, work).await {
                Ok(result) => result,
                Err(_) => {
                    let class = if writes { Class::UnknownOutcome } else { Class::Unavailable };
                    Err(Error::new(class, format!("{asked}: no answer within {} s", PATIENCE.as_secs())))
                }
            }
        };
        context.bounded(|| format!("the API server had not answered {asked}"), timed).await.map_err(|error| {
            // A write that was cut off may have happened.
            match error.class {
                Class::Timeout if writes => Error { class: Class::UnknownOutcome, ..error },
                _ => error,
            }
        })
    }

    /// Sends a write that may be repeated whatever became of it.
    ///
    /// # Errors
    /// As [`Cluster::send`], but a write whose outcome is unknown is one to repeat, or one that was too late.
    pub(crate) async fn send_again(
        &self,
        context: &Context,
        method: Method,
        path: &str,
        content: Option<(&str, &Json)>,
    ) -> Result<Reply> {
        self.send(context, method, path, content).await.map_err(|error| match error.class {
            Class::UnknownOutcome if Instant::now() >= context.deadline => {
                Error { class: Class::Timeout, ..error }
            }
            Class::UnknownOutcome => Error { class: Class::Unavailable, ..error },
            _ => error,
        })
    }

    /// Reads what is at a path; `None` when nothing is.
    pub(crate) async fn get(&self, context: &Context, path: &str) -> Result<Option<Json>> {
        let reply = self.send(context, Method::GET, path, None).await?;
        match reply.success() {
            Ok(body) => Ok(Some(body)),
            Err(status) if status.code == 404 => Ok(None),
            Err(status) => Err(status.into_error(false)),
        }
    }
}

/// `299 - "unknown field \"spec.x\""` → `unknown field "spec.x"`.
fn warning_text(header: &str) -> Option<String> {
    let (_, quoted) = header.split_once('"')?;
    let end = quoted.rfind('"')?;
    Some(quoted[..end].replace("\\\"", "\""))
}

fn causes(error: &kube::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |cause| cause.source())
}

/// Whether there was no connection: what never left this machine did not happen.
fn is_connecting(error: &kube::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper_util::client::legacy::Error>())
        .any(hyper_util::client::legacy::Error::is_connect)
}

fn transport(error: &kube::Error, asked: &str, writes: bool) -> Error {
    let mut texts: Vec<String> = Vec::new();
    for text in causes(error).map(ToString::to_string) {
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
    }
    let why = texts.join(": ");
    if matches!(error, kube::Error::Auth(_)) {
        return Error::new(Class::Denied, format!("cannot get credentials: {why}"));
    }
    let class = if writes && !is_connecting(error) { Class::UnknownOutcome } else { Class::Unavailable };
    Error::new(class, format!("cannot reach the API server for {asked}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_unquoted() {
        assert_eq!(warning_text(r#"299 - "unknown field \"a.b\"""#).unwrap(), r#"unknown field "a.b""#);
        assert_eq!(warning_text("299"), None);
    }
}
