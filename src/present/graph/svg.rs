//! SVG, with a layout of our own: readable at hundreds of resources, because edges between phases are summed up and
//! only the critical path is drawn from resource to resource.

use std::collections::BTreeMap;

use super::layout::{Group, HEAD, LINE, Layout, PAD, layout, line_of};
use super::{CRITICAL, Drawing, colour};
use crate::engine::Op;
use crate::present::words::{count, duration};

/// The picture as SVG.
pub fn svg(drawing: &Drawing) -> String {
    let layout = layout(drawing);
    let (width, height) = (layout.width.ceil(), layout.height.ceil());
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\n"
    );
    text.push_str(&format!("<title>{}</title>\n", escaped(&title(drawing))));
    text.push_str(STYLE);
    text.push_str(&format!("<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n"));
    text.push_str(&format!("<text class=\"title\" x=\"24\" y=\"30\">{}</text>\n", escaped(&title(drawing))));
    legend(&mut text, drawing);
    for (before, after, number) in &layout.flows {
        flow(&mut text, &layout.groups[*before], &layout.groups[*after], *number);
    }
    for group in &layout.groups {
        phase(&mut text, drawing, group, &layout);
    }
    critical(&mut text, drawing, &layout);
    text.push_str("</svg>\n");
    text
}

const STYLE: &str = "<style>\n\
    text { font-family: ui-sans-serif, system-ui, sans-serif; font-size: 11px; fill: #1f2328; }\n\
    .page { fill: #ffffff; }\n\
    .title { font-size: 16px; font-weight: 600; }\n\
    .note { fill: #59636e; }\n\
    .box { fill: #f6f8fa; stroke: #d1d9e0; }\n\
    .phase { font-size: 13px; font-weight: 600; }\n\
    .flow { fill: none; stroke: #8c959f; stroke-opacity: 0.6; }\n\
    .critical { fill: none; stroke: #d1242f; stroke-width: 1.6; stroke-opacity: 0.75; }\n\
    .mark { font-weight: 600; fill: #d1242f; }\n\
    </style>\n\
    <defs><marker id=\"end\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
    markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#8c959f\"/></marker></defs>\n";

fn title(drawing: &Drawing) -> String {
    let mut title = format!("{}: {}", drawing.title, count(drawing.nodes.len() as u64, "resource"));
    if let Some(path) = drawing.duration {
        title.push_str(&format!(", critical path {}", duration(path)));
    }
    title
}

fn legend(text: &mut String, drawing: &Drawing) {
    let mut counts: BTreeMap<Op, u64> = BTreeMap::new();
    for op in drawing.nodes.iter().filter_map(|node| node.op) {
        *counts.entry(op).or_default() += 1;
    }
    let mut x = 24.0;
    let mut entry = |text: &mut String, fill: &str, label: &str| {
        text.push_str(&format!("<circle cx=\"{:.0}\" cy=\"46\" r=\"4\" fill=\"{fill}\"/>", x + 4.0));
        text.push_str(&format!(
            "<text class=\"note\" x=\"{:.0}\" y=\"50\">{}</text>\n",
            x + 13.0,
            escaped(label)
        ));
        x += 30.0 + label.chars().count() as f64 * 6.0;
    };
    for (op, number) in counts {
        entry(text, colour(Some(op)), &format!("{} {number}", op.as_str()));
    }
    if !drawing.critical.is_empty() {
        entry(text, CRITICAL, "critical path");
    }
}

fn phase(text: &mut String, drawing: &Drawing, group: &Group<'_>, layout: &Layout<'_>) {
    let (x, y) = (group.x, group.y);
    text.push_str(&format!(
        "<g><rect class=\"box\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"6\"/>\n",
        group.width, group.height
    ));
    text.push_str(&format!(
        "<text class=\"phase\" x=\"{:.1}\" y=\"{:.1}\">{} <tspan class=\"note\">{}</tspan></text>\n",
        x + PAD,
        y + HEAD - 11.0,
        escaped(group.name),
        group.nodes.len()
    ));
    for node in &group.nodes {
        let drawn = &drawing.nodes[*node];
        let (left, middle, _) = layout.places[node];
        let mark = if drawn.critical { " class=\"mark\"" } else { "" };
        text.push_str(&format!(
            "<circle cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"3.5\" fill=\"{}\"/>\
             <text{mark} x=\"{:.1}\" y=\"{:.1}\">{}<title>{}</title></text>\n",
            left + 4.0,
            colour(drawn.op),
            left + 12.0,
            middle + 4.0,
            escaped(&line_of(drawing, *node)),
            escaped(drawn.urn.as_str())
        ));
    }
    text.push_str("</g>\n");
}

/// A curve from one phase to another, as strong as the edges it stands for are many.
fn flow(text: &mut String, from: &Group<'_>, to: &Group<'_>, number: usize) {
    let (x0, x1, y1) = (from.x + from.width, from.clear, from.y + from.height / 2.0);
    let (x2, y2) = (to.x - 2.0, to.y + to.height / 2.0);
    let bend = ((x2 - x1) / 2.0).max(40.0);
    let strength = 1.0 + (number as f64).ln_1p().min(5.0) * 0.6;
    text.push_str(&format!(
        "<path class=\"flow\" stroke-width=\"{strength:.1}\" marker-end=\"url(#end)\" \
         d=\"M{x0:.1} {y1:.1}H{x1:.1}C{:.1} {y1:.1} {:.1} {y2:.1} {x2:.1} {y2:.1}\">\
         <title>{} → {}: {}</title></path>\n",
        x1 + bend,
        x2 - bend,
        escaped(from.name),
        escaped(to.name),
        dependencies(number)
    ));
}

fn dependencies(number: usize) -> String {
    if number == 1 { "1 dependency".to_owned() } else { format!("{number} dependencies") }
}

fn critical(text: &mut String, drawing: &Drawing, layout: &Layout<'_>) {
    for pair in drawing.critical.windows(2) {
        let (Some(from), Some(to)) = (layout.places.get(&pair[0]), layout.places.get(&pair[1])) else {
            continue;
        };
        let path = if (from.0 - to.0).abs() < 1.0 {
            // Within one column: along its left side.
            let x = from.0 + 1.0;
            let bend = 6.0 + ((to.1 - from.1).abs() / LINE).min(10.0);
            format!(
                "M{x:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {x:.1} {:.1}",
                from.1,
                x - bend,
                from.1,
                x - bend,
                to.1,
                to.1
            )
        } else {
            let (x1, x2) = (from.2, to.0 - 1.0);
            let bend = ((x2 - x1).abs() / 2.0).max(30.0);
            format!(
                "M{x1:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {x2:.1} {:.1}",
                from.1,
                x1 + bend,
                from.1,
                x2 - bend,
                to.1,
                to.1
            )
        };
        text.push_str(&format!("<path class=\"critical\" d=\"{path}\"/>\n"));
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no way to write these at all.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
