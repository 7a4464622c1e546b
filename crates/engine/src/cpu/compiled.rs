//! What the executor runs: nodes, units and stages with their tensors and geometry, as
//! [`super::compile`] makes them.
//!
//! A *unit* is one choice of one edge; a *stage* is one kernel chain of it that ends where a batch
//! norm must know the whole batch.

use std::ops::Range;

use da2s_kernels::{Padded, Taps, View, Window, pool, reduce::Reduce};

use super::memory::Tensor;

/// Height, width, channels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Shape {
    pub fn pixels(self) -> usize {
        self.height * self.width
    }

    pub fn len(self) -> usize {
        self.pixels() * self.channels
    }

    pub fn padded(self, pad: usize) -> Padded {
        Padded {
            height: self.height,
            width: self.width,
            channels: self.channels,
            pad,
        }
    }

    pub fn packed(self) -> View {
        View::packed(self.width, self.channels)
    }
}

/// A source or a node of the plan.
#[derive(Debug)]
pub(super) struct Node {
    pub shape: Shape,
    /// The input that it is, for a source.
    pub source: Option<usize>,
    /// Sum of its units, kept. Sources have none: they are the caller's.
    pub state: Option<Tensor>,
    /// Border that the operations reading it need.
    pub pad: usize,
    /// Gradient of the state and of its ReLU, for one backward pass. A source's is the caller's;
    /// its one reader either reads the ReLU or does not, so that there one tensor serves for both.
    pub gradient: Option<(Tensor, Tensor)>,
    /// First channels in the output.
    pub outputs: Vec<usize>,
}

/// A pooling of a node that several units share.
#[derive(Debug)]
pub(super) struct SharedPool {
    pub node: usize,
    pub pool: pool::Pool,
    pub z: Tensor,
    /// First channel in the executor's moments.
    pub moments: usize,
    /// Gradient of `z`, for one backward pass.
    pub gradient: Tensor,
}

/// One choice of one edge.
#[derive(Debug)]
pub(super) struct Unit {
    pub from: usize,
    pub to: usize,
    /// Its place in the mixture; preprocessing has none and weighs 1.
    pub choice: Option<usize>,
    pub stages: Vec<Chain>,
}

/// A batch norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct StageNorm {
    /// First channel in the plan's statistics.
    pub statistics: usize,
    /// Where scale and shift lie in the plan's weights.
    pub affine: Option<(usize, usize)>,
}

/// A chain of kernels up to a batch norm (or to the end of the unit).
#[derive(Debug)]
pub(super) struct Chain {
    pub operation: ChainOperation,
    pub input: Shape,
    pub output: Shape,
    /// What the norm reads.
    pub z: Storage,
    /// Its number among all stages of the cell.
    pub index: usize,
    /// First channel in the executor's per-image sums of the gradient, and of moments (shared
    /// pools: one for all).
    pub slot: usize,
    pub moments: usize,
    /// First float in the executor's tables of coefficients.
    pub table: usize,
    pub norm: Option<StageNorm>,
    /// Whether another stage follows: then the gradient of ReLU(norm(z)) takes memory between two
    /// passes.
    pub inner: bool,
}

/// Where what a norm reads lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// It is the state of the node that the unit reads.
    State,
    /// Kept until the backward run.
    Kept(Tensor),
    /// In memory that groups of units use by turns (see [`super::schedule::Moving`]): cheaper to
    /// compute again than to keep.
    Moving,
}

/// Weights of one convolution: where they lie in the plan, packed, and packed for the gradient of
/// the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedWeights {
    pub at: usize,
    pub len: usize,
    pub packed: usize,
    pub packed_len: usize,
    pub transposed: usize,
    pub transposed_len: usize,
}

/// Taps of a convolution, forth and back.
#[derive(Debug)]
pub(super) struct Walk {
    pub window: Window,
    /// The image that is read, in its border.
    pub source: Padded,
    pub taps: Taps,
    /// The image of output gradients, in its border.
    pub gradient: Padded,
    pub phases: Vec<da2s_kernels::Phase>,
}

/// What a stage computes.
#[derive(Debug)]
pub(super) enum ChainOperation {
    Identity,
    /// Index of the [`SharedPool`].
    Pool(usize),
    /// Which input channel each output channel is; `None` is zero.
    Move(Vec<Option<usize>>),
    /// ReLU first.
    Reduce {
        reduce: Reduce,
        weights: PackedWeights,
    },
    Dense {
        relu: bool,
        walk: Walk,
        weights: PackedWeights,
        bias: Option<usize>,
    },
    /// ReLU first. The gradient image has the input's channels.
    Separable {
        walk: Walk,
        depthwise: PackedWeights,
        pointwise: PackedWeights,
    },
}

impl ChainOperation {
    pub fn reads_relu(&self) -> bool {
        match self {
            Self::Identity | Self::Pool(_) | Self::Move(_) => false,
            Self::Dense { relu, .. } => *relu,
            Self::Reduce { .. } | Self::Separable { .. } => true,
        }
    }
}

/// All of a cell.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub batch: usize,
    pub nodes: Vec<Node>,
    pub units: Vec<Unit>,
    pub pools: Vec<SharedPool>,
    /// Floats of an image of the output, and its channels.
    pub output: Option<Shape>,
    /// Lengths of the buffers.
    pub kept_len: usize,
    pub passing_len: usize,
    pub packed_len: usize,
    pub slots: usize,
    pub tables: usize,
    pub stages: usize,
    /// Largest image in its border, largest of any table, largest image.
    pub padded_len: usize,
    pub table_len: usize,
    pub rows_len: usize,
}

impl Compiled {
    /// Where the per-image sums of `channels` channels from `slot` on lie, `[image][channel]`:
    /// together, since those of all images are merged between two passes, on one thread, and one
    /// place an image and slot would be as many cache misses.
    pub(super) fn sums(&self, slot: usize, channels: usize) -> Range<usize> {
        slot * self.batch..(slot + channels) * self.batch
    }

    /// Those of one image.
    pub(super) fn own_sums(&self, slot: usize, channels: usize, image: usize) -> Range<usize> {
        let first = slot * self.batch + image * channels;
        first..first + channels
    }
}

/// About how many bytes of rows pass through a chain of kernels at once: what the first cache holds
/// besides the weights.
const ROWS_BYTES: usize = 8 << 10;

/// Rows of `shape` that pass at once.
pub(super) fn rows_at_once(shape: Shape) -> usize {
    (ROWS_BYTES / (shape.width * shape.channels * 4)).clamp(1, shape.height)
}
