//! What the simulated cloud answers when it refuses.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use plinth_provider::Error;
use serde::{Deserialize, Serialize};

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    /// There is no such thing.
    NotFound,
    /// The name is taken; `resource` is what has it.
    AlreadyExists,
    /// The request must change.
    Invalid,
    /// The token is missing or wrong.
    Denied,
    /// A quota is used up.
    QuotaExceeded,
    /// It belongs to another stack.
    NotOwner,
    /// Others still use it.
    InUse,
    /// Another operation must end first; `operation` names it.
    Busy,
    /// Too many requests.
    Throttled,
    /// The request failed and was possibly carried out.
    Internal,
    /// The request was not carried out.
    Unavailable,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// What a program acts on.
    pub code: Code,
    /// What a person reads.
    pub message: String,
    /// The input that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The operation that is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// When to come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: None, help: None, operation: None, retry_after_ms: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the input that it concerns.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Another operation is in the way.
    pub fn busy(message: impl Into<String>, operation: &str) -> Self {
        Self { operation: Some(operation.to_owned()), ..Self::new(Code::Busy, message) }
    }

    fn status(&self) -> StatusCode {
        match self.code {
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::AlreadyExists | Code::InUse | Code::Busy => StatusCode::CONFLICT,
            Code::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Code::Denied => StatusCode::UNAUTHORIZED,
            Code::QuotaExceeded | Code::NotOwner => StatusCode::FORBIDDEN,
            Code::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            path: error.path.map(|path| path.to_string()),
            help: error.help,
            ..Self::new(Code::Invalid, error.message)
        }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::new(Code::Unavailable, format!("the journal of the simulated cloud: {error}"))
    }
}

/// The body of a refusal.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefusalBody {
    /// The refusal.
    pub error: Refusal,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(RefusalBody { error: self.clone() })).into_response();
        if let Some(wait) = self.retry_after_ms {
            response.headers_mut().insert(header::RETRY_AFTER, wait.div_ceil(1000).into());
        }
        response
    }
}
