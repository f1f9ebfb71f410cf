//! One line per thing that happened: no colours unless asked for, no cursor tricks, nothing repeated too often.

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use plinth_provider::Urn;

use super::tally::Tally;
use super::words::{class, clean, count, doing, done, duration, half, one_line};
use super::{Presenter, Style, closing, waits};
use crate::engine::{Event, Op};

/// A reason is told again for the same resource after this time, if it has changed.
const QUIET: Duration = Duration::from_secs(10);

pub(super) struct Plain {
    out: Box<dyn Write + Send>,
    style: Style,
    tally: Tally,
    /// The last reason told of a resource, and when.
    told: HashMap<Urn, (String, Instant)>,
    /// A plan is being told: its notes are shown with it, by whoever asks for approval.
    in_plan: bool,
    finished: bool,
}

impl Plain {
    pub(super) fn new(out: Box<dyn Write + Send>, style: Style) -> Self {
        Self { out, style, tally: Tally::default(), told: HashMap::new(), in_plan: false, finished: false }
    }

    pub(super) fn event_at(&mut self, event: &Event, now: Instant) {
        self.tally.take(event, now);
        self.in_plan = is_of_plan(event, self.in_plan);
        let line = match event {
            Event::Note { .. } if self.in_plan => None,
            Event::StepWaiting { urn, reason } => self.waiting(urn, reason, now),
            Event::Paused { provider, steps, after } => {
                Some(format!("  {}", waits::paused(provider, *steps, *after)))
            }
            Event::Full { provider, steps, most } => {
                Some(format!("  {}", waits::full(provider.as_deref(), Some(*steps), *most)))
            }
            Event::Executing { .. } => Some(begin_text(&self.tally)),
            Event::StepFinished { urn, .. } | Event::StepFailed { urn, .. } => {
                self.told.remove(urn);
                step_text(event)
            }
            event => step_text(event).or_else(|| run_text(event)),
        };
        if let Some(line) = line {
            self.write(&line);
        }
    }

    fn waiting(&mut self, urn: &Urn, reason: &str, now: Instant) -> Option<String> {
        let reason = one_line(reason);
        if let Some((told, at)) = self.told.get(urn)
            && (*told == reason || now.saturating_duration_since(*at) < QUIET)
        {
            return None;
        }
        let line = format!("  waiting for {}: {reason}", urn.short());
        self.told.insert(urn.clone(), (reason, now));
        Some(line)
    }

    fn write(&mut self, text: &str) {
        // Nobody can be told that nobody listens; the run goes on.
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.write_all(b"\n");
        let _ = self.out.flush();
    }

    pub(super) fn finish_at(&mut self, now: Instant) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let report = closing::report(&self.tally, now, &self.style);
        if !report.is_empty() {
            self.write(&format!("\n{}", report.trim_end()));
        }
    }
}

impl Presenter for Plain {
    fn event(&mut self, event: &Event) {
        self.event_at(event, Instant::now());
    }

    fn hold(&mut self) {
        self.in_plan = false;
    }

    fn finish(&mut self) {
        self.finish_at(Instant::now());
    }
}

/// Whether an event belongs to the telling of a plan: its steps, and the notes right after them.
pub(super) fn is_of_plan(event: &Event, already: bool) -> bool {
    matches!(event, Event::Step(_) | Event::LeftOut(_) | Event::Facts(_))
        || (already && matches!(event, Event::Note { .. }))
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.finish();
    }
}

fn begin_text(tally: &Tally) -> String {
    let (_, total) = tally.steps();
    let estimate = if tally.estimate.is_zero() {
        String::new()
    } else {
        format!(", about {} expected", duration(tally.estimate))
    };
    let revision = tally.revision.map(|number| format!(", revision {number}")).unwrap_or_default();
    format!("{} {}{revision}: {}{estimate}", tally.command, tally.stack, count(total, "step"))
}

/// What an event about a single step says, on a line of its own.
fn step_text(event: &Event) -> Option<String> {
    Some(match event {
        Event::StepStarted { urn, op, action } => match op {
            Op::Replace => format!("  {} {}", replacing(action), urn.short()),
            _ => format!("  {} {}", doing(action), urn.short()),
        },
        Event::StepFinished { urn, op, action, duration: took } => {
            let what = match (op, *action) {
                (Op::Replace, "create") => "created the new",
                (Op::Replace, "delete") => "deleted the old",
                (Op::Replace, "forget") => "left the old",
                (_, action) => done(action),
            };
            format!("  {what} {} in {}", urn.short(), duration(*took))
        }
        Event::StepRetrying { urn, attempt, after, reason } => format!(
            "  retrying {} in {}: try {attempt} failed: {}",
            urn.short(),
            duration(*after),
            one_line(reason)
        ),
        Event::StepWarning { urn, message } => format!("  warning: {}: {}", urn.short(), one_line(message)),
        Event::StepFailed { urn, op, class: name, message, duration: took, .. } => format!(
            "  failed to {} {} after {} ({}): {}",
            half(*op, op.as_str()),
            urn.short(),
            duration(*took),
            class(name),
            one_line(message)
        ),
        Event::StepSkipped { urn, op, because } => {
            format!("  skipped the {} of {} because {}", op.as_str(), urn.short(), cause(because))
        }
        _ => return None,
    })
}

fn replacing(action: &str) -> &'static str {
    match action {
        "delete" => "deleting the old",
        "forget" => "leaving the old",
        _ => "creating the new",
    }
}

/// Why something was skipped: the URN of what failed, or a sentence.
pub(super) fn cause(because: &str) -> String {
    Urn::parse(because).map_or_else(|_| clean(because), |urn| format!("{} failed", urn.short()))
}

/// What an event about the run as a whole says.
pub(super) fn run_text(event: &Event) -> Option<String> {
    Some(match event {
        Event::Recovered { urn, action, found } => {
            format!("recovered: the {action} of {} that was interrupted: {}", urn.short(), one_line(found))
        }
        Event::Locked { lease, up_to } => format!(
            "another run holds the lease: {}; waiting up to {} s for it to end, or to show no more sign of life",
            one_line(lease),
            up_to.as_secs_f64().ceil()
        ),
        Event::Recovering { operations } => {
            let what = count(*operations as u64, "operation");
            format!("finding out what became of {what} that an earlier run left without an outcome")
        }
        Event::Refreshing { resources } => format!("reading {}", count(*resources as u64, "resource")),
        Event::Refreshed { resources, gone, drifted, duration: took } => {
            let mut text = format!("read {} in {}", count(*resources as u64, "resource"), duration(*took));
            if *gone > 0 {
                text.push_str(&format!(", {gone} gone"));
            }
            if *drifted > 0 {
                text.push_str(&format!(", {drifted} drifted"));
            }
            text
        }
        Event::Note { message } => format!("note: {}", one_line(message)),
        Event::Interrupted { at_once: false } => {
            "interrupted: nothing new begins; what is in flight is finished and recorded (interrupt again to stop now)"
                .to_owned()
        }
        Event::Interrupted { at_once: true } => {
            "stopping now: what is in flight is abandoned; the next run finds out what became of it".to_owned()
        }
        _ => return None,
    })
}
