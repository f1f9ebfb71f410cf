//! Backups, alerts, the watch over the platform itself, versions, and how sizes came about.

use super::{Ledger, Severity};
use crate::catalogue::{Catalogue, Image};
use crate::model::Platform;
use crate::sizing::{Sizing, bucket_gigabytes};

/// Logs shrink about this much in the bucket.
const LOG_COMPRESSION: f64 = 5.0;
/// Bytes of a span, and how much blocks shrink in the bucket.
const SPAN_BYTES: f64 = 500.0;
const SPAN_COMPRESSION: f64 = 4.0;

pub(super) fn check(ledger: &mut Ledger<'_>, platform: &Platform, sizing: &Sizing) {
    backups(ledger, platform);
    alerts(ledger, platform);
    rates(ledger, platform, sizing);
    versions(ledger);
}

fn backups(ledger: &mut Ledger<'_>, platform: &Platform) {
    let backup = &platform.backup;
    if !backup.enabled {
        ledger.must_if_available(
            "backup",
            "platform.backup.enabled",
            "dashboards, data sources and alert rules are not backed up",
            "remove `enabled: false`",
        );
    } else if backup.retention.seconds() < 7 * 86_400 {
        ledger.should(
            "backup",
            "platform.backup.retention",
            format!("backups are kept for only {}", backup.retention),
            "keep them for at least 7d, so that a mistake noticed after a weekend can be undone",
        );
    }
}

fn alerts(ledger: &mut Ledger<'_>, platform: &Platform) {
    let alertmanager = &platform.alertmanager;
    let tells = alertmanager.receivers.iter().any(|receiver| {
        !(receiver.slack.is_empty()
            && receiver.pagerduty.is_empty()
            && receiver.email.is_empty()
            && receiver.webhook.is_empty())
    });
    if !tells {
        ledger.must(
            "receivers",
            "platform.alertmanager.receivers",
            "nobody is told when an alert fires",
            "describe at least one receiver",
        );
    }
    if alertmanager.dead_mans_switch.is_none() {
        ledger.should(
            "dead-mans-switch",
            "platform.alertmanager.deadMansSwitch",
            "nobody is told when the platform itself falls silent",
            "let a service outside the platform expect its calls",
        );
    }
    if !platform.self_monitoring.enabled {
        ledger.must_if_available(
            "self-monitoring",
            "platform.selfMonitoring.enabled",
            "nothing watches the platform",
            "remove `enabled: false`",
        );
    }
    if !platform.exporters.blackbox.enabled {
        ledger.should(
            "uptime",
            "platform.exporters.blackbox.enabled",
            "nothing checks whether Grafana answers",
            "remove `enabled: false`",
        );
    }
}

fn rates(ledger: &mut Ledger<'_>, platform: &Platform, sizing: &Sizing) {
    let spans = platform.tempo.spans_per_second.or(platform.collector.gateway.spans_per_second);
    if platform.high_availability {
        let unknown: Vec<&str> = [
            ("platform.loki.gbPerDay", platform.loki.enabled && platform.loki.gb_per_day.is_none()),
            ("platform.collector.gateway.spansPerSecond", spans.is_none()),
            ("platform.prometheus.activeSeries", platform.prometheus.active_series.is_none()),
        ]
        .into_iter()
        .filter_map(|(path, unknown)| unknown.then_some(path))
        .collect();
        if !unknown.is_empty() {
            ledger.info(
                "rates",
                "platform",
                format!(
                    "sizes are starting points, because these rates are not given: {}",
                    unknown.join(", ")
                ),
                "give the rates that you expect, and the sizes follow",
            );
        }
    }
    for workload in sizing.workloads(platform) {
        if let Some(why) = &workload.shape.why {
            let path = match workload.name {
                "loki ingester" => "platform.loki",
                "collector gateway" => "platform.collector.gateway",
                "tempo ingester" => "platform.tempo",
                "prometheus" => "platform.prometheus",
                _ => "platform",
            };
            ledger.info("sizing", path, format!("{} {why}", workload.name), "");
        }
    }
    if let (true, Some(rate)) = (platform.loki.enabled, platform.loki.gb_per_day) {
        let total = bucket_gigabytes(rate, platform.loki.retention.seconds(), LOG_COMPRESSION);
        ledger.info(
            "sizing",
            "platform.loki",
            format!("loki bucket about {total:.0} GB: {rate} GB/day for {}", platform.loki.retention),
            "",
        );
    }
    if let (true, Some(rate)) = (platform.tempo.enabled, spans) {
        let per_day = rate as f64 * SPAN_BYTES * 86_400.0 / 1e9;
        let total = bucket_gigabytes(per_day, platform.tempo.retention.seconds(), SPAN_COMPRESSION);
        ledger.info(
            "sizing",
            "platform.tempo",
            format!("tempo bucket about {total:.0} GB: {rate} spans/s for {}", platform.tempo.retention),
            "",
        );
    }
}

fn versions(ledger: &mut Ledger<'_>) {
    let usual = Catalogue::default();
    for image in Image::ALL {
        let (own, known) = (ledger.stack.catalogue.version(image), usual.version(image));
        let path = format!("catalogue.{}", image.component());
        if own == "latest" || own.is_empty() {
            ledger.add(
                Severity::Error,
                "versions",
                &path,
                format!("`{}` is not an exact version", ledger.stack.catalogue.image(image)),
                "name a version, so that a restart does not change what runs",
            );
        } else if own != known {
            ledger.info(
                "versions",
                &path,
                format!("{} is {own}, and this program was tested with {known}", image.component()),
                "",
            );
        }
    }
}
