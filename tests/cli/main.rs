//! The binary as a user runs it: each test has a folder of its own, an embedded cloud of its own, and real clients.

mod aws;
mod aws_identity;
mod aws_platform;
mod canary;
mod cluster;
mod crash;
mod day_two;
mod eks;
mod keep;
mod keys;
mod main_job;
mod mistakes;
mod place;
mod promotion;
mod runs;
mod secrets;
mod state;
mod stopping;
mod support;
mod trace;
mod transfer;
