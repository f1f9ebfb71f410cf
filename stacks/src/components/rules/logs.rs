//! Logs: rules about Loki, and rules over logs.

use super::Severity::{Critical, Warning};
use super::{Group, Rule};

pub(super) fn loki() -> Group {
    Group::new(
        "loki",
        [
            // The counter has no series before the first flush, so its absence counts as a stall too.
            Rule::alert(
                "LokiFlushStalled",
                Critical,
                "1h",
                "sum by (job) (loki_ingester_memory_chunks{job=\"loki-ingester\"}) > 0
                 unless sum by (job) (increase(loki_ingester_chunks_flushed_total{job=\"loki-ingester\"}[30m])) > 0",
            )
            .says(
                "Ingesters keep chunks but write none to the bucket.",
                "Memory and write-ahead logs grow until ingesters fail. Check the bucket and its permissions.",
            ),
            Rule::alert(
                "LokiFlushesFailing",
                Critical,
                "15m",
                "sum by (job, instance) (increase(loki_ingester_chunks_flush_failures_total[5m])) > 0",
            )
            .says("{{ $labels.instance }} cannot write chunks to the bucket.", "It tries again, and keeps them on its disk meanwhile."),
            Rule::alert(
                "LokiWalDiskFull",
                Critical,
                "0m",
                "increase(loki_ingester_wal_disk_full_failures_total[5m]) > 0",
            )
            .says("The disk of {{ $labels.instance }} is full.", "Logs are taken in without write-ahead log: a crash loses them."),
            Rule::alert(
                "LokiRequestsFailing",
                Critical,
                "15m",
                "sum by (job, route) (rate(loki_request_duration_seconds_count{status_code=~\"5..\"}[5m]))
                 / sum by (job, route) (rate(loki_request_duration_seconds_count[5m])) > 0.05",
            )
            .says(
                "{{ $value | humanizePercentage }} of the requests {{ $labels.route }} of {{ $labels.job }} fail.",
                "See the log of that component.",
            ),
            Rule::alert(
                "LokiPushSlow",
                Warning,
                "15m",
                "histogram_quantile(0.99, sum by (job, le) (rate(loki_request_duration_seconds_bucket{job=\"loki-distributor\", route=~\".*push.*|otlp.*\"}[5m]))) > 1",
            )
            .says("Taking in logs takes {{ $value | humanizeDuration }}.", "Ingesters are saturated, or one is missing."),
            Rule::alert("LokiPanics", Critical, "0m", "sum by (job, instance) (increase(loki_panic_total[10m])) > 0")
                .says("{{ $labels.instance }} panicked.", "A request made it fail; see the log."),
            Rule::alert(
                "LokiLogsDiscarded",
                Warning,
                "15m",
                "sum by (reason) (rate(loki_discarded_samples_total[5m])) > 0",
            )
            .says(
                "Loki discards {{ $value | humanize }} lines a second.",
                "The reason is {{ $labels.reason }}: a limit is reached, or lines are too old.",
            ),
            Rule::alert(
                "LokiRingUnhealthy",
                Critical,
                "15m",
                "max by (name) (loki_ring_members{state=\"Unhealthy\"}) > 0",
            )
            .says(
                "{{ $value }} members of the ring {{ $labels.name }} are unhealthy.",
                "With a second one gone, writes fail.",
            ),
            Rule::alert(
                "LokiMembersDisagree",
                Warning,
                "15m",
                "max(loki_memberlist_client_cluster_members_count) != min(loki_memberlist_client_cluster_members_count)",
            )
            .says("Loki's pods do not agree on who they are.", "Gossip on port 7946 fails between some of them."),
            Rule::alert(
                "LokiCompactionStalled",
                Warning,
                "30m",
                "time() - max by (job) (loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds > 0) > 3 * 3600",
            )
            .says("The index was last compacted {{ $value | humanizeDuration }} ago.", "Queries become slower, and retention is not applied."),
            Rule::alert(
                "LokiRetentionStalled",
                Warning,
                "30m",
                "time() - max by (job) (loki_compactor_apply_retention_last_successful_run_timestamp_seconds > 0) > 24 * 3600",
            )
            .says("Retention was last applied {{ $value | humanizeDuration }} ago.", "Old logs stay in the bucket."),
            Rule::alert(
                "LokiCompactorsSeveral",
                Critical,
                "5m",
                "sum(loki_boltdb_shipper_compactor_running) > 1",
            )
            .says("{{ $value }} compactors run.", "They may damage the index: exactly one must run."),
            Rule::alert(
                "LokiRulerFailing",
                Warning,
                "15m",
                "sum by (instance) (increase(loki_prometheus_rule_evaluation_failures_total[5m])) > 0",
            )
            .says("{{ $labels.instance }} cannot evaluate rules over logs.", "See its log."),
            Rule::alert(
                "LokiRulerDropsAlerts",
                Critical,
                "5m",
                "sum by (instance) (increase(loki_prometheus_notifications_dropped_total[5m])) > 0",
            )
            .says("{{ $labels.instance }} drops alerts.", "No Alertmanager took them."),
        ],
    )
}

/// Rules in LogQL, for what only logs tell.
pub(super) fn over_logs(namespace: &str) -> Group {
    Group::new(
        "platform-logs",
        [Rule::alert(
            "PlatformPanics",
            Warning,
            "0m",
            format!(
                "sum by (k8s_container_name) (count_over_time({{k8s_namespace_name=\"{namespace}\"}} |~ \"^(panic:|fatal error:)\" [5m])) > 0"
            ),
        )
        .says("{{ $labels.k8s_container_name }} panicked.", "Its last lines of log say where.")],
    )
}
