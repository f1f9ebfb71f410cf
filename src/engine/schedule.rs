//! In which order the steps of a plan may run, and which of the ready ones goes first. Pure.
//!
//! A replacement is two tasks, one that makes and one that removes; everything else is one task.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use plinth_provider::Urn;

use super::plan::{Op, Plan, Step};

/// What a task does with its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// Create, update, the new half of a replacement, or nothing.
    Make,
    /// Delete, forget, or the old half of a replacement.
    Remove,
}

/// One node of the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The step, by its position in the plan.
    pub step: usize,
    /// Which part of it.
    pub work: Work,
    /// Tasks that wait for this one.
    pub dependents: Vec<usize>,
    /// How many tasks this one waits for.
    pub waits_for: usize,
    /// The length of the longest path from the beginning of this task to the end of the run.
    pub remaining: Duration,
}

/// The tasks of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Every task.
    pub tasks: Vec<Task>,
    /// Their positions, each after those that it waits for.
    pub order: Vec<usize>,
}

impl Schedule {
    /// Builds the schedule. `weight` says how long a task usually takes.
    pub fn build(plan: &Plan, weight: impl Fn(usize, Work) -> Duration) -> Self {
        Builder::of(&plan.steps).finish(weight)
    }

    /// The longest path: what the run takes with no limit on concurrency.
    pub fn critical_path(&self) -> Duration {
        self.tasks.iter().map(|task| task.remaining).max().unwrap_or_default()
    }

    /// What the run takes with at most `limit` tasks at once, if there is a limit.
    pub fn makespan(&self, limit: Option<usize>, weight: impl Fn(usize, Work) -> Duration) -> Duration {
        let path = self.critical_path();
        match limit {
            Some(limit) if limit < self.tasks.len() && !path.is_zero() => {
                let duration = |task: usize| weight(self.tasks[task].step, self.tasks[task].work);
                simulate(self, limit, duration, |task| self.tasks[task].remaining)
            }
            _ => path,
        }
    }
}

/// A step that asks for an order that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contradiction {
    /// A replacement whose new instance cannot come before the old one goes.
    MakesFirst(usize),
    /// The first lives in what the second removes, and cannot let go of it before.
    Outlives(usize, usize),
}

/// The steps that ask for an order that cannot be, by position. What uses something that goes can be late in letting go of it;
/// what lives in it cannot.
pub(super) fn contradictions(steps: &[Step], lives_in: impl Fn(&Step, &Step) -> bool) -> Vec<Contradiction> {
    let builder = Builder::of(steps);
    let of = |task: usize| builder.tasks[task].0;
    let lives: Vec<(usize, usize)> = builder
        .soft
        .iter()
        .filter(|(user, going)| lives_in(&steps[of(*user)], &steps[of(*going)]))
        .copied()
        .collect();
    let edges = distinct(builder.edges.iter().chain(&builder.recorded).chain(&lives).copied().collect());
    if builder.sorted(&edges).is_some() {
        return Vec::new();
    }
    let component = builder.components(&edges);
    let halves = builder.tasks.iter().enumerate().filter_map(|(task, (at, work))| {
        let step = &steps[*at];
        if *work != Work::Remove || step.op != Op::Replace || step.delete_before_replace {
            return None;
        }
        let make = builder.make.get(&step.urn)?;
        (component[*make] == component[task]).then_some(Contradiction::MakesFirst(*at))
    });
    let lives = lives.iter().filter(|(user, going)| component[*user] == component[*going]);
    halves.chain(lives.map(|(user, going)| Contradiction::Outlives(of(*user), of(*going)))).collect()
}

struct Builder<'a> {
    steps: &'a [Step],
    tasks: Vec<(usize, Work)>,
    make: HashMap<&'a Urn, usize>,
    /// Of present instances; superseded ones have tasks but are nobody's dependency.
    remove: HashMap<&'a Urn, usize>,
    edges: Vec<(usize, usize)>,
    /// What was used goes after what used it. Each resource was recorded at another time, so these may contradict the
    /// order of today's graph, which then rules.
    recorded: Vec<(usize, usize)>,
    /// Orders that are wished for but give way first.
    soft: Vec<(usize, usize)>,
}

impl<'a> Builder<'a> {
    fn of(steps: &'a [Step]) -> Self {
        let mut builder = Self::new(steps);
        builder.makes_follow_their_dependencies();
        builder.halves_of_replacements();
        builder.superseded_ones_go_after_their_successors();
        builder.removes_precede_what_they_needed();
        builder
    }

    fn new(steps: &'a [Step]) -> Self {
        let mut tasks = Vec::new();
        let mut make = HashMap::new();
        let mut remove = HashMap::new();
        for (at, step) in steps.iter().enumerate() {
            if !matches!(step.op, Op::Delete | Op::Forget) {
                make.insert(&step.urn, tasks.len());
                tasks.push((at, Work::Make));
            }
            let replaced_here = step.op == Op::Replace && !step.by_update;
            if replaced_here || matches!(step.op, Op::Delete | Op::Forget) {
                if !step.superseded {
                    let recorded = step.recorded.as_ref().map_or(&step.urn, |recorded| &recorded.urn);
                    remove.insert(recorded, tasks.len());
                }
                tasks.push((at, Work::Remove));
            }
        }
        Self { steps, tasks, make, remove, edges: Vec::new(), recorded: Vec::new(), soft: Vec::new() }
    }

    fn makes_follow_their_dependencies(&mut self) {
        for (task, (at, work)) in self.tasks.iter().enumerate() {
            if *work == Work::Make {
                let needed = self.steps[*at].dependencies.iter().filter_map(|urn| self.make.get(urn));
                self.edges.extend(needed.map(|before| (*before, task)));
            }
        }
    }

    fn halves_of_replacements(&mut self) {
        let mut dependents: HashMap<usize, Vec<usize>> = HashMap::new();
        for (before, after) in &self.edges {
            dependents.entry(*before).or_default().push(*after);
        }
        for step in self.steps.iter().filter(|step| step.op == Op::Replace) {
            let recorded = step.recorded.as_ref().map_or(&step.urn, |recorded| &recorded.urn);
            let (Some(make), Some(remove)) = (self.make.get(&step.urn), self.remove.get(recorded)) else {
                continue;
            };
            if step.delete_before_replace {
                self.edges.push((*remove, *make));
            } else {
                // The old one goes when nobody uses it any more; who never used it does not keep it.
                self.edges.push((*make, *remove));
                let used = |user: &&usize| {
                    let user = self.steps[self.tasks[**user].0].recorded.as_ref();
                    user.is_some_and(|user| user.dependencies.contains(recorded))
                };
                let users: Vec<usize> =
                    dependents.get(make).into_iter().flatten().filter(used).copied().collect();
                self.edges.extend(users.into_iter().map(|user| (user, *remove)));
            }
        }
    }

    /// A superseded instance may be taken over by what is made anew: whether it goes is known after that. Where it
    /// stands in the way, it goes before.
    fn superseded_ones_go_after_their_successors(&mut self) {
        for (task, (at, work)) in self.tasks.iter().enumerate() {
            let step = &self.steps[*at];
            if *work == Work::Remove
                && step.superseded
                && let Some(make) = self.make.get(&step.urn)
            {
                let edge = if step.delete_before_replace { (task, *make) } else { (*make, task) };
                self.edges.push(edge);
            }
        }
    }

    fn removes_precede_what_they_needed(&mut self) {
        let mut superseded: HashMap<&Urn, Vec<usize>> = HashMap::new();
        for (task, (at, work)) in self.tasks.iter().enumerate() {
            let step = &self.steps[*at];
            if *work == Work::Remove && step.superseded {
                superseded.entry(&step.urn).or_default().push(task);
            }
        }
        for (task, (at, work)) in self.tasks.iter().enumerate() {
            let step = &self.steps[*at];
            let Some(recorded) = &step.recorded else { continue };
            let present = recorded.dependencies.iter().filter_map(|urn| self.remove.get(urn));
            // It may still use the old instance that a replacement has left.
            let old = recorded.dependencies.iter().filter_map(|urn| superseded.get(urn)).flatten();
            for needed in present.chain(old).copied() {
                if needed == task {
                    continue;
                }
                if *work == Work::Remove {
                    self.recorded.push((task, needed));
                    continue;
                }
                let going = &self.steps[self.tasks[needed].0];
                let lets_go = going.superseded || step.dependencies.binary_search(&going.urn).is_err();
                if lets_go && !self.remove.contains_key(&recorded.urn) {
                    // It used what now goes, and uses it no more: it must have let go of it first.
                    self.soft.push((task, needed));
                }
            }
        }
    }

    fn finish(self, weight: impl Fn(usize, Work) -> Duration) -> Schedule {
        let (edges, order) = self.ordered();
        let mut tasks: Vec<Task> = self
            .tasks
            .iter()
            .map(|(step, work)| Task {
                step: *step,
                work: *work,
                dependents: Vec::new(),
                waits_for: 0,
                remaining: Duration::ZERO,
            })
            .collect();
        for (before, after) in edges {
            tasks[before].dependents.push(after);
            tasks[after].waits_for += 1;
        }
        for at in order.iter().rev() {
            let after =
                tasks[*at].dependents.iter().map(|next| tasks[*next].remaining).max().unwrap_or_default();
            tasks[*at].remaining = after + weight(tasks[*at].step, tasks[*at].work);
        }
        Schedule { tasks, order }
    }

    /// The edges that hold, and an order of the tasks that keeps them. Where they close a cycle, the weaker ones inside of
    /// it give way; those of today's graph alone never close one.
    fn ordered(&self) -> (Vec<(usize, usize)>, Vec<usize>) {
        let all = self.edges.iter().chain(&self.recorded).chain(&self.soft);
        let mut edges = distinct(all.copied().collect());
        for weak in [&self.soft, &self.recorded] {
            if let Some(order) = self.sorted(&edges) {
                return (edges, order);
            }
            let component = self.components(&edges);
            let (weak, held) = (HashSet::<_>::from_iter(weak), HashSet::<_>::from_iter(&self.edges));
            edges.retain(|edge| {
                component[edge.0] != component[edge.1] || !weak.contains(edge) || held.contains(edge)
            });
        }
        let order = self.sorted(&edges).unwrap_or_else(|| (0..self.tasks.len()).collect());
        (edges, order)
    }

    /// By task, the number of its strongly connected component.
    fn components(&self, edges: &[(usize, usize)]) -> Vec<usize> {
        let mut graph = DiGraph::<(), ()>::with_capacity(self.tasks.len(), edges.len());
        for _ in &self.tasks {
            graph.add_node(());
        }
        for (before, after) in edges {
            graph.add_edge(NodeIndex::new(*before), NodeIndex::new(*after), ());
        }
        let mut component = vec![0; self.tasks.len()];
        for (number, members) in kosaraju_scc(&graph).into_iter().enumerate() {
            members.into_iter().for_each(|member| component[member.index()] = number);
        }
        component
    }

    /// Every task after those that it waits for; `None` when that cannot be.
    fn sorted(&self, edges: &[(usize, usize)]) -> Option<Vec<usize>> {
        let mut first = vec![0; self.tasks.len() + 1];
        let mut missing = vec![0usize; self.tasks.len()];
        for (before, after) in edges {
            first[before + 1] += 1;
            missing[*after] += 1;
        }
        for at in 1..first.len() {
            first[at] += first[at - 1];
        }
        // The edges are sorted by where they begin.
        let mut order: Vec<usize> = (0..self.tasks.len()).filter(|task| missing[*task] == 0).collect();
        let mut at = 0;
        while let Some(task) = order.get(at).copied() {
            at += 1;
            for (_, after) in &edges[first[task]..first[task + 1]] {
                missing[*after] -= 1;
                if missing[*after] == 0 {
                    order.push(*after);
                }
            }
        }
        (order.len() == self.tasks.len()).then_some(order)
    }
}

fn distinct(mut edges: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// How long a run takes in which at most `limit` tasks run at once and the ready one of the highest priority goes first.
/// Tasks that take no time take no place either.
pub(crate) fn simulate<K: Ord>(
    schedule: &Schedule,
    limit: usize,
    duration: impl Fn(usize) -> Duration,
    priority: impl Fn(usize) -> K,
) -> Duration {
    let mut waits: Vec<usize> = schedule.tasks.iter().map(|task| task.waits_for).collect();
    let mut ready: BinaryHeap<(K, Reverse<usize>)> = (0..waits.len())
        .filter(|task| waits[*task] == 0)
        .map(|task| (priority(task), Reverse(task)))
        .collect();
    let mut running: BinaryHeap<Reverse<(Duration, usize)>> = BinaryHeap::new();
    let mut now = Duration::ZERO;
    loop {
        while running.len() < limit.max(1)
            && let Some((_, Reverse(task))) = ready.pop()
        {
            running.push(Reverse((now + duration(task), task)));
        }
        let Some(Reverse((end, task))) = running.pop() else { return now };
        now = end;
        for dependent in &schedule.tasks[task].dependents {
            waits[*dependent] -= 1;
            if waits[*dependent] == 0 {
                ready.push((priority(*dependent), Reverse(*dependent)));
            }
        }
    }
}
