//! The super-network: a backbone whose cells mix all candidates on all edges.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS", 2019, section 2.1, with the edge weights of Tian et al. 2021. Contract:
//! the skeleton's stem, `cells` cells, reduction cells at 1/3 and 2/3 of the depth, which double the channels;
//! batch norms without scale and shift, but for the stem's.

mod arch_params;
pub(crate) mod cell;

pub use arch_params::{ArchParams, KindParams, Mixture, Strengths, edge_softmax};

use da2s_engine::{Cell, Engine};

use crate::backbone::{Backbone, Skeleton, Stage, cell_sources};
use crate::space::{CellKind, Space};

/// Sizes of a super-network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupernetSize {
    /// Stem.
    pub skeleton: Skeleton,
    /// Channels of the first cells.
    pub channels: usize,
    /// Number of cells.
    pub cells: usize,
    /// Channels of an image.
    pub image_channels: usize,
    /// Number of classes.
    pub classes: usize,
}

/// The super-network of `space`.
pub fn supernet(space: &Space, size: SupernetSize, engine: &Engine) -> Backbone {
    let stem = size.skeleton.stem(size.image_channels, size.channels, engine);
    let (mut stages, mut shrunk) = (stem.stages, stem.shrunk);
    let (mut before, mut last) = (stem.channels, stem.channels);
    let stems = stages.len();
    let mut channels = size.channels;
    for index in 0..size.cells {
        let kind = kind_at(index, size.cells);
        if kind == CellKind::Reduction {
            channels *= 2;
        }
        let plan = cell::plan(space, kind, [before, last], channels, shrunk);
        (before, last) = (last, plan.output_channels());
        shrunk = kind == CellKind::Reduction;
        stages.push(Stage {
            prefix: format!("cells.{index}."),
            cell: Cell::new(plan, engine),
            sources: cell_sources(index, stems),
            kind: Some(kind),
        });
    }
    Backbone::new(stages, None, size.classes)
}

/// Kind of cell `index` of `cells`: reduction cells stand at 1/3 and 2/3 of the depth.
pub(crate) fn kind_at(index: usize, cells: usize) -> CellKind {
    if index == cells / 3 || index == 2 * cells / 3 {
        CellKind::Reduction
    } else {
        CellKind::Normal
    }
}
