//! One step of first-order bilevel search: the architecture on its batch, then the weights on theirs.
//!
//! Reference: Liu, Simonyan, Yang 2019, algorithm 1 with ξ = 0; Tian et al. 2021, section 3.3. Contract: both losses
//! hold the regulariser, whose gradient reaches α and β alone; both forward passes move the running statistics; each
//! half-step computes the gradients that it uses and no others.

use burn::optim::{Adam, AdamConfig, Optimizer, decay::WeightDecayConfig};
use burn::tensor::{Device, Tensor};

use super::method::{Draw, SearchMethod};
use super::state::SearchState;
use crate::backbone::{Backbone, Mixtures, Pass, correct_count, cross_entropy};
use crate::config::SearchSettings;
use crate::data::Batch;
use crate::objective::Target;
use crate::space::{CellKind, Space};
use crate::supernet::ArchParams;
use crate::train::{images_on, labels_on};

/// Everything that a step needs and does not change.
pub struct Bilevel<'a> {
    /// The super-network.
    pub backbone: &'a Backbone,
    /// Its space.
    pub space: &'a Space,
    /// The target.
    pub target: &'a Target,
    /// The method.
    pub method: &'a dyn SearchMethod,
    /// The device, without autodiff.
    pub device: &'a Device,
    adam: Adam,
}

/// Learning rates of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Of the weights.
    pub weights: f64,
    /// Of α.
    pub alpha: f64,
    /// Of β.
    pub beta: f64,
}

/// What a half-step measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Cross-entropy plus regulariser.
    pub loss: f64,
    /// Cross-entropy.
    pub cross_entropy: f64,
    /// Samples whose label had the largest logit.
    pub correct: usize,
    /// Norm of the weights' gradient before clipping; 0 in the architecture step.
    pub gradient_norm: f64,
}

impl<'a> Bilevel<'a> {
    /// A stepper with the Adam of `settings` for α and β.
    pub fn new(
        backbone: &'a Backbone,
        space: &'a Space,
        target: &'a Target,
        method: &'a dyn SearchMethod,
        settings: &SearchSettings,
        device: &'a Device,
    ) -> Self {
        let adam = AdamConfig::new()
            .with_beta_1(settings.arch_beta_1 as f32)
            .with_beta_2(settings.arch_beta_2 as f32)
            .with_epsilon(1e-8)
            .with_weight_decay(Some(WeightDecayConfig::new(settings.arch_weight_decay as f32)))
            .build();
        Self {
            backbone,
            space,
            target,
            method,
            device,
            adam,
        }
    }

    /// The mixtures that `arch` stands for, differentiable in it. `draw` names the step of training for which a method
    /// may draw at random; its kind is filled in here.
    pub fn mixtures(&self, arch: &ArchParams, draw: Option<Draw>) -> Mixtures {
        let of = |kind| {
            let draw = draw.map(|draw| Draw { kind, ..draw });
            self.method
                .strengths(arch.kind(kind), self.space, self.target.kind(kind), draw)
                .mixture(self.space)
        };
        Mixtures {
            normal: of(CellKind::Normal),
            reduction: of(CellKind::Reduction),
        }
    }

    /// Moves α and β by the gradient on `batch`.
    pub fn arch_step(&self, state: &mut SearchState, batch: &Batch, draw: Draw, rates: Rates) -> Reading {
        let arch = state.arch.tracked();
        let weights = state.weights.on_graph(false);
        let (loss, mut reading) = self.loss(state, &weights, &arch, batch, draw);
        let mut gradients = loss.backward();
        for kind in CellKind::ALL {
            let leaf = arch.kind(kind);
            let moments = state.arch_moments.kind_mut(kind);
            if let Some(gradient) = leaf.alpha.grad_remove(&mut gradients) {
                let value = state.arch.kind(kind).alpha.clone();
                let (value, next) = self.adam.step(rates.alpha, value, gradient, moments.alpha.take());
                (state.arch.kind_mut(kind).alpha, moments.alpha) = (value, next);
            }
            // Where β is not used at all it stays as it is.
            if let Some(gradient) = leaf.beta.grad_remove(&mut gradients).filter(|_| rates.beta > 0.0) {
                let value = state.arch.kind(kind).beta.clone();
                let (value, next) = self.adam.step(rates.beta, value, gradient, moments.beta.take());
                (state.arch.kind_mut(kind).beta, moments.beta) = (value, next);
            }
        }
        reading.gradient_norm = 0.0;
        reading
    }

    /// Moves the weights by the gradient on `batch`.
    pub fn weight_step(&self, state: &mut SearchState, batch: &Batch, draw: Draw, rates: Rates) -> Reading {
        let arch = state.arch.map(Tensor::autodiff, Tensor::autodiff);
        let weights = state.weights.on_graph(true);
        let (loss, mut reading) = self.loss(state, &weights, &arch, batch, draw);
        let gradients = weights.gradients(loss.backward());
        reading.gradient_norm = state.sgd.step(rates.weights, &mut state.weights, gradients);
        reading
    }

    /// Cross-entropy plus regulariser; moves the running statistics.
    fn loss(
        &self,
        state: &mut SearchState,
        weights: &crate::backbone::Weights,
        arch: &ArchParams,
        batch: &Batch,
        draw: Draw,
    ) -> (Tensor<1>, Reading) {
        let mixtures = self.mixtures(arch, Some(draw));
        let pass = Pass {
            weights,
            mixtures: Some(&mixtures),
            statistics: None,
            drop_path: None,
            auxiliary: false,
        };
        let device = self.device.clone().autodiff();
        let forward = self.backbone.forward(images_on(batch, &device), pass);
        if let Some(statistics) = &forward.statistics {
            state.statistics.update(statistics);
        }
        let correct = correct_count(forward.logits.clone().without_autodiff(), &batch.labels);
        let cross_entropy = cross_entropy(forward.logits, labels_on(batch, &device), 0.0);
        let mut reading = Reading {
            loss: 0.0,
            cross_entropy: scalar(&cross_entropy),
            correct,
            gradient_norm: 0.0,
        };
        let loss = match self.method.penalty(arch, self.space, self.target, draw.moment) {
            Some(penalty) => cross_entropy + penalty.loss,
            None => cross_entropy,
        };
        reading.loss = scalar(&loss);
        (loss, reading)
    }
}

fn scalar(tensor: &Tensor<1>) -> f64 {
    f64::from(tensor.clone().into_scalar::<f32>())
}
