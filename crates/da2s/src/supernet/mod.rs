//! The super-network: a backbone whose cells mix all candidates on all edges.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS", 2019, section 2.1, with the edge weights of Tian et al. 2021. Contract:
//! stem of 3·C channels, `cells` cells, reduction cells at 1/3 and 2/3 of the depth, which double the channels;
//! batch norms without scale and shift, but for the stem's.

mod arch_params;
pub(crate) mod cell;

pub use arch_params::{ArchParams, KindParams, Mixture, Strengths, edge_softmax};

use da2s_engine::{Block, Cell, CellPlanBuilder, Engine};

use crate::backbone::{Backbone, Source, Stage};
use crate::space::{CellKind, Space};

/// Sizes of a super-network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupernetSize {
    /// Channels of the first cells.
    pub channels: usize,
    /// Number of cells.
    pub cells: usize,
    /// Channels of an image.
    pub image_channels: usize,
    /// Number of classes.
    pub classes: usize,
}

/// Channels of the CIFAR stem, in multiples of a cell's.
const STEM_MULTIPLIER: usize = 3;

/// The super-network of `space`.
pub fn supernet(space: &Space, size: SupernetSize, engine: &Engine) -> Backbone {
    let stem = STEM_MULTIPLIER * size.channels;
    let mut stages = vec![cifar_stem(size.image_channels, stem, engine)];
    let mut channels = size.channels;
    let (mut before, mut last) = (stem, stem);
    let mut shrunk = false;
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
            sources: cell_sources(index),
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

/// The stem for small images: 3×3 convolution and batch norm.
pub(crate) fn cifar_stem(image_channels: usize, channels: usize, engine: &Engine) -> Stage {
    let block = Block::Conv {
        relu: false,
        kernel: 3,
        stride: 1,
        padding: 1,
        bias: false,
        norm: true,
    };
    let plan = CellPlanBuilder::new(true)
        .input(image_channels)
        .node(channels)
        .edge(0, 1, [(block, "stem".to_owned(), 0)])
        .output([1]);
    Stage {
        prefix: String::new(),
        cell: Cell::new(plan, engine),
        sources: vec![Source::Image],
        kind: None,
    }
}

/// What cell `index` reads behind a stem of one stage: the two stages before it; the first cell the stem twice.
pub(crate) fn cell_sources(index: usize) -> Vec<Source> {
    vec![Source::Stage(index.saturating_sub(1)), Source::Stage(index)]
}
