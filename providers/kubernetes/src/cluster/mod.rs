//! One API server: requests, what it serves, and its errors in the engine's classes.

mod discovery;
mod error;
mod flow;
mod redact;
mod request;

pub(crate) use discovery::{Resource, Served, escaped};
pub(crate) use error::{Conflict, Status};
pub(crate) use redact::Redactor;
pub(crate) use request::Cluster;
