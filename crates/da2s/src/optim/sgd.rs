//! Stochastic gradient descent with momentum and weight decay, after clipping the gradient's global
//! norm.
//!
//! Contract: as PyTorch's `clip_grad_norm_` followed by `SGD` without dampening: `g ← g · min(1,
//! clip/(‖g‖ + 1e-6))`, `v ← μ v + g + wd·w`, `w ← w − η v`. The norm is that of all gradients
//! together. The decay can be limited to kernels, as in He et al., "Bag of Tricks for Image
//! Classification with Convolutional Neural Networks", 2019, section 3.1 ("no bias decay").

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use da2s_engine::{SgdStep, WeightRole, sgd_step, squared_norm};
use da2s_records::Named;

use crate::backbone::{Backbone, LoadError, PartLayout, Weights};
use crate::device::host;
use crate::finite::NotFinite;

/// The optimiser of a backbone's weights, with its velocities.
#[derive(Clone, Debug)]
pub struct Sgd {
    momentum: f64,
    weight_decay: f64,
    clip: f64,
    /// For each part, 1 where a weight decays and 0 elsewhere; empty if all weights decay.
    masks: Vec<Tensor<1>>,
    velocities: Vec<Option<Tensor<1>>>,
}

impl Sgd {
    /// An optimiser without velocities.
    pub fn new(momentum: f64, weight_decay: f64, clip: f64) -> Self {
        Self {
            momentum,
            weight_decay,
            clip,
            masks: Vec::new(),
            velocities: Vec::new(),
        }
    }

    /// The same for the weights of `backbone`, but only kernels decay, not biases or the scales and
    /// shifts of batch norms.
    #[must_use]
    pub fn decaying_kernels(self, backbone: &Backbone, device: &Device) -> Self {
        let masks = backbone.parts().iter().map(|part| kernel_mask(part, device));
        Self {
            masks: masks.collect(),
            ..self
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
        let moved = parts
            .enumerate()
            .map(|(index, ((part, gradient), velocity))| match gradient {
                None => part.clone(),
                Some(gradient) => {
                    let mask = self.masks.get(index);
                    let (moved, next) = sgd_step(step, part.clone(), gradient, velocity.take(), mask);
                    *velocity = Some(next);
                    moved
                }
            });
        *weights = Weights::from_parts(moved.collect());
        Ok(norm)
    }

    /// Sets the velocities of the weights at `ranges` of part `index` to 0.
    pub(crate) fn forget(&mut self, index: usize, ranges: &[Range<usize>]) {
        let Some(velocity) = self.velocities.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let mut values = host(velocity);
        ranges.iter().for_each(|range| values[range.clone()].fill(0.0));
        *velocity = Tensor::from_data(TensorData::new(values, velocity.dims()), &velocity.device());
    }

    /// The weights after a step without clipping; the step is not taken.
    pub fn unrolled(&self, rate: f64, weights: &Weights, gradients: Vec<Option<Tensor<1>>>) -> Weights {
        let step = self.step_of(rate, 1.0);
        let parts = weights.parts().iter().zip(gradients).enumerate();
        let moved = parts.map(|(index, (part, gradient))| match gradient {
            None => part.clone(),
            Some(gradient) => {
                let velocity = self.velocities.get(index).cloned().flatten();
                sgd_step(step, part.clone(), gradient, velocity, self.masks.get(index)).0
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
        let named = velocities.named(backbone).into_iter();
        named.map(|named| named.with_prefix(PREFIX)).collect()
    }

    /// Restores the velocities from named tensors; without any, the optimiser has no velocities.
    ///
    /// # Errors
    /// If some are missing or have another shape.
    pub(crate) fn restore(&mut self, backbone: &Backbone, named: &[Named], device: &Device) -> Result<(), LoadError> {
        let own = Named::below(named, PREFIX);
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

/// 1 at the kernels of `part`, 0 at all other weights.
fn kernel_mask(part: &PartLayout, device: &Device) -> Tensor<1> {
    let mut mask = vec![0.0f32; part.weight_count];
    for weight in &part.weights {
        if matches!(weight.role, WeightRole::Kernel { .. }) {
            let size: usize = weight.shape.iter().product();
            mask[weight.offset..weight.offset + size].fill(1.0);
        }
    }
    Tensor::from_data(TensorData::new(mask, [part.weight_count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::small_network;
    use crate::random::Purpose;

    #[test]
    fn decaying_kernels_leaves_norms_and_biases_unchanged() {
        let network = small_network(3);
        let device = Device::flex();
        let start = Weights::new(&network, 1, Purpose::NetworkWeights, &device);
        let mut weights = start.clone();
        // Without gradients, only the decay moves weights: w ← w − η λ w.
        let still = start.parts().iter().map(|part| Some(part.zeros_like())).collect();
        let mut sgd = Sgd::new(0.9, 0.5, 5.0).decaying_kernels(&network, &device);
        sgd.step(0.1, &mut weights, still, &network).unwrap();
        let (mut decayed, mut spared) = (0, 0);
        for (before, after) in start.named(&network).iter().zip(weights.named(&network)) {
            let is_kernel = before.shape.len() > 1;
            for (&before, after) in before.data.iter().zip(after.data) {
                let expected = if is_kernel {
                    before - 0.1 * (0.5 * before)
                } else {
                    before
                };
                assert_eq!(after.to_bits(), expected.to_bits());
            }
            *(if is_kernel { &mut decayed } else { &mut spared }) += 1;
        }
        assert!(decayed > 3 && spared > 3, "{decayed} and {spared} tensors");
        assert_eq!(host(&start.part(0)).len(), host(&weights.part(0)).len());
    }
}
