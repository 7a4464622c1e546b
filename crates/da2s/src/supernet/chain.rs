//! The plan of a chain of layers in a super-network: every candidate of every layer, and an
//! identity in parallel if the layer has a residual.
//!
//! Contract: layer l leads from node l to node l + 1. It computes `x + g_l · Σ_o p_l^o · o(x)` if
//! it keeps size and channels, otherwise `g_l · Σ_o p_l^o · o(x)`. The g of the first layer of a
//! stage is 1.

use da2s_engine::{ActivationFunction, Block, CellPlan, CellPlanBuilder};

use crate::space::{HostNetwork, LayerShape, Space};

/// The chain of `layers`.
pub(super) fn plan(space: &Space, layers: &[LayerShape], activation: ActivationFunction) -> CellPlan {
    let mut builder = input(CellPlanBuilder::new(false), layers);
    for (index, layer) in layers.iter().enumerate() {
        let candidates = space.operations.iter().enumerate().map(|(candidate, operation)| {
            let (block, _) = operation.block(layer.stride, HostNetwork::Supernet);
            (
                block.with_activation(activation),
                format!("layers.{index}.{candidate}"),
                0,
            )
        });
        builder = builder.edge(index, index + 1, candidates.chain(residual(layer)));
    }
    builder.output([layers.len()])
}

/// A chain's input and nodes.
pub(crate) fn input(builder: CellPlanBuilder, layers: &[LayerShape]) -> CellPlanBuilder {
    let start = builder.input(layers.first().map_or(0, |layer| layer.inputs));
    layers.iter().fold(start, |builder, layer| builder.node(layer.outputs))
}

/// The identity in parallel with the operations of a layer that keeps size and channels.
pub(crate) fn residual(layer: &LayerShape) -> Option<(Block, String, usize)> {
    let whole = layer.stride == 1 && layer.inputs == layer.outputs;
    whole.then(|| (Block::Identity, String::new(), 0))
}

/// The index of each choice's weight in the concatenation of the mixture, the weights of the edges,
/// and 1.
pub(super) fn mixture_order(space: &Space, layers: &[LayerShape]) -> Vec<usize> {
    let candidates = space.operations.len();
    let one = layers.len() * (candidates + 1);
    let of_layer = |(index, layer): (usize, &LayerShape)| {
        let own = index * candidates..(index + 1) * candidates;
        own.chain(residual(layer).map(|_| one))
    };
    layers.iter().enumerate().flat_map(of_layer).collect()
}
