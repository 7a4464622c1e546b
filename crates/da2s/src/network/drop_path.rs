//! Drop-path: silences whole operations of a sample while training.
//!
//! Reference: Larsson, Maire, Shakhnarovich, "FractalNet", 2017, as DARTS uses it: each operation but the identity
//! is dropped with probability `p` for each sample, and what stays is divided by 1 − p; p rises linearly over the
//! epochs. Contract: a pure function of (seed, epoch, step).

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;

use crate::backbone::Backbone;
use crate::random::{Purpose, generator};

/// When and how often paths are dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropPath {
    /// Probability of dropping.
    pub probability: f64,
    /// Seed of the run.
    pub seed: u64,
}

impl DropPath {
    /// The factors of one step: for each stage `[choices, batch]`, 0 or 1/(1 − p). `None` where nothing is dropped.
    pub fn factors(
        &self,
        network: &Backbone,
        batch: usize,
        epoch: usize,
        step: usize,
        device: &Device,
    ) -> Option<Vec<Option<Tensor<2>>>> {
        if self.probability <= 0.0 {
            return None;
        }
        let keep = 1.0 - self.probability;
        let mut random = generator(self.seed, Purpose::DropPath, epoch as u64, step as u64);
        let stages = network.stages().iter().map(|stage| {
            // Only cells drop paths, not stems, which have one input.
            let plan = stage.cell.plan();
            if plan.input_channels.len() < 2 {
                return None;
            }
            let shape = [plan.choice_count(), batch];
            let factors: Vec<f32> = (0..shape[0] * batch)
                .map(|_| if random.random_bool(keep) { (1.0 / keep) as f32 } else { 0.0 })
                .collect();
            Some(Tensor::from_data(TensorData::new(factors, shape), device))
        });
        Some(stages.collect())
    }
}
