//! The main job: the whole platform into the embedded cloud, a second apply, destroy.

use crate::support::{Ran, Sandbox};

#[test]
fn the_whole_platform_comes_up_stays_and_goes() {
    let sandbox = Sandbox::with_stacks();
    let applied = sandbox.plinth(&["apply", "--stack", "local", "--yes", "--json"]).expect(0);
    let [created, updated, replaced, deleted, failed] = applied.counts();
    assert!(created >= 150, "{created} resources are created");
    assert_eq!([updated, replaced, deleted, failed], [0; 4]);

    let serving = sandbox.serve(&[]);
    let pods = serving.kubectl(&["get", "pods", "-A", "--no-headers"]).expect(0).out;
    assert!(pods.lines().all(|line| line.contains("Running") || line.contains("Completed")), "{pods}");
    for component in [
        "cert-manager",
        "traefik",
        "prometheus",
        "thanos-query",
        "loki-ingester",
        "tempo-ingester",
        "grafana",
        "collector-gateway",
        "alertmanager",
    ] {
        assert!(pods.contains(component), "{component} runs:\n{pods}");
    }

    // A second apply changes nothing, and writes nothing anywhere.
    let writes = serving.writes();
    let again = sandbox.plinth(&["apply", "--yes", "--json", "--refresh", "always"]).expect(0);
    assert_eq!(again.counts(), [0; 5]);
    assert_eq!(serving.writes(), writes, "no API write");
    sandbox.plinth(&["plan"]).expect(0);
    sandbox.plinth(&["drift"]).expect(0);

    // One replica count: one update, and no other.
    sandbox.edit(
        "stacks/local.yaml",
        "provider: local",
        "provider: local\nplatform: { grafana: { replicas: 2 } }",
    );
    let planned = sandbox.plinth(&["plan", "--json"]).expect(2);
    assert_eq!(planned.counts(), [0, 1, 0, 0, 0], "{}", planned.out);
    let applied = sandbox.plinth(&["apply", "--yes", "--json"]).expect(0);
    assert_eq!(applied.counts(), [0, 1, 0, 0, 0]);
    let replicas = serving.kubectl(&[
        "-n",
        "observability",
        "get",
        "deploy",
        "grafana",
        "-o",
        "jsonpath={.status.readyReplicas}",
    ]);
    assert_eq!(replicas.expect(0).out, "2");

    // A volume's size is immutable: a replace that names the path.
    sandbox.edit(
        "stacks/local.yaml",
        "grafana: { replicas: 2 }",
        "grafana: { replicas: 2 }, alertmanager: { storage: 3Gi }",
    );
    let planned = sandbox.plinth(&["plan"]).expect(2).out;
    assert!(planned.contains("1 to replace"), "{planned}");
    assert!(planned.contains("spec.volumeClaimTemplates[0].spec.resources.requests.storage"), "{planned}");
    assert!(planned.contains("forces replacement"), "{planned}");

    let destroyed = sandbox.plinth(&["destroy", "--yes", "--json"]).expect(0);
    assert_eq!(destroyed.counts()[3], created, "everything that was made is deleted");
    let left = serving.kubectl(&[
        "get",
        "all,pvc,pv,secret,cm,sa,crd,clusterrole,clusterrolebinding,storageclass,ns",
        "-A",
        "-l",
        "plinth.dev/stack=local",
        "--no-headers",
    ]);
    assert_eq!(left.expect(0).out, "");
    let namespaces = serving.kubectl(&["get", "ns", "-o", "name"]).expect(0).out;
    assert_eq!(namespaces.lines().count(), 4, "{namespaces}");
    let volumes = serving.kubectl(&["get", "pvc,pv", "-A", "--no-headers"]).expect(0).out;
    assert_eq!(volumes, "", "no volumes are left behind");
    let all = serving.kubectl(&["get", "all", "-A", "--no-headers"]).expect(0).out;
    assert_eq!(all.lines().filter(|line| !line.contains("service/kubernetes")).count(), 0, "{all}");
    assert_eq!(sandbox.plinth(&["state", "list"]).expect(0).out, "");
    let buckets = std::fs::read_dir(sandbox.path(".plinth/_local/cloud/buckets")).map_or(0, Iterator::count);
    assert_eq!(buckets, 0, "the buckets are gone");
}

#[test]
fn production_is_rehearsed_whole() {
    let sandbox = Sandbox::with_stacks();
    let applied = sandbox.plinth(&["apply", "-s", "prod", "--rehearse", "--yes", "--json"]).expect(0);
    let created = applied.counts()[0];
    assert!(created >= 250, "{created} resources are created");
    sandbox.plinth(&["plan", "-s", "prod", "--rehearse"]).expect(0);
    sandbox.plinth(&["plan", "-s", "prod", "--rehearse", "--refresh", "always"]).expect(0);
    // What the same stack would be on its own cloud is seen without an account.
    let mut command = sandbox.command(&["plan", "-s", "prod"]);
    let planned = Ran::of(command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap()).expect(2);
    assert!(planned.out.contains("aws:eks/Cluster::cluster"), "{}", planned.out);
    assert!(planned.out.contains("no AWS credentials"), "{}", planned.out);
}

#[test]
fn every_stack_renders_checks_and_draws_without_a_cluster() {
    let sandbox = Sandbox::with_stacks();
    for stack in ["local", "dev", "staging", "prod"] {
        let rendered = sandbox.plinth(&["render", "-s", stack, "--dir", &format!("out/{stack}")]).expect(0);
        assert!(rendered.out.contains("objects written"), "{}", rendered.out);
        let svg = sandbox.plinth(&["graph", "-s", stack, "--format", "svg"]).expect(0).out;
        assert!(svg.starts_with("<svg") || svg.starts_with("<?xml"), "{}", &svg[..80.min(svg.len())]);
        assert!(sandbox.plinth(&["graph", "-s", stack]).expect(0).out.starts_with("digraph"));
        assert!(!sandbox.plinth(&["check", "-s", stack]).out.is_empty());
    }
    let prod = sandbox.plinth(&["check", "-s", "prod"]);
    assert_eq!(prod.code, 0, "prod is ready for production: {}", prod.out);
    let schema = sandbox.plinth(&["schema"]).expect(0).out;
    assert!(
        serde_json::from_str::<serde_json::Value>(&schema).unwrap()["properties"]["platform"].is_object()
    );
    assert!(sandbox.plinth(&["completions", "bash"]).expect(0).out.contains("plinth"));
}
