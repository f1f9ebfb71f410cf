//! The kinds of EKS against a stand-in for EKS, and against emulators that other people wrote as far as those go.
#![forbid(unsafe_code)]

mod conformance;
mod entrance;
mod faults;
mod immutables;
mod support;
mod upgrades;
