//! Logs, traces, and the collectors in front of them.

use super::model::{Dashboard, Draft};

/// Requests of a component by its part and route: how many, how many fail, how long they take.
fn requests(metric: &str) -> [Draft; 3] {
    [
        Draft::curves("Requests", "cps")
            .ask(&format!("sum by (job) (rate({metric}_count[5m]))"), "{{job}}"),
        Draft::curves("Requests that fail", "percentunit").ask(
            &format!(
                "sum by (job, route) (rate({metric}_count{{status_code=~\"5..\"}}[5m])) / sum by (job, route) (rate({metric}_count[5m]))"
            ),
            "{{job}} {{route}}",
        ),
        Draft::curves("Time to answer, 99 %", "s").ask(
            &format!("histogram_quantile(0.99, sum by (job, le) (rate({metric}_bucket[5m])))"),
            "{{job}}",
        ),
    ]
}

pub(super) fn loki() -> Dashboard {
    Dashboard::new("loki", "Loki", "Logs: taking in, storing, answering.", "logs")
        .row("Now", [
            Draft::number("Lines a second", "cps", None).ask("sum(rate(loki_distributor_lines_received_total[5m]))", ""),
            Draft::number("Volume", "Bps", None).ask("sum(rate(loki_distributor_bytes_received_total[5m]))", ""),
            Draft::number("Streams", "short", None).ask("sum(loki_ingester_memory_streams)", ""),
            Draft::number("Unhealthy ring members", "short", Some((1.0, 2.0)))
                .ask("max(loki_ring_members{state=\"Unhealthy\"})", ""),
            Draft::number("Lines discarded", "cps", Some((0.1, 100.0)))
                .ask("sum(rate(loki_discarded_samples_total[5m])) or vector(0)", ""),
            Draft::number("Index last compacted", "s", Some((3600.0, 10_800.0))).ask(
                "time() - max(loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds)",
                "",
            ),
        ])
        .row("Requests", requests("loki_request_duration_seconds"))
        .row("Ingesters", [
            Draft::curves("Chunks in memory", "short").ask("sum by (instance) (loki_ingester_memory_chunks)", "{{instance}}"),
            Draft::curves("Chunks flushed", "cps")
                .ask("sum by (reason) (rate(loki_ingester_chunks_flushed_total[5m]))", "{{reason}}"),
            Draft::curves("Flushes that fail", "cps")
                .ask("sum by (instance) (rate(loki_ingester_chunks_flush_failures_total[5m]))", "{{instance}}"),
            Draft::curves("Disk of the write-ahead log", "percentunit")
                .ask("max by (instance) (loki_ingester_wal_disk_usage_percent)", "{{instance}}"),
            Draft::curves("Memory", "bytes")
                .ask("max by (instance) (process_resident_memory_bytes{job=\"loki-ingester\"})", "{{instance}}"),
            Draft::curves("Members seen", "short")
                .ask("loki_memberlist_client_cluster_members_count", "{{instance}}"),
        ])
        .row("What is refused", [
            Draft::curves("Lines discarded", "cps")
                .wide(12)
                .ask("sum by (reason) (rate(loki_discarded_samples_total[5m]))", "{{reason}}"),
            Draft::curves("Panics", "short").wide(12).ask("sum by (job) (increase(loki_panic_total[1h]))", "{{job}}"),
        ])
}

pub(super) fn tempo() -> Dashboard {
    Dashboard::new("tempo", "Tempo", "Traces: taking in, storing, answering.", "traces")
        .row(
            "Now",
            [
                Draft::number("Spans a second", "cps", None)
                    .ask("sum(rate(tempo_distributor_spans_received_total[5m]))", ""),
                Draft::number("Traces a second", "cps", None)
                    .ask("sum(rate(tempo_ingester_traces_created_total[5m]))", "")
                    .about("A trace is counted when it is cut, some seconds after its last span."),
                Draft::number("Live traces", "short", None).ask("sum(tempo_ingester_live_traces)", ""),
                Draft::number("Unhealthy ring members", "short", Some((1.0, 2.0)))
                    .ask("max(tempo_ring_members{state=\"Unhealthy\"})", ""),
                Draft::number("Spans discarded", "cps", Some((0.1, 100.0)))
                    .ask("sum(rate(tempo_discarded_spans_total[5m])) or vector(0)", ""),
                Draft::number("Blocks", "short", None)
                    .ask("max(sum by (instance) (tempodb_blocklist_length))", ""),
            ],
        )
        .row("Requests", requests("tempo_request_duration_seconds"))
        .row(
            "Ingestion",
            [
                Draft::curves("Spans", "cps")
                    .ask("sum(rate(tempo_distributor_spans_received_total[5m]))", "received")
                    .ask("sum by (reason) (rate(tempo_discarded_spans_total[5m]))", "{{reason}}"),
                Draft::curves("Appends that fail", "cps")
                    .ask("sum(rate(tempo_distributor_ingester_append_failures_total[5m]))", "failed"),
                Draft::curves("Flushes that fail", "cps")
                    .ask("sum by (instance) (rate(tempo_ingester_failed_flushes_total[5m]))", "{{instance}}"),
            ],
        )
        .row(
            "Storage",
            [
                Draft::curves("Blocks that wait for compaction", "short")
                    .ask("sum(tempodb_compaction_outstanding_blocks)", "blocks"),
                Draft::curves("Compaction errors", "short")
                    .ask("sum(increase(tempodb_compaction_errors_total[1h]))", "errors"),
                Draft::curves("Age of the index", "s")
                    .ask("max by (tenant) (tempodb_blocklist_tenant_index_age_seconds)", "{{tenant}}"),
            ],
        )
        .row(
            "Metrics from spans",
            [
                Draft::curves("Series", "short").wide(12).ask(
                    "sum by (instance) (tempo_metrics_generator_registry_active_series)",
                    "{{instance}}",
                ),
                Draft::curves("Series dropped", "cps").wide(12).ask(
                    "sum by (instance) (rate(tempo_metrics_generator_registry_series_limited_total[5m]))",
                    "{{instance}}",
                ),
            ],
        )
}

pub(super) fn collector() -> Dashboard {
    let both = |metric: &str, by: &str| {
        format!("sum by ({by}) (rate({metric}[5m])) or sum by ({by}) (rate({metric}_total[5m]))")
    };
    let mut dashboard =
        Dashboard::new("collector", "OpenTelemetry collectors", "The way in for telemetry.", "collection")
            .choice("job", "Collector", "otelcol_process_uptime");
    for (title, suffix) in
        [("Spans", "spans"), ("Metric points", "metric_points"), ("Log records", "log_records")]
    {
        dashboard = dashboard.row(
            title,
            [
                Draft::curves("Received", "cps").ask(
                    &both(&format!("otelcol_receiver_accepted_{suffix}"), "job, receiver"),
                    "{{job}} {{receiver}}",
                ),
                Draft::curves("Sent", "cps").ask(
                    &both(&format!("otelcol_exporter_sent_{suffix}"), "job, exporter"),
                    "{{job}} {{exporter}}",
                ),
                Draft::curves("Refused or lost", "cps")
                    .ask(
                        &both(&format!("otelcol_receiver_refused_{suffix}"), "job, receiver"),
                        "{{job}} refused {{receiver}}",
                    )
                    .ask(
                        &both(&format!("otelcol_exporter_send_failed_{suffix}"), "job, exporter"),
                        "{{job}} lost {{exporter}}",
                    ),
            ],
        );
    }
    dashboard.row("Itself", [
        Draft::curves("Queues", "percentunit").ask(
            "max by (instance, exporter) (otelcol_exporter_queue_size) / max by (instance, exporter) (otelcol_exporter_queue_capacity)",
            "{{instance}} {{exporter}}",
        ),
        Draft::curves("Memory", "bytes")
            .ask("max by (instance) (otelcol_process_memory_rss{job=~\"$job\"} or otelcol_process_memory_rss_bytes{job=~\"$job\"})", "{{instance}}"),
        Draft::curves("Processors", "short")
            .ask("max by (instance) (rate(otelcol_process_cpu_seconds{job=~\"$job\"}[5m]) or rate(otelcol_process_cpu_seconds_total{job=~\"$job\"}[5m]))", "{{instance}}"),
    ])
}
