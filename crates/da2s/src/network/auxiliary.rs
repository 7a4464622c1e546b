//! The auxiliary head: a second classifier at two thirds of the depth, which helps training.
//!
//! Reference: Liu, Simonyan, Yang 2019 and its code: ReLU → 5×5 mean pooling → 1×1 convolution to
//! 128 → batch norm → ReLU → 2×2 convolution to 768 → batch norm → ReLU → classifier. Here a global
//! mean precedes the classifier; it has no effect on an image of one pixel, as in the published
//! settings.

use da2s_engine::{Block, Cell, CellPlanBuilder, Engine, PoolKind};

use crate::backbone::{Auxiliary, NetworkSize, NetworkStage, Skeleton, Stem};

/// An image that is too small for an auxiliary head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an auxiliary head needs at least {needed}×{needed} pixels after cell {cell}, but an image of {image}×{image} \
     leaves {found}×{found} there: set network.auxiliary = false or use larger images"
)]
pub struct AuxiliaryError {
    /// Cell that the head reads.
    pub cell: usize,
    /// Side of an image in pixels.
    pub image: usize,
    /// Side after the cell in pixels.
    pub found: usize,
    /// Required side in pixels.
    pub needed: usize,
}

/// Side of the pooling window.
const POOL: usize = 5;
/// Side of the last convolution.
const LAST: usize = 2;

/// The slot of `skeleton` that the auxiliary head of a network of `size` reads; `None` for a
/// network without a head.
///
/// # Errors
/// If the image is too small for a head.
pub(crate) fn slot(skeleton: &Skeleton, size: &NetworkSize) -> Result<Option<usize>, AuxiliaryError> {
    let Some(slot) = skeleton.auxiliary.filter(|_| size.auxiliary) else {
        return Ok(None);
    };
    let found = (0..skeleton.halvings(slot)).fold(size.image_size, |side, _| side.div_ceil(2));
    let pool = pool(size.stem);
    if pool.output_side(found) >= LAST {
        return Ok(Some(slot));
    }
    Err(AuxiliaryError {
        cell: 2 * size.cells / 3,
        image: size.image_size,
        found,
        needed: POOL + pool.stride() * (LAST - 1),
    })
}

/// The pooling that makes images of every size small enough for the convolutions of the head.
fn pool(stem: Stem) -> Block {
    let stride = match stem {
        Stem::Cifar => 3,
        Stem::Imagenet => 2,
    };
    Block::Pool {
        kind: PoolKind::Average,
        kernel: POOL,
        stride,
        padding: 0,
        norm: false,
    }
}

/// The head on stage `at` of `stages`.
pub(super) fn head(stages: &[NetworkStage], at: usize, stem: Stem, engine: &Engine) -> Auxiliary {
    let conv = |relu, kernel, norm| Block::Conv {
        relu,
        kernel,
        stride: 1,
        padding: 0,
        bias: false,
        norm,
    };
    let inputs = stages[at].cell.plan().output_channels();
    // The code for ImageNet omits the second batch norm, and so do the published weights.
    let last_norm = stem == Stem::Cifar;
    let plan = CellPlanBuilder::new(true)
        .input(inputs)
        .node(inputs)
        .node(128)
        .node(768)
        .edge(0, 1, [(pool(stem), "features".to_owned(), 1)])
        .edge(1, 2, [(conv(false, 1, true), "features".to_owned(), 2)])
        .edge(2, 3, [(conv(true, LAST, last_norm), "features".to_owned(), 4)])
        .output([3]);
    Auxiliary {
        stage: at,
        cell: Cell::new(plan, engine),
    }
}
