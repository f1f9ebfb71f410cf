use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use insta::assert_snapshot;

use super::*;
use crate::engine::Events;
use crate::present::{self, Presenter, Pump, Style, plain::Plain};

/// A stream whose content can be read after it has been given away.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn played(events: &[(u64, Event)]) -> String {
    let out = Shared::default();
    let mut presenter = Plain::new(Box::new(out.clone()), Style::default());
    let begin = Instant::now();
    let mut last = 0;
    for (second, event) in events {
        presenter.event_at(event, begin + Duration::from_secs(*second));
        last = *second;
    }
    presenter.finish_at(begin + Duration::from_secs(last));
    drop(presenter);
    out.text()
}

#[test]
fn plain_lines_tell_a_run_with_failures() {
    let text = played(&eventful());
    assert!(!text.contains('\x1b'));
    assert_snapshot!(text, @r"
    recovered: the create of k8s:v1/PersistentVolumeClaim::logs/wal that was interrupted: it had not happened
    reading 210 resources
    read 210 resources in 840ms, 1 gone
    apply prod, revision 12: 5 steps, about 1m 30s expected
      creating aws:s3/Bucket::loki-chunks
      creating k8s:v1/Namespace::logs
      created k8s:v1/Namespace::logs in 1.0s
      creating k8s:apps/v1/Deployment::logs/loki-write
      waiting for k8s:apps/v1/Deployment::logs/loki-write: 0/3 ready: ContainerCreating
      waiting for k8s:apps/v1/Deployment::logs/loki-write: ImagePullBackOff: no such image
      retrying aws:s3/Bucket::loki-chunks in 1.5s: try 1 failed: SlowDown
      created aws:s3/Bucket::loki-chunks in 19s
      creating the new k8s:apps/v1/Deployment::grafana/grafana
      warning: k8s:apps/v1/Deployment::grafana/grafana: metadata.labels is shared with kubectl
      created the new k8s:apps/v1/Deployment::grafana/grafana in 10s
      deleting the old k8s:apps/v1/Deployment::grafana/grafana
      deleted the old k8s:apps/v1/Deployment::grafana/grafana in 2.0s
      failed to create k8s:apps/v1/Deployment::logs/loki-write after 1m 00s (timeout): 1 of 3 replicas is ready after 1m last seen: ImagePullBackOff
      skipped the create of k8s:v1/PersistentVolumeClaim::logs/wal because k8s:apps/v1/Deployment::logs/loki-write failed

    error: create of k8s:apps/v1/Deployment::logs/loki-write failed after 1m 00s (timeout)
      1 of 3 replicas is ready after 1m
      last seen: ImagePullBackOff
      help: check the image name in `platform.loki.image`
      1 step needs it and was skipped: k8s:v1/PersistentVolumeClaim::logs/wal

    Took longest:
       19s  create  aws:s3/Bucket::loki-chunks
       10s  create  k8s:apps/v1/Deployment::grafana/grafana
      2.0s  delete  k8s:apps/v1/Deployment::grafana/grafana
      1.0s  create  k8s:v1/Namespace::logs

    Apply of prod, revision 12, failed after 1m 02s: 2 created, 1 replaced, 1 failed, 1 skipped, 210 unchanged.
    What succeeded is recorded; run the same command again once the cause is gone.
    ");
}

#[test]
fn plain_lines_tell_a_run_without_failures() {
    let (a, b) = (urn("plinth:Data", "a"), urn("plinth:Data", "b"));
    let steps = vec![queued(Op::Create, "", &a), queued(Op::Forget, "", &b)];
    assert_snapshot!(played(&[
        (0, started(1)),
        (0, Event::Executing { steps, estimate: Duration::ZERO }),
        (0, begun(&a, Op::Create, "create")),
        (3, ended(&a, Op::Create, "create", 3)),
        (3, begun(&b, Op::Forget, "forget")),
        (3, ended(&b, Op::Forget, "forget", 0)),
        (3, summary(Counts { create: 1, delete: 1, ..Counts::default() }, 3)),
    ]), @r"
    apply prod, revision 1: 2 steps
      creating plinth:Data::a
      created plinth:Data::a in 3.0s
      forgetting plinth:Data::b
      forgot plinth:Data::b in 0ms

    Took longest:
      3.0s  create  plinth:Data::a
       0ms  forget  plinth:Data::b

    Apply of prod, revision 1, succeeded in 3.0s: 1 created, 1 forgotten.
    ");
}

#[test]
fn what_a_cluster_has_left_is_told_before_the_outcome() {
    let a = urn("plinth:Data", "a");
    let arns = vec!["arn:aws:ec2:x:1:volume/vol-1".to_owned(), "arn:aws:logs:x:1:log-group:y".to_owned()];
    assert_snapshot!(played(&[
        (0, started(1)),
        (0, Event::Executing { steps: vec![queued(Op::Delete, "", &a)], estimate: Duration::ZERO }),
        (0, begun(&a, Op::Delete, "delete")),
        (3, ended(&a, Op::Delete, "delete", 3)),
        (3, Event::Leftovers { cluster: "dev".into(), arns }),
        (3, summary(Counts { delete: 1, ..Counts::default() }, 3)),
    ]), @r"
    apply prod, revision 1: 1 step
      deleting plinth:Data::a
      deleted plinth:Data::a in 3.0s

    warning: the cluster dev is gone, and this is left of it:
      arn:aws:ec2:x:1:volume/vol-1
      arn:aws:logs:x:1:log-group:y
    help: load balancers and volumes were made by Kubernetes, logs by EKS; remove them by hand if nobody needs them

    Apply of prod, revision 1, succeeded in 3.0s: 1 deleted.
    ");
}

#[test]
fn plain_lines_tell_an_interrupted_run() {
    let (a, b) = (urn("plinth:Data", "a"), urn("plinth:Data", "b"));
    let steps = vec![queued(Op::Create, "", &a), queued(Op::Create, "", &b)];
    assert_snapshot!(played(&[
        (0, started(1)),
        (0, Event::Executing { steps, estimate: Duration::ZERO }),
        (0, begun(&a, Op::Create, "create")),
        (1, Event::Interrupted { at_once: false }),
        (3, ended(&a, Op::Create, "create", 3)),
        (3, Event::StepSkipped { urn: b, op: Op::Create, because: "the run was interrupted".into() }),
        (3, summary(Counts { create: 1, ..Counts::default() }, 3)),
    ]), @r"
    apply prod, revision 1: 2 steps
      creating plinth:Data::a
    interrupted: nothing new begins; what is in flight is finished and recorded (interrupt again to stop now)
      created plinth:Data::a in 3.0s
      skipped the create of plinth:Data::b because the run was interrupted

    Skipped because the run was interrupted: plinth:Data::b.

    Apply of prod, revision 1, was interrupted after 3.0s: 1 created, 1 skipped.
    Run the same command again to continue; it finds out by itself what happened.
    ");
}

#[test]
fn notes_of_a_plan_are_left_to_the_plan() {
    let note = |message: &str| (0, Event::Note { message: message.into() });
    let told = (0, Event::Step(Box::new((&step(Op::Create, "", "plinth:Data", "a")).into())));
    assert_eq!(played(&[told.clone(), note("of the plan"), note("of the plan too")]), "");
    assert_eq!(played(&[note("alone")]), "note: alone\n");
    assert_eq!(
        played(&[told, (0, Event::Refreshing { resources: 1 }), note("later")]),
        "reading 1 resource\nnote: later\n"
    );
}

#[test]
fn json_is_one_event_per_line_and_ends_with_the_summary() {
    let out = Shared::default();
    let mut presenter = present::json(Box::new(out.clone()));
    for (_, event) in eventful() {
        presenter.event(&event);
    }
    presenter.finish();
    let text = out.text();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), eventful().len());
    assert!(lines.iter().all(|line| line["event"].is_string()));
    assert_snapshot!(text.lines().last().unwrap(), @r#"
    {"event":"summary","create":2,"update":0,"replace":1,"delete":0,"same":210,"failed":1,"duration_ms":62000}
    "#);
}

/// Notes what a pump asks of a presenter.
struct Diary(Arc<Mutex<Vec<&'static str>>>);

impl Presenter for Diary {
    fn event(&mut self, _: &Event) {
        self.0.lock().unwrap().push("event");
    }
    fn hold(&mut self) {
        self.0.lock().unwrap().push("hold");
    }
    fn finish(&mut self) {
        self.0.lock().unwrap().push("finish");
    }
}

#[tokio::test]
async fn holding_waits_for_what_was_told_before() {
    let diary = Arc::new(Mutex::new(Vec::new()));
    let (events, receiver) = Events::channel();
    let pump = Pump::start(receiver, Box::new(Diary(diary.clone())));
    for _ in 0..3 {
        events.send(Event::Refreshing { resources: 1 });
    }
    let _held = pump.hold().await;
    assert_eq!(*diary.lock().unwrap(), ["event", "event", "event", "hold"]);
    events.send(Event::Refreshing { resources: 1 });
    // A sender is still there: finishing must not wait for it.
    pump.finish().await;
    assert_eq!(*diary.lock().unwrap(), ["event", "event", "event", "hold", "event", "finish"]);
}

#[tokio::test]
async fn a_pump_ends_with_its_senders() {
    let diary = Arc::new(Mutex::new(Vec::new()));
    let (events, receiver) = Events::channel();
    events.send(Event::Refreshing { resources: 1 });
    drop(events);
    present::pump(receiver, Box::new(Diary(diary.clone()))).await;
    assert_eq!(*diary.lock().unwrap(), ["event", "finish"]);
}
