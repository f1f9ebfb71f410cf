//! What people and programs see of Plinth: the live terminal view, plain lines, NDJSON, plans, reports, pictures.
//!
//! The only code that prints. It decides nothing: the engine tells events and hands over plans and reports, the
//! command line picks a presenter. Whatever renders is a function from data to text; only presenters and
//! [`diagnostics`] write.

pub mod check;
mod closing;
pub mod diagnostics;
pub mod drift;
pub mod graph;
pub mod history;
mod json;
mod live;
pub mod permissions;
mod plain;
mod plan;
mod pump;
pub mod secrets;
pub mod state;
mod streams;
mod style;
pub mod table;
mod tally;
#[cfg(test)]
pub(crate) mod tests;
mod waits;
mod words;

use std::io::Write;

pub use plan::{NO_CHANGES, NO_CHANGES_IN_PART, explanation, plan_markdown, plan_text, plan_text_verbose};
pub use pump::{Held, Pump, pump};
pub use streams::{Out, err, out, prompt, unwritten};
pub use style::Style;
pub use words::{bytes, clean, count, duration};

use crate::engine::Event;

/// Shows events as they come.
pub trait Presenter: Send {
    /// Something happened.
    fn event(&mut self, event: &Event);

    /// Time has passed; what moves may move. Called several times a second while events are awaited.
    fn tick(&mut self) {}

    /// Somebody else is about to use the terminal: leave it alone until the next event.
    fn hold(&mut self) {}

    /// Nothing more will come: say how it ended.
    fn finish(&mut self);
}

/// One JSON object per event and line, flushed at once.
pub fn json(out: Box<dyn Write + Send>) -> Box<dyn Presenter> {
    Box::new(json::Json::new(out))
}

/// One line per thing that happened: for pipes, files and CI.
pub fn plain(out: Box<dyn Write + Send>, style: Style) -> Box<dyn Presenter> {
    Box::new(plain::Plain::new(out, style))
}

/// A view that redraws itself, on standard output. Falls back to [`plain`] when that is not a terminal.
pub fn live(style: Style) -> Box<dyn Presenter> {
    live::on_stdout(style)
}
