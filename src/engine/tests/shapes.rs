//! Graphs of unusual shapes, from nothing to applied to gone: empty, of one, very deep, very wide.

use std::time::Duration;

use plinth_provider::{OutputRef, Resource, Value};

use super::world::{Bench, urn};
use crate::engine::{Counts, Facts, Schedule, Target};

/// Data that refers to the values of what it needs.
fn data(at: usize, needs: Option<usize>) -> Resource {
    let name = |at: usize| urn("plinth:Data", &format!("r{at}"));
    let mut inputs = Value::from([("value", "x")]);
    if let Some(needed) = needs {
        inputs.set(&"of".into(), Value::Output(OutputRef { urn: name(needed), path: "value".into() }));
    }
    Resource::new(name(at), inputs)
}

/// Planned, applied, planned again, destroyed.
async fn a_life(resources: Vec<Resource>) {
    let bench = Bench::new();
    let count = resources.len() as u64;
    let report = bench.apply(resources.clone()).await;
    assert_eq!((report.counts.create, report.failures.len()), (count, 0));
    assert!(!bench.plan(resources, &Facts::default()).await.has_changes());
    let report = bench.apply(Vec::new()).await;
    assert_eq!((report.counts.delete, report.failures.len()), (count, 0));
    assert!(bench.state().await.resources.is_empty());
}

#[tokio::test]
async fn nothing_and_one() {
    let bench = Bench::new();
    assert_eq!(bench.apply(Vec::new()).await.counts, Counts::default());
    a_life(vec![data(0, None)]).await;
}

#[tokio::test]
async fn a_chain_of_ten_thousand() {
    a_life((0..10_000).map(|at| data(at, at.checked_sub(1))).collect()).await;
}

#[tokio::test]
async fn a_fan_of_ten_thousand() {
    a_life((0..10_000).map(|at| data(at, (at > 0).then_some(0))).collect()).await;
    // All of it into one: that one comes last, and goes first.
    let mut all: Vec<Resource> = (0..10_000).map(|at| data(at, None)).collect();
    let mut last = data(10_000, None);
    last.options.depends_on = all.iter().map(|resource| resource.urn.clone()).collect();
    all.push(last);
    a_life(all).await;
}

#[tokio::test]
async fn the_longest_path_of_a_chain_is_all_of_it() {
    let bench = Bench::new();
    let chain = (0..10_000).map(|at| data(at, at.checked_sub(1))).collect();
    let target = Target::new("apply", chain, &bench.providers()).unwrap();
    let (engine, state) = bench.engine(bench.backend.clone()).await.unwrap();
    let (facts, scope) = (Facts::default(), &target.scope);
    let plan = crate::engine::plan(&target.desired, &state, &facts, &engine.providers, scope).unwrap();
    let schedule = Schedule::build(&plan, |_, _| Duration::from_millis(1));
    assert_eq!(schedule.critical_path(), Duration::from_secs(10));
}
