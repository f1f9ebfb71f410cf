//! The invented kind: a notice on a board.

use plinth::{Kind, Property};
use serde::Serialize;

/// A notice on a board. Its outputs are `title` and `file`.
#[derive(Debug, Serialize)]
pub struct Notice {
    /// What it is found by, and the name of its file.
    pub title: String,
    /// What it says.
    pub text: Property<String>,
    /// Whether it stays in sight.
    pub pinned: bool,
}

impl Kind for Notice {
    const KIND: &'static str = "board:Notice";
}
