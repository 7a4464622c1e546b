//! DA²S: the mixture is driven toward the target topology while the weights train.
//!
//! Reference: Tian, Liu, Xie, Jiao, Ye, "Discretization-Aware Architecture Search", 2021: p_ij = softmax(S_α(α_ij)),
//! q_j = softmax(S_β(β_j)) (equation 2), loss L = CE + R (equation 6); α stands still before epoch E, β trains from
//! the first epoch; at each node the edges with the largest β stay.

use burn::tensor::activation::softmax;

use super::method::{ArchShares, Moment, Penalty, SearchMethod};
use crate::objective::{KindTarget, Regulariser, Target, strengthen_alpha, strengthen_beta};
use crate::space::{CellKind, Space};
use crate::supernet::{ArchParams, KindParams, Strengths, edge_softmax};

/// The method and the strengths of its regulariser.
#[derive(Clone, Debug)]
pub(super) struct Da2s {
    pub(super) regulariser: Regulariser,
}

impl SearchMethod for Da2s {
    fn strengths(&self, arch: &KindParams, space: &Space, target: &KindTarget) -> Strengths {
        Strengths {
            p: softmax(strengthen_alpha(arch.alpha.clone(), target.operations), 1),
            q: edge_softmax(strengthen_beta(arch.beta.clone()), space, target),
        }
    }

    fn penalty(&self, arch: &ArchParams, space: &Space, target: &Target, moment: Moment) -> Option<Penalty> {
        let Moment { epoch, epochs, warmup } = moment;
        let (on_operations, on_edges) = self.regulariser.strengths(epoch, epochs, warmup);
        let of_kind = |kind| {
            let KindParams { alpha, beta } = arch.kind(kind).clone();
            let terms = self.regulariser.terms(alpha, beta, space.graph, target.kind(kind));
            terms.operations * on_operations + terms.edges * on_edges
        };
        Some(Penalty {
            loss: of_kind(CellKind::Normal) + of_kind(CellKind::Reduction),
            lambda_c: self.regulariser.lambda_c.at(epoch, epochs, warmup),
            lambda_alpha: self.regulariser.lambda_alpha.at(epoch, epochs, warmup),
        })
    }

    fn trains(&self, moment: Moment) -> ArchShares {
        ArchShares { alpha: if moment.epoch < moment.warmup { 0.0 } else { 1.0 }, beta: 1.0 }
    }

    fn edge_rank(&self, beta: &[f32], _: &[Vec<f32>], _: &Space) -> Vec<f32> {
        beta.to_vec()
    }
}
