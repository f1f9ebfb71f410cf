//! What must be there before what, read from the objects themselves.
//!
//! Linear: everything is looked up by name in an index. What comes out has no cycles: where two rules disagree, the
//! weaker one gives way.

mod acyclic;
mod guards;
mod index;
mod pods;
mod rules;

use plinth_provider::{Resource, Urn};

use acyclic::Edge;
use index::Index;

/// How much a dependency weighs when rules contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Admission: it works without, only not at once.
    Guard,
    /// Permissions: a workload without them fails for a while, and recovers.
    Access,
    /// A name that must resolve.
    Reference,
    /// Where the object lives, and its very kind.
    Place,
    /// Declared by the program: not ours to drop.
    Declared,
}

/// Pairs of (dependent, dependency).
pub(crate) fn dependencies(resources: &[&Resource]) -> Vec<(Urn, Urn)> {
    let index = Index::new(resources);
    let mut edges: Vec<Edge> = Vec::new();
    for at in 0..index.len() {
        rules::of(&index, at, &mut edges);
    }
    guards::edges(&index, &mut edges);
    index.declared(&mut edges);
    acyclic::without_cycles(index.len(), edges)
        .into_iter()
        .map(|(from, to)| (index.urn(from).clone(), index.urn(to).clone()))
        .collect()
}

#[cfg(test)]
mod tests;
