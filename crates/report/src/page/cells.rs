//! The cells as graphs, side by side, with links to their data.

use maud::{Markup, html};

use super::film::{CellFilm, Film};
use crate::data_link::CsvTable;
use crate::number::significant;
use crate::svg::cell::draw;
use crate::svg::colour::slot;

/// The drawings; `None` if the run has neither a mixture nor a genotype.
pub(super) fn section(film: &Film) -> Option<Markup> {
    if film.cells.is_empty() {
        return None;
    }
    Some(html! {
        p.lead {
            "Every solid line is an edge of the cell; edges run downward. Its thickness is q·p: the weight of the edge at its "
            "node times that of its best operation, scaled so that pruning does not change an edge of full thickness. "
            @if film.epochs.len() > 1 {
                span.scripted { "Move the slider to see the mixture turn into the topology." }
            }
        }
        (operation_key(film))
        div.pair {
            @for cell in &film.cells {
                figure.cell-figure data-kind=(cell.kind) {
                    h3 { (cell.title()) }
                    (draw(&cell.graph, &cell.last_looks(), cell.kept_operations, &cell.spoken()))
                    @let (file, what) = (format!("{}-cell", cell.kind), cell.title());
                    figcaption { "p and q of every edge and epoch: " (table(film, cell).link(&file, &what)) }
                }
            }
        }
    })
}

/// The operation of each colour; the labels in the drawing also name them.
fn operation_key(film: &Film) -> Markup {
    let mut names: Vec<&String> = film.cells.iter().flat_map(|cell| &cell.operations).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    html! {
        ul.legend.operations {
            @for name in names {
                li {
                    svg.swatch viewBox="0 0 26 8" aria-hidden="true" {
                        path class={ "edge op" (slot(name)) } d="M2 4H24" stroke-width="5" {}
                    }
                    (name)
                }
            }
        }
    }
}

fn table(film: &Film, cell: &CellFilm) -> CsvTable {
    let fixed = ["epoch", "from", "to", "q"].map(str::to_owned);
    let mut table = CsvTable::new(
        fixed
            .into_iter()
            .chain(cell.operations.iter().map(|name| format!("p {name}"))),
    );
    for (epoch, frame) in film.epochs.iter().zip(&cell.frames) {
        for (place, (from, to)) in cell.graph.edges.iter().enumerate() {
            let start = [
                epoch.to_string(),
                cell.graph.data_name(*from),
                cell.graph.data_name(*to),
            ];
            let weights = std::iter::once(&frame.q[place]).chain(&frame.p[place]);
            table.row(
                start
                    .into_iter()
                    .chain(weights.map(|weight| significant((weight * 1e4).round() / 1e4, 4))),
            );
        }
    }
    table
}
