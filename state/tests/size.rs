//! What a step costs does not depend on how much there is.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::*;
use plinth_provider::{Resource, Value};
use plinth_state::{Action, Backend, Event, Finish, Log, RevisionStarted, Writer};

fn declared(count: usize) -> Vec<Resource> {
    (0..count).map(|n| resource(&format!("r{n:05}"), format!("value {n}"))).collect()
}

async fn apply(writer: &Writer, revision: u64, desired: &[Resource], changed: &[&Resource]) {
    let declared = writer.state().delta(desired);
    let started = RevisionStarted { revision, command: "apply".into(), declared, ..Default::default() };
    writer.append(vec![Event::RevisionStarted(Box::new(started))]).await.unwrap();
    let mut intents = Vec::new();
    let mut outcomes = Vec::new();
    for resource in changed {
        let op = writer.next_op();
        let mut intent = intent(op, Action::Create, resource.urn.name());
        intent.inputs = resource.inputs.clone();
        intents.push(intends(intent));
        outcomes.push(succeeded(op, recorded(resource.urn.name(), "id", resource.inputs.clone())));
    }
    writer.append(intents).await.unwrap();
    writer.append(outcomes).await.unwrap();
    let finished =
        Event::RevisionFinished { revision, result: Finish::Succeeded, counts: Default::default() };
    writer.append(vec![finished]).await.unwrap();
}

async fn log_bytes(backend: &Arc<dyn Backend>, after: u64) -> usize {
    let mut total = 0;
    for key in backend.list_after("dev/log", &entry_key(after)).await.unwrap() {
        total += backend.get(&key).await.unwrap().unwrap().len();
    }
    total
}

/// A stack of `count` resources; the bytes that changing one of them appends.
async fn bytes_of_one_change(count: usize) -> usize {
    let backend = memory();
    let mut desired = declared(count);
    let writer = write(&backend, no_keys()).await;
    apply(&writer, 1, &desired, &desired.iter().collect::<Vec<_>>()).await;
    writer.release().await.unwrap();

    let (log, state) = open(&backend).await;
    let before = state.seq;
    let writer = log.acquire(state, holder("one"), TTL, Duration::ZERO).await.unwrap();
    desired[7].inputs = Value::from([("value", "changed")]);
    apply(&writer, 2, &desired, &[&desired[7]]).await;
    writer.release().await.unwrap();
    assert_eq!(writer.state().resources.len(), count);
    log_bytes(&backend, before).await
}

#[tokio::test]
async fn a_change_costs_the_same_in_a_small_and_a_large_stack() {
    let (small, large) = (bytes_of_one_change(100).await, bytes_of_one_change(10_000).await);
    // Numbers of operations have some digits more.
    assert!(large < small + 64, "{small} bytes with 100 resources, {large} with 10,000");
}

#[tokio::test]
async fn a_large_stack_opens_from_its_checkpoint() {
    let folder_ = tempfile::tempdir().unwrap();
    let backend = folder(folder_.path());
    let desired = declared(10_000);
    let writer = write(&backend, no_keys()).await;
    let started = Instant::now();
    apply(&writer, 1, &desired, &desired.iter().collect::<Vec<_>>()).await;
    let applied = started.elapsed();
    let started = Instant::now();
    writer.release().await.unwrap();
    let released = started.elapsed();
    assert_eq!(backend.list("dev/checkpoint").await.unwrap().len(), 1, "so many bytes deserve a checkpoint");

    let started = Instant::now();
    let (_, state) = Log::open(backend, STACK, no_keys()).await.unwrap();
    let opened = started.elapsed();
    println!("appending {applied:?}, checkpoint {released:?}, opening {opened:?}");
    assert_eq!(state, *writer.state());
    // Without optimization and beside other tests; an optimized build takes a small part of it.
    assert!(opened < Duration::from_secs(5), "{opened:?}");
}

#[tokio::test]
async fn state_is_not_copied_for_an_append() {
    let backend = memory();
    let desired = declared(5_000);
    let writer = write(&backend, no_keys()).await;
    apply(&writer, 1, &desired, &desired.iter().collect::<Vec<_>>()).await;
    let address = std::ptr::from_ref(&*writer.state());
    for _ in 0..20 {
        let op = writer.next_op();
        writer.append(vec![intends(intent(op, Action::Read, "r00001"))]).await.unwrap();
        assert_eq!(std::ptr::from_ref(&*writer.state()), address);
    }
}
