//! No secret is written in the clear, and only the right key brings one back.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use plinth_provider::Value;
use plinth_state::{
    Action, Backend, Error, Event, Keys, Log, OutcomeResult, Provenance, ProvenanceKind, RevisionStarted,
    open_backend,
};
use serde_json::json;

const CANARY: &str = "CANARY-7f3a9c";

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn secret() -> Value {
    Value::secret(Value::from([("password", CANARY)]))
}

/// Every place where an event can hold a secret, over enough entries for a checkpoint.
async fn write_secrets(backend: &Arc<dyn Backend>, keys: Keys) {
    let writer = write(backend, keys).await;
    let mut delta = writer.state().delta(&[resource("declared", secret())]);
    delta.set[0].connection = Some(Value::from([("token", secret())]));
    writer
        .append(vec![Event::RevisionStarted(Box::new(RevisionStarted {
            revision: 1,
            command: "apply".into(),
            declared: delta,
            settings: json!({ "admin": { "$secret": CANARY } }),
            provenance: Some(Provenance {
                kind: ProvenanceKind::Promotion,
                from_stack: "staging".into(),
                revision: 4,
                base: json!([{ "$secret": CANARY }]),
                overlay: json!({ "$secret": { "deep": [CANARY] } }),
            }),
            ..Default::default()
        }))])
        .await
        .unwrap();
    for n in 0..60 {
        let name = format!("r{n}");
        let op = writer.next_op();
        let mut create = intent(op, Action::Create, &name);
        create.inputs = Value::from([("a", Value::List(vec![secret()]))]);
        create.connection = Some(secret());
        writer.append(vec![intends(create)]).await.unwrap();
        if n % 2 == 0 {
            let mut made = recorded(&name, &name, secret());
            made.connection = Some(secret());
            writer.append(vec![succeeded(op, made)]).await.unwrap();
        }
    }
    writer
        .append(vec![
            Event::Refreshed { urn: urn("r0"), outputs: secret() },
            Event::Recorded { recorded: Box::new(recorded("x", "x", secret())) },
            Event::Outcome {
                op: 2,
                result: OutcomeResult::Failed {
                    class: "timeout".into(),
                    message: "m".into(),
                    recorded: Some(Box::new(recorded("y", "y", secret()))),
                },
                duration_ms: 1,
            },
        ])
        .await
        .unwrap();
    writer.release().await.unwrap();
}

#[tokio::test]
async fn secrets_come_back_and_are_nowhere_in_the_clear() {
    let folder_ = tempfile::tempdir().unwrap();
    let (root, home) = (folder_.path().join("state"), folder_.path().join("home"));
    let backend = folder(&root);
    write_secrets(&backend, keys(&home)).await;

    let written = files(&root);
    assert!(written.iter().any(|(name, _)| name.contains("checkpoint")), "a checkpoint was written");
    for (name, bytes) in &written {
        for needle in [CANARY, "$secret", "Q0FOQVJZ"] {
            assert!(!holds(bytes, needle), "{name} holds {needle}");
        }
    }
    assert!(written.iter().any(|(_, bytes)| holds(bytes, "$sealed")));

    let (log, state) = Log::open(Arc::clone(&backend), STACK, keys(&home)).await.unwrap();
    assert_eq!(state.resources[&urn("r0")].outputs, secret());
    assert_eq!(state.resources[&urn("r2")].connection, Some(secret()));
    assert_eq!(state.declared[&urn("declared")].inputs, Value::from([("value", secret())]));
    assert_eq!(state.revision(1).unwrap().settings, json!({ "admin": { "$secret": CANARY } }));
    assert_eq!(state.promotion().unwrap().overlay, json!({ "$secret": { "deep": [CANARY] } }));
    assert!(!log.data_keys().is_empty());
    let entry = log.entry(2).await.unwrap().unwrap();
    for debug in [format!("{state:?}"), format!("{log:?}"), format!("{entry:?}")] {
        assert!(!debug.contains(CANARY), "{debug}");
    }

    // And without the checkpoint.
    for key in backend.list("dev/checkpoint").await.unwrap() {
        backend.delete(&key).await.unwrap();
    }
    assert_eq!(Log::open(Arc::clone(&backend), STACK, keys(&home)).await.unwrap().1, state);
    let report = plinth_state::verify(backend, STACK, keys(&home)).await.unwrap();
    assert!(report.is_whole() && report.state == state, "{:?}", report.problems);
}

#[tokio::test]
async fn no_key_is_made_before_a_secret_needs_one() {
    let folder_ = tempfile::tempdir().unwrap();
    let backend = memory();
    fill(&backend, keys(folder_.path()), 2).await;
    assert_eq!(files(folder_.path()).len(), 0);
    write_secrets(&backend, keys(folder_.path())).await;
    let made = files(folder_.path());
    assert_eq!(made.len(), 1, "{made:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&made[0].0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // A second stack takes the same identity and another data key.
    let (_, one) = Log::open(Arc::clone(&backend), STACK, keys(folder_.path())).await.unwrap();
    let other = memory();
    write_secrets(&other, keys(folder_.path())).await;
    let (_, two) = Log::open(other, STACK, keys(folder_.path())).await.unwrap();
    assert_eq!(files(folder_.path()), made);
    assert_ne!(one.key, two.key);
    assert_eq!(one.key.unwrap().recipients, two.key.unwrap().recipients);
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_refused_when_the_log_is_opened() {
    let folder_ = tempfile::tempdir().unwrap();
    let backend = memory();
    write_secrets(&backend, keys(folder_.path())).await;
    let open = async |keys: Keys| Log::open(Arc::clone(&backend), STACK, keys).await.unwrap_err();

    let elsewhere = tempfile::tempdir().unwrap();
    let error = open(keys(elsewhere.path())).await;
    assert!(matches!(error, Error::Key { .. }));
    let text = error.to_string();
    assert!(text.contains("is missing") && text.contains("age recipient age1"), "{text}");
    assert_eq!(files(elsewhere.path()).len(), 0, "no key is made when one must exist already");

    write_secrets(&memory(), keys(elsewhere.path())).await;
    let text = open(keys(elsewhere.path())).await.to_string();
    assert!(text.contains("does not open this stack's data key"), "{text}");
    let text = open(Keys::Passphrase("p".into())).await.to_string();
    assert!(text.contains("a passphrase does not open") && text.contains("identity file"), "{text}");

    std::fs::write(elsewhere.path().join("identity.txt"), "nonsense\n").unwrap();
    let text = open(keys(elsewhere.path())).await.to_string();
    assert!(text.contains("cannot be used"), "{text}");
    assert!(!text.contains("nonsense"), "what stands in a key file is not shown: {text}");

    // The same when the checkpoint is gone and the key is met in the log.
    for key in backend.list("dev/checkpoint").await.unwrap() {
        backend.delete(&key).await.unwrap();
    }
    assert!(matches!(open(no_keys()).await, Error::Key { .. }));
}

#[tokio::test]
async fn equal_secrets_are_equal_only_inside_one_stack() {
    let folder_ = tempfile::tempdir().unwrap();
    let sealed = async |backend: &Arc<dyn Backend>| {
        let writer = write(backend, keys(folder_.path())).await;
        let make = |name| Event::Recorded { recorded: Box::new(recorded(name, "i", secret())) };
        writer.append(vec![make("a"), make("b")]).await.unwrap();
        let bytes = backend.get(&entry_key(2)).await.unwrap().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["events"][0]["type"], "keyInstalled");
        [1, 2].map(|at| {
            json["events"][at]["recorded"]["inputs"]["value"]["$sealed"].as_str().unwrap().to_owned()
        })
    };
    let [a, b] = sealed(&memory()).await;
    assert_eq!(a, b);
    let [c, _] = sealed(&memory()).await;
    assert_ne!(a, c);
}

#[tokio::test]
async fn reserved_keys_fail_their_own_call_and_no_other() {
    let folder_ = tempfile::tempdir().unwrap();
    let backend = memory();
    let writer = write(&backend, keys(folder_.path())).await;
    for settings in [json!({ "$sealed": "x" }), json!({ "a": [{ "$secret": CANARY, "b": 1 }] })] {
        let started = RevisionStarted { revision: 1, settings, ..Default::default() };
        let op = writer.next_op();
        let (bad, good) = tokio::join!(
            writer.append(vec![Event::RevisionStarted(Box::new(started))]),
            writer.append(vec![intends(intent(op, Action::Create, "a"))]),
        );
        let text = bad.unwrap_err().to_string();
        assert!(text.contains("reserved key") && !text.contains(CANARY), "{text}");
        good.unwrap();
    }
    // As keys of values they are escaped, and come back.
    let value = Value::from([("$sealed", "x"), ("$secret", "y")]);
    writer
        .append(vec![Event::Recorded { recorded: Box::new(recorded("v", "v", value.clone())) }])
        .await
        .unwrap();
    writer.release().await.unwrap();
    let (_, state) = Log::open(backend, STACK, keys(folder_.path())).await.unwrap();
    assert_eq!(state.resources[&urn("v")].inputs, Value::from([("value", value)]));
}

#[tokio::test]
async fn a_key_that_cannot_be_made_is_an_error_before_anything_is_written() {
    let folder_ = tempfile::tempdir().unwrap();
    let file = folder_.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let backend = open_backend("memory://").unwrap();
    let (log, state) =
        Log::open(Arc::clone(&backend), STACK, Keys::Identity(file.join("identity"))).await.unwrap();
    let error = log.acquire(state, holder("one"), TTL, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::Key { .. }), "{error}");
    assert!(backend.list("dev/log").await.unwrap().is_empty(), "not even the lease");
}

#[tokio::test]
async fn a_plan_file_can_be_sealed_before_and_after_the_stack_has_a_key() {
    let folder_ = tempfile::tempdir().unwrap();
    let backend = memory();
    let (log, state) = Log::open(Arc::clone(&backend), STACK, keys(folder_.path())).await.unwrap();
    let mut plan = json!({ "inputs": { "$secret": CANARY } });
    let (key, early) = log.sealing_keys(&state).await.unwrap();
    plinth_state::seal_tree(&key, &mut plan).unwrap();
    assert!(!plan.to_string().contains(CANARY));

    write_secrets(&backend, keys(folder_.path())).await;
    let (log, state) = Log::open(backend, STACK, keys(folder_.path())).await.unwrap();
    plinth_state::open_tree(&log.unwrap_keys(&early).await.unwrap(), &mut plan).unwrap();
    assert_eq!(plan, json!({ "inputs": { "$secret": CANARY } }));
    let (_, later) = log.sealing_keys(&state).await.unwrap();
    assert_eq!(Some(later), state.key);
}
