//! DA²S: the mixture is driven toward the target topology while the weights train; and its two halves.
//!
//! Reference: Tian, Liu, Xie, Jiao, Ye, "Discretization-Aware Architecture Search", 2021: p_ij = softmax(S_α(α_ij)),
//! q_j = softmax(S_β(β_j)) (equation 2), loss L = CE + R (equation 6); α stands still before epoch E, β trains from
//! the first epoch; at each node the edges with the largest β stay. The halves are the paper's ablation: operations
//! only (L_α, edges that all weigh the same, ranked as DARTS ranks them) and edges only (L_β, α without a regulariser).

use burn::tensor::activation::softmax;

use super::method::{ArchShares, Draw, Moment, Penalty, SearchMethod, strongest_operation, total};
use crate::objective::{Halves, KindTarget, Regulariser, Target, strengthen_alpha, strengthen_beta};
use crate::space::Space;
use crate::supernet::{ArchParams, KindParams, Strengths, edge_softmax};

/// The method, the strengths of its regulariser, and which halves of it are on.
#[derive(Clone, Debug)]
pub(super) struct Da2s {
    pub(super) regulariser: Regulariser,
    /// Whether the mixture follows a path instead of the regulariser.
    pub(super) adaptive: bool,
    pub(super) operations: bool,
    pub(super) edges: bool,
}

impl SearchMethod for Da2s {
    fn strengths(&self, arch: &KindParams, space: &Space, target: &KindTarget, _: Option<Draw>) -> Strengths {
        let p = softmax(strengthen_alpha(arch.alpha.clone(), target.operations), 1);
        let q = if self.edges {
            edge_softmax(strengthen_beta(arch.beta.clone()), space, target)
        } else {
            Strengths::uniform_edges(space, &arch.alpha.device())
        };
        Strengths::new(p, q)
    }

    fn penalty(&self, arch: &ArchParams, space: &Space, target: &Target, moment: Moment) -> Option<Penalty> {
        if self.adaptive {
            return None;
        }
        let Moment { epoch, epochs, warmup } = moment;
        let (on_operations, on_edges) = self.regulariser.strengths(epoch, epochs, warmup);
        let of_kind = |kind, arch: &KindParams| {
            let KindParams { alpha, beta } = arch.clone();
            let terms = self.regulariser.terms(alpha, beta, space.graph, target.kind(kind));
            match (self.operations, self.edges) {
                (true, true) => terms.operations * on_operations + terms.edges * on_edges,
                (true, false) => terms.operations * on_operations,
                (false, _) => terms.edges * on_edges,
            }
        };
        Some(Penalty {
            loss: total(arch, of_kind),
            lambda: self.regulariser.lambda,
            lambda_c: self.regulariser.lambda_c.at(epoch, epochs, warmup),
            lambda_alpha: self.regulariser.lambda_alpha.at(epoch, epochs, warmup),
        })
    }

    fn trains(&self, moment: Moment) -> ArchShares {
        let alpha = if moment.epoch < moment.warmup { 0.0 } else { 1.0 };
        ArchShares {
            alpha,
            beta: if self.edges { 1.0 } else { 0.0 },
        }
    }

    fn follows_path(&self) -> Option<Halves> {
        self.adaptive.then_some(Halves {
            operations: self.operations,
            edges: self.edges,
        })
    }

    fn edge_rank(&self, beta: &[f32], p: &[Vec<f32>], space: &Space) -> Vec<f32> {
        if self.edges {
            beta.to_vec()
        } else {
            strongest_operation(p, space)
        }
    }
}
