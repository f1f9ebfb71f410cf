//! Plans and runs: order, replacement, failures, unknowns, protection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plinth_provider::{Class, Path, Resource, Value};
use proptest::prelude::*;

use super::world::{Bench, FIXED, FREE, STACK, thing, urn};
use crate::engine::{Fact, Facts, Op, PlanError, RunError, Target};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn apply_then_plan_is_empty_and_a_second_apply_does_nothing() {
    let bench = Bench::new();
    let resources = || {
        vec![
            thing(FIXED, "b", &[], &[urn(FREE, "a")]),
            thing(FREE, "a", &[("value", "1")], &[]),
            Resource::new(urn("plinth:Password", "p"), Value::Null),
        ]
    };
    let report = bench.apply(resources()).await;
    assert_eq!(report.counts.create, 3);
    assert_eq!(bench.take_history(), ["create a", "create b"]);
    let plan = bench.plan(resources(), &Facts::default()).await;
    assert!(
        !plan.has_changes(),
        "{:?}",
        plan.changes().map(|step| (step.urn.short(), step.op, &step.changes)).collect::<Vec<_>>()
    );
    let seq = bench.state().await.seq;
    bench.apply(resources()).await;
    assert_eq!(bench.take_history(), Vec::<String>::new());
    assert_eq!(bench.state().await.seq, seq, "an apply that changes nothing writes nothing");
}

#[tokio::test]
async fn no_side_effect_without_a_durable_intent_before_it() {
    let bench = Bench::new();
    let backend = bench.backend.clone();
    let seen = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = seen.clone();
    // Read what is durable, at the very moment of the effect.
    *bench.world.on_effect.lock().unwrap() = Some(Box::new(move |urn| {
        let name = urn.to_string();
        let found = futures::executor::block_on(async {
            for key in backend.list(&format!("{STACK}/log")).await.unwrap() {
                let bytes = backend.get(&key).await.unwrap().unwrap();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if text.contains("\"intent\"") && text.contains(&name) {
                    return true;
                }
            }
            false
        });
        assert!(found, "{name}: no intent is durable before its effect");
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }));
    bench.apply(vec![thing(FIXED, "a", &[], &[]), thing(FREE, "b", &[], &[urn(FIXED, "a")])]).await;
    bench.apply(vec![thing(FIXED, "a", &[("fixed", "2")], &[])]).await;
    assert_eq!(
        seen.load(std::sync::atomic::Ordering::SeqCst),
        5,
        "two creates, a delete, a replacement's two halves"
    );
}

#[tokio::test]
async fn replacement_propagates_and_runs_in_the_kinds_order() {
    let bench = Bench::new();
    let resources = |fixed: &str| {
        vec![
            thing(FREE, "free", &[("fixed", fixed)], &[]),
            thing(FIXED, "user", &[], &[urn(FREE, "free")]),
            thing(FIXED, "fix", &[("fixed", fixed)], &[]),
        ]
    };
    bench.apply(resources("1")).await;
    bench.take_history();
    let plan = bench.plan(resources("2"), &Facts::default()).await;
    let ops: BTreeMap<&str, Op> = plan.steps.iter().map(|step| (step.urn.name(), step.op)).collect();
    assert_eq!(ops, BTreeMap::from([("fix", Op::Replace), ("free", Op::Replace), ("user", Op::Update)]));
    let forced: Vec<Path> = plan.steps.iter().flat_map(|step| step.forced_by.clone()).collect();
    assert_eq!(forced, [Path::from("fixed"), Path::from("fixed")]);
    let report = bench.apply(resources("2")).await;
    assert_eq!((report.counts.replace, report.counts.update, report.counts.failed), (2, 1, 0));
    let history = bench.take_history();
    let at = |what: &str| {
        history.iter().position(|entry| entry == what).unwrap_or_else(|| panic!("{what}: {history:?}"))
    };
    assert!(at("create free") < at("update user") && at("update user") < at("delete free"), "{history:?}");
    assert!(at("delete fix") < at("create fix"), "{history:?}");
    assert!(bench.state().await.superseded.is_empty());
    assert!(!bench.plan(resources("2"), &Facts::default()).await.has_changes());
    assert_eq!(bench.world.live().values().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test]
async fn a_failure_stops_its_dependents_and_nothing_else() {
    let bench = Bench::new();
    bench.world.broken.lock().unwrap().push("bad".into());
    let resources = || {
        vec![
            thing(FIXED, "bad", &[], &[]),
            thing(FIXED, "child", &[], &[urn(FIXED, "bad")]),
            thing(FIXED, "grandchild", &[], &[urn(FIXED, "child")]),
            thing(FIXED, "other", &[], &[]),
        ]
    };
    let report = bench.apply(resources()).await;
    assert_eq!((report.counts.create, report.counts.failed, report.skipped), (1, 1, 2));
    assert_eq!(report.failures[0].0, urn(FIXED, "bad"));
    assert_eq!(bench.take_history(), ["create other"]);
    bench.world.broken.lock().unwrap().clear();
    let plan = bench.plan(resources(), &Facts::default()).await;
    let left: Vec<_> = plan.changes().map(|step| (step.urn.name(), step.op)).collect();
    let create = |name| (name, Op::Create);
    assert_eq!(left, ["bad", "child", "grandchild"].map(create), "the next plan holds just what is left");
    let report = bench.apply(resources()).await;
    assert_eq!(report.counts.create, 3);
}

#[tokio::test]
async fn deletes_run_in_reverse_of_the_recorded_dependencies() {
    let bench = Bench::new();
    bench
        .apply(vec![
            thing(FIXED, "a", &[], &[]),
            thing(FIXED, "b", &[], &[urn(FIXED, "a")]),
            thing(FIXED, "c", &[], &[urn(FIXED, "b")]),
        ])
        .await;
    bench.take_history();
    let report = bench.apply(Vec::new()).await;
    assert_eq!(report.counts.delete, 3);
    assert_eq!(bench.take_history(), ["delete c", "delete b", "delete a"]);
    assert!(bench.world.live().is_empty() && bench.state().await.resources.is_empty());
}

#[tokio::test]
async fn what_is_gone_is_created_and_what_is_retained_is_listed_and_left() {
    let bench = Bench::new();
    let mut kept = thing(FIXED, "kept", &[], &[]);
    kept.options.retain_on_delete = true;
    let resources = vec![kept, thing(FIXED, "lost", &[], &[])];
    bench.apply(resources.clone()).await;
    bench.world.things.lock().unwrap().remove("lost");
    let facts = Facts { by_urn: BTreeMap::from([(urn(FIXED, "lost"), Fact::Gone)]), ..Facts::default() };
    let plan = bench.plan(resources, &facts).await;
    let changes: Vec<_> = plan.changes().map(|step| (step.urn.name(), step.op)).collect();
    assert_eq!(changes, [("lost", Op::Create)]);
    let plan = bench.plan(Vec::new(), &Facts::default()).await;
    let ops: BTreeMap<&str, Op> = plan.steps.iter().map(|step| (step.urn.name(), step.op)).collect();
    assert_eq!(ops, BTreeMap::from([("kept", Op::Forget), ("lost", Op::Delete)]));
    bench.apply(Vec::new()).await;
    assert_eq!(bench.world.live().keys().collect::<Vec<_>>(), ["kept"]);
}

#[tokio::test]
async fn protected_resources_and_bad_inputs_are_refused_before_any_side_effect() {
    let bench = Bench::new();
    let mut precious = thing(FIXED, "precious", &[("fixed", "1")], &[]);
    precious.options.protect = true;
    bench.apply(vec![precious.clone()]).await;
    bench.take_history();
    let error = bench.apply_on(bench.backend.clone(), Vec::new()).await.unwrap_err();
    assert!(
        matches!(&error, RunError::Plan(errors) if matches!(errors[0], PlanError::Protected { op: "delete", .. }))
    );
    precious.inputs.set(&"fixed".into(), "2".into());
    let bad = thing(FIXED, "bad", &[("invalid", "x")], &[]);
    let error = bench
        .apply_on(bench.backend.clone(), vec![precious, bad, thing(FIXED, "fine", &[], &[])])
        .await
        .unwrap_err();
    let RunError::Plan(errors) = &error else { panic!("{error:?}") };
    assert_eq!(errors.len(), 2, "every mistake is named at once: {errors:?}");
    assert_eq!(bench.take_history(), Vec::<String>::new());
}

#[tokio::test]
async fn a_missing_output_is_named_at_plan_time() {
    let bench = Bench::new();
    bench.apply(vec![thing(FREE, "a", &[("value", "1")], &[])]).await;
    let mut user = thing(FIXED, "user", &[], &[]);
    user.inputs = Value::Output(plinth_provider::OutputRef { urn: urn(FREE, "a"), path: "nope".into() });
    let error = bench
        .apply_on(bench.backend.clone(), vec![thing(FREE, "a", &[("value", "1")], &[]), user])
        .await
        .unwrap_err();
    let RunError::Plan(errors) = error else { panic!() };
    assert!(errors[0].to_string().ends_with("which does not exist; it has: id, value"), "{}", errors[0]);
}

#[tokio::test]
async fn a_lost_reply_is_resolved_by_the_same_run() {
    let bench = Bench::new();
    bench.world.lose_reply_in.store(1, std::sync::atomic::Ordering::SeqCst);
    let report = bench.apply(vec![thing(FREE, "a", &[], &[])]).await;
    assert_eq!((report.counts.create, report.counts.failed), (1, 0));
    assert_eq!(bench.take_history(), ["create a", "adopt a"]);
}

#[tokio::test(start_paused = true)]
async fn what_outlives_its_deadline_is_given_up_and_what_it_made_is_recorded() {
    let bench = Bench::new();
    bench.world.hangs.lock().unwrap().push("slow".into());
    let mut slow = thing(FREE, "slow", &[], &[]);
    slow.options.timeouts.create = Some(Duration::from_secs(90));
    let report = bench.apply(vec![slow.clone(), thing(FREE, "other", &[], &[])]).await;
    assert_eq!((report.counts.create, report.counts.failed), (1, 1));
    let error = &report.failures[0].1;
    assert_eq!(error.class, Class::Timeout);
    assert_eq!(error.message, "it was not done within 90 s; last: 0/3 nodes are there");
    let state = bench.state().await;
    assert!(state.resources[&slow.urn].recorded.unsettled, "it is there, and half done");
    bench.world.hangs.lock().unwrap().clear();
    bench.take_history();
    let report = bench.apply(vec![slow, thing(FREE, "other", &[], &[])]).await;
    assert_eq!((report.counts.failed, bench.take_history()), (0, vec!["update slow".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_create_of_which_nobody_knows_stays_open_until_somebody_does() {
    let bench = Bench::new();
    bench.world.hangs.lock().unwrap().push("slow".into());
    bench.world.unseen.store(true, Ordering::SeqCst);
    let report = bench.apply(vec![thing(FREE, "slow", &[], &[])]).await;
    assert_eq!(report.counts.failed, 1);
    let help = report.failures[0].1.help.clone().unwrap_or_default();
    assert!(help.contains("the next run asks again"), "{help}");
    let state = bench.state().await;
    assert_eq!((state.resources.len(), state.pending.len()), (0, 1), "the intent has no outcome yet");
    // It is not wanted any more, and must not be forgotten for that.
    bench.world.unseen.store(false, Ordering::SeqCst);
    bench.apply(Vec::new()).await;
    assert_eq!(bench.world.live().len(), 0, "found again, and deleted");
}

#[tokio::test]
async fn what_was_begun_when_the_credentials_ended_is_not_forgotten() {
    let bench = Bench::new();
    bench.world.denied.lock().unwrap().push("slow".into());
    bench.world.unseen.store(true, Ordering::SeqCst);
    let report = bench.apply(vec![thing(FREE, "slow", &[], &[])]).await;
    assert_eq!(report.counts.failed, 1);
    let state = bench.state().await;
    assert_eq!((state.resources.len(), state.pending.len()), (0, 1), "the intent has no outcome yet");
    bench.world.denied.lock().unwrap().clear();
    bench.world.unseen.store(false, Ordering::SeqCst);
    bench.apply(Vec::new()).await;
    assert_eq!(bench.world.live().len(), 0, "found again, and deleted");
}

#[tokio::test]
async fn an_alias_renames_without_recreating() {
    let bench = Bench::new();
    bench.apply(vec![thing(FREE, "old", &[("value", "1")], &[])]).await;
    bench.take_history();
    let mut renamed = thing(FREE, "new", &[("value", "1")], &[]);
    renamed.options.aliases = vec![urn(FREE, "old")];
    let report = bench.apply(vec![renamed.clone()]).await;
    assert_eq!((report.counts.create, report.counts.update, report.counts.delete), (0, 1, 0));
    assert_eq!(bench.take_history(), ["update new"]);
    assert!(!bench.plan(vec![renamed], &Facts::default()).await.has_changes());
}

/// A graph of things: kind, immutable value, mutable value, and which earlier ones each needs.
fn any_graph() -> impl Strategy<Value = Vec<Resource>> {
    let node = (
        any::<bool>(),
        0u8..2,
        0u8..3,
        proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        0u8..5,
    );
    proptest::collection::vec(node, 0..12).prop_map(|nodes| {
        let kinds: Vec<&str> = nodes.iter().map(|(free, ..)| if *free { FREE } else { FIXED }).collect();
        let mut resources = Vec::new();
        for (at, (_, fixed, value, needs, present)) in nodes.iter().enumerate() {
            if *present == 0 {
                continue;
            }
            let needs: Vec<usize> =
                if at == 0 { vec![] } else { needs.iter().map(|need| need.index(at)).collect() };
            let needs: Vec<_> = needs
                .into_iter()
                .filter(|need| nodes[*need].4 != 0)
                .map(|need| urn(kinds[need], &format!("r{need}")))
                .collect();
            let (fixed, value) = (fixed.to_string(), value.to_string());
            resources.push(thing(
                kinds[at],
                &format!("r{at}"),
                &[("fixed", &fixed), ("value", &value)],
                &needs,
            ));
        }
        resources
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// From any graph to any other: apply succeeds, live is exactly what is desired, and the next plan is empty.
    #[test]
    fn apply_reaches_the_desired_graph_and_then_plans_nothing(first in any_graph(), second in any_graph()) {
        runtime().block_on(async {
            let bench = Bench::new();
            for resources in [first, second] {
                let before = bench.plan(resources.clone(), &Facts::default()).await;
                let again = bench.plan(resources.clone(), &Facts::default()).await;
                assert_eq!(before, again, "a plan is deterministic");
                let report = bench.apply(resources.clone()).await;
                assert_eq!(report.counts.failed + report.skipped, 0, "{:?}", report.failures);
                assert_eq!(report.counts.create, before.counts().create);
                assert_eq!(report.counts.replace, before.counts().replace);
                assert_eq!(report.counts.delete, before.counts().delete);
                let live = bench.world.live();
                assert_eq!(live.len(), resources.len());
                assert!(live.values().all(|instances| instances.len() == 1), "{live:?}");
                // Every step after its dependencies; what goes, after what used it.
                assert_eq!(bench.world.violations(), Vec::<String>::new());
                let plan = bench.plan(resources, &Facts::default()).await;
                assert!(!plan.has_changes(), "{:?}", plan.changes().map(|step| (step.urn.short(), step.op, &step.changes)).collect::<Vec<_>>());
            }
            bench.apply(Vec::new()).await;
            assert!(bench.world.live().is_empty(), "destroy leaves nothing");
        });
    }
}

/// Ten times the resources may take at most some twenty times as long: the smallest of several runs of each, since
/// machines are noisy.
#[test]
fn planning_grows_linearly() {
    let measure = |count: usize| {
        let bench = Bench::new();
        let layered: Vec<Resource> = (0..count)
            .map(|at| {
                let layer = at / 100;
                let needs: Vec<_> = (0..3)
                    .filter(|_| layer > 0)
                    .map(|edge| urn(FIXED, &format!("r{}", (layer - 1) * 100 + (at * 7 + edge * 31) % 100)))
                    .collect();
                thing(FIXED, &format!("r{at}"), &[], &needs)
            })
            .collect();
        let state = plinth_state::State::default();
        (0..4)
            .map(|_| {
                let started = std::time::Instant::now();
                let target = Target::new("plan", layered.clone(), &bench.providers()).unwrap();
                let plan = crate::engine::plan(
                    &target.desired,
                    &state,
                    &Facts::default(),
                    &bench.providers(),
                    &target.scope,
                )
                .unwrap();
                assert_eq!(plan.counts().create as usize, count);
                started.elapsed()
            })
            .min()
            .unwrap()
    };
    // Others use this machine too: what is linear is so in one try of three.
    let tries: Vec<_> = (0..3).map(|_| (measure(1_000), measure(10_000))).collect();
    assert!(tries.iter().any(|(small, large)| *large < *small * 20), "1,000 and 10,000 take {tries:?}");
}
