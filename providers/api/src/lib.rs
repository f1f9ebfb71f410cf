//! The words that Plinth's engine and its providers share: [`Urn`], [`Value`], [`Resource`], the
//! [`Provider`] contract with its error classes, and the [`conformance`] suite that every provider passes.
//!
//! Lives here: data types and the trait. Must not live here: anything that knows a particular system, the
//! state log, the terminal. This crate depends on nothing else of ours.
#![forbid(unsafe_code)]

pub mod builtin;
pub mod conformance;
mod diff;
mod error;
pub mod fields;
mod map;
pub mod naming;
mod path;
mod property;
mod provider;
mod recorded_form;
mod redact;
mod resource;
mod schema;
mod suggest;
mod urn;
mod value;

pub use diff::{Change, changes, changes_with_sets};
pub use error::{Class, Error, Result};
pub use map::Map;
pub use path::{Path, Pattern, Segment};
pub use property::{Property, typed};
pub use provider::{
    Applied, Context, Diff, Drift, Lane, Live, Occupant, Owner, Preview, PreviewRequest, Provider, Providers,
    ReadRequest, Reporter, Request, Silent, Taken,
};
pub use recorded_form::exposed;
pub use redact::Redactor;
pub use resource::{Kind, Options, Program, Recorded, Resource, Timeouts, Typed};
pub use schema::KindSchema;
pub use suggest::did_you_mean;
pub use urn::{Urn, UrnError};
pub use value::{OutputRef, Value};
