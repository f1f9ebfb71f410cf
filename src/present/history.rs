//! The revisions of a stack, newest first.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use plinth_state::{Finish, Provenance, ProvenanceKind, Revision};

use super::style::{Role, Style};
use super::table::{Align, Table};
use super::words::{clean, duration};

/// From where on revisions can be returned to, when that is not all of them.
pub fn kept_from(state: &plinth_state::State) -> Option<String> {
    let from = state.revisions_from;
    let why = "older ones are no longer kept";
    (from > 0).then(|| format!("Revisions from {from} on can be returned to; {why}.\n"))
}

/// The revisions as a table. Times are in the given zone.
pub fn text(revisions: &[Arc<Revision>], zone: &TimeZone, style: &Style) -> String {
    if revisions.is_empty() {
        return "No revisions. Nothing has been applied to this stack yet.\n".to_owned();
    }
    let paint = |result: &'static str| {
        let role = match result {
            "succeeded" => Role::Added,
            "failed" => Role::Removed,
            _ => Role::Changed,
        };
        style.paint(role, result)
    };
    table(revisions, zone, paint).text(usize::MAX)
}

/// The revisions in Markdown.
pub fn markdown(stack: &str, revisions: &[Arc<Revision>], zone: &TimeZone) -> String {
    let mut text = format!("## History of `{stack}`\n\n");
    if revisions.is_empty() {
        text.push_str("Nothing has been applied to this stack yet.\n");
    } else {
        text.push_str(&table(revisions, zone, str::to_owned).markdown());
    }
    text
}

fn table(revisions: &[Arc<Revision>], zone: &TimeZone, paint: impl Fn(&'static str) -> String) -> Table {
    let mut table = Table::new()
        .column("revision", Align::Right)
        .column("began", Align::Left)
        .column("command", Align::Left)
        .column("result", Align::Left)
        .column("took", Align::Right)
        .column("what", Align::Left);
    for (at, revision) in revisions.iter().enumerate().rev() {
        let newest = at + 1 == revisions.len();
        let origin = revision.provenance.as_ref().map(provenance);
        let what = [origin, Some(counts(revision)).filter(|text| !text.is_empty())];
        let what: Vec<String> = what.into_iter().flatten().collect();
        table.row([
            revision.number.to_string(),
            revision.started.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            clean(&revision.command),
            paint(result(revision, newest)),
            took(revision),
            what.join("; "),
        ]);
    }
    table
}

/// Where a revision comes from: `promoted from dev@4`, `rolled back to 2`.
pub fn provenance(provenance: &Provenance) -> String {
    let (stack, revision) = (clean(&provenance.from_stack), provenance.revision);
    match provenance.kind {
        ProvenanceKind::Promotion => format!("promoted from {stack}@{revision}"),
        ProvenanceKind::Rollback => format!("rolled back to {revision}"),
        _ => format!("from {stack}@{revision}"),
    }
}

/// Only the newest can still be running; an older one without an end was cut off.
fn result(revision: &Revision, newest: bool) -> &'static str {
    match revision.result {
        Some(Finish::Succeeded) => "succeeded",
        Some(Finish::Failed) => "failed",
        Some(Finish::Interrupted) => "interrupted",
        Some(_) => "ended",
        None if newest => "unfinished",
        None => "cut off",
    }
}

fn took(revision: &Revision) -> String {
    let Some(finished) = revision.finished else { return String::new() };
    let span = finished.duration_since(revision.started);
    duration(Duration::try_from(span).unwrap_or_default())
}

fn counts(revision: &Revision) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("create", "+"),
        ("update", "~"),
        ("replace", "-/+"),
        ("delete", "-"),
        ("failed", "failed "),
        ("skipped", "skipped "),
        ("import", "imported "),
        ("leftOut", "left out "),
    ];
    let parts: Vec<String> = WORDS
        .iter()
        .filter_map(|(key, word)| {
            let number = revision.counts.get(*key).copied().filter(|number| *number > 0)?;
            Some(format!("{word}{number}"))
        })
        .collect();
    parts.join(" ")
}
