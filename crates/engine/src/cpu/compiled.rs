//! What the executor runs: nodes, units and stages with their tensors and geometry, as created by
//! [`super::compile`].
//!
//! A *unit* is one choice of one edge; a *stage* is a chain of kernels within a unit, which ends
//! where a batch norm needs the whole batch.

use std::ops::Range;

use da2s_kernels::activation::ActivationFunction;
use da2s_kernels::{Padded, Squeeze, Taps, View, Window, pool, reduce::Reduce};

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
    /// The index of the input, for a source.
    pub source: Option<usize>,
    /// The sum of the node's units, kept. Sources have none: the caller holds their data.
    pub state: Option<Tensor>,
    /// Border that the operations reading it need.
    pub pad: usize,
    /// Gradients of the state and of its ReLU, for one backward sweep. The gradient of a source
    /// belongs to the caller. Its single reader reads either the ReLU or the value itself, so one
    /// tensor serves for both.
    pub gradient: Option<(Tensor, Tensor)>,
    /// First channels of the node in the output.
    pub outputs: Vec<usize>,
}

/// A pooling of a node, shared by several units.
#[derive(Debug)]
pub(super) struct SharedPool {
    pub node: usize,
    pub pool: pool::Pool,
    pub z: Tensor,
    /// First channel in the executor's moments.
    pub moments: usize,
    /// Gradient of `z`, for one backward sweep.
    pub gradient: Tensor,
}

/// One choice of one edge.
#[derive(Debug)]
pub(super) struct Unit {
    pub from: usize,
    pub to: usize,
    /// Its index in the mixture; preprocessing has none and has the weight 1.
    pub choice: Option<usize>,
    pub stages: Vec<Chain>,
}

/// A batch norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct StageNorm {
    /// First channel in the plan's statistics.
    pub statistics: usize,
    /// Positions of scale and shift in the plan's weights.
    pub affine: Option<(usize, usize)>,
}

/// A chain of kernels up to a batch norm (or to the end of the unit).
#[derive(Debug)]
pub(super) struct Chain {
    pub operation: ChainOperation,
    pub input: Shape,
    pub output: Shape,
    /// The input of the norm.
    pub z: Storage,
    /// Index of this stage among all stages of the cell.
    pub index: usize,
    /// First channel in the executor's per-image sums of the gradient.
    pub slot: usize,
    /// First channel in the executor's moments; the units of a [`SharedPool`] use the same.
    pub moments: usize,
    /// First float in the executor's tables of coefficients.
    pub table: usize,
    pub norm: Option<StageNorm>,
    /// Whether another stage follows: the gradient of what that one reads needs memory between two
    /// sweeps.
    pub inner: bool,
    /// The activation function after the norm that a following stage reads.
    pub activation: ActivationFunction,
    /// Squeeze-and-excitation of what this stage reads, with its weights.
    pub squeeze: Option<(Squeeze, PackedWeights)>,
}

/// Where the input of a norm is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// The state of the node that the unit reads.
    State,
    /// Kept until the backward pass.
    Kept(Tensor),
    /// In memory that groups of units use in turn (see [`super::schedule::Moving`]): recomputing it
    /// is cheaper than keeping it.
    Moving,
}

/// The weights of one convolution: their positions in the plan, packed, and packed for the gradient
/// of the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedWeights {
    pub at: usize,
    pub len: usize,
    pub packed: usize,
    pub packed_len: usize,
    pub transposed: usize,
    pub transposed_len: usize,
}

/// Taps of a convolution, forward and backward.
#[derive(Debug)]
pub(super) struct Walk {
    pub window: Window,
    /// The input image with its border.
    pub source: Padded,
    pub taps: Taps,
    /// The image of output gradients with its border.
    pub gradient: Padded,
    pub phases: Vec<da2s_kernels::Phase>,
}

/// What a stage computes.
#[derive(Debug)]
pub(super) enum ChainOperation {
    Identity,
    /// Index of the [`SharedPool`].
    Pool(usize),
    Relu,
    /// Another activation function of what the unit reads.
    Activation(ActivationFunction),
    /// The input channel of each output channel; `None` is zero.
    Move(Vec<Option<usize>>),
    /// ReLU comes first.
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
    /// A depthwise convolution with a norm of its own.
    Depthwise {
        relu: bool,
        walk: Walk,
        weights: PackedWeights,
    },
    /// ReLU comes first. The gradient image has the input's channels.
    Separable {
        walk: Walk,
        depthwise: PackedWeights,
        pointwise: PackedWeights,
    },
}

impl ChainOperation {
    pub fn reads_relu(&self) -> bool {
        match self {
            Self::Identity | Self::Pool(_) | Self::Activation(_) | Self::Move(_) => false,
            Self::Dense { relu, .. } | Self::Depthwise { relu, .. } => *relu,
            Self::Relu | Self::Reduce { .. } | Self::Separable { .. } => true,
        }
    }

    /// The border that a stage after the first needs around the output of the stage before it.
    pub fn inner_pad(&self) -> usize {
        match self {
            Self::Dense { walk, .. } | Self::Depthwise { walk, .. } | Self::Separable { walk, .. } => walk.source.pad,
            Self::Identity | Self::Pool(_) | Self::Relu | Self::Activation(_) | Self::Move(_) | Self::Reduce { .. } => {
                0
            }
        }
    }
}

/// A compiled cell.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub batch: usize,
    pub nodes: Vec<Node>,
    pub units: Vec<Unit>,
    pub pools: Vec<SharedPool>,
    /// Shape of one image of the output.
    pub output: Option<Shape>,
    /// Lengths of the buffers.
    pub kept_len: usize,
    pub passing_len: usize,
    pub packed_len: usize,
    pub slots: usize,
    pub tables: usize,
    pub stages: usize,
    /// Largest image with its border, largest table, largest image.
    pub padded_len: usize,
    pub table_len: usize,
    pub rows_len: usize,
    /// Largest memory of a squeeze-and-excitation.
    pub squeeze_len: usize,
}

impl Compiled {
    /// Positions of the per-image sums of `channels` channels from `slot` on, `[image][channel]`.
    /// They are contiguous because one thread merges those of all images between two sweeps;
    /// scattered sums would cost a cache miss per image and slot.
    pub(super) fn sums(&self, slot: usize, channels: usize) -> Range<usize> {
        slot * self.batch..(slot + channels) * self.batch
    }

    /// The sums of one image.
    pub(super) fn own_sums(&self, slot: usize, channels: usize, image: usize) -> Range<usize> {
        let first = slot * self.batch + image * channels;
        first..first + channels
    }
}

/// Approximate number of bytes of rows that go through a chain of kernels at a time: what fits in
/// the first-level cache besides the weights.
const ROWS_BYTES: usize = 8 << 10;

/// Number of rows of `shape` that go through at a time.
pub(super) fn rows_at_once(shape: Shape) -> usize {
    (ROWS_BYTES / (shape.width * shape.channels * 4)).clamp(1, shape.height)
}
