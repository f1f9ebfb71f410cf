//! The embedded Kubernetes API, seen from its clients' side.

mod api;
mod apply;
mod client;
mod common;
mod controllers;
mod custom;
mod refusals;
mod webhooks;
