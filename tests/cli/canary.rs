//! One known secret goes through everything that Plinth does; then every file and every stream is searched for it.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::support::{Ran, Sandbox};

/// It looks different in every encoding, so that none can pass for another.
const CANARY: &str = "CANARY/9c+1f 7a\"2e?ö~end";
/// Another one, for a place where the server's refusal repeats it.
const LABEL: &str = "canary-label/5e1f/77c0";

fn stack(more: &str) -> String {
    format!(
        r#"apiVersion: plinth.dev/v1
kind: Stack
name: hush
cloud: {{ provider: local }}
resources:
  - {{ kind: "plinth:Password", name: generated, inputs: {{ length: 24 }} }}
  - {{ kind: "plinth:Data", name: kept, inputs: {{ value: "pg://u:${{secret.DB}}@h" }} }}
  - kind: "k8s:v1/Secret"
    name: token
    inputs: {{ metadata: {{ name: token, namespace: default }}, stringData: {{ token: "${{secret.DB}}", more: "${{kept.value}} ${{generated.value}}" }} }}
  - kind: "k8s:v1/ConfigMap"
    name: config
    inputs: {{ metadata: {{ name: config, namespace: default }}, data: {{ url: "http://x/?q=${{secret.DB}}" }} }}
{more}"#
    )
}

/// Refused by the server, and the refusal repeats the label.
const ECHOED: &str = "  - { kind: \"k8s:v1/ConfigMap\", name: echoed, inputs: { metadata: { name: echoed, namespace: default, labels: { a: \"${secret.LABEL}\" } }, data: { a: \"${secret.DB}\" } } }\n";
/// Refused offline: the message repeats the value.
const INVALID: &str = "  - { kind: \"k8s:v1/Service\", name: invalid, inputs: { metadata: { name: invalid, namespace: default }, spec: { type: \"${secret.DB}\", ports: [ { port: \"${secret.DB}\" } ] } } }\n";

/// Runs commands with every trace on, and keeps what they print.
struct Watched<'a> {
    sandbox: &'a Sandbox,
    /// Whether the binary writes traces to a file when asked.
    trace: bool,
    streams: Vec<(String, String)>,
}

impl Watched<'_> {
    fn command(&self, args: &[&str]) -> std::process::Command {
        let file = format!("trace-{}.json", self.streams.len());
        let trace = if self.trace { vec!["--trace", &file] } else { Vec::new() };
        let mut command = self.sandbox.command(&[args, &trace].concat());
        command.env("RUST_LOG", "trace").env("PLINTH_LOG", "trace").env("RUST_BACKTRACE", "1");
        command
    }

    fn run(&mut self, args: &[&str]) -> Ran {
        let ran = Ran::of(self.command(args).output().unwrap());
        self.keep(args, &ran);
        ran
    }

    fn keep(&mut self, args: &[&str], ran: &Ran) {
        self.streams.push((format!("{args:?}, standard output"), ran.out.clone()));
        self.streams.push((format!("{args:?}, standard error"), ran.err.clone()));
    }

    fn set(&mut self, name: &str, value: &str) {
        let args = ["secrets", "set", name, "-s", "hush.yaml", "--json"];
        let mut child = self
            .command(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
        let ran = Ran::of(child.wait_with_output().unwrap()).expect(0);
        self.keep(&args, &ran);
    }
}

/// A secret in every form in which it may be met, also as a part of something that was encoded as a whole.
fn forms(secret: &str) -> Vec<String> {
    let percent = |upper: bool, keep: &str| -> String {
        let encode = |byte: u8| {
            let plain = byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte);
            match (plain, upper) {
                (true, _) => char::from(byte).to_string(),
                (false, true) => format!("%{byte:02X}"),
                (false, false) => format!("%{byte:02x}"),
            }
        };
        secret.bytes().map(encode).collect()
    };
    let mut forms =
        vec![secret.to_owned(), percent(true, "-._~"), percent(false, "-._~"), percent(true, "-._~/")];
    forms.push(forms[1].replace("%20", "+"));
    forms.push(serde_json::Value::from(secret).to_string().trim_matches('"').to_owned());
    for before in 0..3 {
        let bytes = [vec![0; before], secret.as_bytes().to_vec()].concat();
        let (from, to) = ((before * 8_usize).div_ceil(6), bytes.len() * 8 / 6);
        forms.push(STANDARD_NO_PAD.encode(&bytes)[from..to].to_owned());
        forms.push(URL_SAFE_NO_PAD.encode(&bytes)[from..to].to_owned());
    }
    forms
}

#[test]
fn a_canary_is_found_nowhere_but_where_it_is_needed() {
    let sandbox = Sandbox::new();
    sandbox.write("hush.yaml", stack(""));
    let trace = sandbox.plinth(&["plan", "--help"]).out.contains("--trace");
    let exports = sandbox.plinth(&["state", "--help"]).out.contains("export");
    let mut watched = Watched { sandbox: &sandbox, trace, streams: Vec::new() };
    watched.set("DB", CANARY);
    watched.set("LABEL", LABEL);

    // Planned, saved, applied.
    watched.run(&["plan", "-s", "hush.yaml", "--verbose"]).expect(2);
    watched.run(&["plan", "-s", "hush.yaml", "--markdown"]).expect(2);
    watched.run(&["plan", "-s", "hush.yaml", "--json", "--out", "plan.json"]).expect(2);
    watched.run(&["apply", "plan.json", "--yes", "--json"]).expect(0);

    // What the server says of an object repeats a secret; another is refused before the server is asked.
    sandbox.write("hush.yaml", stack(ECHOED));
    let failed = watched.run(&["apply", "-s", "hush.yaml", "--yes"]).expect(1);
    assert!(
        [&failed.out, &failed.err].into_iter().any(|text| text.contains("(secret)")),
        "the server's word on it is shown, masked: {}\n{}",
        failed.out,
        failed.err
    );
    watched.run(&["apply", "-s", "hush.yaml", "--yes", "--json"]).expect(1);
    sandbox.write("hush.yaml", stack(INVALID));
    watched.run(&["plan", "-s", "hush.yaml"]).expect(1);
    watched.run(&["apply", "-s", "hush.yaml", "--yes", "--json"]).expect(1);

    // Killed in the middle, more than once, and carried on.
    for round in 0..3_u64 {
        let many: String = (0..40)
            .map(|n| format!("  - {{ kind: \"k8s:v1/Secret\", name: s{n}, inputs: {{ metadata: {{ name: s{n}, namespace: default }}, stringData: {{ a: \"{round} ${{secret.DB}}\" }} }} }}\n"))
            .collect();
        sandbox.write("hush.yaml", stack(&many));
        let args = ["apply", "-s", "hush.yaml", "--yes"];
        let mut child = watched.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(250 + 350 * round));
        let _ = child.kill();
        let ran = Ran::of(child.wait_with_output().unwrap());
        watched.keep(&args, &ran);
    }
    watched.run(&["apply", "-s", "hush.yaml", "--yes", "--json"]).expect(0);

    // Everything that shows something.
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["state", "list", "--json"],
        vec!["state", "show", "k8s:v1/Secret::token"],
        vec!["state", "show", "k8s:v1/Secret::token", "--json"],
        vec!["state", "show", "plinth:Data::kept"],
        vec!["state", "show", "k8s:v1/ConfigMap::config", "--json"],
        vec!["state", "verify", "--json"],
        vec!["output"],
        vec!["output", "--json"],
        vec!["output", "plinth:Data::kept.value"],
        vec!["render", "--dir", "rendered"],
        vec!["history"],
        vec!["history", "--json"],
        vec!["history", "--markdown"],
        vec!["graph", "--format", "dot"],
        vec!["graph", "--format", "mermaid"],
        vec!["graph", "--format", "svg"],
        vec!["check", "--json"],
        vec!["secrets", "list"],
        vec!["secrets", "list", "--json"],
        vec!["secrets", "rotate"],
        vec!["rollback", "--to", "1", "--yes", "--json"],
    ];
    for format in ["text", "json", "markdown", "sarif", "prometheus"] {
        commands.push(vec!["drift", "--format", format]);
    }
    if exports {
        commands.push(vec!["state", "export"]);
    }
    for command in commands {
        let ran = watched.run(&[&command[..], &["-s", "hush.yaml"]].concat());
        assert!(matches!(ran.code, 0 | 2), "{command:?}: {}", ran.err);
    }
    // Somebody changes it behind Plinth's back: neither what is there nor what should be is shown.
    let serving = sandbox.serve(&["-s", "hush.yaml"]);
    let patch = format!("{{\"data\":{{\"url\":\"{LABEL} is elsewhere\"}}}}");
    serving.kubectl(&["patch", "configmap", "config", "-p", &patch]).expect(0);
    let kubeconfig = watched.run(&["local", "kubeconfig", "-s", "hush.yaml"]).expect(0);
    drop((serving, kubeconfig));
    watched.run(&["drift", "-s", "hush.yaml", "--format", "json"]).expect(2);
    watched.run(&["plan", "-s", "hush.yaml", "--refresh", "always"]);
    // The one that asks gets it.
    let what = "plinth:Data::kept.value";
    let shown = sandbox.plinth(&["output", "-s", "hush.yaml", what, "--show-secrets"]).expect(0).out;
    assert_eq!(shown.trim_end(), format!("pg://u:{CANARY}@h"));
    let generated = "plinth:Password::generated.value";
    let password = sandbox.plinth(&["output", "-s", "hush.yaml", generated, "--show-secrets"]).expect(0).out;
    watched.run(&["destroy", "-s", "hush.yaml", "--yes", "--json"]).expect(0);

    let secrets: Vec<String> = [CANARY, LABEL, password.trim()].into_iter().flat_map(forms).collect();
    let mut places = watched.streams;
    for (path, bytes) in sandbox.files() {
        let name = path.strip_prefix(sandbox.path("")).unwrap().display().to_string();
        // The embedded cluster is the system that the secrets are for: its journal stands for a cluster's etcd, whose API
        // gives every Secret to whoever may read it, in the clear. A real cluster keeps it on somebody else's disk.
        if !name.starts_with(".plinth/_local/") {
            places.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    assert!(places.iter().any(|(name, text)| name.contains("checkpoint") && text.contains("$sealed")));
    for (name, text) in places {
        for secret in &secrets {
            let at = text.find(secret.as_str());
            let around = at.map(|at| text[..at].chars().rev().take(120).collect::<Vec<_>>());
            let before: String = around.into_iter().flatten().rev().collect();
            assert!(at.is_none(), "{name} holds a secret as {secret}, after: {before}");
        }
    }
}
