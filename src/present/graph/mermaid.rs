//! Mermaid, which code hosts draw in Markdown.

use super::{CRITICAL, Drawing, colour};
use crate::engine::Op;

/// The picture as a Mermaid flowchart: one subgraph per phase.
pub fn mermaid(drawing: &Drawing) -> String {
    let mut text = String::from("flowchart LR\n");
    for (at, (phase, nodes)) in drawing.phases().into_iter().enumerate() {
        text.push_str(&format!("  subgraph p{at}[\"{}\"]\n", escaped(phase)));
        for node in nodes {
            let drawn = &drawing.nodes[node];
            let label = format!("{}<br/>{}", escaped(drawn.urn.kind()), escaped(drawn.urn.name()));
            let class = match (drawn.critical, drawn.op) {
                (true, _) => ":::critical".to_owned(),
                (false, Some(op)) if op != Op::Same => format!(":::{}", op.as_str()),
                _ => String::new(),
            };
            text.push_str(&format!("    n{node}[\"{label}\"]{class}\n"));
        }
        text.push_str("  end\n");
    }
    for (before, after) in &drawing.edges {
        let arrow = if drawing.is_critical((*before, *after)) { "==>" } else { "-->" };
        text.push_str(&format!("  n{before} {arrow} n{after}\n"));
    }
    for op in [Op::Create, Op::Update, Op::Replace, Op::Import, Op::Delete, Op::Forget] {
        if drawing.nodes.iter().any(|node| node.op == Some(op) && !node.critical) {
            text.push_str(&format!("  classDef {} stroke:{}\n", op.as_str(), colour(Some(op))));
        }
    }
    if drawing.nodes.iter().any(|node| node.critical) {
        text.push_str(&format!("  classDef critical stroke:{CRITICAL},stroke-width:3px\n"));
    }
    text
}

/// Text inside quotes: Mermaid reads `#…;` as an entity, and HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '#' => out.push_str("#35;"),
            '"' => out.push_str("#quot;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
