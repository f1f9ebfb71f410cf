//! What can go wrong in a provider call, by what the engine then does about it.

use std::time::Duration;

use crate::Path;

/// What a provider's call returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The class of an error. The engine acts on the class and never on the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It is not there.
    NotFound,
    /// It exists and is not ours; taking it over is a step of its own (import).
    AlreadyExists,
    /// The user must change something. Never retried.
    Invalid,
    /// A permission is missing. Never retried.
    Denied,
    /// Too many requests; retried after the time that the system asked for.
    Throttled {
        /// How long the system asked us to wait.
        retry_after: Option<Duration>,
    },
    /// Did not happen and is safe to repeat.
    Unavailable,
    /// May have happened: resolved with `find`.
    UnknownOutcome,
    /// Somebody else changed or owns part of it.
    Conflict,
    /// The deadline passed while waiting.
    Timeout,
    /// The run was interrupted.
    Cancelled,
}

/// An error of a provider: a class for the engine; what, where and what to do for the person.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What the engine acts on.
    pub class: Class,
    /// What is wrong, without secrets.
    pub message: String,
    /// The property that it concerns, if one does.
    pub path: Option<Path>,
    /// What to do about it.
    pub help: Option<String>,
    /// What else is wrong with the same inputs.
    pub more: Box<[Error]>,
}

impl Error {
    /// An error of the given class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), path: None, help: None, more: Box::default() }
    }

    /// The user must change something.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Class::Invalid, message)
    }

    /// Safe to retry.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Class::Unavailable, message)
    }

    /// Names the property that the error concerns.
    #[must_use]
    pub fn at(mut self, path: Path) -> Self {
        self.path = Some(path);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// All of several mistakes, if there is one.
    pub fn all(mistakes: Vec<Self>) -> Option<Self> {
        let mut mistakes = mistakes.into_iter();
        let first = mistakes.next()?;
        Some(Self { more: mistakes.collect(), ..first })
    }

    /// Whether the call is known not to have happened and may simply be repeated.
    pub fn is_retryable(&self) -> bool {
        matches!(self.class, Class::Unavailable | Class::Throttled { .. })
    }
}
