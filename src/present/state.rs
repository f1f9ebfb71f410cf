//! What is recorded, and whether the log is whole.

use plinth_provider::{Recorded, Value};
use plinth_state::{Report, Tracked};
use serde_json::json;

use super::plan::leaves;
use super::style::{Role, Style};
use super::words::{clean, count, duration};

/// The outputs of a resource, one value a line.
pub fn outputs(recorded: &Recorded, style: &Style) -> String {
    let mut text = style.paint(Role::Strong, recorded.urn.short());
    let lines = leaves(&recorded.outputs, style.width.saturating_sub(2));
    if lines.is_empty() {
        text.push_str(&style.paint(Role::Faint, "  (no outputs)"));
    }
    for line in lines {
        text.push_str(&format!("\n  {line}"));
    }
    text
}

/// Everything that is recorded of a resource.
pub fn resource(tracked: &Tracked, style: &Style) -> String {
    let mut text = style.paint(Role::Strong, tracked.urn.as_str());
    text.push('\n');
    text.push_str(&format!("  id: {}\n", clean(&tracked.id)));
    match tracked.created_revision {
        0 => {}
        revision => text.push_str(&format!("  created by revision {revision}\n")),
    }
    let took = duration(std::time::Duration::from_millis(tracked.duration_ms));
    text.push_str(&format!("  last written {:.0}, its last operation took {took}\n", tracked.updated_at));
    if tracked.unsettled {
        let note = "its last operation did not end well; the next apply brings it to its inputs again";
        text.push_str(&format!("  {}\n", style.paint(Role::Changed, note)));
    }
    section(&mut text, "inputs", &tracked.inputs, style);
    section(&mut text, "outputs", &tracked.outputs, style);
    if let Some(connection) = &tracked.connection {
        section(&mut text, "connection", connection, style);
    }
    if !tracked.dependencies.is_empty() {
        text.push_str(&style.paint(Role::Faint, "  needs"));
        text.push('\n');
        for urn in &tracked.dependencies {
            text.push_str(&format!("    {}\n", urn.short()));
        }
    }
    let options = serde_json::to_value(&tracked.options).map(Value::from_json).unwrap_or_default();
    section(&mut text, "options", &options, style);
    text
}

fn section(text: &mut String, title: &str, value: &Value, style: &Style) {
    let lines = leaves(value, style.width.saturating_sub(4));
    if lines.is_empty() {
        return;
    }
    text.push_str(&style.paint(Role::Faint, &format!("  {title}")));
    text.push('\n');
    for line in lines {
        text.push_str(&format!("    {line}\n"));
    }
}

/// What a walk over the log found.
pub fn verify(stack: &str, report: &Report) -> String {
    let walked =
        format!("{} and {}", count(report.entries, "entry"), count(report.checkpoints as u64, "checkpoint"));
    let stack = clean(stack);
    if report.is_whole() {
        return format!("The log of {stack} is whole: {walked}.\n");
    }
    let mut text = String::new();
    for problem in &report.problems {
        text.push_str(&format!("{}\n", clean(&problem.to_string())));
    }
    let number = count(report.problems.len() as u64, "problem");
    text.push_str(&format!("\nThe log of {stack} is damaged: {number} in {walked}.\n"));
    text
}

/// The same as one JSON object on a line.
pub fn verify_json(report: &Report) -> String {
    let problems: Vec<_> = report
        .problems
        .iter()
        .map(|problem| json!({ "seq": problem.seq, "file": problem.file, "what": problem.what }))
        .collect();
    let event = json!({
        "event": "verified",
        "entries": report.entries,
        "checkpoints": report.checkpoints,
        "whole": report.is_whole(),
        "problems": problems,
    });
    format!("{event}\n")
}
