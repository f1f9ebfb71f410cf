//! Graphviz.

use super::{CRITICAL, Drawing, colour};

/// The picture as a Graphviz file: one cluster per phase.
pub fn dot(drawing: &Drawing) -> String {
    let mut text = format!("digraph {} {{\n", quoted(&drawing.title));
    text.push_str("  rankdir=LR;\n  compound=true;\n");
    text.push_str("  node [shape=box, style=\"rounded\", fontname=\"sans-serif\", fontsize=10];\n");
    text.push_str("  edge [color=\"#8c959f\", arrowsize=0.6];\n");
    for (at, (phase, nodes)) in drawing.phases().into_iter().enumerate() {
        text.push_str(&format!("  subgraph cluster_{at} {{\n"));
        text.push_str(&format!("    label={};\n    color=\"#d0d7de\";\n", quoted(phase)));
        for node in nodes {
            let drawn = &drawing.nodes[node];
            let label = format!("{}\n{}", drawn.urn.kind(), drawn.urn.name());
            let colour = if drawn.critical { CRITICAL } else { colour(drawn.op) };
            let bold = if drawn.critical { ", penwidth=2" } else { "" };
            text.push_str(&format!("    n{node} [label={}, color=\"{colour}\"{bold}];\n", quoted(&label)));
        }
        text.push_str("  }\n");
    }
    for edge in &drawing.edges {
        let bold = if drawing.is_critical(*edge) {
            format!(" [color=\"{CRITICAL}\", penwidth=2]")
        } else {
            String::new()
        };
        text.push_str(&format!("  n{} -> n{}{bold};\n", edge.0, edge.1));
    }
    text.push_str("}\n");
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
