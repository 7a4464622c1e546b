//! FairDARTS: every operation has its own gate, pushed toward open or shut.
//!
//! Reference: Chu, Zhou, Zhang, Li, "Fair DARTS: Eliminating Unfair Advantages in Differentiable
//! Architecture Search", ECCV 2020: p = σ(α) (equation 3), zero-one loss L_01 = −(1/N) Σ (σ(α) −
//! 1/2)² over all N gates (equation 6), with weight 10 in its search on CIFAR-10. All edges have
//! the same weight and are ranked by their strongest gate; the target topology replaces the paper's
//! threshold on gates, so that all methods solve the same problem.

use crate::arch::ArchParams;
use crate::objective::{Link, Penalty, zero_one};
use crate::search::method::SearchMethod;
use crate::search::moment::Moment;
use crate::search::settings::SearchSettings;
use crate::space::{KindTarget, Space, Target};

/// The method and the weight of its zero-one loss.
#[derive(Clone, Debug)]
pub(super) struct FairDarts {
    zero_one_weight: f64,
}

impl FairDarts {
    pub(super) fn new(settings: &SearchSettings) -> Self {
        let zero_one_weight = settings.zero_one_weight;
        Self { zero_one_weight }
    }
}

impl SearchMethod for FairDarts {
    fn link(&self, _: &KindTarget) -> Link {
        Link::Sigmoid
    }

    fn penalty(&self, arch: &ArchParams, space: &Space, _: &Target, _: Moment) -> Penalty {
        let gates = space.kinds().len() * space.graph.edge_count() * space.operations.len();
        let squares = arch.kinds().map(|_, arch| zero_one(arch.alpha.clone()));
        Penalty::of("zero-one", -self.zero_one_weight / gates as f64, squares)
    }
}
