//! Heat maps of the mixture: every p and n·q after one epoch, and their development over the
//! epochs.

use maud::{Markup, html};

use super::film::{CellFilm, Film, best};
use crate::svg::colour::level;
use crate::svg::heat::{Field, Matrix, Timeline, share};

/// The heat maps; `None` without a recorded mixture.
pub(super) fn section(film: &Film) -> Option<Markup> {
    let last = film.epochs.last()?;
    Some(html! {
        p.lead {
            "In a decided search, each row of p has one bright field, and n edges of each node have n·q near 1. "
            "The numbers are in the data links of the " a href="#cells" { "cells" } " above."
        }
        p.scale aria-hidden="true" { "0 " i {} " 1" }
        div.pair {
            @for cell in film.cells.iter().filter(|cell| !cell.frames.is_empty()) {
                div {
                    figure.matrix data-kind=(cell.kind) {
                        h3 { (cell.title()) " after epoch " span.frame { (last) } }
                        (matrix(cell))
                        figcaption { "p of each operation on each edge; in the separate column, n·q of the edge." }
                    }
                    @if film.epochs.len() > 1 {
                        figure.history {
                            h3 { (cell.title()) ", p of the best operation" }
                            (history(film, cell, "p of the best operation", best_weight))
                        }
                        figure.history {
                            h3 { (cell.title()) ", n·q of each edge" }
                            (history(film, cell, "n·q", |_, edge_share, _| edge_share))
                        }
                    }
                }
            }
        }
    })
}

fn matrix(cell: &CellFilm) -> Markup {
    let Some(frame) = cell.frames.last() else {
        return html! {};
    };
    let columns: Vec<String> = cell.operations.iter().cloned().chain(["n·q".to_owned()]).collect();
    let row = |place: usize| {
        let weights = frame.p[place]
            .iter()
            .copied()
            .chain([frame.q[place] * cell.needs[place]]);
        weights
            .map(|weight| Field {
                level: level(weight),
                text: share(weight),
            })
            .collect()
    };
    let fields: Vec<Vec<Field>> = (0..cell.graph.edges.len()).map(row).collect();
    let title = format!("Heat map of the operation and edge weights of the {} cell", cell.kind);
    let apart = Some(cell.operations.len());
    Matrix {
        rows: &cell.edge_names(),
        columns: &columns,
        fields: &fields,
        apart,
        title: &title,
    }
    .draw()
}

/// Sum of p over the `k` best operations.
fn best_weight(p: &[f64], _: f64, k: usize) -> f64 {
    best(p, k).iter().map(|operation| p[*operation]).sum()
}

/// A timeline of `value(p of the edge, n·q of the edge, k)`.
fn history(film: &Film, cell: &CellFilm, what: &str, value: impl Fn(&[f64], f64, usize) -> f64) -> Markup {
    let at = |place: usize| -> Vec<f64> {
        let frames = cell.frames.iter();
        frames
            .map(|frame| {
                value(
                    &frame.p[place],
                    frame.q[place] * cell.needs[place],
                    cell.kept_operations,
                )
            })
            .collect()
    };
    let values: Vec<Vec<f64>> = (0..cell.graph.edges.len()).map(at).collect();
    let title = format!(
        "Heat map of {what} of each edge of the {} cell over the epochs",
        cell.kind
    );
    let rows = cell.edge_names();
    Timeline {
        rows: &rows,
        columns: &film.epochs,
        axis: "epoch",
        values: &values,
        row_height: 15.0,
        title: &title,
    }
    .draw()
}
