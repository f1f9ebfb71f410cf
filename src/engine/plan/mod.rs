//! Planning: `desired × recorded × live → plan`. Pure and deterministic; no clocks, no I/O, linear in resources
//! plus edges.

mod decide;
mod decision;
mod deletes;
mod error;
mod explain;
pub(super) mod inputs;
mod names;
mod saved;
mod scope;
mod step;
mod torn;

pub use decide::plan;
pub use error::PlanError;
pub use explain::{Dependency, Explained, Explanation, Link, explain};
pub use saved::{SavedPlan, SavedPlanError};
pub use scope::{LeftOut, Scope};
pub use step::{Counts, Op, Plan, Step};
