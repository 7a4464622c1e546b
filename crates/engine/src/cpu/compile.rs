//! Compiles a [`CellPlan`] and image sizes into what the executor runs; see [`super::compiled`].
//!
//! The cell's inputs are *source* nodes before the plan's nodes, so that preprocessing is an edge
//! like any other.

mod residual;

use da2s_kernels::{Padded, Window, activation, pool, reduce::Reduce, table};
use da2s_plan::{ActivationFunction, Block, CellPlan, Choice, ConvolutionWeights, NormWeights, PoolKind};

use self::residual::Bottleneck;
use super::compiled::{
    Chain, ChainOperation, Compiled, Node, PackedWeights, Shape, SharedPool, StageNorm, Storage, Unit, Walk,
};
use super::memory::Arena;

/// If the only stage of a unit costs at most this many multiply-adds per value, it is recomputed
/// for the backward pass: about the cost of writing a value to memory and reading it back.
const RECOMPUTE_COST: usize = 60;

/// Compiles `plan` for inputs of the given heights and widths and buffers of `batch` images.
/// Without `backward`, weights have no transposed packings: only gradients need them.
pub(super) fn compile(plan: &CellPlan, sizes: &[(usize, usize)], batch: usize, backward: bool) -> Compiled {
    let mut compiler = Compiler {
        plan,
        backward,
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
    backward: bool,
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
        // The border of a node must be known before the taps over it are created.
        for &(from, _, _, choice) in &units {
            let pad = match choice.map(|choice| choice.block) {
                None
                | Some(
                    Block::Zero { .. }
                    | Block::Identity
                    | Block::Norm
                    | Block::Relu
                    | Block::Relu6
                    | Block::HardSwish
                    | Block::Take { .. }
                    | Block::Shuffle { .. }
                    | Block::Pool { .. },
                ) => 0,
                Some(Block::FactorizedReduce) => 1,
                Some(Block::Conv { padding, .. }) => padding,
                Some(Block::Basic { kernel, .. }) => kernel / 2,
                Some(Block::Separable { kernel, dilation, .. }) => dilation * (kernel - 1) / 2,
                Some(Block::InvertedBottleneck { kernel, expansion, .. }) => match expansion {
                    1 => kernel / 2,
                    _ => 0,
                },
            };
            self.out.nodes[from].pad = self.out.nodes[from].pad.max(pad);
        }
        for (from, to, index, choice) in units {
            let stages = match choice {
                Some(choice) => self.stages(from, to, choice),
                None => vec![{
                    let (input, output) = (self.out.nodes[from].shape, self.out.nodes[to].shape);
                    self.stage(ChainOperation::Identity, input, output, None, true)
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

    fn stages(&mut self, from: usize, to: usize, choice: &Choice) -> Vec<Chain> {
        let (input, output) = (self.out.nodes[from].shape, self.out.nodes[to].shape);
        let source = input.padded(self.out.nodes[from].pad);
        let layout = choice.layout();
        let norm = layout.norms.first().map(stage_norm);
        let stage = match choice.block {
            Block::Zero { .. } | Block::Identity => self.stage(ChainOperation::Identity, input, output, None, true),
            Block::Relu => self.stage(ChainOperation::Relu, input, output, None, true),
            Block::Relu6 => self.activation(ActivationFunction::Relu6, input, output),
            Block::HardSwish => self.activation(ActivationFunction::HardSwish, input, output),
            Block::Take { .. } | Block::Shuffle { .. } => {
                let map = choice
                    .block
                    .channel_map(choice.inputs, choice.outputs)
                    .unwrap_or_default();
                self.stage(ChainOperation::Move(map), input, output, None, true)
            }
            Block::Norm => {
                // Pooling over a window of one pixel gives the norm a tensor to read. The copy is
                // cheap: this block occurs once per network, and its images are small.
                let window = Window {
                    kernel: 1,
                    stride: 1,
                    dilation: 1,
                    padding: 0,
                };
                let pool = self.pool(from, PoolKind::Average, window);
                self.stage(ChainOperation::Pool(pool), input, output, norm, true)
            }
            Block::Pool {
                kind,
                kernel,
                stride,
                padding,
                ..
            } => {
                let window = Window {
                    kernel,
                    stride,
                    dilation: 1,
                    padding,
                };
                let pool = self.pool(from, kind, window);
                self.stage(ChainOperation::Pool(pool), input, output, norm, true)
            }
            Block::FactorizedReduce => {
                let reduce = Reduce {
                    image: source,
                    outputs: output.channels,
                };
                // The kernels of the two halves are adjacent: a single matrix.
                let at = layout.convolutions[0].kernel.offset;
                let len = input.channels * output.channels;
                let weights = self.place_weights(at, len, reduce.packed_len(), reduce.transposed_len());
                self.stage(ChainOperation::Reduce { reduce, weights }, input, output, norm, true)
            }
            Block::Conv {
                relu,
                kernel,
                stride,
                padding,
                ..
            } => {
                let window = Window {
                    kernel,
                    stride,
                    dilation: 1,
                    padding,
                };
                let walk = self.walk(window, input, output, source, output.channels);
                let ConvolutionWeights { kernel, bias } = &layout.convolutions[0];
                let weights = self.place_weights(
                    kernel.offset,
                    window.taps() * input.channels * output.channels,
                    window.taps() * input.channels * table::rounded(output.channels),
                    window.taps() * output.channels * table::rounded(input.channels),
                );
                self.stage(
                    ChainOperation::Dense {
                        relu,
                        walk,
                        weights,
                        bias: bias.as_ref().map(|bias| bias.offset),
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
                    let [depthwise, pointwise] =
                        [2 * index, 2 * index + 1].map(|at| layout.convolutions[at].kernel.offset);
                    let depthwise = self.place_weights(depthwise, window.taps() * input.channels, tables, 0);
                    let pointwise = self.place_weights(
                        pointwise,
                        input.channels * to.channels,
                        input.channels * table::rounded(to.channels),
                        to.channels * table::rounded(input.channels),
                    );
                    let norm = stage_norm(&layout.norms[index]);
                    let operation = ChainOperation::Separable {
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
            Block::InvertedBottleneck {
                relu,
                kernel,
                stride,
                expansion,
                activation,
                squeeze: _,
            } => {
                let bottleneck = Bottleneck {
                    relu,
                    kernel,
                    stride,
                    expansion,
                    activation: activation_kernel(activation),
                };
                return self.inverted_bottleneck([input, output], source, bottleneck, (choice, &layout));
            }
            Block::Basic { kernel, stride } => return self.basic([input, output], source, &layout, (kernel, stride)),
        };
        vec![stage]
    }

    fn activation(&mut self, function: ActivationFunction, input: Shape, output: Shape) -> Chain {
        self.stage(
            ChainOperation::Activation(activation_kernel(function)),
            input,
            output,
            None,
            true,
        )
    }

    fn stage(
        &mut self,
        operation: ChainOperation,
        input: Shape,
        output: Shape,
        norm: Option<StageNorm>,
        only: bool,
    ) -> Chain {
        let z = match &operation {
            ChainOperation::Identity => Storage::State,
            ChainOperation::Pool(pool) => Storage::Kept(self.out.pools[*pool].z),
            ChainOperation::Separable { walk, .. } if only && walk.taps.len() + input.channels <= RECOMPUTE_COST => {
                Storage::Moving
            }
            ChainOperation::Relu
            | ChainOperation::Activation(_)
            | ChainOperation::Move(_)
            | ChainOperation::Reduce { .. }
            | ChainOperation::Dense { .. }
            | ChainOperation::Depthwise { .. }
            | ChainOperation::Separable { .. } => Storage::Kept(self.kept.place(output.len())),
        };
        let index = self.out.stages;
        self.out.stages += 1;
        let table_len = table::length(output.channels);
        let (slot, table) = (self.out.slots, self.out.tables);
        self.out.slots += output.channels;
        self.out.tables += table_len;
        self.out.table_len = self.out.table_len.max(table_len);
        let moments = if let ChainOperation::Pool(pool) = operation {
            self.out.pools[pool].moments
        } else {
            slot
        };
        Chain {
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
            activation: activation::ActivationFunction::Relu,
            squeeze: None,
        }
    }

    fn pool(&mut self, node: usize, kind: PoolKind, window: Window) -> usize {
        let kind = match kind {
            PoolKind::Max => pool::Pooling::Max,
            PoolKind::Average => pool::Pooling::Average,
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

    fn place_weights(&mut self, at: usize, len: usize, packed_len: usize, transposed_len: usize) -> PackedWeights {
        let transposed_len = if self.backward { transposed_len } else { 0 };
        let packed = self.out.packed_len;
        let transposed = packed + packed_len.next_multiple_of(16);
        self.out.packed_len = transposed + transposed_len.next_multiple_of(16);
        PackedWeights {
            at,
            len,
            packed,
            packed_len,
            transposed,
            transposed_len,
        }
    }
}

/// The current position, which advances by `len`.
fn take(at: &mut usize, len: usize) -> usize {
    *at += len;
    *at - len
}

const fn activation_kernel(function: ActivationFunction) -> activation::ActivationFunction {
    match function {
        ActivationFunction::Relu => activation::ActivationFunction::Relu,
        ActivationFunction::Relu6 => activation::ActivationFunction::Relu6,
        ActivationFunction::HardSwish => activation::ActivationFunction::HardSwish,
    }
}

fn stage_norm(norm: &NormWeights) -> StageNorm {
    let affine = norm.affine.as_ref();
    StageNorm {
        statistics: norm.statistics.offset,
        affine: affine.map(|[gamma, beta]| (gamma.offset, beta.offset)),
    }
}
