//! What the tests of the log share.
#![allow(dead_code)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use plinth_provider::{Recorded, Resource, Urn, Value};
use plinth_state::{
    Action, Backend, Created, Error, Event, Holder, Intent, Keys, Log, OutcomeResult, Result, State, Writer,
    open_backend,
};

pub const STACK: &str = "dev";
pub const TTL: Duration = Duration::from_secs(60);

pub fn urn(name: &str) -> Urn {
    Urn::new(STACK, "plinth:Data", name).unwrap()
}

pub fn recorded(name: &str, id: &str, value: impl Into<Value>) -> Recorded {
    let value = value.into();
    Recorded {
        urn: urn(name),
        id: id.to_owned(),
        inputs: Value::from([("value", value.clone())]),
        outputs: Value::from([("value", value)]),
        connection: None,
        dependencies: Vec::new(),
        options: Default::default(),
        unsettled: Default::default(),
    }
}

pub fn resource(name: &str, value: impl Into<Value>) -> Resource {
    Resource::new(urn(name), Value::from([("value", value.into())]))
}

pub fn intent(op: u64, action: Action, name: &str) -> Intent {
    let mut intent = Intent::new(op, action, urn(name));
    intent.token = format!("token-{op}");
    intent.inputs = Value::from([("value", "v")]);
    intent
}

pub fn intends(intent: Intent) -> Event {
    Event::Intent(Box::new(intent))
}

pub fn succeeded(op: u64, recorded: Recorded) -> Event {
    Event::Outcome { op, result: OutcomeResult::Succeeded { recorded: Box::new(recorded) }, duration_ms: 10 }
}

pub fn holder(name: &str) -> Holder {
    Holder { host: name.to_owned(), pid: 1, command: "apply".to_owned(), ..Holder::default() }
}

pub fn keys(folder: &Path) -> Keys {
    Keys::Identity(folder.join("identity.txt"))
}

pub fn memory() -> Arc<dyn Backend> {
    open_backend("memory://").unwrap()
}

/// Keys that are never needed.
pub fn no_keys() -> Keys {
    Keys::Identity("/nonexistent/identity".into())
}

pub fn folder(path: &Path) -> Arc<dyn Backend> {
    open_backend(&format!("file://{}", path.display())).unwrap()
}

pub async fn open(backend: &Arc<dyn Backend>) -> (Log, State) {
    Log::open(Arc::clone(backend), STACK, no_keys()).await.unwrap()
}

pub async fn write(backend: &Arc<dyn Backend>, keys: Keys) -> Writer {
    let (log, state) = Log::open(Arc::clone(backend), STACK, keys).await.unwrap();
    log.acquire(state, holder("one"), TTL, Duration::ZERO).await.unwrap()
}

/// Creates `count` resources, one entry each, and releases.
pub async fn fill(backend: &Arc<dyn Backend>, keys: Keys, count: usize) {
    let writer = write(backend, keys).await;
    for n in 0..count {
        let name = format!("r{n}");
        let op = writer.next_op();
        writer
            .append(vec![
                intends(intent(op, Action::Create, &name)),
                succeeded(op, recorded(&name, &name, "v")),
            ])
            .await
            .unwrap();
    }
    writer.release().await.unwrap();
}

pub fn entry_key(seq: u64) -> String {
    format!("{STACK}/log/{seq:020}.json")
}

/// A store with faults and a counter.
#[derive(Debug)]
pub struct Faulty {
    pub inner: Arc<dyn Backend>,
    /// Creates store the object and lose the reply.
    pub lose_replies: AtomicBool,
    /// Creates store the object and then claim, wrongly, that it existed before.
    pub deny_own: AtomicBool,
    /// This many more creates claim that the object exists although nothing is there.
    pub conflicts: AtomicU64,
    /// Nothing works.
    pub down: AtomicBool,
    /// The replies to creates are lost, and reads fail too, so that nobody can tell.
    pub blind: AtomicBool,
    pub delay: Duration,
    pub creates: AtomicU64,
    pub gets: AtomicU64,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Backend>) -> Arc<Self> {
        Self::slow(inner, Duration::ZERO)
    }

    pub fn slow(inner: Arc<dyn Backend>, delay: Duration) -> Arc<Self> {
        Arc::new(Self {
            inner,
            lose_replies: AtomicBool::new(false),
            deny_own: AtomicBool::new(false),
            conflicts: AtomicU64::new(0),
            down: AtomicBool::new(false),
            blind: AtomicBool::new(false),
            delay,
            creates: AtomicU64::new(0),
            gets: AtomicU64::new(0),
        })
    }
}

fn broken(doing: &str) -> Error {
    Error::Storage { doing: doing.to_owned(), why: "connection reset".to_owned() }
}

#[async_trait]
impl Backend for Faulty {
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        self.creates.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(broken(key));
        }
        if self.conflicts.load(Ordering::SeqCst) > 0 {
            self.conflicts.fetch_sub(1, Ordering::SeqCst);
            return Ok(Created::Exists);
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let created = self.inner.create(key, bytes).await?;
        if self.lose_replies.load(Ordering::SeqCst) || self.blind.load(Ordering::SeqCst) {
            return Err(broken(key));
        }
        if self.deny_own.load(Ordering::SeqCst) {
            return Ok(Created::Exists);
        }
        Ok(created)
    }
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) || self.blind.load(Ordering::SeqCst) {
            return Err(broken(key));
        }
        self.inner.get(key).await
    }
    async fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.inner.list(folder).await
    }
    async fn list_after(&self, folder: &str, start: &str) -> Result<Vec<String>> {
        self.inner.list_after(folder, start).await
    }
    async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        self.inner.put(key, bytes).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.inner.delete(key).await
    }
}
