//! Edits of what is recorded, and what takes them back; moving a log to other storage; leases under wrong clocks.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use plinth_provider::{Urn, Value};
use plinth_state::{
    Backend, Delta, Edit, Error, Event, Finish, Former, Log, Migration, Retention, RevisionStarted, State,
    Tracked, Writer, verify,
};

async fn platform(backend: &Arc<dyn Backend>) -> Writer {
    let writer = write(backend, no_keys()).await;
    let mut user = resource("b", "1");
    user.inputs = Value::from([(
        "value",
        Value::Output(plinth_provider::OutputRef {
            urn: urn("a"),
            path: plinth_provider::Path::parse("value"),
        }),
    )]);
    let declared = Delta { set: vec![resource("a", "1"), user], removed: Vec::new() };
    let started = RevisionStarted { revision: 1, command: "apply".into(), declared, ..Default::default() };
    writer.append(vec![Event::RevisionStarted(Box::new(started))]).await.unwrap();
    let mut user = recorded("b", "b", "1");
    user.dependencies = vec![urn("a")];
    for recorded in [recorded("a", "a", "1"), user, recorded("c", "c", "1")] {
        writer.append(vec![Event::Recorded { recorded: Box::new(recorded) }]).await.unwrap();
    }
    writer
}

/// Everything but the position and the lease.
fn content(state: &State) -> (BTreeMap<Urn, Tracked>, Vec<Urn>, String) {
    let resources = state.resources.iter().map(|(urn, tracked)| (urn.clone(), (**tracked).clone())).collect();
    (resources, state.declared.keys().cloned().collect(), format!("{:?}", state.declared))
}

async fn commit(writer: &Writer, edit: Edit) -> (u64, Edit) {
    writer.append(vec![Event::Edited(Box::new(edit.clone()))]).await.unwrap();
    (writer.state().seq, edit)
}

#[tokio::test]
async fn every_edit_can_be_taken_back_exactly() {
    let backend = memory();
    let writer = platform(&backend).await;
    let before = content(&writer.state());

    let refused = writer.state().forgetting(&[urn("a")], false, "rm".into()).unwrap_err();
    assert!(refused.what.contains(urn("b").as_str()), "{refused}");
    let edits = [
        writer.state().forgetting(&[urn("a")], true, "rm".into()).unwrap(),
        writer.state().forgetting(&[urn("a"), urn("b")], false, "rm".into()).unwrap(),
        writer.state().renaming(&urn("a"), &urn("z"), "mv".into()).unwrap(),
    ];
    for edit in edits {
        let (seq, edit) = commit(&writer, edit).await;
        assert_ne!(content(&writer.state()), before);
        let undo = writer.state().undoing(&edit, seq).unwrap();
        assert_eq!(undo.undoes, Some(seq));
        commit(&writer, undo).await;
        assert_eq!(content(&writer.state()), before);
        // Taking back twice is refused, for nothing is as the edit left it.
        assert!(writer.state().undoing(&edit, seq).is_err());
    }
    writer.release().await.unwrap();
    assert_eq!(content(&open(&backend).await.1), before);
}

#[tokio::test]
async fn references_follow_a_new_name() {
    let backend = memory();
    let writer = platform(&backend).await;
    let edit = writer.state().renaming(&urn("a"), &urn("z"), "mv".into()).unwrap();
    commit(&writer, edit).await;
    let state = writer.state();
    assert_eq!(state.resources[&urn("b")].dependencies, [urn("z")]);
    let mut seen = Vec::new();
    state.declared[&urn("b")].inputs.references(&mut |reference| seen.push(reference.urn.clone()));
    assert_eq!(seen, [urn("z")]);
    assert!(!state.resources.contains_key(&urn("a")) && !state.declared.contains_key(&urn("a")));
    for (from, to) in [("nowhere", "x"), ("b", "c")] {
        assert!(state.renaming(&urn(from), &urn(to), "mv".into()).is_err(), "{from} to {to}");
    }
    let other = Urn::new(STACK, "plinth:Other", "x").unwrap();
    assert!(state.renaming(&urn("b"), &other, "mv".into()).unwrap_err().what.contains("plinth:Other"));
}

#[tokio::test]
async fn what_is_put_back_must_fit() {
    let backend = memory();
    let writer = platform(&backend).await;
    let state = writer.state();
    let [a, b] = ["a", "b"].map(|name| (*state.resources[&urn(name)]).clone());
    let edit = state.forgetting(&[urn("a"), urn("b")], false, "rm".into()).unwrap();
    drop(state);
    commit(&writer, edit).await;
    let state = writer.state();
    assert!(
        state
            .recording(vec![b.clone()], false, "import".into())
            .unwrap_err()
            .what
            .contains("neither recorded nor given")
    );
    assert!(state.recording(vec![a.clone(), a.clone()], false, "import".into()).is_err());
    let edit = state.recording(vec![b, a.clone()], false, "import".into()).unwrap();
    drop(state);
    commit(&writer, edit).await;
    let state = writer.state();
    assert_eq!(*state.resources[&urn("a")], a);
    assert_eq!(state.recording(vec![a.clone()], false, "import".into()).unwrap().changes, []);
    let mut other = a;
    Arc::make_mut(&mut other.recorded).id = "another".into();
    assert!(state.recording(vec![other.clone()], false, "import".into()).is_err());
    assert_eq!(state.recording(vec![other], true, "import".into()).unwrap().changes.len(), 1);
}

#[tokio::test]
async fn what_is_being_worked_on_is_left_alone() {
    let backend = memory();
    let writer = platform(&backend).await;
    let op = writer.next_op();
    writer.append(vec![intends(intent(op, plinth_state::Action::Update, "c"))]).await.unwrap();
    let refused = writer.state().forgetting(&[urn("c")], false, "rm".into()).unwrap_err();
    assert!(refused.what.contains("interrupted run") && refused.help.contains("apply"), "{refused}");
}

fn migration(from: &Arc<dyn Backend>, to: &Arc<dyn Backend>) -> Migration {
    Migration {
        from: Arc::clone(from),
        to: Arc::clone(to),
        to_url: "memory://".into(),
        keys: no_keys(),
        former: Former::default(),
        holder: holder("mover"),
        lock_timeout: Duration::ZERO,
    }
}

#[tokio::test]
async fn a_log_moves_with_all_its_history() {
    let (from, to) = (memory(), memory());
    fill(&from, no_keys(), 70).await;
    let (_, before) = open(&from).await;
    let moved = migration(&from, &to).run(STACK).await.unwrap();
    assert!(moved.copied > 70 && moved.resources == 70, "{moved:?}");
    let (_, after) = open(&to).await;
    assert_eq!(content(&after), content(&before));
    assert!(verify(Arc::clone(&to), STACK, no_keys()).await.unwrap().is_whole());
    let error = Log::open(Arc::clone(&from), STACK, no_keys()).await.unwrap_err();
    assert!(matches!(&error, Error::Migrated { .. }) && error.to_string().contains("memory://"), "{error}");
    // The new place goes on, and moving again changes nothing there.
    fill(&to, no_keys(), 3).await;
    let again = migration(&from, &to).run(STACK).await.unwrap();
    assert_eq!(again.copied, 0, "{again:?}");
    assert!(open(&to).await.1.lease.is_none());
    fill(&to, no_keys(), 3).await;
    assert!(verify(to, STACK, no_keys()).await.unwrap().is_whole());
}

#[tokio::test]
async fn a_move_that_was_killed_goes_on_and_another_history_is_refused() {
    let (from, to) = (memory(), memory());
    fill(&from, no_keys(), 20).await;
    // Killed half-way: some objects are there, and the source's lease is gone on.
    for key in from.list("dev/log").await.unwrap().into_iter().take(9) {
        let bytes = from.get(&key).await.unwrap().unwrap();
        to.put(&key, bytes).await.unwrap();
    }
    fill(&from, no_keys(), 2).await;
    let moved = migration(&from, &to).run(STACK).await.unwrap();
    assert!(moved.present >= 9 && open(&to).await.1.resources.len() == 20, "{moved:?}");

    let (from, to) = (memory(), memory());
    fill(&from, no_keys(), 5).await;
    fill(&to, no_keys(), 5).await;
    let error = migration(&from, &to).run(STACK).await.unwrap_err();
    assert!(error.to_string().contains("another history"), "{error}");
    assert!(open(&from).await.1.lease.is_none(), "the source was left alone");
    let nothing = migration(&memory(), &memory()).run(STACK).await.unwrap_err();
    assert!(nothing.to_string().contains("no stack `dev`"), "{nothing}");
}

/// Revisions of one change each, each a run of its own.
async fn revisions(backend: &Arc<dyn Backend>, retention: Retention, count: u64) {
    for _ in 0..count {
        let (log, state) = open(backend).await;
        let number = state.next_revision();
        let writer =
            log.with_retention(retention).acquire(state, holder("one"), TTL, Duration::ZERO).await.unwrap();
        let declared = Delta { set: vec![resource("a", number.to_string())], removed: Vec::new() };
        let started =
            RevisionStarted { revision: number, command: "apply".into(), declared, ..Default::default() };
        writer.append(vec![Event::RevisionStarted(Box::new(started))]).await.unwrap();
        let recorded = Box::new(recorded("a", "a", number.to_string()));
        writer.append(vec![Event::Recorded { recorded }]).await.unwrap();
        let finished =
            Event::RevisionFinished { revision: number, result: Finish::Succeeded, counts: BTreeMap::new() };
        writer.append(vec![finished]).await.unwrap();
        writer.release().await.unwrap();
    }
}

#[tokio::test]
async fn old_revisions_go_and_kept_ones_stay_reachable() {
    let backend = memory();
    let keep = Retention { revisions: Some(5), days: None };
    revisions(&backend, keep, 30).await;
    let (log, state) = open(&backend).await;
    let first = state.revisions[0].number;
    assert!((5..=6).contains(&state.revisions.len()) && state.revisions_from == first, "{first}");
    for number in first..=30 {
        let declared = log.declared_at(&state, number).await.unwrap();
        assert_eq!(declared[&urn("a")].inputs.text_at("value"), Some(number.to_string().as_str()));
    }
    for gone in [1, first - 1] {
        let error = log.declared_at(&state, gone).await.unwrap_err();
        assert!(
            error.to_string().contains(&format!("reaches back to revision {first}"))
                || matches!(error, Error::NoRevision { .. }),
            "{error}"
        );
    }
    let entries = backend.list("dev/log").await.unwrap();
    assert!(entries.len() < 40, "{} entries are left", entries.len());
    let report = verify(Arc::clone(&backend), STACK, no_keys()).await.unwrap();
    assert!(report.is_whole() && report.first > 100, "{:?}", report.problems);
    // Young revisions are kept whatever their number, and without rules all are.
    let young = memory();
    revisions(&young, Retention { revisions: Some(2), days: Some(1) }, 8).await;
    revisions(&young, Retention::default(), 4).await;
    assert_eq!(open(&young).await.1.revisions.len(), 12);
}

#[tokio::test]
async fn what_was_compacted_is_not_taken_for_damage_and_damage_not_for_compaction() {
    let backend = memory();
    revisions(&backend, Retention { revisions: Some(3), days: None }, 12).await;
    let (_, state) = open(&backend).await;
    let base = state.bases[0].clone();
    // A crash before the removal came to its end leaves some of it.
    backend.put(&entry_key(base.seq - 2), "left over".into()).await.unwrap();
    assert_eq!(open(&backend).await.1, state);
    backend.delete(&entry_key(base.seq - 2)).await.unwrap();
    // Without its base nothing tells what was before.
    let key = format!("dev/checkpoint/{:020}.json", base.seq);
    let bytes = backend.get(&key).await.unwrap().unwrap();
    backend.delete(&key).await.unwrap();
    let report = verify(Arc::clone(&backend), STACK, no_keys()).await.unwrap();
    assert!(report.problems.iter().any(|problem| problem.file == key), "{:?}", report.problems);
    backend.put(&key, bytes).await.unwrap();
    // The first entries of a log that was never compacted.
    let other = memory();
    revisions(&other, Retention::default(), 5).await;
    for seq in 1..10 {
        other.delete(&entry_key(seq)).await.unwrap();
    }
    assert!(Log::open(Arc::clone(&other), STACK, no_keys()).await.is_err());
    let report = verify(other, STACK, no_keys()).await.unwrap();
    assert_eq!(report.problems[0].seq, Some(1), "{:?}", report.problems);
}

#[tokio::test]
async fn a_reader_whose_entries_are_compacted_away_reads_again() {
    let backend = memory();
    revisions(&backend, Retention::default(), 20).await;
    let (log, mut behind) = open(&backend).await;
    revisions(&backend, Retention { revisions: Some(1), days: None }, 2).await;
    // It was far behind, and goes on from where the log begins now.
    assert!(log.refresh(&mut behind).await.is_ok());
    assert_eq!(behind, open(&backend).await.1);
}

#[tokio::test]
async fn opening_a_long_history_reads_a_checkpoint_and_a_short_tail() {
    let faulty = Faulty::new(memory());
    let backend: Arc<dyn Backend> = faulty.clone();
    let writer = write(&backend, no_keys()).await;
    let many: Vec<_> = (0..10_000).map(|n| recorded(&format!("r{n:05}"), "id", "v")).collect();
    let events = many.into_iter().map(|recorded| Event::Recorded { recorded: Box::new(recorded) }).collect();
    writer.append(events).await.unwrap();
    for revision in 1..=1000 {
        let started = RevisionStarted { revision, command: "apply".into(), ..Default::default() };
        let finished =
            Event::RevisionFinished { revision, result: Finish::Succeeded, counts: BTreeMap::new() };
        writer.append(vec![Event::RevisionStarted(Box::new(started))]).await.unwrap();
        writer.append(vec![finished]).await.unwrap();
    }
    writer.release().await.unwrap();
    let gets = || faulty.gets.swap(0, std::sync::atomic::Ordering::SeqCst);
    gets();
    let (_, state) = open(&backend).await;
    let reads = gets();
    assert_eq!((state.resources.len(), state.revisions.len()), (10_000, 1000));
    assert!(reads < 120, "{reads} reads for a log of {} entries", state.seq);
    assert!(backend.list("dev/checkpoint").await.unwrap().len() <= 3);
}

#[tokio::test]
async fn a_clock_that_is_ahead_steals_no_living_lease_and_one_that_is_behind_takes_over_a_dead_one() {
    for minutes in [-10, 10] {
        let backend = memory();
        let ttl = Duration::from_millis(600);
        // What a holder writes whose clock is off by so much.
        let (log, state) = open(&backend).await;
        let skew = jiff::SignedDuration::from_mins(minutes);
        let log = log.with_clock(plinth_state::Clock::skewed(skew));
        let living = log.acquire(state, holder("one"), ttl, Duration::ZERO).await.unwrap();
        let (other, state) = open(&backend).await;
        // However often it is tried, and although it looks expired for one of the two.
        for _ in 0..2 {
            let held = other.acquire(state.clone(), holder("two"), ttl, ttl * 2).await.unwrap_err();
            assert!(held.is_held(), "{minutes}: {held}");
        }
        assert!(!living.lost().is_cancelled());
        drop(living);
        let began = std::time::Instant::now();
        let second = other.acquire(state, holder("two"), ttl, Duration::from_secs(30)).await.unwrap();
        assert_eq!(second.epoch(), 2);
        assert!(began.elapsed() < Duration::from_secs(10), "{minutes}: {:?}", began.elapsed());
    }
}
