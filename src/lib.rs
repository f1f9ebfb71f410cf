//! Plinth: brings up a production-grade observability platform and keeps it that way.
//!
//! The library is the engine; `src/main.rs` is the command line over it.
#![forbid(unsafe_code)]

pub mod cli;
pub mod engine;
pub mod faults;
pub mod present;
pub mod trace;
