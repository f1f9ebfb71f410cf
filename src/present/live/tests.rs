use std::time::{Duration, Instant};

use console::measure_text_width;
use indicatif::InMemoryTerm;
use insta::assert_snapshot;

use super::*;
use crate::engine::{Counts, Op};
use crate::present::tests::{begun, ended, eventful, queued, started, summary, urn, waiting};

const STYLE: Style = Style { colour: false, width: 80 };

struct Screen {
    live: Live<InMemoryTerm>,
    term: InMemoryTerm,
    begin: Instant,
}

impl Screen {
    fn new(rows: u16, columns: u16) -> Self {
        let term = InMemoryTerm::new(rows, columns);
        Self { live: Live::new(term.clone(), STYLE), term, begin: Instant::now() }
    }

    fn at(&self, second: u64) -> Instant {
        self.begin + Duration::from_secs(second)
    }

    fn play(&mut self, events: &[(u64, Event)]) {
        for (second, event) in events {
            let now = self.at(*second);
            self.live.event_at(event, now);
            self.live.draw(now);
        }
    }

    fn draw(&mut self, second: u64) -> String {
        let now = self.at(second);
        self.live.draw(now);
        // Many draws in no time run into the rate limit of the painter.
        self.live.bar.force_draw();
        self.term.contents()
    }

    fn finish(&mut self, second: u64) -> String {
        let now = self.at(second);
        self.live.finish_at(now);
        self.term.contents()
    }
}

#[test]
fn a_wait_for_another_run_is_shown() {
    let mut screen = Screen::new(24, 80);
    let lease = "plinth apply by ada on builder, process 4711".to_owned();
    screen.play(&[(0, Event::Locked { lease, up_to: Duration::from_secs(120) })]);
    assert_snapshot!(
        screen.draw(7),
        @"⠋ waiting up to 120 s for another run: plinth apply by ada on builder, proc…  7s"
    );
    screen.play(&[(9, started(3))]);
    assert_snapshot!(screen.draw(9), @"");
}

#[test]
fn a_run_in_a_usual_window() {
    let mut screen = Screen::new(24, 80);
    let events = eventful();
    let until = events.iter().position(|(second, _)| *second > 20).unwrap();
    screen.play(&events[..until]);
    assert_snapshot!(screen.draw(20), @r"
    recovered: the create of k8s:v1/PersistentVolumeClaim::logs/wal that was
      interrupted: it had not happened
    read 210 resources in 840ms, 1 gone
    ✓ storage         1/1      19s
    ✓ cluster         1/1       1s
    ⠋ logs            0/2      18s
      ⠋ + Deployment logs/loki-write     18s  ImagePullBackOff: no such image
    ⠋ dashboards      0/1       0s
      ⠋ + Deployment grafana/grafana      0s

    ⠋ apply prod #12  ━━━━━━━━━━━━━───────────────────────────  2/5, 2 running
      19s, about 1m 10s left
    ");
}

#[test]
fn a_run_in_a_small_window() {
    let mut screen = Screen::new(15, 60);
    let events = eventful();
    let until = events.iter().position(|(second, _)| *second > 20).unwrap();
    screen.play(&events[..until]);
    assert_snapshot!(screen.draw(20), @r"
    recovered: the create of
      k8s:v1/PersistentVolumeClaim::logs/wal that was
      interrupted: it had not happened
    read 210 resources in 840ms, 1 gone
    ✓ storage         1/1      19s
    ✓ cluster         1/1       1s
    ⠋ logs            0/2      18s
      ⠋ + Deployment logs/loki-wr…     18s  ImagePullBackOff: n…
    ⠋ dashboards      0/1       0s
      ⠋ + Deployment grafana/graf…      0s

    ⠋ apply prod #12  ━━━━━━━━──────────────────  2/5, 2 running
      19s, about 1m 10s left
    ");
}

#[test]
fn the_transcript_stays_when_the_run_is_over() {
    let mut screen = Screen::new(40, 80);
    screen.play(&eventful());
    assert_snapshot!(screen.finish(62), @r"
    recovered: the create of k8s:v1/PersistentVolumeClaim::logs/wal that was
      interrupted: it had not happened
    read 210 resources in 840ms, 1 gone
    warning: k8s:apps/v1/Deployment::grafana/grafana: metadata.labels is shared with
      kubectl
    ✓ storage         1/1      19s
    ✓ cluster         1/1       1s
    ✗ logs            0/2   1m 00s  1 failed, 1 skipped
    ✓ dashboards      1/1      12s

    error: create of k8s:apps/v1/Deployment::logs/loki-write failed after 1m 00s
      (timeout)
      1 of 3 replicas is ready after 1m
      last seen: ImagePullBackOff
      help: check the image name in `platform.loki.image`
      1 step needs it and was skipped: k8s:v1/PersistentVolumeClaim::logs/wal

    Took longest:
       19s  create  aws:s3/Bucket::loki-chunks
       10s  create  k8s:apps/v1/Deployment::grafana/grafana
      2.0s  delete  k8s:apps/v1/Deployment::grafana/grafana
      1.0s  create  k8s:v1/Namespace::logs

    Apply of prod, revision 12, failed after 1m 02s: 2 created, 1 replaced, 1
      failed, 1 skipped, 210 unchanged.
    What succeeded is recorded; run the same command again once the cause is gone.
    ");
}

#[test]
fn failures_show_while_the_rest_goes_on() {
    let mut screen = Screen::new(24, 80);
    let events = eventful();
    screen.play(&events[..events.len() - 1]);
    assert_snapshot!(screen.draw(62), @r"
    recovered: the create of k8s:v1/PersistentVolumeClaim::logs/wal that was
      interrupted: it had not happened
    read 210 resources in 840ms, 1 gone
    warning: k8s:apps/v1/Deployment::grafana/grafana: metadata.labels is shared with
      kubectl
    ✓ storage         1/1      19s
    ✓ cluster         1/1       1s
    ✗ logs            0/2   1m 00s  1 failed, 1 skipped
      ✗ Deployment logs/loki-write (timeout): 1 of 3 replicas is ready after 1m las…
    ✓ dashboards      1/1      12s

    ⠋ apply prod #12  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  3/5, 1 failed
      1m 01s
    ");
}

/// A run of 250 steps over eight phases: 70 done, 24 running.
fn large() -> Vec<(u64, Event)> {
    const PHASES: [&str; 8] =
        ["cloud", "cluster", "storage", "identity", "metrics", "logs", "traces", "dashboards"];
    let urns: Vec<_> = (0..250)
        .map(|at| (PHASES[at * 8 / 250], urn("k8s:apps/v1/StatefulSet", &format!("space/workload-{at}"))))
        .collect();
    let steps = urns.iter().map(|(phase, urn)| queued(Op::Create, phase, urn)).collect();
    let mut events =
        vec![(0, started(7)), (0, Event::Executing { steps, estimate: Duration::from_secs(300) })];
    for (at, (_, urn)) in urns.iter().enumerate().take(70) {
        events.push((at as u64 / 2, begun(urn, Op::Create, "create")));
        events.push((at as u64 / 2 + 1, ended(urn, Op::Create, "create", 1)));
    }
    for (at, (_, urn)) in urns.iter().enumerate().skip(120).take(24) {
        events.push((40 + at as u64 / 10, begun(urn, Op::Create, "create")));
        events.push((
            40 + at as u64 / 10,
            waiting(urn, "1/3 ready: 0/12 nodes are available: 3 Insufficient memory, 9 Too many pods"),
        ));
    }
    events
}

/// Many steps that wait for many things.
fn hindered() -> Vec<(u64, Event)> {
    let turn = |at: usize| {
        let waits = urn("aws:s3/Bucket", &format!("b{at}"));
        (76, waiting(&waits, &format!("its turn: `bucket/b{at}` takes one change at a time")))
    };
    (0..40).map(turn).collect()
}

#[test]
fn hundreds_of_steps_in_a_usual_window() {
    let mut screen = Screen::new(24, 80);
    screen.play(&large());
    assert_snapshot!(screen.draw(75), @r"
    ✓ cloud, cluster  63 steps
    ⠋ identity       0/31      23s
      ⠋ + StatefulSet space/workload-120     23s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-121     23s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-122     23s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-123     23s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-124     23s  1/3 ready: 0/12 nodes are availab…
    ⠋ metrics        0/32      23s
      ⠋ + StatefulSet space/workload-125     23s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-126     23s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-127     23s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-128     23s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-129     23s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-130     22s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-131     22s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-132     22s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-133     22s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-134     22s  1/3 ready: 0/12 nodes are availab…
      ⠋ + StatefulSet space/workload-135     22s  1/3 ready: 0/12 nodes are availab…
      … 8 more
    · storage, logs, traces, dashboards  117 steps to come
    ⠋ apply prod #7  ━━━━━━━━━━━─────────────────────────────  70/250, 24 running
      1m 15s, about 3m 50s left
    ");
}

#[test]
fn hundreds_of_steps_in_a_small_window() {
    let mut screen = Screen::new(15, 60);
    screen.play(&large());
    assert_snapshot!(screen.draw(75), @r"
    ✓ cloud, cluster  63 steps
    ⠋ identity       0/31      23s
      ⠋ + StatefulSet space/workl…     23s  1/3 ready: 0/12 nod…
      ⠋ + StatefulSet space/workl…     23s  1/3 ready: 0/12 nod…
      ⠋ + StatefulSet space/workl…     23s  1/3 ready: 0/12 nod…
      ⠋ + StatefulSet space/workl…     23s  1/3 ready: 0/12 nod…
      ⠋ + StatefulSet space/workl…     23s  1/3 ready: 0/12 nod…
    ⠋ metrics        0/32      23s
      ⠋ + StatefulSet space/workl…     23s  1/3 ready: 0/12 nod…
      ⠋ + StatefulSet space/workl…     23s  1/3 ready: 0/12 nod…
      … 17 more
    · storage, logs, traces, dashboards  117 steps to come
    ⠋ apply prod #7  ━━━━━━─────────────────  70/250, 24 running
      1m 15s, about 3m 50s left
    ");
}

#[test]
fn what_has_not_begun_shows_what_it_waits_for() {
    let mut screen = Screen::new(24, 90);
    let pools: Vec<_> = (0..5).map(|at| urn("aws:eks/NodeGroup", &format!("pool-{at}"))).collect();
    let steps = pools.iter().map(|pool| queued(Op::Create, "cluster", pool)).collect();
    let turn = "its turn: `eks/main` takes one change at a time";
    screen.play(&[
        (0, started(3)),
        (0, Event::Executing { steps, estimate: Duration::ZERO }),
        (0, begun(&pools[0], Op::Create, "create")),
        (0, waiting(&pools[0], "CREATING")),
        (0, waiting(&pools[1], turn)),
        (0, waiting(&pools[2], turn)),
        (0, waiting(&pools[3], "its turn: `vpc/main` takes one change at a time")),
        (1, Event::Paused { provider: "aws".into(), steps: 1, after: Duration::from_secs(30) }),
        (1, Event::Full { provider: None, steps: 1, most: 1 }),
    ]);
    assert_snapshot!(screen.draw(9), @r"
    ⠋ cluster      0/5       9s
      ⠋ + NodeGroup pool-0      9s  CREATING
      · 2 steps wait, each for its turn: `eks/main` takes one change at a time
      · NodeGroup pool-3 waits for its turn: `vpc/main` takes one change at a time
      · 1 step waits until aws takes calls again, in 22s
      · steps wait for others to end: 1 run at a time

    ⠋ apply prod #3  ────────────────────────────────────────  0/5, 1 running
      9s
    ");
    // One has begun, the pause is over, and there is room.
    screen.play(&[
        (40, begun(&pools[1], Op::Create, "create")),
        (40, ended(&pools[0], Op::Create, "create", 40)),
        (41, ended(&pools[1], Op::Create, "create", 1)),
    ]);
    assert_snapshot!(screen.draw(41), @r"
    · cluster      2/5      41s
      · NodeGroup pool-2 waits for its turn: `eks/main` takes one change at a time
      · NodeGroup pool-3 waits for its turn: `vpc/main` takes one change at a time

    ⠋ apply prod #3  ━━━━━━━━━━━━━━━━────────────────────────  2/5
      41s, about 1m 10s left
    ");
}

#[test]
fn a_frame_is_never_larger_than_its_window() {
    let mut tally = Tally::default();
    let begin = Instant::now();
    let size = |rows, columns| (rows, columns);
    for (second, event) in large().into_iter().chain(hindered()).chain(eventful()) {
        let now = begin + Duration::from_secs(second);
        tally.take(&event, now);
        for (rows, columns) in
            [size(3, 10), size(6, 40), size(10, 60), size(15, 60), size(24, 80), size(50, 200)]
        {
            let lines = frame::lines(&tally, now, "⠋", (rows, columns), &STYLE);
            assert!(lines.len() < rows, "{} lines in {rows} rows", lines.len());
            assert!(lines.iter().all(|line| measure_text_width(line) <= columns), "{lines:#?}");
        }
    }
}

#[test]
fn nothing_moves_while_held_and_the_next_event_goes_on() {
    let mut screen = Screen::new(15, 60);
    screen.play(&[(0, Event::Refreshing { resources: 3 })]);
    assert_snapshot!(screen.draw(2), @"⠋ reading 3 resources  2s");
    screen.live.hold();
    assert_eq!(screen.draw(3), "");
    let a = urn("plinth:Data", "a");
    screen.play(&[
        (4, started(1)),
        (4, Event::Executing { steps: vec![queued(Op::Create, "", &a)], estimate: Duration::ZERO }),
        (4, begun(&a, Op::Create, "create")),
    ]);
    assert_snapshot!(screen.draw(5), @r"
    ⠋ resources      0/1       1s
      ⠋ + Data a      1s

    ⠋ apply prod #1  ───────────────────────────  0/1, 1 running
      1s
    ");
    screen.play(&[
        (6, ended(&a, Op::Create, "create", 2)),
        (6, summary(Counts { create: 1, ..Counts::default() }, 6)),
    ]);
    assert_snapshot!(screen.finish(6), @r"
    ✓ resources      1/1       2s

    Apply of prod, revision 1, succeeded in 6.0s: 1 created.
    ");
}

#[test]
fn a_run_that_never_began_leaves_nothing() {
    let mut screen = Screen::new(15, 60);
    screen.play(&[(0, Event::Refreshing { resources: 3 })]);
    assert_eq!(screen.finish(1), "");
}
