//! The auxiliary head: a second classifier at two thirds of the depth that helps training.
//!
//! Reference: Liu, Simonyan, Yang 2019 and its code: ReLU → 5×5 mean pooling → 1×1 convolution to 128 → batch norm
//! → ReLU → 2×2 convolution to 768 → batch norm → ReLU → classifier. A global mean follows, which changes nothing
//! where the result is one pixel, as in the published settings.

use da2s_engine::{Block, Cell, CellPlanBuilder, Engine, PoolKind};

use super::{NetworkSize, Skeleton};
use crate::backbone::{Auxiliary, Stage};

/// An image that is too small for an auxiliary head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an auxiliary head needs at least {needed}×{needed} pixels behind cell {cell}, but an image of {image}×{image} \
     leaves {found}×{found} there: set network.auxiliary = false or use larger images"
)]
pub struct AuxiliaryError {
    /// Cell that the head reads.
    pub cell: usize,
    /// Side of an image in pixels.
    pub image: usize,
    /// Side behind the cell in pixels.
    pub found: usize,
    /// Side that is needed in pixels.
    pub needed: usize,
}

/// Side of the pooling window.
const POOL: usize = 5;
/// Side of the last convolution.
const LAST: usize = 2;

/// The head that reads cell 2/3 of the `size.cells` cells, which stand behind `stems` stems.
pub(super) fn head(
    stages: &[Stage],
    stems: usize,
    size: &NetworkSize,
    engine: &Engine,
) -> Result<Auxiliary, AuxiliaryError> {
    let cell = 2 * size.cells / 3;
    let stage = stems + cell;
    let stride = match size.skeleton {
        Skeleton::Cifar => 3,
        Skeleton::Imagenet => 2,
    };
    let pool = Block::Pool {
        kind: PoolKind::Average,
        kernel: POOL,
        stride,
        padding: 0,
        norm: false,
    };
    let (found, _) = super::cost::stage_sizes(stages, size.image_size)[stage];
    if pool.output_side(found) < LAST {
        let needed = POOL + stride * (LAST - 1);
        return Err(AuxiliaryError {
            cell,
            image: size.image_size,
            found,
            needed,
        });
    }
    let conv = |relu, kernel, norm| Block::Conv {
        relu,
        kernel,
        stride: 1,
        padding: 0,
        bias: false,
        norm,
    };
    let inputs = stages[stage].cell.plan().output_channels();
    // The code for ImageNet leaves the second batch norm out, and so do the published weights.
    let last_norm = size.skeleton == Skeleton::Cifar;
    let plan = CellPlanBuilder::new(true)
        .input(inputs)
        .node(inputs)
        .node(128)
        .node(768)
        .edge(0, 1, [(pool, "features".to_owned(), 1)])
        .edge(1, 2, [(conv(false, 1, true), "features".to_owned(), 2)])
        .edge(2, 3, [(conv(true, LAST, last_norm), "features".to_owned(), 4)])
        .output([3]);
    Ok(Auxiliary {
        stage,
        cell: Cell::new(plan, engine),
    })
}
