//! Pictures of a graph: Graphviz, Mermaid, SVG.
//!
//! All are drawn from a [`Drawing`], from which edges that others imply have been left out.

mod dot;
mod drawing;
mod layout;
mod mermaid;
mod svg;

pub use dot::dot;
pub use drawing::{Drawing, Node};
pub use mermaid::mermaid;
pub use svg::svg;

use crate::engine::Op;

/// The colour of an op, as in the terminal.
fn colour(op: Option<Op>) -> &'static str {
    match op {
        Some(Op::Create) => "#2da44e",
        Some(Op::Update) => "#bf8700",
        Some(Op::Replace) => "#8250df",
        Some(Op::Delete) => "#cf222e",
        Some(Op::Import) => "#0969da",
        Some(Op::Forget) => "#6e7781",
        Some(Op::Same) | None => "#8c959f",
    }
}

/// The critical path's colour.
const CRITICAL: &str = "#d1242f";
