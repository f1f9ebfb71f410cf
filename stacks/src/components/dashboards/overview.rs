//! The platform at a glance, and its certificates.

use super::model::{Dashboard, Draft};
use crate::kit::{Build, Space};

pub(super) fn overview(b: &Build<'_>) -> Dashboard {
    let namespace = b.namespace(Space::Platform);
    let mut dashboard = Dashboard::new("overview", "Platform overview", "Whether the platform itself is well.", "overview")
        .row("Now", [
            Draft::number("Critical alerts", "short", Some((1.0, 1.0)))
                .ask("count(ALERTS{alertstate=\"firing\", severity=\"critical\"}) or vector(0)", ""),
            Draft::number("Warnings", "short", Some((1.0, 10.0)))
                .ask("count(ALERTS{alertstate=\"firing\", severity=\"warning\"}) or vector(0)", ""),
            Draft::number("Targets down", "short", Some((1.0, 5.0))).ask("count(up == 0) or vector(0)", ""),
            Draft::number("Probes that fail", "short", Some((1.0, 1.0)))
                .ask("count(probe_success == 0) or vector(0)", ""),
            Draft::number("Next certificate to expire", "s", Some((2_592_000.0, 604_800.0)))
                .ask("min(certmanager_certificate_expiration_timestamp_seconds) - time()", ""),
            Draft::number("Fullest volume", "percentunit", Some((0.8, 0.95))).ask(
                &format!(
                    "1 - min(kubelet_volume_stats_available_bytes{{namespace=\"{namespace}\"}}
                     / kubelet_volume_stats_capacity_bytes{{namespace=\"{namespace}\"}})"
                ),
                "",
            ),
        ])
        .row("What arrives", [
            Draft::curves("Samples", "cps")
                .ask("sum by (instance) (rate(prometheus_tsdb_head_samples_appended_total{job=\"prometheus\"}[5m]))", "{{instance}}")
                .about("What each replica of Prometheus stores. Half of an hour ago raises an alert."),
            Draft::curves("Log volume", "Bps")
                .ask("sum(rate(loki_distributor_bytes_received_total[5m]))", "received")
                .ask("sum(rate(loki_discarded_bytes_total[5m]))", "discarded"),
            Draft::curves("Spans", "cps")
                .ask("sum(rate(tempo_distributor_spans_received_total[5m]))", "received")
                .ask("sum(rate(tempo_discarded_spans_total[5m]))", "discarded"),
        ])
        .row("What is stored", [
            Draft::curves("Blocks of metrics uploaded", "short")
                .ask("sum by (instance) (increase(thanos_shipper_uploads_total[6h]))", "{{instance}}"),
            Draft::curves("Chunks of logs flushed", "cps")
                .ask("sum by (reason) (rate(loki_ingester_chunks_flushed_total[5m]))", "{{reason}}"),
            Draft::curves("Traces cut", "cps").ask("sum(rate(tempo_ingester_traces_created_total[5m]))", "traces"),
        ])
        .row("What it takes", [
            Draft::curves("Processors", "short").wide(12).ask(
                &format!("topk(10, sum by (pod) (namespace_pod:container_cpu_usage_seconds:rate5m{{namespace=\"{namespace}\"}}))"),
                "{{pod}}",
            ),
            Draft::curves("Memory", "bytes").wide(12).ask(
                &format!("topk(10, sum by (pod) (namespace_pod:container_memory_working_set_bytes:sum{{namespace=\"{namespace}\"}}))"),
                "{{pod}}",
            ),
        ])
        .row("Answers", [
            Draft::curves("Probes", "short").wide(12).ask("min by (target) (probe_success)", "{{target}}"),
            Draft::curves("Time to answer", "s")
                .wide(12)
                .ask("max by (target) (probe_duration_seconds)", "{{target}}"),
        ]);
    if b.platform.loki.enabled {
        let query =
            format!("{{k8s_namespace_name=\"{namespace}\"}} | detected_level=~\"error|fatal|critical\"");
        dashboard = dashboard.row("Errors in the platform's logs", [Draft::logs("Errors", &query)]);
    }
    dashboard
}

pub(super) fn certificates() -> Dashboard {
    Dashboard::new("certificates", "Certificates", "When certificates expire, and whether they are renewed.", "certificates")
        .row("Now", [
            Draft::number("Certificates", "short", None).ask("count(certmanager_certificate_expiration_timestamp_seconds)", ""),
            Draft::number("Not ready", "short", Some((1.0, 1.0)))
                .ask("count(certmanager_certificate_ready_status{condition!=\"True\"} == 1) or vector(0)", ""),
            Draft::number("Next to expire", "s", Some((2_592_000.0, 604_800.0)))
                .ask("min(certmanager_certificate_expiration_timestamp_seconds) - time()", ""),
            Draft::number("Next to expire, as served", "s", Some((2_592_000.0, 604_800.0)))
                .ask("min(probe_ssl_earliest_cert_expiry) - time()", ""),
        ])
        .row("Certificates", [
            Draft::table("Time left", "s").ask(
                "min by (exported_namespace, name) (certmanager_certificate_expiration_timestamp_seconds) - time()",
                "",
            ),
            Draft::table("Time until renewal", "s").ask(
                "min by (exported_namespace, name) (certmanager_certificate_renewal_timestamp_seconds) - time()",
                "",
            ),
        ])
        .row("cert-manager", [
            Draft::curves("Work of controllers", "cps")
                .wide(12)
                .ask("sum by (controller) (rate(certmanager_controller_sync_call_count[5m]))", "{{controller}}"),
            Draft::curves("Errors of controllers", "cps")
                .wide(12)
                .ask("sum by (controller) (rate(certmanager_controller_sync_error_count[5m]))", "{{controller}}"),
        ])
}
