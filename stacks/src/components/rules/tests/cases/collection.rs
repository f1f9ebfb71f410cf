//! Collectors.

use super::{Case, case};

pub(super) const CASES: &[Case] = &[
    // Collectors, with and without the suffix of counters
    case(
        "CollectorRefusesSpans",
        "20m",
        &[("otelcol_receiver_refused_spans{job='collector-gateway', receiver='otlp'}", "0+1x30")],
        &[("otelcol_receiver_refused_spans{job='collector-gateway', receiver='otlp'}", "0x30")],
    ),
    case(
        "CollectorRefusesMetrics",
        "20m",
        &[(
            "otelcol_receiver_refused_metric_points_total{job='collector-gateway', receiver='otlp'}",
            "0+1x30",
        )],
        &[("otelcol_receiver_refused_metric_points_total{job='collector-gateway', receiver='otlp'}", "0x30")],
    ),
    case(
        "CollectorRefusesLogs",
        "20m",
        &[("otelcol_receiver_refused_log_records{job='collector-agent', receiver='file_log'}", "0+1x30")],
        &[("otelcol_receiver_refused_log_records{job='collector-agent', receiver='file_log'}", "0x30")],
    ),
    case(
        "CollectorLosesSpans",
        "20m",
        &[(
            "otelcol_exporter_send_failed_spans_total{job='collector-gateway', exporter='otlp_grpc/tempo'}",
            "0+1x30",
        )],
        &[(
            "otelcol_exporter_send_failed_spans_total{job='collector-gateway', exporter='otlp_grpc/tempo'}",
            "0x30",
        )],
    ),
    case(
        "CollectorLosesMetrics",
        "20m",
        &[(
            "otelcol_exporter_send_failed_metric_points{job='collector-gateway', exporter='prometheus_remote_write/0'}",
            "0+1x30",
        )],
        &[(
            "otelcol_exporter_send_failed_metric_points{job='collector-gateway', exporter='prometheus_remote_write/0'}",
            "0x30",
        )],
    ),
    case(
        "CollectorLosesLogs",
        "20m",
        &[(
            "otelcol_exporter_send_failed_log_records{job='collector-gateway', exporter='otlp_http/loki'}",
            "0+1x30",
        )],
        &[(
            "otelcol_exporter_send_failed_log_records{job='collector-gateway', exporter='otlp_http/loki'}",
            "0x30",
        )],
    ),
    case(
        "CollectorQueueRefusesSpans",
        "15m",
        &[(
            "otelcol_exporter_enqueue_failed_spans{job='collector-gateway', exporter='otlp_grpc/tempo'}",
            "0+1x30",
        )],
        &[(
            "otelcol_exporter_enqueue_failed_spans{job='collector-gateway', exporter='otlp_grpc/tempo'}",
            "0x30",
        )],
    ),
    case(
        "CollectorQueueRefusesMetrics",
        "15m",
        &[(
            "otelcol_exporter_enqueue_failed_metric_points{job='collector-gateway', exporter='prometheus_remote_write/0'}",
            "0+1x30",
        )],
        &[(
            "otelcol_exporter_enqueue_failed_metric_points{job='collector-gateway', exporter='prometheus_remote_write/0'}",
            "0x30",
        )],
    ),
    case(
        "CollectorQueueRefusesLogs",
        "15m",
        &[(
            "otelcol_exporter_enqueue_failed_log_records{job='collector-gateway', exporter='otlp_http/loki'}",
            "0+1x30",
        )],
        &[(
            "otelcol_exporter_enqueue_failed_log_records{job='collector-gateway', exporter='otlp_http/loki'}",
            "0x30",
        )],
    ),
    case(
        "CollectorQueueSaturated",
        "20m",
        &[
            (
                "otelcol_exporter_queue_size{job='collector-gateway', instance='g-0', exporter='otlp_http/loki'}",
                "900x30",
            ),
            (
                "otelcol_exporter_queue_capacity{job='collector-gateway', instance='g-0', exporter='otlp_http/loki'}",
                "1000x30",
            ),
        ],
        &[
            (
                "otelcol_exporter_queue_size{job='collector-gateway', instance='g-0', exporter='otlp_http/loki'}",
                "10x30",
            ),
            (
                "otelcol_exporter_queue_capacity{job='collector-gateway', instance='g-0', exporter='otlp_http/loki'}",
                "1000x30",
            ),
        ],
    ),
];
