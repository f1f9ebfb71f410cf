//! What every event does to state.

mod common;

use std::collections::BTreeMap;

use common::*;
use plinth_provider::{Urn, Value};
use plinth_state::{
    Action, Delta, Entry, Event, Finish, OutcomeResult, Provenance, ProvenanceKind, RevisionStarted, State,
};
use serde_json::json;

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn apply(state: &mut State, events: Vec<Event>) {
    let seq = state.seq + 1;
    state.apply(Entry {
        version: 1,
        seq,
        stack: String::new(),
        prev: state.hash.clone(),
        epoch: state.epoch,
        writer: uuid::Uuid::nil(),
        time: at(seq as i64),
        events,
        hash: format!("hash {seq}"),
    });
}

fn revision(number: u64, declared: Delta) -> RevisionStarted {
    RevisionStarted { revision: number, command: "apply".into(), declared, ..Default::default() }
}

fn starts(revision: RevisionStarted) -> Event {
    Event::RevisionStarted(Box::new(revision))
}

fn finishes(revision: u64) -> Event {
    Event::RevisionFinished {
        revision,
        result: Finish::Succeeded,
        counts: BTreeMap::from([("create".to_owned(), 1)]),
    }
}

#[test]
fn a_create_is_pending_until_its_outcome() {
    let mut state = State::default();
    apply(&mut state, vec![starts(revision(1, Delta::default())), intends(intent(1, Action::Create, "a"))]);
    assert_eq!(state.pending[&1].intent.urn, urn("a"));
    assert_eq!(state.next_op, 2);
    assert!(state.resources.is_empty());

    apply(&mut state, vec![Event::Started { op: 1, handle: "h".into() }]);
    assert_eq!(state.pending[&1].handle.as_deref(), Some("h"));

    apply(&mut state, vec![succeeded(1, recorded("a", "id-a", "v"))]);
    assert!(state.pending.is_empty());
    let tracked = &state.resources[&urn("a")];
    assert_eq!((tracked.id.as_str(), tracked.created_revision, tracked.updated_at), ("id-a", 1, at(3)));
    assert_eq!(state.learned.usual(&urn("a"), Action::Create), Some(10));
    assert_eq!((state.seq, state.hash.as_str()), (3, "hash 3"));
}

#[test]
fn what_failed_or_never_happened_leaves_nothing_unless_something_exists() {
    let mut state = State::default();
    let failed = |recorded| OutcomeResult::Failed { class: "timeout".into(), message: "m".into(), recorded };
    for (op, result) in [
        (1, failed(None)),
        (2, OutcomeResult::NotHappened),
        (3, failed(Some(Box::new(recorded("c", "id-c", "v"))))),
    ] {
        apply(&mut state, vec![intends(intent(op, Action::Create, "c"))]);
        apply(&mut state, vec![Event::Outcome { op, result, duration_ms: 1 }]);
        assert!(state.pending.is_empty());
    }
    assert_eq!(state.resources.keys().collect::<Vec<_>>(), [&urn("c")]);
    assert_eq!(state.learned.usual(&urn("c"), Action::Create), None, "only success teaches durations");
}

#[test]
fn a_replacement_keeps_the_old_instance_until_it_is_deleted() {
    let mut state = State::default();
    apply(&mut state, vec![succeeded(9, recorded("a", "old", "v"))]);
    let mut create = intent(1, Action::Create, "a");
    create.replaces = true;
    apply(&mut state, vec![intends(create), succeeded(1, recorded("a", "new", "w"))]);
    assert_eq!(state.resources[&urn("a")].id, "new");
    assert_eq!(state.superseded.iter().map(|old| old.id.as_str()).collect::<Vec<_>>(), ["old"]);

    let mut delete = intent(2, Action::Delete, "a");
    (delete.id, delete.replaces) = (Some("old".into()), true);
    let deleted = Event::Outcome { op: 2, result: OutcomeResult::Deleted, duration_ms: 1 };
    apply(&mut state, vec![intends(delete), deleted]);
    assert!(state.superseded.is_empty());
    assert_eq!(state.resources[&urn("a")].id, "new", "the new one stays");
}

#[test]
fn deletes_take_the_instance_that_they_name() {
    let mut state = State::default();
    apply(&mut state, vec![succeeded(1, recorded("a", "old", "v"))]);
    let mut create = intent(2, Action::Create, "a");
    create.replaces = true;
    apply(&mut state, vec![intends(create), succeeded(2, recorded("a", "new", "w"))]);
    // Without the mark, the id decides.
    let mut delete = intent(3, Action::Delete, "a");
    delete.id = Some("old".into());
    apply(
        &mut state,
        vec![intends(delete), Event::Outcome { op: 3, result: OutcomeResult::Deleted, duration_ms: 1 }],
    );
    assert_eq!((state.superseded.len(), state.resources.len()), (0, 1));
    let delete = intent(4, Action::Delete, "a");
    apply(
        &mut state,
        vec![intends(delete), Event::Outcome { op: 4, result: OutcomeResult::Deleted, duration_ms: 1 }],
    );
    assert!(state.resources.is_empty());
}

#[test]
fn declared_follows_the_deltas() {
    let mut state = State::default();
    let desired = [resource("a", "1"), resource("b", "1")];
    let delta = state.delta(&desired);
    assert_eq!((delta.set.len(), delta.removed.len()), (2, 0));
    apply(&mut state, vec![starts(revision(1, delta))]);
    assert_eq!(state.delta(&desired), Delta::default());

    let desired = [resource("a", "2"), resource("c", "1")];
    let delta = state.delta(&desired);
    assert_eq!(delta, Delta { set: desired.to_vec(), removed: vec![urn("b")] });
    apply(&mut state, vec![starts(revision(2, delta))]);
    assert_eq!(state.declared.keys().cloned().collect::<Vec<Urn>>(), [urn("a"), urn("c")]);
    assert_eq!(state.next_revision(), 3);
}

#[test]
fn a_revision_that_never_ended_is_interrupted_by_the_next() {
    let mut state = State::default();
    apply(&mut state, vec![starts(revision(1, Delta::default()))]);
    assert_eq!(state.revision(1).unwrap().result, None);
    apply(&mut state, vec![starts(revision(2, Delta::default())), finishes(2)]);
    assert_eq!(state.revision(1).unwrap().result, Some(Finish::Interrupted));
    let second = state.revision(2).unwrap();
    assert_eq!((second.result, second.finished, second.seq), (Some(Finish::Succeeded), Some(at(2)), 2));
    assert_eq!(second.counts["create"], 1);
    assert!(state.revision(3).is_none());
}

#[test]
fn a_promotion_stays_in_force_until_another_or_a_rollback() {
    let mut state = State::default();
    let from = |kind, from_stack: &str, revision| Provenance {
        kind,
        from_stack: from_stack.into(),
        revision,
        base: json!({"replicas": 1}),
        overlay: json!({"replicas": 3}),
    };
    let mut step = |number, provenance| {
        apply(&mut state, vec![starts(RevisionStarted { provenance, ..revision(number, Delta::default()) })]);
        state.promotion().map(|promotion| promotion.revision)
    };
    assert_eq!(step(1, None), None);
    assert_eq!(step(2, Some(from(ProvenanceKind::Promotion, "staging", 7))), Some(7));
    assert_eq!(step(3, None), Some(7), "later applies keep it");
    assert_eq!(step(4, Some(from(ProvenanceKind::Promotion, "staging", 9))), Some(9));
    assert_eq!(step(5, Some(from(ProvenanceKind::Rollback, STACK, 3))), Some(7), "as revision 3 had it");
    assert_eq!(step(6, Some(from(ProvenanceKind::Rollback, STACK, 1))), None);
}

#[test]
fn moves_take_dependencies_along() {
    let mut state = State::default();
    let mut dependent = recorded("b", "b", "v");
    dependent.dependencies = vec![urn("a")];
    let delta = state.delta(&[resource("a", "v")]);
    apply(&mut state, vec![starts(revision(1, delta))]);
    apply(&mut state, vec![succeeded(1, recorded("a", "a", "v")), succeeded(2, dependent)]);
    apply(&mut state, vec![Event::Moved { from: urn("a"), to: urn("z") }]);
    assert_eq!(state.resources[&urn("z")].urn, urn("z"));
    assert_eq!(state.declared[&urn("z")].urn, urn("z"));
    assert_eq!(state.resources[&urn("b")].dependencies, [urn("z")]);
    assert!(!state.resources.contains_key(&urn("a")) && !state.declared.contains_key(&urn("a")));
}

#[test]
fn what_fails_meanwhile_keeps_the_new_names_of_what_it_depends_on() {
    let mut state = State::default();
    let mut dependent = recorded("b", "b", "v");
    dependent.dependencies = vec![urn("a")];
    apply(&mut state, vec![succeeded(1, recorded("a", "a", "v")), succeeded(2, dependent.clone())]);
    apply(&mut state, vec![intends(intent(3, Action::Delete, "b"))]);
    apply(&mut state, vec![Event::Moved { from: urn("a"), to: urn("z") }]);
    dependent.unsettled = true;
    let result = OutcomeResult::Failed {
        class: "unavailable".into(),
        message: "m".into(),
        recorded: Some(Box::new(dependent)),
    };
    apply(&mut state, vec![Event::Outcome { op: 3, result, duration_ms: 1 }]);
    assert!(state.resources[&urn("b")].unsettled);
    assert_eq!(state.resources[&urn("b")].dependencies, [urn("z")]);
}

#[test]
fn recorded_forgot_and_refreshed() {
    let mut state = State::default();
    apply(&mut state, vec![Event::Recorded { recorded: Box::new(recorded("a", "a", "v")) }]);
    apply(&mut state, vec![Event::Refreshed { urn: urn("a"), outputs: Value::from([("value", "w")]) }]);
    assert_eq!(state.resources[&urn("a")].outputs, Value::from([("value", "w")]));
    apply(&mut state, vec![Event::Forgot { urn: urn("a"), id: Some("another".into()) }]);
    assert_eq!(state.resources.len(), 1, "another instance was meant");
    apply(&mut state, vec![Event::Forgot { urn: urn("a"), id: None }]);
    assert!(state.resources.is_empty());
}

#[test]
fn leases_come_and_go() {
    let mut state = State::default();
    let acquired = |epoch| Event::LeaseAcquired { epoch, holder: holder("h"), expires: at(100) };
    apply(&mut state, vec![acquired(1)]);
    assert_eq!((state.epoch, state.lease.as_ref().map(|lease| lease.expires)), (1, Some(at(100))));
    apply(&mut state, vec![Event::LeaseRenewed { expires: at(200) }]);
    assert_eq!(state.lease.as_ref().map(|lease| lease.expires), Some(at(200)));
    apply(&mut state, vec![Event::LeaseReleased]);
    assert_eq!((state.epoch, &state.lease), (1, &None));
    apply(&mut state, vec![acquired(2), Event::LeaseBroken { epoch: 3, by: holder("admin") }]);
    assert_eq!((state.epoch, &state.lease), (3, &None));
}

#[test]
fn nonsense_is_taken_without_a_panic() {
    let mut state = State::default();
    apply(
        &mut state,
        vec![
            Event::Started { op: 7, handle: "h".into() },
            Event::Outcome { op: 7, result: OutcomeResult::Deleted, duration_ms: u64::MAX },
            Event::LeaseRenewed { expires: at(1) },
            Event::Refreshed { urn: urn("x"), outputs: Value::Null },
            Event::Moved { from: urn("x"), to: urn("x") },
            finishes(u64::MAX),
            intends(intent(u64::MAX, Action::Read, "x")),
        ],
    );
    assert!(state.resources.is_empty());
    // What somebody saw to exist is recorded even when its intent is not known.
    apply(&mut state, vec![succeeded(99, recorded("x", "x", "v"))]);
    assert_eq!(state.resources.len(), 1);
}
