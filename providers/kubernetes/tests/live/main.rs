//! The provider against an API server: the embedded one, over loopback HTTP, with the real client.

mod cluster;
mod conformance;
mod faults;
mod interference;
mod line;
mod order;
mod ownership;
mod platform;
mod preview;
mod throughput;
mod traps;
