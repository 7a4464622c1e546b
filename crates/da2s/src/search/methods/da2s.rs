//! DA²S: the mixture is driven toward the target topology while the weights train. Also contains
//! the two halves of the method.
//!
//! Reference: Tian, Liu, Xie, Jiao, Ye, "Discretization-Aware Architecture Search", 2021: p_ij =
//! softmax(S_α(α_ij)), q_j = softmax(S_β(β_j)) (equation 2), loss L = CE + R (equation 6), which is
//! the drive `regulariser`; α is constant before epoch E, β trains from the first epoch; at each
//! node the edges with the largest β are kept. The halves are the paper's ablation: operations only
//! (L_α, edges with equal weights, ranked as in DARTS) and edges only (L_β, α without a
//! regulariser).

use burn::tensor::Tensor;

use crate::arch::{Strengths, edge_softmax};
use crate::objective::{Halves, Link, strengthen_beta};
use crate::search::Drive;
use crate::search::method::{ArchShares, Choices, SearchMethod, strongest_operation};
use crate::search::moment::Moment;
use crate::space::{KindTarget, Space};

/// The method; `halves` are the active ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Da2s {
    pub(super) halves: Halves,
}

impl SearchMethod for Da2s {
    /// If k > 1 operations are kept, the initial S_α sums to k.
    fn alpha_start(&self, target: &KindTarget, candidates: usize) -> f32 {
        if target.operations > 1 {
            target.operations as f32 / (2 * candidates) as f32
        } else {
            0.0
        }
    }

    fn link(&self, target: &KindTarget) -> Link {
        let kept = target.operations;
        Link::Strengthened { kept }
    }

    fn own_drive(&self) -> Drive {
        Drive::Regulariser
    }

    fn halves(&self) -> Halves {
        self.halves
    }

    fn weighs_edges(&self) -> bool {
        self.halves.edges
    }

    fn edges(&self, beta: Tensor<1>, choices: Choices<'_>) -> Tensor<1> {
        if self.halves.edges {
            edge_softmax(strengthen_beta(beta), choices.space, choices.target)
        } else {
            Strengths::uniform_edges(choices.space, &beta.device())
        }
    }

    fn trains(&self, moment: Moment) -> ArchShares {
        ArchShares {
            alpha: if moment.epoch < moment.warmup { 0.0 } else { 1.0 },
            beta: if self.halves.edges { 1.0 } else { 0.0 },
        }
    }

    fn edge_rank(&self, beta: &[f32], p: &[Vec<f32>], space: &Space) -> Vec<f32> {
        if self.halves.edges {
            beta.to_vec()
        } else {
            strongest_operation(p, space)
        }
    }
}
