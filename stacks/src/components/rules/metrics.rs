//! Metrics: Prometheus, Thanos, Alertmanager.

use super::Severity::{Critical, None, Warning};
use super::{Group, Rule, Subject};

/// An alert that always fires: whoever stops hearing it knows that the way from rule to notification is broken.
pub(super) fn watchdog(source: &str) -> Group {
    Group::new(
        "dead-mans-switch",
        [Rule::alert("Watchdog", None, "0m", "vector(1)").label("source", source).says(
            "The alerting pipeline works.",
            "This alert always fires. When its notifications stop, alerts no longer get out.",
        )],
    )
}

pub(super) fn prometheus(subject: &Subject<'_>) -> Group {
    let interval = subject.platform.prometheus.scrape_interval.seconds().max(1);
    let mut rules = vec![
        Rule::record(
            "instance:prometheus_tsdb_head_samples_appended:rate5m",
            "sum by (job, instance) (rate(prometheus_tsdb_head_samples_appended_total{job=\"prometheus\"}[5m]))",
        ),
        Rule::alert(
            "PrometheusIngestionStopped",
            Critical,
            "10m",
            "instance:prometheus_tsdb_head_samples_appended:rate5m == 0",
        )
        .says(
            "{{ $labels.instance }} stores no samples.",
            "Nothing was appended to the head block for 10 minutes: scraping or the disk has stopped.",
        ),
        Rule::alert(
            "PrometheusIngestionDropped",
            Warning,
            "15m",
            "instance:prometheus_tsdb_head_samples_appended:rate5m
             < 0.5 * (instance:prometheus_tsdb_head_samples_appended:rate5m offset 1h > 0)",
        )
        .says(
            "{{ $labels.instance }} stores less than half of what it did an hour ago.",
            "Targets disappeared, or scrapes fail. Compare `up` and `scrape_samples_scraped` with an hour ago.",
        ),
        Rule::alert(
            "TargetDown",
            Warning,
            "10m",
            "100 * count by (job, namespace) (up == 0) / count by (job, namespace) (up) > 10",
        )
        .says(
            "{{ $value | printf \"%.0f\" }} % of the targets of {{ $labels.job }} are down.",
            "They do not answer scrapes, in namespace {{ $labels.namespace }}.",
        ),
        Rule::alert(
            "PrometheusRuleFailures",
            Critical,
            "10m",
            "sum by (job, instance, rule_group) (increase(prometheus_rule_evaluation_failures_total{job=\"prometheus\"}[5m])) > 0",
        )
        .says(
            "{{ $labels.instance }} cannot evaluate rules of {{ $labels.rule_group }}.",
            "Alerts of this group may be missing.",
        ),
        Rule::alert(
            "PrometheusRulesMissed",
            Warning,
            "15m",
            "sum by (job, instance, rule_group) (increase(prometheus_rule_group_iterations_missed_total{job=\"prometheus\"}[5m])) > 0",
        )
        .says(
            "{{ $labels.instance }} skips evaluations of {{ $labels.rule_group }}.",
            "The group takes longer than its interval: queries are slow or the processor is saturated.",
        ),
        Rule::alert(
            "PrometheusWalCorrupted",
            Critical,
            "0m",
            "increase(prometheus_tsdb_wal_corruptions_total{job=\"prometheus\"}[1h]) > 0",
        )
        .says(
            "{{ $labels.instance }} found its write-ahead log corrupted.",
            "Samples since the last block may be lost on this replica. Check the disk.",
        ),
        Rule::alert(
            "PrometheusCompactionsFailing",
            Warning,
            "30m",
            "increase(prometheus_tsdb_compactions_failed_total{job=\"prometheus\"}[3h]) > 0",
        )
        .says("{{ $labels.instance }} cannot compact blocks.", "The disk may be full or damaged; see the log."),
        Rule::alert(
            "PrometheusReloadFailed",
            Critical,
            "10m",
            "max_over_time(prometheus_config_last_reload_successful{job=\"prometheus\"}[5m]) == 0",
        )
        .says("{{ $labels.instance }} refuses its configuration.", "It runs with the previous one; see the log."),
        Rule::alert(
            "PrometheusNotificationQueueSaturated",
            Warning,
            "15m",
            "max by (job, instance) (prometheus_notifications_queue_length{job=\"prometheus\"})
             / max by (job, instance) (prometheus_notifications_queue_capacity{job=\"prometheus\"}) > 0.8",
        )
        .says(
            "{{ $labels.instance }} has nearly filled its queue of notifications.",
            "Alertmanagers are slow or do not answer; alerts will be dropped.",
        ),
        Rule::alert(
            "PrometheusNotificationsFailing",
            Warning,
            "15m",
            "sum by (job, instance, alertmanager) (rate(prometheus_notifications_errors_total{job=\"prometheus\"}[5m]))
             / sum by (job, instance, alertmanager) (rate(prometheus_notifications_sent_total{job=\"prometheus\"}[5m])) > 0.01",
        )
        .says(
            "{{ $labels.instance }} cannot send alerts to {{ $labels.alertmanager }}.",
            "{{ $value | humanizePercentage }} of the notifications fail.",
        ),
        Rule::alert(
            "PrometheusNotificationsDropped",
            Critical,
            "5m",
            "sum by (job, instance) (increase(prometheus_notifications_dropped_total{job=\"prometheus\"}[10m])) > 0",
        )
        .says("{{ $labels.instance }} drops alerts.", "No Alertmanager took them."),
        Rule::alert(
            "PrometheusWithoutAlertmanager",
            Critical,
            "10m",
            "max_over_time(prometheus_notifications_alertmanagers_discovered{job=\"prometheus\"}[5m]) < 1",
        )
        .says("{{ $labels.instance }} knows no Alertmanager.", "Its alerts reach nobody."),
        Rule::alert(
            "PrometheusRemoteWriteFailing",
            Warning,
            "15m",
            "sum by (job, instance, remote_name) (rate(prometheus_remote_storage_samples_failed_total{job=\"prometheus\"}[5m])) > 0",
        )
        .says(
            "{{ $labels.instance }} cannot write to {{ $labels.remote_name }}.",
            "{{ $value | humanize }} samples a second are refused there.",
        ),
    ];
    // A scrape that takes nearly its whole interval will miss samples next.
    rules.push(
        Rule::alert(
            "ScrapeSlow",
            Warning,
            "15m",
            format!("max by (job, namespace) (scrape_duration_seconds) > {}", 0.8 * interval as f64),
        )
        .says(
            "Scrapes of {{ $labels.job }} take {{ $value | humanizeDuration }}.",
            "That is most of the scrape interval: the target has too many series or too little processor time.",
        ),
    );
    Group::new("prometheus", rules)
}

/// What only an observer from outside can tell: that Prometheus itself is gone.
pub(super) fn replicas(subject: &Subject<'_>) -> Group {
    let wanted = subject.sizing.prometheus.replicas;
    Group::new(
        "prometheus-replicas",
        [
            Rule::alert("PrometheusDown", Critical, "5m", "absent(up{job=\"prometheus\"} == 1)")
                .says("No Prometheus is up.", "Nothing is scraped and no alert is evaluated but this one."),
            Rule::alert(
                "PrometheusReplicaDown",
                Warning,
                "15m",
                format!("count(count by (instance) (up{{job=\"prometheus\"}} == 1)) < {wanted}"),
            )
            .says(
                "Only {{ $value }} replicas of Prometheus are up.",
                "Metrics survive, but the next failure loses them.",
            ),
        ],
    )
}

pub(super) fn alertmanager(subject: &Subject<'_>) -> Group {
    let wanted = subject.sizing.alertmanager.replicas;
    let mut rules = vec![
        Rule::alert(
            "AlertmanagerNotificationsFailing",
            Critical,
            "10m",
            "sum by (job, integration) (rate(alertmanager_notifications_failed_total{job=\"alertmanager\"}[5m]))
             / sum by (job, integration) (rate(alertmanager_notifications_total{job=\"alertmanager\"}[5m])) > 0.01",
        )
        .says(
            "Alertmanager cannot notify through {{ $labels.integration }}.",
            "{{ $value | humanizePercentage }} of the attempts fail. The label `reason` of \
             `alertmanager_notifications_failed_total` says why.",
        ),
        Rule::alert(
            "AlertmanagerReloadFailed",
            Critical,
            "10m",
            "max_over_time(alertmanager_config_last_reload_successful{job=\"alertmanager\"}[5m]) == 0",
        )
        .says("{{ $labels.instance }} refuses its configuration.", "It runs with the previous one; see the log."),
        Rule::alert(
            "AlertmanagerConfigDiffers",
            Warning,
            "20m",
            "count by (job) (count_values by (job) (\"config_hash\", alertmanager_config_hash{job=\"alertmanager\"})) > 1",
        )
        .says(
            "The Alertmanagers run with different configurations.",
            "A rollout is stuck: the same alert may reach different people.",
        ),
    ];
    if wanted > 1 {
        rules.push(
            Rule::alert(
                "AlertmanagerClusterSplit",
                Critical,
                "15m",
                format!("max_over_time(alertmanager_cluster_members{{job=\"alertmanager\"}}[5m]) < {wanted}"),
            )
            .says(
                "{{ $labels.instance }} sees only {{ $value }} members of the cluster.",
                "Members that do not see each other all notify: people get the same alert several times.",
            ),
        );
        rules.push(
            Rule::alert(
                "AlertmanagerPeersFailed",
                Warning,
                "15m",
                "max_over_time(alertmanager_cluster_failed_peers{job=\"alertmanager\"}[5m]) > 0",
            )
            .says(
                "{{ $labels.instance }} lost {{ $value }} peers.",
                "Gossip on port 9094 fails between these pods.",
            ),
        );
    }
    Group::new("alertmanager", rules)
}

pub(super) fn thanos() -> Group {
    Group::new(
        "thanos",
        [
            Rule::alert("ThanosCompactionHalted", Critical, "5m", "thanos_compact_halted == 1").says(
                "The compactor halted.",
                "It found blocks that overlap or are damaged, and stays ready but idle until it is restarted; see its log.",
            ),
            Rule::alert(
                "ThanosCompactionFailing",
                Warning,
                "30m",
                "sum by (job, instance) (increase(thanos_compact_group_compactions_failures_total[1h])) > 0",
            )
            .says("The compactor fails on some blocks.", "Queries over long ranges become slower and retention may not be applied."),
            Rule::alert(
                "ThanosUploadMissing",
                Critical,
                "15m",
                "time() - max by (instance) (thanos_objstore_bucket_last_successful_upload_time{job=\"thanos-sidecar\"} > 0) > 6 * 3600",
            )
            .says(
                "{{ $labels.instance }} has not uploaded a block for {{ $value | humanizeDuration }}.",
                "A block is due every 2 hours. After Prometheus' own retention they are lost.",
            ),
            Rule::alert(
                "ThanosUploadsFailing",
                Warning,
                "15m",
                "sum by (job, instance) (increase(thanos_shipper_upload_failures_total[15m])) > 0",
            )
            .says("{{ $labels.instance }} fails to upload blocks.", "See its log: the bucket, its permissions, or the network."),
            Rule::alert(
                "ThanosBucketOperationsFailing",
                Warning,
                "15m",
                "sum by (job, operation) (rate(thanos_objstore_bucket_operation_failures_total[5m]))
                 / sum by (job, operation) (rate(thanos_objstore_bucket_operations_total[5m])) > 0.05",
            )
            .says(
                "{{ $value | humanizePercentage }} of the operations {{ $labels.operation }} of {{ $labels.job }} fail.",
                "The object store throttles or refuses them.",
            ),
            Rule::alert("ThanosSidecarWithoutPrometheus", Critical, "5m", "thanos_sidecar_prometheus_up == 0").says(
                "{{ $labels.instance }} cannot reach its Prometheus.",
                "Queries over Thanos miss the last hours of this replica.",
            ),
            Rule::alert(
                "ThanosQueryWithoutStores",
                Critical,
                "10m",
                "sum by (job, instance) (thanos_store_nodes_grpc_connections{job=\"thanos-query\"}) == 0",
            )
            .says("{{ $labels.instance }} has no store to ask.", "Every query gives an empty answer."),
            Rule::alert(
                "ThanosQueryDnsFailing",
                Warning,
                "15m",
                "sum by (job, instance) (increase(thanos_query_store_apis_dns_failures_total[5m])) > 0",
            )
            .says("{{ $labels.instance }} cannot look up its stores.", "It keeps those that it knew; new pods stay unseen."),
            Rule::alert(
                "ThanosStoreStale",
                Warning,
                "15m",
                "time() - (thanos_bucket_store_blocks_last_loaded_timestamp_seconds > 0) > 3600",
            )
            .says("{{ $labels.instance }} has not looked at the bucket for an hour.", "New blocks stay unseen."),
            Rule::alert(
                "ThanosRuleFailures",
                Critical,
                "10m",
                "sum by (job, instance, rule_group) (increase(prometheus_rule_evaluation_failures_total{job=\"thanos-ruler\"}[5m])) > 0",
            )
            .says("{{ $labels.instance }} cannot evaluate rules of {{ $labels.rule_group }}.", "Nobody watches Prometheus meanwhile."),
            Rule::alert(
                "ThanosRuleWarnings",
                Warning,
                "15m",
                "sum by (job, instance) (increase(thanos_rule_evaluation_with_warnings_total[15m])) > 0",
            )
            .says("{{ $labels.instance }} evaluates rules over partial answers.", "Some stores did not answer."),
            Rule::alert(
                "ThanosAlertsDropped",
                Critical,
                "5m",
                "sum by (job, instance) (increase(thanos_alert_sender_alerts_dropped_total[5m])) > 0",
            )
            .says("{{ $labels.instance }} drops alerts.", "No Alertmanager took them."),
        ],
    )
}
