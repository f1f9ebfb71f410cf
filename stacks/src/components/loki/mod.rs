//! Loki, each of its parts as a workload of its own, around one bucket.

pub(crate) mod config;
pub(crate) mod dskit;
mod gateway;
#[cfg(test)]
mod tests;

use plinth_provider::Urn;

use self::config::{DATA, RULES, TENANT};
use crate::catalogue::Image;
use crate::components::{rules, thanos};
use crate::kit::parts::{self, ports};
use crate::kit::{Build, Check, Part, Phase, Probes, Workload, yaml};
use crate::model::BucketPurpose;
use crate::sizing::Shape;

/// Every part that runs Loki's own image.
const TARGETS: [Part; 8] = [
    parts::LOKI_DISTRIBUTOR,
    parts::LOKI_INGESTER,
    parts::LOKI_QUERIER,
    parts::LOKI_QUERY_FRONTEND,
    parts::LOKI_QUERY_SCHEDULER,
    parts::LOKI_INDEX_GATEWAY,
    parts::LOKI_COMPACTOR,
    parts::LOKI_RULER,
];

/// The uid and gid of Loki's image.
const USER: i64 = 10001;

/// Declares Loki.
pub(crate) fn declare(b: &mut Build<'_>) {
    if !b.platform.loki.enabled {
        return;
    }
    b.phase(Phase::Logs);
    let text = text(b);
    let gossip = dskit::gossip_certificate(b, "loki");
    for part in TARGETS {
        target(b, part, &text, &gossip);
    }
    gateway::declare(b);
    edges(b);
}

/// The configuration file of all parts.
fn text(b: &Build<'_>) -> String {
    yaml::to_yaml(&serde_json::to_value(config::config(b)).unwrap_or_default())
}

fn shape(b: &Build<'_>, part: Part) -> Shape {
    let sizing = &b.sizing.loki;
    match part.role {
        "distributor" => &sizing.distributor,
        "ingester" => &sizing.ingester,
        "querier" => &sizing.querier,
        "query-frontend" => &sizing.query_frontend,
        "query-scheduler" => &sizing.query_scheduler,
        "index-gateway" => &sizing.index_gateway,
        "compactor" => &sizing.compactor,
        _ => &sizing.ruler,
    }
    .clone()
}

/// Parts that keep something on a disk, which must survive the pod.
fn has_disk(part: Part) -> bool {
    matches!(part.role, "ingester" | "index-gateway" | "compactor" | "ruler")
}

/// Parts that read or write the bucket themselves.
fn uses_bucket(part: Part) -> bool {
    matches!(part.role, "ingester" | "querier" | "index-gateway" | "compactor" | "ruler")
}

fn target(b: &mut Build<'_>, part: Part, text: &str, (gossip_secret, gossip): &(String, Urn)) {
    let shape = shape(b, part);
    let workload = if has_disk(part) {
        Workload::stateful_set(b, part, Image::Loki, &shape)
    } else {
        Workload::deployment(b, part, Image::Loki, &shape)
    };
    let mut workload = workload
        .user(USER, USER)
        .grace(if has_disk(part) { 300 } else { 60 })
        .main(|main| {
            main.args([
                "-config.file=/etc/loki/config/config.yaml".to_owned(),
                "-config.expand-env=true".to_owned(),
                format!("-target={}", part.role),
            ])
            .go_memory_limit()
            .port("http-metrics", ports::LOKI_HTTP)
            .port("grpc", ports::LOKI_GRPC)
            .port("gossip", ports::MEMBERLIST)
            // Readiness follows the ring, and must not restart anything.
            .probes(
                Probes::new(
                    Check::Https("http-metrics", "/ready"),
                    Check::Https("http-metrics", "/loki/api/v1/status/buildinfo"),
                )
                .startup(if part == parts::LOKI_INGESTER { 1800 } else { 300 }),
            )
        })
        .config("/etc/loki/config", [("config.yaml", text.to_owned())])
        .disk(DATA)
        .tls()
        .secret("gossip", gossip_secret, dskit::GOSSIP_DIRECTORY)
        .after([gossip.clone()])
        // Members find each other, and schedulers their frontends, before they are ready.
        .before_ready()
        .metrics(ports::LOKI_HTTP, "/metrics");
    if part == parts::LOKI_DISTRIBUTOR || part == parts::LOKI_QUERY_FRONTEND {
        workload = workload.main(|main| main.stop_delay(10));
    }
    if part == parts::LOKI_INGESTER {
        workload = workload.main(|main| main.env_field(dskit::ZONE, dskit::ZONE_FIELD));
    }
    if part == parts::LOKI_RULER {
        let files = rules::for_loki(b.stack)
            .into_iter()
            .map(|(name, file)| (name, yaml::to_yaml(&serde_json::to_value(file).unwrap_or_default())));
        workload = workload.more_config("rules", &format!("{RULES}/{TENANT}"), files);
    }
    if uses_bucket(part) {
        let bucket = b.bucket(BucketPurpose::Loki);
        workload = workload.uses_bucket(b, &bucket);
        thanos::reach_bucket(b, part);
    }
    workload.deploy(b);
}

/// Who of Loki's parts calls whom.
fn edges(b: &mut Build<'_>) {
    use parts::{
        ALERTMANAGER, LOKI_COMPACTOR, LOKI_DISTRIBUTOR, LOKI_INDEX_GATEWAY, LOKI_INGESTER, LOKI_QUERIER,
        LOKI_QUERY_FRONTEND, LOKI_QUERY_SCHEDULER, LOKI_RULER, PROMETHEUS,
    };
    let grpc = [
        (LOKI_DISTRIBUTOR, LOKI_INGESTER),
        (LOKI_INGESTER, LOKI_INDEX_GATEWAY),
        (LOKI_QUERIER, LOKI_INGESTER),
        (LOKI_QUERIER, LOKI_INDEX_GATEWAY),
        (LOKI_QUERIER, LOKI_QUERY_SCHEDULER),
        (LOKI_QUERIER, LOKI_QUERY_FRONTEND),
        (LOKI_QUERIER, LOKI_COMPACTOR),
        (LOKI_QUERY_FRONTEND, LOKI_QUERY_SCHEDULER),
        (LOKI_QUERY_FRONTEND, LOKI_COMPACTOR),
        (LOKI_QUERY_SCHEDULER, LOKI_QUERY_FRONTEND),
        (LOKI_RULER, LOKI_QUERY_FRONTEND),
        (LOKI_RULER, LOKI_RULER),
        (LOKI_RULER, LOKI_INGESTER),
        (LOKI_RULER, LOKI_INDEX_GATEWAY),
        (LOKI_RULER, LOKI_COMPACTOR),
    ];
    for (from, to) in grpc {
        b.allow(from, to, &[ports::LOKI_GRPC]);
    }
    for (from, to) in [
        (LOKI_QUERY_FRONTEND, LOKI_QUERIER),
        (LOKI_QUERY_FRONTEND, LOKI_COMPACTOR),
        (LOKI_QUERIER, LOKI_COMPACTOR),
        (LOKI_RULER, LOKI_COMPACTOR),
    ] {
        b.allow(from, to, &[ports::LOKI_HTTP]);
    }
    b.allow(LOKI_RULER, ALERTMANAGER, &[ports::ALERTMANAGER]);
    b.allow(LOKI_RULER, PROMETHEUS, &[ports::PROMETHEUS]);
    for from in TARGETS {
        for to in TARGETS {
            b.allow(from, to, &[ports::MEMBERLIST]);
        }
    }
}
