//! The plan for a merge request.

use super::super::style::Style;
use super::super::words::clean;
use super::{SECTIONS, by_phase, change_lines, heading, nothing, remarks, symbol, totals};
use crate::engine::{Op, Plan};

/// The plan in Markdown: a table of totals, then every section folded away, changes as a `diff` block.
pub fn plan_markdown(plan: &Plan) -> String {
    let mut text = format!("## Plan for `{}`\n\n", plan.stack);
    if plan.has_changes() {
        text.push_str(&format!("{}\n", totals(plan)));
    } else {
        text.push_str(&format!("{}\n", nothing(plan)));
    }
    if let Some(line) = super::left_out(plan) {
        text.push_str(&format!("\n> Left out: {}\n", clean(&line)));
    }
    for note in &plan.notes {
        text.push_str(&format!("\n> {}\n", clean(note).replace('\n', "\n> ")));
    }
    for op in SECTIONS {
        let phases = by_phase(plan, op);
        let number: usize = phases.iter().map(|(_, steps)| steps.len()).sum();
        if number == 0 {
            continue;
        }
        let open = if matches!(op, Op::Replace | Op::Delete) { " open" } else { "" };
        text.push_str(&format!("\n<details{open}><summary>{}</summary>\n\n", heading(op, number)));
        let mut block = String::new();
        let style = Style { colour: false, width: 120 };
        for (phase, steps) in phases {
            block.push_str(&format!("# {}\n", clean(phase)));
            for step in steps {
                // Only `+`, `-` and `!` in the first column are coloured.
                let mark = match op {
                    Op::Update | Op::Replace => "!",
                    op => symbol(op),
                };
                block.push_str(&format!("{mark} {}\n", step.urn.short()));
                for remark in remarks(step) {
                    block.push_str(&format!("    ({remark})\n"));
                }
                for line in change_lines(step, &style, 110) {
                    block.push_str(&format!("    {line}\n"));
                }
            }
        }
        text.push_str(&fenced("diff", &block));
        text.push_str("\n</details>\n");
    }
    text
}

/// A code block with a fence longer than any in the text.
fn fenced(language: &str, text: &str) -> String {
    let mut longest = 2;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}{language}\n{text}{fence}\n")
}
