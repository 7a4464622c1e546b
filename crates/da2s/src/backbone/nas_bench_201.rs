//! The skeleton of NAS-Bench-201: a stem, three stages of cells joined by residual blocks that halve the image and double the
//! channels, batch norm and ReLU in front of the global mean.
//!
//! Reference: Dong, Yang, "NAS-Bench-201", ICLR 2020, section 2.1 and figure 1. Contract: super-network and final network differ in
//! the plan of a cell alone; names are those of its public code.

use da2s_engine::{Block, Cell, CellPlan, CellPlanBuilder, Engine, PoolKind};

use super::{Backbone, Source, Stage};
use crate::space::CellKind;

/// Stages of cells of one number of channels.
pub(crate) const STAGES: usize = 3;

/// Sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BenchSize {
    /// Channels of the first stage.
    pub channels: usize,
    /// Cells of each stage.
    pub cells: usize,
    /// Channels of an image.
    pub image_channels: usize,
    /// Number of classes.
    pub classes: usize,
}

/// A network whose cells are made by `cell` for a number of channels.
pub(crate) fn skeleton(size: BenchSize, cell: impl Fn(usize) -> CellPlan, engine: &Engine) -> Backbone {
    let mut plans = Vec::new();
    let mut channels = size.channels;
    for stage in 0..STAGES {
        if stage > 0 {
            plans.push((residual(channels), None));
            channels *= 2;
        }
        plans.extend((0..size.cells).map(|_| (cell(channels), Some(CellKind::Normal))));
    }
    let named = plans.into_iter().enumerate();
    let named = named.map(|(index, (plan, kind))| (format!("cells.{index}."), plan, kind));
    let ends = [
        (String::new(), stem(size), None),
        (String::new(), last_norm(channels), None),
    ];
    let [first, last] = ends;
    let stages = std::iter::once(first)
        .chain(named)
        .chain(std::iter::once(last))
        .enumerate();
    let stages = stages.map(|(index, (prefix, plan, kind))| Stage {
        prefix,
        cell: Cell::new(plan, engine),
        sources: vec![index.checked_sub(1).map_or(Source::Image, Source::Stage)],
        kind,
    });
    Backbone::new(stages.collect(), None, size.classes, engine).with_last_relu()
}

fn stem(size: BenchSize) -> CellPlan {
    CellPlanBuilder::new(true)
        .input(size.image_channels)
        .node(size.channels)
        .edge(0, 1, [(conv(false, 3, 1, true), "stem".to_owned(), 0)])
        .output([1])
}

fn last_norm(channels: usize) -> CellPlan {
    CellPlanBuilder::new(true)
        .input(channels)
        .node(channels)
        .edge(0, 1, [(Block::Norm, "lastact".to_owned(), 0)])
        .output([1])
}

/// Two 3×3 convolutions, the first of stride 2, beside a 2×2 mean and a 1×1 convolution (He et al. 2016).
fn residual(channels: usize) -> CellPlan {
    let halved = Block::Pool {
        kind: PoolKind::Average,
        kernel: 2,
        stride: 2,
        padding: 0,
        norm: false,
    };
    CellPlanBuilder::new(true)
        .input(channels)
        .node(2 * channels)
        .node(channels)
        .node(2 * channels)
        .edge(0, 1, [(conv(true, 3, 2, true), "conv_a.op".to_owned(), 0)])
        .edge(0, 2, [(halved, "downsample".to_owned(), 0)])
        .edge(1, 3, [(conv(true, 3, 1, true), "conv_b.op".to_owned(), 0)])
        .edge(2, 3, [(conv(false, 1, 1, false), "downsample".to_owned(), 1)])
        .output([3])
}

fn conv(relu: bool, kernel: usize, stride: usize, norm: bool) -> Block {
    Block::Conv {
        relu,
        kernel,
        stride,
        padding: kernel / 2,
        bias: false,
        norm,
    }
}
