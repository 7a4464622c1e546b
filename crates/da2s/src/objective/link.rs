//! Conversion between a parameter and the weight of its choice.
//!
//! A method reads its parameters in one of these ways; a drive acts on the weights, however they
//! are read. References are given with the methods. Contract: a link that normalises is the softmax
//! of its logits, and the conversions between parameter and logit are inverse to each other if both
//! are finite.

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softmax};

use super::entropy::total_entropy;
use super::regulariser::{strengthen_alpha, strengthen_beta};

/// The smallest weight, and the smallest concentration, by which f32 can still divide.
const LEAST: f64 = 1e-30;
/// A logit so low that its weight is 0 next to any logit that training reaches.
const GONE: f64 = -200.0;

/// Converts parameters to weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// p = softmax(α), as in DARTS.
    Softmax,
    /// p = softmax(S_α(α)), as in DA²S; S_α is capped if more than one operation is kept.
    Strengthened {
        /// Number of kept operations per edge.
        kept: usize,
    },
    /// q = softmax(S_β(β)), as in DA²S.
    Capped,
    /// p = α / Σ α, as in GAEA.
    Simplex,
    /// p = c / Σ c with c = elu(α) + 1: the mean of DrNAS's Dirichlet distribution.
    Dirichlet,
    /// p = σ(α), each independently, as in FairDARTS.
    Sigmoid,
}

impl Link {
    /// The weights of `parameters`, `[choices, candidates]`, differentiable.
    pub fn weights(self, parameters: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Softmax => softmax(parameters, 1),
            Self::Strengthened { kept } => softmax(strengthen_alpha(parameters, kept), 1),
            Self::Capped => softmax(strengthen_beta(parameters), 1),
            Self::Simplex => normalized(parameters),
            Self::Dirichlet => normalized(concentration(parameters)),
            Self::Sigmoid => sigmoid(parameters),
        }
    }

    /// The sum of the entropies of the weights of each choice, one element, differentiable.
    pub(crate) fn total_entropy(self, parameters: Tensor<2>) -> Tensor<1> {
        total_entropy(match self {
            Self::Softmax => parameters,
            Self::Strengthened { kept } => strengthen_alpha(parameters, kept),
            Self::Capped => strengthen_beta(parameters),
            Self::Simplex => parameters.clamp_min(LEAST).log(),
            Self::Dirichlet => concentration(parameters).log(),
            Self::Sigmoid => return gate_entropy(sigmoid(parameters)),
        })
    }

    /// Whether the weights of a choice sum to 1.
    pub(super) fn normalises(self) -> bool {
        self != Self::Sigmoid
    }

    /// Whether the sum by which the weights of a choice are divided has a meaning of its own, so
    /// that a projection must keep it.
    pub(super) fn keeps_sum(self) -> bool {
        matches!(self, Self::Simplex | Self::Dirichlet)
    }

    /// The logit of one parameter.
    pub(super) fn logit(self, value: f64) -> f64 {
        match self {
            Self::Softmax | Self::Sigmoid => value,
            Self::Strengthened { kept } => {
                let y = 2.0 * value;
                let strong = if y < -1.0 { y.powi(3) } else { y };
                if kept > 1 { strong.min(1.0) } else { strong }
            }
            Self::Capped => value.min(1.0),
            Self::Simplex => value.max(LEAST).ln(),
            Self::Dirichlet => (value.max(0.0) + value.min(0.0).exp()).max(LEAST).ln(),
        }
    }

    /// The parameter of a choice that has been removed: its weight is 0.
    pub(crate) fn removed(self) -> f32 {
        self.parameter(GONE) as f32
    }

    /// A parameter with this logit.
    pub(super) fn parameter(self, logit: f64) -> f64 {
        match self {
            Self::Softmax | Self::Sigmoid | Self::Capped => logit,
            Self::Strengthened { .. } if logit < -1.0 => logit.cbrt() / 2.0,
            Self::Strengthened { .. } => logit / 2.0,
            Self::Simplex => logit.exp(),
            Self::Dirichlet if logit > 0.0 => logit.exp() - 1.0,
            Self::Dirichlet => logit,
        }
    }
}

/// c = elu(α) + 1, the concentrations of DrNAS.
pub(crate) fn concentration(alpha: Tensor<2>) -> Tensor<2> {
    (alpha.clone().clamp_min(0.0) + alpha.clamp_max(0.0).exp()).clamp_min(LEAST)
}

/// Each row divided by its sum.
pub(crate) fn normalized(weights: Tensor<2>) -> Tensor<2> {
    weights.clone() / weights.sum_dim(1)
}

/// Σ −p ln p − (1 − p) ln(1 − p), one element.
fn gate_entropy(p: Tensor<2>) -> Tensor<1> {
    let part = |p: Tensor<2>| p.clone() * p.clamp_min(LEAST).log();
    -(part(p.clone()) + part(1.0 - p)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::host;
    use burn::tensor::{Device, TensorData};
    use proptest::prelude::*;

    const ALL: [Link; 7] = [
        Link::Softmax,
        Link::Strengthened { kept: 1 },
        Link::Strengthened { kept: 2 },
        Link::Capped,
        Link::Simplex,
        Link::Dirichlet,
        Link::Sigmoid,
    ];

    proptest! {
        #[test]
        fn weights_are_the_softmax_of_the_logits_and_logits_come_back(
            values in prop::collection::vec(0.05f32..0.5, 5),
            sign in any::<bool>(),
        ) {
            for link in ALL {
                let negative = sign && link != Link::Simplex;
                let values: Vec<f32> = values.iter().map(|x| if negative { -3.0 * x } else { *x }).collect();
                let row = Tensor::<2>::from_data(TensorData::new(values.clone(), [1, 5]), &Device::flex());
                let logits: Vec<f64> = values.iter().map(|&x| link.logit(f64::from(x))).collect();
                let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
                let of = |logit: &f64| match link.normalises() {
                    true => logit.exp() / sum,
                    false => 1.0 / (1.0 + (-logit).exp()),
                };
                let weights = host(&link.weights(row.clone()));
                for (weight, logit) in weights.iter().zip(&logits) {
                    prop_assert!((f64::from(*weight) - of(logit)).abs() < 1e-5, "{link:?}");
                    prop_assert!((link.logit(link.parameter(*logit)) - logit).abs() < 1e-9, "{link:?}");
                }
                let terms = |p: f64| if link.normalises() { -p * p.ln() } else { -p * p.ln() - (1.0 - p) * (1.0 - p).ln() };
                let entropy: f64 = logits.iter().map(|logit| terms(of(logit))).sum();
                let ours = f64::from(link.total_entropy(row).into_scalar::<f32>());
                prop_assert!((ours - entropy).abs() < 1e-4, "{link:?}: {ours} != {entropy}");
            }
        }
    }
}
