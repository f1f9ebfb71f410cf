//! A simulated cloud: networks, keys, clusters, node pools, buckets, identities and add-ons behind a small HTTP API.
//!
//! It behaves as clouds do where that matters to a provisioner: long operations, references that are checked, one
//! mutation of a cluster at a time, version steps, quotas, ownership tags, idempotent creates. Everything is in memory,
//! with a journal in front of every change. What must not live here: anything that knows the engine or the state log;
//! this is the other side of the wire.

mod error;
mod http;
mod instances;
mod journal;
pub mod kinds;
mod names;
mod nodes;
mod objects;
mod operations;
mod record;
mod rules;
mod service;
mod state;
#[cfg(test)]
mod tests;

pub use error::{Code, Refusal, RefusalBody};
pub use http::{Accepted, Listing, Submission, Waited};
pub use kinds::{CloudKind, Spec};
pub use nodes::{Machine, NoNodes, NodeHost, kubelet_version};
pub use record::{Action, Operation, Owner, Progress, Record, Status, Touch};
pub use service::{Cloud, Settings, Wish};

pub(crate) use names::sanitized;
pub(crate) use rules::named;
