//! Runs as processes: exit codes, the lease, interrupts, events, other homes for state.

use std::process::Stdio;
use std::time::{Duration, Instant};

use plinth_provider::{Recorded, Urn, Value};
use plinth_state::{Action, Event, Holder, Intent, Keys, Log, OutcomeResult};
use serde_json::Value as Json;

use crate::support::{SMALL, Sandbox};

#[test]
fn events_are_one_json_object_per_line_and_end_with_a_summary() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    let planned = sandbox.plinth(&["plan", "-s", "small.yaml", "--json"]).expect(2);
    assert_eq!(planned.counts(), [8, 0, 0, 0, 0]);
    assert!(planned.summary()["duration_ms"].is_u64() && planned.summary()["same"] == 0);
    let applied = sandbox.plinth(&["apply", "-s", "small.yaml", "--yes", "--json"]).expect(0);
    let kinds: Vec<String> =
        applied.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    for kind in ["step", "started", "step_started", "step_finished", "summary"] {
        assert!(kinds.iter().any(|found| found == kind), "{kind} in {kinds:?}");
    }
    let again = sandbox.plinth(&["apply", "-s", "small.yaml", "--yes", "--json"]).expect(0);
    assert_eq!(again.counts(), [0; 5]);
    assert_eq!(again.summary()["same"], 8);
    let destroyed = sandbox.plinth(&["destroy", "-s", "small.yaml", "--yes", "--json"]).expect(0);
    assert_eq!(destroyed.counts(), [0, 0, 0, 8, 0]);
}

#[test]
fn pipes_get_plain_lines() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    let ran = sandbox.plinth(&["apply", "-s", "small.yaml", "--yes"]).expect(0);
    assert!(
        !ran.out.contains('\x1b') && !ran.out.contains('\r'),
        "no cursor tricks, no colour:\n{}",
        ran.out
    );
    assert!(ran.out.contains("8 created"), "{}", ran.out);
}

#[test]
fn a_held_lease_is_exit_code_three_with_the_facts() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL.replace("web:1.0.0", "web:does-not-exist"));
    let mut first = sandbox
        .command(&["apply", "-s", "small.yaml", "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It holds the lease while it waits for an image that does not exist.
    let deadline = Instant::now() + Duration::from_secs(20);
    let held = loop {
        let ran = sandbox.plinth(&["destroy", "-s", "small.yaml", "--yes"]);
        if ran.code == 3 || Instant::now() > deadline {
            break ran;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let told = sandbox.plinth(&["state", "rm", "nothing", "-s", "small.yaml", "--json"]).expect(1);
    assert!(told.out.is_empty(), "{}", told.out);
    let told = sandbox.plinth(&["destroy", "-s", "small.yaml", "--yes", "--json"]).expect(3);
    let pid = first.id().to_string();
    let _ = first.kill();
    first.wait().unwrap();
    let event = told.events().pop().unwrap();
    assert_eq!((&event["event"], &event["stack"]), (&"held".into(), &"small".into()), "{event}");
    assert_eq!(event["pid"].to_string(), pid, "{event}");
    let held = held.expect(3);
    assert!(
        held.err.contains("holds the lease") && held.err.contains(&pid) && held.err.contains("plinth apply"),
        "{}",
        held.err
    );
    // Its process is dead now, so the lease is taken over at once, and what it began is cleared up.
    sandbox.plinth(&["destroy", "-s", "small.yaml", "--yes"]).expect(0);
    assert_eq!(sandbox.plinth(&["state", "list", "-s", "small.yaml"]).expect(0).out, "");
}

#[test]
fn sigterm_ends_a_wait_that_would_not_end_by_itself() {
    let sandbox = Sandbox::new();
    // A pod that fits on no node waits for one.
    sandbox.write(
        "stuck.yaml",
        "apiVersion: plinth.dev/v1\nkind: Stack\nname: stuck\ncloud: { provider: local }\nresources:\n  - kind: \"k8s:apps/v1/Deployment\"\n    name: stuck\n    inputs: { metadata: { name: stuck, namespace: default }, spec: { selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: { nodeSelector: { no: where }, containers: [ { name: c, image: x } ] } } } }\n",
    );
    let mut run = sandbox
        .command(&["apply", "-s", "stuck.yaml", "--yes", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(
        std::process::Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap().success()
    );
    let (code, out) = run.wait_with_output_timeout(Duration::from_secs(20));
    assert_eq!(code, Some(130), "{out}");
    // What it had made is known, and goes.
    sandbox.plinth(&["destroy", "-s", "stuck.yaml", "--yes"]).expect(0);
    assert_eq!(sandbox.plinth(&["state", "list", "-s", "stuck.yaml"]).expect(0).out, "");
}

#[test]
fn of_several_applies_at_once_one_does_the_work_and_the_others_find_it_done() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    sandbox.plinth(&["apply", "-s", "small.yaml", "--yes"]).expect(0);
    sandbox.edit("small.yaml", "replicas: 2", "replicas: 3");
    let runs: Vec<_> = (0..6)
        .map(|_| {
            let args = [
                "apply",
                "-s",
                "small.yaml",
                "--yes",
                "--json",
                "--refresh",
                "always",
                "--lock-timeout",
                "60",
            ];
            let mut command = sandbox.command(&args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut updated = 0;
    for run in runs {
        let output = run.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}{err}");
        let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "summary", "{out}");
        updated += last["update"].as_u64().unwrap();
    }
    assert_eq!(updated, 1, "the change is made once");
    let revisions = sandbox.plinth(&["history", "-s", "small.yaml", "--json"]).expect(0).events();
    assert_eq!(revisions.len(), 2, "and recorded once: {revisions:?}");
}

#[test]
fn the_first_interrupt_finishes_what_is_in_flight() {
    let sandbox = Sandbox::with_stacks();
    let mut run = sandbox
        .command(&["apply", "-s", "local", "--yes", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let signalled =
        std::process::Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let output = run.wait_with_output_timeout(Duration::from_secs(60));
    assert_eq!(output.0, Some(130), "{}", output.1);
    assert!(output.1.contains("\"event\":\"interrupted\""));
    let state = sandbox.plinth(&["state", "verify", "-s", "local"]).expect(0);
    assert!(!state.out.is_empty());
    sandbox.plinth(&["destroy", "-s", "local", "--yes"]).expect(0);
}

#[test]
fn state_and_the_embedded_cloud_live_where_they_are_told() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    let url = format!("file://{}", sandbox.path("elsewhere").display());
    sandbox.plinth(&["apply", "-s", "small.yaml", "--yes", "--state", &url]).expect(0);
    assert!(sandbox.path("elsewhere/small/log").exists() && !sandbox.path(".plinth").exists());
    sandbox.plinth(&["plan", "-s", "small.yaml", "--state", &url, "--refresh", "always"]).expect(0);
    sandbox.plinth(&["state", "verify", "-s", "small.yaml", "--state", &url]).expect(0);
    // A rehearsal of the same stack is another world.
    let rehearsed =
        sandbox.plinth(&["plan", "-s", "small.yaml", "--state", &url, "--rehearse", "--json"]).expect(2);
    assert_eq!(rehearsed.counts()[0], 8);
}

#[test]
fn faults_are_survived_and_replayed_by_seed() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    for seed in ["1:0.3", "2:0.3", "3:0.3"] {
        sandbox
            .plinth(&["apply", "-s", "small.yaml", "--rehearse", "--faults", seed, "--yes", "--json"])
            .expect(0);
        sandbox.plinth(&["plan", "-s", "small.yaml", "--rehearse", "--refresh", "always"]).expect(0);
        sandbox.plinth(&["destroy", "-s", "small.yaml", "--rehearse", "--faults", seed, "--yes"]).expect(0);
    }
}

trait WaitWithTimeout {
    fn wait_with_output_timeout(&mut self, patience: Duration) -> (Option<i32>, String);
}

impl WaitWithTimeout for std::process::Child {
    fn wait_with_output_timeout(&mut self, patience: Duration) -> (Option<i32>, String) {
        use std::io::Read;
        let mut out = self.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = out.read_to_string(&mut text);
            text
        });
        let deadline = Instant::now() + patience;
        let status = loop {
            match self.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    let _ = self.kill();
                    break self.wait().unwrap();
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        (status.code(), reader.join().unwrap())
    }
}

/// A rehearsal takes its share of what the real stack took, where the real stack's state lies on this machine.
#[tokio::test]
async fn a_rehearsal_goes_at_the_real_stacks_pace() {
    let sandbox = Sandbox::with_stacks();
    // Two minutes for a cluster; the embedded cloud's own idea of one is 2.5 s, which stands for ten.
    let backend =
        plinth_state::open_backend(&format!("file://{}", sandbox.path(".plinth").display())).unwrap();
    let keys = || Keys::Identity(sandbox.path(".plinth/_identity.txt"));
    let (log, state) = Log::open(backend, "aws", keys()).await.unwrap();
    let writer =
        log.acquire(state, Holder::default(), Duration::from_secs(60), Duration::ZERO).await.unwrap();
    let urn = Urn::new("aws", "aws:eks/Cluster", "cluster").unwrap();
    let recorded = Recorded {
        urn: urn.clone(),
        id: "cluster".to_owned(),
        inputs: Value::map(),
        outputs: Value::map(),
        connection: None,
        dependencies: Vec::new(),
        options: Default::default(),
        unsettled: false,
    };
    let op = writer.next_op();
    writer.append(vec![Event::Intent(Box::new(Intent::new(op, Action::Create, urn)))]).await.unwrap();
    let result = OutcomeResult::Succeeded { recorded: Box::new(recorded) };
    writer.append(vec![Event::Outcome { op, result, duration_ms: 120_000 }]).await.unwrap();
    writer.release().await.unwrap();

    let target = "local:cloud/Cluster::*";
    let run = sandbox
        .plinth(&["apply", "-s", "stacks/aws.yaml", "--rehearse", "--target", target, "--yes", "--json"])
        .expect(0);
    let events = run.events();
    let of_cluster = |event: &&Json| {
        event["event"] == "step_finished"
            && event["urn"].as_str().is_some_and(|urn| urn.contains("cloud/Cluster::"))
    };
    let took = events.iter().find(of_cluster).unwrap()["duration_ms"].as_u64().unwrap();
    assert!((500..2_000).contains(&took), "the cluster took {took} ms");
    assert!(!sandbox.path(".plinth/_local").exists(), "nothing was made for real");
}
