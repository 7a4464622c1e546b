//! Stochastic gradient descent with momentum and weight decay, after clipping the gradient's global
//! norm.
//!
//! Contract: as PyTorch's `clip_grad_norm_` followed by `SGD` without dampening: `g ← g · min(1,
//! clip/(‖g‖ + 1e-6))`, `v ← μ v + g + wd·w`, `w ← w − η v`. The norm is that of all gradients
//! together.

use burn::tensor::{Device, Tensor};
use da2s_engine::{SgdStep, sgd_step, squared_norm};
use da2s_records::Named;

use crate::backbone::{Backbone, LoadError, Weights};
use crate::finite::NotFinite;

/// The optimiser of a backbone's weights, with its velocities.
#[derive(Clone, Debug)]
pub struct Sgd {
    momentum: f64,
    weight_decay: f64,
    clip: f64,
    velocities: Vec<Option<Tensor<1>>>,
}

impl Sgd {
    /// An optimiser without velocities.
    pub fn new(momentum: f64, weight_decay: f64, clip: f64) -> Self {
        Self {
            momentum,
            weight_decay,
            clip,
            velocities: Vec::new(),
        }
    }

    /// Moves `weights` along `gradients`, one per part; a part without a gradient does not move.
    /// Returns the norm before clipping.
    ///
    /// # Errors
    /// If a gradient is not finite; no weight has moved then.
    pub fn step(
        &mut self,
        rate: f64,
        weights: &mut Weights,
        gradients: Vec<Option<Tensor<1>>>,
        backbone: &Backbone,
    ) -> Result<f64, NotFinite> {
        let norm = gradients.iter().flatten().map(squared_norm).sum::<f64>().sqrt();
        if !norm.is_finite() {
            let norm = NotFinite {
                what: "the norm of the gradient".to_owned(),
                value: norm,
            };
            return Err(NotFinite::in_gradients(backbone, &gradients).unwrap_or(norm));
        }
        let step = self.step_of(rate, (self.clip / (norm + 1e-6)).min(1.0));
        self.velocities.resize_with(gradients.len(), || None);
        let parts = weights.parts().iter().zip(gradients).zip(&mut self.velocities);
        let moved = parts.map(|((part, gradient), velocity)| match gradient {
            None => part.clone(),
            Some(gradient) => {
                let (moved, next) = sgd_step(step, part.clone(), gradient, velocity.take());
                *velocity = Some(next);
                moved
            }
        });
        *weights = Weights::from_parts(moved.collect());
        Ok(norm)
    }

    /// The weights after a step without clipping; the step is not taken.
    pub fn unrolled(&self, rate: f64, weights: &Weights, gradients: Vec<Option<Tensor<1>>>) -> Weights {
        let step = self.step_of(rate, 1.0);
        let parts = weights.parts().iter().zip(gradients).enumerate();
        let moved = parts.map(|(index, (part, gradient))| match gradient {
            None => part.clone(),
            Some(gradient) => {
                let velocity = self.velocities.get(index).cloned().flatten();
                sgd_step(step, part.clone(), gradient, velocity).0
            }
        });
        Weights::from_parts(moved.collect())
    }

    fn step_of(&self, rate: f64, scale: f64) -> SgdStep {
        SgdStep {
            rate: rate as f32,
            momentum: self.momentum as f32,
            weight_decay: self.weight_decay as f32,
            scale: scale as f32,
        }
    }

    /// The velocities, named `sgd.` and the name of their weights; empty before the first step.
    pub fn named(&self, backbone: &Backbone) -> Vec<Named> {
        let device = Device::flex();
        let velocities = self.velocities.iter().zip(backbone.parts()).map(|(velocity, part)| {
            velocity
                .clone()
                .unwrap_or_else(|| Tensor::zeros([part.weight_count], &device))
        });
        let velocities = Weights::from_parts(velocities.collect());
        if velocities.parts().is_empty() {
            return Vec::new();
        }
        let rename = |named: Named| Named {
            name: format!("{PREFIX}{}", named.name),
            ..named
        };
        velocities.named(backbone).into_iter().map(rename).collect()
    }

    /// Restores the velocities from named tensors; without any, the optimiser has no velocities.
    ///
    /// # Errors
    /// If some are missing or have another shape.
    pub(crate) fn restore(&mut self, backbone: &Backbone, named: &[Named], device: &Device) -> Result<(), LoadError> {
        let own = named.iter().filter_map(|tensor| {
            let name = tensor.name.strip_prefix(PREFIX)?.to_owned();
            Some(Named { name, ..tensor.clone() })
        });
        let own: Vec<Named> = own.collect();
        self.velocities = Vec::new();
        if !own.is_empty() {
            let velocities = Weights::from_named(backbone, &own, device)?;
            self.velocities = velocities.parts().iter().cloned().map(Some).collect();
        }
        Ok(())
    }
}

/// Prefix of the names of velocities.
const PREFIX: &str = "sgd.";
