//! One JSON request to a key service: bounded in time, tried again only where that is safe, and its refusal in words.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde_json::Value as Json;

use crate::{Error, Result};

/// How long one try may take.
const TRY: Duration = Duration::from_secs(10);
/// How long a token may take; the default chains ask a metadata server that may not be there.
pub(super) const TOKEN: Duration = Duration::from_secs(20);
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(1000)];

/// A request to a key service.
pub(super) struct Request<'a> {
    /// The service and key, as in a message.
    pub what: &'a str,
    /// Where to.
    pub url: Url,
    /// Who asks.
    pub token: &'a str,
    /// What for.
    pub body: Json,
    /// The permission that it takes.
    pub permission: &'a str,
}

/// An address that a token may be sent to: TLS, or this machine.
pub(super) fn address(what: &str, text: &str) -> Result<Url> {
    let url =
        Url::parse(text).map_err(|why| Error::Key { why: format!("{what}: `{text}` is no URL: {why}") })?;
    let loopback = url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    if url.scheme() == "https" || (url.scheme() == "http" && loopback) {
        return Ok(url);
    }
    Err(Error::Key {
        why: format!("{what}: `{text}` must begin with https://, for credentials are sent to it"),
    })
}

/// Sends a request. All of these are pure functions of the service's key: trying again does no harm.
pub(super) async fn post(request: Request<'_>) -> Result<Json> {
    let Request { what, url, token, body, permission } = request;
    let failed = |why: String| Error::Key { why: format!("{what} {why}; nothing was changed") };
    let client = reqwest::Client::builder()
        .timeout(TRY)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("plinth/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| failed(format!("cannot be asked: {}", chain(&error))))?;
    let mut pauses = PAUSES.iter();
    loop {
        let sent = client.post(url.clone()).bearer_auth(token).json(&body).send().await;
        let (again, why) = match sent {
            Err(error) => {
                let error = error.without_url();
                (true, format!("cannot be reached at {}: {}", origin(&url), chain(&error)))
            }
            Ok(reply) => {
                let status = reply.status();
                let text = reply.text().await.unwrap_or_default();
                if status.is_success() {
                    return serde_json::from_str(&text)
                        .map_err(|_| failed(format!("answered with something other than JSON ({status})")));
                }
                let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                (again, refusal(status, &text, permission))
            }
        };
        match pauses.next().filter(|_| again) {
            Some(pause) => tokio::time::sleep(pause.mul_f64(1.0 + rand::random::<f64>())).await,
            None => return Err(failed(why)),
        }
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn refusal(status: StatusCode, text: &str, permission: &str) -> String {
    let said = serde_json::from_str::<Json>(text)
        .ok()
        .and_then(|reply| Some(reply.pointer("/error/message")?.as_str()?.to_owned()))
        .unwrap_or_else(|| text.chars().take(200).collect());
    match status {
        StatusCode::FORBIDDEN => format!("refused: {said}; it takes the permission {permission}"),
        StatusCode::UNAUTHORIZED => format!("does not accept the credentials: {said}"),
        StatusCode::NOT_FOUND => format!("does not exist: {said}"),
        _ => format!("answered {status}: {said}"),
    }
}

/// An error with everything that caused it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}
