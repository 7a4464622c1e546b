//! The plan of a super-network cell with partial channels: one in K channels of a node goes through
//! the candidates, the others bypass them, and a channel shuffle mixes both.
//!
//! Reference: Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture
//! Search", ICLR 2020, equation 2, and its code: a 2×2 max pooling bypasses candidates of stride 2.
//! The shuffle is the same for every edge into a node, so it is applied once to their sum.
//! Contract: the number of channels is a multiple of K, and K > 1.

use da2s_engine::{Block, CellPlan, CellPlanBuilder, PoolKind};

use super::cell::{preprocessed, stride};
use crate::backbone::CellSlot;
use crate::space::{HostNetwork, Space};

/// An edge of the plan. Every node of the space becomes three to five nodes here: the sums through
/// and around the candidates, their shuffled combination, and the two parts into which it is split.
#[derive(Clone, Copy, Debug)]
enum PartialEdge {
    /// The channels of a node that go through the candidates, or the others.
    Split { node: usize, passes: bool },
    /// The candidates of an edge of the space.
    Mixed { edge: usize },
    /// The bypass of an edge.
    Around { edge: usize },
    /// One of the two sums of a node, as input of the shuffle.
    Join { node: usize, passes: bool },
}

/// All edges, in topological order.
fn parts(space: &Space) -> Vec<PartialEdge> {
    let graph = space.graph;
    let both = [true, false];
    let split = |node: usize| both.map(|passes| PartialEdge::Split { node, passes });
    let mut parts: Vec<PartialEdge> = (0..graph.inputs).flat_map(split).collect();
    for node in graph.all_nodes() {
        for edge in graph.edges_of(node - graph.inputs) {
            parts.extend([PartialEdge::Mixed { edge }, PartialEdge::Around { edge }]);
        }
        parts.extend(both.map(|passes| PartialEdge::Join { node, passes }));
        if node + 1 < graph.all_nodes().end {
            parts.extend(split(node));
        }
    }
    parts
}

/// The cell; the arguments are those of [`super::cell::darts`], and one in `groups` channels goes
/// through the candidates.
pub(super) fn plan(space: &Space, slot: &CellSlot, inputs: &[usize], groups: usize) -> CellPlan {
    let (graph, channels) = (space.graph, slot.channels);
    let ends: Vec<(usize, usize)> = graph.edges().collect();
    let passing = channels / groups;
    let mut builder = preprocessed(CellPlanBuilder::new(false), slot, inputs);
    // For each node of the space: its index here, and those of its two parts.
    let mut whole: Vec<usize> = (0..graph.inputs).collect();
    let mut halves: Vec<[usize; 2]> = Vec::new();
    let mut sums: Vec<[usize; 2]> = Vec::new();
    let mut next = graph.inputs;
    let mut place = || {
        next += 1;
        next - 1
    };
    for node in 0..graph.all_nodes().end {
        if node >= graph.inputs {
            sums.push([place(), place()]);
            whole.push(place());
            builder = builder.node(passing).node(channels - passing).node(channels);
        }
        halves.push([place(), place()]);
        builder = builder.node(passing).node(channels - passing);
    }
    let half = |passes: bool| usize::from(!passes);
    for part in parts(space) {
        builder = match part {
            PartialEdge::Split { node, passes } => {
                let first = if passes { 0 } else { passing };
                let block = (Block::Take { first }, String::new(), 0);
                builder.edge(whole[node], halves[node][half(passes)], [block])
            }
            PartialEdge::Mixed { edge } => {
                let (from, to) = ends[edge];
                let stride = stride(slot.stride, from, graph);
                let choices = space.operations.iter().enumerate().map(|(candidate, operation)| {
                    let (block, inner) = operation.block(stride, HostNetwork::Supernet);
                    (block, format!("_ops.{edge}._ops.{candidate}{inner}"), 0)
                });
                builder.edge(halves[from][0], sums[to - graph.inputs][0], choices)
            }
            PartialEdge::Around { edge } => {
                let (from, to) = ends[edge];
                let block = match stride(slot.stride, from, graph) {
                    1 => Block::Identity,
                    stride => Block::Pool {
                        kind: PoolKind::Max,
                        kernel: 2,
                        stride,
                        padding: 0,
                        norm: false,
                    },
                };
                builder.edge(halves[from][1], sums[to - graph.inputs][1], [(block, String::new(), 0)])
            }
            PartialEdge::Join { node, passes } => {
                let first = if passes { 0 } else { passing };
                let block = (Block::Shuffle { groups, first }, String::new(), 0);
                builder.edge(sums[node - graph.inputs][half(passes)], whole[node], [block])
            }
        };
    }
    builder.output(graph.all_nodes().map(|node| whole[node]))
}

/// The index of each choice's weight in the concatenation of the mixture, the weights of the edges,
/// and 1.
pub(super) fn mixture_order(space: &Space) -> Vec<usize> {
    let (edges, candidates) = (space.graph.edge_count(), space.operations.len());
    let one = edges * candidates + edges;
    parts(space)
        .into_iter()
        .flat_map(|part| match part {
            PartialEdge::Mixed { edge } => edge * candidates..(edge + 1) * candidates,
            PartialEdge::Around { edge } => edges * candidates + edge..edges * candidates + edge + 1,
            PartialEdge::Split { .. } | PartialEdge::Join { .. } => one..one + 1,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{CellKind, Operation};
    use burn::tensor::{Device, Tensor, TensorData};
    use da2s_engine::{Call, Cell, Engine};

    /// With the identity as the only candidate the result is known: a node is the weighted sum of
    /// its shuffled inputs, which a cell without partial channels outputs one by one.
    #[test]
    fn channels_of_both_paths_are_shuffled_as_in_the_paper() {
        let (channels, groups, side) = (8, 4, 3);
        let space = Space::own(1, vec![Operation::SkipConnect]);
        let slot = CellSlot {
            kind: CellKind::Normal,
            channels,
            stride: 1,
            older_is_larger: false,
        };
        let device = Device::flex();
        let wave = |seed: usize, shape: &[usize]| {
            let count: usize = shape.iter().product();
            let values = (0..count).map(|index| ((index * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0);
            TensorData::new(values.collect::<Vec<f32>>(), shape.to_vec())
        };
        let images = || {
            let image = |seed| Tensor::<4>::from_data(wave(seed, &[2, 5, side, side]), &device);
            vec![image(1), image(2)]
        };
        let output = |plan: CellPlan, mixture: Vec<f32>| -> Vec<f32> {
            let count = mixture.len();
            let call = Call {
                inputs: images(),
                weights: Tensor::from_data(wave(3, &[plan.weight_count]), &device),
                mixture: Some(Tensor::from_data(TensorData::new(mixture, [count]), &device)),
                active: None,
                drop_path: None,
                statistics: None,
            };
            let output = Cell::new(plan, &Engine::Plain).forward(call).output;
            output.into_data().iter::<f32>().collect()
        };
        let whole = |mixture| output(super::super::cell::darts(&space, &slot, &[5, 5]), mixture);
        let (older, newer) = (whole(vec![1.0, 0.0]), whole(vec![0.0, 1.0]));

        let edges = [0.3f32, 0.7];
        // p = 1 on both edges: the mixture equals the edges' weights; then come those weights, then
        // 1.
        let all = [edges[0], edges[1], edges[0], edges[1], 1.0];
        let mixture = mixture_order(&space).into_iter().map(|at| all[at]).collect();
        let ours = output(plan(&space, &slot, &[5, 5], groups), mixture);

        let (pixels, size) = (side * side, channels / groups);
        for image in 0..2 {
            for before in 0..channels {
                let after = before % size * groups + before / size;
                for pixel in 0..pixels {
                    let at = |channel: usize| (image * channels + channel) * pixels + pixel;
                    let expected = edges[0] * older[at(before)] + edges[1] * newer[at(before)];
                    assert!((ours[at(after)] - expected).abs() < 1e-5, "channel {before}");
                }
            }
        }
    }
}
