//! FairDARTS: every operation has a gate of its own, pushed toward open or shut.
//!
//! Reference: Chu, Zhou, Zhang, Li, "Fair DARTS: Eliminating Unfair Advantages in Differentiable
//! Architecture Search", ECCV 2020: p = σ(α) (equation 3), zero-one loss L_01 = −(1/N) Σ (σ(α) −
//! 1/2)² over all N gates (equation 6), weighted 10 in its search on CIFAR-10. Edges all weigh the
//! same and are ranked by their strongest gate; the paper's threshold on gates is replaced by the
//! target topology, so that all methods answer the same question.

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
