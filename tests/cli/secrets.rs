//! No secret in the clear anywhere it is not needed.

use crate::support::Sandbox;

const CANARY: &str = "CANARY-9c1f7a2e";

fn stack(value: &str) -> String {
    format!(
        r#"apiVersion: plinth.dev/v1
kind: Stack
name: hush
cloud: {{ provider: local }}
resources:
  - kind: "k8s:v1/Secret"
    name: token
    inputs: {{ metadata: {{ name: token, namespace: default }}, stringData: {{ token: "{value}" }} }}
  - {{ kind: "plinth:Password", name: generated, inputs: {{ length: 24 }} }}
  - kind: "k8s:v1/Secret"
    name: copy
    inputs: {{ metadata: {{ name: generated, namespace: default }}, stringData: {{ password: "${{generated.value}}" }} }}
"#
    )
}

#[test]
fn a_canary_is_found_in_no_output_and_no_file_but_the_cluster_itself() {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(CANARY);
    let sandbox = Sandbox::new();
    sandbox.write("hush.yaml", stack(CANARY));
    let commands: Vec<Vec<&str>> = vec![
        vec!["plan", "-s", "hush.yaml", "--verbose"],
        vec!["plan", "-s", "hush.yaml", "--json", "--out", "plan.json"],
        vec!["apply", "-s", "hush.yaml", "--yes", "--json", "--trace", "trace.json"],
        vec!["state", "show", "-s", "hush.yaml", "k8s:v1/Secret::token"],
        vec!["state", "show", "-s", "hush.yaml", "k8s:v1/Secret::token", "--json"],
        vec!["output", "-s", "hush.yaml"],
        vec!["output", "-s", "hush.yaml", "--json"],
        vec!["output", "-s", "hush.yaml", "plinth:Password::generated.value"],
        vec!["drift", "-s", "hush.yaml", "--format", "json"],
        vec!["render", "-s", "hush.yaml", "--dir", "rendered"],
        vec!["history", "-s", "hush.yaml", "--json"],
        vec!["graph", "-s", "hush.yaml"],
    ];
    for command in &commands {
        let ran = sandbox.plinth(command);
        assert!(ran.code == 0 || ran.code == 2, "{command:?}: {}", ran.err);
        for text in [&ran.out, &ran.err] {
            assert!(
                !text.contains(CANARY) && !text.contains(&encoded),
                "{command:?} shows the canary:\n{text}"
            );
        }
    }
    // The one that asks gets it.
    let shown =
        sandbox.plinth(&["output", "-s", "hush.yaml", "plinth:Password::generated.value", "--show-secrets"]);
    let password = shown.expect(0).out.trim().to_owned();
    assert_eq!(password.len(), 24);
    // A changed secret shows as changed, not as what it was or is.
    sandbox.write("hush.yaml", stack(&format!("{CANARY}-2")));
    let planned = sandbox.plinth(&["plan", "-s", "hush.yaml"]).expect(2).out;
    assert!(planned.contains("data.token: (secret), changed") && !planned.contains(CANARY), "{planned}");

    let encoded_password = base64::engine::general_purpose::STANDARD.encode(&password);
    for (path, bytes) in sandbox.files() {
        let name = path.strip_prefix(sandbox.path("")).unwrap().to_owned();
        // The stack file holds it because the user wrote it there; the embedded cluster is where it is needed.
        if name.starts_with("hush.yaml") || name.starts_with(".plinth/_local") {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        for secret in [CANARY, &encoded, &password, &encoded_password] {
            assert!(!text.contains(secret), "{} holds a secret in the clear", name.display());
        }
    }
}

#[test]
fn a_wrong_passphrase_is_a_clear_error_before_anything_else() {
    let sandbox = Sandbox::new();
    sandbox.write("hush.yaml", stack(CANARY));
    let with = |passphrase: &str, args: &[&str]| {
        let output = sandbox.command(args).env("PLINTH_PASSPHRASE", passphrase).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(with("right", &["apply", "-s", "hush.yaml", "--yes"]).0, Some(0));
    assert_eq!(with("right", &["plan", "-s", "hush.yaml"]).0, Some(0));
    let (code, error) = with("wrong", &["apply", "-s", "hush.yaml", "--yes"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("key") && !error.contains("panicked"), "{error}");
    let ran = sandbox.plinth(&["plan", "-s", "hush.yaml"]).expect(1);
    assert!(ran.err.contains("passphrase"), "{}", ran.err);
}
