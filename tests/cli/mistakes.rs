//! The wrong input first: one clear diagnostic with its place, exit code 1, and no side effect.

use crate::support::{SMALL, Sandbox};

const HEAD: &str = "apiVersion: plinth.dev/v1\nkind: Stack\nname: bad\ncloud: { provider: local }\n";

#[test]
fn every_bad_file_gets_one_diagnostic_and_no_side_effect() {
    let text = |body: &str| format!("{HEAD}{body}").into_bytes();
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        (
            "a misspelt key",
            text("platform:\n  grafana:\n    replcas: 2\n"),
            &["bad.yaml:7:5", "`replcas`", "did you mean `replicas`?"],
        ),
        (
            "a wrong type",
            text("platform:\n  grafana:\n    replicas: two\n"),
            &["bad.yaml:7:15", "whole number", "\"two\""],
        ),
        (
            "a cycle",
            text(
                "resources:\n  - { kind: 'plinth:Data', name: a, inputs: { v: '${b.v}' } }\n  - { kind: 'plinth:Data', name: b, inputs: { v: '${a.v}' } }\n",
            ),
            &["bad.yaml:6", "a → b → a"],
        ),
        (
            "a dangling reference",
            text("resources:\n  - { kind: 'plinth:Data', name: a, inputs: { v: '${zz.v}' } }\n"),
            &["bad.yaml:6:50", "`zz`"],
        ),
        ("a bad CIDR", text("cluster:\n  publicCidrs: [10.0.0.0/99]\n"), &["bad.yaml:6:17", "10.0.0.0/99"]),
        (
            "a missing file to extend",
            text("extends: nope.yaml\n"),
            &["bad.yaml:5:10", "nope.yaml", "does not exist"],
        ),
        ("invalid YAML", b"a: [1,\nb: {".to_vec(), &["bad.yaml:2", "not valid YAML"]),
        ("binary garbage", vec![0, 159, 146, 150, 255, 1, 2, 3], &["bad.yaml", "not text"]),
        ("an empty file", Vec::new(), &["bad.yaml:1:1", "holds nothing"]),
        (
            "an unknown provider",
            text("resources:\n  - { kind: 'foo:Bar', name: a }\n"),
            &["bad.yaml:6", "no provider for kind `foo:Bar`", "k8s:"],
        ),
        (
            "a wrong field of an object",
            text(
                "resources:\n  - kind: 'k8s:v1/Service'\n    name: d\n    inputs: { metadata: { name: d }, spec: { ports: many } }\n",
            ),
            &["bad.yaml:8", "spec.ports", "a list"],
        ),
        (
            "a duplicate name",
            text("resources:\n  - { kind: 'plinth:Data', name: a }\n  - { kind: 'plinth:Data', name: a }\n"),
            &["bad.yaml:7", "`a`"],
        ),
    ];
    for (what, bytes, wanted) in cases {
        let sandbox = Sandbox::new();
        sandbox.write("bad.yaml", bytes);
        for command in [&["apply", "--yes", "-s", "bad.yaml"] as &[&str], &["plan", "-s", "bad.yaml"]] {
            let ran = sandbox.plinth(command).expect(1);
            assert_eq!(ran.out, "", "{what}: diagnostics go to standard error");
            assert_eq!(ran.err.matches("error: ").count(), 1, "{what}: one diagnostic:\n{}", ran.err);
            for text in wanted {
                assert!(ran.err.contains(text), "{what}: says `{text}`:\n{}", ran.err);
            }
            assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
        }
        let files: Vec<_> = sandbox.files().into_iter().map(|(path, _)| path).collect();
        assert_eq!(files, [sandbox.path("bad.yaml")], "{what}: no side effect");
    }
}

#[test]
fn what_is_asked_for_and_not_there_is_explained() {
    let sandbox = Sandbox::new();
    sandbox.write("stacks/dev.yaml", HEAD);
    let ran = sandbox.plinth(&["apply", "-s", "prod", "--yes"]).expect(1);
    assert!(ran.err.contains("stacks/prod.yaml") && ran.err.contains("there are: dev"), "{}", ran.err);
    let ran = sandbox.plinth(&["aply"]).expect(1);
    assert!(ran.err.contains("apply"), "{}", ran.err);
    let ran = sandbox.plinth(&["apply", "-s", "dev"]).expect(1);
    assert!(ran.err.contains("--yes"), "off a terminal it refuses: {}", ran.err);
    let ran = sandbox.plinth(&["plan", "-s", "dev", "--state", "ftp://x"]).expect(1);
    assert!(ran.err.contains("`ftp://` is not supported"), "{}", ran.err);
    let ran = sandbox.plinth(&["local", "kubeconfig"]).expect(1);
    assert!(ran.err.contains("plinth local serve"), "{}", ran.err);
}

#[test]
fn a_mistake_in_one_resource_stops_all_of_them_before_the_first() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL.replace("replicas: 2", "replicas: -2x"));
    sandbox.plinth(&["apply", "-s", "small.yaml", "--yes"]).expect(1);
    assert!(!sandbox.path(".plinth").exists(), "nothing was half applied");
}

#[test]
fn a_failing_workload_says_why_and_the_next_run_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL.replace("web:1.0.0", "web:does-not-exist"));
    let ran = sandbox.plinth(&["apply", "-s", "small.yaml", "--yes", "--json"]).expect(1);
    let failed =
        ran.events().into_iter().find(|event| event["event"] == "step_failed").expect("a step failed");
    assert!(failed["urn"].as_str().unwrap().ends_with("Deployment::web"));
    let message = failed["message"].as_str().unwrap();
    assert!(message.contains("ImagePullBackOff") || message.contains("ErrImagePull"), "{message}");
    assert_eq!(ran.counts()[4], 1);
    sandbox.edit("small.yaml", "web:does-not-exist", "web:1.0.0");
    let next = sandbox.plinth(&["apply", "-s", "small.yaml", "--yes", "--json"]).expect(0);
    assert_eq!(next.counts(), [0, 1, 0, 0, 0], "just what is left");
}
