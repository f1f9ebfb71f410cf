//! The simulated cloud itself, without HTTP.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::service::Wish;
use super::*;

fn settings() -> Settings {
    Settings { latency_scale: 0.0, latencies: Default::default(), nodes: Arc::new(NoNodes) }
}

fn wish(inputs: Json) -> Wish {
    Wish { inputs, ..Wish::default() }
}

async fn ended(cloud: &Cloud, operation: Option<Operation>) -> Operation {
    cloud.wait(&operation.expect("something was begun").id, Duration::from_secs(20)).await.unwrap()
}

async fn make(cloud: &Cloud, kind: CloudKind, name: &str, inputs: Json) {
    let (_, operation) = cloud.create(kind, name, wish(inputs)).unwrap();
    assert_eq!(ended(cloud, operation).await.progress, Progress::Done);
}

#[tokio::test]
async fn a_token_makes_a_create_safe_to_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(dir.path(), settings()).unwrap();
    let create = |token: &str| {
        let wish = Wish { client_token: token.to_owned(), ..wish(json!({ "name": "logs" })) };
        cloud.create(CloudKind::Bucket, "logs", wish)
    };
    let (first, operation) = create("t1").unwrap();
    ended(&cloud, operation).await;
    let (again, _) = create("t1").unwrap();
    assert_eq!((first.created, again.status), (again.created, Status::Active));
    assert_eq!(create("t2").unwrap_err().code, Code::AlreadyExists);
}

#[tokio::test]
async fn quotas_end_it() {
    let dir = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(dir.path(), settings()).unwrap();
    let quota = CloudKind::Network.spec().quota;
    for at in 0..quota {
        let name = format!("n{at}");
        cloud.create(CloudKind::Network, &name, wish(json!({ "name": name }))).unwrap();
    }
    let error = cloud.create(CloudKind::Network, "more", wish(json!({ "name": "more" }))).unwrap_err();
    assert_eq!(error.code, Code::QuotaExceeded);
}

#[tokio::test]
async fn an_address_and_the_inputs_name_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(dir.path(), settings()).unwrap();
    let error = cloud.create(CloudKind::Bucket, "logs", wish(json!({ "name": "other" }))).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (Code::Invalid, Some("name")));
    let error = cloud.create(CloudKind::Bucket, "logs", wish(json!({ "name": 7 }))).unwrap_err();
    assert!(error.message.contains("must be a text"), "{}", error.message);
}

#[tokio::test]
async fn learned_durations_take_the_place_of_usual_ones() {
    let dir = tempfile::tempdir().unwrap();
    let latencies = [("local:cloud/Bucket".to_owned(), Duration::from_secs(600))].into();
    let cloud = Cloud::open(dir.path(), Settings { latency_scale: 0.001, latencies, ..settings() }).unwrap();
    let (_, operation) = cloud.create(CloudKind::Bucket, "logs", wish(json!({ "name": "logs" }))).unwrap();
    let operation = operation.unwrap();
    assert_eq!(operation.ends.as_millisecond() - operation.started.as_millisecond(), 600);
    assert_eq!(operation.percent(operation.started + Duration::from_millis(300)), 50);
    cloud.close().await.unwrap();
}

/// A Kubernetes API that can be out of order.
#[derive(Default)]
struct Host {
    broken: AtomicBool,
    nodes: Mutex<Vec<String>>,
}

#[async_trait]
impl NodeHost for Host {
    async fn join(&self, machine: Machine) -> Result<(), String> {
        if self.broken.load(Ordering::Relaxed) {
            return Err("out of order".to_owned());
        }
        let mut nodes = self.nodes.lock().unwrap();
        if !nodes.contains(&machine.name) {
            nodes.push(machine.name);
        }
        Ok(())
    }

    async fn leave(&self, name: &str) -> Result<(), String> {
        self.nodes.lock().unwrap().retain(|node| node != name);
        Ok(())
    }
}

#[tokio::test]
async fn a_pool_whose_machines_do_not_join_fails_and_can_be_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let host = Arc::new(Host::default());
    let cloud = Cloud::open(dir.path(), Settings { nodes: host.clone(), ..settings() }).unwrap();
    make(&cloud, CloudKind::Cluster, "main", json!({ "name": "main", "version": "1.35" })).await;
    host.broken.store(true, Ordering::Relaxed);
    let inputs = json!({ "cluster": "main", "name": "a", "minSize": 2 });
    let (_, operation) = cloud.create(CloudKind::NodePool, "main/a", wish(inputs.clone())).unwrap();
    let failed = ended(&cloud, operation).await;
    assert_eq!((failed.progress, failed.error.as_deref()), (Progress::Failed, Some("out of order")));
    assert_eq!(cloud.get(CloudKind::NodePool, "main/a").unwrap().status, Status::Failed);
    host.broken.store(false, Ordering::Relaxed);
    let (_, operation) = cloud.update(CloudKind::NodePool, "main/a", wish(inputs)).unwrap();
    assert_eq!(ended(&cloud, operation).await.progress, Progress::Done);
    assert_eq!(host.nodes.lock().unwrap().len(), 2);
    let (_, operation) = cloud.delete(CloudKind::NodePool, "main/a", &Wish::default()).unwrap();
    ended(&cloud, operation).await;
    assert!(host.nodes.lock().unwrap().is_empty());
}

/// What the cloud of a killed process would be opened with: the journal as it is, without anything being closed.
fn killed(dir: &Path, torn: &[u8]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let mut journal = std::fs::read(dir.join("journal.jsonl")).unwrap();
    journal.extend_from_slice(torn);
    std::fs::write(copy.path().join("journal.jsonl"), journal).unwrap();
    copy
}

#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Update(u8, u8),
    Delete(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0u8..4).prop_map(Step::Create),
        (0u8..4, 0u8..3).prop_map(|(name, tag)| Step::Update(name, tag)),
        (0u8..4).prop_map(Step::Delete),
    ];
    proptest::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_kill_loses_nothing_that_was_answered(steps in steps(), torn in "[^\n]{0,20}", slow in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let dir = tempfile::tempdir().unwrap();
            // Slow operations are still running when the kill comes; quick ones have ended.
            let settings = Settings { latency_scale: if slow { 1000.0 } else { 0.0 }, ..settings() };
            let cloud = Cloud::open(dir.path(), settings).unwrap();
            for step in steps {
                let name = |at: u8| format!("n{at}");
                let answer = match step {
                    Step::Create(at) => {
                        cloud.create(CloudKind::Network, &name(at), wish(json!({ "name": name(at) })))
                    }
                    Step::Update(at, tag) => {
                        let inputs = json!({ "name": name(at), "tags": { "tag": tag.to_string() } });
                        cloud.update(CloudKind::Network, &name(at), wish(inputs))
                    }
                    Step::Delete(at) => cloud.delete(CloudKind::Network, &name(at), &Wish::default()),
                };
                if let Ok((_, Some(operation))) = answer
                    && !slow
                {
                    ended(&cloud, Some(operation)).await;
                }
            }
            let answered = cloud.list(CloudKind::Network, None);
            let copy = killed(dir.path(), torn.as_bytes());
            let store = super::state::Store::open(copy.path()).unwrap();
            let kept: Vec<Record> = store.state().list(CloudKind::Network).cloned().collect();
            assert_eq!(kept, answered);
            assert_eq!(
                store.state().running().count(),
                answered.iter().filter(|record| record.operation.is_some()).count()
            );
        });
    }
}
