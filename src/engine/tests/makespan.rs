//! How long runs take by a simulated clock, decided by the queue and the lanes that real runs use. The figures are
//! printed too: `cargo xtask bench` collects them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plinth_provider::{Lane, Providers, builtin::Builtin};
use plinth_stacks::program::{Target as ProgramTarget, program};
use plinth_state::State;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::engine::execute::lanes::Lanes;
use crate::engine::execute::queue::Queue;
use crate::engine::schedule::Task;
use crate::engine::{Facts, Limits, Plan, Schedule, Scope, Target, Work, plan};

/// Who goes first among what is ready.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    LongestPath,
    FirstInFirstOut,
}

/// What a task occupies: the group of its provider, by name, and lanes.
struct Occupies {
    provider: String,
    usual: Option<usize>,
    lanes: Vec<Lane>,
}

/// Runs a schedule on a clock that jumps from one end of a task to the next.
fn simulate(
    schedule: &Schedule,
    tasks: &[Occupies],
    took: &[Duration],
    limits: Limits,
    order: Order,
) -> Duration {
    let begin = Instant::now();
    let mut queue = Queue::new(limits);
    let groups: Vec<usize> = tasks.iter().map(|task| queue.group(&task.provider, task.usual)).collect();
    let mut lanes = Lanes::default();
    let mut waits: Vec<usize> = schedule.tasks.iter().map(|task| task.waits_for).collect();
    let mut running: BinaryHeap<Reverse<(Duration, usize)>> = BinaryHeap::new();
    let mut admitted = vec![false; tasks.len()];
    let mut arrivals = 0;
    let mut arrive = |queue: &mut Queue, task: usize| {
        arrivals += 1;
        let rank = match order {
            Order::LongestPath => schedule.tasks[task].remaining,
            Order::FirstInFirstOut => Duration::from_secs(u64::MAX / 2 - arrivals),
        };
        queue.push(groups[task], task, rank);
    };
    (0..tasks.len()).filter(|task| waits[*task] == 0).for_each(|task| arrive(&mut queue, task));
    let (mut now, mut done) = (Duration::ZERO, 0);
    loop {
        while let Some(task) = queue.pop(begin + now) {
            if admitted[task] || lanes.take(task, &tasks[task].lanes).is_ok() {
                queue.begin(groups[task]);
                running.push(Reverse((now + took[task], task)));
            }
        }
        let Some(Reverse((end, task))) = running.pop() else { break };
        (now, done) = (end, done + 1);
        queue.end(groups[task], true);
        for next in lanes.release(&tasks[task].lanes) {
            admitted[next] = true;
            arrive(&mut queue, next);
        }
        for next in &schedule.tasks[task].dependents {
            waits[*next] -= 1;
            if waits[*next] == 0 {
                arrive(&mut queue, *next);
            }
        }
    }
    assert_eq!(done, tasks.len(), "every task runs");
    now
}

/// The longest path by what tasks really took.
fn critical_path(schedule: &Schedule, took: &[Duration]) -> Duration {
    let mut ends = vec![Duration::ZERO; took.len()];
    for task in &schedule.order {
        ends[*task] += took[*task];
        for next in &schedule.tasks[*task].dependents {
            ends[*next] = ends[*next].max(ends[*task]);
        }
    }
    ends.into_iter().max().unwrap_or_default()
}

fn figure(work: &str, figure: f64, of: &str, goal: f64) {
    println!("FIGURE {work} | {figure:.4} | {of} | {goal}");
    assert!(figure <= goal, "{work}: {figure:.4} × {of}, and the goal is {goal}");
}

/// The production stack of this repository, to be created from nothing.
fn production() -> (Plan, Providers) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks/prod.yaml");
    let loaded = plinth_stacks::file::load(&file).unwrap();
    let resources = program(&loaded.stack, &ProgramTarget { rehearse: true, offline: true }).unwrap();
    let nowhere = plinth_local::Place::new(Path::new(""), plinth_local::Options::default());
    let connector = plinth_kubernetes::KubeconfigConnector::new(Vec::new(), None);
    let providers = Providers::new()
        .with(Arc::new(Builtin))
        .with(Arc::new(plinth_local::LocalCloud::new(nowhere)))
        .with(Arc::new(plinth_kubernetes::Kubernetes::new(Arc::new(connector))));
    let target = Target::new("apply", resources, &providers).unwrap();
    (
        plan(&target.desired, &State::default(), &Facts::default(), &providers, &Scope::default()).unwrap(),
        providers,
    )
}

/// How long a kind takes on a real cloud, in seconds: what comes up and is waited for takes up to two minutes, what is
/// only stored a moment.
fn realistic(kind: &str) -> f64 {
    match kind.rsplit('/').next().unwrap_or(kind) {
        "Cluster" => 600.0,
        "NodePool" => 180.0,
        "StatefulSet" => 75.0,
        "DaemonSet" => 40.0,
        "Deployment" => 30.0,
        "AddOn" | "Job" | "Ingress" => 20.0,
        "Bucket" | "Network" | "Identity" | "PersistentVolumeClaim" | "Certificate" => 8.0,
        "CustomResourceDefinition" | "APIService" => 2.0,
        _ => 0.5,
    }
}

/// Around what is usual, between 0.2 s and 120 s; the cluster and its nodes as they are.
fn around(usual: f64, random: &mut SmallRng) -> Duration {
    let seconds =
        if usual >= 180.0 { usual } else { (usual * random.random_range(0.4..1.6)).clamp(0.2, 120.0) };
    Duration::from_secs_f64(seconds)
}

#[test]
fn production_takes_hardly_longer_than_its_longest_path() {
    let (plan, providers) = production();
    // What was learned is the kind's average; what happens differs from resource to resource.
    let learned = |step: usize, _: Work| Duration::from_secs_f64(realistic(plan.steps[step].urn.kind()));
    let schedule = Schedule::build(&plan, learned);
    let tasks: Vec<Occupies> = schedule
        .tasks
        .iter()
        .map(|task| {
            let step = &plan.steps[task.step];
            let provider = providers.of(step.urn.kind()).unwrap();
            let lanes = provider.lanes(&step.urn, &step.inputs);
            Occupies { provider: provider.name().to_owned(), usual: provider.concurrency(), lanes }
        })
        .collect();
    let mut worst: HashMap<Option<usize>, f64> = HashMap::new();
    for seed in 0..50 {
        let mut random = SmallRng::seed_from_u64(seed);
        let took: Vec<Duration> = schedule
            .tasks
            .iter()
            .map(|task| around(realistic(plan.steps[task.step].urn.kind()), &mut random))
            .collect();
        let path = critical_path(&schedule, &took).as_secs_f64();
        for total in [None, Some(10)] {
            let limits = Limits { total, ..Limits::default() };
            let makespan = simulate(&schedule, &tasks, &took, limits, Order::LongestPath);
            let ratio = makespan.as_secs_f64() / path;
            let worst = worst.entry(total).or_default();
            *worst = worst.max(ratio);
        }
    }
    let path = "the critical path";
    figure("prod from nothing, no limit, worst of 50 draws", worst[&None], path, 1.02);
    figure("prod from nothing, 10 at a time, worst of 50 draws", worst[&Some(10)], path, 1.15);
}

fn random_schedule(random: &mut SmallRng, learned: &mut Vec<Duration>) -> Schedule {
    let count = random.random_range(5..80);
    learned.clear();
    let mut tasks: Vec<Task> = (0..count)
        .map(|step| Task {
            step,
            work: Work::Make,
            dependents: Vec::new(),
            waits_for: 0,
            remaining: Duration::ZERO,
        })
        .collect();
    for at in 1..count {
        for _ in 0..random.random_range(0..3) {
            let before = random.random_range(at.saturating_sub(20)..at);
            if !tasks[before].dependents.contains(&at) {
                tasks[before].dependents.push(at);
                tasks[at].waits_for += 1;
            }
        }
    }
    learned.extend((0..count).map(|_| {
        // As many short ones as long ones, on a scale of orders of magnitude.
        Duration::from_secs_f64(0.2 * 600f64.powf(random.random_range(0.0..1.0)))
    }));
    for at in (0..count).rev() {
        let after = tasks[at].dependents.iter().map(|next| tasks[*next].remaining).max().unwrap_or_default();
        tasks[at].remaining = after + learned[at];
    }
    Schedule { order: (0..count).collect(), tasks }
}

#[test]
fn the_longest_path_first_beats_first_in_first_out_on_random_graphs() {
    let mut random = SmallRng::seed_from_u64(1);
    let (mut ours, mut fifo, mut learned) = (0.0, 0.0, Vec::new());
    for _ in 0..1_000 {
        let schedule = random_schedule(&mut random, &mut learned);
        // What was learned is only about right.
        let took: Vec<Duration> =
            learned.iter().map(|usual| usual.mul_f64(random.random_range(0.7..1.3))).collect();
        let tasks: Vec<Occupies> = (0..took.len())
            .map(|_| Occupies { provider: "fake".to_owned(), usual: Some(64), lanes: Vec::new() })
            .collect();
        let total = Some(random.random_range(2..=10));
        let path = critical_path(&schedule, &took).as_secs_f64();
        let ratio = |order| {
            let limits = Limits { total, ..Limits::default() };
            simulate(&schedule, &tasks, &took, limits, order).as_secs_f64() / path
        };
        ours += ratio(Order::LongestPath);
        fifo += ratio(Order::FirstInFirstOut);
    }
    figure("1,000 random graphs, 2 to 10 at a time, average", ours / fifo, "first in, first out", 1.0);
}

#[test]
fn the_estimate_is_what_a_run_with_that_limit_takes() {
    let mut random = SmallRng::seed_from_u64(2);
    let mut learned = Vec::new();
    for limit in [1, 2, 5, 1_000] {
        let schedule = random_schedule(&mut random, &mut learned);
        let tasks: Vec<Occupies> = learned
            .iter()
            .map(|_| Occupies { provider: "fake".to_owned(), usual: None, lanes: Vec::new() })
            .collect();
        let limits = Limits { total: Some(limit), ..Limits::default() };
        let simulated = simulate(&schedule, &tasks, &learned, limits, Order::LongestPath);
        assert_eq!(schedule.makespan(Some(limit), |step, _| learned[step]), simulated);
    }
}
