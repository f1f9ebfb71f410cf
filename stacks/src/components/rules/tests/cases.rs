//! The series. One sample a minute, in promtool's notation: `first+stepxcount`.

/// What one alert is shown.
pub(super) struct Case {
    pub alert: &'static str,
    /// When it is looked at.
    pub at: &'static str,
    /// Series on which exactly one alert fires.
    pub fires: Series,
    /// Series on which none does; absent for what always fires.
    pub quiet: Option<Series>,
}

impl Case {
    /// When it is looked at, in minutes.
    pub fn minutes(&self) -> u32 {
        self.at.trim_end_matches('m').parse().unwrap()
    }
}

type Series = &'static [(&'static str, &'static str)];

const fn case(alert: &'static str, at: &'static str, fires: Series, quiet: Series) -> Case {
    Case { alert, at, fires, quiet: Some(quiet) }
}

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
    // Tempo
    case(
        "TempoIngestionStalled",
        "25m",
        &[
            (
                "tempo_ingester_traces_created_total{job='tempo-ingester', instance='i-0', tenant='single-tenant'}",
                "500x40",
            ),
            (
                "tempo_distributor_spans_received_total{job='tempo-distributor', tenant='single-tenant'}",
                "0+100x40",
            ),
        ],
        &[
            (
                "tempo_ingester_traces_created_total{job='tempo-ingester', instance='i-0', tenant='single-tenant'}",
                "0+10x40",
            ),
            (
                "tempo_distributor_spans_received_total{job='tempo-distributor', tenant='single-tenant'}",
                "0+100x40",
            ),
        ],
    ),
    case(
        "TempoTracesStopped",
        "120m",
        &[(
            "tempo_ingester_traces_created_total{job='tempo-ingester', instance='i-0', tenant='single-tenant'}",
            "0+10x80 800x60",
        )],
        &[(
            "tempo_ingester_traces_created_total{job='tempo-ingester', instance='i-0', tenant='single-tenant'}",
            "0+10x140",
        )],
    ),
    case(
        "TempoAppendsFailing",
        "20m",
        &[(
            "tempo_distributor_ingester_append_failures_total{job='tempo-distributor', ingester='i-0'}",
            "0+1x30",
        )],
        &[(
            "tempo_distributor_ingester_append_failures_total{job='tempo-distributor', ingester='i-0'}",
            "0x30",
        )],
    ),
    case(
        "TempoFlushesFailing",
        "25m",
        &[("tempo_ingester_failed_flushes_total{job='tempo-ingester', instance='i-0'}", "0+1x30")],
        &[("tempo_ingester_failed_flushes_total{job='tempo-ingester', instance='i-0'}", "0x30")],
    ),
    case(
        "TempoFlushRetriesFailing",
        "25m",
        &[("tempo_ingester_flush_failed_retries_total{job='tempo-ingester', instance='i-0'}", "0+1x30")],
        &[("tempo_ingester_flush_failed_retries_total{job='tempo-ingester', instance='i-0'}", "0x30")],
    ),
    case(
        "TempoReplayFailed",
        "10m",
        &[(
            "tempo_ingester_replay_errors_total{job='tempo-ingester', instance='i-0', tenant='single-tenant'}",
            "0x5 1x20",
        )],
        &[(
            "tempo_ingester_replay_errors_total{job='tempo-ingester', instance='i-0', tenant='single-tenant'}",
            "0x20",
        )],
    ),
    case(
        "TempoCompactionFailing",
        "60m",
        &[("tempodb_compaction_errors_total{job='tempo-compactor'}", "0+1x90")],
        &[("tempodb_compaction_errors_total{job='tempo-compactor'}", "3x90")],
    ),
    case(
        "TempoCompactionBehind",
        "400m",
        &[
            (
                "tempodb_compaction_outstanding_blocks{job='tempo-compactor', tenant='single-tenant'}",
                "500x500",
            ),
            ("up{job='tempo-compactor', instance='c-0'}", "1x500"),
        ],
        &[
            (
                "tempodb_compaction_outstanding_blocks{job='tempo-compactor', tenant='single-tenant'}",
                "50x500",
            ),
            ("up{job='tempo-compactor', instance='c-0'}", "1x500"),
        ],
    ),
    case(
        "TempoPollingFails",
        "35m",
        &[("tempodb_blocklist_poll_errors_total{job='tempo-querier'}", "0+1x60")],
        &[("tempodb_blocklist_poll_errors_total{job='tempo-querier'}", "1x60")],
    ),
    case(
        "TempoIndexOld",
        "25m",
        &[("tempodb_blocklist_tenant_index_age_seconds{tenant='single-tenant'}", "900x30")],
        &[("tempodb_blocklist_tenant_index_age_seconds{tenant='single-tenant'}", "60x30")],
    ),
    case(
        "TempoSpansDiscarded",
        "25m",
        &[("tempo_discarded_spans_total{reason='rate_limited', tenant='single-tenant'}", "0+10x30")],
        &[("tempo_discarded_spans_total{reason='rate_limited', tenant='single-tenant'}", "10x30")],
    ),
    case(
        "TempoSeriesLimited",
        "25m",
        &[("tempo_metrics_generator_registry_series_limited_total{tenant='single-tenant'}", "0+1x30")],
        &[("tempo_metrics_generator_registry_series_limited_total{tenant='single-tenant'}", "0x30")],
    ),
    case(
        "TempoRingUnhealthy",
        "25m",
        &[("tempo_ring_members{name='ingester', state='Unhealthy'}", "1x30")],
        &[("tempo_ring_members{name='ingester', state='Unhealthy'}", "0x30")],
    ),
    case(
        "TempoRequestsFailing",
        "25m",
        &[
            (
                "tempo_request_duration_seconds_count{job='tempo-query-frontend', route='api_traces', status_code='500'}",
                "0+10x30",
            ),
            (
                "tempo_request_duration_seconds_count{job='tempo-query-frontend', route='api_traces', status_code='200'}",
                "0+90x30",
            ),
        ],
        &[
            (
                "tempo_request_duration_seconds_count{job='tempo-query-frontend', route='api_traces', status_code='500'}",
                "0x30",
            ),
            (
                "tempo_request_duration_seconds_count{job='tempo-query-frontend', route='api_traces', status_code='200'}",
                "0+90x30",
            ),
        ],
    ),
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
    // Grafana
    case(
        "GrafanaDown",
        "10m",
        &[("up{job='grafana', instance='g-0'}", "0x20")],
        &[("up{job='grafana', instance='g-0'}", "1x20")],
    ),
    case(
        "GrafanaRequestsFailing",
        "25m",
        &[
            (
                "grafana_http_request_duration_seconds_count{job='grafana', handler='/api/ds/query', status_code='500'}",
                "0+10x30",
            ),
            (
                "grafana_http_request_duration_seconds_count{job='grafana', handler='/api/ds/query', status_code='200'}",
                "0+90x30",
            ),
        ],
        &[
            (
                "grafana_http_request_duration_seconds_count{job='grafana', handler='/api/ds/query', status_code='500'}",
                "0x30",
            ),
            (
                "grafana_http_request_duration_seconds_count{job='grafana', handler='/api/ds/query', status_code='200'}",
                "0+90x30",
            ),
        ],
    ),
    case(
        "GrafanaAlertEvaluationsFailing",
        "25m",
        &[("grafana_alerting_rule_evaluation_failures_total{job='grafana', org='1'}", "0+1x30")],
        &[("grafana_alerting_rule_evaluation_failures_total{job='grafana', org='1'}", "0x30")],
    ),
    case(
        "GrafanaAlertingSplit",
        "25m",
        &[("alertmanager_cluster_members{job='grafana', instance='g-0'}", "1x40")],
        &[("alertmanager_cluster_members{job='grafana', instance='g-0'}", "2x40")],
    ),
    // Certificates: 14 days are 1,209,600 seconds.
    case(
        "CertificateExpiresSoon",
        "90m",
        &[(
            "certmanager_certificate_expiration_timestamp_seconds{exported_namespace='observability', name='loki-ingester-tls'}",
            "1000000x120",
        )],
        &[(
            "certmanager_certificate_expiration_timestamp_seconds{exported_namespace='observability', name='loki-ingester-tls'}",
            "2000000x120",
        )],
    ),
    case(
        "CertificateExpires",
        "20m",
        &[(
            "certmanager_certificate_expiration_timestamp_seconds{exported_namespace='observability', name='loki-ingester-tls'}",
            "100000x30",
        )],
        &[(
            "certmanager_certificate_expiration_timestamp_seconds{exported_namespace='observability', name='loki-ingester-tls'}",
            "1000000x30",
        )],
    ),
    case(
        "CertificateNotReady",
        "25m",
        &[
            (
                "certmanager_certificate_ready_status{exported_namespace='observability', name='a', condition='True'}",
                "0x30",
            ),
            (
                "certmanager_certificate_ready_status{exported_namespace='observability', name='a', condition='False'}",
                "1x30",
            ),
        ],
        &[
            (
                "certmanager_certificate_ready_status{exported_namespace='observability', name='a', condition='True'}",
                "1x30",
            ),
            (
                "certmanager_certificate_ready_status{exported_namespace='observability', name='a', condition='False'}",
                "0x30",
            ),
        ],
    ),
    case(
        "ServedCertificateExpires",
        "25m",
        &[("probe_ssl_earliest_cert_expiry{target='grafana'}", "500000x30")],
        &[("probe_ssl_earliest_cert_expiry{target='grafana'}", "1000000x30")],
    ),
    // Uptime
    case(
        "EndpointDown",
        "10m",
        &[("probe_success{target='grafana'}", "0x20")],
        &[("probe_success{target='grafana'}", "1x20")],
    ),
    case(
        "EndpointSlow",
        "30m",
        &[("probe_duration_seconds{target='grafana'}", "8x40")],
        &[("probe_duration_seconds{target='grafana'}", "0.1x40")],
    ),
    case("ProbesMissing", "15m", &[], &[("probe_success{target='grafana'}", "1x20")]),
    case(
        "ProbeReloadFailed",
        "20m",
        &[("blackbox_exporter_config_last_reload_successful{instance='b-0'}", "0x30")],
        &[("blackbox_exporter_config_last_reload_successful{instance='b-0'}", "1x30")],
    ),
    // Disks
    case(
        "VolumeNearlyFull",
        "10m",
        &[
            ("kubelet_volume_stats_available_bytes{namespace='n', persistentvolumeclaim='data'}", "4x20"),
            ("kubelet_volume_stats_capacity_bytes{namespace='n', persistentvolumeclaim='data'}", "100x20"),
        ],
        &[
            ("kubelet_volume_stats_available_bytes{namespace='n', persistentvolumeclaim='data'}", "20x20"),
            ("kubelet_volume_stats_capacity_bytes{namespace='n', persistentvolumeclaim='data'}", "100x20"),
        ],
    ),
    case(
        "VolumeFilling",
        "100m",
        &[
            (
                "kubelet_volume_stats_available_bytes{namespace='n', persistentvolumeclaim='data'}",
                "20000-10x120",
            ),
            (
                "kubelet_volume_stats_capacity_bytes{namespace='n', persistentvolumeclaim='data'}",
                "100000x120",
            ),
        ],
        &[
            (
                "kubelet_volume_stats_available_bytes{namespace='n', persistentvolumeclaim='data'}",
                "20000x120",
            ),
            (
                "kubelet_volume_stats_capacity_bytes{namespace='n', persistentvolumeclaim='data'}",
                "100000x120",
            ),
        ],
    ),
    case(
        "VolumeInodesNearlyUsed",
        "20m",
        &[
            ("kubelet_volume_stats_inodes_free{namespace='n', persistentvolumeclaim='data'}", "1x30"),
            ("kubelet_volume_stats_inodes{namespace='n', persistentvolumeclaim='data'}", "100x30"),
        ],
        // Some file systems count no inodes.
        &[
            ("kubelet_volume_stats_inodes_free{namespace='n', persistentvolumeclaim='data'}", "0x30"),
            ("kubelet_volume_stats_inodes{namespace='n', persistentvolumeclaim='data'}", "0x30"),
        ],
    ),
    // Ingress
    case(
        "IngressReloadFailed",
        "30m",
        &[("traefik_config_reloads_failure_total{instance='t-0'}", "0+1x40")],
        &[("traefik_config_reloads_failure_total{instance='t-0'}", "0x40")],
    ),
    case(
        "IngressRequestsFailing",
        "25m",
        &[
            ("traefik_service_requests_total{service='grafana', code='502'}", "0+10x30"),
            ("traefik_service_requests_total{service='grafana', code='200'}", "0+90x30"),
        ],
        &[
            ("traefik_service_requests_total{service='grafana', code='502'}", "0x30"),
            ("traefik_service_requests_total{service='grafana', code='200'}", "0+90x30"),
        ],
    ),
    // Backup: 36 hours are 2160 minutes.
    case(
        "BackupTooOld",
        "2200m",
        &[(
            "kube_cronjob_status_last_successful_time{namespace='observability', cronjob='backup'}",
            "60x2300",
        )],
        &[(
            "kube_cronjob_status_last_successful_time{namespace='observability', cronjob='backup'}",
            "0+60x2300",
        )],
    ),
    case(
        "BackupNeverMade",
        "2250m",
        &[("kube_cronjob_created{namespace='observability', cronjob='backup'}", "60x2300")],
        &[
            ("kube_cronjob_created{namespace='observability', cronjob='backup'}", "60x2300"),
            (
                "kube_cronjob_status_last_successful_time{namespace='observability', cronjob='backup'}",
                "120x2300",
            ),
        ],
    ),
    // Kubernetes
    case(
        "NodeNotReady",
        "15m",
        &[("kube_node_status_condition{node='a', condition='Ready', status='true'}", "0x30")],
        &[("kube_node_status_condition{node='a', condition='Ready', status='true'}", "1x30")],
    ),
    case(
        "NodeUnderPressure",
        "15m",
        &[("kube_node_status_condition{node='a', condition='DiskPressure', status='true'}", "1x30")],
        &[("kube_node_status_condition{node='a', condition='DiskPressure', status='true'}", "0x30")],
    ),
    case(
        "NodeDiskFilling",
        "40m",
        &[
            ("node_filesystem_avail_bytes{instance='a', mountpoint='/', fstype='ext4'}", "5x60"),
            ("node_filesystem_size_bytes{instance='a', mountpoint='/', fstype='ext4'}", "100x60"),
        ],
        &[
            ("node_filesystem_avail_bytes{instance='a', mountpoint='/', fstype='tmpfs'}", "5x60"),
            ("node_filesystem_size_bytes{instance='a', mountpoint='/', fstype='tmpfs'}", "100x60"),
        ],
    ),
    case(
        "NodeMemoryHigh",
        "40m",
        &[
            ("node_memory_MemAvailable_bytes{instance='a'}", "2x60"),
            ("node_memory_MemTotal_bytes{instance='a'}", "100x60"),
        ],
        &[
            ("node_memory_MemAvailable_bytes{instance='a'}", "50x60"),
            ("node_memory_MemTotal_bytes{instance='a'}", "100x60"),
        ],
    ),
    case(
        "NodeProcessorHigh",
        "80m",
        &[("node_cpu_seconds_total{instance='a', cpu='0', mode='idle'}", "0+1x100")],
        &[("node_cpu_seconds_total{instance='a', cpu='0', mode='idle'}", "0+30x100")],
    ),
    case(
        "PodCrashLooping",
        "25m",
        &[(
            "kube_pod_container_status_waiting_reason{namespace='n', pod='p', container='c', reason='CrashLoopBackOff'}",
            "1x30",
        )],
        &[(
            "kube_pod_container_status_waiting_reason{namespace='n', pod='p', container='c', reason='ContainerCreating'}",
            "1x30",
        )],
    ),
    case(
        "ContainerOutOfMemory",
        "10m",
        &[
            ("kube_pod_container_status_restarts_total{namespace='n', pod='p', container='c'}", "0x5 1x20"),
            (
                "kube_pod_container_status_last_terminated_reason{namespace='n', pod='p', container='c', reason='OOMKilled'}",
                "1x20",
            ),
        ],
        &[
            ("kube_pod_container_status_restarts_total{namespace='n', pod='p', container='c'}", "0x5 1x20"),
            (
                "kube_pod_container_status_last_terminated_reason{namespace='n', pod='p', container='c', reason='Error'}",
                "1x20",
            ),
        ],
    ),
    case(
        "PodNotReady",
        "25m",
        &[("kube_pod_status_phase{namespace='n', pod='p', phase='Pending'}", "1x30")],
        &[("kube_pod_status_phase{namespace='n', pod='p', phase='Pending'}", "0x30")],
    ),
    case(
        "DeploymentIncomplete",
        "25m",
        &[
            ("kube_deployment_spec_replicas{namespace='n', deployment='d'}", "3x30"),
            ("kube_deployment_status_replicas_available{namespace='n', deployment='d'}", "2x30"),
        ],
        &[
            ("kube_deployment_spec_replicas{namespace='n', deployment='d'}", "3x30"),
            ("kube_deployment_status_replicas_available{namespace='n', deployment='d'}", "3x30"),
        ],
    ),
    case(
        "StatefulSetIncomplete",
        "25m",
        &[
            ("kube_statefulset_replicas{namespace='n', statefulset='s'}", "3x30"),
            ("kube_statefulset_status_replicas_ready{namespace='n', statefulset='s'}", "2x30"),
        ],
        &[
            ("kube_statefulset_replicas{namespace='n', statefulset='s'}", "3x30"),
            ("kube_statefulset_status_replicas_ready{namespace='n', statefulset='s'}", "3x30"),
        ],
    ),
    case(
        "DaemonSetIncomplete",
        "25m",
        &[
            ("kube_daemonset_status_desired_number_scheduled{namespace='n', daemonset='d'}", "3x30"),
            ("kube_daemonset_status_number_ready{namespace='n', daemonset='d'}", "2x30"),
        ],
        &[
            ("kube_daemonset_status_desired_number_scheduled{namespace='n', daemonset='d'}", "3x30"),
            ("kube_daemonset_status_number_ready{namespace='n', daemonset='d'}", "3x30"),
        ],
    ),
    case(
        "JobFailed",
        "25m",
        &[("kube_job_status_failed{namespace='n', job_name='j'}", "1x30")],
        &[("kube_job_status_failed{namespace='n', job_name='j'}", "0x30")],
    ),
    case(
        "VolumeClaimPending",
        "25m",
        &[(
            "kube_persistentvolumeclaim_status_phase{namespace='n', persistentvolumeclaim='c', phase='Pending'}",
            "1x30",
        )],
        &[(
            "kube_persistentvolumeclaim_status_phase{namespace='n', persistentvolumeclaim='c', phase='Bound'}",
            "1x30",
        )],
    ),
];
