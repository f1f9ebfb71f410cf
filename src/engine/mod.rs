//! The engine: plan, schedule, execute, refresh, recover, roll back. Pure decisions (`graph`, `plan`, `schedule`)
//! beside async execution (`execute`, `refresh`, `recover`, `apply`).
//!
//! It never knows a cloud's name and never prints: it emits [`Event`]s.

mod apply;
mod drift;
mod event;
mod execute;
mod existing;
mod facts;
mod graph;
mod plan;
mod preview;
mod recover;
mod refresh;
mod schedule;
#[cfg(test)]
mod tests;

pub use apply::{Ended, Engine, RunError, Settings, Target};
pub use drift::{DriftReport, Verdict, drift};
pub use event::{Event, Events, Queued, StepEvent, Summary, Took};
pub use execute::{Interrupt, Limits, Report, usual, weights};
pub use facts::{Fact, Facts, Freshness};
pub use graph::{Desired, GraphError};
pub use plan::{
    Counts, Dependency, Explained, Explanation, LeftOut, Link, Op, Plan, PlanError, SavedPlan,
    SavedPlanError, Scope, Step, explain, plan,
};
pub use recover::RecoverError;
pub use refresh::{Reading, Refresh, RefreshError, due};
pub use schedule::{Schedule, Task, Work};
