//! Whatever happens to the log's bytes is named, and never taken for state.

mod common;

use std::sync::Arc;

use common::*;
use plinth_state::{Backend, Error, Log, Report, Result, State, verify};
use proptest::prelude::*;

async fn damaged(change: impl AsyncFnOnce(&Arc<dyn Backend>)) -> (Result<State>, Report) {
    let backend = memory();
    fill(&backend, no_keys(), 5).await;
    change(&backend).await;
    let opened = Log::open(Arc::clone(&backend), STACK, no_keys()).await.map(|(_, state)| state);
    (opened, verify(backend, STACK, no_keys()).await.unwrap())
}

async fn get(backend: &Arc<dyn Backend>, seq: u64) -> Vec<u8> {
    backend.get(&entry_key(seq)).await.unwrap().unwrap().to_vec()
}

async fn put(backend: &Arc<dyn Backend>, seq: u64, bytes: Vec<u8>) {
    backend.put(&entry_key(seq), bytes.into()).await.unwrap();
}

#[track_caller]
fn assert_named(opened: Result<State>, report: &Report, seq: u64, what: &str) {
    let error = opened.expect_err("it must not be accepted").to_string();
    assert!(error.contains(&format!("entry {seq} ({})", entry_key(seq))), "{error}");
    assert!(error.contains(what), "{error}");
    let problem =
        report.problems.iter().find(|problem| problem.seq == Some(seq)).expect("a problem").to_string();
    assert!(problem.contains(what) || what == "entries after it exist", "{problem}");
}

#[tokio::test]
async fn a_torn_entry_is_named() {
    for length in [0, 1, 40, 200] {
        let (opened, report) = damaged(async |backend| {
            let mut bytes = get(backend, 3).await;
            bytes.truncate(length);
            put(backend, 3, bytes).await;
        })
        .await;
        assert_named(opened, &report, 3, if length == 0 { "it is empty" } else { "it ends too early" });
    }
}

#[tokio::test]
async fn every_flipped_byte_is_noticed() {
    let backend = memory();
    fill(&backend, no_keys(), 2).await;
    let good = get(&backend, 2).await;
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        put(&backend, 2, bytes).await;
        let error = Log::open(Arc::clone(&backend), STACK, no_keys()).await.unwrap_err();
        assert!(matches!(error, Error::Damaged { seq: 2, .. }), "byte {at}: {error}");
    }
    put(&backend, 2, good).await;
    open(&backend).await;
}

#[tokio::test]
async fn a_deleted_entry_is_named() {
    let (opened, report) = damaged(async |backend| backend.delete(&entry_key(4)).await.unwrap()).await;
    assert!(matches!(opened, Err(Error::Missing { seq: 4, .. })));
    assert_named(opened, &report, 4, "entries after it exist");
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
}

#[tokio::test]
async fn a_gap_at_the_edge_of_what_is_read_at_once_is_noticed() {
    let backend = memory();
    fill(&backend, no_keys(), 40).await;
    for seq in [1, 8, 15, 16, 17, 30] {
        let bytes = get(&backend, seq).await;
        backend.delete(&entry_key(seq)).await.unwrap();
        let error = Log::open(Arc::clone(&backend), STACK, no_keys()).await.unwrap_err();
        assert!(matches!(error, Error::Missing { seq: s, .. } if s == seq), "{error}");
        put(&backend, seq, bytes).await;
    }
    open(&backend).await;
}

#[tokio::test]
async fn a_copied_entry_is_named() {
    let (opened, report) = damaged(async |backend| {
        let bytes = get(backend, 3).await;
        put(backend, 4, bytes).await;
    })
    .await;
    assert_named(opened, &report, 4, "it holds entry 3");
    let (opened, report) = damaged(async |backend| {
        let bytes = get(backend, 3).await;
        put(backend, 8, bytes).await;
    })
    .await;
    assert_named(opened, &report, 8, "it holds entry 3");
}

#[tokio::test]
async fn an_entry_of_another_history_is_named() {
    let other = memory();
    fill(&other, no_keys(), 5).await;
    let foreign = get(&other, 3).await;
    let (opened, report) = damaged(async |backend| put(backend, 3, foreign).await).await;
    assert_named(opened, &report, 3, "it does not follow the entry before it");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_not_called_damage() {
    for bytes in [r#"{"version":3,"seq":4,"new":"layout"}"#.to_owned(), "{\"version\": 7}\n".to_owned()] {
        let (opened, report) = damaged(async |backend| put(backend, 4, bytes.into_bytes()).await).await;
        let error = opened.unwrap_err();
        assert!(matches!(error, Error::NewerVersion { supported: 2, .. }), "{error}");
        assert!(error.to_string().contains("use the Plinth that wrote it"), "{error}");
        assert!(report.problems[0].what.contains("newer format version"));
    }
}

#[tokio::test]
async fn a_checkpoint_without_its_log_is_not_believed() {
    let backend = memory();
    fill(&backend, no_keys(), 60).await;
    let newest = backend.list("dev/checkpoint").await.unwrap().pop().unwrap();
    let last: u64 = newest["dev/checkpoint/".len()..].trim_end_matches(".json").parse().unwrap();
    let bytes = get(&backend, last).await;
    for key in backend.list("dev/log").await.unwrap() {
        backend.delete(&key).await.unwrap();
    }
    let error = Log::open(Arc::clone(&backend), STACK, no_keys()).await.unwrap_err();
    assert!(matches!(error, Error::Missing { seq, .. } if seq == last), "{error}");
    let report = verify(Arc::clone(&backend), STACK, no_keys()).await.unwrap();
    assert!(
        report.problems[0].what.contains("are missing: a checkpoint or the hint"),
        "{:?}",
        report.problems
    );

    let mut bytes = bytes;
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    put(&backend, last, bytes).await;
    let error = Log::open(Arc::clone(&backend), STACK, no_keys()).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { seq, .. } if seq == last), "{error}");
}

#[tokio::test]
async fn a_checkpoint_that_differs_from_the_log_is_found_by_verify() {
    let backend = memory();
    fill(&backend, no_keys(), 60).await;
    let keys = backend.list("dev/checkpoint").await.unwrap();
    let elsewhere = memory();
    fill(&elsewhere, no_keys(), 60).await;
    let foreign = elsewhere.get(&keys[0]).await.unwrap().unwrap();
    backend.put(&keys[0], foreign).await.unwrap();
    let report = verify(Arc::clone(&backend), STACK, no_keys()).await.unwrap();
    assert_eq!(report.problems.len(), 1);
    assert!(
        report.problems[0].what.contains("not that of the entry at its position"),
        "{:?}",
        report.problems
    );
    assert!(matches!(Log::open(backend, STACK, no_keys()).await, Err(Error::Damaged { .. })));
}

#[tokio::test]
async fn damage_that_stands_where_a_run_wants_to_append_stops_it() {
    let backend = memory();
    let writer = write(&backend, no_keys()).await;
    put(&backend, 2, b"garbage".to_vec()).await;
    let op = writer.next_op();
    let error =
        writer.append(vec![intends(intent(op, plinth_state::Action::Create, "a"))]).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { seq: 2, .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic_and_are_never_accepted(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "[{}\":,a-z0-9\n\\[\\]]{0,200}".prop_map(String::into_bytes),
        ],
        as_checkpoint: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let backend = memory();
            fill(&backend, no_keys(), 2).await;
            if as_checkpoint {
                let key = format!("{STACK}/checkpoint/{:020}.json", 2);
                backend.put(&key, bytes.into()).await.unwrap();
                // A cache: it is passed over.
                assert_eq!(open(&backend).await.1.resources.len(), 2);
                assert!(!verify(backend, STACK, no_keys()).await.unwrap().is_whole());
            } else {
                put(&backend, 2, bytes).await;
                let error = Log::open(Arc::clone(&backend), STACK, no_keys()).await.unwrap_err();
                assert!(matches!(error, Error::Damaged { seq: 2, .. }), "{error}");
                assert!(!verify(backend, STACK, no_keys()).await.unwrap().is_whole());
            }
        });
    }

    #[test]
    fn cut_spliced_and_repeated_bytes_are_never_accepted(from in 0usize..500, to in 0usize..500, at in 0usize..500) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let backend = memory();
            fill(&backend, no_keys(), 2).await;
            let good = get(&backend, 2).await;
            let clamp = |n: usize| n.min(good.len());
            let (from, to, at) = (clamp(from.min(to)), clamp(from.max(to)), clamp(at));
            let mut bytes = good[..at].to_vec();
            bytes.extend_from_slice(&good[from..to]);
            bytes.extend_from_slice(&good[at..]);
            if bytes != good {
                put(&backend, 2, bytes).await;
                assert!(Log::open(Arc::clone(&backend), STACK, no_keys()).await.is_err());
            }
            let mut bytes = good.clone();
            bytes.drain(from..to);
            if bytes != good {
                put(&backend, 2, bytes).await;
                assert!(Log::open(backend, STACK, no_keys()).await.is_err());
            }
        });
    }
}
