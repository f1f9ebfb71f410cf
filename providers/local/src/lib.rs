//! The embedded default of Plinth: a Kubernetes API (and beside it a simulated cloud) that live in this process
//! and on this disk, so that a stack can be planned, applied and rehearsed with nothing but the binary.
//!
//! What must not live here: anything that talks to a real system.

pub mod kube;
