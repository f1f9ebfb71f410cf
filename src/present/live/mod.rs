//! The live view on a terminal. [`frame`] decides what it shows, indicatif paints it; what stays for good is
//! written above it.

mod estimate;
mod frame;
#[cfg(test)]
mod tests;

use std::io::stdout;
use std::time::Instant;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::style::{Role, Style, wrap};
use super::tally::Tally;
use super::words::{count, one_line, seconds};
use super::{Presenter, closing, plain};
use crate::engine::Event;

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// A live view of standard output, or plain lines when that is not a terminal.
pub(super) fn on_stdout(style: Style) -> Box<dyn Presenter> {
    let term = Term::buffered_stdout();
    if !term.features().is_attended() {
        return Box::new(plain::Plain::new(Box::new(stdout()), style));
    }
    Box::new(Live::new(term, style))
}

struct Live<T: TermLike + Clone + 'static> {
    term: T,
    bar: ProgressBar,
    style: Style,
    tally: Tally,
    /// What happens before there are steps.
    preparing: Option<(String, Instant)>,
    turn: usize,
    in_plan: bool,
    held: bool,
    finished: bool,
}

impl<T: TermLike + Clone + 'static> Live<T> {
    fn new(term: T, style: Style) -> Self {
        // The ticks limit the rate; a second limit would only lose the last frame before a pause.
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 250);
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(template) = ProgressStyle::with_template("{msg}") {
            bar.set_style(template);
        }
        let tally = Tally::default();
        Self {
            term,
            bar,
            style,
            tally,
            preparing: None,
            turn: 0,
            in_plan: false,
            held: false,
            finished: false,
        }
    }

    fn event_at(&mut self, event: &Event, now: Instant) {
        self.held = false;
        self.in_plan = plain::is_of_plan(event, self.in_plan);
        self.tally.take(event, now);
        match event {
            Event::Refreshing { resources } => {
                let what = format!("reading {}", count(*resources as u64, "resource"));
                self.preparing = Some((what, now));
            }
            Event::Locked { lease, up_to } => {
                let patience = up_to.as_secs_f64().ceil();
                let what = format!("waiting up to {patience} s for another run: {}", one_line(lease));
                self.preparing = Some((what, now));
            }
            Event::Recovering { operations } => {
                let what = format!("finding out what became of {}", count(*operations as u64, "operation"));
                self.preparing = Some((what, now));
            }
            Event::Asking { changes } => {
                let what = format!("asking live systems about {}", count(*changes as u64, "change"));
                self.preparing = Some((what, now));
            }
            Event::Started { .. } | Event::Refreshed { .. } | Event::Facts(_) | Event::Executing { .. } => {
                self.preparing = None;
            }
            _ => {}
        }
        let lasting = match event {
            Event::Refreshing { .. } | Event::Recovering { .. } | Event::Locked { .. } => None,
            Event::Note { .. } if self.in_plan => None,
            Event::StepWarning { urn, message } => {
                let label = self.style.paint(Role::Changed, "warning");
                Some(format!("{label}: {}: {}", urn.short(), one_line(message)))
            }
            event => plain::run_text(event),
        };
        if let Some(line) = lasting {
            self.bar.println(wrap(&line, self.columns()).join("\n"));
        }
    }

    fn draw(&mut self, now: Instant) {
        if self.held || self.finished {
            return;
        }
        let spinner = SPINNER[self.turn % SPINNER.len()];
        let size = (usize::from(self.term.height()), usize::from(self.term.width()));
        let lines = match &self.preparing {
            Some((what, since)) => {
                let elapsed = seconds(now.saturating_duration_since(*since));
                let mark = self.style.paint(Role::Running, spinner);
                // However long it is, how long it takes has to be seen.
                let room = size.1.saturating_sub(elapsed.len() + 2);
                let told = super::style::cut(&format!("{mark} {what}"), room);
                vec![super::style::cut(&format!("{told}  {elapsed}"), size.1)]
            }
            None if self.tally.begun.is_some() => frame::lines(&self.tally, now, spinner, size, &self.style),
            // What was waited for is over, and nothing else has begun.
            None if !self.bar.message().is_empty() => return self.clear(),
            None => return,
        };
        self.bar.set_message(lines.join("\n"));
    }

    fn columns(&self) -> usize {
        usize::from(self.term.width())
    }

    /// Takes the frame away; a later message brings it back.
    fn clear(&mut self) {
        self.bar.set_message("");
        self.bar.finish_and_clear();
        self.bar.reset();
    }

    fn finish_at(&mut self, now: Instant) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.bar.finish_and_clear();
        let columns = self.columns();
        let mut text = String::new();
        if self.tally.begun.is_some() {
            for line in frame::phases(&self.tally, now, columns, &self.style) {
                text.push_str(&line);
                text.push('\n');
            }
            text.push('\n');
        }
        text.push_str(&closing::report(&self.tally, now, &Style { width: columns, ..self.style }));
        for line in text.lines().flat_map(|line| wrap(line, columns)) {
            let _ = self.term.write_line(&line);
        }
        let _ = self.term.flush();
    }
}

impl<T: TermLike + Clone + 'static> Presenter for Live<T> {
    fn event(&mut self, event: &Event) {
        self.event_at(event, Instant::now());
    }

    fn tick(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        self.draw(Instant::now());
    }

    fn hold(&mut self) {
        self.held = true;
        self.in_plan = false;
        self.preparing = None;
        self.clear();
    }

    fn finish(&mut self) {
        self.finish_at(Instant::now());
    }
}

impl<T: TermLike + Clone + 'static> Drop for Live<T> {
    fn drop(&mut self) {
        self.finish();
    }
}
