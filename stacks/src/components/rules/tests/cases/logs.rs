//! Loki.

use super::{Case, case};

pub(super) const CASES: &[Case] = &[
    // Loki. Without a first flush there is no counter at all, and that counts as a stall.
    case(
        "LokiFlushStalled",
        "80m",
        &[("loki_ingester_memory_chunks{job='loki-ingester', instance='i-0'}", "100x120")],
        &[
            ("loki_ingester_memory_chunks{job='loki-ingester', instance='i-0'}", "100x120"),
            (
                "loki_ingester_chunks_flushed_total{job='loki-ingester', instance='i-0', reason='idle'}",
                "0+1x120",
            ),
        ],
    ),
    case(
        "LokiFlushesFailing",
        "25m",
        &[("loki_ingester_chunks_flush_failures_total{job='loki-ingester', instance='i-0'}", "0+1x30")],
        &[("loki_ingester_chunks_flush_failures_total{job='loki-ingester', instance='i-0'}", "0x30")],
    ),
    case(
        "LokiWalDiskFull",
        "10m",
        &[("loki_ingester_wal_disk_full_failures_total{job='loki-ingester', instance='i-0'}", "0+1x20")],
        &[("loki_ingester_wal_disk_full_failures_total{job='loki-ingester', instance='i-0'}", "0x20")],
    ),
    case(
        "LokiRequestsFailing",
        "25m",
        &[
            (
                "loki_request_duration_seconds_count{job='loki-distributor', route='push', status_code='500'}",
                "0+10x30",
            ),
            (
                "loki_request_duration_seconds_count{job='loki-distributor', route='push', status_code='204'}",
                "0+90x30",
            ),
        ],
        &[
            (
                "loki_request_duration_seconds_count{job='loki-distributor', route='push', status_code='500'}",
                "0+1x30",
            ),
            (
                "loki_request_duration_seconds_count{job='loki-distributor', route='push', status_code='204'}",
                "0+99x30",
            ),
        ],
    ),
    case(
        "LokiPushSlow",
        "25m",
        &[
            (
                "loki_request_duration_seconds_bucket{job='loki-distributor', route='loki_api_v1_push', le='1.0'}",
                "0+1x30",
            ),
            (
                "loki_request_duration_seconds_bucket{job='loki-distributor', route='loki_api_v1_push', le='5.0'}",
                "0+100x30",
            ),
            (
                "loki_request_duration_seconds_bucket{job='loki-distributor', route='loki_api_v1_push', le='+Inf'}",
                "0+100x30",
            ),
        ],
        &[
            (
                "loki_request_duration_seconds_bucket{job='loki-distributor', route='loki_api_v1_push', le='0.1'}",
                "0+100x30",
            ),
            (
                "loki_request_duration_seconds_bucket{job='loki-distributor', route='loki_api_v1_push', le='+Inf'}",
                "0+100x30",
            ),
        ],
    ),
    case(
        "LokiPanics",
        "10m",
        &[("loki_panic_total{job='loki-querier', instance='q-0'}", "0x5 1x20")],
        &[("loki_panic_total{job='loki-querier', instance='q-0'}", "1x20")],
    ),
    case(
        "LokiLogsDiscarded",
        "25m",
        &[("loki_discarded_samples_total{reason='rate_limited', tenant='fake'}", "0+10x30")],
        &[("loki_discarded_samples_total{reason='rate_limited', tenant='fake'}", "5x30")],
    ),
    case(
        "LokiRingUnhealthy",
        "25m",
        &[("loki_ring_members{name='ingester', state='Unhealthy', instance='d-0'}", "1x30")],
        &[("loki_ring_members{name='ingester', state='Unhealthy', instance='d-0'}", "0x30")],
    ),
    case(
        "LokiMembersDisagree",
        "25m",
        &[
            ("loki_memberlist_client_cluster_members_count{instance='i-0'}", "12x30"),
            ("loki_memberlist_client_cluster_members_count{instance='i-1'}", "3x30"),
        ],
        &[
            ("loki_memberlist_client_cluster_members_count{instance='i-0'}", "12x30"),
            ("loki_memberlist_client_cluster_members_count{instance='i-1'}", "12x30"),
        ],
    ),
    case(
        "LokiCompactionStalled",
        "240m",
        &[(
            "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds{job='loki-compactor'}",
            "60x300",
        )],
        &[(
            "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds{job='loki-compactor'}",
            "0+60x300",
        )],
    ),
    case(
        "LokiRetentionStalled",
        "1500m",
        &[(
            "loki_compactor_apply_retention_last_successful_run_timestamp_seconds{job='loki-compactor'}",
            "60x1600",
        )],
        &[(
            "loki_compactor_apply_retention_last_successful_run_timestamp_seconds{job='loki-compactor'}",
            "0+60x1600",
        )],
    ),
    case(
        "LokiCompactorsSeveral",
        "10m",
        &[
            ("loki_boltdb_shipper_compactor_running{instance='c-0'}", "1x20"),
            ("loki_boltdb_shipper_compactor_running{instance='c-1'}", "1x20"),
        ],
        &[("loki_boltdb_shipper_compactor_running{instance='c-0'}", "1x20")],
    ),
    case(
        "LokiRulerFailing",
        "25m",
        &[("loki_prometheus_rule_evaluation_failures_total{instance='r-0'}", "0+1x30")],
        &[("loki_prometheus_rule_evaluation_failures_total{instance='r-0'}", "0x30")],
    ),
    case(
        "LokiRulerDropsAlerts",
        "15m",
        &[("loki_prometheus_notifications_dropped_total{instance='r-0'}", "0+1x30")],
        &[("loki_prometheus_notifications_dropped_total{instance='r-0'}", "0x30")],
    ),
];
