//! What is retained, renamed and protected: nothing that the user wanted to keep goes, and nothing goes without being named.

use plinth_provider::{Resource, Urn};

use super::world::{Bench, FIXED, FREE, Mortal, thing, urn};
use crate::engine::{Ended, Facts, Op, Plan, PlanError, RunError, Scope, Target};

fn retained(mut resource: Resource) -> Resource {
    resource.options.retain_on_delete = true;
    resource
}

fn was(mut resource: Resource, former: &Urn) -> Resource {
    resource.options.aliases = vec![former.clone()];
    resource
}

async fn refused(bench: &Bench, resources: Vec<Resource>) -> Vec<PlanError> {
    match bench.apply_on(bench.backend.clone(), resources).await {
        Err(RunError::Plan(errors)) => errors,
        other => panic!("it is to be refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_replacement_leaves_what_is_to_be_retained_wherever_it_is_killed() {
    // Retained since it was made, or only by the change that replaces it.
    for since in [true, false] {
        for store_last in [false, true] {
            for appends in 1.. {
                let bench = Bench::new();
                let old = thing(FREE, "a", &[("fixed", "1")], &[]);
                let user = || thing(FIXED, "user", &[], &[urn(FREE, "a")]);
                bench.apply(vec![if since { retained(old) } else { old }, user()]).await;
                bench.take_history();
                let new = || vec![retained(thing(FREE, "a", &[("fixed", "2")], &[])), user()];
                let mortal = Mortal::new(bench.backend.clone(), appends, store_last);
                let survived = bench.apply_until_killed(mortal, new()).await;
                if !survived {
                    if bench.state().await.lease.is_some() {
                        bench.bury().await;
                    }
                    bench.apply(new()).await;
                }
                let (state, when) = (bench.state().await, format!("{since} {store_last} {appends}"));
                let fixed = |value: &plinth_provider::Value| value.text_at("fixed").map(str::to_owned);
                let mut live: Vec<_> = bench.world.live()["a"].iter().map(fixed).collect();
                live.sort();
                assert_eq!(live, [Some("1".to_owned()), Some("2".to_owned())], "{when}");
                assert!(state.superseded.is_empty() && state.pending.is_empty(), "{when}");
                assert!(!bench.plan(new(), &Facts::default()).await.has_changes(), "{when}");
                if survived {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_to_be_retained_and_has_one_name_is_not_replaced() {
    let bench = Bench::new();
    bench.apply(vec![retained(thing(FIXED, "a", &[("fixed", "1")], &[]))]).await;
    bench.take_history();
    // Also when the option goes with the same change: what was applied counts until the next one is.
    for keep in [true, false] {
        let mut new = thing(FIXED, "a", &[("fixed", "2")], &[]);
        new.options.retain_on_delete = keep;
        let errors = refused(&bench, vec![new]).await;
        assert!(matches!(&errors[..], [PlanError::Retained { .. }]), "{errors:?}");
        assert!(errors[0].help().unwrap().contains("take `retainOnDelete` away"), "{errors:?}");
    }
    assert_eq!(bench.take_history(), Vec::<String>::new());
}

#[tokio::test]
async fn an_interrupted_replacement_that_is_renamed_leaves_nothing_behind() {
    for store_last in [false, true] {
        for appends in 1.. {
            let bench = Bench::new();
            let user = |of: &str| thing(FIXED, "user", &[], &[urn(FREE, of)]);
            bench.apply(vec![thing(FREE, "a", &[("fixed", "1")], &[]), user("a")]).await;
            let mortal = Mortal::new(bench.backend.clone(), appends, store_last);
            let new = vec![thing(FREE, "a", &[("fixed", "2")], &[]), user("a")];
            let survived = bench.apply_until_killed(mortal, new).await;
            if bench.state().await.lease.is_some() {
                bench.bury().await;
            }
            let renamed = || vec![was(thing(FREE, "q", &[("fixed", "2")], &[]), &urn(FREE, "a")), user("q")];
            bench.apply(renamed()).await;
            let (state, when) = (bench.state().await, format!("{store_last} {appends}"));
            assert!(
                state.superseded.is_empty() && state.pending.is_empty(),
                "{when}: {:?}",
                state.superseded
            );
            assert!(!bench.plan(renamed(), &Facts::default()).await.has_changes(), "{when}");
            assert_eq!(bench.world.things.lock().unwrap().len(), 2, "{when}");
            if survived {
                break;
            }
        }
    }
}

#[tokio::test]
async fn names_that_change_places_are_refused_and_not_replaced() {
    let bench = Bench::new();
    let (a, b) = (urn(FREE, "a"), urn(FREE, "b"));
    bench
        .apply(vec![thing(FREE, "a", &[("fixed", "1")], &[]), thing(FREE, "b", &[("fixed", "2")], &[])])
        .await;
    bench.take_history();
    let swapped = || {
        let a = was(thing(FREE, "a", &[("fixed", "2")], &[]), &b);
        vec![a, was(thing(FREE, "b", &[("fixed", "1")], &[]), &urn(FREE, "a"))]
    };
    for all in [
        swapped(),
        vec![was(thing(FREE, "b", &[("fixed", "1")], &[]), &a)],
        vec![was(thing(FREE, "b", &[("fixed", "2")], &[]), &a)],
    ] {
        let errors = refused(&bench, all).await;
        let alias = |error: &PlanError| matches!(error, PlanError::Alias { .. });
        assert!(!errors.is_empty() && errors.iter().all(alias), "{errors:?}");
    }
    // A former name that stays in the file for good harms nobody.
    let kept =
        vec![was(thing(FREE, "a", &[("fixed", "1")], &[]), &b), thing(FREE, "b", &[("fixed", "2")], &[])];
    bench.apply(kept).await;
    assert_eq!(bench.take_history(), Vec::<String>::new());
}

#[tokio::test]
async fn one_object_is_not_made_under_one_name_and_deleted_under_another() {
    let bench = Bench::new();
    bench.apply(vec![thing(FIXED, "a", &[("name", "x")], &[])]).await;
    let errors = refused(&bench, vec![thing(FIXED, "q", &[("name", "x")], &[])]).await;
    let [error @ PlanError::Renamed { recorded, .. }] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!(recorded.name(), "a");
    assert!(error.help().unwrap().contains("set `aliases: [a]` on fake:Fixed::q"), "{error:?}");
    let plan = bench.plan(vec![thing(FIXED, "q", &[("name", "y")], &[])], &Facts::default()).await;
    assert_eq!(plan.counts().changes(), 2, "another object is another object");
}

#[tokio::test]
async fn what_the_file_keeps_is_kept_where_nothing_is_desired() {
    let bench = Bench::new();
    let all = || ["a", "b"].map(|name| thing(FREE, name, &[], &[])).to_vec();
    bench.apply(all()).await;
    let run = async |scope: Scope| {
        let (engine, state) = bench.engine(bench.backend.clone()).await.unwrap();
        let target = Target::new("destroy", Vec::new(), &engine.providers).unwrap();
        engine.apply(&Target { scope, ..target }, state, None, async |_: &Plan| true).await
    };
    let protects = Scope { protects: [urn(FREE, "a")].into(), ..Scope::default() };
    let Err(RunError::Plan(errors)) = run(protects).await else { panic!() };
    assert!(matches!(&errors[..], [PlanError::Protected { urn, .. }] if urn.name() == "a"), "{errors:?}");
    let retains = Scope { retains: [urn(FREE, "b")].into(), ..Scope::default() };
    assert!(matches!(run(retains).await, Ok(Ended::Executed(_))));
    assert_eq!(bench.world.live().into_keys().collect::<Vec<_>>(), ["b"]);
    assert!(bench.state().await.resources.is_empty());
}

#[tokio::test]
async fn a_plan_without_steps_says_that_options_have_changed() {
    let bench = Bench::new();
    bench.apply(vec![thing(FREE, "a", &[], &[])]).await;
    let plan = bench.plan(vec![retained(thing(FREE, "a", &[], &[]))], &Facts::default()).await;
    assert!(!plan.has_changes() && plan.steps.iter().all(|step| step.op == Op::Same));
    assert_eq!(plan.notes, ["the options of fake:Free::a have changed; applying records them"]);
}
