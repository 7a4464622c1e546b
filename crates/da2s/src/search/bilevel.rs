//! One half of a search step: α and β move along the gradient on their batch, or the weights along
//! the gradient on theirs, or both along the gradient on one batch.
//!
//! Reference: Liu, Simonyan, Yang 2019, algorithm 1 with ξ = 0; Tian et al. 2021, section 3.3.
//! Contract: every loss includes the regulariser, whose gradient reaches only α and β; every
//! forward pass updates the running statistics; each half-step computes only the gradients that it
//! uses. In a group of processes each has its part of the batch and normalises with the statistics
//! of that part; gradients, statistics and readings are means over the group. The regulariser is
//! the same in every process, and therefore in the mean: it counts once.

use burn::tensor::{Device, Tensor};

use super::arch_gradients::ArchGradients;
use super::drive::DrivenMethod;
use super::method::Choices;
use super::moment::{Draw, Half, When};
use super::perturbation::disturbed;
use super::settings::SearchSettings;
use super::state::SearchState;
use crate::arch::{ArchParams, KindParams, Mixtures, Strengths};
use crate::backbone::{Backbone, Pass, Weights};
use crate::evaluate::{DeviceBatch, correct_count, labels_on};
use crate::finite::NotFinite;
use crate::objective::{CostLimit, Weighting, weighted_cross_entropy};
use crate::optim::ArchOptimizer;
use crate::parallel::Group;
use crate::probe::Probe;
use crate::space::{CellKind, PerKind, Space, Target};

/// The unchanging inputs of a step.
pub struct Bilevel<'a> {
    /// The super-network.
    pub backbone: &'a Backbone,
    /// Its space.
    pub space: &'a Space,
    /// The target.
    pub target: &'a Target,
    /// The method and its drive.
    pub method: &'a DrivenMethod,
    /// The device, without autodiff.
    pub device: &'a Device,
    limit: Option<&'a CostLimit>,
    class_weights: Option<&'a [f32]>,
    pub(super) group: Group,
    probe: Probe,
    optimizer: ArchOptimizer,
}

/// The parameters that a half-step trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trains {
    /// α and β.
    Arch,
    /// The weights.
    Weights,
    /// α, β and the weights by the gradient on one batch, as in a one-level search.
    Both,
}

impl Trains {
    fn arch(self) -> bool {
        self != Self::Weights
    }

    fn weights(self) -> bool {
        self != Self::Arch
    }

    /// The half of the step whose random draw is used: that of the weights if both train.
    pub(super) fn half(self) -> Half {
        match self {
            Self::Arch => Half::Arch,
            Self::Weights | Self::Both => Half::Weights,
        }
    }

    /// Names of the phases of the half-step for a probe.
    fn phases(self) -> [&'static str; 3] {
        match self {
            Self::Arch => ["arch forward", "arch backward", "arch optimiser"],
            Self::Weights => ["weight forward", "weight backward", "weight optimiser"],
            Self::Both => ["forward", "backward", "optimiser"],
        }
    }
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

/// The mixtures of a pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Under<'a> {
    /// Of every kind of cell.
    pub mixtures: &'a Mixtures,
    /// For each stage of the network, a tensor that is added to the weights of its mixture.
    pub shifts: Option<&'a [Option<Tensor<1>>]>,
}

/// The measurements of a half-step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Cross-entropy plus regulariser.
    pub loss: f64,
    /// Cross-entropy.
    pub cross_entropy: f64,
    /// Number of samples whose largest logit was at their label.
    pub correct: usize,
    /// Norm of the weights' gradient before clipping; 0 in the architecture step.
    pub gradient_norm: f64,
}

impl<'a> Bilevel<'a> {
    /// A stepper with the optimiser of `settings` for α and β.
    pub fn new(
        backbone: &'a Backbone,
        space: &'a Space,
        target: &'a Target,
        method: &'a DrivenMethod,
        settings: &SearchSettings,
        device: &'a Device,
    ) -> Self {
        Self {
            backbone,
            space,
            target,
            method,
            device,
            limit: None,
            class_weights: None,
            group: Group::alone(),
            probe: Probe::default(),
            optimizer: settings.optimizer(),
        }
    }

    /// The same with a limit on the final network's cost.
    pub(crate) fn with_limit(self, limit: Option<&'a CostLimit>) -> Self {
        Self { limit, ..self }
    }

    /// The same with class weights in the cross-entropy.
    pub fn with_class_weights(self, class_weights: Option<&'a [f32]>) -> Self {
        Self { class_weights, ..self }
    }

    /// The same as a member of `group`.
    pub fn in_group(self, group: Group) -> Self {
        Self { group, ..self }
    }

    /// The same with `probe`, which is notified of each phase of a half-step.
    pub fn with_probe(self, probe: Probe) -> Self {
        Self { probe, ..self }
    }

    /// The mixtures of `arch`, differentiable in it. The kind of cell in `when` is set here.
    pub fn mixtures(&self, arch: &ArchParams, when: When) -> Mixtures {
        arch.kinds().map(|kind, arch| {
            self.strengths(kind, arch, when)
                .mixture(self.space, self.target.kind(kind))
        })
    }

    /// The same with δ added to p, differentiable in both.
    pub(super) fn disturbed_mixtures(&self, arch: &ArchParams, when: When, delta: &PerKind<Tensor<2>>) -> Mixtures {
        arch.kinds().map(|kind, arch| {
            let own = self.strengths(kind, arch, when);
            let p = disturbed(own.p.clone(), delta.kind(kind).clone(), arch);
            Strengths { p, ..own }.mixture(self.space, self.target.kind(kind))
        })
    }

    fn strengths(&self, kind: CellKind, arch: &KindParams, when: When) -> Strengths {
        let choices = Choices {
            space: self.space,
            target: self.target.kind(kind),
        };
        self.method.strengths(arch, choices, when.for_kind(kind))
    }

    /// Moves the parameters `trains` along the gradient of the loss on `batch`.
    ///
    /// # Errors
    /// If the loss, a gradient or a resulting value is not finite. The state is invalid then.
    pub fn half_step(
        &self,
        state: &mut SearchState,
        trains: Trains,
        batch: &DeviceBatch,
        draw: Draw,
        rates: Rates,
    ) -> Result<Reading, NotFinite> {
        let arch = if trains.arch() {
            state.arch.tracked()
        } else {
            state.arch.untracked()
        };
        let weights = state.weights.on_graph(trains.weights());
        let (moment, draw) = (draw.moment, draw.for_half(trains.half()));
        let method = self.method.method();
        let mixtures = match method.perturbs(moment).filter(|_| trains.weights()) {
            Some(how) => {
                let delta = self.perturbed(state, how, batch, draw)?;
                let delta = delta.map(|_, delta| delta.clone().autodiff());
                self.disturbed_mixtures(&arch, When::Training(draw), &delta)
            }
            None => self.mixtures(&arch, When::Training(draw)),
        };
        let aligned = method
            .aligns_layers(moment)
            .filter(|&lambda| lambda > 0.0 && trains.weights());
        let layers = aligned.map(|_| self.layers(&mixtures));
        let under = Under {
            mixtures: &mixtures,
            shifts: layers.as_deref(),
        };
        let (loss, mut reading) = self.loss_under(state, &weights, &arch, under, batch, draw)?;
        let [forward, backward, optimiser] = trains.phases();
        self.probe.ended(forward);
        let mut gradients = loss.backward();
        let of_arch = trains.arch().then(|| ArchGradients::of(&arch, &mut gradients));
        let directions = layers.map(|layers| self.directions(&layers, &mut gradients));
        let of_weights = trains.weights().then(|| weights.gradients(gradients));
        let of_weights = match (of_weights, aligned.zip(directions)) {
            (Some(own), Some((lambda, directions))) => {
                let fixed = (&state.arch.untracked(), directions.as_slice());
                Some(self.with_alignment(state, own, lambda, fixed, batch, draw)?)
            }
            (own, _) => own,
        };
        let of_weights = of_weights.map(|own| self.averaged(own));
        self.probe.ended(backward);
        if let Some(gradients) = of_arch {
            self.move_arch(state, gradients, rates)?;
        }
        if let Some(gradients) = of_weights {
            reading.gradient_norm = self.move_weights(state, gradients, rates)?;
        }
        self.probe.ended(optimiser);
        Ok(reading)
    }

    /// The mean of the weights' gradients over the group.
    pub(super) fn averaged(&self, gradients: Vec<Option<Tensor<1>>>) -> Vec<Option<Tensor<1>>> {
        self.group.average(gradients)
    }

    /// Moves α and β by the mean of their gradients over the group.
    pub(super) fn move_arch(
        &self,
        state: &mut SearchState,
        gradients: ArchGradients,
        rates: Rates,
    ) -> Result<(), NotFinite> {
        let gradients = gradients.averaged(&self.group);
        gradients.check()?;
        for (kind, of_kind) in gradients.kinds.iter() {
            let moments = state.arch_moments.kind_mut(kind);
            let arch = state.arch.kind_mut(kind);
            if let Some(gradient) = of_kind.alpha.clone() {
                let (value, rate) = (arch.alpha.clone(), rates.alpha);
                arch.move_alpha(match self.method.method().step(value.clone(), gradient.clone(), rate) {
                    Some(alpha) => alpha,
                    None => self.optimizer.step(rate, value, gradient, &mut moments.alpha),
                });
            }
            // If β is not used at all, it does not move.
            if let Some(gradient) = of_kind.beta.clone().filter(|_| rates.beta > 0.0) {
                let value = arch.beta.clone();
                arch.move_beta(self.optimizer.step(rates.beta, value, gradient, &mut moments.beta));
            }
        }
        state.arch.check_finite()
    }

    /// Cross-entropy plus regulariser; updates the running statistics.
    pub(super) fn loss(
        &self,
        state: &mut SearchState,
        weights: &Weights,
        arch: &ArchParams,
        batch: &DeviceBatch,
        draw: Draw,
    ) -> Result<(Tensor<1>, Reading), NotFinite> {
        let under = Under {
            mixtures: &self.mixtures(arch, When::Training(draw)),
            shifts: None,
        };
        self.loss_under(state, weights, arch, under, batch, draw)
    }

    /// The same under given mixtures.
    pub(super) fn loss_under(
        &self,
        state: &mut SearchState,
        weights: &Weights,
        arch: &ArchParams,
        Under { mixtures, shifts }: Under<'_>,
        batch: &DeviceBatch,
        draw: Draw,
    ) -> Result<(Tensor<1>, Reading), NotFinite> {
        let drop_path = self.skip_factors(batch.labels.len(), draw);
        let pass = Pass {
            shifts,
            drop_path: drop_path.as_deref(),
            ..Pass::new(weights).with_mixtures(mixtures)
        };
        let device = self.device.clone().autodiff();
        let forward = self.backbone.forward(batch.images.clone().autodiff(), pass);
        if let Some(statistics) = &forward.statistics {
            state.statistics.update(&statistics.averaged(&self.group));
        }
        let correct = correct_count(forward.logits.clone().without_autodiff(), &batch.labels);
        let weighting = Weighting::in_group(self.class_weights, &batch.labels, &self.group);
        let cross_entropy = weighted_cross_entropy(forward.logits, labels_on(&batch.labels, &device), 0.0, weighting);
        let own = scalar(&cross_entropy);
        let mut loss = cross_entropy;
        let penalty = self.method.penalty(arch, self.space, self.target, draw.moment);
        if let Some(penalty) = penalty.loss() {
            loss = loss + penalty;
        }
        if let Some(limit) = self.limit {
            loss = loss + limit.penalty(mixtures);
        }
        let size = self.group.size() as f64;
        let [of_loss, of_cross_entropy, correct] = self.group.sum([scalar(&loss), own, correct as f64]);
        let reading = Reading {
            loss: of_loss / size,
            cross_entropy: of_cross_entropy / size,
            correct: correct as usize,
            gradient_norm: 0.0,
        };
        for (what, value) in [("the cross-entropy", reading.cross_entropy), ("the loss", reading.loss)] {
            if !value.is_finite() {
                let (arch, statistics) = (Some(&state.arch), &state.statistics);
                let loss = (what, value);
                return Err(NotFinite::in_forward(
                    loss,
                    arch,
                    &state.weights,
                    statistics,
                    self.backbone,
                ));
            }
        }
        Ok((loss, reading))
    }
}

fn scalar(tensor: &Tensor<1>) -> f64 {
    f64::from(tensor.clone().into_scalar::<f32>())
}
