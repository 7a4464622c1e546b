//! The skeleton of NAS-Bench-201: a stem, three stages of cells joined by residual blocks that
//! halve the image and double the channels, batch norm and ReLU before the global mean.
//!
//! Reference: Dong, Yang, "NAS-Bench-201", ICLR 2020, section 2.1 and figure 1. Contract: every
//! slot reads the previous one; names are those of the public code.

use da2s_engine::{Block, CellPlan, CellPlanBuilder, PoolKind};

use super::stem::cifar_stem;
use super::{CellSlot, Content, NetworkSize, Skeleton};
use crate::space::CellKind;

/// Number of stages; the cells of a stage have the same number of channels.
pub(crate) const STAGES: usize = 3;

/// The skeleton for networks of `size`.
pub(super) fn skeleton(size: &NetworkSize) -> Skeleton {
    let mut middle = Vec::new();
    let mut channels = size.channels;
    for stage in 0..STAGES {
        if stage > 0 {
            middle.push((2, Content::Fixed(residual(channels))));
            channels *= 2;
        }
        let cell = CellSlot {
            kind: CellKind::Normal,
            channels,
            stride: 1,
            older_is_larger: false,
        };
        middle.extend((0..size.cells).map(|_| (1, Content::Cell(cell))));
    }
    let middle = middle.into_iter().enumerate();
    let middle = middle.map(|(index, (stride, content))| (format!("cells.{index}."), stride, content));
    let unnamed = |plan| (String::new(), 1, Content::Fixed(plan));
    let stem = unnamed(cifar_stem(size.image_channels, size.channels));
    let all = std::iter::once(stem)
        .chain(middle)
        .chain([unnamed(last_norm(channels))]);
    Skeleton::in_line(size, all)
}

fn last_norm(channels: usize) -> CellPlan {
    CellPlanBuilder::new(true)
        .input(channels)
        .node(channels)
        .edge(0, 1, [(Block::Norm, "lastact".to_owned(), 0)])
        .output([1])
}

/// Two 3×3 convolutions, the first of stride 2, in parallel with a 2×2 mean and a 1×1 convolution
/// (He et al. 2016).
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
