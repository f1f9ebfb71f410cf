//! The desired graph: what the program declared, checked for duplicates, dangling references and cycles.

use std::collections::{BTreeSet, HashMap, HashSet};

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use plinth_provider::{Providers, Resource, Urn};
use rustc_hash::{FxBuildHasher, FxHashMap};

/// Why a set of declarations is not a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two declarations of one URN.
    #[error("{0} is declared twice; names must differ within a kind")]
    Duplicate(Urn),
    /// A dependency on something that nobody declares.
    #[error("{from} depends on {to}, which nothing declares")]
    Dangling {
        /// The dependent.
        from: Urn,
        /// What it names.
        to: Urn,
    },
    /// Resources that wait for each other.
    #[error("dependency cycle: {}", members.iter().map(Urn::short).collect::<Vec<_>>().join(" → "))]
    Cycle {
        /// The members in order; the first is repeated at the end.
        members: Vec<Urn>,
    },
}

/// The desired graph. Resources are addressed by their position in `resources`.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    resources: Vec<Resource>,
    index: FxHashMap<Urn, usize>,
    dependencies: Vec<Vec<usize>>,
    order: Vec<usize>,
}

impl Desired {
    /// Builds the graph: declared dependencies, references, and those that providers infer. An inferred edge that
    /// would close a cycle is dropped, since the declared order is the user's word.
    ///
    /// # Errors
    /// Every duplicate, dangling reference and cycle.
    pub fn build(resources: Vec<Resource>, providers: &Providers) -> Result<Self, Vec<GraphError>> {
        let mut errors = Vec::new();
        let mut index = FxHashMap::with_capacity_and_hasher(resources.len(), FxBuildHasher);
        for (at, resource) in resources.iter().enumerate() {
            if index.insert(resource.urn.clone(), at).is_some() {
                errors.push(GraphError::Duplicate(resource.urn.clone()));
            }
        }
        let mut declared: Vec<BTreeSet<usize>> = Vec::with_capacity(resources.len());
        for resource in &resources {
            let mut found = BTreeSet::new();
            for dependency in resource.dependencies() {
                match index.get(&dependency) {
                    Some(at) => {
                        found.insert(*at);
                    }
                    None => errors.push(GraphError::Dangling { from: resource.urn.clone(), to: dependency }),
                }
            }
            declared.push(found);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        if let Some(cycle) = find_cycle(&declared) {
            let mut members: Vec<Urn> = cycle.iter().map(|at| resources[*at].urn.clone()).collect();
            members.extend(members.first().cloned());
            return Err(vec![GraphError::Cycle { members }]);
        }
        let dependencies = with_inferred(&resources, &index, declared, providers);
        let order = topological(&dependencies);
        let dependencies = dependencies.into_iter().map(|set| set.into_iter().collect()).collect();
        Ok(Self { resources, index, dependencies, order })
    }

    /// The declared resources, in the program's order.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The position of a URN.
    pub fn position(&self, urn: &Urn) -> Option<usize> {
        self.index.get(urn).copied()
    }

    /// The declaration of a URN.
    pub fn get(&self, urn: &Urn) -> Option<&Resource> {
        self.position(urn).map(|at| &self.resources[at])
    }

    /// What the resource at a position needs, as positions.
    pub fn dependencies(&self, at: usize) -> &[usize] {
        &self.dependencies[at]
    }

    /// What the resource at a position needs, as URNs in order.
    pub fn dependency_urns(&self, at: usize) -> Vec<Urn> {
        let mut urns: Vec<Urn> =
            self.dependencies[at].iter().map(|at| self.resources[*at].urn.clone()).collect();
        urns.sort_unstable();
        urns
    }

    /// Positions with every dependency before its dependents; ties in declaration order.
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

fn with_inferred(
    resources: &[Resource],
    index: &FxHashMap<Urn, usize>,
    declared: Vec<BTreeSet<usize>>,
    providers: &Providers,
) -> Vec<BTreeSet<usize>> {
    let mut all = declared.clone();
    for provider in providers.iter() {
        let prefix = format!("{}:", provider.name());
        let own: Vec<&Resource> = resources.iter().filter(|r| r.urn.kind().starts_with(&prefix)).collect();
        if own.is_empty() {
            continue;
        }
        for (from, to) in provider.infer_dependencies(&own) {
            if let (Some(from), Some(to)) = (index.get(&from), index.get(&to))
                && from != to
            {
                all[*from].insert(*to);
            }
        }
    }
    // Inferred edges inside a strongly connected component are what closes its cycles: the declared ones alone
    // are acyclic.
    for component in components(&all) {
        let members: HashSet<usize> = component.into_iter().collect();
        for at in &members {
            all[*at].retain(|to| !members.contains(to) || declared[*at].contains(to));
        }
    }
    all
}

fn petgraph_of(dependencies: &[BTreeSet<usize>]) -> DiGraph<(), ()> {
    let mut graph = DiGraph::with_capacity(dependencies.len(), dependencies.iter().map(BTreeSet::len).sum());
    for _ in dependencies {
        graph.add_node(());
    }
    for (from, set) in dependencies.iter().enumerate() {
        for to in set {
            graph.add_edge(NodeIndex::new(*to), NodeIndex::new(from), ());
        }
    }
    graph
}

/// The strongly connected components of more than one member.
fn components(dependencies: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let graph = petgraph_of(dependencies);
    if toposort(&graph, None).is_ok() {
        return Vec::new();
    }
    kosaraju_scc(&graph)
        .into_iter()
        .filter(|component| component.len() > 1)
        .map(|component| component.into_iter().map(NodeIndex::index).collect())
        .collect()
}

/// One cycle, each member followed by what it depends on.
fn find_cycle(dependencies: &[BTreeSet<usize>]) -> Option<Vec<usize>> {
    if let Some(own) = (0..dependencies.len()).find(|at| dependencies[*at].contains(at)) {
        return Some(vec![own]);
    }
    let component: HashSet<usize> = components(dependencies).into_iter().next()?.into_iter().collect();
    let mut at = *component.iter().min()?;
    let mut path = vec![at];
    let mut seen: HashMap<usize, usize> = HashMap::from([(at, 0)]);
    loop {
        at = *dependencies[at].iter().find(|next| component.contains(next))?;
        if let Some(begin) = seen.get(&at) {
            return Some(path.split_off(*begin));
        }
        seen.insert(at, path.len());
        path.push(at);
    }
}

/// Kahn's algorithm with a heap, so that ties keep the declaration order.
fn topological(dependencies: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); dependencies.len()];
    let mut missing: Vec<usize> = dependencies.iter().map(BTreeSet::len).collect();
    for (from, set) in dependencies.iter().enumerate() {
        for to in set {
            dependents[*to].push(from);
        }
    }
    let mut ready: std::collections::BinaryHeap<std::cmp::Reverse<usize>> =
        (0..dependencies.len()).filter(|at| missing[*at] == 0).map(std::cmp::Reverse).collect();
    let mut order = Vec::with_capacity(dependencies.len());
    while let Some(std::cmp::Reverse(at)) = ready.pop() {
        order.push(at);
        for dependent in &dependents[at] {
            missing[*dependent] -= 1;
            if missing[*dependent] == 0 {
                ready.push(std::cmp::Reverse(*dependent));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use plinth_provider::{OutputRef, Value};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn urn(name: &str) -> Urn {
        Urn::new("s", "plinth:Data", name).unwrap()
    }

    fn data(name: &str, needs: &[&str]) -> Resource {
        let inputs = needs
            .iter()
            .map(|need| Value::Output(OutputRef { urn: urn(need), path: "value".into() }))
            .collect::<Vec<_>>();
        Resource::new(urn(name), Value::from([("needs", Value::List(inputs))]))
    }

    fn providers() -> Providers {
        Providers::new().with(Arc::new(plinth_provider::builtin::Builtin))
    }

    #[test]
    fn a_cycle_is_named_in_order() {
        let error =
            Desired::build(vec![data("a", &["b"]), data("b", &["c"]), data("c", &["a"])], &providers())
                .unwrap_err();
        let text = error[0].to_string();
        assert_eq!(
            text,
            "dependency cycle: plinth:Data::a → plinth:Data::b → plinth:Data::c → plinth:Data::a"
        );
    }

    #[test]
    fn duplicates_dangling_references_and_self_references_are_refused() {
        let errors = Desired::build(vec![data("a", &[]), data("a", &[])], &providers()).unwrap_err();
        assert_eq!(errors, [GraphError::Duplicate(urn("a"))]);
        let errors = Desired::build(vec![data("a", &["x"])], &providers()).unwrap_err();
        assert_eq!(errors, [GraphError::Dangling { from: urn("a"), to: urn("x") }]);
        let errors = Desired::build(vec![data("a", &["a"])], &providers()).unwrap_err();
        assert!(matches!(&errors[0], GraphError::Cycle { members } if members.len() == 2));
    }

    #[test]
    fn deep_chains_and_wide_fans_do_not_overflow() {
        let name = |at: usize| format!("r{at}");
        let chain: Vec<Resource> = (0..10_000)
            .map(|at| {
                data(
                    &name(at),
                    &if at == 0 { vec![] } else { vec![name(at - 1)] }
                        .iter()
                        .map(String::as_str)
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        assert_eq!(Desired::build(chain, &providers()).unwrap().order().len(), 10_000);
        let fan: Vec<Resource> =
            (0..10_000).map(|at| data(&name(at), if at == 0 { &[] } else { &["r0"] })).collect();
        assert_eq!(Desired::build(fan, &providers()).unwrap().order().len(), 10_000);
        assert_eq!(Desired::build(Vec::new(), &providers()).unwrap().order().len(), 0);
    }

    proptest! {
        #[test]
        fn every_dependency_comes_first(edges in proptest::collection::vec((0usize..30, 0usize..30), 0..90)) {
            let resources: Vec<Resource> = (0..30).map(|at| {
                let needs: Vec<String> = edges.iter().filter(|(from, to)| *from == at && to < from)
                    .map(|(_, to)| format!("r{to}")).collect();
                data(&format!("r{at}"), &needs.iter().map(String::as_str).collect::<Vec<_>>())
            }).rev().collect();
            let desired = Desired::build(resources, &providers()).unwrap();
            let mut done = HashSet::new();
            for at in desired.order() {
                prop_assert!(desired.dependencies(*at).iter().all(|need| done.contains(need)));
                done.insert(*at);
            }
            prop_assert_eq!(done.len(), 30);
        }
    }
}
