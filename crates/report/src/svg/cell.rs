//! Draws a cell: input nodes at the top, the output at the bottom; the thickness of an edge is its
//! weight q·p.
//!
//! The same drawing is used in the page and in separate files: presentation attributes define
//! colours for a white background, and the page's style sheet overrides them with those of its
//! theme.

use maud::{Markup, html};

use super::colour::{OPERATION_COLOURS, slot};
use super::graph::DrawnGraph;
use super::layout::{Curve, LABEL_LINE, LABEL_WIDTH, Layout, NODE_HEIGHT, WIDTH};
use super::px;
use crate::run::GenotypeCell;

/// An edge with at least this presence counts as kept.
const STAYS: f64 = 0.5;

/// The look of one edge at one epoch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EdgeLook {
    /// Thickness, 0 to 1: n_j·q·p of the best operation(s); 1 means that pruning does not change
    /// the edge.
    pub(crate) thickness: f64,
    /// Visibility, 0 to 1: n_j·q.
    pub(crate) presence: f64,
    /// Names of the best operations, best first.
    pub(crate) operations: Vec<String>,
    /// The tooltip of the edge.
    pub(crate) description: String,
}

/// The drawing of `graph`, with one look per edge. `title` describes it for screen readers.
pub(crate) fn draw(graph: &DrawnGraph, looks: &[EdgeLook], label_lines: usize, title: &str) -> Markup {
    let chain = graph.is_chain();
    let stays: Vec<bool> = looks.iter().map(|look| chain || look.presence >= STAYS).collect();
    let layout = Layout::new(graph, &stays, label_lines);
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (px(WIDTH)) " " (px(layout.height)) }
            class="cell" role="img" aria-label=(title) font-family="system-ui, sans-serif" font-size="12" {
            @for line in &layout.outputs {
                path.concat d=(path_data(line)) fill="none" stroke="#999" stroke-width="1" stroke-dasharray="2 4" {}
            }
            // In a chain, a line under each layer shows the way of its input if the layer vanishes.
            @for line in layout.edges.iter().filter(|_| chain) {
                path.concat d=(path_data(line)) fill="none" stroke="#999" stroke-width="1" stroke-dasharray="2 4" {}
            }
            // Lines first, then labels, then nodes: text must be on top.
            @for (line, look) in layout.edges.iter().zip(looks) {
                @let colour = look.operations.first().map_or(0, |operation| slot(operation));
                path class={ "edge op" (colour) } d=(path_data(line)) fill="none" stroke-linecap="round"
                    stroke=(OPERATION_COLOURS[colour].0) stroke-width=(stroke_width(look.thickness))
                    opacity=(opacity(look.presence)) {
                    title { (look.description) }
                }
            }
            @for (label, look) in layout.labels.iter().zip(looks) {
                @let colour = look.operations.first().map_or(0, |operation| slot(operation));
                @let height = LABEL_LINE * label_lines as f64 + 4.0;
                @let top = label.y - height / 2.0;
                g class={ "label op" (colour) } opacity=(opacity(look.presence)) {
                    rect x=(px(label.x - LABEL_WIDTH / 2.0)) y=(px(top)) width=(px(LABEL_WIDTH)) height=(px(height))
                        rx="5" fill="#fff" stroke=(OPERATION_COLOURS[colour].0) stroke-width="1" {}
                    text text-anchor="middle" font-size="11.5" fill="#111" {
                        @for line in 0..label_lines {
                            tspan x=(px(label.x)) y=(px(top + 12.5 + LABEL_LINE * line as f64)) {
                                (look.operations.get(line).map_or("", String::as_str))
                            }
                        }
                    }
                }
            }
            @for (node, place) in layout.nodes.iter().enumerate() {
                @let input = node < graph.inputs;
                (node_box(place.x, place.y, &graph.node_name(node), if input { 56.0 } else { 34.0 }, input))
            }
            (node_box(layout.output.x, layout.output.y, "out", 56.0, true))
        }
    }
}

/// A cell of a genotype as a separate SVG file for a white background.
///
/// Nodes are named as in the DARTS papers: `cₖ₋₂` and `cₖ₋₁` are the outputs of the two previous
/// cells; the intermediate nodes are numbered from 0. `title` becomes the accessible name. A cell
/// without edges gives a picture that says so.
pub fn cell_svg(cell: &GenotypeCell, title: &str) -> String {
    let picture = match DrawnGraph::of(None, Some(cell)) {
        Some(graph) => {
            let looks = kept_looks(&graph, cell);
            let lines = looks.iter().map(|look| look.operations.len()).max().unwrap_or(1).max(1);
            draw(&graph, &looks, lines, title)
        }
        None => html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 220 40" role="img" aria-label=(title)
                font-family="system-ui, sans-serif" {
                text x="12" y="25" { "The cell has no edges." }
            }
        },
    };
    picture.into_string()
}

/// The looks of a genotype's cell: kept edges are fully visible, the others invisible, as are
/// layers of a chain that vanish.
pub(crate) fn kept_looks(graph: &DrawnGraph, cell: &GenotypeCell) -> Vec<EdgeLook> {
    let look = |(from, to): &(usize, usize)| {
        let mut edges = cell.edges.iter().filter(|edge| !edge.vanishes());
        let kept = edges.find(|edge| (edge.from, edge.to) == (*from, *to));
        let operations = kept.map(|edge| edge.operations.clone()).unwrap_or_default();
        let share = if kept.is_some() { 1.0 } else { 0.0 };
        let what = if kept.is_some() {
            operations.join(" + ")
        } else {
            "pruned".to_owned()
        };
        let description = format!("{}: {what}", graph.edge_name((*from, *to)));
        EdgeLook {
            thickness: share,
            presence: share,
            operations,
            description,
        }
    };
    graph.edges.iter().map(look).collect()
}

// The page's script draws the other epochs with the same two formulas.
fn stroke_width(thickness: f64) -> String {
    px(0.8 + 5.7 * unit(thickness))
}

fn opacity(presence: f64) -> String {
    format!("{:.2}", unit(presence))
}

/// Clamps to 0 to 1; NaN, from a diverged search, becomes 0.
fn unit(share: f64) -> f64 {
    if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
}

fn path_data(line: &Curve) -> String {
    let (start, end, bend) = (line.start, line.end, line.bend());
    let control = [(start.x, start.y + bend), (end.x, end.y - bend), (end.x, end.y)];
    let points = control.map(|(x, y)| format!("{} {}", px(x), px(y)));
    format!("M{} {}C{}", px(start.x), px(start.y), points.join(" "))
}

fn node_box(x: f64, y: f64, name: &str, width: f64, outer: bool) -> Markup {
    let fill = if outer { "#e3ecf4" } else { "#fff" };
    html! {
        g class=(if outer { "node outer" } else { "node" }) {
            rect x=(px(x - width / 2.0)) y=(px(y - NODE_HEIGHT / 2.0)) width=(px(width)) height=(px(NODE_HEIGHT))
                rx="13" fill=(fill) stroke="#333" stroke-width="1.4" {}
            text x=(px(x)) y=(px(y + 4.5)) text-anchor="middle" font-size="13" fill="#111" { (name) }
        }
    }
}
