//! What moves α and β: Adam as in DARTS, or SGD with momentum as in the public NAS-Bench-201 protocol of DA²S.
//!
//! Contract: weight decay is added to the gradient (L2, as in PyTorch's `Adam` and `SGD`); SGD is without dampening. The state of a
//! tensor is a [`Moment`], kept by the caller.

use burn::optim::{Adam, AdamConfig, AdamState, Optimizer, decay::WeightDecayConfig};
use burn::tensor::Tensor;

use crate::config::{ArchOptimizerName, SearchSettings};

/// The optimiser of α and β.
#[derive(Clone)]
pub enum ArchOptimizer {
    /// Adam.
    Adam(Adam),
    /// SGD with momentum.
    Sgd {
        /// μ.
        momentum: f64,
        /// Weight decay.
        weight_decay: f64,
    },
}

/// What an optimiser remembers of one tensor.
#[derive(Clone)]
pub enum Moment<const D: usize> {
    /// Adam's means.
    Adam(Box<AdamState<D>>),
    /// SGD's velocity.
    Velocity(Box<Tensor<D>>),
}

impl ArchOptimizer {
    /// The optimiser of `settings`.
    pub fn new(settings: &SearchSettings) -> Self {
        match settings.arch_optimizer {
            ArchOptimizerName::Adam => Self::Adam(
                AdamConfig::new()
                    .with_beta_1(settings.arch_beta_1 as f32)
                    .with_beta_2(settings.arch_beta_2 as f32)
                    .with_epsilon(1e-8)
                    .with_weight_decay(Some(WeightDecayConfig::new(settings.arch_weight_decay as f32)))
                    .build(),
            ),
            ArchOptimizerName::Sgd => Self::Sgd {
                momentum: settings.arch_momentum,
                weight_decay: settings.arch_weight_decay,
            },
        }
    }

    /// Moves `value` by `gradient` at `rate`; `moment` goes along.
    pub fn step<const D: usize>(
        &self,
        rate: f64,
        value: Tensor<D>,
        gradient: Tensor<D>,
        moment: &mut Option<Moment<D>>,
    ) -> Tensor<D> {
        match self {
            Self::Adam(adam) => {
                let before = match moment.take() {
                    Some(Moment::Adam(state)) => Some(*state),
                    Some(Moment::Velocity(_)) | None => None,
                };
                let (value, next) = adam.step(rate, value, gradient, before);
                *moment = next.map(|state| Moment::Adam(Box::new(state)));
                value
            }
            Self::Sgd { momentum, weight_decay } => {
                let gradient = gradient + value.clone() * *weight_decay;
                let velocity = match moment.take() {
                    Some(Moment::Velocity(velocity)) => *velocity * *momentum + gradient,
                    Some(Moment::Adam(_)) | None => gradient,
                };
                *moment = Some(Moment::Velocity(Box::new(velocity.clone())));
                value - velocity * rate
            }
        }
    }
}

impl std::fmt::Debug for ArchOptimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Adam(_) => f.write_str("Adam"),
            Self::Sgd { momentum, weight_decay } => {
                write!(f, "Sgd {{ momentum: {momentum}, weight_decay: {weight_decay} }}")
            }
        }
    }
}

impl<const D: usize> std::fmt::Debug for Moment<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Adam(_) => "Adam",
            Self::Velocity(_) => "Velocity",
        })
    }
}
