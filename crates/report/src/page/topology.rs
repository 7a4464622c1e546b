//! The target topology and the genotype that was found, node by node.

use da2s_records::counted;
use da2s_records::schema::GenotypeEdge;
use maud::{Markup, html};

use super::film::{CellFilm, Film, best};
use crate::Run;
use crate::run::{GenotypeCell, GenotypeTarget};
use crate::svg::colour::slot;
use crate::svg::heat::share;

/// One table per cell kind and the genotype as text; `None` without a genotype.
pub(super) fn section(run: &Run, film: &Film) -> Option<Markup> {
    let genotype = run.genotype.as_ref()?;
    Some(html! {
        div.pair {
            @for cell in &film.cells {
                @if let Some(found) = genotype.cells.get(&cell.kind) {
                    (table(cell, found, genotype.target.get(&cell.kind)))
                }
            }
        }
        @if let Some(text) = &genotype.genotype {
            h3 { "The genotype as text" }
            pre.pick tabindex="0" { code { (text) } }
        }
    })
}

fn table(cell: &CellFilm, found: &GenotypeCell, target: Option<&GenotypeTarget>) -> Markup {
    let graph = &cell.graph;
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Target and result of the " (cell.title()) } {
            table {
                caption {
                    (cell.title())
                    @if let Some(target) = target {
                        " " small {
                            "target: " (asked_edges(target, &cell.operations)) ", "
                            (counted(target.operations, "operation")) " on each"
                        }
                    }
                }
                thead { tr {
                    th scope="col" { "node" } th scope="col" { "kept" }
                    th scope="col" { "from" } th scope="col" { "operation" }
                    @if !cell.frames.is_empty() { th.n scope="col" { "p" } th.n scope="col" { "n·q" } }
                } }
                @for node in graph.inputs..graph.nodes {
                    @let edges = found.edges.iter().filter(|edge| edge.to == node && !edge.vanishes());
                    @let edges: Vec<_> = edges.collect();
                    // In a chain, the target is a number of layers per stage, not edges per node.
                    @let cell_target = target.filter(|target| target.depth.is_empty());
                    @let asked = cell_target.and_then(|target| target.edges.get(node - graph.inputs));
                    tbody {
                        @for (place, edge) in edges.iter().enumerate() {
                            tr {
                                @if place == 0 {
                                    th.node rowspan=(edges.len()) scope="rowgroup" { (graph.node_name(node)) }
                                    td rowspan=(edges.len()) { (kept(edges.len(), asked)) }
                                }
                                td { (graph.node_name(edge.from)) }
                                td {
                                    @for operation in &edge.operations {
                                        span class={ "chip op" (slot(operation)) } { (operation) }
                                    }
                                }
                                @if let Some((p, q)) = weights(cell, (edge.from, edge.to)) {
                                    td.n { (share(p)) } td.n { (share(q)) }
                                }
                            }
                        }
                        @if edges.is_empty() {
                            tr {
                                th.node scope="row" { (graph.node_name(node)) }
                                td { (kept(0, asked)) }
                                td colspan="4" { @if graph.is_chain() { "no layer" } @else { "no edge" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `2, 1, 3, 2 edges into the nodes`
fn asked_edges(target: &GenotypeTarget, candidates: &[String]) -> String {
    let list = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    if target.depth.is_empty() {
        format!("{} edges into the nodes", list(&target.edges))
    } else if candidates.iter().any(|candidate| candidate == GenotypeEdge::VANISHES) {
        // A declared depth and skip exclude each other.
        "as many layers as the search keeps".to_owned()
    } else {
        format!("{} layers in the stages", list(&target.depth))
    }
}

/// How many edges a node has kept of the number in the target.
fn kept(found: usize, asked: Option<&usize>) -> Markup {
    html! {
        span.count {
            (found)
            @if let Some(asked) = asked { " of " (asked) }
            @if asked == Some(&found) { span.ok aria-label="as asked" { " ✓" } }
        }
    }
}

/// p of the best operation(s) and n·q of an edge, after the last epoch.
fn weights(cell: &CellFilm, edge: (usize, usize)) -> Option<(f64, f64)> {
    let frame = cell.frames.last()?;
    let place = cell.graph.edges.iter().position(|other| *other == edge)?;
    let p = best(&frame.p[place], cell.kept_operations)
        .iter()
        .map(|operation| frame.p[place][*operation])
        .sum();
    Some((p, frame.q[place] * cell.needs[place]))
}
