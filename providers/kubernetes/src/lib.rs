//! The Kubernetes provider: any object of any API server, written by server-side apply.
//!
//! Lives here: the normal form of objects, what is immutable, what depends on what, how a write is made safe, when an
//! object is ready, and who changed it. Must not live here: the platform's components (they are programs in
//! `stacks/`), reading the environment, printing, and anything that records state.
//!
//! Planning ([`Provider::check`](plinth_provider::Provider::check), `diff`, `predict`, `infer_dependencies`) needs no
//! cluster: the built-in kinds' schemas come with this crate, custom resources are taken as they are.
//!
//! With a cluster at hand, a plan's changes are tried on it first ([`preview_many`](plinth_provider::Provider::preview_many)):
//! a server-side dry run of each, that writes nothing.
//!
//! An object's annotations steer how it is handled:
//!
//! | annotation | on | means |
//! | --- | --- | --- |
//! | `plinth.dev/wait: "false"` | anything | do not wait until it is ready |
//! | `plinth.dev/wait: "true"` | Ingress | wait until it has an address |
//! | `plinth.dev/force-conflicts: "true"` | anything | take over fields that other managers own |
//! | `plinth.dev/retain-volumes: "true"` | StatefulSet | keep its claims when it is deleted |
//! | `plinth.dev/delete-instances: "true"` | CustomResourceDefinition | delete it even while others' objects of the kind exist |
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
mod occupy;
mod outputs;
mod owner;
mod preview;
mod provider;
mod quantity;
mod read;
mod ready;
mod schema;
mod seal;
mod tree;
mod wait;

pub use connect::{Connector, KubeconfigConnector, Tokens, client_at, client_of};
pub use kind::kind_of;
pub use manifest::{manifest, manifest_exposed};
pub use provider::Kubernetes;
