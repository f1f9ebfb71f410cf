//! Servers that stand in for clouds and databases in tests: [`moto`], [`ministack`], [`azurite`], [`fake_gcs_server`]
//! and [`postgres`] are other people's, installed by `cargo xtask emulators`; [`Gcs`] and [`Eks`] are ours, for what none of
//! them does. [`EksDoor`] lets people with tokens of EKS into any Kubernetes API, and its pods have their identities.
//! [`Boto`] is Amazon's SDK for Python. [`FaultProxy`] and [`Wire`] stand between a client and a server and break things.
//!
//! All of them listen on a free port of 127.0.0.1, and end when they are dropped.
//! Must not live here: assertions, and anything that ships.
#![forbid(unsafe_code)]

mod boto;
mod door;
mod eks;
mod gcs;
mod postgres;
mod proxy;
mod server;
mod wire;

pub use boto::{Boto, boto};
pub use door::EksDoor;
pub use eks::{AwsCall, AwsFault, Eks, PodIdentities, StackDrift};
pub use gcs::Gcs;
pub use postgres::{Postgres, postgres};
pub use proxy::{Fault, FaultProxy, Seen};
pub use server::{Server, azurite, fake_gcs_server, ministack, moto, tool};
pub use wire::{Wire, WireFault};
