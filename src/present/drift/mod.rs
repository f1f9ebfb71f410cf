//! What drifted, for people and for machines.

mod prometheus;
mod sarif;

use plinth_provider::{Drift, Urn, Value};
use serde_json::json;

use super::style::{Role, Style, cut};
use super::words::{clean, count};
use crate::engine::{DriftReport, Verdict};

pub use prometheus::prometheus;
pub use sarif::sarif;

/// How a verdict is called, everywhere.
fn verdict_name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Missing => "missing",
        Verdict::Changed(_) => "changed",
    }
}

fn missing(report: &DriftReport) -> usize {
    report.drifted.iter().filter(|(_, verdict)| *verdict == Verdict::Missing).count()
}

/// The report on a terminal or in a log.
pub fn text(stack: &str, report: &DriftReport, style: &Style) -> String {
    let looked = count(report.resources as u64, "resource");
    let stack = clean(stack);
    if report.drifted.is_empty() {
        return format!("No drift in {stack}: {looked} as recorded.\n");
    }
    let mut text = String::new();
    for (urn, verdict) in &report.drifted {
        match verdict {
            Verdict::Missing => {
                text.push_str(&format!("{} {}  is gone\n", style.paint(Role::Removed, "-"), urn.short()));
            }
            Verdict::Changed(fields) => {
                text.push_str(&format!("{} {}\n", style.paint(Role::Changed, "~"), urn.short()));
                for field in fields {
                    text.push_str(&format!("    {}\n", field_text(field, style)));
                }
            }
        }
    }
    let (gone, all) = (missing(report), report.drifted.len());
    text.push_str(&format!("\nDrift in {stack}: {} changed, {gone} missing, of {looked}.\n", all - gone));
    text.push_str("`plinth apply --refresh always` brings them back to what the stack file says.\n");
    text
}

fn field_text(field: &Drift, style: &Style) -> String {
    let who = attribution(field);
    let path = super::plan::path_text(&field.path);
    let room = style.width.saturating_sub(path.len() + who.len() + 10);
    let longest =
        [&field.recorded, &field.live].into_iter().flatten().map(|value| show(value).len()).sum::<usize>();
    let faint = if who.is_empty() { String::new() } else { style.paint(Role::Faint, &format!("  ({who})")) };
    if longest <= room {
        return format!("{path}: {}{faint}", values_text(field, style, room));
    }
    // What does not fit beside its path gets a line of its own.
    format!("{path}:{faint}\n        {}", values_text(field, style, style.width.saturating_sub(12).max(24)))
}

fn values_text(field: &Drift, style: &Style, room: usize) -> String {
    match (&field.recorded, &field.live) {
        (Some(recorded), Some(live)) => {
            let (recorded, live) = (show(recorded), show(live));
            if recorded == live {
                format!("{recorded}, changed")
            } else {
                let (recorded, live) = super::plan::shorten(&recorded, &live, room);
                format!("{} → {}", style.paint(Role::Removed, &recorded), style.paint(Role::Added, &live))
            }
        }
        (None, Some(live)) => style.paint(Role::Added, &format!("added {}", cut(&show(live), room))),
        (Some(recorded), None) => {
            style.paint(Role::Removed, &format!("removed, was {}", cut(&show(recorded), room)))
        }
        (None, None) => "changed".to_owned(),
    }
}

/// Who changed it and when, as far as the system tells.
fn attribution(field: &Drift) -> String {
    match (&field.by, &field.at) {
        (Some(by), Some(at)) => format!("by {}, {at:.0}", clean(by)),
        (Some(by), None) => format!("by {}", clean(by)),
        (None, Some(at)) => format!("{at:.0}"),
        (None, None) => String::new(),
    }
}

fn show(value: &Value) -> String {
    super::plan::value_text(value)
}

/// The report as one JSON document.
pub fn json(stack: &str, report: &DriftReport) -> String {
    let resources: Vec<_> = report
        .drifted
        .iter()
        .map(|(urn, verdict)| {
            let fields = fields(verdict);
            json!({ "urn": urn, "verdict": verdict_name(verdict), "fields": fields })
        })
        .collect();
    let gone = missing(report);
    let document = json!({
        "stack": stack,
        "resources": report.resources,
        "missing": gone,
        "changed": report.drifted.len() - gone,
        "drifted": resources,
    });
    format!("{document:#}\n")
}

fn fields(verdict: &Verdict) -> &[Drift] {
    match verdict {
        Verdict::Missing => &[],
        Verdict::Changed(fields) => fields,
    }
}

/// The report in Markdown.
pub fn markdown(stack: &str, report: &DriftReport) -> String {
    let mut text = format!("## Drift in `{stack}`\n\n");
    let looked = count(report.resources as u64, "resource");
    if report.drifted.is_empty() {
        text.push_str(&format!("None: {looked} as recorded.\n"));
        return text;
    }
    let gone = missing(report);
    text.push_str(&format!("{} changed, {gone} missing, of {looked}.\n\n", report.drifted.len() - gone));
    text.push_str("| resource | path | recorded | live | by |\n| --- | --- | --- | --- | --- |\n");
    for (urn, verdict) in &report.drifted {
        if *verdict == Verdict::Missing {
            text.push_str(&row(urn, "", "", "**gone**", ""));
        }
        for field in fields(verdict) {
            let cell = |value: &Option<Value>| value.as_ref().map(|v| code(&cut(&show(v), 80)));
            text.push_str(&row(
                urn,
                &code(&super::plan::path_text(&field.path)),
                &cell(&field.recorded).unwrap_or_else(|| "absent".to_owned()),
                &cell(&field.live).unwrap_or_else(|| "absent".to_owned()),
                &attribution(field),
            ));
        }
    }
    text
}

fn row(urn: &Urn, path: &str, recorded: &str, live: &str, by: &str) -> String {
    let cells = [&code(urn.short()), path, recorded, live, by].map(|cell| cell.replace('|', "\\|"));
    format!("| {} |\n", cells.join(" | "))
}

fn code(text: &str) -> String {
    let text = text.replace('\n', " ");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// One sentence per resource, for formats that want a message.
fn message(urn: &Urn, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Missing => format!("{} is gone.", urn.short()),
        Verdict::Changed(fields) => {
            let style = Style { colour: false, width: 200 };
            let fields: Vec<String> = fields.iter().map(|field| field_text(field, &style)).collect();
            format!("{} differs from what was recorded: {}.", urn.short(), fields.join("; "))
        }
    }
}
