//! Promotion: what one environment proved goes to the next, whose own settings stay.

use crate::support::Sandbox;

const BASE: &str = "apiVersion: plinth.dev/v1\nkind: Stack\n";

/// Two environments of the whole platform, rehearsed.
#[test]
fn a_changed_version_is_carried_over_and_the_targets_own_sizes_stay() {
    let sandbox = Sandbox::with_stacks();
    let rehearse = |args: &[&str]| {
        let mut all = args.to_vec();
        all.push("--rehearse");
        sandbox.plinth(&all)
    };
    rehearse(&["apply", "-s", "staging", "--yes", "--json"]).expect(0);
    let dev = std::fs::read_to_string(sandbox.path("stacks/dev.yaml")).unwrap();
    sandbox.write(
        "stacks/dev.yaml",
        format!("{dev}\ncatalogue: {{ blackboxExporter: {{ version: 0.28.9 }} }}\n"),
    );
    rehearse(&["apply", "-s", "dev", "--yes", "--json"]).expect(0);

    let promoted = rehearse(&["promote", "--from", "dev", "--to", "staging", "--yes", "--json"]).expect(0);
    let [created, updated, replaced, deleted, failed] = promoted.counts();
    assert_eq!([created, replaced, deleted, failed], [0; 4], "sizes, nodes and buckets are left alone");
    let steps: Vec<String> = promoted
        .events()
        .iter()
        .filter(|event| event["event"] == "step")
        .map(|event| format!("{} {}", event["urn"].as_str().unwrap(), event["changes"]))
        .collect();
    assert!(
        updated >= 1 && steps.iter().any(|step| step.contains("blackbox-exporter:v0.28.9")),
        "{steps:#?}"
    );
    assert!(!steps.iter().any(|step| step.contains("replicas") || step.contains("storage")), "{steps:#?}");

    // It holds: the next plain plan of staging wants nothing else.
    rehearse(&["plan", "-s", "staging"]).expect(0);
    let history = rehearse(&["history", "-s", "staging"]).expect(0).out;
    assert!(history.contains("promoted from dev@1"), "{history}");
    let history = rehearse(&["history", "-s", "dev"]).expect(0).out;
    assert!(history.contains("apply"), "{history}");
    // What is edited after a promotion wins over it.
    let staging = std::fs::read_to_string(sandbox.path("stacks/staging.yaml")).unwrap();
    sandbox.write(
        "stacks/staging.yaml",
        format!("{staging}\ncatalogue: {{ blackboxExporter: {{ version: 0.28.10 }} }}\n"),
    );
    let planned = rehearse(&["plan", "-s", "staging"]).expect(2).out;
    assert!(planned.contains("0.28.10"), "{planned}");
}

#[test]
fn what_cannot_be_promoted_is_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        sandbox.write(&format!("stacks/{name}.yaml"), format!("{BASE}name: {name}\n"));
    }
    let refused = sandbox.plinth(&["promote", "--from", "one", "--to", "two", "--yes"]).expect(1);
    assert!(
        refused.err.contains("no successful revision") && refused.err.contains("plinth apply -s one"),
        "{}",
        refused.err
    );
    let refused = sandbox.plinth(&["promote", "--from", "one", "--to", "one", "--yes"]).expect(1);
    assert!(refused.err.contains("itself"), "{}", refused.err);
}
