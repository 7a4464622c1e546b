//! Second-order DARTS: the gradient of the architecture through one step of the weights.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
//! equations 6 to 8:
//!
//! ```text
//! w' = w − ξ (μ v + ∇w L_train(w, α) + weight decay · w)
//! ∇α = ∇α L_val(w', α) − ξ (∇α L_train(w⁺, α) − ∇α L_train(w⁻, α)) / 2ε
//! w± = w ± ε ∇w' L_val(w', α),   ε = 0.01 / ‖∇w' L_val‖
//! ```
//!
//! with ξ the rate of the weights. Contract: what is added to both losses cancels in the
//! difference, so the regulariser counts once; only the pass over the architecture's batch updates
//! the running statistics, as in the first-order step. In a group of processes the unrolled weights
//! and the direction are means over the group.

use burn::tensor::Tensor;
use da2s_engine::squared_norm;

use super::arch_gradients::{ArchGradients, KindGradients};
use super::bilevel::{Bilevel, Rates, Reading};
use super::moment::{Draw, Half};
use super::state::SearchState;
use crate::arch::ArchParams;
use crate::backbone::Weights;
use crate::evaluate::DeviceBatch;
use crate::finite::NotFinite;

impl Bilevel<'_> {
    /// Moves α and β by the second-order gradient on `batch`, the weights unrolled on `training`.
    ///
    /// # Errors
    /// See [`Bilevel::half_step`].
    pub(crate) fn second_order_step(
        &self,
        state: &mut SearchState,
        batch: &DeviceBatch,
        training: &DeviceBatch,
        draw: Draw,
        rates: Rates,
    ) -> Result<Reading, NotFinite> {
        let (draw, draw_of_arch) = (draw.for_half(Half::Weights), draw.for_half(Half::Arch));
        // Passes whose statistics are not needed run on a copy of the state.
        let mut aside = state.clone();
        let (weights, fixed) = (state.weights.on_graph(true), state.arch.untracked());
        let (loss, _) = self.loss(&mut aside, &weights, &fixed, training, draw)?;
        let unrolled = state.sgd.unrolled(
            rates.weights,
            &state.weights,
            self.averaged(weights.gradients(loss.backward())),
        );

        let (weights, arch) = (unrolled.on_graph(true), state.arch.tracked());
        let (loss, reading) = self.loss(state, &weights, &arch, batch, draw_of_arch)?;
        let mut gradients = loss.backward();
        let first = ArchGradients::of(&arch, &mut gradients);
        let direction = self.averaged(weights.gradients(gradients));
        let square: f64 = direction.iter().flatten().map(squared_norm).sum();
        if square == 0.0 {
            // If a loss is flat in the weights there is nothing to unroll, and the second-order
            // term is zero.
            self.move_arch(state, first, rates)?;
            return Ok(reading);
        }
        let epsilon = 0.01 / square.sqrt().max(f64::MIN_POSITIVE);

        let mut at = |sign: f64| {
            let parts = state
                .weights
                .parts()
                .iter()
                .zip(&direction)
                .map(|(weights, along)| match along {
                    Some(along) => weights.clone() + along.clone() * (sign * epsilon),
                    None => weights.clone(),
                });
            self.arch_gradients(&mut aside, &Weights::from_parts(parts.collect()), training, draw)
        };
        let (above, below) = (at(1.0)?, at(-1.0)?);
        let share = rates.weights / (2.0 * epsilon);
        let kinds = first.kinds.map(|kind, first| KindGradients {
            alpha: corrected(
                &first.alpha,
                &above.kinds.kind(kind).alpha,
                &below.kinds.kind(kind).alpha,
                share,
            ),
            beta: corrected(
                &first.beta,
                &above.kinds.kind(kind).beta,
                &below.kinds.kind(kind).beta,
                share,
            ),
        });
        self.move_arch(state, ArchGradients { kinds }, rates)?;
        Ok(reading)
    }

    fn arch_gradients(
        &self,
        aside: &mut SearchState,
        weights: &Weights,
        training: &DeviceBatch,
        draw: Draw,
    ) -> Result<ArchGradients, NotFinite> {
        let arch: ArchParams = aside.arch.tracked();
        let (loss, _) = self.loss(aside, &weights.on_graph(false), &arch, training, draw)?;
        Ok(ArchGradients::of(&arch, &mut loss.backward()))
    }
}

/// `first − share · (above − below)`.
fn corrected<const D: usize>(
    first: &Option<Tensor<D>>,
    above: &Option<Tensor<D>>,
    below: &Option<Tensor<D>>,
    share: f64,
) -> Option<Tensor<D>> {
    let difference = above
        .clone()
        .zip(below.clone())
        .map(|(above, below)| (above - below) * share);
    match (first.clone(), difference) {
        (Some(first), Some(difference)) => Some(first - difference),
        (Some(first), None) => Some(first),
        (None, difference) => difference.map(|difference| -difference),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bilevel::Trains;
    use super::*;
    use crate::data::{DataOptions, Format, open};
    use crate::device::host;
    use crate::resumable::Resumable;
    use crate::search::{ArchOptimizerName, Draw, Method, Moment, Search, SearchSetup};
    use crate::space::CellKind;
    use burn::tensor::{Device, TensorData};
    use da2s_engine::Engine;

    const MOMENT: Moment = Moment::of_epoch(1, 2, 0);

    fn on_digits(setup: &SearchSetup) -> (Search, Device) {
        let dataset = open(Format::Digits, None, &DataOptions::default()).unwrap();
        let device = Device::flex();
        (Search::new(setup, &dataset, &device, &Engine::fused()).unwrap(), device)
    }

    fn stepper<'a>(search: &'a Search, device: &'a Device) -> Bilevel<'a> {
        Bilevel::new(
            &search.backbone,
            &search.space,
            &search.target,
            &search.method,
            &search.settings,
            device,
        )
    }

    /// GDAS draws separately for the weights' half and for the architecture's: with the same batch,
    /// weights and α, each step has the loss of its own draw.
    #[test]
    fn each_half_of_a_step_draws_for_itself() {
        let mut setup = SearchSetup {
            seed: 1,
            ..SearchSetup::default()
        };
        (setup.search.channels, setup.search.batch_size) = (2, 32);
        setup.search.method = Method::Gdas;
        let (search, device) = on_digits(&setup);
        let stepper = stepper(&search, &device);
        let batch = DeviceBatch::new(search.weight_loader.batch(1, 0).unwrap(), &search.device);
        let draw = Draw::new(1, MOMENT);
        // With a zero step, the second-order weights are the current ones.
        let rates = Rates {
            weights: 0.0,
            alpha: 0.0,
            beta: 0.0,
        };
        let start = search.start();
        let loss = |trains| {
            let reading = stepper.half_step(&mut start.clone(), trains, &batch, draw, rates);
            reading.unwrap().loss
        };
        let (arch, weights) = (loss(Trains::Arch), loss(Trains::Weights));
        let second = stepper.second_order_step(&mut start.clone(), &batch, &batch, draw, rates);
        assert_eq!((arch, weights), (second.unwrap().loss, loss(Trains::Both)));
        assert_ne!(arch, weights);
    }

    /// The gradient equals that of L_val(w − ξ ∇w L_train(w, α), α), by central differences in some
    /// entries of α.
    #[test]
    fn the_second_order_gradient_is_that_through_a_step_of_the_weights() {
        let mut setup = SearchSetup {
            seed: 1,
            ..SearchSetup::default()
        };
        (setup.search.channels, setup.search.batch_size) = (2, 32);
        setup.search.method = Method::Darts;
        // With plain SGD at rate 1, α moves by the gradient.
        setup.search.arch_optimizer = ArchOptimizerName::Sgd;
        (setup.search.arch_momentum, setup.search.arch_weight_decay) = (0.0, 0.0);
        let (search, device) = on_digits(&setup);
        let stepper = stepper(&search, &device);
        let (validation, training) = (
            DeviceBatch::new(search.arch_loader.batch(1, 0).unwrap(), &search.device),
            DeviceBatch::new(search.weight_loader.batch(1, 0).unwrap(), &search.device),
        );
        let draw = Draw::new(1, MOMENT);
        // A short step: ReLU and maximum make the loss piecewise linear, so long differences do not
        // approximate derivatives.
        let rates = Rates {
            weights: 1e-3,
            alpha: 1.0,
            beta: 0.0,
        };
        let start = search.start();
        let moved = |second: bool| {
            let mut state = start.clone();
            if second {
                stepper
                    .second_order_step(&mut state, &validation, &training, draw, rates)
                    .unwrap();
            } else {
                stepper
                    .half_step(&mut state, Trains::Arch, &validation, draw, rates)
                    .unwrap();
            }
            let kind = |state: &SearchState| host(&state.arch.kind(CellKind::Normal).alpha);
            let pairs = kind(&start).into_iter().zip(kind(&state));
            pairs
                .map(|(before, after)| f64::from(before - after))
                .collect::<Vec<f64>>()
        };
        let (second, first) = (moved(true), moved(false));

        let loss_at = |index: usize, by: f32| {
            let mut state = start.clone();
            let arch = state.arch.kind_mut(CellKind::Normal);
            let mut alpha = host(&arch.alpha);
            alpha[index] += by;
            arch.alpha = Tensor::from_data(TensorData::new(alpha, arch.alpha.dims()), &device);
            let fixed = state.arch.untracked();
            let weights = state.weights.on_graph(true);
            let (loss, _) = stepper
                .loss(&mut state.clone(), &weights, &fixed, &training, draw)
                .unwrap();
            let unrolled = state
                .sgd
                .unrolled(rates.weights, &state.weights, weights.gradients(loss.backward()));
            let (_, reading) = stepper
                .loss(&mut state, &unrolled.on_graph(false), &fixed, &validation, draw)
                .unwrap();
            reading.loss
        };
        let by = 0.02f32;
        // The second-order part of the gradient, by finite differences and as computed.
        let slope = |index| (loss_at(index, by) - loss_at(index, -by)) / (2.0 * f64::from(by));
        let measured: Vec<f64> = (0..98).map(|index| slope(index) - first[index]).collect();
        let computed: Vec<f64> = (0..98).map(|index| second[index] - first[index]).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        // The projection onto the computed direction cancels the kinks of the loss, which affect
        // only the measured slopes.
        let length = dot(&measured, &computed) / dot(&computed, &computed);
        let alike = dot(&measured, &computed) / (dot(&measured, &measured) * dot(&computed, &computed)).sqrt();
        assert!(
            alike > 0.6 && (0.75..1.33).contains(&length),
            "{alike} {length}: {measured:?} {computed:?}"
        );
    }
}
