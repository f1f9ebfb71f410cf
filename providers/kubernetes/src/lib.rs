//! The Kubernetes provider: any object of any API server, written by server-side apply.
//!
//! Lives here: the normal form of objects, what is immutable, what depends on what, how a write is made safe, when an
//! object is ready, and who changed it. Must not live here: the platform's components (they are programs in
//! `stacks/`), reading the environment, printing, and anything that records state.
//!
//! Planning ([`Provider::check`](plinth_provider::Provider::check), `diff`, `predict`, `infer_dependencies`) needs no
//! cluster: the built-in kinds' schemas come with this crate, custom resources are taken as they are.
#![forbid(unsafe_code)]

mod apply;
mod cluster;
mod connect;
mod delete;
mod diff;
mod drift;
mod infer;
mod kind;
mod manifest;
mod normal;
mod outputs;
mod owner;
mod provider;
mod quantity;
mod read;
mod ready;
mod schema;
mod tree;
mod wait;

pub use connect::{Connector, KubeconfigConnector};
pub use kind::kind_of;
pub use manifest::{manifest, manifest_exposed};
pub use provider::Kubernetes;
