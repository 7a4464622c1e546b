//! Random search: the genotype is drawn at random, and the super-network only trains along so that the gap can be
//! measured.
//!
//! Reference: Li, Talwalkar, "Random Search and Reproducibility for Neural Architecture Search", UAI 2019. What is drawn is
//! one uniform genotype a seed, not their best of many: with the same budget of retraining as the other methods,
//! several seeds say what chance alone gives.

use burn::tensor::Tensor;

use super::method::{ArchShares, Draw, Moment, Penalty, SearchMethod};
use crate::objective::{KindTarget, Target};
use crate::space::Space;
use crate::supernet::{ArchParams, KindParams, Strengths};

/// The method; it has no settings. The draw is the noise with which α and β start, which depends on the seed alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct RandomSearch;

impl SearchMethod for RandomSearch {
    /// Uniform while weights train; read, the noise in α is added: too little to change an accuracy, enough to rank by.
    fn strengths(&self, arch: &KindParams, space: &Space, _: &KindTarget, draw: Option<Draw>) -> Strengths {
        let device = arch.alpha.device();
        let shape = arch.alpha.dims();
        let q = Strengths::uniform_edges(space, &device);
        let even = 1.0 / shape[1] as f32;
        let p = match draw {
            Some(_) => Tensor::full(shape, even, &device),
            None => arch.alpha.clone() - arch.alpha.clone().mean_dim(1) + even,
        };
        Strengths::new(p, q)
    }

    fn penalty(&self, _: &ArchParams, _: &Space, _: &Target, _: Moment) -> Option<Penalty> {
        None
    }

    fn trains(&self, _: Moment) -> ArchShares {
        ArchShares { alpha: 0.0, beta: 0.0 }
    }

    fn edge_rank(&self, beta: &[f32], _: &[Vec<f32>], _: &Space) -> Vec<f32> {
        beta.to_vec()
    }
}
