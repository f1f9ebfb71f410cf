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

impl Weight {
    /// The rule in a few words.
    fn because(self) -> &'static str {
        match self {
            Self::Guard => "it is admitted or worked on by it",
            Self::Access => "it works with the permissions that it grants",
            Self::Reference => "it refers to it by name",
            Self::Place => "it lives in it, or is of the kind that it defines",
            Self::Declared => "it was declared",
        }
    }
}

fn edges(index: &Index<'_>) -> Vec<Edge> {
    let mut edges: Vec<Edge> = Vec::new();
    for at in 0..index.len() {
        rules::of(index, at, &mut edges);
    }
    guards::edges(index, &mut edges);
    edges
}

/// By which rule the one needs the other; the weightiest where there are several.
pub(crate) fn because(resources: &[&Resource], dependent: &Urn, dependency: &Urn) -> Option<&'static str> {
    let index = Index::new(resources);
    let between = |edge: &Edge| index.urn(edge.from) == dependent && index.urn(edge.to) == dependency;
    edges(&index).into_iter().filter(between).map(|edge| edge.weight).max().map(Weight::because)
}

/// Pairs of (dependent, dependency).
pub(crate) fn dependencies(resources: &[&Resource]) -> Vec<(Urn, Urn)> {
    let index = Index::new(resources);
    let mut edges = edges(&index);
    index.declared(&mut edges);
    acyclic::without_cycles(index.len(), edges)
        .into_iter()
        .map(|(from, to)| (index.urn(from).clone(), index.urn(to).clone()))
        .collect()
}

#[cfg(test)]
mod tests;
