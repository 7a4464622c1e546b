//! Freezes operations permanently if their gradients on both halves of the images disagree.
//!
//! Reference: Jiang et al., OLES, NeurIPS 2023: the cosine between ∇L_train and ∇L_val in the
//! weights of one operation, averaged over [`STEPS`] steps. Contract: an operation is one choice on
//! one edge of one cell, if it has weights; a frozen one does not move, whether by its gradient,
//! weight decay or momentum, and its gradient is not part of any norm.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{Bool, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::arch_gradients::ArchGradients;
use super::bilevel::{Bilevel, Rates, Reading, Trains};
use super::moment::Draw;
use super::state::SearchState;
use crate::backbone::{Backbone, Weights};
use crate::device::host;
use crate::evaluate::DeviceBatch;
use crate::finite::NotFinite;

/// Number of steps over which cosines are averaged.
const STEPS: usize = 20;

/// The state of every operation that has weights, in the order of `operations`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Freezing {
    /// Sums of the cosines since the last decision.
    pub cosines: Vec<f64>,
    /// Number of steps since the last decision.
    pub steps: usize,
    /// Whether each operation is frozen.
    pub frozen: Vec<bool>,
}

impl Freezing {
    /// Whether there was no step yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.frozen.is_empty()
    }

    /// Adds the cosines of a step, and freezes operations whose average is less than `below`.
    fn see(&mut self, cosines: &[f64], below: f64) {
        self.cosines.resize(cosines.len(), 0.0);
        self.frozen.resize(cosines.len(), false);
        for (sum, cosine) in self.cosines.iter_mut().zip(cosines) {
            *sum += cosine;
        }
        self.steps += 1;
        if self.steps == STEPS {
            for (frozen, sum) in self.frozen.iter_mut().zip(&mut self.cosines) {
                *frozen |= *sum / (STEPS as f64) < below;
                *sum = 0.0;
            }
            self.steps = 0;
        }
    }
}

/// The weights of every operation of every searched cell: part and range.
fn operations(backbone: &Backbone) -> Vec<(usize, Range<usize>)> {
    let stages = backbone.stages().iter().enumerate();
    let searched = stages.filter(|(_, stage)| stage.kind.is_some());
    let choices = searched.flat_map(|(index, stage)| {
        let edges = stage.cell.plan().edges.iter();
        edges.flat_map(move |edge| edge.choices.iter().map(move |choice| (index, choice)))
    });
    let placed = choices.map(|(index, choice)| {
        let first = choice.weight_offset;
        (index, first..first + choice.layout().weight_count)
    });
    placed.filter(|(_, range)| !range.is_empty()).collect()
}

impl Bilevel<'_> {
    /// A step of the architecture on `others` and the weights on `own`, which also freezes the
    /// operations whose gradients agree less than `below`.
    ///
    /// # Errors
    /// Like [`Bilevel::half_step`].
    pub(super) fn freezing_step(
        &self,
        state: &mut SearchState,
        [others, own]: [&DeviceBatch; 2],
        below: f64,
        draw: Draw,
        rates: Rates,
    ) -> Result<[Reading; 2], NotFinite> {
        let (arch, weights) = (state.arch.tracked(), state.weights.on_graph(true));
        let (loss, of_arch) = self.loss(state, &weights, &arch, others, draw.for_half(Trains::Arch.half()))?;
        let mut gradients = loss.backward();
        let first = ArchGradients::of(&arch, &mut gradients);
        let validation = on_host(&self.averaged(weights.gradients(gradients)));
        self.move_arch(state, first, rates)?;

        let (arch, weights) = (state.arch.untracked(), state.weights.on_graph(true));
        let (loss, mut of_weights) = self.loss(state, &weights, &arch, own, draw.for_half(Trains::Weights.half()))?;
        let gradients = self.averaged(weights.gradients(loss.backward()));
        let training = on_host(&gradients);
        let of_operation = |(part, range): (usize, Range<usize>)| {
            let pair = training[part].as_ref().zip(validation[part].as_ref());
            pair.map_or(1.0, |(a, b)| cosine(&a[range.clone()], &b[range]))
        };
        let cosines: Vec<f64> = operations(self.backbone).into_iter().map(of_operation).collect();
        state.progress.freezing.see(&cosines, below);
        of_weights.gradient_norm = self.move_weights(state, gradients, rates)?;
        Ok([of_arch, of_weights])
    }

    /// Moves the weights along `gradients`, except for those of frozen operations. Returns the norm
    /// of what is left of the gradient, before clipping.
    ///
    /// # Errors
    /// If the norm or a resulting value is not finite.
    pub(super) fn move_weights(
        &self,
        state: &mut SearchState,
        mut gradients: Vec<Option<Tensor<1>>>,
        rates: Rates,
    ) -> Result<f64, NotFinite> {
        let masks = self.frozen(state);
        let of_mask = |(part, _): &(usize, Tensor<1, Bool>)| state.weights.parts()[*part].clone();
        let before: Vec<Tensor<1>> = masks.iter().map(of_mask).collect();
        for (part, frozen) in &masks {
            let without = |gradient: Tensor<1>| gradient.mask_fill(frozen.clone(), 0.0);
            gradients[*part] = gradients[*part].take().map(without);
        }
        let SearchState { sgd, weights, .. } = state;
        let norm = sgd.step(rates.weights, weights, gradients, self.backbone)?;
        if !masks.is_empty() {
            let mut parts = weights.parts().to_vec();
            for ((part, frozen), before) in masks.into_iter().zip(before) {
                parts[part] = parts[part].clone().mask_where(frozen, before);
            }
            *weights = Weights::from_parts(parts);
        }
        Ok(norm)
    }

    /// For each part with a frozen operation, which of its weights are frozen.
    fn frozen(&self, state: &SearchState) -> Vec<(usize, Tensor<1, Bool>)> {
        let frozen = &state.progress.freezing.frozen;
        if !frozen.contains(&true) {
            return Vec::new();
        }
        let mut masks: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
        for ((part, range), _) in operations(self.backbone)
            .into_iter()
            .zip(frozen)
            .filter(|(_, frozen)| **frozen)
        {
            let count = state.weights.parts()[part].dims()[0];
            masks.entry(part).or_insert_with(|| vec![false; count])[range].fill(true);
        }
        let tensor = |values: Vec<bool>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), self.device)
        };
        masks.into_iter().map(|(part, values)| (part, tensor(values))).collect()
    }
}

/// The values of each part that has a gradient.
fn on_host(parts: &[Option<Tensor<1>>]) -> Vec<Option<Vec<f32>>> {
    parts.iter().map(|part| part.as_ref().map(host)).collect()
}

/// 1 if one of them is zero: without a gradient, an operation does not overfit.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataOptions, Format, open};
    use crate::resumable::Resumable;
    use crate::search::{Method, Moment, Search, SearchSetup};
    use burn::tensor::Device;
    use da2s_engine::Engine;

    #[test]
    fn operations_that_disagree_on_average_are_frozen_for_good() {
        let mut freezing = Freezing::default();
        for step in 0..2 * STEPS {
            let sign = if step % 2 == 0 { 1.0 } else { -1.0 };
            // The first has the mean 0.5; the second 0.3, and 1 from the second decision on.
            let second = if step < STEPS { 0.3 + 0.6 * sign } else { 1.0 };
            freezing.see(&[0.5 + 0.4 * sign, second], 0.4);
            let judged = step + 1 >= STEPS;
            assert_eq!(freezing.frozen, [false, judged], "step {step}");
        }
        assert!((cosine(&[3.0, 4.0], &[4.0, 3.0]) - 0.96).abs() < 1e-12);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), 1.0);
    }

    #[test]
    fn frozen_operations_stay_as_they_are_and_all_else_trains() {
        let mut setup = SearchSetup {
            seed: 1,
            ..SearchSetup::default()
        };
        (setup.search.channels, setup.search.batch_size) = (2, 32);
        setup.search.method = Method::Oles;
        let dataset = open(Format::Digits, None, &DataOptions::default()).unwrap();
        let search = Search::new(&setup, &dataset, &Device::flex(), &Engine::fused()).unwrap();
        let mut state = search.start();
        let places = operations(&search.backbone);
        // First build up momentum, then freeze every second operation.
        let step = |state: &mut SearchState| {
            let draw = Draw::new(1, Moment::of_epoch(1, 2, 0));
            let rates = Rates {
                weights: 0.1,
                alpha: 0.0,
                beta: 0.0,
            };
            let batches = [&search.arch_loader, &search.weight_loader]
                .map(|loader| DeviceBatch::new(loader.batch(1, 0).unwrap(), &search.device));
            let pair = [&batches[0], &batches[1]];
            search
                .stepper(state)
                .freezing_step(state, pair, 0.4, draw, rates)
                .unwrap();
            // Steps without the architecture, as with `arch_every` above 1, do not move frozen
            // operations either.
            search
                .stepper(state)
                .half_step(state, Trains::Weights, pair[1], draw, rates)
                .unwrap();
        };
        step(&mut state);
        state.progress.freezing.frozen = (0..places.len()).map(|at| at % 2 == 0).collect();
        let before: Vec<Vec<f32>> = state.weights.parts().iter().map(host).collect();
        step(&mut state);
        let after: Vec<Vec<f32>> = state.weights.parts().iter().map(host).collect();
        for (at, (part, range)) in places.iter().enumerate() {
            let same = before[*part][range.clone()] == after[*part][range.clone()];
            assert_eq!(same, at % 2 == 0, "operation {at}");
        }
        assert!(before.last() != after.last());
    }
}
