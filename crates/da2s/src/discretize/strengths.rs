//! The mixture of one kind of cell on the host, and by what its choices are ranked.

use crate::space::Space;

/// The mixture of one kind of cell, and the ranks of operations and edges.
#[derive(Clone, Debug, PartialEq)]
pub struct KindStrengths {
    /// p, one row per edge.
    pub p: Vec<Vec<f32>>,
    /// q, one value per edge.
    pub q: Vec<f32>,
    /// What operations are ranked by, one row per edge: p, where the method adds nothing to it.
    pub operation_rank: Vec<Vec<f32>>,
    /// What edges are ranked by: β where the method has one, else the strongest operation.
    pub edge_rank: Vec<f32>,
}

impl KindStrengths {
    /// The mixture in which all operations of an edge and all edges into a node weigh the same.
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

/// Indices of the `count` largest of `values` among those allowed, largest first; ties go to the
/// earlier.
pub(super) fn largest(values: &[f32], count: usize, allowed: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&index| allowed(index)).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(count);
    order
}
