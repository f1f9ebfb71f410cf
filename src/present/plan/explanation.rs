//! Why a step is there.

use plinth_provider::Value;

use super::super::style::{Role, Style, cut};
use super::super::words::{clean, one_line};
use super::change::{path_text, value_text};
use crate::engine::{Explained, Explanation, Op};

/// A value in an explanation is cut here.
const VALUE: usize = 60;

/// The explanation for reading: the resource first, then what it is a consequence of, back to the first causes.
pub fn explanation(explanation: &Explanation, style: &Style) -> String {
    let mut text = String::new();
    for (at, link) in explanation.chain.iter().enumerate() {
        let head = format!("{} {}", link.urn.short(), happens(link.op));
        let head = if at == 0 { style.paint(Role::Strong, &head) } else { format!("because {head}") };
        text.push_str(&format!("{head}: {}\n", one_line(&link.why)));
        for change in &link.changes {
            text.push_str(&format!("    {}\n", change_line(change)));
        }
        if at == 0 && explanation.left_out {
            text.push_str("    it is no part of what was asked for, and left out\n");
        }
    }
    if !explanation.dependencies.is_empty() {
        text.push_str(&style.paint(Role::Faint, "It needs:"));
        text.push('\n');
    }
    for dependency in &explanation.dependencies {
        let how = match (dependency.how, dependency.rule) {
            ("inferred", Some(rule)) => format!("inferred: {rule}"),
            ("reference", _) => "it refers to its outputs".to_owned(),
            (how, _) => how.to_owned(),
        };
        let op = if dependency.op == Op::Same {
            String::new()
        } else {
            format!(", which {}", happens(dependency.op))
        };
        text.push_str(&format!("    {}{op} ({how})\n", dependency.urn.short()));
    }
    text
}

fn happens(op: Op) -> &'static str {
    match op {
        Op::Create => "is created",
        Op::Update => "is updated",
        Op::Replace => "is replaced",
        Op::Delete => "is deleted",
        Op::Import => "is imported",
        Op::Forget => "is forgotten",
        Op::Same => "stays as it is",
    }
}

fn change_line(change: &Explained) -> String {
    let value = |value: &Value| cut(&value_text(value), VALUE);
    let what = match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{} → {}", value(before), value(after)),
        (None, Some(after)) => format!("+ {}", value(after)),
        (Some(before), None) => format!("- {}", value(before)),
        (None, None) => String::new(),
    };
    let mut line = format!("{}: {what}", path_text(&change.path));
    let outputs: Vec<String> =
        change.outputs.iter().map(|output| format!("{}.{}", output.urn.short(), output.path)).collect();
    if !outputs.is_empty() {
        line.push_str(&format!(", made of {}", clean(&outputs.join(", "))));
    }
    if let Some(by) = &change.changed_by {
        line.push_str(&format!(", changed outside of Plinth by {}", clean(by)));
    }
    if change.forces_replacement {
        line.push_str(" (forces replacement)");
    }
    if let Some(at) = &change.declared_at {
        line.push_str(&format!(" [{}]", clean(at)));
    }
    line
}
