//! The stack file (its types, loader, schema and checks) and the program that turns one into the observability
//! platform. Nothing here prints, reads environment variables, talks to a cloud or touches state.

#![forbid(unsafe_code)]

pub mod catalogue;
pub mod check;
mod components;
pub mod file;
mod kit;
pub mod model;
pub mod program;
pub mod resources;
pub mod sizing;
