//! The cost of each edge on its own: a heat map per kind of cell, with the numbers in its fields
//! and in a link.

use maud::{Markup, html};

use crate::Run;
use crate::data_link::CsvTable;
use crate::number::{count, points, significant};
use crate::run::{EdgeGap, EdgeGaps, Measured};
use crate::svg::colour::level;
use crate::svg::graph::DrawnGraph;
use crate::svg::heat::{Field, Matrix};

const COLUMNS: [&str; 4] = ["its operations", "in nats", "the edge", "in nats"];

/// The heat maps; `None` if nothing was measured.
pub(super) fn part(run: &Run) -> Option<Markup> {
    let gaps = run.edge_gaps.as_ref().filter(|gaps| !gaps.edges.is_empty())?;
    let mut kinds: Vec<&str> = gaps.edges.iter().map(|edge| edge.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let worst = worst_of(gaps);
    Some(html! {
        h3.part { "Edge by edge" }
        p.lead {
            "The cost of discretizing one thing while everything else stays mixed: either the operations of an edge, or the edge, which is then kept "
            "at its final weight (✓) or pruned. Costs are in points of accuracy and in nats of cross-entropy, which also shows changes that accuracy "
            "misses"
            @if let Some(images) = gaps.images { "; measured on " (count(images)) " held-out images" }
            ". Costs do not add up, because one choice can make another cheaper. "
            "The brightest colour means " (significant(worst.0, 3)) @if worst.0 == 1.0 { " point" } @else { " points" } " or " (significant(worst.1, 3)) " nats."
        }
        div.pair {
            @for kind in kinds {
                @let edges: Vec<&EdgeGap> = gaps.edges.iter().filter(|edge| edge.kind == kind).collect();
                figure.edge-gaps {
                    h3 { (kind) " cell" }
                    (picture(kind, &edges, gaps.supernet, worst))
                    figcaption {
                        "Loss if only this is discretized; negative values are gains. "
                        (table(&edges, gaps.supernet).link(&format!("{kind}-edge-gaps"), &format!("edge by edge, {kind} cell")))
                    }
                }
            }
        }
    })
}

/// The cost relative to `before`: points of accuracy, nats of loss.
fn cost(before: Measured, after: Measured) -> [Option<f64>; 2] {
    let points = before
        .accuracy
        .zip(after.accuracy)
        .map(|(before, after)| before - after);
    let nats = before.loss.zip(after.loss).map(|(before, after)| after - before);
    [points, nats]
}

fn costs(before: Measured, edge: &EdgeGap) -> [Option<f64>; 4] {
    let ([a, b], [c, d]) = (cost(before, edge.operations), cost(before, edge.edge));
    [a, b, c, d]
}

/// The largest cost in points and in nats, so that all kinds of cell share a scale. Very small
/// costs are raised to a minimum, so that they get no bright colour.
fn worst_of(gaps: &EdgeGaps) -> (f64, f64) {
    let all = || gaps.edges.iter().map(|edge| costs(gaps.supernet, edge));
    let most = |columns: [usize; 2], least: f64| {
        let values = all().flat_map(|costs| columns.map(|column| costs[column].unwrap_or(0.0)));
        values.fold(least, f64::max)
    };
    (most([0, 2], 1.0), most([1, 3], 0.01))
}

fn picture(kind: &str, edges: &[&EdgeGap], supernet: Measured, worst: (f64, f64)) -> Markup {
    let graph = graph(edges);
    let name = |edge: &&EdgeGap| {
        let mark = if edge.kept { " ✓" } else { "" };
        format!("{}{mark}", graph.edge_name((edge.from, edge.to)))
    };
    let rows: Vec<String> = edges.iter().map(name).collect();
    let field = |(column, cost): (usize, Option<f64>)| {
        let (scale, digits) = if column % 2 == 0 { (worst.0, 2) } else { (worst.1, 3) };
        Field {
            level: level(cost.unwrap_or(0.0) / scale),
            text: cost.map_or("–".to_owned(), |cost| fixed(cost, digits)),
        }
    };
    let row = |edge: &&EdgeGap| costs(supernet, edge).into_iter().enumerate().map(field).collect();
    let fields: Vec<Vec<Field>> = edges.iter().map(row).collect();
    Matrix {
        rows: &rows,
        columns: &COLUMNS.map(str::to_owned),
        fields: &fields,
        apart: Some(2),
        title: &format!("Heat map of the cost of each edge of the {kind} cell on its own"),
    }
    .draw()
}

fn fixed(value: f64, digits: usize) -> String {
    if digits == 2 {
        return points(value);
    }
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|byte| matches!(byte, b'0' | b'.')) => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

/// The graph of the edges, used to name its nodes.
fn graph(edges: &[&EdgeGap]) -> DrawnGraph {
    let inputs = edges.iter().map(|edge| edge.to).min().unwrap_or(0);
    DrawnGraph {
        inputs,
        nodes: edges.iter().map(|edge| edge.to + 1).max().unwrap_or(0),
        edges: edges.iter().map(|edge| (edge.from, edge.to)).collect(),
        concat: Vec::new(),
    }
}

fn table(edges: &[&EdgeGap], supernet: Measured) -> CsvTable {
    let graph = graph(edges);
    let mut table = CsvTable::new([
        "from",
        "to",
        "kept",
        "operations points",
        "operations nats",
        "edge points",
        "edge nats",
    ]);
    for edge in edges {
        let start = [
            graph.data_name(edge.from),
            graph.data_name(edge.to),
            if edge.kept { "yes" } else { "no" }.to_owned(),
        ];
        let costs = costs(supernet, edge).map(|cost| cost.map_or(String::new(), |cost| significant(cost, 5)));
        table.row(start.into_iter().chain(costs));
    }
    table
}
