//! A cluster that the user brings: the embedded one reached as any other, and the real one that
//! `PLINTH_TEST_KUBECONFIG` names.

use std::path::Path;

use crate::support::Sandbox;

fn stack(kubeconfig: &Path, namespace: &str, rest: &str) -> String {
    format!(
        "apiVersion: plinth.dev/v1\nkind: Stack\nname: own\ncloud: {{ provider: existing, kubeconfig: {} }}\nresources:\n\
         - {{ kind: 'k8s:v1/Namespace', name: ns, inputs: {{ metadata: {{ name: {namespace} }} }} }}\n\
         - {{ kind: 'k8s:v1/ConfigMap', name: one, inputs: {{ metadata: {{ name: one, namespace: {namespace} }}, data: {{ a: '1' }} }} }}\n{rest}",
        kubeconfig.display()
    )
}

/// Planned, applied, in sync; what the cluster would refuse stops the plan before anything is written; gone.
fn a_life(kubeconfig: &Path, namespace: &str) {
    let sandbox = Sandbox::new();
    let own = "own.yaml";
    sandbox.write(own, stack(kubeconfig, namespace, ""));
    assert_eq!(sandbox.plinth(&["plan", "-s", own, "--json"]).expect(2).counts(), [2, 0, 0, 0, 0]);
    assert_eq!(sandbox.plinth(&["apply", "-s", own, "--yes", "--json"]).expect(0).counts(), [2, 0, 0, 0, 0]);
    sandbox.plinth(&["plan", "-s", own, "--refresh", "always"]).expect(0);

    let refused = format!(
        "- {{ kind: 'k8s:v1/ConfigMap', name: two, inputs: {{ metadata: {{ name: two, namespace: {namespace} }} }} }}\n\
         - {{ kind: 'k8s:v1/ConfigMap', name: nowhere, inputs: {{ metadata: {{ name: x, namespace: {namespace}-none }} }} }}\n\
         - {{ kind: 'k8s:nothing.example.com/v1/Thing', name: unknown, inputs: {{ metadata: {{ name: x, namespace: {namespace} }} }} }}\n"
    );
    let theirs = format!(
        "- {{ kind: 'k8s:v1/ConfigMap', name: two, inputs: {{ metadata: {{ name: two, namespace: {namespace} }} }} }}\n\
         - {{ kind: 'k8s:v1/ConfigMap', name: theirs, inputs: {{ metadata: {{ name: kube-root-ca.crt, namespace: {namespace} }} }} }}\n"
    );
    let refusals = [
        format!("there is no namespace `{namespace}-none`"),
        "own.yaml:9:".to_owned(),
        "serves no kind nothing.example.com/v1/Thing".to_owned(),
        "own.yaml:10:".to_owned(),
    ];
    let taken = [
        "kube-root-ca.crt exists already, and was not made by this stack".to_owned(),
        "own.yaml:9:".to_owned(),
        "adopt: true".to_owned(),
    ];
    // What exists already and what the cluster would refuse are told at once.
    let both = format!(
        "{theirs}- {{ kind: 'k8s:v1/ConfigMap', name: nowhere, inputs: {{ metadata: {{ name: x, namespace: {namespace}-none }} }} }}\n\
         - {{ kind: 'k8s:v1/Service', name: wrong, inputs: {{ metadata: {{ name: w, namespace: {namespace} }}, spec: {{ ports: [{{ port: 80, nodePort: 30080 }}] }} }} }}\n"
    );
    let all = [
        taken[0].clone(),
        taken[1].clone(),
        refusals[0].clone(),
        "own.yaml:10:".to_owned(),
        "may not be used when `type` is 'ClusterIP'".to_owned(),
        "own.yaml:11:".to_owned(),
    ];
    for (wrong, said) in [(&refused, &refusals[..]), (&theirs, &taken[..]), (&both, &all[..])] {
        sandbox.write(own, stack(kubeconfig, namespace, wrong));
        for command in [&["plan", "-s", own][..], &["apply", "-s", own, "--yes"]] {
            let ran = sandbox.plinth(command).expect(1);
            for text in said {
                assert!(ran.err.contains(text), "{text} in {}", ran.err);
            }
        }
    }
    let listed = sandbox.plinth(&["state", "list", "-s", own]).expect(0).out;
    assert!(!listed.contains("::two"), "nothing was written: {listed}");

    sandbox.write(own, stack(kubeconfig, namespace, ""));
    assert_eq!(
        sandbox.plinth(&["destroy", "-s", own, "--yes", "--json"]).expect(0).counts(),
        [0, 0, 0, 2, 0]
    );
}

#[test]
fn the_embedded_cluster_as_any_other() {
    let sandbox = Sandbox::new();
    let _serving = sandbox.serve(&[]);
    a_life(&sandbox.path("kubeconfig"), "own");
}

#[test]
fn a_real_cluster() {
    match std::env::var_os("PLINTH_TEST_KUBECONFIG").filter(|file| !file.is_empty()) {
        Some(file) => a_life(Path::new(&file), &format!("plinth-cli-{}", std::process::id())),
        None => println!("skipped: PLINTH_TEST_KUBECONFIG names no kubeconfig of a cluster to try this on"),
    }
}

#[test]
fn a_cluster_that_is_not_there_leaves_a_forecast() {
    let sandbox = Sandbox::new();
    let config = "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n\
                  users: [{name: u, user: {}}]\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n";
    sandbox.write("nobody", config);
    sandbox.write("own.yaml", stack(&sandbox.path("nobody"), "own", ""));
    let ran = sandbox.plinth(&["plan", "-s", "own.yaml"]).expect(2);
    assert!(ran.out.contains("2 changes were planned without asking the live system"), "{}", ran.out);
    sandbox.plinth(&["apply", "-s", "own.yaml", "--yes"]).expect(1);
}
