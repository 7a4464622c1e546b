//! Dropout on skip connections while a search trains: for single images, a skip connection is left
//! out as a whole.
//!
//! Reference: Chen et al., P-DARTS, ICCV 2019, section 3.2: dropout after each skip connection, so
//! that the network cannot rely on them alone. The paper and its code drop single numbers of a
//! connection's output; this project drops the whole connection for an image. Contract: only skip
//! connections that keep the image's size are dropped; the others have weights of their own, as in
//! the paper's code. What stays is divided by 1 − p. The factors are a pure function of seed,
//! epoch, step and half; each process of a group has the factors that a single process would draw
//! for the same images.

use burn::tensor::{Tensor, TensorData};
use da2s_engine::Block;
use rand::Rng;

use super::bilevel::Bilevel;
use super::moment::Draw;
use crate::random::Purpose;
use crate::space::Operation;

impl Bilevel<'_> {
    /// For each stage of the super-network the factors of its choices, `[choices, images]`: 0 or
    /// 1/(1 − p) for skip connections, 1 for the others. `None` if nothing is dropped.
    pub(super) fn skip_factors(&self, images: usize, draw: Draw) -> Option<Vec<Option<Tensor<2>>>> {
        let probability = self.method.method().skip_dropout(draw.moment);
        if probability <= 0.0 {
            return None;
        }
        let (keep, shard) = (1.0 - probability, self.group.shard());
        let mut random = draw.random(Purpose::Method);
        let edges = self.space.graph.edge_count();
        let others = self.space.operations.iter().map(|&one| one != Operation::SkipConnect);
        let others: Vec<bool> = others.collect::<Vec<_>>().repeat(edges);
        let others = self.backbone.active_choices(&others.into());
        let stages = self.backbone.stages().iter().map(|stage| {
            stage.kind?;
            let choices = stage.cell.plan().edges.iter().flat_map(|edge| &edge.choices);
            let mut factors = Vec::with_capacity(others.len() * images);
            for (choice, &other) in choices.zip(others.iter()) {
                if other || choice.block != Block::Identity {
                    factors.extend(std::iter::repeat_n(1.0, images));
                    continue;
                }
                // All are drawn, so that each image has the factor of its index in the whole batch.
                let all = (0..images * shard.size).map(|_| match random.random_bool(keep) {
                    true => (1.0 / keep) as f32,
                    false => 0.0,
                });
                let all: Vec<f32> = all.collect();
                factors.extend_from_slice(&all[shard.places(images)]);
            }
            let shape = [others.len(), images];
            Some(Tensor::from_data(TensorData::new(factors, shape), self.device))
        });
        Some(stages.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataOptions, Format, open};
    use crate::device::host;
    use crate::resumable::Resumable;
    use crate::search::{Half, Method, Moment, Search, SearchSetup};
    use burn::tensor::Device;
    use da2s_engine::Engine;

    #[test]
    fn skip_connections_are_dropped_as_often_as_requested_and_nothing_else_is() {
        let dataset = open(Format::Digits, None, &DataOptions::default()).unwrap();
        let mut setup = SearchSetup::default();
        (setup.search.channels, setup.search.method) = (2, Method::PDarts);
        let search = Search::new(&setup, &dataset, &Device::flex(), &Engine::fused()).unwrap();
        let mut state = search.start();
        let (stepper, images) = (search.stepper(&state), 500);
        // Nothing is dropped in the first stage, whose probability is 0.
        let draw = |moment| Draw::new(1, moment);
        assert!(stepper.skip_factors(images, draw(search.moment(&state))).is_none());
        state.progress.epochs_done = 20;
        let stepper = search.stepper(&state);
        let moment = Moment {
            epoch: 5,
            ..search.moment(&state)
        };
        assert_eq!(
            (moment.stage, search.backbone_of(&state).stages().len()),
            (2, search.backbone.stages().len())
        );
        let factors = stepper.skip_factors(images, draw(moment)).unwrap();
        let keep = 1.0 - 0.7;
        let (mut dropped, mut drawn) = (0, 0);
        for (stage, factors) in search.backbone.stages().iter().zip(&factors) {
            let Some(factors) = factors else {
                assert!(stage.kind.is_none());
                continue;
            };
            let choices = stage.cell.plan().edges.iter().flat_map(|edge| &edge.choices);
            for (at, (choice, row)) in choices.zip(host(factors).chunks(images)).enumerate() {
                let is_skip = search.space.operations[at % 7] == Operation::SkipConnect;
                if is_skip && choice.block == Block::Identity {
                    let value = |factor: &f32| *factor == 0.0 || (f64::from(*factor) - 1.0 / keep).abs() < 1e-6;
                    assert!(row.iter().all(value));
                    dropped += row.iter().filter(|factor| **factor == 0.0).count();
                    drawn += images;
                } else {
                    assert!(row.iter().all(|factor| *factor == 1.0), "{at}");
                }
            }
        }
        // Five standard deviations of a binomial distribution.
        let share = dropped as f64 / drawn as f64;
        assert!(
            (share - 0.7).abs() < 5.0 * (0.7 * keep / drawn as f64).sqrt(),
            "{share} of {drawn}"
        );
        // A pure function of the draw.
        let again = |draw| stepper.skip_factors(images, draw).unwrap();
        let values = |factors: &[Option<Tensor<2>>]| -> Vec<f32> { factors.iter().flatten().flat_map(host).collect() };
        assert!(values(&again(draw(moment))) == values(&factors));
        let other = Draw {
            half: Half::Arch,
            ..draw(moment)
        };
        assert!(values(&again(other)) != values(&factors));
    }
}
