//! The provider of AWS, on the official SDKs: EKS, IAM, KMS, S3, CloudFormation.
//!
//! Planning (`check`, `diff`, `predict`, lanes, names) is offline and pure: the kinds' own tables tell everything.
//! One file per kind in [`kinds`]; what they share is here: connections ([`clients`]), errors ([`error`]), waiting
//! ([`wait`]), ownership ([`marks`]), names ([`names`]). What must not live here: which resources a platform needs
//! (that is a program's), and aws-sdk-ec2 (networks are CloudFormation stacks).
#![forbid(unsafe_code)]

mod bare;
mod clients;
mod document;
mod ec2;
mod entrance;
mod error;
pub mod kinds;
mod kubeconfig;
mod leftovers;
mod marks;
mod names;
pub mod permissions;
mod provider;
mod rehearsal;
mod retry;
mod settings;
mod token;
mod wait;

pub use clients::{Clients, Identity};
pub use entrance::{Address, cluster_of};
pub use kubeconfig::kubeconfig;
pub use leftovers::leftovers;
pub use provider::Aws;
pub use rehearsal::Rehearsal;
pub use settings::Settings;
pub use token::{Token, token};
