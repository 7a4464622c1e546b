//! DARTS with the entropy of its mixture added to the loss: what a regulariser alone does, without
//! strengthening functions and without weights of edges.
//!
//! Reference: the ablation of Tian et al. 2021, section 4.1; entropy of the mixture as in ASAP (Noy
//! et al. 2019) and Discretization-aware search's equation 3. p_ij = softmax(α_ij), L = CE + λ
//! λ_c(t) λ_α(t) Σ_edges H(p_ij).

use crate::arch::ArchParams;
use crate::objective::{Penalty, Regulariser, total_entropy};
use crate::search::method::SearchMethod;
use crate::search::moment::Moment;
use crate::search::settings::SearchSettings;
use crate::space::{Space, Target};

/// The method; of its regulariser only λ, λ_c and λ_α are read.
#[derive(Clone, Debug)]
pub(super) struct Entropy {
    regulariser: Regulariser,
}

impl Entropy {
    pub(super) fn new(settings: &SearchSettings) -> Self {
        let regulariser = settings.regulariser.clone();
        Self { regulariser }
    }
}

impl SearchMethod for Entropy {
    fn penalty(&self, arch: &ArchParams, _: &Space, _: &Target, moment: Moment) -> Penalty {
        let (weight, _) = self.regulariser.strengths(moment.epoch, moment.epochs, moment.warmup);
        let entropies = arch.kinds().map(|_, arch| total_entropy(arch.alpha.clone()));
        Penalty::of("entropy", weight, entropies)
    }

    fn regulariser(&self) -> Option<&Regulariser> {
        Some(&self.regulariser)
    }
}
