//! What `plinth check` found.

use plinth_stacks::check::{Finding, Severity};
use serde_json::{Value as Json, json};

use super::diagnostics::labelled;
use super::style::{Role, Style};
use super::words::{clean, count, list};

/// The findings, each with its place, its rule and what to do, then their number.
pub fn text(stack: &str, findings: &[Finding], style: &Style) -> String {
    let mut text = String::new();
    for finding in findings {
        let (label, role) = label(finding.severity);
        text.push_str(&labelled(label, role, &finding.message, style));
        let place = match &finding.location {
            Some(location) => format!("{location}: {}", finding.path),
            None => finding.path.clone(),
        };
        let place = [clean(&place), format!("({})", finding.rule)];
        let place: Vec<String> = place.into_iter().filter(|part| !part.is_empty()).collect();
        text.push_str(&format!("  {}\n", style.paint(Role::Faint, &place.join(" "))));
        if let Some(help) = &finding.help {
            text.push_str(&labelled("  help", Role::Running, help, style));
        }
        text.push('\n');
    }
    text.push_str(&format!("{}: {}.\n", clean(stack), summary(findings)));
    text
}

/// The findings as events, and a last one with their number.
pub fn events(findings: &[Finding]) -> Vec<Json> {
    let mut events: Vec<Json> = findings
        .iter()
        .map(|finding| {
            json!({
                "event": "finding",
                "severity": finding.severity,
                "rule": finding.rule,
                "message": finding.message,
                "path": finding.path,
                "at": finding.location.as_ref().map(ToString::to_string),
                "help": finding.help,
            })
        })
        .collect();
    events.push(json!({
        "event": "summary",
        "errors": number(findings, Severity::Error),
        "warnings": number(findings, Severity::Warning),
        "infos": number(findings, Severity::Info),
    }));
    events
}

fn label(severity: Severity) -> (&'static str, Role) {
    match severity {
        Severity::Error => ("error", Role::Removed),
        Severity::Warning => ("warning", Role::Changed),
        Severity::Info => ("note", Role::Running),
    }
}

fn number(findings: &[Finding], severity: Severity) -> u64 {
    findings.iter().filter(|finding| finding.severity == severity).count() as u64
}

fn summary(findings: &[Finding]) -> String {
    let parts: Vec<String> =
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")]
            .into_iter()
            .map(|(severity, word)| (number(findings, severity), word))
            .filter(|(number, _)| *number > 0)
            .map(|(number, word)| count(number, word))
            .collect();
    if parts.is_empty() { "nothing to object to".to_owned() } else { list(&parts) }
}
