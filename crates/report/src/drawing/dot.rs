//! A cell as a graph for Graphviz: the pen width of an edge grows with its weight; its colour is
//! that of its operation.
//!
//! Reference: the DOT language, graphviz.org/doc/info/lang.html. Pruned edges are left out. In a
//! chain, a layer that vanishes is a dashed line, because it passes its input on.

use std::fmt::Write;

use crate::svg::cell::EdgeLook;
use crate::svg::colour::{OPERATION_COLOURS, slot};
use crate::svg::graph::DrawnGraph;

/// Edges with a smaller weight are not drawn.
const LEAST: f64 = 0.01;

/// The text of the graph.
pub(super) fn graph(kind: &str, graph: &DrawnGraph, looks: &[EdgeLook]) -> String {
    let mut text = format!("digraph {} {{\n", quoted(&format!("{kind} cell")));
    text.push_str("  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    text.push_str("  edge [fontname=\"sans-serif\", fontsize=11];\n");
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {words}");
    };
    for node in 0..graph.nodes {
        let filled = if node < graph.inputs {
            ", style=\"rounded,filled\", fillcolor=\"#e3ecf4\""
        } else {
            ""
        };
        line(format_args!(
            "n{node} [label={}{filled}];",
            quoted(&graph.node_name(node))
        ));
    }
    line(format_args!("out [style=\"rounded,filled\", fillcolor=\"#e3ecf4\"];"));
    for ((from, to), look) in graph.edges.iter().zip(looks) {
        if look.presence.is_nan() || look.presence < LEAST {
            // A layer that vanishes passes its input on.
            if graph.is_chain() {
                line(format_args!(
                    "n{from} -> n{to} [style=dashed, color=\"#999999\", arrowhead=none];"
                ));
            }
            continue;
        }
        let label = quoted(&look.operations.join("\n"));
        let colour = OPERATION_COLOURS[look.operations.first().map_or(0, |name| slot(name))].0;
        let width = 0.8 + 3.2 * look.thickness.clamp(0.0, 1.0);
        line(format_args!(
            "n{from} -> n{to} [label={label}, color=\"{colour}\", penwidth={width:.2}];"
        ));
    }
    for node in &graph.concat {
        line(format_args!(
            "n{node} -> out [style=dashed, color=\"#999999\", arrowhead=none];"
        ));
    }
    text.push_str("}\n");
    text
}

/// A quoted identifier: quotes and backslashes are escaped, line breaks become `\n`.
fn quoted(words: &str) -> String {
    let escaped = words.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out_of_its_quotes() {
        assert_eq!(quoted(r#"a" -> "b\"#), r#""a\" -> \"b\\""#);
        assert_eq!(quoted("a\nb"), r#""a\nb""#);
    }

    #[test]
    fn pruned_edges_are_left_out() {
        let cell = DrawnGraph {
            inputs: 2,
            nodes: 3,
            edges: vec![(0, 2), (1, 2)],
            concat: vec![2],
        };
        let look = |presence: f64| EdgeLook {
            thickness: presence,
            presence,
            operations: vec!["sep_conv_3x3".to_owned()],
            description: String::new(),
        };
        let text = graph("normal", &cell, &[look(1.0), look(f64::NAN)]);
        assert!(
            text.contains("n0 -> n2 [label=\"sep_conv_3x3\", color=\"#0072b2\", penwidth=4.00];"),
            "{text}"
        );
        assert!(!text.contains("n1 -> n2"), "{text}");
        assert!(text.contains("n2 -> out"), "{text}");
    }
}
