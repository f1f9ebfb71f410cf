//! Crashes, lost replies and rival writers. Each test tries a little by fixed seeds; `cargo xtask crash` runs the same tests
//! in earnest (`settings.rs`), and `docs/reliability.md` says what came of it.

mod audit;
mod graph;
mod history;
mod live;
mod points;
mod random;
mod replies;
mod round;
mod settings;
mod suite;
mod writers;

pub use settings::{Random, Settings};
