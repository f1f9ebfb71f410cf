//! A run that is stopped says so, and one that changes nothing stops at once.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Ran, Sandbox};

const STACK: &str =
    "apiVersion: plinth.dev/v1\nkind: Stack\nname: t\ncloud: { provider: local }\nresources:\n";

fn begun(sandbox: &Sandbox, args: &[&str]) -> Child {
    sandbox.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn terminate(child: &Child) {
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn with_cluster() -> Sandbox {
    let sandbox = Sandbox::new();
    let cluster = "  - { kind: \"local:cloud/Network\", name: n, inputs: {} }\n  - { kind: \"plinth:Data\", name: d, inputs: { v: \"${n.id}\" } }\n";
    sandbox.write("s.yaml", format!("{STACK}{cluster}"));
    sandbox
}

/// A run that works for some seconds, and holds the lease.
fn working(sandbox: &Sandbox, json: bool) -> Child {
    let mut args = vec!["apply", "-s", "s.yaml", "--yes", "--faults", "1:0,latency=20"];
    args.extend(json.then_some("--json"));
    let run = begun(sandbox, &args);
    wait_until("it begins", || {
        let planned = sandbox.plinth(&["plan", "-s", "s.yaml"]).out;
        planned.contains("another run is under way, with 1 operation at the moment")
    });
    run
}

#[test]
fn a_run_whose_lease_was_broken_does_not_say_that_it_succeeded() {
    for json in [false, true] {
        let sandbox = with_cluster();
        let run = working(&sandbox, json);
        sandbox.plinth(&["state", "unlock", "-s", "s.yaml", "--yes"]).expect(0);
        let ran = Ran::of(run.wait_with_output().unwrap()).expect(3);
        if json {
            let summary = ran.summary();
            assert_eq!(ran.events().last(), Some(&summary), "it is the last word");
            assert!(summary["stopped"].is_string() && summary["unfinished"] == 1, "{summary}");
        } else {
            assert!(
                ran.out.contains("was stopped after") && ran.out.contains("1 without an outcome"),
                "{}",
                ran.out
            );
            assert!(!ran.out.contains("succeeded"), "{}", ran.out);
        }
    }
}

#[test]
fn what_changes_nothing_stops_at_once() {
    let sandbox = with_cluster();
    let run = working(&sandbox, false);
    let mut waiting = begun(&sandbox, &["apply", "-s", "s.yaml", "--yes", "--lock-timeout", "600"]);
    std::thread::sleep(Duration::from_millis(700));
    assert!(waiting.try_wait().unwrap().is_none(), "it waits for the lease");
    let since = Instant::now();
    terminate(&waiting);
    let ran = Ran::of(waiting.wait_with_output().unwrap()).expect(130);
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    assert!(ran.err.contains("interrupted: nothing was changed"), "{}", ran.err);
    terminate(&run);
    terminate(&run);
    let _ = run.wait_with_output();
    // A second stack, whose cluster takes its time to answer.
    let slow = Sandbox::new();
    let object = "  - { kind: \"k8s:v1/Namespace\", name: a, inputs: { metadata: { name: a } } }\n";
    slow.write("s.yaml", format!("{STACK}{object}"));
    slow.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(0);
    for command in [&["plan"][..], &["apply", "--yes"], &["drift"]] {
        let mut args = [command, &["-s", "s.yaml", "--faults", "1:0,distance=20000"]].concat();
        if command[0] != "drift" {
            args.extend(["--refresh", "always"]);
        }
        let reading = begun(&slow, &args);
        std::thread::sleep(Duration::from_millis(1000));
        let since = Instant::now();
        terminate(&reading);
        let ran = Ran::of(reading.wait_with_output().unwrap()).expect(130);
        assert!(since.elapsed() < Duration::from_secs(5), "{command:?}: {:?}", since.elapsed());
        assert!(ran.err.contains("interrupted: nothing was changed"), "{command:?}: {}", ran.err);
    }
}

#[test]
fn what_cannot_be_said_is_not_lost_in_silence() {
    let sandbox = Sandbox::new();
    sandbox.write("s.yaml", format!("{STACK}  - {{ kind: \"plinth:Data\", name: a }}\n"));
    sandbox.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(0);
    for args in [
        &["state", "export", "-s", "s.yaml"][..],
        &["state", "list", "-s", "s.yaml"],
        &["plan", "-s", "s.yaml", "--json"],
        &["schema"],
        &["graph", "-s", "s.yaml"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = sandbox.command(args).stdout(full).output().unwrap();
        let ran = Ran::of(output).expect(1);
        assert!(
            ran.err.contains("standard output cannot be written: No space left"),
            "{args:?}: {}",
            ran.err
        );
    }
}

#[test]
fn a_plan_knows_that_a_killed_run_left_something_open() {
    let sandbox = with_cluster();
    sandbox.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(0);
    sandbox.edit("s.yaml", "v: ", "w: 1, v: ");
    let killed = (5..40).any(|point| {
        sandbox.plinth(&["apply", "-s", "s.yaml", "--yes", "--faults", &format!("1:0,crash={point}")]);
        sandbox.plinth(&["plan", "-s", "s.yaml"]).out.contains("without an outcome")
    });
    assert!(killed, "some point lies between an intent and its outcome");
    sandbox.edit("s.yaml", "w: 1, v: ", "v: ");
    let planned = sandbox.plinth(&["plan", "-s", "s.yaml"]).expect(2);
    assert!(planned.out.contains("No changes are known yet"), "{}", planned.out);
    assert!(
        planned.out.contains("an interrupted run left 1 operation without an outcome"),
        "{}",
        planned.out
    );
    sandbox.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(0);
    sandbox.plinth(&["plan", "-s", "s.yaml"]).expect(0);
}
