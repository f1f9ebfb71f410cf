//! Metrics: Prometheus, Thanos, and alerting.

use super::model::{Dashboard, Draft};

pub(super) fn prometheus() -> Dashboard {
    Dashboard::new("prometheus", "Prometheus", "Scraping, storing, evaluating.", "metrics")
        .choice("instance", "Replica", "prometheus_build_info")
        .row("Now", [
            Draft::number("Series", "short", None).ask("max(prometheus_tsdb_head_series{instance=~\"$instance\"})", ""),
            Draft::number("Samples a second", "cps", None)
                .ask("max(sum by (instance) (rate(prometheus_tsdb_head_samples_appended_total{instance=~\"$instance\"}[5m])))", ""),
            Draft::number("Targets", "short", None).ask("count(up)", ""),
            Draft::number("Targets down", "short", Some((1.0, 5.0))).ask("count(up == 0) or vector(0)", ""),
            Draft::number("Rule failures", "cps", Some((0.001, 0.1)))
                .ask("sum(rate(prometheus_rule_evaluation_failures_total{instance=~\"$instance\"}[5m]))", ""),
            Draft::number("WAL corruptions", "short", Some((1.0, 1.0)))
                .ask("sum(prometheus_tsdb_wal_corruptions_total{instance=~\"$instance\"})", ""),
        ])
        .row("Ingestion", [
            Draft::curves("Samples appended", "cps")
                .ask("sum by (instance, type) (rate(prometheus_tsdb_head_samples_appended_total{instance=~\"$instance\"}[5m]))", "{{instance}} {{type}}"),
            Draft::curves("Series in the head", "short")
                .ask("prometheus_tsdb_head_series{instance=~\"$instance\"}", "{{instance}}"),
            Draft::curves("Series created", "cps")
                .ask("rate(prometheus_tsdb_head_series_created_total{instance=~\"$instance\"}[5m])", "{{instance}}"),
            Draft::curves("Slowest scrapes", "s").ask("topk(10, max by (job) (scrape_duration_seconds))", "{{job}}"),
            Draft::curves("Samples by job", "short").ask("topk(10, sum by (job) (scrape_samples_scraped))", "{{job}}"),
            Draft::curves("Targets down", "short").ask("count by (job) (up == 0)", "{{job}}"),
        ])
        .row("Storage", [
            Draft::curves("Blocks", "bytes")
                .ask("prometheus_tsdb_storage_blocks_bytes{instance=~\"$instance\"}", "{{instance}}"),
            Draft::curves("Write-ahead log", "bytes")
                .ask("prometheus_tsdb_wal_storage_size_bytes{instance=~\"$instance\"}", "{{instance}}"),
            Draft::curves("Compactions", "short")
                .ask("increase(prometheus_tsdb_compactions_total{instance=~\"$instance\"}[1h])", "{{instance}}")
                .ask("increase(prometheus_tsdb_compactions_failed_total{instance=~\"$instance\"}[1h])", "{{instance}} failed"),
        ])
        .row("Rules and queries", [
            Draft::curves("Time to evaluate", "s")
                .ask("topk(10, max by (rule_group) (prometheus_rule_group_last_duration_seconds{instance=~\"$instance\"}))", "{{rule_group}}"),
            Draft::curves("Queries", "cps")
                .ask("sum by (slice) (rate(prometheus_engine_query_duration_seconds_count{instance=~\"$instance\"}[5m]))", "{{slice}}"),
            Draft::curves("Memory", "bytes")
                .ask("process_resident_memory_bytes{job=\"prometheus\", instance=~\"$instance\"}", "{{instance}}"),
        ])
}

pub(super) fn alerting() -> Dashboard {
    Dashboard::new("alerting", "Alerting", "From rule to notification.", "metrics")
        .row("Now", [
            Draft::number("Firing", "short", None).ask("count(ALERTS{alertstate=\"firing\"}) or vector(0)", ""),
            Draft::number("Pending", "short", None).ask("count(ALERTS{alertstate=\"pending\"}) or vector(0)", ""),
            Draft::number("Alertmanagers", "short", None).ask("max(alertmanager_cluster_members{job=\"alertmanager\"})", ""),
            Draft::number("Failed notifications", "cps", Some((0.001, 0.01)))
                .ask("sum(rate(alertmanager_notifications_failed_total{job=\"alertmanager\"}[5m])) or vector(0)", ""),
        ])
        .row("Alerts", [
            Draft::table("Firing", "short")
                .ask("sum by (alertname, severity, namespace, job) (ALERTS{alertstate=\"firing\"})", ""),
            Draft::curves("Firing over time", "short")
                .wide(12)
                .ask("sum by (alertname) (ALERTS{alertstate=\"firing\"})", "{{alertname}}"),
        ])
        .row("Alertmanager", [
            Draft::curves("Notifications", "cps")
                .ask("sum by (integration) (rate(alertmanager_notifications_total{job=\"alertmanager\"}[5m]))", "{{integration}}"),
            Draft::curves("Failed notifications", "cps")
                .ask("sum by (integration, reason) (rate(alertmanager_notifications_failed_total{job=\"alertmanager\"}[5m]))", "{{integration}} {{reason}}"),
            Draft::curves("Members seen", "short")
                .ask("alertmanager_cluster_members{job=\"alertmanager\"}", "{{instance}}"),
        ])
        .row("From Prometheus", [
            Draft::curves("Alerts sent", "cps")
                .ask("sum by (instance) (rate(prometheus_notifications_sent_total[5m]))", "{{instance}}"),
            Draft::curves("Alerts dropped", "cps")
                .ask("sum by (instance) (rate(prometheus_notifications_dropped_total[5m]))", "{{instance}}"),
            Draft::curves("Queue", "percentunit").ask(
                "max by (instance) (prometheus_notifications_queue_length) / max by (instance) (prometheus_notifications_queue_capacity)",
                "{{instance}}",
            ),
        ])
}

pub(super) fn thanos() -> Dashboard {
    Dashboard::new("thanos", "Thanos", "Metrics beyond what Prometheus keeps.", "metrics")
        .row("Now", [
            Draft::number("Compactor halted", "short", Some((1.0, 1.0))).ask("max(thanos_compact_halted)", ""),
            Draft::number("Last upload", "s", Some((10_800.0, 21_600.0)))
                .ask("time() - max(thanos_objstore_bucket_last_successful_upload_time{job=\"thanos-sidecar\"})", ""),
            Draft::number("Stores", "short", None)
                .ask("max(sum by (instance) (thanos_store_nodes_grpc_connections))", ""),
            Draft::number("Blocks loaded", "short", None).ask("max(thanos_bucket_store_blocks_loaded)", ""),
        ])
        .row("Queries", [
            Draft::curves("Requests", "cps")
                .ask("sum by (job, code) (rate(http_requests_total{job=~\"thanos-query.*\"}[5m]))", "{{job}} {{code}}"),
            Draft::curves("Time to answer, 99 %", "s").ask(
                "histogram_quantile(0.99, sum by (job, le) (rate(http_request_duration_seconds_bucket{job=~\"thanos-query.*\"}[5m])))",
                "{{job}}",
            ),
            Draft::curves("Calls between parts that fail", "cps").ask(
                "sum by (job, grpc_code) (rate(grpc_server_handled_total{job=~\"thanos-.*\", grpc_code!=\"OK\"}[5m]))",
                "{{job}} {{grpc_code}}",
            ),
        ])
        .row("Bucket", [
            Draft::curves("Uploads", "short")
                .ask("sum by (instance) (increase(thanos_shipper_uploads_total[6h]))", "{{instance}}")
                .ask("sum by (instance) (increase(thanos_shipper_upload_failures_total[6h]))", "{{instance}} failed"),
            Draft::curves("Operations", "cps")
                .ask("sum by (operation) (rate(thanos_objstore_bucket_operations_total[5m]))", "{{operation}}"),
            Draft::curves("Failed operations", "cps")
                .ask("sum by (job, operation) (rate(thanos_objstore_bucket_operation_failures_total[5m]))", "{{job}} {{operation}}"),
        ])
        .row("Compaction", [
            Draft::curves("Compactions", "short")
                .ask("sum(increase(thanos_compact_group_compactions_total[6h]))", "done")
                .ask("sum(increase(thanos_compact_group_compactions_failures_total[6h]))", "failed"),
            Draft::curves("Compactions to do", "short").ask("sum(thanos_compact_todo_compactions)", "to do"),
            Draft::curves("Blocks marked for deletion", "short")
                .ask("sum(increase(thanos_compact_blocks_marked_total[1d]))", "marked"),
        ])
}
