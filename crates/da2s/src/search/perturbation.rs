//! Perturbs the mixture while the weights train.
//!
//! Reference: Chen, Hsieh, ICML 2020, and their code: projected gradient ascent (Madry et al. 2018)
//! of the weights' loss in δ, from a uniform draw. Contract: |δ| ≤ radius for each weight; a pure
//! function of seed and moment; the ascent does not update running statistics. In a group of
//! processes δ is the same in all.

use burn::tensor::{Tensor, TensorData};
use rand::Rng;

use super::bilevel::{Bilevel, Under};
use super::moment::{Draw, When};
use super::state::SearchState;
use crate::arch::KindParams;
use crate::evaluate::DeviceBatch;
use crate::finite::NotFinite;
use crate::objective::normalized;
use crate::random::Purpose;
use crate::space::PerKind;

/// The smallest weight after adding δ, before the weights of an edge are divided by their sum.
const LEAST: f64 = 1e-6;

/// The parameters of a perturbation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perturbation {
    /// The largest change of a weight, ε.
    pub radius: f64,
    /// Number of ascent steps from the random draw; 0 leaves the draw unchanged.
    pub steps: usize,
}

/// p + δ, with weights between 0 and 1 and rows with the sum 1; 0 for what `arch` has removed.
/// `[edges, operations]`.
pub(super) fn disturbed(p: Tensor<2>, delta: Tensor<2>, arch: &KindParams) -> Tensor<2> {
    normalized(arch.remaining_of((p + delta).clamp(LEAST, 1.0)))
}

impl Bilevel<'_> {
    /// δ of every kind of cell, computed on `batch`, for the update of the weights in the step that
    /// `draw` names.
    ///
    /// # Errors
    /// If the loss is not finite.
    pub(super) fn perturbed(
        &self,
        state: &SearchState,
        how: Perturbation,
        batch: &DeviceBatch,
        draw: Draw,
    ) -> Result<PerKind<Tensor<2>>, NotFinite> {
        let radius = how.radius as f32;
        let mut delta = state.arch.kinds().map(|kind, arch| {
            let shape = arch.alpha.dims();
            let mut random = Draw { kind, ..draw }.random(Purpose::Method);
            let drawn = (0..shape[0] * shape[1]).map(|_| radius * (2.0 * random.random::<f32>() - 1.0));
            Tensor::<2>::from_data(TensorData::new(drawn.collect(), shape), self.device)
        });
        let (weights, arch) = (state.weights.on_graph(false), state.arch.untracked());
        for _ in 0..how.steps {
            let leaves = delta.map(|_, delta| delta.clone().autodiff().require_grad());
            let mixtures = self.disturbed_mixtures(&arch, When::Training(draw), &leaves);
            let under = Under {
                mixtures: &mixtures,
                shifts: None,
            };
            let (loss, _) = self.loss_under(&mut state.clone(), &weights, &arch, under, batch, draw)?;
            let mut gradients = loss.backward();
            let flat = leaves
                .values()
                .map(|leaf| leaf.grad_remove(&mut gradients).map(|slope| slope.flatten(0, 1)));
            let mut slopes = self.averaged(flat.collect()).into_iter();
            let step = 2.0 * how.radius / how.steps as f64;
            delta = delta.map(|_, delta| match slopes.next().flatten() {
                Some(slope) => {
                    let ascent = slope.reshape(delta.dims()).sign() * step;
                    (delta.clone() + ascent).clamp(-how.radius, how.radius)
                }
                None => delta.clone(),
            });
        }
        Ok(delta)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::arch::Removed;
    use crate::data::{DataOptions, Format, open};
    use crate::device::host;
    use crate::resumable::Resumable;
    use crate::search::{Method, Moment, Search, SearchSetup};
    use burn::tensor::Device;
    use da2s_engine::Engine;

    #[test]
    fn a_disturbed_mixture_is_a_mixture() {
        let row = |values: [f32; 3]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [1, 3]), &Device::flex());
        let mut arch = KindParams::new(row([0.0; 3]), Tensor::zeros([1], &Device::flex()));
        let mixed = host(&disturbed(row([0.5, 0.3, 0.2]), row([0.3, -0.5, 0.0]), &arch));
        let expected = [0.8, 0.0, 0.2];
        assert!(
            mixed
                .iter()
                .zip(expected)
                .all(|(ours, expected)| (ours - expected).abs() < 1e-5),
            "{mixed:?}"
        );
        // If δ leaves no positive weight, all get the same minimum.
        let even = host(&disturbed(row([0.2, 0.2, 0.2]), row([-0.3; 3]), &arch));
        assert!(even.iter().all(|weight| (weight - 1.0 / 3.0).abs() < 1e-5), "{even:?}");
        // What is removed stays away, and the others still sum to 1.
        arch.removed = Some(Arc::new(Removed {
            operations: vec![false, true, false],
            edges: vec![false],
        }));
        let without = host(&disturbed(row([0.5, 0.0, 0.5]), row([0.1, 0.3, 0.1]), &arch));
        assert_eq!(without, [0.5, 0.0, 0.5]);
    }

    /// The draw is uniform within its bounds; the ascent stays within them and finds a larger loss.
    #[test]
    fn a_draw_is_uniform_and_the_ascent_makes_it_worse_within_its_bounds() {
        let mut setup = SearchSetup {
            seed: 1,
            ..SearchSetup::default()
        };
        (setup.search.channels, setup.search.batch_size) = (2, 32);
        setup.search.method = Method::SdartsAdv;
        let dataset = open(Format::Digits, None, &DataOptions::default()).unwrap();
        let search = Search::new(&setup, &dataset, &Device::flex(), &Engine::fused()).unwrap();
        let state = search.start();
        let stepper = search.stepper(&state);
        let batch = DeviceBatch::new(search.weight_loader.batch(1, 0).unwrap(), &search.device);
        let draw = |step| Draw::new(1, Moment::of_epoch(1, 50, 0).at_step(step));
        let radius = 0.1f32;
        let of = |steps, draw| {
            let how = Perturbation {
                radius: f64::from(radius),
                steps,
            };
            stepper.perturbed(&state, how, &batch, draw).unwrap()
        };
        let mut drawn: Vec<f32> = Vec::new();
        for step in 0..20 {
            drawn.extend(of(0, draw(step)).values().flat_map(host));
        }
        let mean = drawn.iter().sum::<f32>() / drawn.len() as f32;
        let square = drawn.iter().map(|value| value * value).sum::<f32>() / drawn.len() as f32;
        assert!(drawn.iter().all(|value| value.abs() <= radius));
        // For 3,920 draws the standard error of the mean is 9e-4, that of the square 5e-5.
        assert!(
            mean.abs() < 4e-3 && (square - radius * radius / 3.0).abs() < 2e-4,
            "{mean} {square}"
        );
        assert_ne!(drawn[..98], drawn[98..196], "kinds of cell draw for themselves");

        let loss = |delta: &PerKind<Tensor<2>>| {
            let (weights, arch) = (state.weights.on_graph(false), state.arch.untracked());
            let delta = delta.map(|_, delta| delta.clone().autodiff());
            let mixtures = stepper.disturbed_mixtures(&arch, When::Training(draw(0)), &delta);
            let under = Under {
                mixtures: &mixtures,
                shifts: None,
            };
            let loss = stepper.loss_under(&mut state.clone(), &weights, &arch, under, &batch, draw(0));
            loss.unwrap().1.loss
        };
        let (random, worst) = (of(0, draw(0)), of(7, draw(0)));
        assert!(worst.values().flat_map(host).all(|value| value.abs() <= radius + 1e-6));
        assert!(loss(&worst) > loss(&random), "{} {}", loss(&worst), loss(&random));
    }
}
