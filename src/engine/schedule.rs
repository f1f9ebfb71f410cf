//! In which order the steps of a plan may run, and which of the ready ones goes first. Pure.
//!
//! A replacement is two tasks, one that makes and one that removes; everything else is one task.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use plinth_provider::Urn;

use super::plan::{Op, Plan};

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
}

impl Schedule {
    /// Builds the schedule. `weight` says how long a task usually takes.
    pub fn build(plan: &Plan, weight: impl Fn(usize, Work) -> Duration) -> Self {
        let mut builder = Builder::new(plan);
        builder.makes_follow_their_dependencies();
        builder.halves_of_replacements();
        builder.removes_precede_what_they_needed();
        builder.finish(weight)
    }

    /// The longest path: what the run takes with no limit on concurrency.
    pub fn critical_path(&self) -> Duration {
        self.tasks.iter().map(|task| task.remaining).max().unwrap_or_default()
    }
}

struct Builder<'a> {
    plan: &'a Plan,
    tasks: Vec<(usize, Work)>,
    make: HashMap<&'a Urn, usize>,
    /// Of present instances; superseded ones have tasks but are nobody's dependency.
    remove: HashMap<&'a Urn, usize>,
    edges: BTreeSet<(usize, usize)>,
    /// What was used goes after what used it. Each resource was recorded at another time, so these may contradict the
    /// order of today's graph, which then rules.
    recorded: BTreeSet<(usize, usize)>,
    /// Orders that are wished for but give way first.
    soft: BTreeSet<(usize, usize)>,
}

impl<'a> Builder<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut tasks = Vec::new();
        let mut make = HashMap::new();
        let mut remove = HashMap::new();
        for (at, step) in plan.steps.iter().enumerate() {
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
        Self {
            plan,
            tasks,
            make,
            remove,
            edges: BTreeSet::new(),
            recorded: BTreeSet::new(),
            soft: BTreeSet::new(),
        }
    }

    fn makes_follow_their_dependencies(&mut self) {
        for (task, (at, work)) in self.tasks.iter().enumerate() {
            if *work == Work::Make {
                let needed = self.plan.steps[*at].dependencies.iter().filter_map(|urn| self.make.get(urn));
                self.edges.extend(needed.map(|before| (*before, task)));
            }
        }
    }

    fn halves_of_replacements(&mut self) {
        let mut dependents: HashMap<usize, Vec<usize>> = HashMap::new();
        for (before, after) in &self.edges {
            dependents.entry(*before).or_default().push(*after);
        }
        for step in self.plan.steps.iter().filter(|step| step.op == Op::Replace) {
            let recorded = step.recorded.as_ref().map_or(&step.urn, |recorded| &recorded.urn);
            let (Some(make), Some(remove)) = (self.make.get(&step.urn), self.remove.get(recorded)) else {
                continue;
            };
            if step.delete_before_replace {
                self.edges.insert((*remove, *make));
            } else {
                // The old one goes when nobody uses it any more; who never used it does not keep it.
                self.edges.insert((*make, *remove));
                let used = |user: &&usize| {
                    let user = self.plan.steps[self.tasks[**user].0].recorded.as_ref();
                    user.is_some_and(|user| user.dependencies.contains(recorded))
                };
                let users: Vec<usize> =
                    dependents.get(make).into_iter().flatten().filter(used).copied().collect();
                self.edges.extend(users.into_iter().map(|user| (user, *remove)));
            }
        }
    }

    fn removes_precede_what_they_needed(&mut self) {
        for (task, (at, work)) in self.tasks.iter().enumerate() {
            let step = &self.plan.steps[*at];
            let Some(recorded) = &step.recorded else { continue };
            let needed = recorded.dependencies.iter().filter_map(|urn| self.remove.get(urn).copied());
            for needed in needed {
                if needed == task {
                    continue;
                }
                if *work == Work::Remove {
                    self.recorded.insert((task, needed));
                } else if !self.remove.contains_key(&recorded.urn)
                    && step.dependencies.binary_search(&self.plan.steps[self.tasks[needed].0].urn).is_err()
                {
                    // It used what now goes, and uses it no more: it must have let go of it first.
                    self.soft.insert((task, needed));
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
        for at in order.into_iter().rev() {
            let after =
                tasks[at].dependents.iter().map(|next| tasks[*next].remaining).max().unwrap_or_default();
            tasks[at].remaining = after + weight(tasks[at].step, tasks[at].work);
        }
        Schedule { tasks }
    }

    /// The edges that hold, and an order of the tasks that keeps them. Where they close a cycle, the weaker ones inside of
    /// it give way; those of today's graph alone never close one.
    fn ordered(&self) -> (Vec<(usize, usize)>, Vec<usize>) {
        let mut edges: Vec<(usize, usize)> = self.edges.iter().chain(&self.recorded).copied().collect();
        edges.extend(&self.soft);
        for weak in [&self.soft, &self.recorded] {
            let graph = self.graph(&edges);
            if let Ok(order) = toposort(&graph, None) {
                edges.sort_unstable();
                edges.dedup();
                return (edges, order.into_iter().map(NodeIndex::index).collect());
            }
            let mut component = vec![0; self.tasks.len()];
            for (number, members) in kosaraju_scc(&graph).into_iter().enumerate() {
                members.into_iter().for_each(|member| component[member.index()] = number);
            }
            edges.retain(|edge| {
                component[edge.0] != component[edge.1] || !weak.contains(edge) || self.edges.contains(edge)
            });
        }
        edges.sort_unstable();
        edges.dedup();
        let order = toposort(&self.graph(&edges), None).unwrap_or_default();
        (edges, order.into_iter().map(NodeIndex::index).collect())
    }

    fn graph(&self, edges: &[(usize, usize)]) -> DiGraph<(), ()> {
        let mut graph = DiGraph::with_capacity(self.tasks.len(), edges.len());
        for _ in &self.tasks {
            graph.add_node(());
        }
        for (before, after) in edges {
            graph.add_edge(NodeIndex::new(*before), NodeIndex::new(*after), ());
        }
        graph
    }
}
