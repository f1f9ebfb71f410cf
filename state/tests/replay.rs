//! State from a checkpoint and the tail is state from the beginning, whatever happened.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use plinth_provider::Value;
use plinth_state::{
    Action, Event, Finish, Log, OutcomeResult, Provenance, ProvenanceKind, RevisionStarted, verify,
};
use proptest::prelude::*;
use serde_json::json;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Event>),
    Reopen,
}

fn value() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |n| Some(Value::Number(serde_json::Number::from_f64(n)?))),
        ".{0,8}".prop_map(Value::from),
        Just(Value::Null),
        Just(Value::Unknown),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            proptest::collection::btree_map("[$a-z]{1,3}", inner.clone(), 0..3)
                .prop_map(|map| Value::Map(map.into_iter().collect())),
            inner.prop_map(Value::secret),
        ]
    })
}

fn event() -> impl Strategy<Value = Event> {
    let name = "[a-e]";
    let op = 1u64..40;
    let action = prop_oneof![Just(Action::Create), Just(Action::Update), Just(Action::Delete)];
    let made = (name, "[x-z]", value()).prop_map(|(name, id, value)| Box::new(recorded(&name, &id, value)));
    let result = prop_oneof![
        made.clone().prop_map(|recorded| OutcomeResult::Succeeded { recorded }),
        Just(OutcomeResult::Deleted),
        Just(OutcomeResult::NotHappened),
        proptest::option::of(made.clone()).prop_map(|recorded| OutcomeResult::Failed {
            class: "timeout".into(),
            message: "m".into(),
            recorded
        }),
    ];
    let provenance = (any::<bool>(), 1u64..6).prop_map(|(promotion, revision)| Provenance {
        kind: if promotion { ProvenanceKind::Promotion } else { ProvenanceKind::Rollback },
        from_stack: STACK.into(),
        revision,
        base: json!(null),
        overlay: json!({ "x": { "$secret": revision } }),
    });
    prop_oneof![
        4 => (op.clone(), action, name, value(), any::<bool>(), proptest::option::of("[x-z]")).prop_map(
            |(op, action, name, inputs, replaces, id)| {
                let mut intent = intent(op, action, &name);
                (intent.inputs, intent.replaces, intent.id) = (inputs, replaces, id);
                intends(intent)
            }
        ),
        4 => (op.clone(), result, 0u64..10_000)
            .prop_map(|(op, result, duration_ms)| Event::Outcome { op, result, duration_ms }),
        1 => (op, "[a-z]{3}").prop_map(|(op, handle)| Event::Started { op, handle }),
        1 => made.prop_map(|recorded| Event::Recorded { recorded }),
        1 => (name, proptest::option::of("[x-z]"))
            .prop_map(|(name, id)| Event::Forgot { urn: urn(&name), id }),
        1 => (name, name).prop_map(|(from, to)| Event::Moved { from: urn(&from), to: urn(&to) }),
        1 => (name, value()).prop_map(|(name, outputs)| Event::Refreshed { urn: urn(&name), outputs }),
        2 => (1u64..8, name, name, value(), proptest::option::of(provenance)).prop_map(
            |(revision, set, removed, value, provenance)| {
                let declared = plinth_state::Delta { set: vec![resource(&set, value)], removed: vec![urn(&removed)] };
                Event::RevisionStarted(Box::new(RevisionStarted {
                    revision,
                    command: "apply".into(),
                    declared,
                    settings: json!({ "n": revision }),
                    provenance,
                    stack_file_digest: "d".into(),
                }))
            }
        ),
        1 => (1u64..8).prop_map(|revision| Event::RevisionFinished {
            revision,
            result: Finish::Failed,
            counts: BTreeMap::from([("create".to_owned(), revision)]),
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => proptest::collection::vec(event(), 1..4).prop_map(Step::Append),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn checkpoint_and_tail_give_what_the_whole_log_gives(steps in proptest::collection::vec(step(), 60..140)) {
        let folder_ = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let backend = memory();
            let keys = keys(folder_.path());
            let open = async || Log::open(Arc::clone(&backend), STACK, keys.clone()).await.unwrap();
            let mut writer = write(&backend, keys.clone()).await;
            for step in steps {
                match step {
                    Step::Append(events) => writer.append(events).await.unwrap(),
                    Step::Reopen => {
                        writer.release().await.unwrap();
                        let (log, state) = open().await;
                        assert_eq!(state, *writer.state());
                        writer = log.acquire(state, holder("next"), TTL, Duration::ZERO).await.unwrap();
                    }
                }
            }
            writer.release().await.unwrap();
            let kept = writer.state();
            let checkpoints = backend.list("dev/checkpoint").await.unwrap();
            assert!(!checkpoints.is_empty());
            assert_eq!(open().await.1, *kept);
            let report = verify(Arc::clone(&backend), STACK, keys.clone()).await.unwrap();
            assert!(report.is_whole(), "{:?}", report.problems);
            assert_eq!(report.state, *kept);
            for key in checkpoints {
                backend.delete(&key).await.unwrap();
            }
            assert_eq!(open().await.1, *kept);
        });
    }
}
