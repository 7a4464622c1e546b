//! Random search: the genotype is drawn at random, and the super-network trains only so that the
//! gap can be measured.
//!
//! Reference: Li, Talwalkar, "Random Search and Reproducibility for Neural Architecture Search",
//! UAI 2019. Differs from theirs: one uniform genotype per seed is drawn, not the best of many.
//! With the same retraining budget as the other methods, several seeds show what chance alone
//! achieves.

use burn::tensor::Tensor;

use crate::arch::Removed;
use crate::search::Drive;
use crate::search::method::{ArchShares, Choices, SearchMethod};
use crate::search::moment::{Moment, When};
use crate::space::Space;

/// The method; it has no settings. The draw is the initial noise of α and β, which depends only on
/// the seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct RandomSearch;

impl SearchMethod for RandomSearch {
    fn refuses(&self, drive: Drive) -> Option<&'static str> {
        (drive != Drive::None).then_some("it learns no mixture that could be driven")
    }

    /// Uniform over the candidates of an edge while weights train. When the mixture is read, the
    /// noise in α is added, which is too small to change an accuracy, but enough for a ranking.
    fn operations(&self, alpha: Tensor<2>, choices: Choices<'_>, when: When) -> Tensor<2> {
        // Every candidate that the edge can have: without a drive, the search removes none.
        let has = Removed::never(choices.space).remaining_operations(&alpha.device());
        let count = has.clone().sum_dim(1);
        let even = has.clone() / count.clone();
        match when {
            When::Training(_) => even,
            When::Reading(_) => {
                let mean = (alpha.clone() * has.clone()).sum_dim(1) / count;
                (alpha - mean) * has + even
            }
        }
    }

    fn trains(&self, _: Moment) -> ArchShares {
        ArchShares { alpha: 0.0, beta: 0.0 }
    }

    fn edge_rank(&self, beta: &[f32], _: &[Vec<f32>], _: &Space) -> Vec<f32> {
        beta.to_vec()
    }
}
