//! The plan of a super-network cell: every candidate on every edge.

use da2s_engine::{Block, CellPlan, CellPlanBuilder};

use crate::space::{CellGraph, CellKind, Place, Space};

/// A cell of `space` with `channels` channels at every node, for inputs of `inputs` channels. `shrunk`: the
/// previous cell was a reduction cell, so the older input is twice as large and goes through a factorised reduce.
pub(super) fn plan(space: &Space, kind: CellKind, inputs: [usize; 2], channels: usize, shrunk: bool) -> CellPlan {
    let graph = space.graph;
    let mut builder = preprocessed(CellPlanBuilder::new(false), inputs, channels, shrunk);
    for _ in 0..graph.nodes {
        builder = builder.node(channels);
    }
    for (index, (from, to)) in graph.edges().enumerate() {
        let stride = stride(kind, from, graph);
        let choices = space.operations.iter().enumerate().map(|(candidate, operation)| {
            let (block, inner) = operation.block(stride, Place::Supernet);
            (block, format!("_ops.{index}._ops.{candidate}{inner}"), 0)
        });
        builder = builder.edge(from, to, choices);
    }
    builder.output(graph.all_nodes())
}

/// Stride of the edges that leave node `from`: reduction cells shrink what comes from their inputs.
pub(crate) fn stride(kind: CellKind, from: usize, graph: CellGraph) -> usize {
    if kind == CellKind::Reduction && from < graph.inputs {
        2
    } else {
        1
    }
}

/// A cell of NAS-Bench-201 with `channels` channels at every node; its output is its last node.
pub(crate) fn bench_plan(space: &Space, channels: usize) -> CellPlan {
    let graph = space.graph;
    let mut builder = CellPlanBuilder::new(false).input(channels);
    for _ in graph.all_nodes() {
        builder = builder.node(channels);
    }
    for (from, to) in graph.edges() {
        let choices = space.operations.iter().enumerate().map(|(candidate, operation)| {
            let (block, inner) = operation.block(1, Place::BenchSupernet);
            (block, format!("edges.{to}<-{from}.{candidate}{inner}"), 0)
        });
        builder = builder.edge(from, to, choices);
    }
    builder.output(graph.all_nodes().last())
}

/// Adds the two inputs of a cell, each through ReLU → 1×1 convolution → batch norm, the older one through a
/// factorised reduce where the previous cell halved the image.
pub(crate) fn preprocessed(
    builder: CellPlanBuilder,
    [older, newer]: [usize; 2],
    channels: usize,
    shrunk: bool,
) -> CellPlanBuilder {
    let block = Block::Conv {
        relu: true,
        kernel: 1,
        stride: 1,
        padding: 0,
        bias: false,
        norm: true,
    };
    let builder = if shrunk {
        builder.preprocessed_input(older, channels, Block::FactorizedReduce, "preprocess0", 0)
    } else {
        builder.preprocessed_input(older, channels, block, "preprocess0.op", 0)
    };
    builder.preprocessed_input(newer, channels, block, "preprocess1.op", 0)
}
