//! Traces: Tempo.

use super::Severity::{Critical, Warning};
use super::{Group, Rule};

pub(super) fn tempo() -> Group {
    Group::new(
        "tempo",
        [
            Rule::alert(
                "TempoIngestionStalled",
                Critical,
                "10m",
                "sum by (job) (rate(tempo_ingester_traces_created_total{job=\"tempo-ingester\"}[10m])) == 0
                 and on () sum(rate(tempo_distributor_spans_received_total[10m])) > 0",
            )
            .says("Spans arrive, but ingesters make no traces of them.", "Distributors cannot reach ingesters, or ingesters are stuck."),
            Rule::alert(
                "TempoTracesStopped",
                Warning,
                "15m",
                "sum by (job) (rate(tempo_ingester_traces_created_total{job=\"tempo-ingester\"}[15m])) == 0
                 and sum by (job) (rate(tempo_ingester_traces_created_total{job=\"tempo-ingester\"}[15m] offset 1h)) > 0",
            )
            .says("No new traces, while there were some an hour ago.", "Applications or collectors stopped sending, or spans are refused."),
            Rule::alert(
                "TempoAppendsFailing",
                Critical,
                "10m",
                "sum by (job) (rate(tempo_distributor_ingester_append_failures_total[5m])) > 0",
            )
            .says("Distributors cannot hand spans to ingesters.", "{{ $value | humanize }} attempts a second fail."),
            Rule::alert(
                "TempoFlushesFailing",
                Critical,
                "15m",
                "sum by (job, instance) (increase(tempo_ingester_failed_flushes_total[5m])) > 0",
            )
            .says("{{ $labels.instance }} cannot write blocks to the bucket.", "They stay on its disk, which fills."),
            Rule::alert(
                "TempoFlushRetriesFailing",
                Critical,
                "15m",
                "sum by (job, instance) (increase(tempo_ingester_flush_failed_retries_total[5m])) > 0",
            )
            .says("{{ $labels.instance }} fails to write blocks even when it tries again.", "Check the bucket and its permissions."),
            Rule::alert(
                "TempoReplayFailed",
                Warning,
                "0m",
                "sum by (job, instance) (increase(tempo_ingester_replay_errors_total[1h])) > 0",
            )
            .says("{{ $labels.instance }} could not read its write-ahead log.", "Recent traces of this replica are lost; the others hold them."),
            Rule::alert(
                "TempoCompactionFailing",
                Warning,
                "30m",
                "sum by (job) (increase(tempodb_compaction_errors_total[1h])) > 2",
            )
            .says("Blocks cannot be compacted.", "Searches become slower, and retention is not applied."),
            Rule::alert(
                "TempoCompactionBehind",
                Warning,
                "6h",
                "sum by (job) (tempodb_compaction_outstanding_blocks) / on () group_left count(up{job=\"tempo-compactor\"} == 1) > 100",
            )
            .says("{{ $value | printf \"%.0f\" }} blocks wait for each compactor.", "Run more compactors."),
            Rule::alert(
                "TempoPollingFails",
                Critical,
                "15m",
                "sum by (job) (increase(tempodb_blocklist_poll_errors_total[15m])) > 2",
            )
            .says("{{ $labels.job }} cannot list the blocks in the bucket.", "New blocks stay unseen."),
            Rule::alert(
                "TempoIndexOld",
                Critical,
                "15m",
                "max by (tenant) (tempodb_blocklist_tenant_index_age_seconds) > 600",
            )
            .says("The index of blocks is {{ $value | humanizeDuration }} old.", "No compactor writes it: queriers miss new blocks."),
            Rule::alert(
                "TempoSpansDiscarded",
                Warning,
                "15m",
                "sum by (reason) (rate(tempo_discarded_spans_total[5m])) > 0",
            )
            .says("Tempo discards {{ $value | humanize }} spans a second.", "The reason is {{ $labels.reason }}: a limit is reached."),
            Rule::alert(
                "TempoSeriesLimited",
                Warning,
                "15m",
                "sum by (tenant) (increase(tempo_metrics_generator_registry_series_limited_total[5m])) > 0",
            )
            .says("The metrics generator drops series.", "Spans carry too many different values: raise the limit or drop dimensions."),
            Rule::alert(
                "TempoRingUnhealthy",
                Critical,
                "15m",
                "max by (name) (tempo_ring_members{state=\"Unhealthy\"}) > 0",
            )
            .says("{{ $value }} members of the ring {{ $labels.name }} are unhealthy.", "With a second one gone, writes fail."),
            Rule::alert(
                "TempoRequestsFailing",
                Critical,
                "15m",
                "sum by (job, route) (rate(tempo_request_duration_seconds_count{status_code=~\"5..\"}[5m]))
                 / sum by (job, route) (rate(tempo_request_duration_seconds_count[5m])) > 0.05",
            )
            .says(
                "{{ $value | humanizePercentage }} of the requests {{ $labels.route }} of {{ $labels.job }} fail.",
                "See the log of that component.",
            ),
        ],
    )
}
