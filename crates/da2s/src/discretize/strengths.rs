//! The mixture of one kind of cell on the host, and the ranks of its choices.

use std::ops::Range;

use crate::space::{Operation, Space};

/// The mixture of one kind of cell, and the ranks of operations and edges.
#[derive(Clone, Debug, PartialEq)]
pub struct KindStrengths {
    /// p, one row per edge.
    pub p: Vec<Vec<f32>>,
    /// q, one value per edge.
    pub q: Vec<f32>,
    /// The ranks of operations, one row per edge: equal to p unless the method adds something to
    /// it; −∞ for operations that have been removed or excluded.
    pub operation_rank: Vec<Vec<f32>>,
    /// The ranks of edges: β if the method has one, otherwise the weight of the strongest
    /// operation; −∞ for edges that have been removed.
    pub edge_rank: Vec<f32>,
}

impl KindStrengths {
    /// The candidates that `edge` may keep, by index.
    pub(crate) fn may_stay(&self, edge: usize, space: &Space) -> Vec<usize> {
        let stay = |&candidate: &usize| {
            space.may_keep(space.operations[candidate]) && self.operation_rank[edge][candidate] != f32::NEG_INFINITY
        };
        (0..space.operations.len()).filter(stay).collect()
    }

    /// Excludes the operation `candidate` of `edge`. If edges are ranked by their strongest
    /// operation, the edge then has the rank of the strongest one that remains.
    pub(crate) fn exclude(&mut self, edge: usize, candidate: usize, space: &Space) {
        let real = |at: usize| space.operations[at] != Operation::None;
        let strongest = |row: &[f32]| {
            let real = row.iter().enumerate().filter(|(at, _)| real(*at));
            real.map(|(_, rank)| *rank).fold(0.0, f32::max)
        };
        let mut rows = self.operation_rank.iter().zip(&self.edge_rank);
        let by_operation = rows.all(|(row, rank)| strongest(row) == *rank);
        self.operation_rank[edge][candidate] = f32::NEG_INFINITY;
        if by_operation {
            self.edge_rank[edge] = strongest(&self.operation_rank[edge]);
        }
    }

    /// Those of `edges` that have not been removed.
    pub(super) fn remaining(&self, edges: Range<usize>) -> Vec<usize> {
        edges
            .filter(|&edge| self.edge_rank[edge] != f32::NEG_INFINITY)
            .collect()
    }

    /// The mixture with equal weights for all operations that an edge has and all edges into a
    /// node.
    pub fn even(space: &Space) -> Self {
        let graph = space.graph;
        let has = |edge| {
            space
                .operations
                .iter()
                .map(move |&operation| space.has_on(edge, operation))
        };
        let row = |edge| -> Vec<f32> {
            let share = 1.0 / has(edge).filter(|has| *has).count() as f32;
            has(edge).map(|has| if has { share } else { 0.0 }).collect()
        };
        let ranks = |edge| -> Vec<f32> {
            let ranked = has(edge).zip(row(edge));
            ranked.map(|(has, p)| if has { p } else { f32::NEG_INFINITY }).collect()
        };
        let edges = 0..graph.edge_count();
        let q = graph.groups_of_edges().map(|group| 1.0 / graph.size_of(group) as f32);
        let q: Vec<f32> = q.collect();
        Self {
            operation_rank: edges.clone().map(ranks).collect(),
            edge_rank: vec![0.0; edges.len()],
            p: edges.map(row).collect(),
            q,
        }
    }
}

/// Indices of the `count` largest of `values` among those allowed, largest first; the earlier one
/// wins ties.
pub(crate) fn largest(values: &[f32], count: usize, allowed: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&index| allowed(index)).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(count);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_weights_are_those_of_the_operations_that_an_edge_has() {
        let operations = vec![Operation::MbConvK3E1, Operation::MbConvK3E3, Operation::Skip];
        let space = Space::mobile([2, 1], operations);
        let even = KindStrengths::even(&space);
        // The first layer of a stage cannot vanish.
        let (first, other) = (vec![0.5, 0.5, 0.0], vec![1.0 / 3.0; 3]);
        assert_eq!(even.p, [first.clone(), other, first]);
        assert_eq!(even.may_stay(0, &space), [0, 1]);
        assert_eq!(even.may_stay(1, &space), [0, 1, 2]);
    }
}
