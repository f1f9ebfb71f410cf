//! The stack's own secrets: set, used, listed, changed, removed; and what is wrong about them told in time.

use std::io::Write;
use std::process::Stdio;

use crate::support::{Ran, Sandbox};

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
"#
    )
}

fn set(sandbox: &Sandbox, args: &[&str], value: &str) -> Ran {
    let mut child = sandbox
        .command(&[&["secrets", "set"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
    Ran::of(child.wait_with_output().unwrap())
}

#[test]
fn a_secret_is_set_used_changed_and_removed() {
    let sandbox = Sandbox::new();
    sandbox.write("hush.yaml", stack("pg://u:${secret.DB}@h"));
    // Not set: told with its place and the command that sets it, before anything happens.
    for command in [&["plan", "-s", "hush.yaml"][..], &["apply", "-s", "hush.yaml", "--yes"]] {
        let error = sandbox.plinth(command).expect(1).err;
        assert!(
            error.contains("hush.yaml:8:") && error.contains("plinth secrets set DB -s hush.yaml"),
            "{error}"
        );
    }
    assert!(!sandbox.path(".plinth").exists(), "nothing was touched");
    // What needs no secrets goes without, and so does a rehearsal.
    sandbox.plinth(&["check", "-s", "hush.yaml"]).expect(0);
    sandbox.plinth(&["render", "-s", "hush.yaml", "--dir", "rendered"]).expect(0);
    sandbox.plinth(&["apply", "-s", "hush.yaml", "--rehearse", "--yes"]).expect(0);
    let listed = sandbox.plinth(&["secrets", "list", "-s", "hush.yaml"]).expect(0).out;
    assert!(listed.contains("DB") && listed.contains("not set") && listed.contains("token"), "{listed}");

    let told = set(&sandbox, &["DB", "-s", "hush.yaml"], &format!("{CANARY}\n")).expect(0).out;
    assert!(told.contains("used by token") && !told.contains(CANARY), "{told}");
    let again = set(&sandbox, &["DB", "-s", "hush.yaml"], CANARY).expect(0).out;
    assert!(again.contains("this value already"), "{again}");
    sandbox.plinth(&["apply", "-s", "hush.yaml", "--yes"]).expect(0);
    sandbox.plinth(&["plan", "-s", "hush.yaml"]).expect(0);
    let serving = sandbox.serve(&["-s", "hush.yaml"]);
    let held =
        serving.kubectl(&["get", "secret", "token", "-o", "go-template={{.data.token | base64decode}}"]);
    assert_eq!(held.expect(0).out, format!("pg://u:{CANARY}@h"));
    drop(serving);

    // Changed: an update of whoever uses it, and not shown.
    sandbox.write("new.txt", "CANARY-2\n");
    let file = ["secrets", "set", "DB", "-s", "hush.yaml", "--value-file", "new.txt", "--json"];
    let event = sandbox.plinth(&file).expect(0).events().remove(0);
    assert_eq!((event["action"].as_str(), event["usedBy"][0].as_str()), (Some("set"), Some("token")));
    let planned = sandbox.plinth(&["plan", "-s", "hush.yaml"]).expect(2).out;
    assert!(planned.contains("data.token: (secret), changed") && !planned.contains("CANARY"), "{planned}");
    sandbox.plinth(&["apply", "-s", "hush.yaml", "--yes"]).expect(0);

    // Removed: not while it is used.
    let error = sandbox.plinth(&["secrets", "rm", "DB", "-s", "hush.yaml"]).expect(1).err;
    assert!(error.contains("used by token") && error.contains("--force"), "{error}");
    sandbox.write("hush.yaml", stack("plain"));
    sandbox.plinth(&["secrets", "rm", "DB", "-s", "hush.yaml"]).expect(0);
    let error = sandbox.plinth(&["secrets", "rm", "DB", "-s", "hush.yaml"]).expect(1).err;
    assert!(error.contains("has no secret `DB`"), "{error}");
    let listed = sandbox.plinth(&["secrets", "list", "-s", "hush.yaml", "--json"]).expect(0);
    assert!(listed.events().is_empty(), "{}", listed.out);
}

#[test]
fn a_value_in_the_wrong_place_is_refused_and_not_repeated() {
    let sandbox = Sandbox::new();
    sandbox.write("hush.yaml", stack("plain"));
    for args in [
        &["secrets", "set", "DB", CANARY, "-s", "hush.yaml"][..],
        &["secrets", "set", "9 CANARY-9c1f7a2e", "-s", "hush.yaml"],
        &["secrets", "rm", "CANARY-9c1f7a2e!", "-s", "hush.yaml"],
    ] {
        let ran = sandbox.plinth(args).expect(1);
        assert!(!ran.err.contains(CANARY) && !ran.out.contains(CANARY), "{}", ran.err);
        assert!(ran.err.contains("error:"), "{}", ran.err);
    }
    for (value, told) in [("", "is empty"), ("\n", "is empty")] {
        let error = set(&sandbox, &["DB", "-s", "hush.yaml"], value).expect(1).err;
        assert!(error.contains(told), "{error}");
    }
    sandbox.write("binary", [0xff, 0xfe]);
    let binary = ["secrets", "set", "DB", "-s", "hush.yaml", "--value-file", "binary"];
    assert!(sandbox.plinth(&binary).expect(1).err.contains("not text"));
    let missing = ["secrets", "set", "DB", "-s", "hush.yaml", "--value-file", "nowhere"];
    assert!(sandbox.plinth(&missing).expect(1).err.contains("nowhere"));
    sandbox.write("bad.yaml", stack("${secret.a.b} ${secret.}").replace("hush", "bad"));
    let error = sandbox.plinth(&["check", "-s", "bad.yaml"]).expect(1).err;
    assert!(error.contains("bad.yaml:8:") && error.contains("does not name a secret"), "{error}");
}

#[test]
fn a_promotion_carries_the_name_and_never_the_value() {
    let sandbox = Sandbox::new();
    for name in ["staging", "prod"] {
        sandbox.write(
            &format!("{name}.yaml"),
            stack("${secret.DB}").replace("name: hush", &format!("name: {name}")),
        );
    }
    set(&sandbox, &["DB", "-s", "staging.yaml"], CANARY).expect(0);
    sandbox.plinth(&["apply", "-s", "staging.yaml", "--yes"]).expect(0);
    let promote = ["promote", "--from", "staging.yaml", "--to", "prod.yaml", "--yes"];
    let error = sandbox.plinth(&promote).expect(1).err;
    assert!(error.contains("plinth secrets set DB -s prod.yaml"), "{error}");
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
