//! What is drawn: nodes with their phase and op, and the edges that no others imply.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use plinth_provider::Urn;

use crate::engine::{Desired, Op, Plan, Schedule};

/// Above this many nodes implied edges stay: finding them takes quadratic memory.
const REDUCE: usize = 5_000;

/// A resource in a drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which resource.
    pub urn: Urn,
    /// Where it belongs.
    pub phase: String,
    /// What happens to it, if a plan is drawn.
    pub op: Option<Op>,
    /// Whether it lies on the longest path.
    pub critical: bool,
    /// How many steps of dependencies lie before it.
    pub depth: usize,
}

/// A graph to be drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drawing {
    /// The stack's name.
    pub title: String,
    /// The resources.
    pub nodes: Vec<Node>,
    /// From a dependency to its dependent, by position.
    pub edges: Vec<(usize, usize)>,
    /// The positions on the longest path, in order.
    pub critical: Vec<usize>,
    /// How long the longest path takes.
    pub duration: Option<Duration>,
}

impl Drawing {
    /// A desired graph. The longest path is that of a first apply, by how long making each resource takes.
    pub fn of(stack: &str, desired: &Desired, making: impl Fn(&Urn) -> Duration) -> Self {
        let nodes: Vec<(Urn, String, Option<Op>)> = desired
            .resources()
            .iter()
            .map(|resource| (resource.urn.clone(), resource.options.phase.clone(), None))
            .collect();
        let edges = (0..nodes.len())
            .flat_map(|at| desired.dependencies(at).iter().map(move |needed| (*needed, at)))
            .collect();
        let (path, duration) = longest_of(desired, |at| making(&desired.resources()[at].urn));
        let mut drawing = Self::new(stack, nodes, edges, &path);
        drawing.duration = Some(duration).filter(|path| !path.is_zero());
        drawing
    }

    /// A plan; with a schedule, its longest path is marked.
    pub fn of_plan(plan: &Plan, schedule: Option<&Schedule>) -> Self {
        let index: HashMap<&Urn, usize> =
            plan.steps.iter().enumerate().map(|(at, step)| (&step.urn, at)).collect();
        let nodes = plan
            .steps
            .iter()
            .map(|step| (step.urn.clone(), step.options.phase.clone(), Some(step.op)))
            .collect();
        let edges = plan
            .steps
            .iter()
            .enumerate()
            .flat_map(|(at, step)| {
                step.dependencies.iter().filter_map(|urn| index.get(urn)).map(move |needed| (*needed, at))
            })
            .collect();
        let path = schedule.map(longest).unwrap_or_default();
        let mut drawing = Self::new(&plan.stack, nodes, edges, &path);
        drawing.duration = schedule.map(Schedule::critical_path).filter(|path| !path.is_zero());
        drawing
    }

    fn new(
        title: &str,
        nodes: Vec<(Urn, String, Option<Op>)>,
        edges: BTreeSet<(usize, usize)>,
        critical: &[usize],
    ) -> Self {
        let mut dependents = vec![Vec::new(); nodes.len()];
        for (before, after) in edges.iter().filter(|(before, after)| before != after) {
            dependents[*before].push(*after);
        }
        let order = order(&dependents);
        let depths = depths(&dependents, &order);
        if nodes.len() <= REDUCE {
            reduce(&mut dependents, &order);
        }
        let marked: HashSet<usize> = critical.iter().copied().collect();
        let nodes = nodes
            .into_iter()
            .zip(depths)
            .enumerate()
            .map(|(at, ((urn, phase, op), depth))| {
                let phase = if phase.is_empty() { "resources".to_owned() } else { phase };
                Node { urn, phase, op, critical: marked.contains(&at), depth }
            })
            .collect();
        let edges = dependents
            .iter()
            .enumerate()
            .flat_map(|(before, after)| after.iter().map(move |after| (before, *after)))
            .collect();
        Self { title: title.to_owned(), nodes, edges, critical: critical.to_vec(), duration: None }
    }

    /// The phases in the order of their first resource, each with its nodes.
    pub(super) fn phases(&self) -> Vec<(&str, Vec<usize>)> {
        let mut phases: Vec<(&str, Vec<usize>)> = Vec::new();
        let mut index: HashMap<&str, usize> = HashMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let phase = *index.entry(node.phase.as_str()).or_insert_with(|| {
                phases.push((node.phase.as_str(), Vec::new()));
                phases.len() - 1
            });
            phases[phase].1.push(at);
        }
        phases
    }

    /// Whether an edge lies on the longest path.
    pub(super) fn is_critical(&self, (before, after): (usize, usize)) -> bool {
        self.critical.windows(2).any(|pair| {
            // A path through deletes runs against the dependencies.
            (pair[0], pair[1]) == (before, after) || (pair[1], pair[0]) == (before, after)
        })
    }
}

/// The longest path through a desired graph, first resource first, and how long it takes.
fn longest_of(desired: &Desired, usual: impl Fn(usize) -> Duration) -> (Vec<usize>, Duration) {
    let mut before: Vec<(Duration, Option<usize>)> = vec![(Duration::ZERO, None); desired.resources().len()];
    for at in desired.order() {
        let slowest = desired.dependencies(*at).iter().copied().max_by_key(|needed| before[*needed].0);
        let begun = slowest.map(|needed| before[needed].0).unwrap_or_default();
        before[*at] = (begun + usual(*at), slowest);
    }
    let last = (0..before.len()).rev().max_by_key(|at| before[*at].0);
    let duration = last.map(|at| before[at].0).unwrap_or_default();
    if duration.is_zero() {
        return (Vec::new(), duration);
    }
    let mut path: Vec<usize> = std::iter::successors(last, |at| before[*at].1).collect();
    path.reverse();
    (path, duration)
}

/// The steps on a schedule's longest path, first one first, each once.
fn longest(schedule: &Schedule) -> Vec<usize> {
    let mut path: Vec<usize> = Vec::new();
    let tasks = &schedule.tasks;
    let mut next = (0..tasks.len()).max_by_key(|at| (tasks[*at].remaining, std::cmp::Reverse(*at)));
    while let Some(at) = next {
        if tasks[at].remaining.is_zero() {
            break;
        }
        // What takes no time is no part of what takes long.
        let own = tasks[at].remaining
            - tasks[at].dependents.iter().map(|after| tasks[*after].remaining).max().unwrap_or_default();
        if !own.is_zero() && !path.contains(&tasks[at].step) {
            path.push(tasks[at].step);
        }
        next = tasks[at]
            .dependents
            .iter()
            .copied()
            .max_by_key(|after| (tasks[*after].remaining, std::cmp::Reverse(*after)));
    }
    path
}

/// Positions with every dependency before its dependents; what lies on a cycle is left out.
fn order(dependents: &[Vec<usize>]) -> Vec<usize> {
    let mut missing = vec![0usize; dependents.len()];
    for after in dependents.iter().flatten() {
        missing[*after] += 1;
    }
    let mut order: Vec<usize> = (0..dependents.len()).filter(|at| missing[*at] == 0).collect();
    let mut at = 0;
    while at < order.len() {
        for after in &dependents[order[at]] {
            missing[*after] -= 1;
            if missing[*after] == 0 {
                order.push(*after);
            }
        }
        at += 1;
    }
    order
}

fn depths(dependents: &[Vec<usize>], order: &[usize]) -> Vec<usize> {
    let mut depths = vec![0; dependents.len()];
    for at in order {
        for after in &dependents[*at] {
            depths[*after] = depths[*after].max(depths[*at] + 1);
        }
    }
    depths
}

/// Leaves out edges that a longer way implies.
pub(super) fn reduce(dependents: &mut [Vec<usize>], order: &[usize]) {
    let words = dependents.len().div_ceil(64);
    let mut reaches = vec![vec![0u64; words]; dependents.len()];
    let mut rank = vec![usize::MAX; dependents.len()];
    for (position, at) in order.iter().enumerate() {
        rank[*at] = position;
    }
    for at in order.iter().rev() {
        let mut after = std::mem::take(&mut dependents[*at]);
        // The nearest in topological order first: a farther one may be reached through it.
        after.sort_unstable_by_key(|next| rank[*next]);
        let mut kept = Vec::with_capacity(after.len());
        let mut reached = vec![0u64; words];
        for next in after {
            if reached[next / 64] >> (next % 64) & 1 == 1 {
                continue;
            }
            for (word, more) in reached.iter_mut().zip(&reaches[next]) {
                *word |= more;
            }
            reached[next / 64] |= 1 << (next % 64);
            kept.push(next);
        }
        kept.sort_unstable();
        reaches[*at] = reached;
        dependents[*at] = kept;
    }
}
