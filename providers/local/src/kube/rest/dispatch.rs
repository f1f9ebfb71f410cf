//! Who answers a request.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::super::discovery;
use super::super::faults::Fault;
use super::super::json::json;
use super::super::server::Server;
use super::super::status::Status;
use super::super::webhooks;
use super::lost::LostReply;
use super::request::{Ask, Target, target};
use super::{Reply, body, read, reviews, subresources, watch, writes};

/// Answers one request.
pub(crate) async fn dispatch(server: Arc<Server>, request: Request<Body>) -> Response<Body> {
    let (parts, stream) = request.into_parts();
    let bytes = match Limited::new(stream, body::LIMIT).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Status::too_large().into_response(),
        Err(error) => {
            return Status::bad_request(format!("the body could not be read: {error}")).into_response();
        }
    };
    let ask = Ask::new(parts, bytes);
    if !server.options.latency.is_zero() {
        tokio::time::sleep(server.options.latency).await;
    }
    let mut lose = false;
    if let Some(faults) = server.options.faults.clone().filter(|_| mutates(&ask)) {
        match faults.decide(ask.method.as_str(), &ask.path) {
            Fault::None => {}
            Fault::Delay(delay) => tokio::time::sleep(delay).await,
            Fault::Refuse { code, retry_after } => return refusal(code, retry_after).into_response(),
            Fault::LoseReply => lose = true,
        }
    }
    let mut response = if changes(&ask) && webhooks::call_out(&server) {
        // Somebody has to wait for the webhook; the threads that drive everything else must not.
        let server = Arc::clone(&server);
        let waited = tokio::task::spawn_blocking(move || answer(&server, ask)).await;
        waited.unwrap_or_else(|error| Status::internal(&error.to_string()).into_response())
    } else {
        answer(&server, ask)
    };
    if lose {
        // Whoever serves turns the mark into a closed connection; the body is for those who do not.
        response.extensions_mut().insert(LostReply);
        *response.body_mut() =
            Body::from_stream(futures::stream::once(async { Err::<bytes::Bytes, LostReply>(LostReply) }));
    }
    response
}

/// Whether a request asks for a change, if only for the look of it.
fn changes(ask: &Ask) -> bool {
    !matches!(ask.method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn mutates(ask: &Ask) -> bool {
    let dry = ask.query("dryRun").is_some_and(|d| !d.is_empty());
    let review = ask.path.contains("/authorization.k8s.io/") || ask.path.contains("/authentication.k8s.io/");
    !dry && !review && changes(ask)
}

fn refusal(code: u16, retry_after: Option<u32>) -> Status {
    let (reason, message) = match code {
        429 => ("TooManyRequests", "Too many requests, please try again later."),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        _ => ("InternalError", "Internal error occurred: injected fault"),
    };
    let mut status = Status::new(code, reason, message);
    status.retry_after = retry_after;
    status
}

fn answer(server: &Arc<Server>, ask: Ask) -> Response<Body> {
    if let Some(reply) = fixed(server, &ask) {
        return reply.map_or_else(Status::into_response, Reply::into_response);
    }
    let Some(target) = target(&ask.path) else {
        return Status::no_such_path().into_response();
    };
    let yaml = super::negotiate::wants_yaml(&ask);
    match resource(server, ask, &target, yaml) {
        Ok(response) => response,
        Err(status) => status.into_response(),
    }
}

/// Paths that are not resources.
fn fixed(server: &Server, ask: &Ask) -> Option<Result<Reply, Status>> {
    let path = ask.path.trim_end_matches('/');
    if let Some(reply) = health(path, ask) {
        return Some(reply);
    }
    Some(Ok(match path {
        "/metrics-lite" => {
            Reply::ok(json!({"requests": server.requests.all(), "writes": server.requests.writes()}))
        }
        _ => return discovery::answer(server, ask),
    }))
}

/// The checks that `/readyz`, `/livez` and `/healthz` are made of, each also a path of its own.
const CHECKS: [&str; 4] = ["ping", "log", "etcd", "poststarthook/start-apiextensions-controllers"];

/// Health: the same for all three questions, since what is not there does not answer at all.
fn health(path: &str, ask: &Ask) -> Option<Result<Reply, Status>> {
    let (kind, check) =
        path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    if !matches!(kind, "healthz" | "readyz" | "livez") {
        return None;
    }
    if !check.is_empty() {
        let known = CHECKS.contains(&check);
        return Some(if known { Ok(Reply::text("ok")) } else { Err(Status::no_such_path()) });
    }
    if ask.query("verbose").is_none() {
        return Some(Ok(Reply::text("ok")));
    }
    let lines: String = CHECKS.iter().map(|c| format!("[+]{c} ok\n")).collect();
    Some(Ok(Reply::text(format!("{lines}{kind} check passed\n"))))
}

fn resource(server: &Arc<Server>, ask: Ask, target: &Target, yaml: bool) -> Result<Response<Body>, Status> {
    let resource = server.registry.find(&target.group, &target.version, &target.plural).ok_or_else(|| {
        let served = server.registry.serves(&target.group, &target.version);
        match (served, server.aggregates(&target.group, &target.version)) {
            (false, Some(false)) => Status::unavailable(),
            (true, _) | (_, Some(true)) => Status::no_such_resource(),
            _ => Status::no_such_path(),
        }
    })?;
    let all_namespaces = resource.namespaced && target.namespace.is_empty();
    if !resource.namespaced && !target.namespace.is_empty() {
        return Err(Status::no_such_resource());
    }
    let watching = target.watch || ask.flag("watch");
    let verb = verb(&ask, target, watching);
    let dry = ask.query("dryRun").is_some_and(|d| !d.is_empty());
    let counted = if dry { format!("dryrun-{verb}") } else { verb.to_owned() };
    let what = match target.subresource.as_str() {
        "" => resource.qualified(),
        sub => format!("{}/{sub}", resource.qualified()),
    };
    server.requests.count(if resource.review { "review" } else { &counted }, &what);
    if resource.review && ask.method != Method::POST {
        return Err(Status::method_not_allowed());
    }
    if all_namespaces && !target.name.is_empty() {
        return Err(Status::no_such_resource());
    }
    if resource.review {
        return reviews::review(server, &ask, &resource, target).map(Reply::into_response);
    }
    if !matches!(target.subresource.as_str(), "" | "status") {
        return subresources::answer(server, &ask, &resource, target).map(Reply::into_response);
    }
    if target.subresource == "status" && !resource.status {
        return Err(Status::no_such_resource());
    }
    if watching && ask.method == Method::GET {
        return watch::watch(server, &ask, resource, target);
    }
    let mut reply = match (ask.method.clone(), target.name.is_empty()) {
        (Method::GET | Method::HEAD, true) => read::list(server, &ask, &resource, target),
        (Method::GET | Method::HEAD, false) => read::get(server, &ask, &resource, target),
        (Method::POST, true) if !all_namespaces => writes::create(server, &ask, &resource, target),
        (Method::PUT, false) => writes::replace(server, &ask, &resource, target),
        (Method::PATCH, false) => writes::patch(server, &ask, &resource, target),
        (Method::DELETE, false) if target.subresource.is_empty() => {
            writes::delete(server, &ask, &resource, target)
        }
        (Method::DELETE, true) if !all_namespaces => {
            writes::delete_collection(server, &ask, &resource, target)
        }
        _ => Err(Status::method_not_allowed()),
    }?;
    reply.yaml = yaml && reply.text.is_none() && reply.bytes.is_none();
    if resource.storage == "endpoints" {
        reply
            .warnings
            .push("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".into());
    }
    Ok(reply.into_response())
}

fn verb(ask: &Ask, target: &Target, watching: bool) -> &'static str {
    match (&ask.method, target.name.is_empty()) {
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) if ask.content_type().contains("apply-patch") => "apply",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "deletecollection",
        (&Method::DELETE, false) => "delete",
        _ if watching => "watch",
        (_, true) => "list",
        (_, false) => "get",
    }
}
