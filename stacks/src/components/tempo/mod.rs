//! Tempo 2.10, each of its parts as a workload of its own, around one bucket.

mod config;
#[cfg(test)]
mod tests;

use plinth_provider::Urn;

use self::config::DATA;
use crate::catalogue::Image;
use crate::components::loki::dskit;
use crate::components::thanos::{self, text};
use crate::kit::parts::{self, ports};
use crate::kit::{Build, Check, Part, Phase, Probes, Workload};
use crate::model::BucketPurpose;
use crate::sizing::Shape;

/// The uid and gid of Tempo's image.
const USER: i64 = 10001;

/// Every part that this stack runs.
fn targets(b: &Build<'_>) -> Vec<Part> {
    let mut targets = vec![
        parts::TEMPO_DISTRIBUTOR,
        parts::TEMPO_INGESTER,
        parts::TEMPO_QUERIER,
        parts::TEMPO_QUERY_FRONTEND,
        parts::TEMPO_COMPACTOR,
    ];
    if b.platform.tempo.metrics_generator.enabled {
        targets.push(parts::TEMPO_METRICS_GENERATOR);
    }
    targets
}

/// Declares Tempo.
pub(crate) fn declare(b: &mut Build<'_>) {
    if !b.platform.tempo.enabled {
        return;
    }
    b.phase(Phase::Traces);
    let text = text(&config::config(b));
    let gossip = dskit::gossip_certificate(b, "tempo");
    for part in targets(b) {
        target(b, part, &text, &gossip);
    }
    edges(b);
}

fn shape(b: &Build<'_>, part: Part) -> Shape {
    let sizing = &b.sizing.tempo;
    match part.role {
        "distributor" => &sizing.distributor,
        "ingester" => &sizing.ingester,
        "querier" => &sizing.querier,
        "query-frontend" => &sizing.query_frontend,
        "compactor" => &sizing.compactor,
        _ => &sizing.metrics_generator,
    }
    .clone()
}

/// How long a part may take to stop, in seconds. Querier and query-frontend have done their work in a few seconds but
/// never end by themselves in this version: a short time spares every rollout minutes of waiting.
fn grace(part: Part) -> i64 {
    match part.role {
        "querier" | "query-frontend" => 40,
        "ingester" | "metrics-generator" => 300,
        _ => 60,
    }
}

fn target(b: &mut Build<'_>, part: Part, text: &str, (gossip_secret, gossip): &(String, Urn)) {
    let shape = shape(b, part);
    let has_disk = matches!(part.role, "ingester" | "metrics-generator");
    let workload = if has_disk {
        Workload::stateful_set(b, part, Image::Tempo, &shape)
    } else {
        Workload::deployment(b, part, Image::Tempo, &shape)
    };
    let receives = part == parts::TEMPO_DISTRIBUTOR;
    let mut workload = workload
        .user(USER, USER)
        .grace(grace(part))
        .main(|main| {
            let main = main
                .args([
                    "-config.file=/etc/tempo/config.yaml".to_owned(),
                    "-config.expand-env=true".to_owned(),
                    format!("-target={}", part.role),
                ])
                .go_memory_limit()
                .port("http-metrics", ports::TEMPO_HTTP)
                .port("grpc", ports::TEMPO_GRPC)
                .port("gossip", ports::MEMBERLIST)
                .probes(
                    Probes::new(
                        Check::Https("http-metrics", "/ready"),
                        Check::Https("http-metrics", "/status/version"),
                    )
                    .startup(if has_disk { 1800 } else { 300 }),
                );
            let main = if receives {
                main.port("otlp-grpc", ports::OTLP_GRPC).port("otlp-http", ports::OTLP_HTTP)
            } else {
                main
            };
            if receives || part == parts::TEMPO_QUERY_FRONTEND { main.stop_delay(10) } else { main }
        })
        .config("/etc/tempo", [("config.yaml", text.to_owned())])
        .disk(DATA)
        .tls()
        .secret("gossip", gossip_secret, dskit::GOSSIP_DIRECTORY)
        .after([gossip.clone()])
        // Members find each other, and queriers their frontends, before they are ready.
        .before_ready()
        .metrics(ports::TEMPO_HTTP, "/metrics");
    if part == parts::TEMPO_INGESTER {
        workload = workload.main(|main| main.env_field(dskit::ZONE, dskit::ZONE_FIELD));
    }
    if matches!(part.role, "ingester" | "querier" | "query-frontend" | "compactor") {
        let bucket = b.bucket(BucketPurpose::Tempo);
        workload = workload.uses_bucket(b, &bucket);
        thanos::reach_bucket(b, part);
    }
    workload.deploy(b);
}

/// Who of Tempo's parts calls whom.
fn edges(b: &mut Build<'_>) {
    use parts::{
        PROMETHEUS, TEMPO_DISTRIBUTOR, TEMPO_INGESTER, TEMPO_METRICS_GENERATOR, TEMPO_QUERIER,
        TEMPO_QUERY_FRONTEND,
    };
    for (from, to) in [
        (TEMPO_DISTRIBUTOR, TEMPO_INGESTER),
        (TEMPO_DISTRIBUTOR, TEMPO_METRICS_GENERATOR),
        (TEMPO_QUERIER, TEMPO_INGESTER),
        (TEMPO_QUERIER, TEMPO_METRICS_GENERATOR),
        (TEMPO_QUERIER, TEMPO_QUERY_FRONTEND),
    ] {
        b.allow(from, to, &[ports::TEMPO_GRPC]);
    }
    b.allow(TEMPO_METRICS_GENERATOR, PROMETHEUS, &[ports::PROMETHEUS]);
    let members = targets(b);
    for from in &members {
        for to in &members {
            b.allow(*from, *to, &[ports::MEMBERLIST]);
        }
    }
}
