//! The weights of a backbone: one flat tensor per part.
//!
//! Contract: values only, outside of autodiff; [`Weights::on_graph`] creates leaves of a new graph.

use std::collections::HashMap;

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use da2s_engine::WeightRole;
use da2s_records::Named;
use rand::Rng;

use super::{Backbone, LoadError};
use crate::device::host;
use crate::random::{Purpose, generator};

/// One flat tensor for each of [`Backbone::parts`].
#[derive(Clone, Debug)]
pub struct Weights {
    parts: Vec<Tensor<1>>,
}

impl Weights {
    /// Initial weights as in PyTorch: kernels and biases uniform in ±1/√fan_in, scales 1, shifts 0.
    /// Drawn from the stream of `purpose`.
    pub fn new(backbone: &Backbone, seed: u64, purpose: Purpose, device: &Device) -> Self {
        let parts = backbone.parts().iter().enumerate().map(|(index, part)| {
            let mut random = generator(seed, purpose, 0, index as u64);
            let mut data = Vec::with_capacity(part.weight_count);
            for weight in &part.weights {
                let size: usize = weight.shape.iter().product();
                match weight.role {
                    WeightRole::Kernel { fan_in } | WeightRole::Bias { fan_in } => {
                        let bound = 1.0 / (fan_in as f32).sqrt();
                        data.extend((0..size).map(|_| random.random_range(-bound..=bound)));
                    }
                    WeightRole::Gamma => data.extend(std::iter::repeat_n(1.0f32, size)),
                    WeightRole::Beta => data.extend(std::iter::repeat_n(0.0f32, size)),
                }
            }
            Tensor::from_data(TensorData::new(data, [part.weight_count]), device)
        });
        Self { parts: parts.collect() }
    }

    /// Weights from one tensor per part.
    pub fn from_parts(parts: Vec<Tensor<1>>) -> Self {
        Self { parts }
    }

    /// The flat weights of part `index`.
    pub fn part(&self, index: usize) -> Tensor<1> {
        self.parts[index].clone()
    }

    /// All parts.
    pub fn parts(&self) -> &[Tensor<1>] {
        &self.parts
    }

    /// The same values as leaves of a new autodiff graph, with a gradient or without.
    pub fn on_graph(&self, gradient: bool) -> Self {
        let leaf = |part: &Tensor<1>| part.clone().autodiff().set_require_grad(gradient);
        Self {
            parts: self.parts.iter().map(leaf).collect(),
        }
    }

    /// The gradients of these leaves, one per part; `None` for a part that was not used.
    pub fn gradients(&self, mut gradients: Gradients) -> Vec<Option<Tensor<1>>> {
        self.parts.iter().map(|part| part.grad_remove(&mut gradients)).collect()
    }

    /// Moves toward other weights: `(1 − share)·own + share·other`.
    pub fn blend(&mut self, other: &Self, share: f64) {
        for (own, other) in self.parts.iter_mut().zip(&other.parts) {
            *own = own.clone() * (1.0 - share) + other.clone() * share;
        }
    }

    /// Every weight under its name.
    pub fn named(&self, backbone: &Backbone) -> Vec<Named> {
        backbone
            .parts()
            .iter()
            .zip(&self.parts)
            .flat_map(|(part, data)| part.name_weights(&host(data)))
            .collect()
    }

    /// Weights from named tensors; unknown names are ignored.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn from_named(backbone: &Backbone, named: &[Named], device: &Device) -> Result<Self, LoadError> {
        let index = index(named);
        let load = |part: &super::PartLayout| {
            let data = part.join_weights(|name| index.get(name).copied())?;
            Ok(Tensor::from_data(data, device))
        };
        Ok(Self {
            parts: backbone.parts().iter().map(load).collect::<Result<_, LoadError>>()?,
        })
    }
}

pub(super) fn index(named: &[Named]) -> HashMap<&str, &Named> {
    named.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect()
}
