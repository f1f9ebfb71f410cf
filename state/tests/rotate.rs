//! Data keys are succeeded without a secret being lost, shown, or readable by whom it is no longer for.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use plinth_provider::Value;
use plinth_state::{Backend, Error, Event, Former, Keys, Log, Migration, State, plan_repair, verify};

fn passphrase(text: &str) -> Keys {
    Keys::Passphrase(text.into())
}

fn secret(text: &str) -> Value {
    Value::secret(text)
}

fn set(name: &str, value: &str) -> Event {
    Event::SecretSet { name: name.into(), value: secret(value) }
}

async fn record(backend: &Arc<dyn Backend>, keys: Keys, events: Vec<Event>) {
    let writer = write(backend, keys).await;
    writer.append(events).await.unwrap();
    writer.release().await.unwrap();
}

async fn rotate(backend: &Arc<dyn Backend>, keys: Keys, former: Former) {
    let (log, state) = Log::open_formerly(Arc::clone(backend), STACK, keys, former).await.unwrap();
    let writer = log.acquire(state, holder("one"), TTL, Duration::ZERO).await.unwrap();
    writer.rotate().await.unwrap();
    writer.release().await.unwrap();
}

fn formerly(text: &str) -> Former {
    Former { passphrase: Some(text.into()), ..Former::default() }
}

async fn opened(backend: &Arc<dyn Backend>, keys: Keys) -> Result<State, Error> {
    Log::open(Arc::clone(backend), STACK, keys).await.map(|(_, state)| state)
}

async fn without_checkpoints(backend: &Arc<dyn Backend>) {
    for key in backend.list("dev/checkpoint").await.unwrap() {
        backend.delete(&key).await.unwrap();
    }
}

fn value_of(state: &State, name: &str) -> String {
    state.secrets[name].value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_keys_change_hands_and_old_entries_still_open() {
    let folder = tempfile::tempdir().unwrap();
    let backend = memory();
    record(&backend, passphrase("one"), vec![set("A", "a1")]).await;
    rotate(&backend, passphrase("two"), formerly("one")).await;
    record(&backend, passphrase("two"), vec![set("B", "b1")]).await;
    let identity = keys(folder.path());
    rotate(&backend, identity.clone(), formerly("two")).await;
    record(&backend, identity.clone(), vec![set("A", "a2")]).await;
    // The same key again: everybody who could read can, with a new data key.
    rotate(&backend, identity.clone(), Former::default()).await;

    for _ in 0..2 {
        let state = opened(&backend, identity.clone()).await.unwrap();
        assert_eq!((value_of(&state, "A"), value_of(&state, "B")), ("a2".into(), "b1".into()));
        assert_eq!(state.key.as_ref().unwrap().older.len(), 3);
        for old in ["one", "two"] {
            let error = opened(&backend, passphrase(old)).await.unwrap_err();
            assert!(matches!(error, Error::Key { .. }), "{error}");
        }
        let report = verify(Arc::clone(&backend), STACK, identity.clone()).await.unwrap();
        assert!(report.is_whole() && report.state == state, "{:?}", report.problems);
        // Every entry by itself, the first ones included.
        let (log, _) = Log::open(Arc::clone(&backend), STACK, identity.clone()).await.unwrap();
        for seq in 1..=state.seq {
            log.entry(seq).await.unwrap().unwrap();
        }
        // And again from the entries alone.
        without_checkpoints(&backend).await;
    }
}

#[tokio::test]
async fn each_entry_is_sealed_with_the_key_of_its_time() {
    let backend = memory();
    record(&backend, passphrase("p"), vec![set("A", "same")]).await;
    rotate(&backend, passphrase("p"), Former::default()).await;
    record(&backend, passphrase("p"), vec![set("A", "same")]).await;
    let mut sealed = Vec::new();
    for seq in 1.. {
        let Some(bytes) = backend.get(&entry_key(seq)).await.unwrap() else { break };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(!text.contains("same"), "{text}");
        sealed.extend(
            text.split("$sealed\":\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()),
        );
    }
    let [before, after] = &sealed[..] else { panic!("two: {sealed:?}") };
    assert_ne!(before, after);
}

#[tokio::test]
async fn a_rotation_leaves_a_checkpoint_that_only_the_new_key_opens() {
    let backend = memory();
    record(&backend, passphrase("one"), vec![set("A", "a")]).await;
    assert!(backend.list("dev/checkpoint").await.unwrap().is_empty());
    rotate(&backend, passphrase("two"), formerly("one")).await;
    assert_eq!(backend.list("dev/checkpoint").await.unwrap().len(), 1);
    assert_eq!(value_of(&opened(&backend, passphrase("two")).await.unwrap(), "A"), "a");
}

#[tokio::test]
async fn a_rotation_that_never_became_durable_did_not_happen() {
    let backend = memory();
    record(&backend, passphrase("one"), vec![set("A", "a")]).await;
    let faulty = Faulty::new(Arc::clone(&backend));
    let shared: Arc<dyn Backend> = faulty.clone();
    let (log, state) = Log::open_formerly(shared, STACK, passphrase("two"), formerly("one")).await.unwrap();
    let writer = log.acquire(state, holder("one"), TTL, Duration::ZERO).await.unwrap();
    faulty.down.store(true, std::sync::atomic::Ordering::SeqCst);
    writer.rotate().await.unwrap_err();
    drop(writer);
    // Whoever had the key has it still, and can do it again.
    let (log, mut state) = Log::open(Arc::clone(&backend), STACK, passphrase("one")).await.unwrap();
    assert_eq!(value_of(&state, "A"), "a");
    log.unlock(&mut state, holder("two")).await.unwrap();
    rotate(&backend, passphrase("two"), formerly("one")).await;
    assert_eq!(value_of(&opened(&backend, passphrase("two")).await.unwrap(), "A"), "a");
}

#[tokio::test]
async fn whoever_follows_the_log_takes_the_new_key_in() {
    let backend = memory();
    record(&backend, passphrase("p"), vec![set("A", "a1")]).await;
    let (log, mut state) = Log::open(Arc::clone(&backend), STACK, passphrase("p")).await.unwrap();
    rotate(&backend, passphrase("p"), Former::default()).await;
    record(&backend, passphrase("p"), vec![set("A", "a2")]).await;
    log.refresh(&mut state).await.unwrap();
    assert_eq!(value_of(&state, "A"), "a2");
    // What was sealed beside the log before, such as a plan file, opens still.
    assert_eq!(log.data_keys().older().len(), 1);
}

#[tokio::test]
async fn a_stack_without_secrets_has_no_key_to_rotate() {
    let backend = memory();
    fill(&backend, passphrase("p"), 1).await;
    let writer = write(&backend, passphrase("p")).await;
    let error = writer.rotate().await.unwrap_err().to_string();
    assert!(error.contains("no data key yet"), "{error}");
}

#[tokio::test]
async fn what_cannot_seal_is_refused_before_the_lease_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("identity.txt"), "nonsense\n").unwrap();
    let bad = [
        passphrase(""),
        keys(folder.path()),
        Keys::Recipients { recipients: vec!["age1x".into()], identity: folder.path().join("none") },
    ];
    for keys in bad {
        let backend = memory();
        let (log, state) = Log::open(Arc::clone(&backend), STACK, keys).await.unwrap();
        let error = log.acquire(state, holder("one"), TTL, Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, Error::Key { .. }), "{error}");
        assert!(backend.list("dev/log").await.unwrap().is_empty(), "no lease was taken");
    }
}

#[tokio::test]
async fn a_log_of_the_first_format_is_read_and_carried_on() {
    let folder_ = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/version1/dev/log");
    let to = folder_.path().join("dev/log");
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let backend = folder(folder_.path());
    let keys = || passphrase("first format");
    let password = |state: &State| {
        let (_, tracked) = state.resources.iter().find(|(urn, _)| urn.name() == "generated").unwrap();
        tracked.outputs.text_at("value").unwrap().to_owned()
    };
    let state = opened(&backend, keys()).await.unwrap();
    assert_eq!(password(&state), "ZjUVM28ehB47tqAT39bGmqds");
    assert!(matches!(opened(&backend, passphrase("other")).await, Err(Error::Key { .. })));
    record(&backend, keys(), vec![set("A", "a")]).await;
    rotate(&backend, passphrase("new"), formerly("first format")).await;
    for _ in 0..2 {
        let state = opened(&backend, passphrase("new")).await.unwrap();
        assert_eq!(
            (password(&state), value_of(&state, "A")),
            ("ZjUVM28ehB47tqAT39bGmqds".into(), "a".into())
        );
        without_checkpoints(&backend).await;
    }
    assert!(verify(backend, STACK, passphrase("new")).await.unwrap().is_whole());
}

async fn copied(backend: &Arc<dyn Backend>) -> Arc<dyn Backend> {
    let copy = memory();
    for folder in ["dev/log", "dev/checkpoint", "dev"] {
        for key in backend.list(folder).await.unwrap() {
            copy.put(&key, backend.get(&key).await.unwrap().unwrap()).await.unwrap();
        }
    }
    copy
}

#[tokio::test]
async fn no_lost_object_takes_the_keys_with_it() {
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let identity = |at: usize| keys(folders[at].path());
    let formerly =
        |at: usize| Former { identity: Some(folders[at].path().join("identity.txt")), ..Former::default() };
    let whole = memory();
    record(&whole, identity(0), vec![set("A", "a1")]).await;
    rotate(&whole, identity(1), formerly(0)).await;
    record(&whole, identity(1), vec![set("B", "b1")]).await;
    rotate(&whole, identity(2), formerly(1)).await;
    record(&whole, identity(2), vec![set("C", "c1")]).await;
    let entries = whole.list("dev/log").await.unwrap();
    let newest = opened(&whole, identity(2)).await.unwrap().key.unwrap();
    // With the checkpoints the state is proven; without them, the hint at the log's end alone tells the key.
    for checkpoints in [true, false] {
        // The last one gives the lease back: without it, others would have to wait for its end.
        for lost in &entries[..entries.len() - 1] {
            let backend = copied(&whole).await;
            if !checkpoints {
                without_checkpoints(&backend).await;
            }
            backend.delete(lost).await.unwrap();
            let at = format!("{lost}, checkpoints {checkpoints}");
            let repair = plan_repair(Arc::clone(&backend), STACK, identity(2)).await.expect(&at);
            let repair = repair.unwrap_or_else(|| panic!("{at}: nothing is wrong"));
            repair.run(holder("mender"), TTL, Duration::ZERO).await.expect(&at);
            let state = opened(&backend, identity(2)).await.expect(&at);
            assert_eq!(state.key.as_ref().map(|key| &key.id), Some(&newest.id), "{at}");
            for (name, value) in [("A", "a1"), ("B", "b1"), ("C", "c1")] {
                if checkpoints && name != "C" {
                    assert_eq!(value_of(&state, name), value, "{at}");
                }
            }
            let report = verify(Arc::clone(&backend), STACK, identity(2)).await.expect(&at);
            assert!(report.is_whole() && report.state == state, "{at}: {:?}", report.problems);
            record(&backend, identity(2), vec![set("D", "d1")]).await;
            rotate(&backend, identity(3), formerly(2)).await;
            let after = opened(&backend, identity(3)).await.expect(&at);
            assert_eq!(value_of(&after, "D"), "d1", "{at}");
            assert!(after.secrets.len() >= state.secrets.len(), "{at}");
            assert!(opened(&backend, identity(2)).await.is_err(), "{at}");
        }
    }
}

#[tokio::test]
async fn a_log_moves_whatever_its_key_is_now() {
    let (from, to) = (memory(), memory());
    record(&from, passphrase("one"), vec![set("A", "a1")]).await;
    rotate(&from, passphrase("two"), formerly("one")).await;
    record(&from, passphrase("two"), vec![set("B", "b1")]).await;
    let empty = tempfile::tempdir().unwrap();
    let migration = |former: Former| Migration {
        from: Arc::clone(&from),
        to: Arc::clone(&to),
        to_url: "memory://".into(),
        keys: keys(empty.path()),
        former,
        holder: holder("mover"),
        lock_timeout: Duration::ZERO,
    };
    let error = migration(formerly("one")).run(STACK).await.unwrap_err();
    assert!(matches!(error, Error::Key { .. }), "{error}");
    assert!(to.list("dev/log").await.unwrap().is_empty());
    migration(formerly("two")).run(STACK).await.unwrap();
    let state = opened(&to, passphrase("two")).await.unwrap();
    assert_eq!((value_of(&state, "A"), value_of(&state, "B")), ("a1".into(), "b1".into()));
    assert!(matches!(opened(&from, passphrase("two")).await, Err(Error::Migrated { .. })));
}
