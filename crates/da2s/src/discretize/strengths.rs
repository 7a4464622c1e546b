//! The mixture of one kind of cell on the host, and the ranks of its choices.

use crate::space::Space;

/// The mixture of one kind of cell, and the ranks of operations and edges.
#[derive(Clone, Debug, PartialEq)]
pub struct KindStrengths {
    /// p, one row per edge.
    pub p: Vec<Vec<f32>>,
    /// q, one value per edge.
    pub q: Vec<f32>,
    /// The ranks of operations, one row per edge: equal to p unless the method adds something to
    /// it.
    pub operation_rank: Vec<Vec<f32>>,
    /// The ranks of edges: β if the method has one, otherwise the weight of the strongest
    /// operation.
    pub edge_rank: Vec<f32>,
}

impl KindStrengths {
    /// The mixture with equal weights for all operations of an edge and all edges into a node.
    pub fn even(space: &Space) -> Self {
        let (graph, candidates) = (space.graph, space.operations.len());
        let p = vec![vec![1.0 / candidates as f32; candidates]; graph.edge_count()];
        let q = graph.groups_of_edges().map(|group| 1.0 / graph.size_of(group) as f32);
        let q: Vec<f32> = q.collect();
        Self {
            operation_rank: p.clone(),
            edge_rank: vec![0.0; graph.edge_count()],
            p,
            q,
        }
    }
}

/// Indices of the `count` largest of `values` among those allowed, largest first; the earlier one
/// wins ties.
pub(super) fn largest(values: &[f32], count: usize, allowed: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&index| allowed(index)).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(count);
    order
}
