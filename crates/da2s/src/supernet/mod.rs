//! The super-network: a backbone whose cells mix all candidates on all edges.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS", 2019, section 2.1, with the edge weights of Tian et al. 2021; Dong, Yang,
//! "NAS-Bench-201", 2020. Contract: in the DARTS space the skeleton's stem, `cells` cells, of which those that
//! reduce double the channels; in NAS-Bench-201 its skeleton; batch norms of searched cells have no scale and shift.

pub(crate) mod cell;
mod partial_cell;

pub use crate::arch::{ArchParams, KindParams, Mixture, Strengths, edge_softmax};

use da2s_engine::{Cell, Engine};

use crate::backbone::{Backbone, BenchSize, Skeleton, Stage, cell_sources, skeleton};
use crate::space::{CellKind, Reductions, Space, SpaceName};

/// Sizes of a super-network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupernetSize {
    /// Stem.
    pub skeleton: Skeleton,
    /// Channels of the first cells.
    pub channels: usize,
    /// Number of cells; in NAS-Bench-201 of each of the three stages.
    pub cells: usize,
    /// Which of them reduce.
    pub reductions: Reductions,
    /// Of how many channels one passes through the candidates; 1 is all.
    pub partial: usize,
    /// Channels of an image.
    pub image_channels: usize,
    /// Number of classes.
    pub classes: usize,
}

/// The super-network of `space`.
pub fn supernet(space: &Space, size: SupernetSize, engine: &Engine) -> Backbone {
    match space.name {
        SpaceName::Darts => darts(space, &size, engine),
        SpaceName::NasBench201 => {
            let sizes = BenchSize {
                channels: size.channels,
                cells: size.cells,
                image_channels: size.image_channels,
                classes: size.classes,
            };
            skeleton(sizes, |channels| cell::bench_plan(space, channels), engine)
        }
    }
}

/// Stem, then the cells.
fn darts(space: &Space, size: &SupernetSize, engine: &Engine) -> Backbone {
    let stem = size.skeleton.stem(size.image_channels, size.channels, engine);
    let (mut stages, mut shrunk) = (stem.stages, stem.shrunk);
    let (mut before, mut last) = (stem.channels, stem.channels);
    let stems = stages.len();
    let mut channels = size.channels;
    for index in 0..size.cells {
        let kind = size.reductions.kind(index, size.cells);
        if kind == CellKind::Reduction {
            channels *= 2;
        }
        let inputs = [before, last];
        let plan = if size.partial > 1 {
            partial_cell::plan(space, kind, inputs, channels, shrunk, size.partial)
        } else {
            cell::plan(space, kind, inputs, channels, shrunk)
        };
        (before, last) = (last, plan.output_channels());
        shrunk = kind == CellKind::Reduction;
        stages.push(Stage {
            prefix: format!("cells.{index}."),
            cell: Cell::new(plan, engine),
            sources: cell_sources(index, stems),
            kind: Some(kind),
        });
    }
    let backbone = Backbone::new(stages, None, size.classes, engine);
    if size.partial > 1 {
        backbone.with_mixture_order(partial_cell::mixture_order(space))
    } else {
        backbone
    }
}
