//! The objects, in memory behind one lock, with one global version and a bounded history for watches.
//!
//! Nothing here knows what an object means: keys, versions, and the order in which things happened.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::journal::{Journal, Record};
use super::json::{Json, Look, set};
use super::status::Status;

/// Fresh servers start above the small numbers that clients use as "can never match".
const FIRST_VERSION: u64 = 100;
const HISTORY: usize = 20_000;

/// What identifies an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Like `deployments.apps`.
    pub resource: String,
    pub namespace: String,
    pub name: String,
}

impl Key {
    /// A key from its three parts.
    pub fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self { resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }
}

/// One change, as watches see it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub version: u64,
    pub key: Key,
    /// The object before; none when it was created.
    pub before: Option<Arc<Json>>,
    /// The object after; none when it was deleted.
    pub after: Option<Arc<Json>>,
    /// The last state of a deleted object, carrying the version of the deletion.
    pub last: Option<Arc<Json>>,
}

type Objects = BTreeMap<(String, String), Arc<Json>>;

#[derive(Default)]
struct Inner {
    version: u64,
    objects: HashMap<String, Objects>,
    /// Which objects name an owner, by the owner's uid.
    owned: HashMap<String, BTreeSet<Key>>,
    history: VecDeque<Arc<Event>>,
    /// The version before the oldest event in the history.
    forgotten: u64,
}

/// The store.
pub(crate) struct Store {
    inner: Mutex<Inner>,
    journal: Box<dyn Journal>,
    latest: watch::Sender<u64>,
}

/// What a writer believes to be there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect<'a> {
    Absent,
    Version(&'a str),
}

/// Why a write did not happen.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Somebody else was faster.
    Race,
    /// The journal could not be written.
    Journal(String),
}

impl From<Lost> for Status {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Race => Status::new(409, "Conflict", "the object has been modified"),
            Lost::Journal(why) => Status::internal(&format!("the change could not be recorded: {why}")),
        }
    }
}

impl Inner {
    /// Keeps the index of owners in step with a change.
    fn index(&mut self, key: &Key, before: Option<&Json>, after: Option<&Json>) {
        let owners = |object: Option<&Json>| -> Vec<String> {
            let list = object.map(|o| o.list("metadata.ownerReferences")).unwrap_or_default();
            list.iter().map(|r| r.text("uid").to_owned()).collect()
        };
        let (old, new) = (owners(before), owners(after));
        for uid in old.iter().filter(|u| !new.contains(u)) {
            if let Some(keys) = self.owned.get_mut(uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.owned.remove(uid);
                }
            }
        }
        for uid in new.into_iter().filter(|u| !old.contains(u)) {
            self.owned.entry(uid).or_default().insert(key.clone());
        }
    }
}

impl Store {
    /// A store with what was recorded earlier, in the order in which it happened.
    pub fn new(journal: Box<dyn Journal>, records: Vec<Record>) -> Self {
        let mut inner = Inner { version: FIRST_VERSION, ..Inner::default() };
        for record in records {
            inner.version = inner.version.max(record.version);
            let objects = inner.objects.entry(record.resource).or_default();
            match record.object {
                Some(object) => {
                    objects.insert((record.namespace, record.name), Arc::new(object));
                }
                None => {
                    objects.remove(&(record.namespace, record.name));
                }
            }
        }
        let all: Vec<(Key, Arc<Json>)> = inner
            .objects
            .iter()
            .flat_map(|(resource, objects)| {
                objects.iter().map(|((ns, name), object)| (Key::new(resource, ns, name), Arc::clone(object)))
            })
            .collect();
        for (key, object) in all {
            inner.index(&key, None, Some(&object));
        }
        inner.forgotten = inner.version;
        let latest = watch::Sender::new(inner.version);
        Self { inner: Mutex::new(inner), journal, latest }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current version.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Wakes up whenever the version moves.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<Arc<Json>> {
        let inner = self.lock();
        inner.objects.get(&key.resource)?.get(&(key.namespace.clone(), key.name.clone())).cloned()
    }

    /// All objects of a resource, or those of one namespace, in order of namespace and name.
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> (Vec<Arc<Json>>, u64) {
        let inner = self.lock();
        let found = match (inner.objects.get(resource), namespace) {
            (None, _) => Vec::new(),
            (Some(objects), None) => objects.values().cloned().collect(),
            (Some(objects), Some(ns)) => objects
                .range((ns.to_owned(), String::new())..)
                .take_while(|((n, _), _)| n == ns)
                .map(|(_, object)| Arc::clone(object))
                .collect(),
        };
        (found, inner.version)
    }

    /// All objects of a resource, or those of one namespace, as they were at a version; none when the history does not
    /// reach back that far.
    pub fn list_at(&self, resource: &str, namespace: Option<&str>, version: u64) -> Option<Vec<Arc<Json>>> {
        let inner = self.lock();
        if version < inner.forgotten {
            return None;
        }
        let empty = Objects::new();
        let mut then: BTreeMap<(String, String), Option<Arc<Json>>> = inner
            .objects
            .get(resource)
            .unwrap_or(&empty)
            .iter()
            .map(|(slot, object)| (slot.clone(), Some(Arc::clone(object))))
            .collect();
        for event in inner.history.iter().rev().take_while(|e| e.version > version) {
            if event.key.resource == resource {
                let slot = (event.key.namespace.clone(), event.key.name.clone());
                then.insert(slot, event.before.clone());
            }
        }
        let here = then.into_iter().filter(|((ns, _), _)| namespace.is_none_or(|n| n == ns));
        Some(here.filter_map(|(_, object)| object).collect())
    }

    /// The objects that name an owner.
    pub fn owned_by(&self, uid: &str) -> Vec<(Key, Arc<Json>)> {
        let inner = self.lock();
        let find = |key: &Key| {
            let object = inner.objects.get(&key.resource)?.get(&(key.namespace.clone(), key.name.clone()))?;
            Some((key.clone(), Arc::clone(object)))
        };
        inner.owned.get(uid).into_iter().flatten().filter_map(find).collect()
    }

    /// The resources that have objects.
    pub fn resources(&self) -> Vec<String> {
        let inner = self.lock();
        inner.objects.iter().filter(|(_, o)| !o.is_empty()).map(|(r, _)| r.clone()).collect()
    }

    /// Writes an object, if what is there is what the writer expects.
    pub fn put(&self, key: &Key, expect: Expect<'_>, mut object: Json) -> Result<Arc<Json>, Lost> {
        let mut inner = self.lock();
        let slot = (key.namespace.clone(), key.name.clone());
        let before = inner.objects.get(&key.resource).and_then(|o| o.get(&slot)).cloned();
        check(before.as_deref(), expect)?;
        let version = inner.version + 1;
        set(&mut object, "metadata.resourceVersion", version.to_string());
        let record = record(key, version, Some(object));
        self.journal.append(&record).map_err(|e| Lost::Journal(e.to_string()))?;
        let after = Arc::new(record.object.unwrap_or_default());
        inner.objects.entry(key.resource.clone()).or_default().insert(slot, Arc::clone(&after));
        self.happened(
            &mut inner,
            Event { version, key: key.clone(), before, after: Some(Arc::clone(&after)), last: None },
        );
        Ok(after)
    }

    /// Removes an object, if it is still the one the writer saw.
    pub fn remove(&self, key: &Key, expect: Expect<'_>) -> Result<Arc<Json>, Lost> {
        let mut inner = self.lock();
        let slot = (key.namespace.clone(), key.name.clone());
        let Some(before) = inner.objects.get(&key.resource).and_then(|o| o.get(&slot)).cloned() else {
            return Err(Lost::Race);
        };
        check(Some(&before), expect)?;
        let version = inner.version + 1;
        self.journal.append(&record(key, version, None)).map_err(|e| Lost::Journal(e.to_string()))?;
        if let Some(objects) = inner.objects.get_mut(&key.resource) {
            objects.remove(&slot);
        }
        let mut last = (*before).clone();
        set(&mut last, "metadata.resourceVersion", version.to_string());
        let last = Arc::new(last);
        self.happened(
            &mut inner,
            Event {
                version,
                key: key.clone(),
                before: Some(before),
                after: None,
                last: Some(Arc::clone(&last)),
            },
        );
        Ok(last)
    }

    fn happened(&self, inner: &mut Inner, event: Event) {
        inner.index(&event.key, event.before.as_deref(), event.after.as_deref());
        inner.version = event.version;
        inner.history.push_back(Arc::new(event));
        while inner.history.len() > HISTORY {
            if let Some(old) = inner.history.pop_front() {
                inner.forgotten = old.version;
            }
        }
        self.latest.send_replace(inner.version);
    }

    /// What happened after a version, or none when the history does not reach back that far.
    pub fn since(&self, version: u64) -> Option<Vec<Arc<Event>>> {
        let inner = self.lock();
        if version < inner.forgotten {
            return None;
        }
        let start = inner.history.partition_point(|e| e.version <= version);
        Some(inner.history.iter().skip(start).cloned().collect())
    }
}

fn check(before: Option<&Json>, expect: Expect<'_>) -> Result<(), Lost> {
    let fine = match (before, expect) {
        (None, Expect::Absent) => true,
        (Some(object), Expect::Version(v)) => object["metadata"]["resourceVersion"] == v,
        _ => false,
    };
    if fine { Ok(()) } else { Err(Lost::Race) }
}

fn record(key: &Key, version: u64, object: Option<Json>) -> Record {
    Record {
        version,
        resource: key.resource.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        object,
    }
}
