//! The simulated cloud's API, typed; refusals and broken connections in the classes that the engine acts on.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use plinth_provider::{Class, Error, Path, Result};
use serde::de::DeserializeOwned;

use super::CLIENT;
use crate::cloud::{Accepted, CloudKind, Code, Listing, Record, Refusal, RefusalBody, Submission, Waited};
use crate::place::{CallError, Place};

/// Why a request came to nothing.
#[derive(Debug)]
pub enum Failure {
    /// The cloud refused it.
    Refused(Box<Refusal>),
    /// It was not served.
    NotServed(String),
    /// It may have been carried out.
    Lost(String),
}

/// A client of one cloud.
#[derive(Debug, Clone)]
pub struct Client {
    place: Place,
}

impl Client {
    pub fn new(place: Place) -> Self {
        Self { place }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub async fn get(&self, kind: CloudKind, name: &str) -> Result<Option<Record>> {
        match self.call(Method::GET, &address(kind, name), None).await {
            Ok(record) => Ok(Some(record)),
            Err(Failure::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
            Err(failure) => Err(failure.safe()),
        }
    }

    pub async fn list(&self, kind: CloudKind) -> Result<Vec<Record>> {
        let path = format!("/cloud/v1/{}", kind.spec().collection);
        let listing: Listing = self.call(Method::GET, &path, None).await.map_err(Failure::safe)?;
        Ok(listing.items)
    }

    /// How far an operation is, after waiting a little for its end; nothing when it is forgotten.
    pub async fn operation(&self, id: &str, patience: Duration) -> Result<Option<Waited>> {
        let path = format!("/cloud/v1/operations/{}?waitMs={}", encoded(id), patience.as_millis());
        match self.call(Method::GET, &path, None).await {
            Ok(waited) => Ok(Some(waited)),
            Err(Failure::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
            Err(failure) => Err(failure.safe()),
        }
    }

    /// Makes (`POST`), changes (`PUT`) or removes (`DELETE`) a resource.
    pub async fn submit(
        &self,
        method: Method,
        kind: CloudKind,
        name: &str,
        submission: &Submission,
    ) -> std::result::Result<Accepted, Failure> {
        self.call(method, &address(kind, name), Some(submission)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Submission>,
    ) -> std::result::Result<T, Failure> {
        let malformed = |error: &dyn std::fmt::Display| Failure::NotServed(format!("{path}: {error}"));
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| malformed(&error))?,
            None => Vec::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::USER_AGENT, concat!("plinth/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body))
            .map_err(|error| malformed(&error))?;
        debug_assert!(CLIENT == "plinth");
        let response = self.place.send(request).await.map_err(|error| match error {
            CallError::Lost(why) => Failure::Lost(why),
            other => Failure::NotServed(other.to_string()),
        })?;
        let status = response.status();
        if status.is_success() {
            // An answer that is cut short or not ours says nothing about what happened.
            return serde_json::from_slice(response.body()).map_err(|error| Failure::Lost(error.to_string()));
        }
        match serde_json::from_slice::<RefusalBody>(response.body()) {
            Ok(body) => Err(Failure::Refused(Box::new(body.error))),
            Err(_) => Err(Failure::Lost(format!("the place answered {status} to {path}"))),
        }
    }
}

impl Failure {
    /// As an error of a call that may be repeated without harm.
    pub fn safe(self) -> Error {
        match self {
            Self::Refused(refusal) => refused(*refusal, Class::Unavailable),
            Self::NotServed(why) | Self::Lost(why) => Error::unavailable(why),
        }
    }

    /// As an error of a create: repeating it blindly is not known to be safe.
    pub fn of_create(self) -> Error {
        match self {
            Self::Refused(refusal) => refused(*refusal, Class::UnknownOutcome),
            Self::NotServed(why) => Error::unavailable(why),
            Self::Lost(why) => Error::new(Class::UnknownOutcome, why),
        }
    }
}

fn refused(refusal: Refusal, internal: Class) -> Error {
    let class = match refusal.code {
        Code::NotFound => Class::NotFound,
        Code::AlreadyExists => Class::AlreadyExists,
        Code::Invalid | Code::QuotaExceeded => Class::Invalid,
        Code::Denied => Class::Denied,
        Code::NotOwner | Code::InUse | Code::Busy => Class::Conflict,
        Code::Throttled => {
            Class::Throttled { retry_after: refusal.retry_after_ms.map(Duration::from_millis) }
        }
        Code::Internal => internal,
        Code::Unavailable => Class::Unavailable,
    };
    Error {
        path: refusal.path.as_deref().map(Path::parse),
        help: refusal.help,
        ..Error::new(class, refusal.message)
    }
}

fn address(kind: CloudKind, name: &str) -> String {
    format!("/cloud/v1/{}/{}", kind.spec().collection, encoded(name))
}

/// A name in an address: whatever it holds, it stays one.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/');
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
