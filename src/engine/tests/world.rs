//! A world for the engine to act on: a provider whose live side is a map, with faults, and storage that dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use plinth_provider::{
    Applied, Class, Context, Error, KindSchema, Live, Occupant, Owner, Provider, Providers, ReadRequest,
    Recorded, Request, Resource, Result, Urn, Value, builtin::Builtin,
};
use plinth_state::{Backend, Created, Keys, Log, State};

use crate::engine::{
    Ended, Engine, Events, Facts, Interrupt, Plan, Refresh, Report, RunError, Settings, Target,
};

/// `fake:Fixed` has a fixed physical name; `fake:Free` gets a new one at each create, so that two can stand side by side.
pub const FIXED: &str = "fake:Fixed";
pub const FREE: &str = "fake:Free";

/// Sees a side effect before it happens.
pub type Watch = Box<dyn Fn(&Urn) + Send + Sync>;

/// What exists, and what happened, in order.
#[derive(Default)]
pub struct World {
    pub things: Mutex<BTreeMap<String, (Urn, Value)>>,
    pub history: Mutex<Vec<String>>,
    pub broken: Mutex<Vec<String>>,
    /// What was done although the order of things forbids it.
    violations: Mutex<Vec<String>>,
    /// What went before its users had let go of it: no violation if it had to go for what it used itself.
    left_dangling: Mutex<Vec<Dangling>>,
    /// Creates and deletes perform but answer with an unknown outcome when this hits zero.
    pub lose_reply_in: AtomicU64,
    /// What is made and then waited for without end.
    pub hangs: Mutex<Vec<String>>,
    /// What is begun under a handle, and whose end the caller may not see.
    pub denied: Mutex<Vec<String>>,
    /// Nobody can look what is there.
    pub unseen: std::sync::atomic::AtomicBool,
    serial: AtomicU64,
    /// Called with every side effect before it happens.
    pub on_effect: Mutex<Option<Watch>>,
}

/// Something that went while others still named it.
struct Dangling {
    what: String,
    /// How much had happened by then.
    at: usize,
    /// The names of what it used, be it through others.
    used: Vec<String>,
}

impl World {
    fn effect(&self, what: &str, urn: &Urn) -> Result<()> {
        if let Some(check) = &*self.on_effect.lock().unwrap() {
            check(urn);
        }
        if self.broken.lock().unwrap().iter().any(|name| name == urn.name()) {
            return Err(Error::invalid(format!("{} is broken", urn.name())));
        }
        self.history.lock().unwrap().push(format!("{what} {}", urn.name()));
        Ok(())
    }

    /// What is made needs what it refers to.
    fn made(&self, urn: &Urn, inputs: &Value) {
        let things = self.things.lock().unwrap();
        let needs = inputs.get("needs").and_then(Value::as_list).unwrap_or_default();
        for need in needs.iter().filter_map(Value::as_str).filter(|need| !things.contains_key(*need)) {
            self.violations.lock().unwrap().push(format!("{urn} is made without {need}"));
        }
    }

    /// What goes is used by nothing that has not gone or let go of it. Who refers to a fixed name may stay, since the
    /// name comes back; who lives in it may not.
    fn goes(&self, id: &str) {
        let things = self.things.lock().unwrap();
        let needs = |inputs: &Value| -> Vec<String> {
            let needs = inputs.get("needs").and_then(Value::as_list).unwrap_or_default();
            needs.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        for (other, (urn, inputs)) in things.iter().filter(|(other, _)| *other != id) {
            let what = format!("{id} goes before {urn} ({other})");
            if inputs.text_at("in") == Some(id) {
                self.violations.lock().unwrap().push(what);
            } else if things[id].0.kind() == FREE && needs(inputs).iter().any(|need| need == id) {
                // Also through what goes in between.
                let (mut used, mut open) = (BTreeSet::new(), needs(&things[id].1));
                while let Some(next) = open.pop() {
                    let Some((urn, inputs)) = things.get(&next) else { continue };
                    if used.insert(urn.name().to_owned()) {
                        open.extend(needs(inputs));
                    }
                }
                let used = used.into_iter().collect();
                let at = self.history.lock().unwrap().len();
                self.left_dangling.lock().unwrap().push(Dangling { what, at, used });
            }
        }
    }

    /// What was done although the order of things forbids it. What used something that goes before its new one comes
    /// went even earlier, and its own users could only follow when its new one was there.
    pub fn violations(&self) -> Vec<String> {
        let history = self.history.lock().unwrap();
        // It may get a new name with that; what stands before the last hyphen stays.
        let stem = |name: &str| name.rsplit_once('-').map_or(name, |(stem, _)| stem).to_owned();
        let made_anew = |dangling: &Dangling, name: &String| {
            let is = |entry: &String, what: &str| {
                entry.split_once(' ').is_some_and(|(done, of)| done == what && stem(of) == stem(name))
            };
            let mut after = history.iter().skip(dangling.at);
            after.any(|entry| is(entry, "delete")) && after.any(|entry| is(entry, "create"))
        };
        let dangling = self.left_dangling.lock().unwrap();
        let forbidden =
            dangling.iter().filter(|dangling| !dangling.used.iter().any(|name| made_anew(dangling, name)));
        let forbidden = forbidden.map(|dangling| dangling.what.clone());
        self.violations.lock().unwrap().iter().cloned().chain(forbidden).collect()
    }

    fn reply<T>(&self, reply: T) -> Result<T> {
        if self.lose_reply_in.load(Ordering::SeqCst) > 0
            && self.lose_reply_in.fetch_sub(1, Ordering::SeqCst) == 1
        {
            return Err(Error::new(Class::UnknownOutcome, "the connection was closed"));
        }
        Ok(reply)
    }

    fn find_own(&self, urn: &Urn, inputs: &Value, beside: Option<&String>) -> Option<(String, Value)> {
        let things = self.things.lock().unwrap();
        // The newest instance whose inputs are those of the create.
        let own = things.iter().filter(|(id, (owner, _))| owner == urn && Some(*id) != beside);
        let matching = own.filter(|(_, (_, live))| urn.kind() == FIXED || live == inputs);
        matching.max_by_key(|(id, _)| (*id).clone()).map(|(id, (_, live))| (id.clone(), live.clone()))
    }

    /// Names with what is live under them.
    pub fn live(&self) -> BTreeMap<String, Vec<Value>> {
        let mut by_name: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (urn, inputs) in self.things.lock().unwrap().values() {
            by_name.entry(urn.name().to_owned()).or_default().push(inputs.clone());
        }
        by_name
    }
}

fn outputs(id: &str, inputs: &Value) -> Value {
    let mut outputs = inputs.clone();
    outputs.set(&"id".into(), id.into());
    outputs
}

pub struct Fake(pub Arc<World>);

#[async_trait]
impl Provider for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    fn schema(&self, kind: &str) -> Result<KindSchema> {
        Ok(KindSchema {
            immutable: KindSchema::patterns(&["fixed"]),
            delete_before_replace: kind == FIXED,
            ..KindSchema::default()
        })
    }

    fn check(&self, _urn: &Urn, inputs: Value) -> Result<Value> {
        match inputs.get("invalid") {
            Some(_) => Err(Error::invalid("`invalid` is not allowed").at("invalid".into())),
            None => Ok(inputs),
        }
    }

    fn predict(&self, _urn: &Urn, desired: &Value, recorded: Option<&Recorded>) -> Value {
        let id = recorded.and_then(|recorded| recorded.outputs.get("id").cloned()).unwrap_or(Value::Unknown);
        let mut outputs = desired.clone();
        outputs.set(&"id".into(), id);
        outputs
    }

    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        dependent.inputs.text_at("in") == Some(dependency.id.as_str())
    }

    fn identity(&self, urn: &Urn, inputs: &Value) -> Option<String> {
        (urn.kind() == FIXED).then(|| inputs.text_at("name").unwrap_or(urn.name()).to_owned())
    }

    async fn occupants(&self, _context: &Context, requests: &[Request<'_>]) -> Vec<Result<Option<Occupant>>> {
        let things = self.0.things.lock().unwrap();
        let found = |request: &Request<'_>| {
            let (urn, inputs) = things.get(request.urn.name()).filter(|_| request.urn.kind() == FIXED)?;
            let id = request.urn.name().to_owned();
            let owner = match urn.stack() {
                STACK => Owner::Ours,
                _ => Owner::Nobody,
            };
            let live = Live {
                outputs: outputs(&id, inputs),
                id,
                inputs: inputs.clone(),
                details: serde_json::Value::Null,
            };
            Some(Occupant { live, owner })
        };
        requests.iter().map(|request| Ok(found(request))).collect()
    }

    async fn create(&self, context: &Context, request: Request<'_>) -> Result<Applied> {
        let world = &self.0;
        tokio::task::yield_now().await;
        if let Some((id, _)) = world.find_own(request.urn, request.inputs, context.beside.as_ref()) {
            world.effect("adopt", request.urn)?;
            world.things.lock().unwrap().insert(id.clone(), (request.urn.clone(), request.inputs.clone()));
            return Ok(Applied { outputs: outputs(&id, request.inputs), id });
        }
        world.effect("create", request.urn)?;
        world.made(request.urn, request.inputs);
        let id = match request.urn.kind() {
            FIXED => request.urn.name().to_owned(),
            _ => format!("{}-{:06}", request.urn.name(), world.serial.fetch_add(1, Ordering::SeqCst)),
        };
        let before =
            world.things.lock().unwrap().insert(id.clone(), (request.urn.clone(), request.inputs.clone()));
        assert!(before.is_none(), "{id} is created twice");
        if world.hangs.lock().unwrap().iter().any(|name| name == request.urn.name()) {
            context.reporter.waiting("0/3 nodes are there");
            std::future::pending::<()>().await;
        }
        if world.denied.lock().unwrap().iter().any(|name| name == request.urn.name()) {
            context.reporter.started("operation-1").await?;
            return Err(Error::new(Class::Denied, "the credentials have expired"));
        }
        world.reply(Applied { outputs: outputs(&id, request.inputs), id })
    }

    async fn read(&self, _context: &Context, request: ReadRequest<'_>) -> Result<Option<Live>> {
        let things = self.0.things.lock().unwrap();
        Ok(things.get(&request.recorded.id).map(|(_, inputs)| Live {
            id: request.recorded.id.clone(),
            outputs: outputs(&request.recorded.id, inputs),
            inputs: inputs.clone(),
            details: serde_json::Value::Null,
        }))
    }

    async fn update(&self, _context: &Context, request: Request<'_>, recorded: &Recorded) -> Result<Applied> {
        tokio::task::yield_now().await;
        self.0.effect("update", request.urn)?;
        self.0.made(request.urn, request.inputs);
        let mut things = self.0.things.lock().unwrap();
        let Some(thing) = things.get_mut(&recorded.id) else {
            return Err(Error::new(Class::NotFound, "gone"));
        };
        *thing = (request.urn.clone(), request.inputs.clone());
        drop(things);
        self.0.reply(Applied { id: recorded.id.clone(), outputs: outputs(&recorded.id, request.inputs) })
    }

    async fn delete(&self, _context: &Context, recorded: &Recorded) -> Result<()> {
        tokio::task::yield_now().await;
        if self.0.things.lock().unwrap().contains_key(&recorded.id) {
            self.0.effect("delete", &recorded.urn)?;
            self.0.goes(&recorded.id);
            self.0.things.lock().unwrap().remove(&recorded.id);
        }
        self.0.reply(())
    }

    async fn find(&self, context: &Context, request: Request<'_>) -> Result<Option<Live>> {
        if self.0.unseen.load(Ordering::SeqCst) {
            return Err(Error::new(Class::Unavailable, "nobody answers"));
        }
        Ok(self.0.find_own(request.urn, request.inputs, context.beside.as_ref()).map(|(id, inputs)| Live {
            outputs: outputs(&id, &inputs),
            id,
            inputs,
            details: serde_json::Value::Null,
        }))
    }
}

/// Storage at which the process is killed after some number of creates: from then on nothing answers any more. The
/// create at which it happens is stored or not, by `store_last`.
#[derive(Debug)]
pub struct Mortal {
    pub inner: Arc<dyn Backend>,
    pub creates_left: AtomicU64,
    pub store_last: bool,
    pub died: tokio::sync::Notify,
}

impl Mortal {
    pub fn new(inner: Arc<dyn Backend>, creates: u64, store_last: bool) -> Arc<Self> {
        Arc::new(Self {
            inner,
            creates_left: AtomicU64::new(creates),
            store_last,
            died: tokio::sync::Notify::new(),
        })
    }

    async fn die<T>(&self) -> T {
        self.creates_left.store(0, Ordering::SeqCst);
        self.died.notify_one();
        std::future::pending().await
    }

    async fn alive(&self) {
        if self.creates_left.load(Ordering::SeqCst) == 0 {
            self.die::<()>().await;
        }
    }
}

#[async_trait]
impl Backend for Mortal {
    async fn create(&self, key: &str, bytes: Bytes) -> plinth_state::Result<Created> {
        self.alive().await;
        if self.creates_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            if self.store_last {
                self.inner.create(key, bytes).await?;
            }
            return self.die().await;
        }
        self.inner.create(key, bytes).await
    }
    async fn get(&self, key: &str) -> plinth_state::Result<Option<Bytes>> {
        self.alive().await;
        self.inner.get(key).await
    }
    async fn list(&self, folder: &str) -> plinth_state::Result<Vec<String>> {
        self.alive().await;
        self.inner.list(folder).await
    }
    async fn list_after(&self, folder: &str, start: &str) -> plinth_state::Result<Vec<String>> {
        self.alive().await;
        self.inner.list_after(folder, start).await
    }
    async fn put(&self, key: &str, bytes: Bytes) -> plinth_state::Result<()> {
        self.alive().await;
        self.inner.put(key, bytes).await
    }
    async fn delete(&self, key: &str) -> plinth_state::Result<()> {
        self.alive().await;
        self.inner.delete(key).await
    }
}

/// A stack on a world and a backend.
pub struct Bench {
    pub world: Arc<World>,
    pub backend: Arc<dyn Backend>,
    identity: tempfile::TempDir,
}

pub const STACK: &str = "bench";

impl Bench {
    pub fn new() -> Self {
        Self {
            world: Arc::default(),
            backend: plinth_state::open_backend("memory://").unwrap(),
            identity: tempfile::tempdir().unwrap(),
        }
    }

    pub fn providers(&self) -> Providers {
        Providers::new().with(Arc::new(Builtin)).with(Arc::new(Fake(self.world.clone())))
    }

    pub async fn engine(&self, backend: Arc<dyn Backend>) -> plinth_state::Result<(Engine, State)> {
        let keys = Keys::Identity(self.identity.path().join("identity.txt"));
        let (log, state) = Log::open(backend, STACK, keys).await?;
        let (events, _) = Events::channel();
        let settings = Settings { refresh: Refresh::Never, ..Settings::default() };
        let engine = Engine {
            stack: STACK.into(),
            log,
            providers: self.providers(),
            events,
            interrupt: Interrupt::default(),
            settings,
            ahead: Default::default(),
        };
        Ok((engine, state))
    }

    pub async fn apply_on(
        &self,
        backend: Arc<dyn Backend>,
        resources: Vec<Resource>,
    ) -> std::result::Result<Ended, RunError> {
        let (engine, state) = self.engine(backend).await?;
        let target = Target::new("apply", resources, &engine.providers)?;
        engine.apply(&target, state, None, async |_: &Plan| true).await
    }

    /// Applies until the storage dies; whether the run survived.
    pub async fn apply_until_killed(&self, mortal: Arc<Mortal>, resources: Vec<Resource>) -> bool {
        tokio::select! {
            result = self.apply_on(mortal.clone(), resources) => {
                result.unwrap();
                true
            }
            () = mortal.died.notified() => false,
        }
    }

    pub async fn apply(&self, resources: Vec<Resource>) -> Report {
        match self.apply_on(self.backend.clone(), resources).await.unwrap() {
            Ended::Executed(report) => *report,
            Ended::NoChanges => Report::default(),
            Ended::Declined => panic!("nobody declines here"),
        }
    }

    /// Ends the lease of a run that was "killed": in this process it still looks alive.
    pub async fn bury(&self) {
        let (engine, mut state) = self.engine(self.backend.clone()).await.unwrap();
        let by = plinth_state::Holder::current(None, "test");
        engine.log.unlock(&mut state, by).await.unwrap();
    }

    pub async fn state(&self) -> State {
        self.engine(self.backend.clone()).await.unwrap().1
    }

    pub async fn plan(&self, resources: Vec<Resource>, facts: &Facts) -> Plan {
        let (engine, state) = self.engine(self.backend.clone()).await.unwrap();
        let target = Target::new("plan", resources, &engine.providers).unwrap();
        crate::engine::plan(&target.desired, &state, facts, &engine.providers, &target.scope).unwrap()
    }

    pub fn take_history(&self) -> Vec<String> {
        std::mem::take(&mut *self.world.history.lock().unwrap())
    }
}

pub fn urn(kind: &str, name: &str) -> Urn {
    Urn::new(STACK, kind, name).unwrap()
}

/// A resource with inputs, which needs the ids of others.
pub fn thing(kind: &str, name: &str, inputs: &[(&str, &str)], needs: &[Urn]) -> Resource {
    let mut map = Value::map();
    for (key, value) in inputs {
        map.set(&(*key).into(), (*value).into());
    }
    let references = needs
        .iter()
        .map(|need| Value::Output(plinth_provider::OutputRef { urn: need.clone(), path: "id".into() }));
    if !needs.is_empty() {
        map.set(&"needs".into(), Value::List(references.collect()));
    }
    Resource::new(urn(kind, name), map)
}
