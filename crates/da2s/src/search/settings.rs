//! The settings of a search, and checks that involve several of them.
//!
//! The defaults are those for the embedded digits. Published values are those of Tian et al. 2021
//! and Liu, Simonyan, Yang 2019; `recipes/*.toml` contain them for other data sets.

use da2s_settings::{
    Allowed, BELOW_1, COUNT, COUNT_OR_0, FieldKind, NOT_NEGATIVE, POSITIVE, Problem, Setting, at_least, positive_up_to,
    settings, up_to, whole, words,
};
use serde::{Deserialize, Serialize};

use super::stages::{SKIP_DROPOUT, StagePlan, StageSettings, lengths, plans};
use super::{Drive, DrivenMethod, Method};
use crate::backbone::{NetworkSize, Stem};
use crate::data::{Augmentation, ImageShape};
use crate::network::NetworkShape;
use crate::objective::{Hardening, Regulariser};
use crate::optim::ArchOptimizer;
use crate::space::{Reductions, SpaceSettings};

/// A learning rate of α or β: a number, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rate {
    /// As given.
    Fixed(f64),
    /// From the number of steps after the warm-up, so that a parameter can move as far as in the
    /// published setting.
    Auto(Auto),
}

words! {
    /// The word `"auto"`.
    #[strum(serialize_all = "lowercase")]
    pub enum Auto {
        /// See [`Rate::Auto`].
        Auto,
    }
}

impl Setting for Rate {
    const KIND: FieldKind = FieldKind::Value(Allowed::AnyOf(Self::ALLOWED));
}

impl Rate {
    const ALLOWED: &[Allowed] = &[POSITIVE.in_f32(), Auto::KIND.value()];

    /// The rate for a search in which α and β make `steps` steps after the warm-up. The published
    /// 3e-4 is for 16,380 steps.
    pub fn resolve(self, steps: usize) -> f64 {
        match self {
            Self::Fixed(rate) => rate,
            Self::Auto(Auto::Auto) => 3e-4 * 16_380.0 / steps.max(1) as f64,
        }
    }
}

/// The smallest temperature by which logits of ordinary size can be divided in 32-bit numbers.
const TEMPERATURE: Allowed = at_least(1e-30);

settings! {
    /// The search: the super-network, and how its weights, α and β train.
    pub struct SearchSettings {
        /// Search method.
        method: Method = Method::Da2s, named "method";
        /// Epochs of the search. A method with several stages divides them among its stages.
        epochs: usize = 30, in COUNT, named "search_epochs";
        /// The epoch, counted from 1, in which α begins to train, in each stage; 0 means 1. Must be
        /// less than the epochs of a stage, which are `search.epochs` if there is only one.
        warmup_epochs: usize = 5, in COUNT_OR_0;
        /// Images per batch and process.
        batch_size: usize = 64, in COUNT;
        /// The super-network's stem.
        skeleton: Stem = Stem::Cifar;
        /// Channels of the super-network's first cells; in the space `mobile` those of the stem.
        channels: usize = 8, in whole(1..=4096);
        /// Cells of the super-network; in NAS-Bench-201, cells of each of its three stages.
        cells: usize = 3, in whole(1..=1000);
        /// Which cells halve the image: `"thirds"`, which are those at 1/3 and 2/3 of the depth, or
        /// a list, counted from 0.
        reduction_cells: Reductions = Reductions::THIRDS;
        /// K: 1/K of the channels go through the candidates, and the others bypass them.
        ///
        /// Unset is 4 for `pc-darts`, and 1, which is all channels, for the other methods.
        partial_channels: Option<usize> = None, in whole(1..=64);
        /// Whether α and β train on the same images as the weights; the images of
        /// `data.arch_fraction` are then used only for evaluation.
        one_level: bool = false;
        /// Whether the gradient of α and β is taken through a step of the weights, as in
        /// second-order DARTS.
        second_order: bool = false;
        /// Learning rate of the weights at the start.
        learning_rate: f64 = 0.025, in POSITIVE.in_f32();
        /// Learning rate of the weights at the end of the cosine, at most `search.learning_rate`.
        learning_rate_min: f64 = 0.001, in NOT_NEGATIVE;
        /// Momentum of the weights.
        momentum: f64 = 0.9, in BELOW_1.in_f32();
        /// Weight decay of the weights.
        weight_decay: f64 = 3e-4, in NOT_NEGATIVE.in_f32();
        /// Maximum norm of the gradient of the weights; a larger one is scaled down to it.
        gradient_clip: f64 = 5.0, in POSITIVE;
        /// Learning rate of α.
        ///
        /// `"auto"` is the published rate, scaled to the number of steps: 3e-4 · 16,380 / (steps of
        /// α and β after the warm-up).
        alpha_rate: Rate = Rate::Fixed(0.03);
        /// Learning rate of β, in the form of `search.alpha_rate`.
        beta_rate: Rate = Rate::Fixed(0.03);
        /// Steps of the weights for each step of α and β.
        arch_every: usize = 1, in COUNT;
        /// Optimiser of α and β.
        arch_optimizer: ArchOptimizerName = ArchOptimizerName::Adam;
        /// Momentum of α and β under SGD.
        arch_momentum: f64 = 0.9, in BELOW_1.in_f32();
        /// Adam's decay of the mean of the gradients of α and β.
        arch_beta_1: f64 = 0.5, in BELOW_1.in_f32();
        /// Adam's decay of the mean of the squared gradients of α and β.
        arch_beta_2: f64 = 0.999, in BELOW_1.in_f32();
        /// Weight decay of α and β.
        arch_weight_decay: f64 = 1e-3, in NOT_NEGATIVE.in_f32();
        /// Held-out images on which accuracy and gap are measured in every epoch; 0 takes all.
        monitor_images: usize = 1000;
        /// What drives the mixture to the target topology.
        ///
        /// Unset is the drive of the method's paper: `regulariser` for `da2s`, `da2s-operations`,
        /// `da2s-edges` and `entropy`, and `none` for all other methods. For the first three,
        /// `search.schedule` can change it.
        drive: Option<Drive> = None, named "drive";
        /// The drive of `da2s`, `da2s-operations` and `da2s-edges` if `search.drive` is unset:
        /// `published` is the drive `regulariser`, `adaptive` the drive `path`. Other methods
        /// ignore this setting.
        schedule: ScheduleName = ScheduleName::Published, named "schedule";
        /// Further epochs for a search that is undecided at its end, as a share of `search.epochs`:
        /// 0.5 allows half as many again.
        extra_epochs: f64 = 0.0, in up_to(10.0), named "extra_epochs";
        /// The path of the drive `path`.
        hardening: Hardening = Hardening::default();
        /// The regulariser of the drive `regulariser`.
        regulariser: Regulariser = Regulariser::default();
        /// Weight of FairDARTS's zero-one loss.
        zero_one_weight: f64 = 10.0, in NOT_NEGATIVE.in_f32();
        /// Weight of β-DARTS's term at the end of the search; it grows from 0.
        beta_weight: f64 = 50.0, in NOT_NEGATIVE.in_f32();
        /// ε of SDARTS at the end of the search: the maximum change of a weight of the mixture. It
        /// grows from 0.03.
        perturbation: f64 = 0.3, in positive_up_to(1.0);
        /// Share below which an operation or an edge is removed for good during the search; 0
        /// removes nothing. It requires a drive, and a value below the share at the start (1/7 for
        /// seven operations). Not with `gdas`, `p-darts` or `target.most_skips`.
        ///
        /// An operation or edge is removed at the end of an epoch after the warm-up if its share
        /// was below this after every step of the epoch. It is no longer computed, so the search
        /// gets faster.
        drop_below: f64 = 0.0, in BELOW_1;
        /// The stages of a search whose super-network changes.
        stages: StageSettings = StageSettings::default();
        /// λ of Λ-DARTS at the end of the search; it grows from 0.
        alignment_weight: f64 = 0.25, in NOT_NEGATIVE.in_f32();
        /// OLES freezes an operation if the mean cosine between its gradients on both halves of the
        /// images falls below this.
        freeze_below: f64 = 0.4, in BELOW_1;
        /// Temperature of GDAS in the first epoch.
        temperature_first: f64 = 10.0, in TEMPERATURE;
        /// Temperature of GDAS in the last epoch.
        temperature_last: f64 = 0.1, in TEMPERATURE;
        /// Weight of the term for limits such as `target.max_multiply_adds`. The term is the share
        /// by which the expected cost exceeds the limit.
        limit_weight: f64 = 10.0, in NOT_NEGATIVE.in_f32();
        /// What is done to training images.
        augmentation: Augmentation = Augmentation::default();
    }
}

/// Minimum length of a path in epochs, to allow for rounding errors.
const ROUNDING: f64 = 1e-9;

impl SearchSettings {
    /// K: 1/K of the channels go through the candidates; in a search with several stages, in the
    /// last one.
    pub fn partial(&self) -> usize {
        self.partial_in(self.last_stage())
    }

    /// The same in a stage.
    pub(crate) fn partial_in(&self, stage: StagePlan) -> usize {
        let own = stage.partial_channels.or(self.partial_channels);
        own.unwrap_or_else(|| self.method.build(self).partial_channels())
    }

    /// Cells of the super-network in a stage.
    pub(crate) fn cells_in(&self, stage: StagePlan) -> usize {
        stage.cells.unwrap_or(self.cells)
    }

    /// Cells of the super-network; in a search with several stages, in the last one.
    pub(crate) fn last_cells(&self) -> usize {
        self.cells_in(self.last_stage())
    }

    /// The stages, at least one, of a search whose edges have `candidates` candidates.
    pub(crate) fn stage_plans(&self, candidates: usize) -> Vec<StagePlan> {
        plans(&*self.method.build(self), candidates)
    }

    /// Whether the method has stages of its own, even if only one.
    pub(crate) fn has_stages(&self) -> bool {
        !self.method.build(self).stages(1).is_empty()
    }

    /// The last stage. Its number of candidates has no meaning.
    fn last_stage(&self) -> StagePlan {
        let plans = self.stage_plans(1);
        plans[plans.len() - 1]
    }

    /// Whether `schedule` has an effect if `drive` is unset.
    pub(crate) fn follows_schedule(&self) -> bool {
        matches!(self.method, Method::Da2s | Method::Da2sOperations | Method::Da2sEdges)
    }

    /// Whether the method has a drive of its own that the path can replace.
    pub(crate) fn may_follow_path(&self) -> bool {
        self.follows_schedule() && self.method.build(self).refuses(Drive::Path).is_none()
    }

    /// How the mixture is driven to the target.
    pub fn drive(&self) -> Drive {
        let own = || match self.schedule {
            ScheduleName::Adaptive if self.follows_schedule() => Drive::Path,
            _ => self.method.build(self).own_drive(),
        };
        self.drive.unwrap_or_else(own)
    }

    /// The method with its drive.
    pub fn driven(&self) -> DrivenMethod {
        DrivenMethod::new(self.method.build(self), self.drive(), self.regulariser.clone())
    }

    /// The sizes of the super-network of `space` for images of `shape` in `classes` classes; in a
    /// search with several stages, of the last one.
    pub fn size(&self, space: &SpaceSettings, shape: ImageShape, classes: usize) -> NetworkSize {
        let supernet = NetworkShape {
            skeleton: self.skeleton,
            channels: self.channels,
            cells: self.last_cells(),
            reduction_cells: self.reduction_cells.clone(),
            auxiliary: false,
            ..NetworkShape::default()
        };
        supernet.size(space, shape, classes)
    }

    /// The optimiser of α and β.
    pub(crate) fn optimizer(&self) -> ArchOptimizer {
        match self.arch_optimizer {
            ArchOptimizerName::Adam => {
                ArchOptimizer::adam([self.arch_beta_1, self.arch_beta_2], self.arch_weight_decay)
            }
            ArchOptimizerName::Sgd => ArchOptimizer::Sgd {
                momentum: self.arch_momentum,
                weight_decay: self.arch_weight_decay,
            },
        }
    }

    /// Checks that the settings fit each other.
    ///
    /// # Errors
    /// For the first that does not.
    pub fn check(&self) -> Result<(), Problem> {
        if self.warmup_epochs >= self.epochs {
            let expected = format!("less than search.epochs = {}", self.epochs);
            return Err(Problem::refused("search.warmup_epochs", self.warmup_epochs, expected));
        }
        if self.learning_rate_min > self.learning_rate {
            let expected = format!("at most search.learning_rate = {}", self.learning_rate);
            return Err(Problem::refused(
                "search.learning_rate_min",
                self.learning_rate_min,
                expected,
            ));
        }
        self.regulariser.check("search.regulariser")?;
        self.check_stages()?;
        for plan in self.stage_plans(1) {
            let groups = self.partial_in(plan);
            if groups > 1 && !self.channels.is_multiple_of(groups) {
                let key = match plan.partial_channels {
                    Some(_) => "search.stages.partial_channels",
                    None => "search.partial_channels",
                };
                let expected =
                    format!("a multiple of {groups}: with {key}, one in {groups} channels goes through the candidates");
                return Err(Problem::refused("search.channels", self.channels, expected));
            }
        }
        if self.skeleton == Stem::Imagenet && self.channels < 2 {
            let expected = "at least 2: the stem of search.skeleton = \"imagenet\" begins with half of them";
            return Err(Problem::refused("search.channels", self.channels, expected));
        }
        if let Some(reason) = self.method.build(self).refuses(self.drive()) {
            let expected = format!("another drive for search.method = {}: {reason}", self.method.name());
            return Err(Problem::refused("search.drive", self.drive(), expected));
        }
        if self.drop_below > 0.0 {
            let method = self.method.build(self);
            let reason = if self.drive() == Drive::None {
                Some("nothing takes the mixture to the target, so a small share may still grow")
            } else {
                method.refuses_dropping()
            };
            if let Some(reason) = reason {
                let (method, drive) = (self.method.name(), self.drive());
                let expected = format!("0 for search.method = {method} with search.drive = {drive}: {reason}");
                return Err(Problem::refused("search.drop_below", self.drop_below, expected));
            }
        }
        if self.one_level && self.second_order {
            let expected = "false with search.one_level, which has no inner step to differentiate through";
            return Err(Problem::refused("search.second_order", true, expected));
        }
        if self.method.build(self).freezes_below().is_some() {
            let expected = "false for search.method = oles, which compares the gradients of both halves of a step";
            let refused = [
                ("search.one_level", self.one_level),
                ("search.second_order", self.second_order),
            ];
            if let Some((key, _)) = refused.into_iter().find(|(_, set)| *set) {
                return Err(Problem::refused(key, true, expected));
            }
        }
        Ok(())
    }

    /// Checks that the settings of stages fit each other and the number of epochs.
    fn check_stages(&self) -> Result<(), Problem> {
        let stages = self.stage_plans(1).len();
        let StageSettings {
            candidates,
            cells,
            partial_channels,
            skip_dropout,
        } = &self.stages;
        let method = self.method.name();
        let set = [
            ("search.stages.candidates", candidates, self.has_stages()),
            ("search.stages.cells", cells, self.method == Method::PDarts),
            (
                "search.stages.partial_channels",
                partial_channels,
                self.method == Method::DrNas,
            ),
        ];
        let expected = format!("{stages} numbers, one for each stage");
        for (key, list, has_use) in set {
            let Some(list) = list else { continue };
            if !has_use {
                return Err(Problem::useless(key, format!("for search.method = {method}")));
            }
            if list.len() != stages {
                return Err(Problem::refused(key, format!("{list:?}"), expected));
            }
        }
        let probabilities = skip_dropout.as_deref().unwrap_or(&SKIP_DROPOUT);
        if self.method == Method::PDarts && probabilities.len() != stages {
            let key = "search.stages.skip_dropout";
            return Err(Problem::refused(key, format!("{probabilities:?}"), expected));
        }
        if partial_channels.is_some() && self.partial_channels.is_some() {
            let beside = "beside search.stages.partial_channels";
            return Err(Problem::useless("search.partial_channels", beside));
        }
        let least = stages * (self.warmup_epochs + 1);
        if stages > 1 && self.epochs < least {
            let expected = format!(
                "at least {least} for search.method = {method}: each of its {stages} stages needs more epochs than \
                 search.warmup_epochs = {}",
                self.warmup_epochs
            );
            return Err(Problem::refused("search.epochs", self.epochs, expected));
        }
        Ok(())
    }

    /// Checks that the probability of dropping skip connections has an effect. The runs of earlier
    /// versions contain this probability whatever the method.
    ///
    /// # Errors
    /// If it has no effect.
    pub(crate) fn check_skip_dropout(&self) -> Result<(), Problem> {
        if self.method == Method::PDarts || self.stages.skip_dropout.is_none() {
            return Ok(());
        }
        let place = format!("for search.method = {}", self.method.name());
        Err(Problem::useless("search.stages.skip_dropout", place))
    }

    /// Checks that the path of the drive `path` has a step. A run of an earlier version may
    /// have a path without one. The path begins in the last epoch of the warm-up, or in the first
    /// epoch, and ends at a share of the epochs; see [`Hardening`].
    ///
    /// # Errors
    /// If it has no step.
    pub(crate) fn check_path(&self) -> Result<(), Problem> {
        let follows = self.drive() == Drive::Path;
        let before = self.warmup_epochs.saturating_sub(1);
        // The path is in the last stage.
        let [_, epochs] = lengths(self.epochs, self.stage_plans(1).len());
        let decided_at = self.hardening.decided_at;
        let until = decided_at * epochs as f64 - ROUNDING;
        if !follows || before == 0 || until > before as f64 {
            return Ok(());
        }
        let warmup = self.warmup_epochs;
        let all = match epochs == self.epochs {
            true => format!("search.epochs = {epochs}"),
            false => format!("{epochs} epochs in the last stage"),
        };
        let expected = format!(
            "more than {before}/{epochs}, where the path of search.drive = \"path\" begins if search.warmup_epochs = {warmup} and {all}; or set search.warmup_epochs to at most {}",
            until.ceil().max(1.0)
        );
        let key = "search.hardening.decided_at";
        Err(Problem::refused(key, format!("{decided_at:?}"), expected))
    }
}

words! {
    /// Older names of the drives of DA²S.
    #[strum(serialize_all = "lowercase")]
    pub enum ScheduleName {
        /// `regulariser`.
        Published,
        /// `path`.
        Adaptive,
    }
}

words! {
    /// The optimiser of α and β.
    #[strum(serialize_all = "lowercase")]
    pub enum ArchOptimizerName {
        /// Adam, as in DARTS.
        Adam,
        /// SGD with momentum.
        Sgd,
    }
}
