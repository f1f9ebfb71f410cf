//! The embedded default of Plinth: a Kubernetes API (and beside it a simulated cloud) that live in this process
//! and on this disk, so that a stack can be planned, applied and rehearsed with nothing but the binary.
//!
//! What must not live here: anything that talks to a real system.

#![forbid(unsafe_code)]

pub mod cloud;
mod faults;
pub mod kube;
pub mod place;
mod provider;

pub use faults::{Draw, Fault, Faults, FaultsError};
pub use place::{CallError, Endpoint, Options, Place, PlaceError, Requests};
pub use provider::LocalCloud;
