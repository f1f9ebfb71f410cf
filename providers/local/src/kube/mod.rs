//! An in-process Kubernetes API server with simulated controllers.
//!
//! It behaves like kube-apiserver to clients: discovery, OpenAPI, validation, server-side apply, watches, custom
//! resources. All state is in memory and in a journal. What must not live here: anything that Plinth's engine or
//! programs decide; this is the other side of the wire.

mod admission;
mod cel;
mod controllers;
mod convert;
mod custom;
mod defaults;
mod discovery;
mod faults;
mod fields;
mod journal;
mod json;
mod kinds;
mod metrics;
mod nodes;
mod options;
mod patch;
mod proto;
mod quantity;
mod registry;
mod rest;
mod schema;
mod selector;
mod server;
mod status;
mod store;
mod table;
mod validate;
mod webhooks;
mod write;

pub use faults::{Fault, Faults, Seeded};
pub use journal::{FileJournal, Journal, NoJournal, Record};
pub use nodes::{NodeSpec, Taint};
pub use options::{Options, Slow};
pub use rest::lost::LostReply;
pub use server::{ApiServer, Serving};
pub use status::{Cause, Status};
