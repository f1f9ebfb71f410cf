//! Plinth: brings up a production-grade observability platform and keeps it that way.
//!
//! The library is the engine, and what programs of one's own are written with: they depend on this crate alone, and get
//! the whole command line by [`run`]. `src/main.rs` is the command line without a program of its own.
#![forbid(unsafe_code)]

pub mod cli;
pub mod engine;
pub mod faults;
pub mod present;
pub mod program;
pub mod trace;

pub use k8s_openapi;
pub use plinth_local::cloud::kinds as local;
pub use plinth_provider::{
    Applied, Class, Context, Diff, Drift, Error, Kind, KindSchema, Lane, Live, Map, Occupant, Options,
    OutputRef, Owner, Path, Pattern, Preview, PreviewRequest, Program, Property, Provider, ReadRequest,
    Recorded, Reporter, Request, Resource, Result, Silent, Timeouts, Typed, Urn, UrnError, Value,
    conformance, typed,
};
pub use plinth_stacks::model::Stack;
pub use program::{Setup, Site, object, run};
