//! One picture of a run that fits into a window: phases, what runs in them, and how far it all is. Pure.

use std::time::Instant;

use super::super::style::{Role, Style, cut, pad, width};
use super::super::tally::{Failure, Phase, Running, Tally};
use super::super::words::{class, clean, count, one_line, seconds};
use super::estimate;
use crate::engine::Op;

/// Failures shown while the run goes on; all of them follow at its end.
const FAILURES: usize = 3;

/// What each part of the tree may take.
#[derive(Clone, Copy)]
struct Room {
    running: usize,
    failures: usize,
    merge_over: bool,
    merge_waiting: bool,
    /// Without headers: only what runs, longest first.
    flat: bool,
}

/// A frame of at most `rows - 1` lines and `columns` columns.
pub(super) fn lines(
    tally: &Tally,
    now: Instant,
    spinner: &str,
    (rows, columns): (usize, usize),
    style: &Style,
) -> Vec<String> {
    let budget = rows.saturating_sub(1).max(2);
    let mut footer = footer(tally, now, spinner, columns, style);
    if budget < 5 {
        footer.truncate(1);
    }
    let tree_rows = budget - footer.len();
    let waits = waits(tally, now, tree_rows / 4, style);
    let room = room(tally, tree_rows - waits.len());
    let mut lines = tree(tally, now, spinner, columns, style, room);
    lines.truncate(tree_rows - waits.len());
    lines.extend(waits);
    if lines.len() < tree_rows && rows > 12 {
        lines.push(String::new());
    }
    lines.extend(footer);
    lines.into_iter().map(|line| cut(&line, columns)).collect()
}

/// What steps wait for that could begin.
fn waits(tally: &Tally, now: Instant, most: usize, style: &Style) -> Vec<String> {
    let waits = tally.waits.now(&tally.running, tally.to_begin(), now);
    let shown = shown(waits.len(), most);
    let mut lines: Vec<String> = waits
        .iter()
        .take(shown)
        .map(|wait| {
            let who = wait.urn.map(|urn| format!("{} ", name_of(urn))).unwrap_or_default();
            style.paint(Role::Faint, &format!("  · {who}{}", wait.text))
        })
        .collect();
    if waits.len() > shown && most > 0 {
        let left = count((waits.len() - shown) as u64, "wait");
        lines.push(style.paint(Role::Faint, &format!("  · … {left} more")));
    }
    lines
}

/// One line per phase that began, for the transcript.
pub(super) fn phases(tally: &Tally, now: Instant, columns: usize, style: &Style) -> Vec<String> {
    let names = names_width(tally);
    tally
        .phases
        .iter()
        .filter(|phase| phase.begun.is_some() || phase.failed + phase.skipped > 0)
        .map(|phase| cut(&header(phase, now, "·", names, style), columns))
        .collect()
}

fn room(tally: &Tally, rows: usize) -> Room {
    let over = tally.phases.iter().filter(|phase| is_quiet(phase)).count();
    let waiting = tally.phases.iter().filter(|phase| is_waiting(phase)).count();
    let active = tally.phases.len() - over - waiting;
    let running = tally.running.len();
    let mut room = Room {
        running,
        failures: tally.failures.len().min(FAILURES),
        merge_over: false,
        merge_waiting: false,
        flat: false,
    };
    let headers = |room: &Room| {
        let over = if room.merge_over { over.min(1) } else { over };
        let waiting = if room.merge_waiting { waiting.min(1) } else { waiting };
        over + waiting + active + room.failures
    };
    if headers(&room) + running > rows {
        room.merge_waiting = true;
    }
    if headers(&room) + running > rows {
        room.merge_over = true;
    }
    if headers(&room) + running > rows {
        room.failures = room.failures.min(1);
    }
    let left = rows.saturating_sub(headers(&room));
    if running <= left {
        return room;
    }
    if left < 3 && active > 1 {
        room.flat = true;
        let fixed = room.failures + over.min(1) + waiting.min(1) + 1;
        room.running = shown(running, rows.saturating_sub(fixed));
        return room;
    }
    room.running = shown(running, left);
    room
}

/// How many of the running fit when a line is needed for those that do not.
fn shown(running: usize, left: usize) -> usize {
    if running <= left { running } else { left.saturating_sub(1) }
}

fn is_quiet(phase: &Phase) -> bool {
    phase.over() && phase.failed + phase.skipped == 0
}

/// Nothing of it runs now, though something is left to do.
fn is_waiting(phase: &Phase) -> bool {
    phase.running == 0 && phase.failed == 0 && !phase.over()
}

fn tree(
    tally: &Tally,
    now: Instant,
    spinner: &str,
    columns: usize,
    style: &Style,
    room: Room,
) -> Vec<String> {
    let mut longest: Vec<&Running> = tally.running.values().collect();
    longest.sort_by_key(|step| step.since);
    let shown: Vec<&Running> = longest.iter().take(room.running).copied().collect();
    let hidden = tally.running.len() - shown.len();
    let failures: Vec<&Failure> = tally.failures.iter().rev().take(room.failures).collect();
    let labels = shown.iter().map(|step| width(&label(step))).max().unwrap_or_default();
    let mut lines = Vec::new();
    if room.merge_over || room.flat {
        merged(&mut lines, tally, is_quiet, &style.paint(Role::Added, "✓"), "", columns);
    }
    let names = names_width(tally);
    if room.flat {
        let active: Vec<&Phase> =
            tally.phases.iter().filter(|phase| !is_quiet(phase) && !is_waiting(phase)).collect();
        let done: u64 = active.iter().map(|phase| phase.done).sum();
        let total: u64 = active.iter().map(|phase| phase.total).sum();
        let mark = style.paint(Role::Running, spinner);
        lines.push(format!("{mark} {} at work  {done}/{total}", count(active.len() as u64, "phase")));
        lines.extend(failures.iter().map(|failure| failed(failure, columns, style)));
        lines.extend(shown.iter().map(|step| running(step, now, spinner, labels, columns, style)));
    } else {
        for (at, phase) in tally.phases.iter().enumerate() {
            if (room.merge_over && is_quiet(phase)) || (room.merge_waiting && is_waiting(phase)) {
                continue;
            }
            lines.push(header(phase, now, spinner, names, style));
            let here = failures.iter().filter(|failure| failure.phase == at);
            lines.extend(here.map(|failure| failed(failure, columns, style)));
            let here = shown.iter().filter(|step| step.phase == at);
            lines.extend(here.map(|step| running(step, now, spinner, labels, columns, style)));
        }
    }
    if hidden > 0 {
        lines.push(style.paint(Role::Faint, &format!("  … {hidden} more")));
    }
    if room.merge_waiting || room.flat {
        merged(&mut lines, tally, is_waiting, &style.paint(Role::Faint, "·"), " to come", columns);
    }
    lines
}

/// Several phases on one line.
fn merged(
    lines: &mut Vec<String>,
    tally: &Tally,
    which: fn(&Phase) -> bool,
    mark: &str,
    note: &str,
    columns: usize,
) {
    let phases: Vec<&Phase> = tally.phases.iter().filter(|phase| which(phase)).collect();
    if phases.is_empty() {
        return;
    }
    // Of finished phases all steps count, of others those that are left.
    let left = |phase: &&Phase| if phase.over() { phase.total } else { phase.total - phase.done };
    let steps: u64 = phases.iter().map(left).sum();
    let tail = format!("  {}{note}", count(steps, "step"));
    let names: Vec<String> = phases.iter().map(|phase| clean(&phase.name)).collect();
    let names = cut(&names.join(", "), columns.saturating_sub(width(&tail) + 2));
    lines.push(format!("{mark} {names}{tail}"));
}

fn names_width(tally: &Tally) -> usize {
    tally.phases.iter().map(|phase| width(&phase.name)).max().unwrap_or_default().min(24)
}

fn header(phase: &Phase, now: Instant, spinner: &str, names: usize, style: &Style) -> String {
    let mark = if phase.over() && phase.failed + phase.skipped > 0 {
        style.paint(Role::Removed, "✗")
    } else if phase.over() {
        style.paint(Role::Added, "✓")
    } else if phase.running > 0 {
        style.paint(Role::Running, spinner)
    } else {
        style.paint(Role::Faint, "·")
    };
    let name = pad(&cut(&clean(&phase.name), names), names);
    let name = if phase.begun.is_none() && !phase.over() { style.paint(Role::Faint, &name) } else { name };
    let progress = format!("{}/{}", phase.done, phase.total);
    let mut line = format!("{mark} {name}  {progress:>7}");
    if let Some(elapsed) = phase.elapsed(now) {
        line.push_str(&style.paint(Role::Faint, &format!("  {:>7}", seconds(elapsed))));
    }
    let trouble: Vec<String> = [(phase.failed, "failed"), (phase.skipped, "skipped")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    if !trouble.is_empty() {
        line.push_str(&format!("  {}", style.paint(Role::Removed, &trouble.join(", "))));
    }
    line
}

/// `+ Deployment loki-write`: what is done, the kind without its group, the name.
fn label(step: &Running) -> String {
    let symbol = match (step.op, step.action) {
        (Op::Forget, _) | (_, "forget") => "=",
        (_, "create") => "+",
        (_, "delete") => "-",
        _ => "~",
    };
    format!("{symbol} {}", name_of(&step.urn))
}

fn name_of(urn: &plinth_provider::Urn) -> String {
    let kind = urn.kind().rsplit(['/', ':']).next().unwrap_or_default();
    clean(&format!("{kind} {}", urn.name()))
}

fn running(
    step: &Running,
    now: Instant,
    spinner: &str,
    labels: usize,
    columns: usize,
    style: &Style,
) -> String {
    let mark = style.paint(Role::Running, spinner);
    let elapsed = seconds(now.saturating_duration_since(step.since));
    // Half of the line is for the reason, unless the labels need less.
    let labels = labels.min(columns.saturating_sub(16) * 3 / 5);
    let label = pad(&cut(&label(step), labels), labels);
    let line = format!("  {mark} {label} {}", style.paint(Role::Faint, &format!("{elapsed:>7}")));
    match &step.reason {
        Some(reason) => {
            let room = columns.saturating_sub(width(&line) + 2);
            format!("{line}  {}", cut(reason, room))
        }
        None => line,
    }
}

fn failed(failure: &Failure, columns: usize, style: &Style) -> String {
    let mark = style.paint(Role::Removed, "✗");
    let text =
        format!("{} ({}): {}", name_of(&failure.urn), class(failure.class), one_line(&failure.message));
    format!("  {mark} {}", cut(&text, columns.saturating_sub(4)))
}

fn footer(tally: &Tally, now: Instant, spinner: &str, columns: usize, style: &Style) -> Vec<String> {
    let (done, total) = tally.steps();
    let running = tally.running.len();
    let mark = style.paint(Role::Running, spinner);
    let revision = tally.revision.map(|number| format!(" #{number}")).unwrap_or_default();
    let title = cut(&format!("{} {}{revision}", tally.command, clean(&tally.stack)), columns / 3);
    let mut numbers = format!("{done}/{total}");
    if running > 0 {
        numbers.push_str(&format!(", {running} running"));
    }
    let failed = tally.failures.len();
    if failed > 0 {
        numbers.push_str(&style.paint(Role::Removed, &format!(", {failed} failed")));
    }
    let room = columns.saturating_sub(width(&title) + width(&numbers) + 6).min(40);
    let bar = if room >= 8 { format!("  {}", bar(tally.progress(), room, style)) } else { String::new() };
    let elapsed = tally.elapsed(now);
    let mut times = seconds(elapsed);
    let left = if tally.interrupted {
        format!("stopping, {running} to finish")
    } else {
        estimate::text(tally.estimate, elapsed, tally.progress())
    };
    if !left.is_empty() {
        times.push_str(&format!(", {left}"));
    }
    vec![format!("{mark} {title}{bar}  {numbers}"), format!("  {}", style.paint(Role::Faint, &times))]
}

fn bar(progress: f64, columns: usize, style: &Style) -> String {
    let full = (progress * columns as f64).floor() as usize;
    let full = full.min(columns);
    let done = style.paint(Role::Added, &"━".repeat(full));
    format!("{done}{}", style.paint(Role::Faint, &"─".repeat(columns - full)))
}
