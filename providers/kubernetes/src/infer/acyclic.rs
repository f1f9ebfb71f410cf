//! Drops the weakest edges of every cycle.

use super::Weight;

/// `from` needs `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    pub weight: Weight,
}

/// The edges that are ours, without those that close a cycle.
pub(super) fn without_cycles(nodes: usize, mut edges: Vec<Edge>) -> Vec<(usize, usize)> {
    edges.retain(|edge| edge.from != edge.to);
    for weight in [Weight::Guard, Weight::Access, Weight::Reference, Weight::Place] {
        let component = components(nodes, &edges);
        // Once no component has two members, there is no cycle left.
        edges.retain(|edge| edge.weight != weight || component[edge.from] != component[edge.to]);
    }
    let mut pairs: Vec<(usize, usize)> = edges
        .into_iter()
        .filter(|edge| edge.weight != Weight::Declared)
        .map(|edge| (edge.from, edge.to))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// The strongly connected component of every node (Tarjan's algorithm, without recursion).
fn components(nodes: usize, edges: &[Edge]) -> Vec<usize> {
    const NEW: usize = usize::MAX;
    let mut starts = vec![0usize; nodes + 1];
    for edge in edges {
        starts[edge.from + 1] += 1;
    }
    for at in 0..nodes {
        starts[at + 1] += starts[at];
    }
    let mut targets = vec![0usize; edges.len()];
    let mut fill = starts.clone();
    for edge in edges {
        targets[fill[edge.from]] = edge.to;
        fill[edge.from] += 1;
    }

    let mut order = vec![NEW; nodes];
    let mut low = vec![0usize; nodes];
    let mut component = vec![NEW; nodes];
    let (mut next, mut found) = (0, 0);
    let mut stack = Vec::new();
    for root in 0..nodes {
        if order[root] != NEW {
            continue;
        }
        let mut work = vec![(root, starts[root])];
        while let Some((node, at)) = work.pop() {
            if at == starts[node] {
                order[node] = next;
                low[node] = next;
                next += 1;
                stack.push(node);
            }
            let mut descended = false;
            let mut at = at;
            while at < starts[node + 1] {
                let target = targets[at];
                at += 1;
                if order[target] == NEW {
                    // `at` is past the start now, so the node is not numbered again.
                    work.push((node, at));
                    work.push((target, starts[target]));
                    descended = true;
                    break;
                }
                if component[target] == NEW {
                    low[node] = low[node].min(order[target]);
                }
            }
            if descended {
                continue;
            }
            if low[node] == order[node] {
                while let Some(member) = stack.pop() {
                    component[member] = found;
                    if member == node {
                        break;
                    }
                }
                found += 1;
            }
            if let Some((parent, _)) = work.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edge(from: usize, to: usize, weight: Weight) -> Edge {
        Edge { from, to, weight }
    }

    #[test]
    fn the_weakest_gives_way() {
        let edges = vec![
            edge(0, 1, Weight::Reference),
            edge(1, 2, Weight::Place),
            edge(2, 0, Weight::Guard),
            edge(3, 0, Weight::Guard),
        ];
        assert_eq!(without_cycles(4, edges), [(0, 1), (1, 2), (3, 0)]);
        let declared = vec![edge(0, 1, Weight::Declared), edge(1, 0, Weight::Place)];
        assert_eq!(without_cycles(2, declared), []);
    }

    fn weight() -> impl Strategy<Value = Weight> {
        prop_oneof![Just(Weight::Guard), Just(Weight::Access), Just(Weight::Reference), Just(Weight::Place)]
    }

    proptest! {
        #[test]
        fn nothing_circular_comes_out(raw in proptest::collection::vec((0usize..12, 0usize..12, weight()), 0..60)) {
            let edges: Vec<Edge> = raw.into_iter().map(|(from, to, weight)| edge(from, to, weight)).collect();
            let mut left = without_cycles(12, edges);
            // Kahn: whatever has no incoming edge can go; in the end nothing may be left.
            loop {
                let before = left.len();
                let targets: std::collections::BTreeSet<usize> = left.iter().map(|(_, to)| *to).collect();
                left.retain(|(from, _)| targets.contains(from));
                if left.len() == before { break; }
            }
            prop_assert!(left.is_empty());
        }
    }
}
