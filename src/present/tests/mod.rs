//! Whole outputs as snapshots, and what the tests feed to the renderers.

mod graph;
mod plans;
mod reports;
mod runs;

use std::time::Duration;

use plinth_provider::{Change, Options, Path, Urn, Value};

use crate::engine::{Counts, Event, Op, Plan, Queued, Step, Summary};

pub(super) fn urn(kind: &str, name: &str) -> Urn {
    Urn::new("prod", kind, name).unwrap()
}

pub(super) fn step(op: Op, phase: &str, kind: &str, name: &str) -> Step {
    Step {
        urn: urn(kind, name),
        op,
        changes: Vec::new(),
        forced_by: Vec::new(),
        reason: None,
        inputs: Value::Null,
        connection: None,
        dependencies: Vec::new(),
        options: Options { phase: phase.to_owned(), ..Options::default() },
        recorded: None,
        by_update: false,
        take_over: Vec::new(),
        delete_before_replace: false,
        moved_from: None,
        superseded: false,
        outlived_by: None,
        beside: false,
        as_it_is: false,
        adjust: false,
    }
}

pub(super) fn change(path: &str, before: Option<Value>, after: Option<Value>) -> Change {
    Change { path: Path::parse(path), before, after }
}

pub(super) fn plan(steps: Vec<Step>) -> Plan {
    Plan {
        stack: "prod".into(),
        base_seq: 412,
        base_hash: "sha256:00".into(),
        steps,
        freshness: Default::default(),
        left_out: Vec::new(),
        open: 0,
        notes: Vec::new(),
    }
}

const NAMESPACE: &str = "k8s:v1/Namespace";
const DEPLOYMENT: &str = "k8s:apps/v1/Deployment";
const BUCKET: &str = "aws:s3/Bucket";

pub(super) fn queued(op: Op, phase: &str, urn: &Urn) -> Queued {
    Queued { urn: urn.clone(), op, phase: phase.into() }
}

pub(super) fn begun(urn: &Urn, op: Op, action: &'static str) -> Event {
    Event::StepStarted { urn: urn.clone(), op, action }
}

pub(super) fn ended(urn: &Urn, op: Op, action: &'static str, seconds: u64) -> Event {
    Event::StepFinished { urn: urn.clone(), op, action, duration: Duration::from_secs(seconds) }
}

pub(super) fn waiting(urn: &Urn, reason: &str) -> Event {
    Event::StepWaiting { urn: urn.clone(), reason: reason.into() }
}

pub(super) fn started(revision: u64) -> Event {
    Event::Started { command: "apply".into(), stack: "prod".into(), revision: Some(revision) }
}

pub(super) fn summary(counts: Counts, seconds: u64) -> Event {
    Event::Summary(Summary {
        counts,
        duration: Duration::from_secs(seconds),
        unfinished: 0,
        stopped: None,
        longest: Vec::new(),
        critical_path: Vec::new(),
        left_out: 0,
    })
}

/// A run with everything in it, each event with the second at which it comes.
pub(super) fn eventful() -> Vec<(u64, Event)> {
    let bucket = urn(BUCKET, "loki-chunks");
    let space = urn(NAMESPACE, "logs");
    let loki = urn(DEPLOYMENT, "logs/loki-write");
    let grafana = urn(DEPLOYMENT, "grafana/grafana");
    let volume = urn("k8s:v1/PersistentVolumeClaim", "logs/wal");
    let steps = vec![
        queued(Op::Create, "storage", &bucket),
        queued(Op::Create, "cluster", &space),
        queued(Op::Create, "logs", &loki),
        queued(Op::Create, "logs", &volume),
        queued(Op::Replace, "dashboards", &grafana),
    ];
    vec![
        (
            0,
            Event::Recovered {
                urn: volume.clone(),
                action: "create".into(),
                found: "it had not happened".into(),
            },
        ),
        (0, Event::Refreshing { resources: 210 }),
        (1, Event::Refreshed { resources: 210, gone: 1, drifted: 0, duration: Duration::from_millis(840) }),
        (1, started(12)),
        (1, Event::Executing { steps, estimate: Duration::from_secs(90) }),
        (1, begun(&bucket, Op::Create, "create")),
        (1, begun(&space, Op::Create, "create")),
        (2, ended(&space, Op::Create, "create", 1)),
        (2, begun(&loki, Op::Create, "create")),
        (3, waiting(&loki, "0/3 ready: ContainerCreating")),
        (4, waiting(&loki, "1/3 ready: ContainerCreating")),
        (14, waiting(&loki, "ImagePullBackOff: \x1b[31mno such\nimage")),
        (15, waiting(&loki, "ImagePullBackOff: \x1b[31mno such\nimage")),
        (
            15,
            Event::StepRetrying {
                urn: bucket.clone(),
                attempt: 1,
                after: Duration::from_millis(1500),
                reason: "SlowDown".into(),
            },
        ),
        (20, ended(&bucket, Op::Create, "create", 19)),
        (20, begun(&grafana, Op::Replace, "create")),
        (
            21,
            Event::StepWarning {
                urn: grafana.clone(),
                message: "metadata.labels is shared with kubectl".into(),
            },
        ),
        (30, ended(&grafana, Op::Replace, "create", 10)),
        (30, begun(&grafana, Op::Replace, "delete")),
        (32, ended(&grafana, Op::Replace, "delete", 2)),
        (
            62,
            Event::StepFailed {
                urn: loki.clone(),
                op: Op::Create,
                class: "timeout",
                message: "1 of 3 replicas is ready after 1m\nlast seen: ImagePullBackOff".into(),
                help: Some("check the image name in `platform.loki.image`".into()),
                duration: Duration::from_secs(60),
            },
        ),
        (62, Event::StepSkipped { urn: volume.clone(), op: Op::Create, because: loki.as_str().to_owned() }),
        (62, summary(Counts { create: 2, replace: 1, same: 210, failed: 1, ..Counts::default() }, 62)),
    ]
}
