//! β-DARTS: DARTS with a term that keeps the weights of an edge from diverging.
//!
//! Reference: Ye, Li, Li, Chen, Fan, Ouyang, "β-DARTS: Beta-Decay Regularization for Differentiable
//! Architecture Search", CVPR 2022: w(t) times the mean over all edges of log Σ_o exp(α_o) is added
//! to the loss of α; w increases linearly from 0 to `search.beta_weight`, which is 50 in its code.
//! Contract: here w increases with every step, not with every epoch.

use burn::tensor::Tensor;

use crate::arch::ArchParams;
use crate::objective::Penalty;
use crate::search::method::SearchMethod;
use crate::search::moment::Moment;
use crate::search::settings::SearchSettings;
use crate::space::{Space, Target};

/// The method and w at the end of the search.
#[derive(Clone, Copy, Debug)]
pub(super) struct BetaDarts {
    weight: f64,
}

impl BetaDarts {
    pub(super) fn new(settings: &SearchSettings) -> Self {
        let weight = settings.beta_weight;
        Self { weight }
    }
}

impl SearchMethod for BetaDarts {
    fn penalty(&self, arch: &ArchParams, space: &Space, _: &Target, moment: Moment) -> Penalty {
        let edges = space.kinds().len() * space.graph.edge_count();
        let sums = arch.kinds().map(|_, arch| log_sum_exp(arch.alpha.clone()).sum());
        Penalty::of("beta", self.weight * moment.share() / edges as f64, sums)
    }
}

/// log Σ exp of each row, `[rows, 1]`; does not overflow.
fn log_sum_exp(rows: Tensor<2>) -> Tensor<2> {
    let largest = rows.clone().detach().max_dim(1);
    (rows - largest.clone()).exp().sum_dim(1).log() + largest
}
