//! The optimiser of α and β: Adam as in DARTS, or SGD with momentum as in the public NAS-Bench-201
//! protocol of DA²S.
//!
//! Contract: weight decay is added to the gradient (L2, as in PyTorch's `Adam` and `SGD`); SGD is
//! without dampening. The state of a tensor is an [`ArchMoment`], kept by the caller.

use burn::tensor::Tensor;

/// The optimiser of α and β.
#[derive(Clone, Debug)]
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

/// Adam: Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, in the operation order
/// given at the end of its section 2.
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// Decay of the mean of gradients.
    pub beta_1: f32,
    /// Decay of the mean of their squares.
    pub beta_2: f32,
    /// Weight decay.
    pub weight_decay: f32,
}

/// Added to the root of the mean square, as in PyTorch.
const EPSILON: f32 = 1e-8;

/// The state of an optimiser for one tensor.
#[derive(Clone, Debug)]
pub enum ArchMoment<const D: usize> {
    /// Adam's means.
    Adam(Box<AdamMeans<D>>),
    /// SGD's velocity.
    Velocity(Box<Tensor<D>>),
}

/// Adam's running means, without bias correction.
#[derive(Clone, Debug)]
pub struct AdamMeans<const D: usize> {
    /// Number of steps so far.
    pub steps: usize,
    /// Of the gradients.
    pub mean: Tensor<D>,
    /// Of their squares.
    pub square: Tensor<D>,
}

impl Adam {
    /// The new value of `value`, and the updated means.
    fn step<const D: usize>(
        &self,
        rate: f64,
        value: Tensor<D>,
        gradient: Tensor<D>,
        before: Option<AdamMeans<D>>,
    ) -> (Tensor<D>, AdamMeans<D>) {
        let gradient = value.clone() * self.weight_decay + gradient;
        let own = gradient.clone() * (1.0 - self.beta_1);
        let own_square = gradient.square() * (1.0 - self.beta_2);
        let (steps, mean, square) = match before {
            None => (1, own, own_square),
            Some(before) => (
                before.steps + 1,
                before.mean * self.beta_1 + own,
                before.square * self.beta_2 + own_square,
            ),
        };
        let corrected = |beta: f32| 1.0 - beta.powi(steps as i32);
        let root = corrected(self.beta_2).sqrt();
        let moved = mean.clone() * (root / corrected(self.beta_1)) / (square.clone().sqrt() + EPSILON * root);
        (value - moved * rate, AdamMeans { steps, mean, square })
    }
}

impl ArchOptimizer {
    /// Adam with `betas` as the decays of its means.
    pub(crate) fn adam(betas: [f64; 2], weight_decay: f64) -> Self {
        let [beta_1, beta_2] = betas.map(|beta| beta as f32);
        Self::Adam(Adam {
            beta_1,
            beta_2,
            weight_decay: weight_decay as f32,
        })
    }

    /// Moves `value` along `gradient` at `rate`, and updates `moment`.
    pub fn step<const D: usize>(
        &self,
        rate: f64,
        value: Tensor<D>,
        gradient: Tensor<D>,
        moment: &mut Option<ArchMoment<D>>,
    ) -> Tensor<D> {
        match self {
            Self::Adam(adam) => {
                let before = match moment.take() {
                    Some(ArchMoment::Adam(before)) => Some(*before),
                    Some(ArchMoment::Velocity(_)) | None => None,
                };
                let (value, means) = adam.step(rate, value, gradient, before);
                *moment = Some(ArchMoment::Adam(Box::new(means)));
                value
            }
            Self::Sgd { momentum, weight_decay } => {
                let gradient = gradient + value.clone() * *weight_decay;
                let velocity = match moment.take() {
                    Some(ArchMoment::Velocity(velocity)) => *velocity * *momentum + gradient,
                    Some(ArchMoment::Adam(_)) | None => gradient,
                };
                *moment = Some(ArchMoment::Velocity(Box::new(velocity.clone())));
                value - velocity * rate
            }
        }
    }
}
