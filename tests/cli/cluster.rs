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
         - {{ kind: 'k8s:v1/Service', name: wrong, inputs: {{ metadata: {{ name: w, namespace: {namespace} }}, spec: {{ type: Nope, ports: [{{ port: 99999, targetPort: 80 }}] }} }} }}\n"
    );
    let all = [
        taken[0].clone(),
        taken[1].clone(),
        refusals[0].clone(),
        "own.yaml:10:".to_owned(),
        // Both of its mistakes, each with its reason.
        "spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive".to_owned(),
        "spec.type: Unsupported value: \"Nope\"".to_owned(),
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

/// What `kubectl apply` made is taken over: the plan names what goes with it, an import keeps all of it, and what the
/// cluster would refuse is known before the first write.
fn taken_over(kubeconfig: &Path, namespace: &str) {
    let sandbox = Sandbox::new();
    let kubectl = |args: &[&str]| sandbox.kubectl(kubeconfig, args).expect(0).out;
    let theirs = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{team: a}}}}\n\
             data: {{a: '1', b: '2'}}\n---\n"
        )
    };
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: {namespace}}}\nspec: {{ports: [{{port: 80}}]}}\n"
    );
    kubectl(&["create", "namespace", namespace]);
    sandbox.write("theirs.yaml", theirs("adopted") + &theirs("imported") + &service);
    kubectl(&["apply", "-f", "theirs.yaml"]);
    let own = |resources: &str| {
        let text = format!(
            "apiVersion: plinth.dev/v1\nkind: Stack\nname: own\ncloud: {{ provider: existing, kubeconfig: {} }}\nresources:\n{resources}",
            kubeconfig.display()
        );
        sandbox.write("own.yaml", text);
    };
    let map = |name: &str, options: &str| {
        format!(
            "- {{ kind: 'k8s:v1/ConfigMap', name: {name}, {options} inputs: {{ metadata: {{ name: {name}, namespace: {namespace} }}, data: {{ a: '5' }} }} }}\n"
        )
    };
    let data = |name: &str| {
        kubectl(&["-n", namespace, "get", "configmap", name, "-o", "jsonpath={.data}{.metadata.labels.team}"])
    };

    // Refused by the cluster: nothing at all is taken over.
    let wrong = format!(
        "- {{ kind: 'k8s:v1/Service', name: web, adopt: true, inputs: {{ metadata: {{ name: web, namespace: {namespace} }}, spec: {{ ports: [{{ port: 80, nodePort: 30080 }}] }} }} }}\n"
    );
    own(&(map("adopted", "adopt: true,") + &wrong));
    let ran = sandbox.plinth(&["apply", "-s", "own.yaml", "--yes"]).expect(1);
    assert!(ran.err.contains("may not be used when `type` is 'ClusterIP'"), "{}", ran.err);
    assert_eq!(data("adopted"), r#"{"a":"1","b":"2"}a"#);

    own(&map("adopted", "adopt: true,"));
    let plan = sandbox.plinth(&["plan", "-s", "own.yaml"]).expect(2).out;
    for said in ["data.a: \"1\" → \"5\"", "data.b: - \"2\"", "metadata.labels.team: - \"a\""] {
        assert!(plan.contains(said), "{said} in {plan}");
    }
    sandbox.plinth(&["apply", "-s", "own.yaml", "--yes"]).expect(0);
    assert_eq!(data("adopted"), r#"{"a":"5"}"#);
    sandbox.plinth(&["plan", "-s", "own.yaml", "--refresh", "always"]).expect(0);

    // An import changes nothing; what follows is planned.
    own(&(map("adopted", "adopt: true,") + &map("imported", "")));
    let id = format!("{namespace}/imported");
    sandbox.plinth(&["import", "-s", "own.yaml", "k8s:v1/ConfigMap::imported", &id, "--yes"]).expect(0);
    assert_eq!(data("imported"), r#"{"a":"1","b":"2"}a"#);
    let plan = sandbox.plinth(&["plan", "-s", "own.yaml", "--refresh", "always"]).expect(2).out;
    for said in ["data.a: \"1\" → \"5\"", "data.b: - \"2\"", "metadata.labels.team: - \"a\""] {
        assert!(plan.contains(said), "{said} in {plan}");
    }
    sandbox.plinth(&["apply", "-s", "own.yaml", "--yes"]).expect(0);
    assert_eq!(data("imported"), r#"{"a":"5"}"#);
    let managers = "jsonpath={.metadata.managedFields[*].manager}";
    assert_eq!(
        kubectl(&["-n", namespace, "get", "cm", "imported", "-o", managers, "--show-managed-fields"]),
        "plinth"
    );
    sandbox.plinth(&["plan", "-s", "own.yaml", "--refresh", "always"]).expect(0);
    sandbox.plinth(&["destroy", "-s", "own.yaml", "--yes"]).expect(0);
    kubectl(&["delete", "namespace", namespace, "--wait=false"]);
}

fn on_the_embedded_one(life: fn(&Path, &str), namespace: &str) {
    let sandbox = Sandbox::new();
    let _serving = sandbox.serve(&[]);
    life(&sandbox.path("kubeconfig"), namespace);
}

fn on_a_real_one(life: fn(&Path, &str), namespace: &str) {
    match std::env::var_os("PLINTH_TEST_KUBECONFIG").filter(|file| !file.is_empty()) {
        Some(file) => life(Path::new(&file), &format!("plinth-cli-{namespace}-{}", std::process::id())),
        None => println!("skipped: PLINTH_TEST_KUBECONFIG names no kubeconfig of a cluster to try this on"),
    }
}

#[test]
fn the_embedded_cluster_as_any_other() {
    on_the_embedded_one(a_life, "own");
}

#[test]
fn a_real_cluster() {
    on_a_real_one(a_life, "own");
}

#[test]
fn what_others_made_is_taken_over_on_the_embedded_cluster() {
    on_the_embedded_one(taken_over, "theirs");
}

#[test]
fn what_others_made_is_taken_over_on_a_real_cluster() {
    on_a_real_one(taken_over, "theirs");
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
