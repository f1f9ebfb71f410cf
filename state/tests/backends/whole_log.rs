//! What a log must do wherever it is.

use std::sync::Arc;
use std::time::Duration;

use plinth_state::{Backend, Error, Log, verify};

use crate::common::{self, STACK, TTL, holder, no_keys};

/// Enough entries for a checkpoint.
const ENTRIES: usize = 60;

pub async fn everything(backend: Arc<dyn Backend>) {
    common::fill(&backend, no_keys(), ENTRIES).await;
    assert!(!backend.list("dev/checkpoint").await.unwrap().is_empty(), "no checkpoint was written");
    let (_, state) = common::open(&backend).await;
    assert_eq!(state.resources.len(), ENTRIES);

    a_held_lease_is_respected_and_a_broken_one_fences(&backend).await;
    two_writers_never_both_append(&backend).await;

    let report = verify(Arc::clone(&backend), STACK, no_keys()).await.unwrap();
    assert!(report.is_whole(), "{:?}", report.problems);
}

async fn a_held_lease_is_respected_and_a_broken_one_fences(backend: &Arc<dyn Backend>) {
    let first = common::write(backend, no_keys()).await;
    let (log, mut state) = common::open(backend).await;
    let held = log.acquire(state.clone(), holder("two"), TTL, Duration::ZERO).await.unwrap_err();
    assert!(held.is_held(), "{held}");

    log.unlock(&mut state, holder("two")).await.unwrap().expect("a lease to break");
    let second = log.acquire(state, holder("two"), TTL, Duration::ZERO).await.unwrap();
    let fenced = first.append(vec![create(&first, "late")]).await.unwrap_err();
    assert!(matches!(fenced, Error::Fenced { .. }), "{fenced}");
    second.append(vec![create(&second, "new")]).await.unwrap();
    second.release().await.unwrap();
}

fn create(writer: &plinth_state::Writer, name: &str) -> plinth_state::Event {
    common::intends(common::intent(writer.next_op(), plinth_state::Action::Create, name))
}

/// Writers that ask for the lease at the same moment, again and again: each position of the log is one writer's.
async fn two_writers_never_both_append(backend: &Arc<dyn Backend>) {
    let run = |name: &'static str| {
        let backend = Arc::clone(backend);
        tokio::spawn(async move {
            for _ in 0..5 {
                let (log, state) = Log::open(Arc::clone(&backend), STACK, no_keys()).await.unwrap();
                let patience = Duration::from_secs(120);
                let writer = log.acquire(state, holder(name), TTL, patience).await.unwrap();
                writer.append(vec![create(&writer, name)]).await.unwrap();
                writer.release().await.unwrap();
            }
        })
    };
    let (_, before) = common::open(backend).await;
    for writer in [run("a"), run("b")] {
        writer.await.unwrap();
    }
    let (_, after) = common::open(backend).await;
    assert_eq!(after.seq, before.seq + 2 * 5 * 3, "each run is three entries");
}
