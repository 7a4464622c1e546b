//! FairDARTS: every operation has a gate of its own, pushed toward open or shut.
//!
//! Reference: Chu, Zhou, Zhang, Li, "Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search",
//! ECCV 2020: p = σ(α) (equation 3), zero-one loss L_01 = −(1/N) Σ (σ(α) − 1/2)² over all N gates (equation 6), weighted
//! 10 in its search on CIFAR-10. Edges all weigh the same and are ranked by their strongest gate; the paper's threshold
//! on gates is replaced by the target topology, so that all methods answer the same question.

use burn::tensor::activation::sigmoid;

use super::method::{ArchShares, Draw, Moment, Penalty, SearchMethod, operations_only, strongest_operation, total};
use crate::objective::{KindTarget, Target};
use crate::space::Space;
use crate::supernet::{ArchParams, KindParams, Strengths};

/// The method and the weight of its zero-one loss.
#[derive(Clone, Debug)]
pub(super) struct FairDarts {
    pub(super) zero_one_weight: f64,
}

impl SearchMethod for FairDarts {
    fn strengths(&self, arch: &KindParams, space: &Space, _: &KindTarget, _: Option<Draw>) -> Strengths {
        let q = Strengths::uniform_edges(space, &arch.alpha.device());
        Strengths::new(sigmoid(arch.alpha.clone()), q)
    }

    fn penalty(&self, arch: &ArchParams, space: &Space, _: &Target, _: Moment) -> Option<Penalty> {
        let squares = |_, arch: &KindParams| (sigmoid(arch.alpha.clone()) - 0.5).square().sum();
        let gates = space.kinds().len() * space.graph.edge_count() * space.operations.len();
        let loss = total(arch, squares);
        let lambda = self.zero_one_weight;
        Some(Penalty {
            loss: loss * (-lambda / gates as f64),
            lambda,
            lambda_c: 1.0,
            lambda_alpha: 1.0,
        })
    }

    fn trains(&self, moment: Moment) -> ArchShares {
        operations_only(moment)
    }

    fn edge_rank(&self, _: &[f32], p: &[Vec<f32>], space: &Space) -> Vec<f32> {
        strongest_operation(p, space)
    }
}
