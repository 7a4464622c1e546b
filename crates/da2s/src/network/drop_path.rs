//! Drop-path: disables whole operations for single samples during training.
//!
//! Reference: Larsson, Maire, Shakhnarovich, "FractalNet", 2017, as DARTS uses it: each operation
//! except the identity is dropped with probability p for each sample, and the others are divided by
//! 1 − p; p rises linearly over the epochs. If p rises over the depth instead, this is stochastic
//! depth (Huang et al., "Deep Networks with Stochastic Depth", 2016): layer ℓ of L is dropped with
//! the probability p·ℓ/L, the linear rule of equation 4. Differences from the paper: each sample
//! drops its own layers, and values are divided in training, while the paper multiplies them by a
//! factor in testing instead (equation 5). A layer is a node of a cell, counted through all cells;
//! in the chains of the spaces `mobile` and `plain` this is a residual block, and layers without a
//! shortcut are never dropped. Contract: a pure function of (seed, epoch, step); the factors that a
//! process draws for its part of a batch are those of a single process for the same images.

use burn::tensor::{Device, Tensor, TensorData};
use da2s_engine::CellPlan;
use da2s_settings::words;
use rand::Rng;

use crate::backbone::Backbone;
use crate::data::Shard;
use crate::random::{Purpose, generator};

words! {
    /// How the probability of drop-path rises.
    #[strum(serialize_all = "lowercase")]
    pub enum DropPathRamp {
        /// Over the epochs, as in DARTS: p·(t − 1)/T in epoch t of T, everywhere in the network.
        Epochs,
        /// Over the depth, as in stochastic depth: p·ℓ/L in layer ℓ of L, in every epoch.
        Depth,
    }
}

/// The settings of drop-path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropPath {
    /// Maximum probability of dropping in this epoch.
    pub probability: f64,
    /// How it rises; over the epochs it is the same at every depth.
    pub ramp: DropPathRamp,
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
        let mut random = generator(self.seed, Purpose::DropPath, epoch as u64, step as u64);
        // Only cells drop paths.
        let cells = network.stages().iter().filter(|stage| stage.kind.is_some());
        let layers: usize = cells.map(|stage| layers_of(stage.cell.plan())).sum();
        let mut before = 0;
        let stages = network.stages().iter().map(|stage| {
            stage.kind?;
            let plan = stage.cell.plan();
            let mut factors = Vec::with_capacity(plan.choice_count() * batch);
            let choices = plan.edges.iter().flat_map(|edge| {
                let layer = before + edge.to - plan.input_channels.len() + 1;
                edge.choices.iter().map(move |choice| (layer, edge, choice))
            });
            for (layer, edge, choice) in choices {
                let keep = match self.ramp {
                    DropPathRamp::Epochs => 1.0 - self.probability,
                    DropPathRamp::Depth => 1.0 - self.probability * layer as f64 / layers as f64,
                };
                let mut factor = || {
                    if random.random_bool(keep) {
                        (1.0 / keep) as f32
                    } else {
                        0.0
                    }
                };
                if edge.can_drop(choice) {
                    // Every process draws the factors of the whole batch, so that an image has the
                    // same factor however many processes there are.
                    let all: Vec<f32> = (0..batch * shard.size).map(|_| factor()).collect();
                    factors.extend_from_slice(&all[shard.places(batch)]);
                } else {
                    factors.extend(std::iter::repeat_n(1.0, batch));
                }
            }
            before += layers_of(plan);
            let shape = [plan.choice_count(), batch];
            Some(Tensor::from_data(TensorData::new(factors, shape), device))
        });
        Some(stages.collect())
    }
}

/// Number of layers of a cell: its nodes that are not inputs.
fn layers_of(plan: &CellPlan) -> usize {
    plan.node_channels.len() - plan.input_channels.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{NetworkSize, Stem};
    use crate::device::host;
    use crate::network::{network, small_network};
    use crate::space::{ChainShape, Genotype, Reductions, StageShape};
    use da2s_engine::Engine;

    #[test]
    fn the_identity_is_never_dropped_and_the_mean_stays() {
        let network = small_network(1);
        let drop = DropPath {
            probability: 0.3,
            ramp: DropPathRamp::Epochs,
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
                ..drop
            }
            .factors(&network, 4, Shard::WHOLE, 1, 0, &Device::flex())
            .is_none()
        );

        let three = small_network(3);
        let factors = drop.factors(&three, 100, Shard::WHOLE, 1, 0, &Device::flex()).unwrap();
        let normal = host(factors[1].as_ref().unwrap());
        assert!(normal[..100].contains(&0.0) && normal[100..].iter().all(|&value| value == 1.0));

        // Two processes with 50 images each have the same factors as one with 100.
        let half = |rank| {
            let shard = Shard { rank, size: 2 };
            let factors = drop.factors(&three, 50, shard, 1, 0, &Device::flex());
            host(factors.unwrap()[1].as_ref().unwrap())
        };
        let halves = half(0)
            .chunks(50)
            .zip(half(1).chunks(50))
            .flat_map(|(a, b)| [a, b].concat())
            .collect::<Vec<f32>>();
        assert_eq!(halves, normal);
    }

    /// A chain of five layers; the third changes the number of channels and has no shortcut, so
    /// dropping it would leave nothing.
    #[test]
    fn over_the_depth_the_last_layer_is_dropped_most() {
        for text in [
            "Genotype(stages=[['mbconv_k3_e3', 'mbconv_k3_e3'], ['mbconv_k5_e3', 'mbconv_k3_e1', 'mbconv_k3_e3']])",
            "Genotype(stages=[['resblock_k3', 'mbconv_k3_e3'], ['resblock_k3', 'mbconv_k3_e1', 'resblock_k3']])",
        ] {
            assert_eq!(layers_that_drop(text), [1, 2, 4, 5], "{text}");
        }
    }

    /// The layers of a network with drop-path over the depth that it drops, each as often as it
    /// should.
    fn layers_that_drop(text: &str) -> Vec<usize> {
        let stage = |channels, layers| StageShape {
            channels,
            layers,
            stride: 1,
        };
        let size = NetworkSize {
            stem: Stem::Cifar,
            channels: 8,
            cells: 1,
            reductions: Reductions::At(Vec::new()),
            image_channels: 1,
            image_size: 8,
            classes: 2,
            auxiliary: false,
            chain: ChainShape {
                stem_channels: 8,
                stem_stride: 1,
                stages: vec![stage(8, 2), stage(16, 3)],
                head_channels: 16,
                ..ChainShape::default()
            },
        };
        let network = network(&Genotype::parse(text).unwrap(), size, &Engine::Plain).unwrap();
        let drop = DropPath {
            probability: 0.5,
            ramp: DropPathRamp::Depth,
            seed: 1,
        };
        let batch = 4000;
        let factors = drop
            .factors(&network, batch, Shard::WHOLE, 1, 0, &Device::flex())
            .unwrap();
        let values = host(factors[1].as_ref().unwrap());
        let plan = network.stages()[1].cell.plan();
        let choices = plan
            .edges
            .iter()
            .flat_map(|edge| edge.choices.iter().map(move |choice| (edge, choice)));
        let mut dropping = Vec::new();
        for ((edge, choice), factors) in choices.zip(values.chunks_exact(batch)) {
            let layer = edge.to;
            let dropped = factors.iter().filter(|&&factor| factor == 0.0).count() as f64 / batch as f64;
            if edge.can_drop(choice) {
                let probability = 0.5 * layer as f64 / 5.0;
                assert!((dropped - probability).abs() < 0.03, "{layer}: {dropped}");
                let kept = factors.iter().filter(|&&factor| factor != 0.0);
                assert!(
                    kept.into_iter()
                        .all(|&factor| f64::from(factor - (1.0 / (1.0 - probability)) as f32).abs() < 1e-6)
                );
                dropping.push(layer);
            } else {
                assert_eq!(dropped, 0.0);
            }
        }
        dropping
    }
}
