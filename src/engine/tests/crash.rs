//! Killed anywhere: the log stops taking entries after any number of them. The next run converges without help.

use std::time::Duration;

use plinth_provider::Resource;
use plinth_state::Clock;

use super::world::{Bench, FIXED, FREE, Mortal, thing, urn};
use crate::engine::{Events, Facts, Plan, Target};

fn first() -> Vec<Resource> {
    vec![
        thing(FREE, "net", &[("fixed", "1")], &[]),
        thing(FIXED, "cluster", &[("fixed", "1")], &[urn(FREE, "net")]),
        thing(FIXED, "pool", &[("value", "3")], &[urn(FIXED, "cluster")]),
        thing(FREE, "bucket", &[], &[]),
        thing(FIXED, "app", &[], &[urn(FIXED, "pool"), urn(FREE, "bucket")]),
    ]
}

/// A replacement of each order, an update, a delete, a create.
fn second() -> Vec<Resource> {
    vec![
        thing(FREE, "net", &[("fixed", "2")], &[]),
        thing(FIXED, "cluster", &[("fixed", "2")], &[urn(FREE, "net")]),
        thing(FIXED, "pool", &[("value", "5")], &[urn(FIXED, "cluster")]),
        thing(FIXED, "app", &[("value", "new")], &[urn(FIXED, "pool")]),
        thing(FREE, "extra", &[], &[urn(FIXED, "app")]),
    ]
}

async fn converge(bench: &Bench, resources: Vec<Resource>, when: &str) {
    if bench.state().await.lease.is_some() {
        bench.bury().await;
    }
    let report = bench.apply(resources.clone()).await;
    assert!(report.failures.is_empty(), "{when}: {:?}", report.failures);
    let live = bench.world.live();
    let names: Vec<&str> = live.keys().map(String::as_str).collect();
    let mut wanted: Vec<&str> = resources.iter().map(|resource| resource.urn.name()).collect();
    wanted.sort_unstable();
    assert_eq!(names, wanted, "{when}: nothing is missing and nothing is orphaned");
    assert!(live.values().all(|instances| instances.len() == 1), "{when}: nothing is there twice: {live:?}");
    let plan = bench.plan(resources, &Facts::default()).await;
    assert!(!plan.has_changes(), "{when}: {plan:?}");
    let state = bench.state().await;
    assert!(state.pending.is_empty() && state.superseded.is_empty(), "{when}");
    for tracked in state.resources.values() {
        let (_, inputs) = bench.world.things.lock().unwrap()[&tracked.id].clone();
        assert_eq!(inputs, tracked.inputs, "{when}: state says what is live");
        assert!(!tracked.unsettled, "{when}: {} is settled", tracked.urn);
    }
}

#[tokio::test]
async fn killed_at_every_append_of_create_change_and_destroy() {
    let mut points = 0;
    for store_last in [false, true] {
        for (name, from, to) in [
            ("create", Vec::new(), first()),
            ("change", first(), second()),
            ("destroy", second(), Vec::new()),
        ] {
            for creates in 1.. {
                let bench = Bench::new();
                if !from.is_empty() {
                    bench.apply(from.clone()).await;
                }
                let mortal = Mortal::new(bench.backend.clone(), creates, store_last);
                if bench.apply_until_killed(mortal, to.clone()).await {
                    break;
                }
                let when = format!("{name} killed at append {creates}, last one stored: {store_last}");
                converge(&bench, to.clone(), &when).await;
                points += 1;
            }
        }
    }
    assert!(points >= 40, "only {points} crash points were tried");
}

/// Applies, and is stopped when so many events have been told; whether it came to its end before that.
async fn apply_until_stopped(bench: &Bench, resources: Vec<Resource>, told: usize, at_once: bool) -> bool {
    let (mut engine, state) = bench.engine(bench.backend.clone()).await.unwrap();
    let (events, mut receiver) = Events::channel();
    engine.events = events;
    let target = Target::new("apply", resources, &engine.providers).unwrap();
    let interrupt = engine.interrupt.clone();
    let stopping = async {
        for _ in 0..told {
            if receiver.recv().await.is_none() {
                return true;
            }
        }
        interrupt.stop.cancel();
        if at_once {
            interrupt.stop_now.cancel();
        }
        std::future::pending().await
    };
    let run = async {
        let _ = engine.apply(&target, state, None, async |_: &Plan| true).await;
        drop(engine);
    };
    tokio::pin!(run);
    tokio::select! {
        biased;
        is_over = stopping => is_over,
        () = &mut run => !interrupt.stop.is_cancelled(),
    }
}

#[tokio::test]
async fn interrupted_at_any_event_of_create_change_and_destroy() {
    let mut points = 0;
    for at_once in [false, true] {
        for (name, from, to) in [
            ("create", Vec::new(), first()),
            ("change", first(), second()),
            ("destroy", second(), Vec::new()),
        ] {
            for told in 1.. {
                let bench = Bench::new();
                if !from.is_empty() {
                    bench.apply(from.clone()).await;
                }
                let is_over = apply_until_stopped(&bench, to.clone(), told, at_once).await;
                let when = format!("{name} interrupted after {told} events, at once: {at_once}");
                assert!(bench.state().await.lease.is_none(), "{when}: the lease is given back");
                converge(&bench, to.clone(), &when).await;
                points += 1;
                if is_over {
                    break;
                }
            }
        }
    }
    assert!(points >= 60, "only {points} points were tried");
}

#[tokio::test]
async fn killed_several_times_in_a_row() {
    for seed in 1..12u64 {
        let bench = Bench::new();
        bench.apply(first()).await;
        for kill in 0..4 {
            bench.bury().await;
            let creates = 2 + (seed * 7 + kill * 3) % 9;
            let mortal = Mortal::new(bench.backend.clone(), creates, kill % 2 == 0);
            bench.apply_until_killed(mortal, if kill == 2 { first() } else { second() }).await;
        }
        converge(&bench, second(), &format!("seed {seed}")).await;
    }
}

#[tokio::test]
async fn what_arrives_after_recovery_has_looked_is_not_orphaned() {
    let bench = Bench::new();
    // Lease, revision, intent: the third append is the last that this run lives to see.
    let mortal = Mortal::new(bench.backend.clone(), 3, true);
    assert!(!bench.apply_until_killed(mortal, vec![thing(FIXED, "late", &[], &[])]).await);
    bench.bury().await;
    assert_eq!(bench.state().await.pending.len(), 1);
    // The request was on its way, and arrives while the next run is at work on something else.
    let things = bench.world.clone();
    let late = thing(FIXED, "late", &[], &[]);
    *bench.world.on_effect.lock().unwrap() = Some(Box::new(move |_| {
        let thing = (late.urn.clone(), late.inputs.clone());
        things.things.lock().unwrap().insert("late".to_owned(), thing);
    }));
    let wanted = vec![thing(FREE, "other", &[], &[])];
    assert!(bench.apply(wanted.clone()).await.failures.is_empty());
    *bench.world.on_effect.lock().unwrap() = None;
    assert!(bench.state().await.resources.contains_key(&urn(FIXED, "late")), "it is known");
    converge(&bench, wanted, "after what was late").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_process_still_makes_after_two_other_runs_is_not_orphaned() {
    let bench = Bench::new();
    let mortal = Mortal::new(bench.backend.clone(), 3, true);
    assert!(!bench.apply_until_killed(mortal, vec![thing(FIXED, "late", &[], &[])]).await);
    // It lives, as far as anybody can tell, and is only slow: its lease is taken over after it was watched.
    let wanted = vec![thing(FREE, "other", &[], &[])];
    let (mut engine, state) = bench.engine(bench.backend.clone()).await.unwrap();
    engine.log = engine.log.with_clock(Clock::skewed(jiff::SignedDuration::from_mins(10)));
    engine.settings.lock_timeout = Duration::from_secs(300);
    let target = Target::new("apply", wanted.clone(), &engine.providers).unwrap();
    engine.apply(&target, state, None, async |_: &Plan| true).await.unwrap();
    assert_eq!(bench.state().await.pending.len(), 1, "nothing was found, and nothing is given up");
    // A run that has nothing else to do asks as well.
    bench.apply(wanted.clone()).await;
    assert_eq!(bench.state().await.pending.len(), 1);
    let late = thing(FIXED, "late", &[], &[]);
    bench.world.things.lock().unwrap().insert("late".to_owned(), (late.urn.clone(), late.inputs.clone()));
    bench.apply(wanted).await;
    assert_eq!(bench.world.live().keys().collect::<Vec<_>>(), ["other"], "found, and deleted");
    assert!(bench.state().await.pending.is_empty());
}
