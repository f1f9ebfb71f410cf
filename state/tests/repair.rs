//! Every object of a real history, damaged in every way: it is named, never taken for state, and mended as far as the
//! rest proves it.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::*;
use plinth_provider::{Resource, Urn, Value};
use plinth_state::{
    Action, Backend, Delta, Event, Finish, Keys, Log, Mending, OutcomeResult, RevisionStarted, State, Writer,
    plan_repair, verify,
};

type Objects = BTreeMap<String, Bytes>;

/// A run whose lease is short, should the entry that gives it back be lost.
async fn begin(backend: &Arc<dyn Backend>, keys: &Keys) -> Writer {
    let (log, state) = Log::open(Arc::clone(backend), STACK, keys.clone()).await.unwrap();
    log.acquire(state, holder("one"), Duration::from_millis(200), Duration::ZERO).await.unwrap()
}

async fn revision(writer: &Writer, number: u64, set: Vec<Resource>, removed: Vec<Urn>) {
    let declared = Delta { set, removed };
    let started =
        RevisionStarted { revision: number, command: "apply".into(), declared, ..Default::default() };
    writer.append(vec![Event::RevisionStarted(Box::new(started))]).await.unwrap();
}

async fn finish(writer: &Writer, revision: u64) {
    let counts = BTreeMap::default();
    writer
        .append(vec![Event::RevisionFinished { revision, result: Finish::Succeeded, counts }])
        .await
        .unwrap();
}

async fn operate(writer: &Writer, action: Action, name: &str, value: Value, replaces: bool) {
    let op = writer.next_op();
    let mut intended = intent(op, action, name);
    intended.inputs = Value::from([("value", value.clone())]);
    intended.replaces = replaces;
    let result = if action == Action::Delete {
        OutcomeResult::Deleted
    } else {
        let id = if replaces { format!("{name} anew") } else { name.to_owned() };
        OutcomeResult::Succeeded { recorded: Box::new(recorded(name, &id, value)) }
    };
    writer.append(vec![intends(intended)]).await.unwrap();
    writer.append(vec![Event::Outcome { op, result, duration_ms: 1 }]).await.unwrap();
}

/// Creates with secrets, updates, a replacement, deletes, a crash with an operation under way; `padding` more entries in
/// the middle make a checkpoint.
async fn history(keys: &Keys, padding: usize) -> Objects {
    let backend = memory();
    let writer = begin(&backend, keys).await;
    let declared: Vec<Resource> = (0..5).map(|n| resource(&format!("r{n}"), "1")).collect();
    revision(&writer, 1, declared, Vec::new()).await;
    for n in 0..5 {
        let value = if n == 1 { Value::secret("CANARY") } else { Value::from("1") };
        operate(&writer, Action::Create, &format!("r{n}"), value, false).await;
    }
    finish(&writer, 1).await;
    writer.release().await.unwrap();

    let writer = begin(&backend, keys).await;
    revision(&writer, 2, vec![resource("r0", "2"), resource("r2", "2")], vec![urn("r4")]).await;
    operate(&writer, Action::Update, "r0", "2".into(), false).await;
    operate(&writer, Action::Create, "r2", "2".into(), true).await;
    operate(&writer, Action::Delete, "r2", Value::Null, true).await;
    for n in 0..padding {
        writer
            .append(vec![Event::Refreshed { urn: urn("r0"), outputs: n.to_string().into() }])
            .await
            .unwrap();
    }
    operate(&writer, Action::Delete, "r4", Value::Null, false).await;
    finish(&writer, 2).await;
    writer.release().await.unwrap();

    let writer = begin(&backend, keys).await;
    revision(&writer, 3, vec![resource("r5", "3"), resource("r6", "3")], Vec::new()).await;
    operate(&writer, Action::Create, "r5", "3".into(), false).await;
    writer.append(vec![intends(intent(writer.next_op(), Action::Create, "r6"))]).await.unwrap();
    writer.release().await.unwrap();
    let mut objects = Objects::new();
    for folder in ["dev/log", "dev/checkpoint", "dev"] {
        for key in backend.list(folder).await.unwrap() {
            let bytes = backend.get(&key).await.unwrap().unwrap();
            objects.insert(key, bytes);
        }
    }
    objects
}

async fn store(objects: &Objects) -> Arc<dyn Backend> {
    let backend = memory();
    for (key, bytes) in objects {
        backend.put(key, bytes.clone()).await.unwrap();
    }
    backend
}

/// One way to damage one object.
#[derive(Debug, Clone)]
struct Damage {
    key: String,
    how: String,
    objects: Objects,
}

fn damages(good: &Objects, foreign: &Objects) -> Vec<Damage> {
    let mut all = Vec::new();
    let keys: Vec<&String> = good.keys().collect();
    for (at, key) in keys.iter().enumerate() {
        let bytes = &good[*key];
        let mut with = |how: &str, change: &dyn Fn(&mut Objects)| {
            let mut objects = good.clone();
            change(&mut objects);
            if objects != *good {
                all.push(Damage { key: (*key).clone(), how: how.to_owned(), objects });
            }
        };
        for (name, place) in [("first", 2), ("middle", bytes.len() / 2), ("last", bytes.len() - 4)] {
            with(&format!("{name} part flipped"), &|objects| {
                let mut flipped = bytes.to_vec();
                flipped[place] ^= 1;
                objects.insert((*key).clone(), flipped.into());
            });
        }
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            with(&format!("cut to {length} bytes"), &|objects| {
                objects.insert((*key).clone(), bytes.slice(..length));
            });
        }
        with("deleted", &|objects| drop(objects.remove(*key)));
        if let Some(other) = foreign.get(*key) {
            with("replaced by another stack's", &|objects| {
                drop(objects.insert((*key).clone(), other.clone()))
            });
        }
        let neighbour = keys
            .get(at + 1)
            .filter(|next| next.rsplit_once('/').unwrap().0 == key.rsplit_once('/').unwrap().0);
        if let Some(next) = neighbour {
            with("swapped with its neighbour", &|objects| {
                let (one, two) = (good[*key].clone(), good[*next].clone());
                objects.insert((*key).clone(), two);
                objects.insert((*next).clone(), one);
            });
            with("copied over its neighbour", &|objects| {
                drop(objects.insert((*next).clone(), bytes.clone()))
            });
        }
    }
    all
}

/// The position an object's name says.
fn position(key: &str) -> Option<u64> {
    Path::new(key).file_stem()?.to_str()?.parse().ok()
}

struct Outcome {
    opened: Result<State, String>,
    named: Vec<String>,
    mending: Option<Mending>,
    after: State,
    again: Option<Objects>,
}

async fn suffer(objects: &Objects, keys: &Keys) -> Outcome {
    let backend = store(objects).await;
    let opened = Log::open(Arc::clone(&backend), STACK, keys.clone()).await;
    let opened = opened.map(|(_, state)| state).map_err(|error| error.to_string());
    let report = verify(Arc::clone(&backend), STACK, keys.clone()).await.unwrap();
    let named = report.problems.iter().map(ToString::to_string).collect();
    let repair = plan_repair(Arc::clone(&backend), STACK, keys.clone()).await.unwrap();
    let mending = match repair {
        Some(repair) => Some(repair.run(holder("repair"), TTL, TTL).await.unwrap()),
        None => None,
    };
    let report = verify(Arc::clone(&backend), STACK, keys.clone()).await.unwrap();
    assert!(report.is_whole(), "after the repair: {:?}", report.problems);
    let (log, after) = Log::open(Arc::clone(&backend), STACK, keys.clone()).await.unwrap();
    // It takes a lease and goes on.
    let writer = log.acquire(after.clone(), holder("next"), TTL, Duration::ZERO).await.unwrap();
    writer.release().await.unwrap();
    let report = verify(Arc::clone(&backend), STACK, keys.clone()).await.unwrap();
    assert!(report.is_whole(), "after the next run: {:?}", report.problems);
    let mut again = Objects::new();
    for key in backend.list("dev").await.unwrap() {
        again.insert(key.clone(), backend.get(&key).await.unwrap().unwrap());
    }
    Outcome { opened, named, mending, after, again: Some(again) }
}

fn values(state: &State) -> BTreeMap<Urn, (String, Value)> {
    state
        .resources
        .iter()
        .map(|(urn, tracked)| (urn.clone(), (tracked.id.clone(), tracked.inputs.clone())))
        .collect()
}

fn check(damage: &Damage, good: &State, outcome: &Outcome, checkpoint: u64) {
    let Damage { key, how, objects } = damage;
    let what = format!("{key} {how}: {:?}, {:?}", outcome.named, outcome.mending);
    let entry = key.contains("/log/");
    let gone = !objects.contains_key(key);
    // Whatever is opened is the truth; a damaged cache is passed over.
    if let Ok(state) = &outcome.opened {
        assert_eq!(values(state), values(good), "{what}");
        assert_eq!(state.seq, good.seq, "{what}");
    }
    let (top, seq) = (good.seq, position(key).unwrap_or(0));
    if !entry && gone {
        // A cache that is gone is no flaw, and nothing is lost with it.
        assert!(outcome.opened.is_ok() && outcome.named.is_empty(), "{what}");
        return;
    }
    let over = if how.starts_with("copied") { seq + 1 } else { seq };
    let name = if key.ends_with("head.json") { key.clone() } else { format!("{over:020}.json") };
    assert!(outcome.named.iter().any(|problem| problem.contains(&name)), "{name} is not named: {what}");
    let mending = outcome.mending.as_ref().expect("something to mend");
    if !entry || how.starts_with("swapped") {
        assert!(mending.lost.is_empty(), "{what}");
        assert_eq!(values(&outcome.after), values(good), "{what}");
        return;
    }
    assert_eq!(mending.lost, [over..=over], "{what}");
    if over > checkpoint {
        assert!(outcome.opened.is_err(), "{what}");
    }
    assert_eq!(mending.proven, over <= checkpoint, "{what}");
    if mending.proven {
        assert_eq!(values(&outcome.after), values(good), "{what}");
        assert_eq!(outcome.after.pending.len(), good.pending.len(), "{what}");
    }
    // What exists is recorded, or will be looked for, or is named.
    for urn in good.resources.keys() {
        let pending = outcome.after.pending.values().any(|pending| pending.intent.urn == *urn);
        let named = mending.unaccounted.iter().any(|(named, _)| named == urn);
        let known = outcome.after.resources.contains_key(urn);
        let declared = outcome.after.declared.contains_key(urn);
        // A deleted entry at the log's end may have been the only one that knew.
        let last = gone && over + 10 > top;
        assert!(known || pending || named || declared || last, "{urn} is forgotten: {what}");
    }
    let evidence = outcome.again.as_ref().unwrap().keys().any(|key| key.starts_with("dev/damaged/"));
    assert_eq!(evidence, !gone, "what is damaged is kept: {what}");
}

async fn every_damage(padding: usize) {
    let folder_ = tempfile::tempdir().unwrap();
    let keys = keys(folder_.path());
    let good = history(&keys, padding).await;
    let foreign: Objects = {
        let folder_ = tempfile::tempdir().unwrap();
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let others = history(&common::keys(folder_.path()), padding).await;
        // Another history of the same name: nothing but the chain of hashes tells it from ours.
        assert!(others.values().all(|bytes| !text(bytes).contains("CANARY")));
        others
    };
    let (_, state) = Log::open(store(&good).await, STACK, keys.clone()).await.unwrap();
    let checkpoint =
        good.keys().filter(|key| key.contains("checkpoint")).filter_map(|key| position(key)).max();
    let every = damages(&good, &foreign);
    // A share that meets every object and every way, in turn; all of them on demand.
    let step = if std::env::var_os("PLINTH_EVERY_DAMAGE").is_some() { 1 } else { 13 };
    let all: Vec<Damage> = every.iter().step_by(step).cloned().collect();
    println!("{} objects, damaged in {} ways, {} of them tried", good.len(), every.len(), all.len());
    let (all, state) = (Arc::new(all), Arc::new(state));
    let workers = (0..4).map(|worker| {
        let (all, state, keys) = (Arc::clone(&all), Arc::clone(&state), keys.clone());
        tokio::spawn(async move {
            for damage in all.iter().skip(worker).step_by(4) {
                let outcome = suffer(&damage.objects, &keys).await;
                check(damage, &state, &outcome, checkpoint.unwrap_or(0));
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_damage_of_a_log_without_checkpoints() {
    every_damage(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_damage_of_a_log_with_a_checkpoint() {
    every_damage(30).await;
}
