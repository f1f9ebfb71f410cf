//! Tempo.

use super::{Case, case};

pub(super) const CASES: &[Case] = &[
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
];
