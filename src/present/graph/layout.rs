//! Where things stand in the SVG: phases as boxes in columns by their dependencies, resources as lines in them.

use std::collections::{BTreeMap, HashMap};

use super::drawing::{Drawing, reduce};

pub(super) const LINE: f64 = 18.0;
pub(super) const HEAD: f64 = 30.0;
pub(super) const PAD: f64 = 10.0;
const GAP_X: f64 = 90.0;
const GAP_Y: f64 = 28.0;
const TOP: f64 = 64.0;
const MARGIN: f64 = 24.0;
/// About the width of one letter at the size of the resources' lines.
const LETTER: f64 = 6.9;
/// A box with more resources than this gets a second column of them.
const TALL: usize = 28;
/// Names are cut at this many letters.
pub(super) const NAME: usize = 52;

/// A phase.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    pub name: &'a str,
    pub nodes: Vec<usize>,
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    /// The width of one column of resources.
    pub column: f64,
    /// Where the space to the right of every phase in its column begins.
    pub clear: f64,
}

/// Everything in its place.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub groups: Vec<Group<'a>>,
    /// The left end and the middle of every resource's line, by position, and its right end.
    pub places: HashMap<usize, (f64, f64, f64)>,
    /// From phase to phase, with how many edges are summed up.
    pub flows: Vec<(usize, usize, usize)>,
    pub width: f64,
    pub height: f64,
}

/// What a resource's line says.
pub(super) fn line_of(drawing: &Drawing, node: usize) -> String {
    let urn = &drawing.nodes[node].urn;
    let kind = urn.kind().rsplit(['/', ':']).next().unwrap_or_default();
    let text = format!("{kind} {}", urn.name());
    if text.chars().count() <= NAME {
        return text;
    }
    text.chars().take(NAME - 1).chain(['…']).collect()
}

pub(super) fn layout(drawing: &Drawing) -> Layout<'_> {
    let mut groups: Vec<Group<'_>> = drawing
        .phases()
        .into_iter()
        .map(|(name, mut nodes)| {
            nodes.sort_by_key(|at| (drawing.nodes[*at].depth, *at));
            let letters =
                nodes.iter().map(|at| line_of(drawing, *at).chars().count()).max().unwrap_or_default();
            let column = (letters as f64 * LETTER + 24.0).max(120.0);
            let columns = nodes.len().div_ceil(TALL).max(1);
            let rows = nodes.len().div_ceil(columns);
            let width = columns as f64 * column + 2.0 * PAD;
            let height = HEAD + rows as f64 * LINE + PAD;
            Group { name, nodes, x: 0.0, y: 0.0, width, height, column, clear: 0.0 }
        })
        .collect();
    let (ranks, flows) = ranks(drawing, &groups);
    let (width, height) = place(&mut groups, &ranks, &flows);
    let mut places = HashMap::new();
    for group in &groups {
        let columns = group.nodes.len().div_ceil(TALL).max(1);
        let rows = group.nodes.len().div_ceil(columns).max(1);
        for (at, node) in group.nodes.iter().enumerate() {
            let x = group.x + PAD + (at / rows) as f64 * group.column;
            let y = group.y + HEAD + (at % rows) as f64 * LINE + LINE / 2.0;
            places.insert(*node, (x, y, x + group.column - 8.0));
        }
    }
    Layout { groups, places, flows, width, height }
}

/// The column of every phase, and the edges between phases that no others imply. Phases may need each other; then
/// the one whose resources lie deeper on average comes later, and only edges in that direction count.
fn ranks(drawing: &Drawing, groups: &[Group<'_>]) -> (Vec<usize>, Vec<(usize, usize, usize)>) {
    let depth = |group: &Group<'_>| {
        let sum: usize = group.nodes.iter().map(|at| drawing.nodes[*at].depth).sum();
        sum as f64 / group.nodes.len().max(1) as f64
    };
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by(|a, b| depth(&groups[*a]).total_cmp(&depth(&groups[*b])).then(a.cmp(b)));
    let mut position = vec![0; groups.len()];
    for (at, group) in order.iter().enumerate() {
        position[*group] = at;
    }
    let mut group_of = HashMap::new();
    for (at, group) in groups.iter().enumerate() {
        group_of.extend(group.nodes.iter().map(|node| (*node, at)));
    }
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (before, after) in &drawing.edges {
        let (before, after) = (group_of[before], group_of[after]);
        if before != after && position[before] < position[after] {
            *counts.entry((before, after)).or_default() += 1;
        }
    }
    let mut dependents = vec![Vec::new(); groups.len()];
    for (before, after) in counts.keys() {
        dependents[*before].push(*after);
    }
    reduce(&mut dependents, &order);
    let mut ranks = vec![0; groups.len()];
    for at in &order {
        for after in &dependents[*at] {
            ranks[*after] = ranks[*after].max(ranks[*at] + 1);
        }
    }
    let flows = dependents
        .iter()
        .enumerate()
        .flat_map(|(before, after)| after.iter().map(move |after| (before, *after)))
        .map(|(before, after)| (before, after, counts[&(before, after)]))
        .collect();
    (ranks, flows)
}

fn place(groups: &mut [Group<'_>], ranks: &[usize], flows: &[(usize, usize, usize)]) -> (f64, f64) {
    let columns = ranks.iter().max().map_or(0, |last| last + 1);
    let heights: Vec<f64> = (0..columns)
        .map(|rank| {
            let boxes = groups.iter().zip(ranks).filter(|(_, at)| **at == rank);
            boxes.map(|(group, _)| group.height + GAP_Y).sum::<f64>() - GAP_Y
        })
        .collect();
    let tallest = heights.iter().copied().fold(0.0, f64::max);
    let mut x = MARGIN;
    for (rank, height) in heights.iter().enumerate() {
        let mut members: Vec<usize> = (0..groups.len()).filter(|at| ranks[*at] == rank).collect();
        // Beside what they need, so that fewer edges cross.
        members.sort_by(|a, b| beside(groups, flows, *a).total_cmp(&beside(groups, flows, *b)));
        let widest = members.iter().map(|at| groups[*at].width).fold(0.0, f64::max);
        let mut y = TOP + (tallest - height) / 2.0;
        for at in members {
            let group = &mut groups[at];
            (group.x, group.y, group.clear) = (x, y, x + widest);
            y += group.height + GAP_Y;
        }
        x += widest + GAP_X;
    }
    let width = if columns == 0 { 2.0 * MARGIN } else { x - GAP_X + MARGIN };
    (width.max(480.0), TOP + tallest + MARGIN)
}

/// The middle of what a phase needs; all of that stands in columns already placed.
fn beside(groups: &[Group<'_>], flows: &[(usize, usize, usize)], at: usize) -> f64 {
    let needed = flows.iter().filter(|(_, after, _)| *after == at).map(|(before, _, _)| &groups[*before]);
    let middles: Vec<f64> = needed.map(|group| group.y + group.height / 2.0).collect();
    if middles.is_empty() { 0.0 } else { middles.iter().sum::<f64>() / middles.len() as f64 }
}
