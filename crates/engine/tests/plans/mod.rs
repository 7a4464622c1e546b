//! Small cells of every kind, and numbers to test them with.
#![allow(dead_code)]

use da2s_engine::{ActivationFunction, Block, CellPlan, CellPlanBuilder, PoolKind};

/// A stream of numbers in −1 … 1, exact in f32, the same in every run.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn take(&mut self, count: usize) -> Vec<f64> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 40) as f64 / (1 << 23) as f64 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }
}

const PREPROCESS: Block = Block::Conv {
    relu: true,
    kernel: 1,
    stride: 1,
    padding: 0,
    bias: false,
    norm: true,
};

fn separable(kernel: usize, stride: usize, dilation: usize) -> Block {
    Block::Separable {
        kernel,
        stride,
        dilation,
        stages: if dilation == 1 { 2 } else { 1 },
    }
}

fn pool(kind: PoolKind, stride: usize, norm: bool) -> Block {
    Block::Pool {
        kind,
        kernel: 3,
        stride,
        padding: 1,
        norm,
    }
}

/// The candidates of the DARTS space at `stride`.
pub fn candidates(stride: usize) -> Vec<Block> {
    vec![
        pool(PoolKind::Max, stride, true),
        pool(PoolKind::Average, stride, true),
        if stride == 1 {
            Block::Identity
        } else {
            Block::FactorizedReduce
        },
        separable(3, stride, 1),
        separable(5, stride, 1),
        separable(3, stride, 2),
        separable(5, stride, 2),
    ]
}

fn named(blocks: Vec<Block>) -> impl Iterator<Item = (Block, String, usize)> {
    blocks
        .into_iter()
        .enumerate()
        .map(|(at, block)| (block, format!("op.{at}"), 0))
}

fn search_cell(inputs: [usize; 2], channels: usize, nodes: usize, stride: usize) -> CellPlan {
    let mut builder = CellPlanBuilder::new(false);
    for input in inputs {
        builder = builder.preprocessed_input(input, channels, PREPROCESS, "preprocess", 0);
    }
    for node in 2..2 + nodes {
        builder = builder.node(channels);
        for from in 0..node {
            let stride = if from < 2 { stride } else { 1 };
            builder = builder.edge(from, node, named(candidates(stride)));
        }
    }
    builder.output(2..2 + nodes)
}

/// A normal cell of the super-network.
pub fn darts(inputs: usize, channels: usize, nodes: usize) -> CellPlan {
    search_cell([inputs; 2], channels, nodes, 1)
}

/// A reduction cell of the super-network.
pub fn reduction(inputs: usize, channels: usize) -> CellPlan {
    search_cell([inputs; 2], channels, 3, 2)
}

/// A cell of the final network after a reduction cell: affine norms, one block per edge.
pub fn final_network(inputs: usize, channels: usize) -> CellPlan {
    CellPlanBuilder::new(true)
        .preprocessed_input(inputs, channels, Block::FactorizedReduce, "preprocess0", 0)
        .preprocessed_input(inputs + 1, channels, PREPROCESS, "preprocess1", 0)
        .node(channels)
        .node(channels)
        .edge(0, 2, named(vec![separable(3, 1, 1)]))
        .edge(1, 2, named(vec![pool(PoolKind::Max, 1, false)]))
        .edge(1, 3, named(vec![Block::Identity]))
        .edge(2, 3, named(vec![separable(5, 1, 2)]))
        .output([2, 3])
}

/// A cell of NAS-Bench-201's super-network; the output is its last node.
pub fn nas_bench_201(channels: usize) -> CellPlan {
    let conv = |kernel: usize| Block::Conv {
        relu: true,
        kernel,
        stride: 1,
        padding: kernel / 2,
        bias: false,
        norm: true,
    };
    let choices = || {
        named(vec![
            Block::Zero { stride: 1 },
            Block::Identity,
            conv(1),
            conv(3),
            pool(PoolKind::Average, 1, false),
        ])
    };
    let mut builder = CellPlanBuilder::new(true).input(channels);
    for node in 1..4 {
        builder = builder.node(channels);
        for from in 0..node {
            builder = builder.edge(from, node, choices());
        }
    }
    builder.output([3])
}

/// A node of convolutions and pools with every kernel side, at `stride`; the padding allows images
/// smaller than a kernel.
pub fn every_side(channels: usize, stride: usize) -> CellPlan {
    let conv = |kernel: usize| Block::Conv {
        relu: true,
        kernel,
        stride,
        padding: kernel / 2,
        bias: true,
        norm: true,
    };
    let pool = |kind, kernel: usize| Block::Pool {
        kind,
        kernel,
        stride,
        padding: kernel / 2,
        norm: true,
    };
    let of_side = |kernel: usize| {
        [
            conv(kernel),
            separable(kernel, stride, 1),
            separable(kernel, stride, 2),
            pool(PoolKind::Max, kernel),
            pool(PoolKind::Average, kernel),
        ]
    };
    CellPlanBuilder::new(false)
        .input(channels)
        .node(channels)
        .edge(0, 1, named([1, 3, 5, 7, 9].into_iter().flat_map(of_side).collect()))
        .output([1])
}

/// A stem: convolutions of stride 2 with and without ReLU before them.
pub fn stem() -> CellPlan {
    let conv = |relu: bool| Block::Conv {
        relu,
        kernel: 3,
        stride: 2,
        padding: 1,
        bias: false,
        norm: true,
    };
    CellPlanBuilder::new(true)
        .input(3)
        .node(5)
        .node(18)
        .edge(0, 1, named(vec![conv(false)]))
        .edge(1, 2, named(vec![conv(true)]))
        .output([2])
}

/// A chain of layers as in the space `mobile`: a step down to other channels, and a layer with a
/// residual, each a mixture of inverted bottlenecks and a residual block.
pub fn chain(inputs: usize, channels: usize, stride: usize) -> CellPlan {
    let bottlenecks = |relu: bool, stride: usize| {
        let bottleneck = move |(kernel, expansion)| Block::InvertedBottleneck {
            relu,
            kernel,
            stride,
            expansion,
            activation: ActivationFunction::Relu,
            squeeze: false,
        };
        let bottlenecks = [(3, 1), (3, 3), (5, 2), (7, 1), (7, 6)].map(bottleneck);
        [&bottlenecks[..], &[Block::Basic { kernel: 3, stride }]].concat()
    };
    let residual = [bottlenecks(false, 1), vec![Block::Identity]].concat();
    CellPlanBuilder::new(true)
        .input(inputs)
        .node(channels)
        .node(channels)
        .edge(0, 1, named(bottlenecks(true, stride)))
        .edge(1, 2, named(residual))
        .output([2])
}

/// The same with other activation functions, and each of these functions alone.
pub fn activated_chain(inputs: usize, channels: usize, stride: usize) -> CellPlan {
    let functions = [ActivationFunction::Relu6, ActivationFunction::HardSwish];
    let bottlenecks = |relu: bool, stride: usize| {
        let shapes = [(3, 1), (5, 2), (7, 3)].into_iter();
        let of = move |(kernel, expansion)| {
            functions.map(|activation| Block::InvertedBottleneck {
                relu,
                kernel,
                stride,
                expansion,
                activation,
                squeeze: false,
            })
        };
        shapes.flat_map(of).collect::<Vec<Block>>()
    };
    let alone = functions.map(ActivationFunction::block).to_vec();
    CellPlanBuilder::new(true)
        .input(inputs)
        .node(channels)
        .node(channels)
        .node(channels)
        .edge(0, 1, named(bottlenecks(true, stride)))
        .edge(
            1,
            2,
            named([bottlenecks(false, 1), vec![Block::Identity], alone.clone()].concat()),
        )
        // One node is read through other activation functions and through ReLU; they share nothing.
        .edge(2, 3, named([alone, bottlenecks(true, 1)].concat()))
        .output([1, 3])
}

/// Layers with squeeze-and-excitation: a step down to other channels, and one with a residual.
pub fn squeezed_chain(inputs: usize, channels: usize, stride: usize) -> CellPlan {
    let bottlenecks = |stride: usize| {
        let bottleneck = move |(kernel, expansion, activation)| Block::InvertedBottleneck {
            relu: false,
            kernel,
            stride,
            expansion,
            activation,
            squeeze: true,
        };
        let (relu, swish) = (ActivationFunction::Relu, ActivationFunction::HardSwish);
        [(3, 1, relu), (5, 2, swish), (7, 6, relu)].map(bottleneck).to_vec()
    };
    let residual = [bottlenecks(1), vec![Block::Identity]].concat();
    CellPlanBuilder::new(true)
        .input(inputs)
        .node(channels)
        .node(channels)
        .edge(0, 1, named(bottlenecks(stride)))
        .edge(1, 2, named(residual))
        .output([2])
}

/// Layers of a ResNet: a step down with a convolution as its shortcut, then a layer whose shortcut
/// is ReLU alone.
pub fn residual(inputs: usize, channels: usize, stride: usize) -> CellPlan {
    let shortcut = Block::Conv {
        relu: true,
        kernel: 1,
        stride,
        padding: 0,
        bias: false,
        norm: false,
    };
    let basic = |kernel: usize, stride: usize| Block::Basic { kernel, stride };
    CellPlanBuilder::new(true)
        .input(inputs)
        .node(channels)
        .node(channels)
        .edge(0, 1, named(vec![basic(3, stride), shortcut]))
        .edge(1, 2, named(vec![basic(5, 1), Block::Relu]))
        .output([2])
}

/// An auxiliary head: pooling without padding, convolutions with and without bias and norm.
pub fn head() -> CellPlan {
    let conv = |kernel: usize, bias: bool, norm: bool| Block::Conv {
        relu: true,
        kernel,
        stride: 1,
        padding: 0,
        bias,
        norm,
    };
    CellPlanBuilder::new(true)
        .input(6)
        .node(6)
        .node(10)
        .node(17)
        .node(4)
        .edge(
            0,
            1,
            named(vec![Block::Pool {
                kind: PoolKind::Average,
                kernel: 5,
                stride: 1,
                padding: 0,
                norm: false,
            }]),
        )
        .edge(1, 2, named(vec![conv(1, false, true)]))
        .edge(2, 3, named(vec![conv(2, true, true)]))
        .edge(3, 4, named(vec![conv(3, true, false)]))
        .output([4])
}
