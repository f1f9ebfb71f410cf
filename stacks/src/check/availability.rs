//! Replicas and disks of a highly available platform against what production asks for.

use super::{Ledger, Severity};
use crate::model::{Database, Platform, Quantity};
use crate::sizing::{Shape, Sizing};

pub(super) fn check(ledger: &mut Ledger<'_>, platform: &Platform, sizing: &Sizing) {
    if !platform.high_availability {
        ledger.info(
            "high-availability",
            "platform.highAvailability",
            "the platform runs in single replicas: the loss of a node interrupts it",
            "set `highAvailability: true` for production",
        );
    } else {
        replicas(ledger, platform, sizing);
        disks(ledger, platform, sizing);
        whole(ledger, platform);
    }
    database(ledger, platform);
    retention(ledger, platform);
}

fn replicas(ledger: &mut Ledger<'_>, platform: &Platform, sizing: &Sizing) {
    let (loki, tempo, thanos) = (&sizing.loki, &sizing.tempo, &sizing.thanos);
    let least: [(bool, &str, &Shape, u32); 22] = [
        (platform.cert_manager.install, "certManager.controller", &sizing.cert_manager_controller, 2),
        (platform.cert_manager.install, "certManager.webhook", &sizing.cert_manager_webhook, 2),
        (platform.cert_manager.install, "certManager.cainjector", &sizing.cert_manager_cainjector, 2),
        (platform.ingress.class_name.is_none(), "ingress.traefik", &sizing.traefik, 2),
        (true, "grafana", &sizing.grafana, 2),
        (true, "prometheus", &sizing.prometheus, 2),
        (true, "alertmanager", &sizing.alertmanager, 3),
        (platform.thanos.enabled, "thanos.query", &thanos.query, 2),
        (platform.thanos.enabled, "thanos.store", &thanos.store, 2),
        (platform.thanos.enabled, "thanos.ruler", &thanos.ruler, 2),
        (platform.loki.enabled, "loki.ingester", &loki.ingester, 3),
        (platform.loki.enabled, "loki.distributor", &loki.distributor, 2),
        (platform.loki.enabled, "loki.querier", &loki.querier, 2),
        (platform.loki.enabled, "loki.queryFrontend", &loki.query_frontend, 2),
        (platform.loki.enabled, "loki.queryScheduler", &loki.query_scheduler, 2),
        (platform.loki.enabled, "loki.indexGateway", &loki.index_gateway, 2),
        (platform.loki.enabled, "loki.gateway", &loki.gateway, 2),
        (platform.tempo.enabled, "tempo.ingester", &tempo.ingester, 3),
        (platform.tempo.enabled, "tempo.distributor", &tempo.distributor, 2),
        (platform.tempo.enabled, "tempo.querier", &tempo.querier, 2),
        (platform.tempo.enabled, "tempo.queryFrontend", &tempo.query_frontend, 2),
        (true, "collector.gateway", &sizing.collector_gateway, 2),
    ];
    for (runs, path, shape, least) in least {
        if runs && shape.replicas < least {
            ledger.add(
                Severity::Error,
                "replicas",
                &format!("platform.{path}.replicas"),
                format!("{path} has {} replicas, and high availability needs {least}", shape.replicas),
                "remove `replicas` to get a fitting number",
            );
        }
    }
    if sizing.alertmanager.replicas.is_multiple_of(2) {
        ledger.info(
            "replicas",
            "platform.alertmanager.replicas",
            "an even number of Alertmanagers tolerates no more losses than one fewer",
            "",
        );
    }
}

fn disks(ledger: &mut Ledger<'_>, platform: &Platform, sizing: &Sizing) {
    let total = |shapes: &[&Shape]| -> u64 {
        shapes
            .iter()
            .map(|shape| shape.storage.as_ref().map_or(0, Quantity::whole) * u64::from(shape.replicas))
            .sum()
    };
    let (loki, tempo) = (&sizing.loki, &sizing.tempo);
    let least = [
        (
            true,
            "prometheus.storage",
            total(&[&sizing.prometheus]) / u64::from(sizing.prometheus.replicas.max(1)),
            100,
            "each Prometheus",
        ),
        (
            true,
            "grafana.storage",
            total(&[&sizing.grafana]) / u64::from(sizing.grafana.replicas.max(1)),
            10,
            "each Grafana",
        ),
        (
            platform.loki.enabled,
            "loki",
            total(&[&loki.ingester, &loki.index_gateway, &loki.compactor, &loki.ruler]),
            500,
            "Loki altogether",
        ),
        (
            platform.tempo.enabled,
            "tempo",
            total(&[&tempo.ingester, &tempo.metrics_generator]),
            200,
            "Tempo altogether",
        ),
    ];
    for (runs, path, bytes, least, whose) in least {
        let gigabytes = bytes / 1_000_000_000;
        if runs && gigabytes < least {
            ledger.warn(
                "storage",
                &format!("platform.{path}"),
                format!(
                    "{whose} has {gigabytes} GB of disk, and {least} GB is the starting point for production"
                ),
                "remove `storage` to get a fitting size",
            );
        }
    }
}

fn whole(ledger: &mut Ledger<'_>, platform: &Platform) {
    if !platform.thanos.enabled {
        ledger.add(
            Severity::Error,
            "long-term-metrics",
            "platform.thanos.enabled",
            "without Thanos, two Prometheus replicas give two different answers, and metrics end with the local disk",
            "remove `enabled: false`",
        );
    }
    for (enabled, path, what) in [
        (platform.loki.enabled, "platform.loki.enabled", "logs"),
        (platform.tempo.enabled, "platform.tempo.enabled", "traces"),
        (
            platform.exporters.kube_state_metrics.enabled,
            "platform.exporters.kubeStateMetrics.enabled",
            "metrics about Kubernetes objects",
        ),
        (
            platform.exporters.node_exporter.enabled,
            "platform.exporters.nodeExporter.enabled",
            "metrics about nodes",
        ),
        (platform.collector.agent.enabled, "platform.collector.agent.enabled", "logs of containers"),
    ] {
        if !enabled {
            ledger.warn("pillars", path, format!("the stack has no {what}"), "remove `enabled: false`");
        }
    }
}

fn database(ledger: &mut Ledger<'_>, platform: &Platform) {
    match &platform.database {
        Database::Embedded(_) => ledger.must_if_available(
            "database",
            "platform.database",
            "Grafana's database is a single PostgreSQL inside the cluster",
            "name a PostgreSQL server under `platform.database.external`",
        ),
        Database::External(database) => {
            use crate::model::SslMode;
            match database.ssl_mode {
                SslMode::Disable => ledger.must(
                    "database-tls",
                    "platform.database.external.sslMode",
                    "Grafana talks to its database in the clear",
                    "remove `sslMode: disable`",
                ),
                SslMode::Require => ledger.should(
                    "database-tls",
                    "platform.database.external.sslMode",
                    "Grafana does not verify whom it talks to as its database",
                    "use `verify-full`, with `caCertificate` where the authority is your own",
                ),
                SslMode::VerifyCa | SslMode::VerifyFull => {}
            }
        }
    }
}

fn retention(ledger: &mut Ledger<'_>, platform: &Platform) {
    let local = platform.prometheus.retention.seconds();
    if platform.thanos.enabled && local < 6 * 3600 {
        ledger.add(
            Severity::Error,
            "retention",
            "platform.prometheus.retention",
            format!(
                "metrics stay for {}, and a block may not have reached the bucket by then",
                platform.prometheus.retention
            ),
            "keep them for at least 6h; 24h and more is sensible",
        );
    } else if local < 15 * 86_400 {
        ledger.should(
            "retention",
            "platform.prometheus.retention",
            format!(
                "metrics stay on the local disk for {}; 15 days are typical",
                platform.prometheus.retention
            ),
            "",
        );
    }
    let retention = &platform.thanos.retention;
    for (path, span, least, why) in
        [("5m", &retention.five_minutes, 40 * 3600, "40h"), ("1h", &retention.one_hour, 10 * 86_400, "10d")]
    {
        if platform.thanos.enabled && span.seconds() != 0 && span.seconds() < least {
            ledger.warn(
                "retention",
                &format!("platform.thanos.retention.{path}"),
                format!("blocks of this resolution are made from data older than {why}, and {span} keeps none of them"),
                format!("keep them longer than {why}"),
            );
        }
    }
}
