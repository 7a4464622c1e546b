//! DARTS with the entropy of its mixture added to the loss: what a regulariser alone does, without strengthening
//! functions and without weights of edges.
//!
//! Reference: the ablation of Tian et al. 2021, section 4.1; entropy of the mixture as in ASAP (Noy et al. 2019) and
//! Discretization-aware search's equation 3. p_ij = softmax(α_ij), L = CE + λ λ_c(t) λ_α(t) Σ_edges H(p_ij).

use burn::tensor::activation::{log_softmax, softmax};

use super::method::{ArchShares, Draw, Moment, Penalty, SearchMethod, operations_only, strongest_operation, total};
use crate::objective::{KindTarget, Regulariser, Target};
use crate::space::Space;
use crate::supernet::{ArchParams, KindParams, Strengths};

/// The method; of its regulariser only λ, λ_c and λ_α are read.
#[derive(Clone, Debug)]
pub(super) struct Entropy {
    pub(super) regulariser: Regulariser,
}

impl SearchMethod for Entropy {
    fn strengths(&self, arch: &KindParams, space: &Space, _: &KindTarget, _: Option<Draw>) -> Strengths {
        let q = Strengths::uniform_edges(space, &arch.alpha.device());
        Strengths::new(softmax(arch.alpha.clone(), 1), q)
    }

    fn penalty(&self, arch: &ArchParams, _: &Space, _: &Target, moment: Moment) -> Option<Penalty> {
        let Moment { epoch, epochs, warmup } = moment;
        let entropy = |_, arch: &KindParams| {
            let log = log_softmax(arch.alpha.clone(), 1);
            -(log.clone().exp() * log).sum()
        };
        let (strength, _) = self.regulariser.strengths(epoch, epochs, warmup);
        Some(Penalty {
            loss: total(arch, entropy) * strength,
            lambda: self.regulariser.lambda,
            lambda_c: self.regulariser.lambda_c.at(epoch, epochs, warmup),
            lambda_alpha: self.regulariser.lambda_alpha.at(epoch, epochs, warmup),
        })
    }

    fn trains(&self, moment: Moment) -> ArchShares {
        operations_only(moment)
    }

    fn edge_rank(&self, _: &[f32], p: &[Vec<f32>], space: &Space) -> Vec<f32> {
        strongest_operation(p, space)
    }
}
