//! Prometheus, Thanos, Alertmanager.

use super::{Case, case};

pub(super) const CASES: &[Case] = &[
    Case { alert: "Watchdog", at: "1m", fires: &[], quiet: None },
    // Prometheus
    case(
        "PrometheusIngestionStopped",
        "20m",
        &[(
            "prometheus_tsdb_head_samples_appended_total{job='prometheus', instance='p-0', type='float'}",
            "100x30",
        )],
        &[(
            "prometheus_tsdb_head_samples_appended_total{job='prometheus', instance='p-0', type='float'}",
            "0+100x30",
        )],
    ),
    case(
        "PrometheusIngestionDropped",
        "110m",
        &[(
            "prometheus_tsdb_head_samples_appended_total{job='prometheus', instance='p-0', type='float'}",
            "0+1000x70 70100+100x50",
        )],
        &[(
            "prometheus_tsdb_head_samples_appended_total{job='prometheus', instance='p-0', type='float'}",
            "0+1000x70 70600+600x50",
        )],
    ),
    case(
        "TargetDown",
        "15m",
        &[
            ("up{job='a', namespace='n', instance='1'}", "0x30"),
            ("up{job='a', namespace='n', instance='2'}", "1x30"),
        ],
        &[
            ("up{job='a', namespace='n', instance='1'}", "1x30"),
            ("up{job='a', namespace='n', instance='2'}", "1x30"),
        ],
    ),
    case(
        "PrometheusRuleFailures",
        "20m",
        &[(
            "prometheus_rule_evaluation_failures_total{job='prometheus', instance='p-0', rule_group='g'}",
            "0+1x30",
        )],
        &[(
            "prometheus_rule_evaluation_failures_total{job='prometheus', instance='p-0', rule_group='g'}",
            "3x30",
        )],
    ),
    case(
        "PrometheusRulesMissed",
        "25m",
        &[(
            "prometheus_rule_group_iterations_missed_total{job='prometheus', instance='p-0', rule_group='g'}",
            "0+1x30",
        )],
        &[(
            "prometheus_rule_group_iterations_missed_total{job='prometheus', instance='p-0', rule_group='g'}",
            "2x30",
        )],
    ),
    case(
        "PrometheusWalCorrupted",
        "10m",
        &[("prometheus_tsdb_wal_corruptions_total{job='prometheus', instance='p-0'}", "0x5 1x10")],
        &[("prometheus_tsdb_wal_corruptions_total{job='prometheus', instance='p-0'}", "1x20")],
    ),
    case(
        "PrometheusCompactionsFailing",
        "45m",
        &[("prometheus_tsdb_compactions_failed_total{job='prometheus', instance='p-0'}", "0x5 1x60")],
        &[("prometheus_tsdb_compactions_failed_total{job='prometheus', instance='p-0'}", "2x60")],
    ),
    case(
        "PrometheusReloadFailed",
        "20m",
        &[("prometheus_config_last_reload_successful{job='prometheus', instance='p-0'}", "0x30")],
        &[("prometheus_config_last_reload_successful{job='prometheus', instance='p-0'}", "1x30")],
    ),
    case(
        "PrometheusNotificationQueueSaturated",
        "20m",
        &[
            (
                "prometheus_notifications_queue_length{job='prometheus', instance='p-0', alertmanager='a'}",
                "9500x30",
            ),
            (
                "prometheus_notifications_queue_length{job='prometheus', instance='p-0', alertmanager='b'}",
                "0x30",
            ),
            ("prometheus_notifications_queue_capacity{job='prometheus', instance='p-0'}", "10000x30"),
        ],
        &[
            (
                "prometheus_notifications_queue_length{job='prometheus', instance='p-0', alertmanager='a'}",
                "100x30",
            ),
            ("prometheus_notifications_queue_capacity{job='prometheus', instance='p-0'}", "10000x30"),
        ],
    ),
    case(
        "PrometheusNotificationsFailing",
        "25m",
        &[
            (
                "prometheus_notifications_errors_total{job='prometheus', instance='p-0', alertmanager='a'}",
                "0+1x30",
            ),
            (
                "prometheus_notifications_sent_total{job='prometheus', instance='p-0', alertmanager='a'}",
                "0+10x30",
            ),
        ],
        &[
            (
                "prometheus_notifications_errors_total{job='prometheus', instance='p-0', alertmanager='a'}",
                "0x30",
            ),
            (
                "prometheus_notifications_sent_total{job='prometheus', instance='p-0', alertmanager='a'}",
                "0+10x30",
            ),
        ],
    ),
    case(
        "PrometheusNotificationsDropped",
        "15m",
        &[(
            "prometheus_notifications_dropped_total{job='prometheus', instance='p-0', alertmanager='a'}",
            "0+1x30",
        )],
        &[(
            "prometheus_notifications_dropped_total{job='prometheus', instance='p-0', alertmanager='a'}",
            "0x30",
        )],
    ),
    case(
        "PrometheusWithoutAlertmanager",
        "20m",
        &[("prometheus_notifications_alertmanagers_discovered{job='prometheus', instance='p-0'}", "0x30")],
        &[("prometheus_notifications_alertmanagers_discovered{job='prometheus', instance='p-0'}", "3x30")],
    ),
    case(
        "PrometheusRemoteWriteFailing",
        "25m",
        &[(
            "prometheus_remote_storage_samples_failed_total{job='prometheus', instance='p-0', remote_name='r'}",
            "0+10x30",
        )],
        &[(
            "prometheus_remote_storage_samples_failed_total{job='prometheus', instance='p-0', remote_name='r'}",
            "0x30",
        )],
    ),
    case(
        "ScrapeSlow",
        "20m",
        &[("scrape_duration_seconds{job='a', namespace='n', instance='1'}", "29x30")],
        &[("scrape_duration_seconds{job='a', namespace='n', instance='1'}", "1x30")],
    ),
    case(
        "PrometheusDown",
        "10m",
        &[("up{job='prometheus', instance='p-0'}", "0x20")],
        &[("up{job='prometheus', instance='p-0'}", "1x20")],
    ),
    case(
        "PrometheusReplicaDown",
        "20m",
        &[("up{job='prometheus', instance='p-0'}", "1x30"), ("up{job='prometheus', instance='p-1'}", "0x30")],
        &[("up{job='prometheus', instance='p-0'}", "1x30"), ("up{job='prometheus', instance='p-1'}", "1x30")],
    ),
    // Alertmanager
    case(
        "AlertmanagerNotificationsFailing",
        "20m",
        &[
            (
                "alertmanager_notifications_failed_total{job='alertmanager', instance='a-0', integration='slack', reason='clientError'}",
                "0+1x30",
            ),
            (
                "alertmanager_notifications_total{job='alertmanager', instance='a-0', integration='slack'}",
                "0+10x30",
            ),
        ],
        &[
            (
                "alertmanager_notifications_failed_total{job='alertmanager', instance='a-0', integration='slack', reason='clientError'}",
                "0x30",
            ),
            (
                "alertmanager_notifications_total{job='alertmanager', instance='a-0', integration='slack'}",
                "0+10x30",
            ),
        ],
    ),
    case(
        "AlertmanagerReloadFailed",
        "20m",
        &[("alertmanager_config_last_reload_successful{job='alertmanager', instance='a-0'}", "0x30")],
        &[("alertmanager_config_last_reload_successful{job='alertmanager', instance='a-0'}", "1x30")],
    ),
    case(
        "AlertmanagerConfigDiffers",
        "30m",
        &[
            ("alertmanager_config_hash{job='alertmanager', instance='a-0'}", "123x40"),
            ("alertmanager_config_hash{job='alertmanager', instance='a-1'}", "456x40"),
        ],
        &[
            ("alertmanager_config_hash{job='alertmanager', instance='a-0'}", "123x40"),
            ("alertmanager_config_hash{job='alertmanager', instance='a-1'}", "123x40"),
        ],
    ),
    case(
        "AlertmanagerClusterSplit",
        "25m",
        &[
            ("alertmanager_cluster_members{job='alertmanager', instance='a-0'}", "2x40"),
            ("alertmanager_cluster_members{job='alertmanager', instance='a-1'}", "3x40"),
        ],
        &[("alertmanager_cluster_members{job='alertmanager', instance='a-0'}", "3x40")],
    ),
    case(
        "AlertmanagerPeersFailed",
        "25m",
        &[("alertmanager_cluster_failed_peers{job='alertmanager', instance='a-0'}", "1x40")],
        &[("alertmanager_cluster_failed_peers{job='alertmanager', instance='a-0'}", "0x40")],
    ),
    // Thanos
    case(
        "ThanosCompactionHalted",
        "10m",
        &[("thanos_compact_halted{instance='c-0'}", "1x20")],
        &[("thanos_compact_halted{instance='c-0'}", "0x20")],
    ),
    case(
        "ThanosCompactionFailing",
        "45m",
        &[(
            "thanos_compact_group_compactions_failures_total{job='thanos-compactor', instance='c-0', group='g'}",
            "0+1x60",
        )],
        &[(
            "thanos_compact_group_compactions_failures_total{job='thanos-compactor', instance='c-0', group='g'}",
            "1x60",
        )],
    ),
    case(
        "ThanosUploadMissing",
        "400m",
        &[(
            "thanos_objstore_bucket_last_successful_upload_time{job='thanos-sidecar', instance='p-0'}",
            "60x500",
        )],
        &[(
            "thanos_objstore_bucket_last_successful_upload_time{job='thanos-sidecar', instance='p-0'}",
            "0+60x500",
        )],
    ),
    case(
        "ThanosUploadsFailing",
        "30m",
        &[("thanos_shipper_upload_failures_total{job='thanos-sidecar', instance='p-0'}", "0+1x40")],
        &[("thanos_shipper_upload_failures_total{job='thanos-sidecar', instance='p-0'}", "0x40")],
    ),
    case(
        "ThanosBucketOperationsFailing",
        "30m",
        &[
            (
                "thanos_objstore_bucket_operation_failures_total{job='thanos-store', operation='get'}",
                "0+1x40",
            ),
            ("thanos_objstore_bucket_operations_total{job='thanos-store', operation='get'}", "0+5x40"),
        ],
        &[
            ("thanos_objstore_bucket_operation_failures_total{job='thanos-store', operation='get'}", "0x40"),
            ("thanos_objstore_bucket_operations_total{job='thanos-store', operation='get'}", "0+5x40"),
        ],
    ),
    case(
        "ThanosSidecarWithoutPrometheus",
        "10m",
        &[("thanos_sidecar_prometheus_up{instance='p-0'}", "0x20")],
        &[("thanos_sidecar_prometheus_up{instance='p-0'}", "1x20")],
    ),
    case(
        "ThanosQueryWithoutStores",
        "20m",
        &[(
            "thanos_store_nodes_grpc_connections{job='thanos-query', instance='q-0', store_type='store'}",
            "0x30",
        )],
        &[(
            "thanos_store_nodes_grpc_connections{job='thanos-query', instance='q-0', store_type='store'}",
            "4x30",
        )],
    ),
    case(
        "ThanosQueryDnsFailing",
        "25m",
        &[("thanos_query_store_apis_dns_failures_total{job='thanos-query', instance='q-0'}", "0+1x30")],
        &[("thanos_query_store_apis_dns_failures_total{job='thanos-query', instance='q-0'}", "0x30")],
    ),
    case(
        "ThanosStoreStale",
        "90m",
        &[("thanos_bucket_store_blocks_last_loaded_timestamp_seconds{instance='s-0'}", "60x100")],
        &[("thanos_bucket_store_blocks_last_loaded_timestamp_seconds{instance='s-0'}", "0+60x100")],
    ),
    case(
        "ThanosRuleFailures",
        "20m",
        &[(
            "prometheus_rule_evaluation_failures_total{job='thanos-ruler', instance='r-0', rule_group='g'}",
            "0+1x30",
        )],
        &[(
            "prometheus_rule_evaluation_failures_total{job='thanos-ruler', instance='r-0', rule_group='g'}",
            "0x30",
        )],
    ),
    case(
        "ThanosRuleWarnings",
        "30m",
        &[("thanos_rule_evaluation_with_warnings_total{job='thanos-ruler', instance='r-0'}", "0+1x40")],
        &[("thanos_rule_evaluation_with_warnings_total{job='thanos-ruler', instance='r-0'}", "0x40")],
    ),
    case(
        "ThanosAlertsDropped",
        "15m",
        &[("thanos_alert_sender_alerts_dropped_total{job='thanos-ruler', instance='r-0'}", "0+1x30")],
        &[("thanos_alert_sender_alerts_dropped_total{job='thanos-ruler', instance='r-0'}", "0x30")],
    ),
];
