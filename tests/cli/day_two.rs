//! Day two: somebody works behind Plinth's back; things change, and change back.

use crate::support::{SMALL, Sandbox};

fn small() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", SMALL);
    sandbox.plinth(&["apply", "-s", "small.yaml", "--yes", "--json"]).expect(0);
    sandbox
}

#[test]
fn what_somebody_deletes_or_changes_is_seen_and_brought_back() {
    let sandbox = small();
    let serving = sandbox.serve(&[]);
    serving.kubectl(&["-n", "app", "delete", "configmap", "note"]).expect(0);
    let planned = sandbox.plinth(&["plan", "-s", "small.yaml", "--refresh", "always", "--json"]).expect(2);
    assert_eq!(planned.counts(), [1, 0, 0, 0, 0], "{}", planned.out);

    serving.kubectl(&["-n", "app", "set", "image", "deploy/web", "web=docker.io/library/web:evil"]).expect(0);
    let drift = sandbox.plinth(&["drift", "-s", "small.yaml"]).expect(2).out;
    assert!(drift.contains("k8s:v1/ConfigMap::note") && drift.contains("gone"), "{drift}");
    assert!(drift.contains("spec.template.spec.containers[0].image"), "{drift}");
    assert!(drift.contains("kubectl-set"), "who did it: {drift}");
    let events = sandbox.plinth(&["drift", "-s", "small.yaml", "--json"]).expect(2).events();
    let verdicts: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "drift")
        .filter_map(|event| event["verdict"].as_str())
        .collect();
    assert_eq!(verdicts, ["changed", "missing"]);
    for format in ["markdown", "sarif", "prometheus", "json"] {
        let report = sandbox.plinth(&["drift", "-s", "small.yaml", "--format", format]).expect(2).out;
        assert!(report.contains("web") && report.contains("note"), "{format}: {report}");
    }

    let applied =
        sandbox.plinth(&["apply", "-s", "small.yaml", "--yes", "--refresh", "always", "--json"]).expect(0);
    assert_eq!(applied.counts(), [1, 1, 0, 0, 0]);
    sandbox.plinth(&["drift", "-s", "small.yaml"]).expect(0);
    let image =
        serving.kubectl(&["-n", "app", "get", "deploy", "web", "-o", "jsonpath={..image}"]).expect(0).out;
    assert_eq!(image, "docker.io/library/web:1.0.0");
    // Taken back for good: the next change of the field meets no conflict.
    sandbox.edit("small.yaml", "web:1.0.0", "web:2.0.0");
    sandbox.plinth(&["apply", "-s", "small.yaml", "--yes"]).expect(0);
}

#[test]
fn immutable_changes_are_replacements_that_name_their_path() {
    let sandbox = small();
    sandbox.edit("small.yaml", "storage: 1Gi", "storage: 2Gi");
    sandbox.edit("small.yaml", "location: local-1", "location: local-2");
    let planned = sandbox.plinth(&["plan", "-s", "small.yaml", "--json"]).expect(2);
    assert_eq!(planned.counts(), [0, 0, 2, 0, 0], "{}", planned.out);
    let forced: Vec<String> = planned
        .events()
        .iter()
        .filter(|event| event["op"] == "replace")
        .map(|event| event["forced_by"][0].as_str().unwrap().to_owned())
        .collect();
    assert!(forced.contains(&"location".to_owned()), "{forced:?}");
    assert!(
        forced.contains(&"spec.volumeClaimTemplates[0].spec.resources.requests.storage".to_owned()),
        "{forced:?}"
    );
    assert_eq!(
        sandbox.plinth(&["apply", "-s", "small.yaml", "--yes", "--json"]).expect(0).counts(),
        [0, 0, 2, 0, 0]
    );
    sandbox.plinth(&["plan", "-s", "small.yaml", "--refresh", "always"]).expect(0);
    let serving = sandbox.serve(&[]);
    let size = serving.kubectl(&[
        "-n",
        "app",
        "get",
        "pvc",
        "data-db-0",
        "-o",
        "jsonpath={.spec.resources.requests.storage}",
    ]);
    assert_eq!(size.expect(0).out, "2Gi", "the claim is a new one too");
}

#[test]
fn rollback_brings_back_the_earlier_objects_and_history_tells() {
    let sandbox = small();
    let serving = sandbox.serve(&[]);
    let specs = || {
        let ran = serving.kubectl(&[
            "-n",
            "app",
            "get",
            "deploy/web",
            "cm/note",
            "-o",
            "jsonpath={.items[*].spec}{.items[*].data}",
        ]);
        ran.expect(0).out
    };
    let before = specs();
    sandbox.edit("small.yaml", "replicas: 2", "replicas: 3");
    sandbox.edit("small.yaml", "\"v0\"", "\"v1\"");
    sandbox.plinth(&["apply", "-s", "small.yaml", "--yes"]).expect(0);
    assert_ne!(specs(), before);
    let rolled = sandbox.plinth(&["rollback", "-s", "small.yaml", "--to", "1", "--yes", "--json"]).expect(0);
    assert_eq!(rolled.counts(), [0, 4, 0, 0, 0]);
    assert_eq!(specs(), before, "exactly the earlier live objects");
    let history = sandbox.plinth(&["history", "-s", "small.yaml"]).expect(0).out;
    assert!(history.contains("rolled back to 1"), "{history}");
    let events = sandbox.plinth(&["history", "-s", "small.yaml", "--json"]).expect(0).events();
    assert_eq!(events.iter().map(|event| event["number"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    let missing = sandbox.plinth(&["rollback", "-s", "small.yaml", "--to", "99", "--yes"]).expect(1);
    assert!(missing.err.contains("no revision 99"), "{}", missing.err);
}

#[test]
fn destroy_leaves_nothing_but_what_is_retained_and_lists_that() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "small.yaml",
        SMALL.replace("    name: store\n", "    name: store\n    retainOnDelete: true\n"),
    );
    sandbox.plinth(&["apply", "-s", "small.yaml", "--yes"]).expect(0);
    let destroyed = sandbox.plinth(&["destroy", "-s", "small.yaml", "--yes"]).expect(0).out;
    assert!(destroyed.contains("local:cloud/Bucket::store") && destroyed.contains("retain"), "{destroyed}");
    let serving = sandbox.serve(&[]);
    let namespaces = serving.kubectl(&["get", "ns", "-o", "name"]).expect(0).out;
    assert!(!namespaces.contains("app"), "{namespaces}");
    assert_eq!(serving.kubectl(&["get", "pvc,pv", "-A", "--no-headers"]).expect(0).out, "");
    assert!(sandbox.path(".plinth/_local/cloud/buckets/small-store").exists(), "what is retained is there");
    let again = sandbox.plinth(&["destroy", "-s", "small.yaml", "--yes", "--json"]).expect(0);
    assert_eq!(again.counts(), [0; 5]);
}

#[test]
fn a_saved_plan_is_applied_as_it_was_reviewed_or_not_at_all() {
    let sandbox = small();
    sandbox.edit("small.yaml", "replicas: 2", "replicas: 4");
    sandbox.plinth(&["plan", "-s", "small.yaml", "--out", "plan.json"]).expect(2);
    // The file has moved on; the plan is what was reviewed.
    sandbox.edit("small.yaml", "replicas: 4", "replicas: 5");
    assert_eq!(
        sandbox.plinth(&["apply", "plan.json", "--yes", "--json"]).expect(0).counts(),
        [0, 1, 0, 0, 0]
    );
    let stale = sandbox.plinth(&["apply", "plan.json", "--yes"]).expect(1);
    assert!(stale.err.contains("out of date"), "{}", stale.err);
    let wrong = sandbox.plinth(&["apply", "small.yaml", "--yes"]).expect(1);
    assert!(wrong.err.contains("not a plan file"), "{}", wrong.err);
}

#[test]
fn one_plan_covers_a_definition_its_objects_and_their_namespace() {
    let sandbox = Sandbox::new();
    sandbox.write("crd.yaml", CRD);
    let applied = sandbox.plinth(&["apply", "-s", "crd.yaml", "--yes", "--json"]).expect(0);
    assert_eq!(applied.counts(), [3, 0, 0, 0, 0]);
    sandbox.plinth(&["plan", "-s", "crd.yaml", "--refresh", "always"]).expect(0);
    sandbox.plinth(&["destroy", "-s", "crd.yaml", "--yes"]).expect(0);
}

const CRD: &str = r#"apiVersion: plinth.dev/v1
kind: Stack
name: crd
cloud: { provider: local }
resources:
  - kind: "k8s:demo.plinth.dev/v1/Widget"
    name: widget
    inputs: { metadata: { name: w, namespace: widgets }, spec: { size: 3 } }
  - kind: "k8s:v1/Namespace"
    name: namespace
    inputs: { metadata: { name: widgets } }
  - kind: "k8s:apiextensions.k8s.io/v1/CustomResourceDefinition"
    name: definition
    inputs:
      metadata: { name: widgets.demo.plinth.dev }
      spec:
        group: demo.plinth.dev
        scope: Namespaced
        names: { plural: widgets, singular: widget, kind: Widget }
        versions:
          - name: v1
            served: true
            storage: true
            schema:
              openAPIV3Schema:
                type: object
                properties: { spec: { type: object, properties: { size: { type: integer } } } }
"#;
