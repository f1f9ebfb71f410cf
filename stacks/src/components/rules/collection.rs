//! The way in for telemetry: collectors.

use super::Severity::{Critical, Warning};
use super::{Group, Rule};

/// The collector counts each kind of signal in metrics of its own. Depending on how its own telemetry is set up,
/// counters end in `_total` or not.
const SIGNALS: [(&str, &str, &str); 3] = [
    ("Spans", "spans", "spans"),
    ("Metrics", "metric_points", "metric points"),
    ("Logs", "log_records", "log records"),
];

fn rate(metric: &str, by: &str) -> String {
    format!("(sum by ({by}) (rate({metric}[5m])) or sum by ({by}) (rate({metric}_total[5m])))")
}

pub(super) fn groups() -> Vec<Group> {
    let mut rules = Vec::new();
    for (name, suffix, words) in SIGNALS {
        rules.push(
            Rule::alert(
                &format!("CollectorRefuses{name}"),
                Critical,
                "10m",
                format!("{} > 0", rate(&format!("otelcol_receiver_refused_{suffix}"), "job, receiver")),
            )
            .says(
                &format!("{{{{ $labels.job }}}} refuses {words}."),
                "It is out of memory, or what it sends to does not take more. Senders may lose data.",
            ),
        );
        rules.push(
            Rule::alert(
                &format!("CollectorLoses{name}"),
                Critical,
                "10m",
                format!("{} > 0", rate(&format!("otelcol_exporter_send_failed_{suffix}"), "job, exporter")),
            )
            .says(
                &format!("{{{{ $labels.job }}}} fails to send {words} to {{{{ $labels.exporter }}}}."),
                "{{ $value | humanize }} a second are lost after all attempts.",
            ),
        );
        rules.push(
            Rule::alert(
                &format!("CollectorQueueRefuses{name}"),
                Critical,
                "5m",
                format!(
                    "{} > 0",
                    rate(&format!("otelcol_exporter_enqueue_failed_{suffix}"), "job, exporter")
                ),
            )
            .says(
                &format!(
                    "The queue of {{{{ $labels.exporter }}}} in {{{{ $labels.job }}}} takes no more {words}."
                ),
                "{{ $value | humanize }} a second are lost.",
            ),
        );
    }
    rules.push(
        Rule::alert(
            "CollectorQueueSaturated",
            Warning,
            "10m",
            "max by (job, instance, exporter) (otelcol_exporter_queue_size)
             / max by (job, instance, exporter) (otelcol_exporter_queue_capacity) > 0.8",
        )
        .says(
            "The queue of {{ $labels.exporter }} in {{ $labels.instance }} is {{ $value | humanizePercentage }} full.",
            "What it sends to is slower than what arrives.",
        ),
    );
    vec![Group::new("collector", rules)]
}
