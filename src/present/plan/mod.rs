//! A plan for review: as text, and as Markdown for a merge request.

mod change;
mod explanation;
mod leaves;
mod markdown;
mod text;

pub(super) use change::{path_text, shorten, value_text};
pub use explanation::explanation;
pub(super) use leaves::leaves;
pub use markdown::plan_markdown;
use text::NO_CHANGES_YET;
pub use text::{NO_CHANGES, NO_CHANGES_IN_PART, plan_text, plan_text_verbose};

use plinth_provider::{Change, Path};

use super::style::{Role, Style};
use super::words::count;
use crate::engine::{Op, Plan, Step};

/// The ops in the order of their sections.
const SECTIONS: [Op; 6] = [Op::Create, Op::Import, Op::Update, Op::Replace, Op::Delete, Op::Forget];
/// How many of the left out are named.
const NAMED: usize = 6;

/// How an op is drawn.
fn symbol(op: Op) -> &'static str {
    match op {
        Op::Create => "+",
        Op::Update => "~",
        Op::Replace => "-/+",
        Op::Delete => "-",
        Op::Import => "<",
        Op::Forget => "=",
        Op::Same => " ",
    }
}

/// The steps of one op by phase, phases in the order of the plan.
fn by_phase(plan: &Plan, op: Op) -> Vec<(&str, Vec<&Step>)> {
    let mut phases: Vec<(&str, Vec<&Step>)> = Vec::new();
    for step in plan.steps.iter().filter(|step| step.op == op) {
        let name = phase_name(step);
        match phases.iter_mut().find(|(known, _)| *known == name) {
            Some((_, steps)) => steps.push(step),
            None => phases.push((name, vec![step])),
        }
    }
    phases
}

fn phase_name(step: &Step) -> &str {
    match step.options.phase.as_str() {
        "" => "resources",
        phase => phase,
    }
}

/// `Plan: 3 to create, 1 to update, 1 to replace, 0 to delete; 210 unchanged.`
fn totals(plan: &Plan) -> String {
    let counts = plan.counts();
    let forgotten = plan.steps.iter().filter(|step| step.op == Op::Forget).count() as u64;
    let mut text = format!(
        "Plan: {} to create, {} to update, {} to replace, {} to delete",
        counts.create,
        counts.update,
        counts.replace,
        counts.delete.saturating_sub(forgotten)
    );
    if counts.import > 0 {
        text.push_str(&format!(", {} to import", counts.import));
    }
    if forgotten > 0 {
        text.push_str(&format!(", {forgotten} to forget"));
    }
    text.push_str(&format!("; {} unchanged.", counts.same));
    text
}

/// What a plan without changes says: of the whole stack, or of the part that was asked for.
fn nothing(plan: &Plan) -> &'static str {
    match (plan.open > 0, plan.left_out.is_empty()) {
        (true, _) => NO_CHANGES_YET,
        (_, true) => NO_CHANGES,
        (_, false) => NO_CHANGES_IN_PART,
    }
}

/// `2 changes: create a, delete b`.
fn left_out(plan: &Plan) -> Option<String> {
    if plan.left_out.is_empty() {
        return None;
    }
    let mut names: Vec<String> = plan
        .left_out
        .iter()
        .take(NAMED)
        .map(|left| format!("{} {}", left.op.as_str(), left.urn.short()))
        .collect();
    let more = plan.left_out.len() - names.len();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    Some(format!("{}: {}", count(plan.left_out.len() as u64, "change"), names.join(", ")))
}

/// What a step's options and origin say that its changes do not.
fn remarks(step: &Step) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(from) = &step.moved_from {
        remarks.push(format!("was {}", from.short()));
    }
    if let Some(reason) = &step.reason {
        remarks.push(super::words::one_line(reason));
    }
    if step.as_it_is && !step.changes.is_empty() {
        remarks.push("it differs from the stack file in what follows: it is recorded as it is, and the next apply changes it".to_owned());
    }
    if step.op == Op::Replace {
        let order = if step.by_update {
            "it is made anew in its place; what belongs to it stays"
        } else if step.retains_old() {
            "the old one is to be retained: it is left where it is, and no longer managed"
        } else if step.delete_before_replace {
            "the old one is deleted before the new one is created"
        } else {
            "the new one is created before the old one is deleted"
        };
        remarks.push(order.to_owned());
    }
    remarks
}

/// What an update or a replacement changes, and what forces a replacement although nothing of it is known to change.
fn change_lines(step: &Step, style: &Style, columns: usize) -> Vec<String> {
    if !matches!(step.op, Op::Update | Op::Replace | Op::Import) {
        return Vec::new();
    }
    let forced = |change: &Change| step.forced_by.iter().any(|path| path.contains(&change.path));
    let mut lines: Vec<String> = step
        .changes
        .iter()
        .flat_map(|change| change::lines(change, forced(change), style, columns))
        .collect();
    let unshown = |path: &&Path| !step.changes.iter().any(|change| path.contains(&change.path));
    lines.extend(
        step.forced_by
            .iter()
            .filter(unshown)
            .map(|path| format!("{}: {}", path_text(path), style.paint(Role::Removed, "forces replacement"))),
    );
    lines
}

fn heading(op: Op, number: usize) -> String {
    let things = count(number as u64, "resource");
    match op {
        Op::Create => format!("{things} to create"),
        Op::Import => format!("{things} to import (taken over as they exist)"),
        Op::Update => format!("{things} to update in place"),
        Op::Replace => format!("{things} to replace"),
        Op::Delete => format!("{things} to delete"),
        Op::Forget => format!("{things} to forget (no longer managed, left where they are)"),
        Op::Same => format!("{things} unchanged"),
    }
}
