//! What long operations do while they run, and how they end. An operation that a closed cloud left behind goes on when
//! the cloud is opened again: every effect here can be repeated.

use std::time::Duration;

use jiff::Timestamp;
use plinth_provider::Value;

use super::nodes::{self, Machine};
use super::record::{Action, Operation, Progress, Record, Status};
use super::service::Cloud;
use super::state::Change;
use super::{CloudKind, objects};

/// How often a machine that cannot join is tried again.
const TRIES: u32 = 5;

/// Runs an operation in the background.
pub(super) fn start(cloud: &Cloud, operation: Operation) {
    let task = {
        let cloud = cloud.clone();
        async move {
            let stop = cloud.inner.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = run(&cloud, &operation) => {}
            }
        }
    };
    cloud.inner.tasks.spawn(task);
}

async fn run(cloud: &Cloud, operation: &Operation) {
    let effects = match (operation.kind, operation.action) {
        (CloudKind::NodePool, Action::Create | Action::Update) => scale(cloud, operation).await,
        (CloudKind::NodePool, Action::Delete) => drain(cloud, operation).await,
        _ => Ok(()),
    };
    sleep_until(operation, operation.ends).await;
    if operation.kind == CloudKind::Bucket && operation.action == Action::Delete {
        objects::remove_all(&cloud.bucket_dir(&operation.name));
    }
    // A journal that cannot be written now may be writable later; until then the operation has not ended.
    while let Err(error) = end(cloud, operation, effects.clone()) {
        tracing::warn!(operation = operation.id, %error, "the end of an operation could not be recorded");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn end(cloud: &Cloud, operation: &Operation, effects: Result<(), String>) -> std::io::Result<()> {
    let mut store = cloud.store();
    let Some(record) = store.state().get(operation.kind, &operation.name).cloned() else { return Ok(()) };
    let ended = Operation {
        progress: if effects.is_ok() { Progress::Done } else { Progress::Failed },
        error: effects.as_ref().err().cloned(),
        ..operation.clone()
    };
    let mut change = Change { operations: vec![ended], ..Change::default() };
    match (operation.action, effects) {
        (Action::Delete, Ok(())) => change.gone.push((record.kind, record.name)),
        (_, effects) => {
            let inputs = Value::from_json(record.inputs.clone());
            let outputs = (record.kind.spec().outputs)(&inputs).expose();
            let joined = machines_of(cloud_version(store.state(), &record), &record);
            change.put.push(Record {
                status: if effects.is_ok() { Status::Active } else { Status::Failed },
                outputs,
                operation: None,
                nodes: joined.into_iter().map(|machine| machine.name).collect(),
                ..record
            });
        }
    }
    cloud.commit(&mut store, change)
}

fn cloud_version(state: &super::state::State, record: &Record) -> String {
    let cluster = record.text("cluster").and_then(|name| state.get(CloudKind::Cluster, name));
    cluster.and_then(|cluster| cluster.text("version")).unwrap_or("1.35").to_owned()
}

fn machines_of(version: String, record: &Record) -> Vec<Machine> {
    if record.kind == CloudKind::NodePool { nodes::machines(record, &version) } else { Vec::new() }
}

/// Machines join one after the other over the time that the operation takes; those beyond the size leave.
async fn scale(cloud: &Cloud, operation: &Operation) -> Result<(), String> {
    let (machines, surplus) = {
        let store = cloud.store();
        let Some(record) = store.state().get(operation.kind, &operation.name) else { return Ok(()) };
        let machines = machines_of(cloud_version(store.state(), record), record);
        let wanted = |name: &&String| machines.iter().any(|machine| machine.name == **name);
        let surplus: Vec<String> = record.nodes.iter().filter(|name| !wanted(name)).cloned().collect();
        (machines, surplus)
    };
    let host = &cloud.inner.settings.nodes;
    let count = machines.len().max(1) as i64;
    let whole = operation.ends.as_millisecond() - operation.started.as_millisecond();
    for (at, machine) in machines.into_iter().enumerate() {
        let when = operation.started.as_millisecond() + whole * (at as i64 + 1) / count;
        sleep_until(operation, Timestamp::from_millisecond(when).unwrap_or(operation.ends)).await;
        repeated(|| host.join(machine.clone())).await?;
    }
    for name in &surplus {
        repeated(|| host.leave(name)).await?;
    }
    Ok(())
}

async fn drain(cloud: &Cloud, operation: &Operation) -> Result<(), String> {
    let names = {
        let store = cloud.store();
        let Some(record) = store.state().get(operation.kind, &operation.name) else { return Ok(()) };
        // A create that failed half way has nodes that were never recorded as joined.
        let planned = machines_of(cloud_version(store.state(), record), record);
        let mut names: Vec<String> = planned.into_iter().map(|machine| machine.name).collect();
        names.extend(record.nodes.iter().cloned());
        names.sort_unstable();
        names.dedup();
        names
    };
    for name in &names {
        repeated(|| cloud.inner.settings.nodes.leave(name)).await?;
    }
    Ok(())
}

async fn repeated<F, W>(mut work: F) -> Result<(), String>
where
    F: FnMut() -> W,
    W: Future<Output = Result<(), String>>,
{
    let mut tries = 0;
    loop {
        match work().await {
            Err(_) if tries < TRIES => tokio::time::sleep(Duration::from_millis(50 << tries)).await,
            result => return result,
        }
        tries += 1;
    }
}

async fn sleep_until(operation: &Operation, when: Timestamp) {
    let left = when.as_millisecond() - Timestamp::now().as_millisecond();
    // A clock that was set back must not stop the cloud.
    let left = left.min(operation.ends.as_millisecond() - operation.started.as_millisecond());
    if left > 0 {
        tokio::time::sleep(Duration::from_millis(left.unsigned_abs())).await;
    }
}
