//! Replacements whose orders contradict each other: what goes first takes along what cannot stay without it.

use std::collections::BTreeMap;
use std::slice::from_ref;

use plinth_provider::{OutputRef, Resource, Urn, Value};

use super::world::{Bench, FIXED, FREE, thing, urn};
use crate::engine::{Facts, Limits, Op, Plan, Scope, Target};

fn lives_in(mut resource: Resource, outer: &Urn) -> Resource {
    let id = OutputRef { urn: outer.clone(), path: "id".into() };
    resource.inputs.set(&"in".into(), Value::Output(id));
    resource
}

/// Applies the one, then the other; gives the other's plan by name.
async fn change(bench: &Bench, from: Vec<Resource>, to: Vec<Resource>) -> BTreeMap<String, (Op, bool)> {
    assert!(bench.apply(from).await.failures.is_empty());
    let plan = bench.plan(to.clone(), &Facts::default()).await;
    assert!(bench.apply(to.clone()).await.failures.is_empty());
    assert_eq!(bench.world.violations(), Vec::<String>::new());
    assert!(!bench.plan(to, &Facts::default()).await.has_changes());
    plan.changes().map(|step| (step.urn.name().to_owned(), (step.op, step.delete_before_replace))).collect()
}

#[tokio::test]
async fn what_moves_out_of_something_deleted_first_is_made_anew_when_it_comes_after_that() {
    let (outer, between) = (urn(FIXED, "outer"), urn(FREE, "between"));
    let from = vec![
        thing(FIXED, "outer", &[], &[]),
        thing(FREE, "between", &[], &[]),
        lives_in(thing(FREE, "inner", &[], from_ref(&outer)), &outer),
    ];
    let to = vec![
        thing(FIXED, "outer", &[("fixed", "2")], &[]),
        thing(FREE, "between", &[], &[outer]),
        thing(FREE, "inner", &[], &[between]),
    ];
    let bench = Bench::new();
    let plan = change(&bench, from, to).await;
    assert_eq!(plan["inner"], (Op::Replace, true), "it goes with what it lives in, and the plan says so");
    assert_eq!(plan["between"].0, Op::Update);
    let history = bench.take_history();
    let at = |what: &str| history.iter().position(|entry| entry == what).unwrap();
    assert!(at("delete inner") < at("delete outer"), "{history:?}");
}

#[tokio::test]
async fn what_moves_out_and_does_not_come_after_it_is_changed_before() {
    let outer = urn(FIXED, "outer");
    let from =
        vec![thing(FIXED, "outer", &[], &[]), lives_in(thing(FREE, "inner", &[], from_ref(&outer)), &outer)];
    let to = vec![thing(FIXED, "outer", &[("fixed", "2")], &[]), thing(FREE, "inner", &[], &[])];
    let bench = Bench::new();
    assert_eq!(change(&bench, from, to).await["inner"].0, Op::Update);
}

#[tokio::test]
async fn what_is_held_by_something_that_goes_first_goes_before_that() {
    let (outer, inner) = (urn(FIXED, "outer"), urn(FIXED, "inner"));
    let from = vec![
        thing(FIXED, "outer", &[], &[]),
        lives_in(thing(FIXED, "inner", &[], from_ref(&outer)), &outer),
        thing(FREE, "user", &[], &[inner]),
    ];
    // What it used goes for good, and goes before the outer one, after whose successor it comes now.
    let to =
        vec![thing(FIXED, "outer", &[("fixed", "2")], &[]), thing(FREE, "user", &[("fixed", "2")], &[outer])];
    let bench = Bench::new();
    let plan = change(&bench, from, to).await;
    assert_eq!(plan["user"], (Op::Replace, true), "it cannot be made beside the old one");
    assert_eq!(plan["inner"].0, Op::Delete);
}

#[tokio::test]
async fn who_never_used_what_goes_first_is_made_beside_its_old_one() {
    let outer = urn(FIXED, "outer");
    let from = vec![thing(FIXED, "outer", &[], &[]), thing(FREE, "user", &[], &[])];
    let to =
        vec![thing(FIXED, "outer", &[("fixed", "2")], &[]), thing(FREE, "user", &[("fixed", "2")], &[outer])];
    let bench = Bench::new();
    assert_eq!(change(&bench, from, to).await["user"], (Op::Replace, false));
}

#[tokio::test]
async fn an_old_instance_stays_as_long_as_its_user_is_left_out() {
    let net = urn(FREE, "net");
    let bench = Bench::new();
    bench.apply(vec![thing(FREE, "net", &[], &[]), thing(FIXED, "user", &[], from_ref(&net))]).await;
    let to = vec![thing(FREE, "net", &[("fixed", "2")], &[])];
    let apply = async |scope: Scope| {
        let (mut engine, state) = bench.engine(bench.backend.clone()).await.unwrap();
        engine.settings.limits = Limits { total: Some(1), ..Limits::default() };
        let target = Target::new("apply", to.clone(), &bench.providers()).unwrap();
        engine.apply(&Target { scope, ..target }, state, None, async |_: &Plan| true).await.unwrap();
    };
    // The new one is made, and its old one stays, since who uses that cannot be deleted.
    bench.world.broken.lock().unwrap().push("user".to_owned());
    apply(Scope::default()).await;
    bench.world.broken.lock().unwrap().clear();
    assert_eq!(bench.state().await.superseded.len(), 1);
    apply(Scope { excludes: [urn(FIXED, "user")].into(), ..Scope::default() }).await;
    assert_eq!(bench.state().await.superseded.len(), 1, "what is left out may still use it");
    apply(Scope { targets: [net].into(), ..Scope::default() }).await;
    let state = bench.state().await;
    assert!(state.superseded.is_empty() && state.resources.len() == 1, "it takes along who uses it");
    assert_eq!(bench.world.violations(), Vec::<String>::new());
}
