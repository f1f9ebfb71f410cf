//! The plan on a terminal or in a log.

use super::super::diagnostics::labelled;
use super::super::style::{Role, Style};
use super::super::words::clean;
use super::leaves::leaves;
use super::{SECTIONS, by_phase, change_lines, heading, nothing, remarks, symbol, totals};
use crate::engine::{Op, Plan, Step};

/// What a plan without changes says.
pub const NO_CHANGES: &str = "No changes. Everything is as the stack file says.";

/// What a plan without changes says that leaves some out.
pub const NO_CHANGES_IN_PART: &str = "No changes in the part of the stack that was asked for.";

/// What a plan says that knows of no changes, and not of everything that happened.
pub(super) const NO_CHANGES_YET: &str =
    "No changes are known yet: what an interrupted run left is found out by the next apply.";

/// The plan for review.
pub fn plan_text(plan: &Plan, style: &Style) -> String {
    render(plan, style, false)
}

/// The plan for review, with every input of what is to be created.
pub fn plan_text_verbose(plan: &Plan, style: &Style) -> String {
    render(plan, style, true)
}

fn render(plan: &Plan, style: &Style, verbose: bool) -> String {
    let mut text = String::new();
    if !plan.has_changes() {
        text.push_str(&format!("{}\n", nothing(plan)));
        left_out(&mut text, plan, style);
        notes(&mut text, plan, style);
        return text;
    }
    for op in SECTIONS {
        let phases = by_phase(plan, op);
        let number: usize = phases.iter().map(|(_, steps)| steps.len()).sum();
        if number == 0 {
            continue;
        }
        text.push_str(&style.paint(Role::Strong, &heading(op, number)));
        text.push('\n');
        for (phase, steps) in phases {
            text.push_str(&style.paint(Role::Faint, &format!("  {} ({})", clean(phase), steps.len())));
            text.push('\n');
            for step in steps {
                self::step(&mut text, step, style, verbose);
            }
        }
        text.push('\n');
    }
    text.push_str(&style.paint(Role::Strong, &totals(plan)));
    text.push('\n');
    left_out(&mut text, plan, style);
    notes(&mut text, plan, style);
    text
}

/// What is left out by what would happen to it.
fn left_out(text: &mut String, plan: &Plan, style: &Style) {
    if let Some(line) = super::left_out(plan) {
        text.push_str(&labelled("left out", Role::Changed, &line, style));
    }
}

fn notes(text: &mut String, plan: &Plan, style: &Style) {
    for note in &plan.notes {
        text.push_str(&labelled("note", Role::Running, note, style));
    }
}

fn step(text: &mut String, step: &Step, style: &Style, verbose: bool) {
    let role = match step.op {
        Op::Create => Role::Added,
        Op::Delete | Op::Replace => Role::Removed,
        Op::Update | Op::Import => Role::Changed,
        Op::Forget | Op::Same => Role::Faint,
    };
    let head = style.paint(role, symbol(step.op));
    text.push_str(&format!("    {head} {}\n", step.urn.short()));
    const INDENT: &str = "        ";
    let columns = style.width.saturating_sub(INDENT.len()).max(40);
    for remark in remarks(step) {
        text.push_str(&format!("{INDENT}{}\n", style.paint(Role::Faint, &format!("({remark})"))));
    }
    for line in change_lines(step, style, columns) {
        text.push_str(&format!("{INDENT}{line}\n"));
    }
    if verbose && step.op == Op::Create {
        for line in leaves(&step.inputs, columns) {
            text.push_str(&format!("{INDENT}{line}\n"));
        }
    }
}
