//! Prometheus' text exposition format, for a push gateway or the node exporter's text files.

use super::{DriftReport, Verdict, fields, missing, verdict_name};

/// The report as metrics. `at` is when live systems were asked.
pub fn prometheus(stack: &str, report: &DriftReport, at: jiff::Timestamp) -> String {
    let stack = label(stack);
    let gone = missing(report);
    let changed = report.drifted.len() - gone;
    let mut text = String::new();
    family(&mut text, "plinth_drift_resources", "Resources of the stack, by what became of them.");
    let unchanged = report.resources.saturating_sub(report.drifted.len());
    for (verdict, number) in [("missing", gone), ("changed", changed), ("unchanged", unchanged)] {
        text.push_str(&format!(
            "plinth_drift_resources{{stack=\"{stack}\",verdict=\"{verdict}\"}} {number}\n"
        ));
    }
    family(&mut text, "plinth_drift_resource", "One for every resource that is not as recorded.");
    for (urn, verdict) in &report.drifted {
        text.push_str(&format!("plinth_drift_resource{{{}}} 1\n", labels(&stack, urn, verdict)));
    }
    family(
        &mut text,
        "plinth_drift_resource_fields",
        "How many fields of a resource differ from what was recorded.",
    );
    for (urn, verdict) in &report.drifted {
        if matches!(verdict, Verdict::Changed(_)) {
            let number = fields(verdict).len();
            let labels = labels(&stack, urn, verdict);
            text.push_str(&format!("plinth_drift_resource_fields{{{labels}}} {number}\n"));
        }
    }
    family(&mut text, "plinth_drift_checked_timestamp_seconds", "When live systems were asked.");
    let seconds = at.as_millisecond() as f64 / 1000.0;
    text.push_str(&format!("plinth_drift_checked_timestamp_seconds{{stack=\"{stack}\"}} {seconds}\n"));
    text
}

fn family(text: &mut String, name: &str, help: &str) {
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
}

fn labels(stack: &str, urn: &plinth_provider::Urn, verdict: &Verdict) -> String {
    format!(
        "stack=\"{stack}\",kind=\"{}\",name=\"{}\",verdict=\"{}\"",
        label(urn.kind()),
        label(urn.name()),
        verdict_name(verdict)
    )
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
