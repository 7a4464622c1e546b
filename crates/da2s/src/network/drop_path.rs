//! Drop-path: disables whole operations for single samples during training.
//!
//! Reference: Larsson, Maire, Shakhnarovich, "FractalNet", 2017, as DARTS uses it: each operation
//! except the identity is dropped with probability `p` for each sample, and the others are divided
//! by 1 − p; p rises linearly over the epochs. Contract: a pure function of (seed, epoch, step);
//! the factors that a process draws for its part of a batch are those of a single process for the
//! same images.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;

use crate::backbone::Backbone;
use crate::data::Shard;
use crate::random::{Purpose, generator};

/// The settings of drop-path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropPath {
    /// Probability of dropping.
    pub probability: f64,
    /// Seed of the run.
    pub seed: u64,
}

impl DropPath {
    /// The factors of one step for the part `shard` of its images, which has `batch` images: for
    /// each stage `[choices, batch]`, 0 or 1/(1 − p). `None` if nothing is dropped.
    pub fn factors(
        &self,
        network: &Backbone,
        batch: usize,
        shard: Shard,
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
            // Only cells drop paths.
            stage.kind?;
            let plan = stage.cell.plan();
            let mut factors = Vec::with_capacity(plan.choice_count() * batch);
            for choice in plan.edges.iter().flat_map(|edge| &edge.choices) {
                let mut factor = || {
                    if random.random_bool(keep) {
                        (1.0 / keep) as f32
                    } else {
                        0.0
                    }
                };
                if choice.can_drop() {
                    // All are drawn, so that each image has the factor of its index in the whole
                    // batch.
                    let all: Vec<f32> = (0..batch * shard.size).map(|_| factor()).collect();
                    factors.extend_from_slice(&all[shard.places(batch)]);
                } else {
                    factors.extend(std::iter::repeat_n(1.0, batch));
                }
            }
            let shape = [plan.choice_count(), batch];
            Some(Tensor::from_data(TensorData::new(factors, shape), device))
        });
        Some(stages.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{NetworkSize, Stem};
    use crate::device::host;
    use crate::network::network;
    use crate::space::{ChainShape, Genotype, Reductions};
    use da2s_engine::Engine;

    #[test]
    fn the_identity_is_never_dropped_and_the_mean_stays() {
        let text = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2], \
            reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])";
        let size = NetworkSize {
            stem: Stem::Cifar,
            channels: 2,
            cells: 1,
            reductions: Reductions::THIRDS,
            image_channels: 1,
            image_size: 8,
            classes: 2,
            auxiliary: false,
            chain: ChainShape::default(),
        };
        let network = network(&Genotype::parse(text).unwrap(), size.clone(), &Engine::Plain).unwrap();
        let drop = DropPath {
            probability: 0.3,
            seed: 1,
        };
        let factors = drop
            .factors(&network, 2000, Shard::WHOLE, 1, 0, &Device::flex())
            .unwrap();
        assert!(factors[0].is_none(), "a stem drops nothing");
        // A network with one cell has a reduction cell, in which the skip is a factorised reduce
        // and can be dropped.
        let values = host(factors[1].as_ref().unwrap());
        assert!(
            values
                .iter()
                .all(|&value| value == 0.0 || (value - 1.0 / 0.7).abs() < 1e-6)
        );
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
        assert!(
            DropPath {
                probability: 0.0,
                seed: 1
            }
            .factors(&network, 4, Shard::WHOLE, 1, 0, &Device::flex())
            .is_none()
        );

        let three = crate::network::network(
            &Genotype::parse(text).unwrap(),
            NetworkSize { cells: 3, ..size },
            &Engine::Plain,
        );
        let factors = drop
            .factors(three.as_ref().unwrap(), 100, Shard::WHOLE, 1, 0, &Device::flex())
            .unwrap();
        let normal = host(factors[1].as_ref().unwrap());
        assert!(normal[..100].contains(&0.0) && normal[100..].iter().all(|&value| value == 1.0));

        // Two processes with 50 images each have the same factors as one with 100.
        let half = |rank| {
            let shard = Shard { rank, size: 2 };
            let factors = drop.factors(three.as_ref().unwrap(), 50, shard, 1, 0, &Device::flex());
            host(factors.unwrap()[1].as_ref().unwrap())
        };
        let halves = half(0)
            .chunks(50)
            .zip(half(1).chunks(50))
            .flat_map(|(a, b)| [a, b].concat())
            .collect::<Vec<f32>>();
        assert_eq!(halves, normal);
    }
}
