//! Stochastic gradient descent with momentum and weight decay, the gradient's global norm clipped before it.
//!
//! Contract: as PyTorch's `clip_grad_norm_` followed by `SGD` without dampening: `g ← g · min(1, clip/(‖g‖ + 1e-6))`,
//! `v ← μ v + g + wd·w`, `w ← w − η v`. The update itself is Burn's; the clipping is ours because Burn's is per tensor.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::{MomentumConfig, MomentumState};
use burn::optim::{Optimizer, RecordState, Sgd as BurnSgd, SgdConfig, SgdState, StateSink};
use burn::tensor::{Device, Tensor};

use crate::backbone::{Backbone, LoadError, Named, Weights};
use crate::device::host;
use crate::finite::NotFinite;

/// The optimiser of a backbone's weights, with its velocities.
#[derive(Clone)]
pub struct Sgd {
    optimiser: BurnSgd,
    clip: f64,
    velocities: Vec<Option<SgdState<1>>>,
}

impl std::fmt::Debug for Sgd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sgd {{ clip: {}, parts: {} }}", self.clip, self.velocities.len())
    }
}

impl Sgd {
    /// An optimiser at rest.
    pub fn new(momentum: f64, weight_decay: f64, clip: f64) -> Self {
        let momentum = MomentumConfig::new().with_momentum(momentum).with_dampening(0.0);
        let optimiser = SgdConfig::new()
            .with_momentum(Some(momentum))
            .with_weight_decay(Some(WeightDecayConfig::new(weight_decay as f32)))
            .build();
        Self {
            optimiser,
            clip,
            velocities: Vec::new(),
        }
    }

    /// Moves `weights` by `gradients`, one a part; a part without a gradient stays. Returns the norm before clipping.
    ///
    /// # Errors
    /// If a gradient is not finite; nothing has moved then.
    pub fn step(
        &mut self,
        rate: f64,
        weights: &mut Weights,
        gradients: Vec<Option<Tensor<1>>>,
        backbone: &Backbone,
    ) -> Result<f64, NotFinite> {
        // Summed on the host in a fixed order, so that the bits do not depend on the number of threads.
        let square: f64 = gradients.iter().flatten().map(squared_norm).sum();
        let norm = square.sqrt();
        if !norm.is_finite() {
            let norm = NotFinite {
                what: "the norm of the gradient".to_owned(),
                value: norm,
            };
            return Err(NotFinite::in_gradients(backbone, &gradients).unwrap_or(norm));
        }
        let scale = (self.clip / (norm + 1e-6)).min(1.0);
        self.velocities.resize_with(gradients.len(), || None);
        let parts = weights.parts().iter().zip(gradients).zip(&mut self.velocities);
        let moved = parts.map(|((part, gradient), velocity)| match gradient {
            None => part.clone(),
            Some(gradient) => {
                let gradient = if scale < 1.0 { gradient * scale } else { gradient };
                let (moved, next) = self.optimiser.step(rate, part.clone(), gradient, velocity.take());
                *velocity = next;
                moved
            }
        });
        *weights = Weights::from_parts(moved.collect());
        Ok(norm)
    }

    /// Where a step would take `weights`, without clipping, and without taking it.
    pub fn unrolled(&self, rate: f64, weights: &Weights, gradients: Vec<Option<Tensor<1>>>) -> Weights {
        let parts = weights.parts().iter().zip(gradients).enumerate();
        let moved = parts.map(|(index, (part, gradient))| match gradient {
            None => part.clone(),
            Some(gradient) => {
                let velocity = self.velocities.get(index).cloned().flatten();
                self.optimiser.step(rate, part.clone(), gradient, velocity).0
            }
        });
        Weights::from_parts(moved.collect())
    }

    /// The velocities under their weights' names behind `sgd.`; none before the first step.
    pub fn named(&self, backbone: &Backbone) -> Vec<Named> {
        let device = Device::flex();
        let velocities = self.velocities.iter().zip(backbone.parts()).map(|(state, part)| {
            velocity(state.as_ref()).unwrap_or_else(|| Tensor::zeros([part.weight_count], &device))
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

    /// Takes the velocities from named tensors; without any the optimiser is at rest.
    ///
    /// # Errors
    /// If some are missing or have another shape.
    pub fn restore(&mut self, backbone: &Backbone, named: &[Named], device: &Device) -> Result<(), LoadError> {
        let own = named.iter().filter_map(|tensor| {
            let name = tensor.name.strip_prefix(PREFIX)?.to_owned();
            Some(Named { name, ..tensor.clone() })
        });
        let own: Vec<Named> = own.collect();
        self.velocities = Vec::new();
        if !own.is_empty() {
            let velocities = Weights::from_named(backbone, &own, device)?;
            let state = |part: &Tensor<1>| Some(SgdState::new(Some(MomentumState::new(part.clone()))));
            self.velocities = velocities.parts().iter().map(state).collect();
        }
        Ok(())
    }
}

/// Before the names of velocities.
const PREFIX: &str = "sgd.";

/// The velocity of a part. Burn keeps the field to itself and hands it out only in its record.
fn velocity(state: Option<&SgdState<1>>) -> Option<Tensor<1>> {
    let mut sink = StateSink::default();
    state?.state_flatten("", &mut sink);
    let (_, data) = sink.tensors.pop()?;
    Some(Tensor::from_data(data, &Device::flex()))
}

fn squared_norm(gradient: &Tensor<1>) -> f64 {
    host(gradient)
        .iter()
        .map(|&value| f64::from(value) * f64::from(value))
        .sum()
}
