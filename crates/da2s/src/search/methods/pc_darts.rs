//! PC-DARTS: 1/K of the channels go through the candidates, and edges have their own weights.
//!
//! Reference: Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture
//! Search", ICLR 2020: p_ij = softmax(α_ij) on the selected channels (equation 2, see
//! `supernet/partial_cell.rs`), q_j = softmax(β_j), edge normalisation (equation 3); α and β train
//! after the warm-up; at each node the edges with the largest q·max p are kept. Contract: a node's
//! sum is d_j (its number of edges) times the paper's, so that uniform q gives every edge the
//! weight 1, as everywhere in da2s; if all edges of a node are kept, they do not compete.

use crate::search::method::{SearchMethod, strongest_operation};
use crate::space::Space;

/// The method; K is a property of the super-network.
#[derive(Clone, Copy, Debug)]
pub(super) struct PcDarts;

impl SearchMethod for PcDarts {
    /// K of the paper's search on CIFAR-10.
    fn partial_channels(&self) -> usize {
        4
    }

    fn weighs_edges(&self) -> bool {
        true
    }

    fn edge_rank(&self, beta: &[f32], p: &[Vec<f32>], space: &Space) -> Vec<f32> {
        // The denominator of the softmax is the same for all edges of a node.
        let strongest = strongest_operation(p, space);
        beta.iter().zip(strongest).map(|(beta, p)| beta.exp() * p).collect()
    }
}
