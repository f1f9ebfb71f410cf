//! How a run ended: every failure with what to do about it, what was done, what took longest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::diagnostics::labelled;
use super::style::{Role, Style};
use super::table::{Align, Table};
use super::tally::{Failure, Tally};
use super::words::{class, clean, count, duration, list};

const LONGEST: usize = 5;
const NAMED: usize = 5;
/// Steps of the critical path beyond this many are summed up.
const PATH: usize = 12;

/// The report at the end of a run; empty when there was no run.
pub(super) fn report(tally: &Tally, now: Instant, style: &Style) -> String {
    if tally.begun.is_none() {
        return String::new();
    }
    let mut text = String::new();
    let skipped = skipped_by_cause(tally);
    for failure in &tally.failures {
        text.push_str(&self::failure(failure, skipped.get(failure.urn.as_str()), style));
        text.push('\n');
    }
    for (cause, names) in &skipped {
        if !tally.failures.iter().any(|failure| failure.urn.as_str() == *cause) {
            text.push_str(&format!("Skipped because {}: {}.\n\n", clean(cause), some(names)));
        }
    }
    text.push_str(&longest(tally, style));
    text.push_str(&critical_path(tally, style));
    for (cluster, arns) in &tally.leftovers {
        text.push_str(&leftovers(cluster, arns, style));
        text.push('\n');
    }
    text.push_str(&outcome(tally, now, style));
    text.push('\n');
    text
}

fn failure(failure: &Failure, dependents: Option<&Vec<String>>, style: &Style) -> String {
    let head = format!(
        "{} of {} failed after {} ({})",
        failure.op.as_str(),
        failure.urn.short(),
        duration(failure.duration),
        class(failure.class)
    );
    let mut text = labelled("error", Role::Removed, &head, style);
    for line in clean(failure.message.trim_end()).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    if let Some(help) = &failure.help {
        text.push_str(&labelled("  help", Role::Running, help, style));
    }
    if let Some(names) = dependents {
        let (need, were) = if names.len() == 1 { ("needs", "was") } else { ("need", "were") };
        let steps = count(names.len() as u64, "step");
        text.push_str(&format!("  {steps} {need} it and {were} skipped: {}\n", some(names)));
    }
    text
}

fn leftovers(cluster: &str, arns: &[String], style: &Style) -> String {
    let head = format!("the cluster {cluster} is gone, and this is left of it:\n{}", arns.join("\n"));
    let help = "load balancers and volumes were made by Kubernetes, logs by EKS; remove them by hand if nobody needs them";
    labelled("warning", Role::Changed, &head, style) + &labelled("help", Role::Running, help, style)
}

fn skipped_by_cause(tally: &Tally) -> BTreeMap<&str, Vec<String>> {
    let mut causes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for skipped in &tally.skipped {
        causes.entry(&skipped.because).or_default().push(skipped.urn.short().to_owned());
    }
    causes
}

fn some(names: &[String]) -> String {
    if names.len() <= NAMED {
        return list(names);
    }
    let mut shown = names[..NAMED - 1].to_vec();
    shown.push(format!("{} more", names.len() + 1 - NAMED));
    list(&shown)
}

fn longest(tally: &Tally, style: &Style) -> String {
    let mut finished: Vec<_> = tally.finished.iter().collect();
    if finished.len() < 2 {
        return String::new();
    }
    finished.sort_by(|a, b| b.duration.cmp(&a.duration).then_with(|| a.urn.cmp(&b.urn)));
    let mut table = Table::new().column("", Align::Right).column("", Align::Left).column("", Align::Left);
    for step in finished.iter().take(LONGEST) {
        table.row([duration(step.duration), step.action.to_owned(), step.urn.short().to_owned()]);
    }
    let mut text = style.paint(Role::Faint, "Took longest:");
    text.push('\n');
    for line in table.text(usize::MAX).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text.push('\n');
    text
}

/// The chain of steps that the run could not have been shorter than.
fn critical_path(tally: &Tally, style: &Style) -> String {
    let Some(path) = tally.summary.as_ref().map(|summary| &summary.critical_path) else {
        return String::new();
    };
    if path.len() < 2 {
        return String::new();
    }
    let whole: Duration = path.iter().map(|step| step.duration).sum();
    let mut text = style.paint(Role::Faint, &format!("Critical path, {}:", duration(whole)));
    text.push('\n');
    let mut table = Table::new().column("", Align::Right).column("", Align::Left).column("", Align::Left);
    let (first, last) = if path.len() > PATH { (PATH - 1, 1) } else { (path.len(), 0) };
    for step in &path[..first] {
        table.row([duration(step.duration), step.action.to_owned(), step.urn.short().to_owned()]);
    }
    if last > 0 {
        let hidden = &path[first..path.len() - last];
        let took: Duration = hidden.iter().map(|step| step.duration).sum();
        table.row([duration(took), "…".to_owned(), format!("{} more", count(hidden.len() as u64, "step"))]);
        let step = &path[path.len() - 1];
        table.row([duration(step.duration), step.action.to_owned(), step.urn.short().to_owned()]);
    }
    for line in table.text(usize::MAX).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text.push('\n');
    text
}

fn outcome(tally: &Tally, now: Instant, style: &Style) -> String {
    let counts = tally.counts();
    let failed = counts.failed.max(tally.failures.len() as u64);
    let command = if tally.command.is_empty() { "run" } else { &tally.command };
    let subject = match tally.revision {
        Some(revision) => format!("{command} of {}, revision {revision},", tally.stack),
        None => format!("{command} of {}", tally.stack),
    };
    let stopped = tally.summary.as_ref().is_some_and(|summary| summary.stopped.is_some());
    let (role, how) = match (stopped, tally.interrupted, failed > 0) {
        (true, ..) => (Role::Removed, "was stopped after"),
        (_, true, _) => (Role::Changed, "was interrupted after"),
        (_, false, true) => (Role::Removed, "failed after"),
        (_, false, false) => (Role::Added, "succeeded in"),
    };
    let unfinished = tally.summary.as_ref().map_or(0, |summary| summary.unfinished as u64);
    let deleted = counts.delete.saturating_sub(tally.forgotten());
    let parts: Vec<String> = [
        (counts.create, "created"),
        (counts.update, "updated"),
        (counts.replace, "replaced"),
        (deleted, "deleted"),
        (tally.forgotten(), "forgotten"),
        (failed, "failed"),
        (unfinished, "without an outcome"),
        (tally.skipped.len() as u64, "skipped"),
        (counts.same, "unchanged"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{number} {word}"))
    .collect();
    let parts = if parts.is_empty() { "nothing was changed".to_owned() } else { parts.join(", ") };
    let took = duration(tally.elapsed(now));
    let head = style.paint(role, &format!("{} {how} {took}", capital(&subject)));
    let mut text = format!("{head}: {parts}.");
    if stopped {
        text.push_str("\nWhat is recorded stays; the next run finds out by itself what became of the rest.");
    } else if tally.interrupted {
        text.push_str("\nRun the same command again to continue; it finds out by itself what happened.");
    } else if failed > 0 {
        text.push_str("\nWhat succeeded is recorded; run the same command again once the cause is gone.");
    }
    text
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
