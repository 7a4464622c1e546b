//! PC-DARTS: one in K channels passes through the candidates, and edges have weights of their own.
//!
//! Reference: Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search", ICLR 2020:
//! p_ij = softmax(α_ij) on the channels that pass (equation 2, see `supernet/partial_cell.rs`), q_j = softmax(β_j), edge
//! normalisation (equation 3); α and β train behind the warm-up; at each node the edges with the largest q·max p stay. Contract: a
//! node's sum is d_j times the paper's, so that uniform q weighs every edge 1, as everywhere in da2s; edges that all stay do not compete.

use burn::tensor::activation::softmax;

use super::method::{ArchShares, Draw, Moment, Penalty, SearchMethod, operations_only, strongest_operation};
use crate::objective::{KindTarget, Target};
use crate::space::Space;
use crate::supernet::{ArchParams, KindParams, Strengths, edge_softmax};

/// The method; K is a property of the super-network.
#[derive(Clone, Copy, Debug)]
pub(super) struct PcDarts;

impl SearchMethod for PcDarts {
    fn strengths(&self, arch: &KindParams, space: &Space, target: &KindTarget, _: Option<Draw>) -> Strengths {
        let q = edge_softmax(arch.beta.clone(), space, target);
        Strengths::new(softmax(arch.alpha.clone(), 1), q)
    }

    fn penalty(&self, _: &ArchParams, _: &Space, _: &Target, _: Moment) -> Option<Penalty> {
        None
    }

    fn trains(&self, moment: Moment) -> ArchShares {
        let ArchShares { alpha, .. } = operations_only(moment);
        ArchShares { alpha, beta: alpha }
    }

    fn edge_rank(&self, beta: &[f32], p: &[Vec<f32>], space: &Space) -> Vec<f32> {
        // The denominator of the softmax is the same for all edges of a node.
        let strongest = strongest_operation(p, space);
        beta.iter().zip(strongest).map(|(beta, p)| beta.exp() * p).collect()
    }
}
