//! What is recorded, and whether the log is whole.

use plinth_provider::{Recorded, Value};
use plinth_state::{Lease, Mending, Report, Tracked};
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
        let from = match report.first {
            0 | 1 => String::new(),
            first => format!(" It begins with entry {first}: what was before is no longer kept."),
        };
        return format!("The log of {stack} is whole: {walked}.{from}\n");
    }
    let mut text = String::new();
    for problem in &report.problems {
        text.push_str(&format!("{}\n  {}\n", clean(&problem.to_string()), problem.todo));
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
        .map(|problem| json!({ "seq": problem.seq, "file": problem.file, "what": problem.what, "todo": problem.todo }))
        .collect();
    let event = json!({
        "event": "verified",
        "entries": report.entries,
        "first": report.first,
        "checkpoints": report.checkpoints,
        "whole": report.is_whole(),
        "problems": problems,
    });
    format!("{event}\n")
}

/// Whose lease is about to be broken.
pub fn unlock_warning(stack: &str, lease: &Lease) -> String {
    let holder = &lease.holder;
    let mut text = format!("The lease of stack {} is held:\n", clean(stack));
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:<8} {}\n", clean(&value)));
    if let Some(user) = &holder.user {
        line("by", user.clone());
    }
    line("host", holder.host.clone());
    line("process", holder.pid.to_string());
    line("command", holder.command.clone());
    line("since", format!("{:.0}", lease.acquired));
    line("until", format!("{:.0} unless renewed", lease.expires));
    let state = if holder.is_dead() {
        "That process is gone: the next run takes the lease over by itself, there is no need to break it."
    } else {
        "If that run is still alive, it stops at its next step; what it has under way goes on without a record of its end, \
         and the next run finds out what became of it. Break the lease only of a run that is certainly gone."
    };
    text.push_str(state);
    text.push('\n');
    text
}

/// The facts of a lease as one JSON object on a line.
pub fn held_json(stack: &str, lease: &Lease) -> String {
    let holder = &lease.holder;
    let event = json!({
        "event": "held", "stack": stack, "epoch": lease.epoch, "host": holder.host, "pid": holder.pid,
        "user": holder.user, "command": holder.command, "since": lease.acquired, "until": lease.expires,
    });
    format!("{event}\n")
}

/// What a repair would do.
pub fn mending(stack: &str, mending: &Mending) -> String {
    let mut text = String::new();
    for problem in &mending.problems {
        text.push_str(&format!("{}\n", clean(&problem.to_string())));
    }
    text.push_str(&format!("\nA repair of the log of {} would do this:\n", clean(stack)));
    for (seq, from) in &mending.restored {
        text.push_str(&format!("  put entry {seq} back, found whole at {}\n", clean(from)));
    }
    let damaged = mending.problems.iter().any(|problem| !problem.what.contains("missing"));
    if damaged {
        text.push_str(&format!(
            "  copy what is damaged to {}, and take it out of the log\n",
            mending.evidence
        ));
    }
    for range in &mending.lost {
        match range.end() - range.start() {
            0 => text.push_str(&format!("  give up entry {}\n", range.start())),
            _ => text.push_str(&format!("  give up entries {} to {}\n", range.start(), range.end())),
        }
    }
    let resources = count(mending.resources as u64, "resource");
    text.push_str(&if mending.lost.is_empty() {
        format!("No entry is lost: state is what it was, with {resources}.\n")
    } else if mending.proven {
        format!("A checkpoint after the lost entries proves the state: {resources}, nothing of it is lost.\n")
    } else {
        format!(
            "What the lost entries told is not known. The rest gives {resources}; the next apply reads every one of them, \
             and looks for what is declared and not recorded before it creates anything.\n"
        )
    });
    section_of(&mut text, "Begun, and what came of it is not known; the next run finds it out:", |lines| {
        lines.extend(
            mending.open.iter().map(|(op, action, urn)| format!("operation {op}: {} {urn}", action.as_str())),
        );
    });
    section_of(&mut text, "May have changed, or exist, without a record:", |lines| {
        lines.extend(mending.unaccounted.iter().map(|(urn, what)| format!("{urn}: {what}")));
    });
    section_of(&mut text, "Cannot be returned to any more:", |lines| {
        lines.extend(mending.unreachable.iter().map(|number| format!("revision {number}")));
    });
    text
}

fn section_of(text: &mut String, title: &str, fill: impl FnOnce(&mut Vec<String>)) {
    let mut lines = Vec::new();
    fill(&mut lines);
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("{title}\n"));
    for line in lines {
        text.push_str(&format!("  {}\n", clean(&line)));
    }
}

/// What a repair did.
pub fn mended(stack: &str, mending: &Mending) -> String {
    let next = if mending.proven { "" } else { " Run `plinth plan`, look at what it wants, and apply." };
    format!("The log of {} is mended.{next}\n", clean(stack))
}

/// A repair, thought through or done, as one JSON object on a line.
pub fn mending_json(mending: &Mending, done: bool) -> String {
    let lost: Vec<_> = mending.lost.iter().map(|range| json!([range.start(), range.end()])).collect();
    let open: Vec<_> = mending
        .open
        .iter()
        .map(|(op, action, urn)| json!({ "op": op, "action": action.as_str(), "urn": urn }))
        .collect();
    let unaccounted: Vec<_> =
        mending.unaccounted.iter().map(|(urn, what)| json!({ "urn": urn, "what": what })).collect();
    let event = json!({
        "event": if done { "repaired" } else { "repair" },
        "problems": mending.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "restored": mending.restored.iter().map(|(seq, from)| json!({ "seq": seq, "from": from })).collect::<Vec<_>>(),
        "lost": lost,
        "proven": mending.proven,
        "resources": mending.resources,
        "open": open,
        "unaccounted": unaccounted,
        "unreachable": mending.unreachable,
        "evidence": mending.evidence,
    });
    format!("{event}\n")
}
