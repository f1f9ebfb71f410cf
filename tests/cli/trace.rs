//! Traces of runs: a file that opens in Perfetto whatever became of the run, and export to a collector.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::support::{SMALL, Sandbox};

fn events(sandbox: &Sandbox, file: &str) -> Vec<Json> {
    let text = std::fs::read(sandbox.path(file)).unwrap();
    serde_json::from_slice(&text)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)))
}

#[test]
fn a_trace_holds_the_run_its_steps_their_calls_and_the_appends() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    sandbox.plinth(&["apply", "-s", "small.yaml", "--yes", "--trace", "trace.json"]).expect(0);
    let events = events(&sandbox, "trace.json");
    let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
    let mut open: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for event in &events {
        let (name, track) = (event["name"].as_str().unwrap(), event["tid"].as_u64().unwrap());
        match event["ph"].as_str() {
            Some("B") => {
                *begun.entry(name).or_default() += 1;
                open.entry(track).or_default().push(name);
            }
            Some("E") => assert_eq!(open.get_mut(&track).and_then(Vec::pop), Some(name), "ends nest"),
            other => panic!("{other:?}"),
        }
    }
    assert!(open.values().all(Vec::is_empty), "everything that began has ended: {open:?}");
    assert_eq!((begun["plinth"], begun["run"], begun["step"]), (1, 1, 8), "{begun:?}");
    assert!(begun["call"] >= 8 && begun["append"] >= 3, "{begun:?}");
    let urn = |event: &Json| event["args"]["urn"].as_str().is_some_and(|urn| urn.ends_with("::web"));
    assert!(events.iter().any(urn), "steps say which resource they are of");
    // A plan can be traced as well, and a file that cannot be made is told before anything is done.
    sandbox.plinth(&["plan", "-s", "small.yaml", "--trace", "plan.json"]).expect(0);
    let refused =
        sandbox.plinth(&["plan", "-s", "small.yaml", "--trace", "no/such/folder/trace.json"]).expect(1);
    assert!(refused.err.contains("no/such/folder/trace.json"), "{}", refused.err);
}

#[test]
fn the_trace_of_a_killed_run_is_well_formed() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    let args = ["apply", "-s", "small.yaml", "--yes", "--trace", "trace.json"];
    let mut run = sandbox.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let steps = || {
        let text = std::fs::read(sandbox.path("trace.json")).unwrap_or_default();
        String::from_utf8_lossy(&text).matches("\"step\"").count()
    };
    while steps() < 2 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(events(&sandbox, "trace.json").len() >= 2);
}

#[test]
fn spans_get_to_a_collector_and_a_dead_one_costs_nothing() {
    let sandbox = Sandbox::new();
    let stack = "apiVersion: plinth.dev/v1\nkind: Stack\nname: s\ncloud: { provider: local }\nresources:\n  - { kind: \"plinth:Data\", name: a, inputs: { value: v } }\n";
    sandbox.write("s.yaml", stack);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let collector = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        while bodies.is_empty() {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            loop {
                let read = stream.read(&mut buffer).unwrap();
                bytes.extend(&buffer[..read]);
                let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length =
                    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if bytes.len() >= end + 4 + length.unwrap_or(0usize) {
                    assert!(head.starts_with("post /v1/traces"), "{head}");
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
                    bodies.push(serde_json::from_slice::<Json>(&bytes[end + 4..]).unwrap());
                    break;
                }
            }
        }
        bodies
    });
    let mut apply = sandbox.command(&["apply", "-s", "s.yaml", "--yes"]);
    apply.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    let ran = apply.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let bodies = collector.join().unwrap();
    let spans = bodies[0]["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let named = |name: &str| spans.iter().find(|span| span["name"] == name);
    let (step, call) = (named("step").expect("a step"), named("call").expect("a call"));
    assert_eq!(call["parentSpanId"], step["spanId"]);

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut plan = sandbox.command(&["plan", "-s", "s.yaml"]);
    plan.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{gone}"));
    let begun = Instant::now();
    let ran = plan.output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "a trace that gets lost fails no command");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("did not get to"), "and that is told: {said}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}
