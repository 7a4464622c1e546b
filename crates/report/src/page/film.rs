//! The animation: the mixture of each cell kind after every epoch, for the pictures that follow the
//! slider.
//!
//! Rust draws the last picture (the genotype, or the last epoch if there is none), so the page is
//! complete without its script; the script draws the others from the numbers in [`Film::data`].

use maud::{Markup, PreEscaped, html};
use serde_json::json;

use crate::run::{ArchCell, GenotypeCell, Run};
use crate::svg::cell::{EdgeLook, kept_looks};
use crate::svg::colour::slot;
use crate::svg::graph::DrawnGraph;
use crate::svg::heat::share;

/// The animations of all cell kinds, over the same epochs.
pub(crate) struct Film {
    /// Epoch of each frame.
    pub(super) epochs: Vec<usize>,
    pub(crate) cells: Vec<CellFilm>,
    /// Planned number of epochs of the search.
    planned: Option<usize>,
}

/// The animation of one cell kind. All vectors over edges follow `graph.edges`.
pub(crate) struct CellFilm {
    pub(crate) kind: String,
    pub(crate) graph: DrawnGraph,
    pub(crate) operations: Vec<String>,
    /// n_j of each edge's node.
    pub(super) needs: Vec<f64>,
    /// k: operations kept per edge.
    pub(crate) kept_operations: usize,
    pub(super) frames: Vec<Frame>,
    /// The looks after discretization.
    pub(super) kept: Option<Vec<EdgeLook>>,
}

/// The mixture weights after one epoch.
pub(crate) struct Frame {
    /// Edge weights that sum to 1 at each node, `[edges]`.
    pub(super) q: Vec<f64>,
    /// Operation weights, `[edges][operations]`.
    pub(super) p: Vec<Vec<f64>>,
}

impl Film {
    /// The animation of every cell kind that has a mixture or a genotype.
    pub(crate) fn of(run: &Run) -> Self {
        let mixed = run.architecture.iter().flat_map(|epoch| epoch.cells.keys());
        let kept = run.genotype.iter().flat_map(|genotype| genotype.cells.keys());
        let mut kinds: Vec<&String> = mixed.chain(kept).collect();
        kinds.sort();
        kinds.dedup();
        Self {
            epochs: run.architecture.iter().map(|epoch| epoch.epoch).collect(),
            cells: kinds.into_iter().filter_map(|kind| CellFilm::of(run, kind)).collect(),
            planned: run.search.last().map(|last| last.epochs),
        }
    }

    /// Number of pictures: one per epoch, and the discretized cells.
    fn pictures(&self) -> usize {
        self.epochs.len() + usize::from(self.has_kept())
    }

    fn has_kept(&self) -> bool {
        self.cells.iter().any(|cell| cell.kept.is_some())
    }

    /// The name of the last picture.
    fn last_name(&self) -> String {
        match (self.has_kept(), self.epochs.last()) {
            (true, _) => "discretized".to_owned(),
            (false, Some(epoch)) => format!("epoch {epoch}"),
            (false, None) => String::new(),
        }
    }

    /// The slider over the epochs, shown if the script runs and there is more than one picture.
    pub(super) fn bar(&self) -> Markup {
        let last = self.pictures().saturating_sub(1);
        html! {
            @if last > 0 {
                div.film-bar hidden {
                    button.play type="button" aria-label="Play the search" { "▶" }
                    input id="epoch" type="range" min="0" max=(last) value=(last) step="1"
                        aria-label="Epoch of the search"
                        aria-valuetext=(self.last_name());
                    output for="epoch" { (self.last_name()) }
                }
            }
        }
    }

    /// The numbers for the script: weights as integers in units of 1e-4.
    pub(super) fn data(&self) -> Markup {
        let cells: Vec<_> = self.cells.iter().map(CellFilm::data).collect();
        let film = json!({ "epochs": self.epochs, "planned": self.planned, "kept": self.has_kept(), "cells": cells });
        // In a script element, only "<" could end the element or open a comment; JSON has an escape
        // for it.
        let text = film.to_string().replace('<', "\\u003c");
        html! { script type="application/json" id="film" { (PreEscaped(text)) } }
    }
}

impl CellFilm {
    /// What the figure shows: `normal cell`, or the layers of a chain.
    pub(crate) fn title(&self) -> String {
        if self.graph.is_chain() {
            "layers".to_owned()
        } else {
            format!("{} cell", self.kind)
        }
    }

    fn of(run: &Run, kind: &str) -> Option<Self> {
        let mixture = run.architecture.last().and_then(|epoch| epoch.cells.get(kind));
        let genotype = run.genotype.as_ref();
        let kept = genotype.and_then(|genotype| genotype.cells.get(kind));
        let target = genotype.and_then(|genotype| genotype.target.get(kind));
        let graph = DrawnGraph::of(mixture, kept)?;
        let frames: Vec<Frame> = run
            .architecture
            .iter()
            .filter_map(|epoch| Some(Frame::of(&graph, epoch.cells.get(kind)?)))
            .collect();
        let need = |(place, (_, to)): (usize, &(usize, usize))| {
            let group = mixture.and_then(|cell| cell.groups.get(place)).copied();
            let asked = target
                .and_then(|target| target.edges.get(group.unwrap_or(to - graph.inputs)))
                .map(|need| *need as f64);
            asked.unwrap_or_else(|| strongest_as_whole(&graph, frames.last(), place))
        };
        Some(Self {
            kind: kind.to_owned(),
            operations: mixture
                .map(|cell| cell.operations.clone())
                .unwrap_or_else(|| operations_of(kept)),
            needs: graph.edges.iter().enumerate().map(need).collect(),
            kept_operations: target.map_or(1, |target| target.operations.max(1)),
            kept: kept.map(|cell| kept_looks(&graph, cell)),
            frames,
            graph,
        })
    }

    /// The looks of the last picture.
    pub(crate) fn last_looks(&self) -> Vec<EdgeLook> {
        match (&self.kept, self.frames.last()) {
            (Some(kept), _) => kept.clone(),
            (None, Some(frame)) => self.looks(frame),
            (None, None) => Vec::new(),
        }
    }

    /// The looks of the edges in `frame`. The script computes the same for the other frames.
    fn looks(&self, frame: &Frame) -> Vec<EdgeLook> {
        let look = |place: usize| {
            let best = best(&frame.p[place], self.kept_operations);
            let p: f64 = best.iter().map(|operation| frame.p[place][*operation]).sum();
            let presence = frame.q[place] * self.needs[place];
            let operations: Vec<String> = best
                .iter()
                .map(|operation| self.operations[*operation].clone())
                .collect();
            let name = self.graph.edge_name(self.graph.edges[place]);
            let description = format!(
                "{name}: {}, p {}, q {}",
                operations.join(" + "),
                share(p),
                share(frame.q[place])
            );
            EdgeLook {
                thickness: presence * p,
                presence,
                operations,
                description,
            }
        };
        (0..self.graph.edges.len()).map(look).collect()
    }

    /// A description of the last picture.
    pub(crate) fn spoken(&self) -> String {
        let looks = self.last_looks();
        let strong: Vec<&str> = looks
            .iter()
            .filter(|look| look.presence >= 0.5)
            .map(|look| look.description.as_str())
            .collect();
        format!("Graph of the {} cell. {}", self.kind, strong.join("; "))
    }

    /// Names of the edges.
    pub(super) fn edge_names(&self) -> Vec<String> {
        self.graph
            .edges
            .iter()
            .map(|edge| self.graph.edge_name(*edge))
            .collect()
    }

    fn data(&self) -> serde_json::Value {
        let units = |weight: &f64| {
            if weight.is_finite() {
                (weight * 1e4).round() as i64
            } else {
                -1
            }
        };
        let index_of = |name: &String| self.operations.iter().position(|operation| operation == name);
        let kept = self.kept.as_ref().map(|looks| {
            let kept =
                |look: &EdgeLook| (look.presence > 0.0).then(|| look.operations.iter().filter_map(index_of).collect());
            looks.iter().map(kept).collect::<Vec<Option<Vec<usize>>>>()
        });
        json!({
            "kind": self.kind,
            "operations": self.operations,
            "slots": self.operations.iter().map(|operation| slot(operation)).collect::<Vec<_>>(),
            "edges": self.edge_names(),
            "needs": self.needs.iter().map(|need| (need * 1e3).round() / 1e3).collect::<Vec<_>>(),
            "k": self.kept_operations,
            "q": self.frames.iter().map(|frame| frame.q.iter().map(units).collect()).collect::<Vec<Vec<_>>>(),
            "p": self.frames.iter().map(|frame| frame.p.iter().flatten().map(units).collect()).collect::<Vec<Vec<_>>>(),
            "kept": kept,
        })
    }
}

impl Frame {
    fn of(graph: &DrawnGraph, cell: &ArchCell) -> Self {
        let shares = cell.shares();
        let place = |edge: &(usize, usize)| cell.edges.iter().position(|other| other == edge);
        // An edge that exists only in the genotype has no weight in the mixture.
        let none = || vec![0.0; cell.operations.len()];
        Self {
            q: graph
                .edges
                .iter()
                .map(|edge| place(edge).map_or(0.0, |place| shares[place]))
                .collect(),
            p: graph
                .edges
                .iter()
                .map(|edge| place(edge).map_or_else(none, |place| cell.p[place].clone()))
                .collect(),
        }
    }
}

/// The positions of the `k` largest weights, largest first; NaN comes last.
pub(super) fn best(weights: &[f64], k: usize) -> Vec<usize> {
    let rank = |place: usize| {
        if weights[place].is_nan() {
            f64::NEG_INFINITY
        } else {
            weights[place]
        }
    };
    let mut places: Vec<usize> = (0..weights.len()).collect();
    places.sort_by(|a, b| rank(*b).total_cmp(&rank(*a)));
    places.truncate(k);
    places
}

/// If no target is known: the factor that gives the strongest edge of the node full thickness.
fn strongest_as_whole(graph: &DrawnGraph, frame: Option<&Frame>, place: usize) -> f64 {
    let to = graph.edges[place].1;
    let shares = frame.into_iter().flat_map(|frame| graph.edges.iter().zip(&frame.q));
    let strongest = shares
        .filter(|(edge, _)| edge.1 == to)
        .map(|(_, q)| *q)
        .fold(0.0, f64::max);
    if strongest > 0.0 { 1.0 / strongest } else { 1.0 }
}

fn operations_of(cell: Option<&GenotypeCell>) -> Vec<String> {
    let mut names: Vec<String> = cell
        .into_iter()
        .flat_map(|cell| &cell.edges)
        .flat_map(|edge| edge.operations.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}
