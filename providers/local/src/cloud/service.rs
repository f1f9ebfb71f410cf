//! The simulated cloud as a whole: it judges requests, writes them down, and starts the operations they cause.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use plinth_provider::Value;
use serde_json::Value as Json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::{Code, Refusal};
use super::nodes::NodeHost;
use super::record::{Action, Operation, Owner, Progress, Record, Status, Touch};
use super::state::{Change, Store};
use super::{CloudKind, objects, operations, rules};

/// How a cloud behaves.
#[derive(Clone)]
pub struct Settings {
    /// Multiplies every latency; 0 makes everything immediate.
    pub latency_scale: f64,
    /// How long creating takes, before scaling, by kind; for kinds that are not named, what the kind says.
    pub latencies: BTreeMap<String, Duration>,
    /// Where the machines of node pools join.
    pub nodes: Arc<dyn NodeHost>,
}

/// An open simulated cloud. Cheap to clone.
#[derive(Clone)]
pub struct Cloud {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    dir: PathBuf,
    store: Mutex<Store>,
    pub(super) settings: Settings,
    /// Counts changes: who waits for one looks again when it moves.
    changes: watch::Sender<u64>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("dir", &self.inner.dir).finish_non_exhaustive()
    }
}

/// What a request wants, beside kind and name.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// The inputs; for a delete those that say how, if not as the resource has them.
    pub inputs: Json,
    /// On whose behalf.
    pub owner: Option<Owner>,
    /// The id of the resource, when another stack handed it over and its tags do not say so yet.
    pub takes_over: Option<String>,
    /// The same for every try of one request.
    pub client_token: String,
    /// The client's name.
    pub client: String,
}

impl Cloud {
    /// Opens the cloud kept in a directory, and goes on with the operations that were running when it was closed. To
    /// be called within a tokio runtime.
    ///
    /// # Errors
    /// When its journal cannot be read or written.
    pub fn open(dir: &Path, settings: Settings) -> io::Result<Self> {
        let store = Store::open(dir)?;
        let running: Vec<Operation> = store.state().running().cloned().collect();
        let inner = Inner {
            dir: dir.to_owned(),
            store: Mutex::new(store),
            settings,
            changes: watch::Sender::new(0),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let cloud = Self { inner: Arc::new(inner) };
        for operation in running {
            operations::start(&cloud, operation);
        }
        Ok(cloud)
    }

    /// Stops what runs, to be continued by the next [`Cloud::open`], and makes everything survive the machine.
    ///
    /// # Errors
    /// The file system's.
    pub async fn close(&self) -> io::Result<()> {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.store().sync()
    }

    /// The directory that holds a bucket's objects.
    pub fn bucket_dir(&self, bucket: &str) -> PathBuf {
        self.inner.dir.join("buckets").join(bucket)
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.inner.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A resource.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, kind: CloudKind, name: &str) -> Result<Record, Refusal> {
        self.store().state().get(kind, name).cloned().ok_or_else(|| missing(kind, name))
    }

    /// The resources of a kind, of one stack or of all.
    pub fn list(&self, kind: CloudKind, stack: Option<&str>) -> Vec<Record> {
        let store = self.store();
        let wanted = |record: &&Record| {
            stack.is_none_or(|stack| record.tags.as_ref().is_some_and(|tags| tags.stack == stack))
        };
        store.state().list(kind).filter(wanted).cloned().collect()
    }

    /// An operation.
    ///
    /// # Errors
    /// When there is none, or it ended long ago.
    pub fn operation(&self, id: &str) -> Result<Operation, Refusal> {
        self.store()
            .state()
            .operation(id)
            .cloned()
            .ok_or_else(|| Refusal::new(Code::NotFound, format!("there is no operation `{id}`")))
    }

    /// An operation, once it has ended or `patience` is used up.
    ///
    /// # Errors
    /// When there is none.
    pub async fn wait(&self, id: &str, patience: Duration) -> Result<Operation, Refusal> {
        let mut changes = self.inner.changes.subscribe();
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let operation = self.operation(id)?;
            if operation.progress != Progress::Running {
                return Ok(operation);
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return Ok(operation) },
                () = tokio::time::sleep_until(deadline) => return Ok(operation),
                () = self.inner.stop.cancelled() => return Ok(operation),
            }
        }
    }

    /// Makes a resource. Asked again with the same token, it answers the same.
    ///
    /// # Errors
    /// When the inputs are not valid, the name is taken, or the rules are against it.
    pub fn create(
        &self,
        kind: CloudKind,
        name: &str,
        wish: Wish,
    ) -> Result<(Record, Option<Operation>), Refusal> {
        let inputs = judged(kind, name, wish.inputs)?;
        let mut store = self.store();
        if let Some(existing) = store.state().get(kind, name) {
            if existing.status == Status::Deleting {
                let message = format!("{} is being deleted", rules::described(existing));
                return Err(Refusal::busy(message, existing.operation.as_deref().unwrap_or_default()));
            }
            if !wish.client_token.is_empty() && existing.client_token == wish.client_token {
                let operation =
                    existing.operation.as_ref().and_then(|id| store.state().operation(id)).cloned();
                return Ok((existing.clone(), operation));
            }
            return Err(rules::taken(existing));
        }
        rules::may_create(store.state(), kind, &inputs)?;
        if kind == CloudKind::Bucket {
            std::fs::create_dir_all(self.bucket_dir(name))?;
        }
        let operation = self.planned(&store, Action::Create, kind, name);
        let now = Timestamp::now();
        let inputs_json = inputs.expose();
        let touched = touches(&Json::Null, &inputs_json, &wish.client, now).collect();
        let record = Record {
            kind,
            name: name.to_owned(),
            status: Status::Creating,
            outputs: (kind.spec().outputs)(&inputs).expose(),
            inputs: inputs_json,
            tags: wish.owner,
            client_token: wish.client_token,
            created: now,
            operation: Some(operation.id.clone()),
            touched,
            nodes: Vec::new(),
        };
        self.begin(&mut store, record.clone(), operation.clone())?;
        drop(store);
        operations::start(self, operation.clone());
        Ok((record, Some(operation)))
    }

    /// Brings a resource to the inputs. Without an operation when it is there already.
    ///
    /// # Errors
    /// When it is missing, belongs to another stack, or the rules are against it.
    pub fn update(
        &self,
        kind: CloudKind,
        name: &str,
        wish: Wish,
    ) -> Result<(Record, Option<Operation>), Refusal> {
        let inputs = judged(kind, name, wish.inputs.clone())?;
        let mut store = self.store();
        let mut record = self.free(&store, kind, name, &wish)?;
        let inputs_json = inputs.expose();
        let same = Value::from_json(record.inputs.clone()) == Value::from_json(inputs_json.clone());
        let owner = wish.owner.or_else(|| record.tags.clone());
        if same && owner == record.tags && record.status == Status::Active {
            return Ok((record, None));
        }
        rules::may_update(store.state(), &record, &inputs)?;
        let operation = self.planned(&store, Action::Update, kind, name);
        record.touched.extend(touches(&record.inputs, &inputs_json, &wish.client, Timestamp::now()));
        record.inputs = inputs_json;
        record.tags = owner;
        record.status = Status::Updating;
        record.operation = Some(operation.id.clone());
        self.begin(&mut store, record.clone(), operation.clone())?;
        drop(store);
        operations::start(self, operation.clone());
        Ok((record, Some(operation)))
    }

    /// Removes a resource.
    ///
    /// # Errors
    /// When it is missing, belongs to another stack, is protected, in use, or a bucket that is not empty.
    pub fn delete(
        &self,
        kind: CloudKind,
        name: &str,
        wish: &Wish,
    ) -> Result<(Record, Option<Operation>), Refusal> {
        let mut store = self.store();
        let existing = store.state().get(kind, name).ok_or_else(|| missing(kind, name))?;
        if existing.status == Status::Deleting {
            let operation = existing.operation.as_ref().and_then(|id| store.state().operation(id)).cloned();
            return Ok((existing.clone(), operation));
        }
        let mut record = self.free(&store, kind, name, wish)?;
        rules::may_delete(store.state(), &record)?;
        if kind == CloudKind::Bucket
            && ![&record.inputs, &wish.inputs]
                .iter()
                .any(|inputs| inputs.get("forceDestroy") == Some(&Json::Bool(true)))
            && !objects::is_empty(&self.bucket_dir(name))
        {
            return Err(Refusal::new(Code::Invalid, format!("bucket `{name}` is not empty"))
                .at("forceDestroy")
                .help("empty it, or set `forceDestroy: true` and apply that first"));
        }
        let operation = self.planned(&store, Action::Delete, kind, name);
        record.status = Status::Deleting;
        record.operation = Some(operation.id.clone());
        self.begin(&mut store, record.clone(), operation.clone())?;
        drop(store);
        operations::start(self, operation.clone());
        Ok((record, Some(operation)))
    }

    /// A resource that the owner may change and on which nothing runs.
    fn free(&self, store: &Store, kind: CloudKind, name: &str, wish: &Wish) -> Result<Record, Refusal> {
        let record = store.state().get(kind, name).ok_or_else(|| missing(kind, name))?;
        rules::may_touch(record, wish.owner.as_ref(), wish.takes_over.as_deref())?;
        if let Some(operation) = &record.operation {
            let message = format!("{} is {}", rules::described(record), record.status);
            return Err(Refusal::busy(message, operation));
        }
        Ok(record.clone())
    }

    fn planned(&self, store: &Store, action: Action, kind: CloudKind, name: &str) -> Operation {
        let spec = kind.spec();
        let share = match action {
            Action::Create => 1.0,
            Action::Update => 0.4,
            Action::Delete => 0.5,
        };
        let settings = &self.inner.settings;
        let latency = settings.latencies.get(spec.name).copied().unwrap_or(spec.latency);
        let seconds = latency.as_secs_f64() * share * settings.latency_scale;
        let seconds = if seconds.is_finite() { seconds.clamp(0.0, 86_400.0) } else { 0.0 };
        let started = Timestamp::now();
        let ends = started + Duration::from_secs_f64(seconds);
        let serial = store.state().next_serial();
        Operation {
            id: format!("op-{serial:06}-{action}-{}", name.replace('/', "-")),
            action,
            kind,
            name: name.to_owned(),
            progress: Progress::Running,
            started,
            ends,
            error: None,
        }
    }

    fn begin(&self, store: &mut Store, record: Record, operation: Operation) -> Result<(), Refusal> {
        let change = Change { put: vec![record], operations: vec![operation], ..Change::default() };
        self.commit(store, change)?;
        Ok(())
    }

    pub(super) fn commit(&self, store: &mut Store, change: Change) -> io::Result<()> {
        store.commit(change)?;
        self.inner.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }
}

/// Inputs that are valid, belong to the name, and hold nothing unknown.
fn judged(kind: CloudKind, name: &str, inputs: Json) -> Result<Value, Refusal> {
    let inputs = kind.check(Value::from_json(inputs))?;
    match kind.full_name(&inputs) {
        Some(full) if full == name => Ok(inputs),
        full => {
            let has = full.unwrap_or_default();
            let message = format!("the address names `{name}`, the inputs name `{has}`");
            Err(Refusal::new(Code::Invalid, message).at("name"))
        }
    }
}

fn missing(kind: CloudKind, name: &str) -> Refusal {
    Refusal::new(Code::NotFound, format!("there is no {} `{name}`", kind.spec().noun))
}

/// The inputs that differ, as touched by a client.
fn touches<'a>(
    before: &'a Json,
    after: &'a Json,
    client: &'a str,
    at: Timestamp,
) -> impl Iterator<Item = (String, Touch)> + 'a {
    let keys = |json: &'a Json| json.as_object().into_iter().flat_map(|map| map.keys());
    let mut names: Vec<&String> = keys(before).chain(keys(after)).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter(|name| before.get(name.as_str()) != after.get(name.as_str()))
        .map(move |name| (name.clone(), Touch { by: client.to_owned(), at }))
        .collect::<Vec<_>>()
        .into_iter()
}
