//! Planning: `desired × recorded × live → plan`. Pure and deterministic; no clocks, no I/O, linear in resources
//! plus edges.

mod decide;
mod deletes;
mod saved;
mod step;

pub use decide::{PlanError, plan};
pub use saved::{SavedPlan, SavedPlanError};
pub use step::{Counts, Op, Plan, Step};
