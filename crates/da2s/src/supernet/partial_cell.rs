//! The plan of a super-network cell with partial channels: one in K channels of a node passes through the candidates, the
//! others go around them, and a channel shuffle mixes both.
//!
//! Reference: Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search", ICLR 2020, equation 2,
//! and its code: a 2×2 maximum goes around candidates of stride 2. The shuffle is the same for every edge into a node, so it is done
//! once on their sum. Contract: the channels are a multiple of K, and K > 1.

use da2s_engine::{Block, CellPlan, CellPlanBuilder, PoolKind};

use super::cell::{preprocessed, stride};
use crate::space::{CellKind, Place, Space};

/// An edge of the plan. Every node of the space is three to five nodes here: the sums through and around the candidates, the two
/// shuffled together, and that split again.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The channels of a node that pass, or those that do not.
    Split { node: usize, passes: bool },
    /// The candidates of an edge of the space.
    Mixed { edge: usize },
    /// What goes around them.
    Around { edge: usize },
    /// One of the two sums of a node on its way into the shuffle.
    Join { node: usize, passes: bool },
}

/// Every edge, sources before what reads them.
fn parts(space: &Space) -> Vec<Part> {
    let graph = space.graph;
    let both = [true, false];
    let split = |node: usize| both.map(|passes| Part::Split { node, passes });
    let mut parts: Vec<Part> = (0..graph.inputs).flat_map(split).collect();
    for node in graph.all_nodes() {
        for edge in graph.edges_into(node) {
            parts.extend([Part::Mixed { edge }, Part::Around { edge }]);
        }
        parts.extend(both.map(|passes| Part::Join { node, passes }));
        if node + 1 < graph.all_nodes().end {
            parts.extend(split(node));
        }
    }
    parts
}

/// The cell; the arguments are those of [`super::cell::plan`], and one in `groups` channels passes.
pub(super) fn plan(
    space: &Space,
    kind: CellKind,
    inputs: [usize; 2],
    channels: usize,
    shrunk: bool,
    groups: usize,
) -> CellPlan {
    let graph = space.graph;
    let ends: Vec<(usize, usize)> = graph.edges().collect();
    let passing = channels / groups;
    let mut builder = preprocessed(CellPlanBuilder::new(false), inputs, channels, shrunk);
    // Of each node of the space: its place here, and those of its two parts.
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
            Part::Split { node, passes } => {
                let first = if passes { 0 } else { passing };
                let block = (Block::Take { first }, String::new(), 0);
                builder.edge(whole[node], halves[node][half(passes)], [block])
            }
            Part::Mixed { edge } => {
                let (from, to) = ends[edge];
                let stride = stride(kind, from, graph);
                let choices = space.operations.iter().enumerate().map(|(candidate, operation)| {
                    let (block, inner) = operation.block(stride, Place::Supernet);
                    (block, format!("_ops.{edge}._ops.{candidate}{inner}"), 0)
                });
                builder.edge(halves[from][0], sums[to - graph.inputs][0], choices)
            }
            Part::Around { edge } => {
                let (from, to) = ends[edge];
                let block = match stride(kind, from, graph) {
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
            Part::Join { node, passes } => {
                let first = if passes { 0 } else { passing };
                let block = (Block::Shuffle { groups, first }, String::new(), 0);
                builder.edge(sums[node - graph.inputs][half(passes)], whole[node], [block])
            }
        };
    }
    builder.output(graph.all_nodes().map(|node| whole[node]))
}

/// Where the weight of each choice of the plan stands in: the mixture, the weights of the edges, 1.
pub(super) fn mixture_order(space: &Space) -> Vec<usize> {
    let (edges, candidates) = (space.graph.edge_count(), space.operations.len());
    let one = edges * candidates + edges;
    parts(space)
        .into_iter()
        .flat_map(|part| match part {
            Part::Mixed { edge } => edge * candidates..(edge + 1) * candidates,
            Part::Around { edge } => edges * candidates + edge..edges * candidates + edge + 1,
            Part::Split { .. } | Part::Join { .. } => one..one + 1,
        })
        .collect()
}
