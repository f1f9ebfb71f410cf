//! What every component of the platform is built with: the [`Build`] that gathers resources, the [`Workload`] that
//! turns an image and a configuration into hardened Kubernetes objects, and helpers for access, networks, secrets and
//! certificates. Knows Kubernetes and this platform's conventions; knows no component's configuration.
//!
//! A component reads like this:
//!
//! ```ignore
//! pub(crate) fn declare(build: &mut Build<'_>) {
//!     build.phase(Phase::Metrics);
//!     let shape = build.sizing.thanos.store.clone();
//!     let bucket = build.bucket(BucketPurpose::Thanos);
//!     let files = [("bucket.yaml", yaml::to_yaml(&bucket.thanos()))];
//!     Workload::stateful_set(build, parts::THANOS_STORE, Image::Thanos, &shape)
//!         .user(1001, 1001)
//!         .grace(150)
//!         .main(|main| main.args(["store", "--data-dir=/data"]).port("grpc", 10901).port("http", 10902).probes(
//!             Probes::new(Check::Https("http", "/-/ready"), Check::Https("http", "/-/healthy"))))
//!         .config("/etc/thanos", files) // ConfigMap `thanos-store`, pods roll when it changes
//!         .disk("/data")
//!         .tls()                        // Certificate `thanos-store-tls`, mounted at TLS_DIRECTORY
//!         .metrics(10902, "/metrics")   // pod annotations for Prometheus, and the network edge
//!         .uses_bucket(build, &bucket)
//!         .deploy(build);
//!     build.allow(parts::THANOS_QUERY, parts::THANOS_STORE, &[ports::THANOS_GRPC]);
//!     build.allow_outside(parts::THANOS_STORE, Outside::ObjectStore);
//! }
//! ```
//!
//! Pods that are reached by address (metrics, gossip, rings) present a certificate that is also valid for
//! [`Build::peer_name`]: clients expect that name.

mod account;
mod build;
mod container;
mod custom;
mod deploy;
pub(crate) mod exceptions;
mod foundation;
mod ingress;
mod network;
mod object;
pub(crate) mod parts;
pub(crate) mod pod;
mod probe;
mod secrets;
mod services;
mod workload;
pub(crate) mod yaml;

pub(crate) use account::{non_resource, rule, rule_named};
pub(crate) use build::Build;
pub use build::{ProgramError, Target};
pub(crate) use container::Container;
pub(crate) use custom::{
    AcmeChallengeSolver, AcmeSpec, CaSpec, CertificateSpec, Custom, IssuerReference, IssuerSpec, LocalSecret,
    PrivateKey, go_duration,
};
pub(crate) use foundation::{Bucket, Identity, StoreKind};
pub(crate) use ingress::PUBLIC_ISSUER;
pub(crate) use network::{Outside, Peer};
pub(crate) use object::{metadata, text_map};
pub(crate) use parts::{Part, Phase, Space};
pub(crate) use probe::{Check, Probes};
pub(crate) use secrets::{Entry, GRAFANA_ADMIN};
pub(crate) use services::{INTERNAL_ISSUER, service_port};
pub(crate) use workload::{CA_FILE, CERT_FILE, KEY_FILE, TLS_DIRECTORY, Workload};
