//! The plan of a super-network cell: every candidate on every edge.

use da2s_engine::{Block, CellPlan, CellPlanBuilder};

use crate::backbone::CellSlot;
use crate::space::{CellGraph, HostNetwork, Space};

/// A cell of DARTS for `slot`, with the given numbers of input channels: preprocessed inputs, and
/// the concatenated nodes as output.
pub(super) fn darts(space: &Space, slot: &CellSlot, inputs: &[usize]) -> CellPlan {
    let graph = space.graph;
    let mut builder = preprocessed(CellPlanBuilder::new(false), slot, inputs);
    for _ in graph.all_nodes() {
        builder = builder.node(slot.channels);
    }
    for (index, (from, to)) in graph.edges().enumerate() {
        let stride = stride(slot.stride, from, graph);
        let choices = space.operations.iter().enumerate().map(|(candidate, operation)| {
            let (block, inner) = operation.block(stride, HostNetwork::Supernet);
            (block, format!("_ops.{index}._ops.{candidate}{inner}"), 0)
        });
        builder = builder.edge(from, to, choices);
    }
    builder.output(space.output())
}

/// A cell of NAS-Bench-201: its unchanged input, and its last node as output.
pub(super) fn nas_bench_201(space: &Space, slot: &CellSlot) -> CellPlan {
    let graph = space.graph;
    let mut builder = CellPlanBuilder::new(false).input(slot.channels);
    for _ in graph.all_nodes() {
        builder = builder.node(slot.channels);
    }
    for (from, to) in graph.edges() {
        let choices = space.operations.iter().enumerate().map(|(candidate, operation)| {
            let (block, inner) = operation.block(slot.stride, HostNetwork::NasBench201Supernet);
            (block, format!("edges.{to}<-{from}.{candidate}{inner}"), 0)
        });
        builder = builder.edge(from, to, choices);
    }
    builder.output(space.output())
}

/// Stride of the edges that leave node `from` in a cell of stride `stride`: only the cell's inputs
/// are larger than its nodes.
pub(crate) fn stride(stride: usize, from: usize, graph: CellGraph) -> usize {
    if from < graph.inputs { stride } else { 1 }
}

/// Adds the inputs of a cell, each after ReLU → 1×1 convolution → batch norm; the first one after a
/// factorised reduce if it is larger than the others.
pub(crate) fn preprocessed(mut builder: CellPlanBuilder, slot: &CellSlot, inputs: &[usize]) -> CellPlanBuilder {
    let convolution = Block::Conv {
        relu: true,
        kernel: 1,
        stride: 1,
        padding: 0,
        bias: false,
        norm: true,
    };
    for (index, &channels) in inputs.iter().enumerate() {
        let (block, inner) = if index == 0 && slot.older_is_larger {
            (Block::FactorizedReduce, "")
        } else {
            (convolution, ".op")
        };
        let name = format!("preprocess{index}{inner}");
        builder = builder.preprocessed_input(channels, slot.channels, block, &name, 0);
    }
    builder
}
