//! GAEA: the parameters are the mixture itself, a point of the simplex on every edge, and move by
//! exponentiated gradients.
//!
//! Reference: Li, Khodak, Balcan, Talwalkar, "Geometry-Aware Gradient Algorithms for Neural
//! Architecture Search", ICLR 2021, algorithm 1: p ← p ⊙ exp(−η ∇p) / Σ, mirror descent with the
//! geometry of the simplex (Beck, Teboulle 2003). No weight falls below 1e-5, as in the authors'
//! code, so that every operation can recover; their η on CIFAR-10 is 0.1 (`search.alpha_rate`).
//! Contract: the optimiser of α, its momentum and its weight decay are not used.

use burn::tensor::Tensor;

use crate::objective::{Link, normalized};
use crate::search::method::SearchMethod;
use crate::space::KindTarget;

/// The minimum weight of an operation.
const LEAST: f32 = 1e-5;

/// The method; it has no settings of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gaea;

impl SearchMethod for Gaea {
    fn alpha_start(&self, _: &KindTarget, candidates: usize) -> f32 {
        1.0 / candidates as f32
    }

    /// α itself, normalised because the initial noise changes its sum.
    fn link(&self, _: &KindTarget) -> Link {
        Link::Simplex
    }

    fn step(&self, alpha: Tensor<2>, gradient: Tensor<2>, rate: f64) -> Option<Tensor<2>> {
        let exponent = gradient * -rate;
        // A common factor of a row is normalised away; removing it keeps the exponents small.
        let exponent = exponent.clone() - exponent.max_dim(1);
        Some(normalized(normalized(alpha * exponent.exp()).clamp_min(LEAST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::host;
    use burn::tensor::{Device, TensorData};
    use proptest::prelude::*;

    fn row(values: &[f32]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), &Device::flex())
    }

    proptest! {
        /// A step as in the paper's algorithm 1; the result is a point of the simplex for any
        /// gradient.
        #[test]
        fn a_step_is_an_exponentiated_gradient_on_the_simplex(
            weights in prop::collection::vec(0.05f32..1.0, 5),
            gradient in prop::collection::vec(-2f32..2.0, 5),
            rate in 0.0f64..1.0,
            huge in prop::collection::vec(-1e30f32..1e30, 5),
        ) {
            let start = host(&normalized(row(&weights)));
            let moved = |gradient: &[f32]| host(&Gaea.step(row(&start), row(gradient), rate).unwrap());
            let unnormalised = start.iter().zip(&gradient).map(|(p, slope)| p * (-rate as f32 * slope).exp());
            let unnormalised: Vec<f32> = unnormalised.collect();
            let sum: f32 = unnormalised.iter().sum();
            let near = |a: f32, b: f32| (a - b).abs() < 1e-5;
            for (moved, expected) in moved(&gradient).iter().zip(&unnormalised) {
                prop_assert!(near(*moved, expected / sum), "{} {}", moved, expected / sum);
            }
            // A constant added to a row's gradients has no effect.
            let shifted: Vec<f32> = gradient.iter().map(|slope| slope + 3.0).collect();
            prop_assert!(moved(&gradient).iter().zip(moved(&shifted)).all(|(a, b)| near(*a, b)));
            let far = moved(&huge);
            prop_assert!(near(far.iter().sum(), 1.0) && far.iter().all(|&p| p > 0.9e-5), "{far:?}");
        }
    }
}
