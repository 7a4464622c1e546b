//! From a [`CellPlan`] and sizes to what the executor runs: nodes, units and stages with their tensors and geometry.
//!
//! The cell's inputs are *source* nodes in front of the plan's nodes, so that preprocessing is an edge like any other. A *unit* is
//! one choice of one edge; a *stage* is one kernel chain of it that ends where a batch norm must know the whole batch.

use std::ops::Range;

use da2s_kernels::{Padded, Taps, View, Window, pool, reduce::Reduce, table};

use super::memory::{Arena, Tensor};
use crate::block::{Block, PoolKind};
use crate::plan::{CellPlan, Choice};

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
    /// Gradient of the state and of its ReLU, for one backward pass. A source's is the caller's; its one reader either
    /// reads the ReLU or does not, so that there one tensor serves for both.
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
    pub stages: Vec<Stage>,
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
pub(super) struct Stage {
    pub operation: Operation,
    pub input: Shape,
    pub output: Shape,
    /// What the norm reads.
    pub z: Place,
    /// Its number among all stages of the cell.
    pub index: usize,
    /// First channel in the executor's per-image sums of the gradient, and of moments (shared pools: one for all).
    pub slot: usize,
    pub moments: usize,
    /// First float in the executor's tables of coefficients.
    pub table: usize,
    pub norm: Option<StageNorm>,
    /// Whether another stage follows: then the gradient of ReLU(norm(z)) takes memory between two passes.
    pub inner: bool,
}

/// Where what a norm reads lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the state of the node that the unit reads.
    State,
    /// Kept until the backward run.
    Kept(Tensor),
    /// In memory that groups of units use by turns (see [`super::schedule::Moving`]): cheaper to compute again than to keep.
    Moving,
}

/// Multiply-adds a value up to which the only stage of a unit is computed again for the backward run: about what it costs to write a value
/// to memory and to read it back.
const RECOMPUTE_COST: usize = 60;

/// Weights of one convolution: where they lie in the plan, packed, and packed for the gradient of the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
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
pub(super) enum Operation {
    Identity,
    /// Index of the [`SharedPool`].
    Pool(usize),
    /// Which input channel each output channel is; `None` is zero.
    Move(Vec<Option<usize>>),
    /// ReLU first.
    Reduce {
        reduce: Reduce,
        weights: Weights,
    },
    Dense {
        relu: bool,
        walk: Walk,
        weights: Weights,
        bias: Option<usize>,
    },
    /// ReLU first. The gradient image has the input's channels.
    Separable {
        walk: Walk,
        depthwise: Weights,
        pointwise: Weights,
    },
}

impl Operation {
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
    /// Where the per-image sums of `channels` channels from `slot` on lie, `[image][channel]`: together, since those of all images are
    /// merged between two passes, on one thread, and one place an image and slot would be as many cache misses.
    pub(super) fn sums(&self, slot: usize, channels: usize) -> Range<usize> {
        slot * self.batch..(slot + channels) * self.batch
    }

    /// Those of one image.
    pub(super) fn own_sums(&self, slot: usize, channels: usize, image: usize) -> Range<usize> {
        let first = slot * self.batch + image * channels;
        first..first + channels
    }
}

/// About how many bytes of rows pass through a chain of kernels at once: what the first cache holds besides the weights.
const ROWS_BYTES: usize = 8 << 10;

/// Rows of `shape` that pass at once.
pub(super) fn rows_at_once(shape: Shape) -> usize {
    (ROWS_BYTES / (shape.width * shape.channels * 4)).clamp(1, shape.height)
}

/// Compiles `plan` for inputs of the given heights and widths and buffers of `batch` images.
pub(super) fn compile(plan: &CellPlan, sizes: &[(usize, usize)], batch: usize) -> Compiled {
    let mut compiler = Compiler {
        plan,
        kept: Arena::new(batch),
        passing: Arena::new(batch),
        out: Compiled {
            batch,
            ..Compiled::default()
        },
    };
    compiler.nodes(sizes);
    compiler.units();
    let mut out = compiler.out;
    out.kept_len = compiler.kept.len();
    out.passing_len = compiler.passing.len();
    out
}

struct Compiler<'a> {
    plan: &'a CellPlan,
    kept: Arena,
    passing: Arena,
    out: Compiled,
}

impl Compiler<'_> {
    fn nodes(&mut self, sizes: &[(usize, usize)]) {
        let plan = self.plan;
        let node_sizes = plan.node_sizes(sizes);
        let sources = sizes
            .iter()
            .zip(&plan.input_channels)
            .map(|(&size, &channels)| (size, channels));
        let nodes = node_sizes
            .iter()
            .zip(&plan.node_channels)
            .map(|(&size, &channels)| (size, channels));
        for (index, ((height, width), channels)) in sources.chain(nodes).enumerate() {
            let shape = Shape {
                height,
                width,
                channels,
            };
            let source = (index < sizes.len()).then_some(index);
            self.out.nodes.push(Node {
                shape,
                source,
                state: source.is_none().then(|| self.kept.place(shape.len())),
                pad: 0,
                gradient: source
                    .is_none()
                    .then(|| (self.passing.place(shape.len()), self.passing.place(shape.len()))),
                outputs: Vec::new(),
            });
        }
        let mut channel = 0;
        for &node in &plan.output {
            let node = &mut self.out.nodes[sizes.len() + node];
            node.outputs.push(channel);
            channel += node.shape.channels;
            self.out.output = Some(Shape {
                channels: channel,
                ..node.shape
            });
        }
    }

    fn units(&mut self) {
        let plan = self.plan;
        let sources = plan.input_channels.len();
        let mut units: Vec<(usize, usize, Option<usize>, Option<&Choice>)> = Vec::new();
        for (input, choice) in plan.preprocess.iter().enumerate() {
            units.push((input, sources + input, None, choice.as_ref()));
        }
        let mut index = 0;
        for edge in &plan.edges {
            for choice in &edge.choices {
                if !matches!(choice.block, Block::Zero { .. }) {
                    units.push((sources + edge.from, sources + edge.to, Some(index), Some(choice)));
                }
                index += 1;
            }
        }
        // The border of a node must be known before the walks over it are made.
        for &(from, _, _, choice) in &units {
            let pad = match choice.map(|choice| choice.block) {
                None
                | Some(
                    Block::Zero { .. }
                    | Block::Identity
                    | Block::Norm
                    | Block::Take { .. }
                    | Block::Shuffle { .. }
                    | Block::Pool { .. },
                ) => 0,
                Some(Block::FactorizedReduce) => 1,
                Some(Block::Conv { padding, .. }) => padding,
                Some(Block::Separable { kernel, dilation, .. }) => dilation * (kernel - 1) / 2,
            };
            self.out.nodes[from].pad = self.out.nodes[from].pad.max(pad);
        }
        for (from, to, index, choice) in units {
            let stages = match choice {
                Some(choice) => self.stages(from, to, choice),
                None => vec![{
                    let (input, output) = (self.out.nodes[from].shape, self.out.nodes[to].shape);
                    self.stage(Operation::Identity, input, output, None, true)
                }],
            };
            self.out.units.push(Unit {
                from,
                to,
                choice: index,
                stages,
            });
        }
        for node in &self.out.nodes {
            self.out.padded_len = self.out.padded_len.max(node.shape.padded(node.pad).len());
            self.out.rows_len = self.out.rows_len.max(node.shape.len());
        }
    }

    fn stages(&mut self, from: usize, to: usize, choice: &Choice) -> Vec<Stage> {
        let (input, output) = (self.out.nodes[from].shape, self.out.nodes[to].shape);
        let source = input.padded(self.out.nodes[from].pad);
        let mut weights = choice.weight_offset;
        let mut statistics = choice.norm_offset;
        let stage = match choice.block {
            Block::Zero { .. } | Block::Identity => self.stage(Operation::Identity, input, output, None, true),
            Block::Take { .. } | Block::Shuffle { .. } => {
                let map = choice
                    .block
                    .channel_map(choice.inputs, choice.outputs)
                    .unwrap_or_default();
                self.stage(Operation::Move(map), input, output, None, true)
            }
            Block::Norm => {
                // A window of one pixel gives the norm a tensor to read: this block stands once in a network, where the image is small.
                let window = Window {
                    kernel: 1,
                    stride: 1,
                    dilation: 1,
                    padding: 0,
                };
                let pool = self.pool(from, PoolKind::Average, window);
                let norm = stage_norm(choice, output.channels, &mut weights, &mut statistics);
                self.stage(Operation::Pool(pool), input, output, Some(norm), true)
            }
            Block::Pool {
                kind,
                kernel,
                stride,
                padding,
                norm,
            } => {
                let window = Window {
                    kernel,
                    stride,
                    dilation: 1,
                    padding,
                };
                let pool = self.pool(from, kind, window);
                let norm = norm.then(|| stage_norm(choice, output.channels, &mut weights, &mut statistics));
                self.stage(Operation::Pool(pool), input, output, norm, true)
            }
            Block::FactorizedReduce => {
                let reduce = Reduce {
                    image: source,
                    outputs: output.channels,
                };
                let len = input.channels * output.channels;
                let both = self.place_weights(&mut weights, len, reduce.packed_len(), reduce.transposed_len());
                let norm = stage_norm(choice, output.channels, &mut weights, &mut statistics);
                self.stage(
                    Operation::Reduce { reduce, weights: both },
                    input,
                    output,
                    Some(norm),
                    true,
                )
            }
            Block::Conv {
                relu,
                kernel,
                stride,
                padding,
                bias,
                norm,
            } => {
                let window = Window {
                    kernel,
                    stride,
                    dilation: 1,
                    padding,
                };
                let walk = self.walk(window, input, output, source, output.channels);
                let matrix = self.place_weights(
                    &mut weights,
                    window.taps() * input.channels * output.channels,
                    window.taps() * input.channels * table::rounded(output.channels),
                    window.taps() * output.channels * table::rounded(input.channels),
                );
                let bias = bias.then(|| take(&mut weights, output.channels));
                let norm = norm.then(|| stage_norm(choice, output.channels, &mut weights, &mut statistics));
                self.stage(
                    Operation::Dense {
                        relu,
                        walk,
                        weights: matrix,
                        bias,
                    },
                    input,
                    output,
                    norm,
                    true,
                )
            }
            Block::Separable {
                kernel,
                stride,
                dilation,
                stages,
            } => {
                let mut made = Vec::with_capacity(stages);
                for index in 0..stages {
                    let last = index + 1 == stages;
                    let first = index == 0;
                    let window = Window::same(kernel, if first { stride } else { 1 }, dilation);
                    let inner = Shape {
                        channels: input.channels,
                        ..output
                    };
                    let from = if first { input } else { inner };
                    let to = if last { output } else { inner };
                    let padded = if first { source } else { inner.padded(window.padding) };
                    let walk = self.walk(window, from, to, padded, input.channels);
                    let tables = window.taps() * table::length(input.channels);
                    let depthwise = self.place_weights(&mut weights, window.taps() * input.channels, tables, 0);
                    let pointwise = self.place_weights(
                        &mut weights,
                        input.channels * to.channels,
                        input.channels * table::rounded(to.channels),
                        to.channels * table::rounded(input.channels),
                    );
                    let norm = stage_norm(choice, to.channels, &mut weights, &mut statistics);
                    let operation = Operation::Separable {
                        walk,
                        depthwise,
                        pointwise,
                    };
                    let mut stage = self.stage(operation, from, to, Some(norm), stages == 1);
                    stage.inner = !last;
                    made.push(stage);
                }
                return made;
            }
        };
        vec![stage]
    }

    fn stage(
        &mut self,
        operation: Operation,
        input: Shape,
        output: Shape,
        norm: Option<StageNorm>,
        only: bool,
    ) -> Stage {
        let z = match &operation {
            Operation::Identity => Place::State,
            Operation::Pool(pool) => Place::Kept(self.out.pools[*pool].z),
            Operation::Separable { walk, .. } if only && walk.taps.len() + input.channels <= RECOMPUTE_COST => {
                Place::Moving
            }
            Operation::Move(_) | Operation::Reduce { .. } | Operation::Dense { .. } | Operation::Separable { .. } => {
                Place::Kept(self.kept.place(output.len()))
            }
        };
        let index = self.out.stages;
        self.out.stages += 1;
        let table_len = table::length(output.channels);
        let (slot, table) = (self.out.slots, self.out.tables);
        self.out.slots += output.channels;
        self.out.tables += table_len;
        self.out.table_len = self.out.table_len.max(table_len);
        let moments = if let Operation::Pool(pool) = operation {
            self.out.pools[pool].moments
        } else {
            slot
        };
        Stage {
            operation,
            input,
            output,
            z,
            slot,
            moments,
            table,
            norm,
            index,
            inner: false,
        }
    }

    fn pool(&mut self, node: usize, kind: PoolKind, window: Window) -> usize {
        let kind = match kind {
            PoolKind::Max => pool::Kind::Max,
            PoolKind::Average => pool::Kind::Average,
        };
        let same =
            |shared: &SharedPool| shared.node == node && shared.pool.kind == kind && shared.pool.window == window;
        if let Some(at) = self.out.pools.iter().position(same) {
            return at;
        }
        let Shape {
            height,
            width,
            channels,
        } = self.out.nodes[node].shape;
        let len = window.output(height) * window.output(width) * channels;
        let moments = take(&mut self.out.slots, channels);
        self.out.pools.push(SharedPool {
            node,
            pool: pool::Pool {
                kind,
                window,
                height,
                width,
                channels,
            },
            z: self.kept.place(len),
            moments,
            gradient: self.passing.place(len),
        });
        self.out.pools.len() - 1
    }

    fn walk(&mut self, window: Window, input: Shape, output: Shape, source: Padded, channels: usize) -> Walk {
        let pad = window.transposed_pad((input.height, input.width));
        let gradient = Shape { channels, ..output }.padded(pad);
        self.out.padded_len = self.out.padded_len.max(gradient.len()).max(source.len());
        self.out.rows_len = self.out.rows_len.max(output.len()).max(gradient.len());
        Walk {
            window,
            source,
            taps: window.walk(&source),
            gradient,
            phases: window.transposed(&gradient),
        }
    }

    fn place_weights(&mut self, at: &mut usize, len: usize, packed_len: usize, transposed_len: usize) -> Weights {
        let packed = self.out.packed_len;
        let transposed = packed + packed_len.next_multiple_of(16);
        self.out.packed_len = transposed + transposed_len.next_multiple_of(16);
        Weights {
            at: take(at, len),
            len,
            packed,
            packed_len,
            transposed,
            transposed_len,
        }
    }
}

/// The present position, which moves on by `len`.
fn take(at: &mut usize, len: usize) -> usize {
    *at += len;
    *at - len
}

fn stage_norm(choice: &Choice, channels: usize, weights: &mut usize, statistics: &mut usize) -> StageNorm {
    let affine = choice
        .affine
        .then(|| (take(weights, channels), take(weights, channels)));
    StageNorm {
        statistics: take(statistics, channels),
        affine,
    }
}
