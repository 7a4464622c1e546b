//! Tuning: the rule `perturbation` with a super-network whose weights train after each decision.
//!
//! Reference: Wang, Cheng, Chen, Tang, Hsieh, "Rethinking Architecture Selection in Differentiable
//! NAS", ICLR 2021, algorithm 1 (`discretize/rules/perturbation.rs` has the decisions). As in the
//! authors' code, the optimiser starts again, with a tenth of the search's learning rate, which
//! falls along one cosine over all epochs of tuning. Differences from it: only the weights train,
//! as the paper says, while the code also trains α; each decision has its own epochs, while the
//! code decides one edge of each kind of cell before it tunes. Contract: a pure function of the
//! finished search, the settings and the seed. Each decision is taken just before the first step of
//! its tuning. If the genotype has n skip connections too many, the n weakest are excluded, and
//! everything is decided again, beginning with the weights of the search.

use da2s_records::schema::TuningEpoch;
use serde::{Deserialize, Serialize};

use super::bilevel::{Rates, Under};
use super::{Draw, Moment, Outcome, Search, SearchState};
use crate::discretize::mixture::discrete_mixture;
use crate::discretize::{Decisions, Discretization, Images, KindStrengths, Quality, exclude_all_excess, quality};
use crate::evaluate::{DeviceBatch, EvaluateError};
use crate::finite::NotFinite;
use crate::observer::Event;
use crate::optim::Sgd;
use crate::parallel::Group;
use crate::resumable::{Position, Resumable, StageError};
use crate::space::{Genotype, Operation, PerKind};
use crate::stage::Stage;

/// The share of the search's learning rate with which the tuning begins.
const RATE: f64 = 0.1;

/// The unchanging inputs of a tuning.
#[derive(Debug)]
pub struct Tuning<'a> {
    search: &'a Search,
    finished: &'a SearchState,
    strengths: PerKind<KindStrengths>,
    /// Epochs after each decision.
    epochs: usize,
    group: Group,
}

/// Everything that a tuning changes.
#[derive(Clone, Debug)]
pub struct TuningState {
    /// The super-network. Its α and β, and its progress, are those of the finished search.
    pub supernet: SearchState,
    /// The decisions, and the progress of the tuning.
    pub progress: TuningProgress,
}

/// The decisions, the progress of the tuning, and the sums of the current epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TuningProgress {
    /// Edges of the normal cell that may not keep a skip connection.
    pub excluded: Vec<usize>,
    /// What is kept, for each decision.
    pub kept: Vec<Vec<usize>>,
    /// Completed epochs since the last decision.
    pub tuned: usize,
    /// Completed epochs.
    pub epochs_done: usize,
    /// Completed steps of the current epoch.
    pub steps_done: usize,
    /// Sum of the steps' cross-entropies.
    pub cross_entropy: f64,
    /// Number of samples that were classified correctly in the steps.
    pub correct: usize,
    /// How often the tuning returned to a checkpoint because of NaN or infinity.
    pub rollbacks: u32,
}

/// The images of a step, and what is decided before it.
#[derive(Debug)]
pub struct TuningImages {
    decided: Option<Vec<usize>>,
    batch: DeviceBatch,
}

impl<'a> Tuning<'a> {
    /// Tunes the `finished` state of `search` for `epochs` after each decision. Contract: the
    /// search is not shared with other processes.
    pub fn new(search: &'a Search, finished: &'a SearchState, epochs: usize) -> Self {
        Self {
            strengths: search.outcome(finished).strengths,
            search,
            finished,
            epochs,
            group: Group::alone(),
        }
    }

    /// The outcome of a completed tuning, and the accuracy in percent of the tuned super-network
    /// that is pruned to it, on all held-out images.
    ///
    /// # Errors
    /// If an image cannot be read.
    pub fn outcome(&self, state: &TuningState) -> Result<(Outcome, f64), EvaluateError> {
        let genotype = self.decisions(&state.progress).genotype();
        let outcome = self.search.outcome_of(self.strengths.clone(), genotype);
        let (held_out, _) = self.search.gap_loaders();
        let pruned = self.search.pruned(&state.supernet, &outcome);
        let accuracy = pruned.accuracy(Discretization::Both, held_out, &self.group, &self.search.device)?;
        Ok((outcome, accuracy))
    }

    /// The mixture of the search without the skip connections that are excluded.
    fn allowed(&self, progress: &TuningProgress) -> PerKind<KindStrengths> {
        let space = &self.search.space;
        let mut strengths = self.strengths.clone();
        let skip = |operation: &Operation| *operation == Operation::SkipConnect;
        if let Some(skip) = space.operations.iter().position(skip) {
            for &edge in &progress.excluded {
                strengths.normal.exclude(edge, skip, space);
            }
        }
        strengths
    }

    /// The random draw of the next step, as if the tuning continued the epochs of the search.
    fn draw(&self, state: &TuningState) -> Draw {
        let moment = self.search.moment(&state.supernet);
        let moment = Moment {
            epoch: moment.epoch + state.progress.epochs_done,
            step: state.progress.steps_done,
            ..moment
        };
        Draw::new(self.search.seed, moment)
    }

    /// The decisions of `progress`.
    fn decisions(&self, progress: &TuningProgress) -> Decisions<'_> {
        let mut decisions = Decisions::new(self.allowed(progress), &self.search.space, &self.search.target);
        for kept in &progress.kept {
            decisions.settle(kept.clone());
        }
        decisions
    }

    /// Whether `progress`, which comes from a file, is possible in this tuning. Contract: only such
    /// a progress is continued, because its numbers are indices.
    pub(crate) fn has(&self, progress: &TuningProgress) -> bool {
        let edges = self.search.space.graph.edge_count();
        let excluded = &progress.excluded;
        if excluded.len() > edges || excluded.iter().any(|&edge| edge >= edges) {
            return false;
        }
        let mut decisions = Decisions::new(self.allowed(progress), &self.search.space, &self.search.target);
        for kept in &progress.kept {
            if !decisions.open().is_some_and(|question| question.takes(kept)) {
                return false;
            }
            decisions.settle(kept.clone());
        }
        let begun = progress.tuned > 0 || progress.steps_done > 0;
        let done = self.done(progress);
        let most = done + excluded.len() * self.epochs();
        (!begun || !progress.kept.is_empty())
            && progress.tuned < self.epochs
            && (done..=most).contains(&progress.epochs_done)
            && progress.steps_done <= self.steps()
            && progress.correct <= progress.steps_done * self.batch_size()
    }

    /// Completed epochs since the tuning last began with the weights of the search. Contract:
    /// `progress` is from a state between two steps.
    fn done(&self, progress: &TuningProgress) -> usize {
        let tuned = match progress.tuned > 0 || progress.steps_done > 0 {
            // The last decision is being tuned.
            true => progress.kept.len().saturating_sub(1),
            false => progress.kept.len(),
        };
        tuned * self.epochs + progress.tuned
    }

    /// Excludes the excess skip connections of the complete `genotype`, after which everything is
    /// decided again, and returns their edges.
    fn decide_again(&self, state: &mut TuningState, genotype: &Genotype) -> Vec<String> {
        let (space, target) = (&self.search.space, &self.search.target);
        let excess = exclude_all_excess(&mut self.allowed(&state.progress), genotype, space, target);
        if !excess.is_empty() {
            state.progress.excluded.extend(&excess);
            state.progress.kept.clear();
            state.supernet = self.fresh();
        }
        let ends: Vec<(usize, usize)> = space.graph.edges().collect();
        let name = |&edge: &usize| format!("{}→{}", ends[edge].0, ends[edge].1);
        excess.iter().map(name).collect()
    }

    /// The quality of the super-network of `state` under `strengths`.
    fn quality(
        &self,
        state: &TuningState,
        strengths: &PerKind<KindStrengths>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Quality, EvaluateError> {
        let images = Images {
            held_out: &self.search.by_rule,
            device: &self.search.device,
            stop,
        };
        quality(strengths, &self.search.searched(&state.supernet, strengths), &images)
    }

    /// Learning rate in the current epoch, halved for each time that the tuning has returned to a
    /// checkpoint.
    fn rate(&self, progress: &TuningProgress) -> f64 {
        let settings = &self.search.settings;
        let first = RATE * settings.learning_rate;
        let last = settings.learning_rate_min.min(first);
        let done = progress.kept.len().saturating_sub(1) * self.epochs + progress.tuned;
        let phase = std::f64::consts::PI * (done as f64 / self.epochs() as f64).min(1.0);
        0.5f64.powi(progress.rollbacks as i32) * (last + (first - last) * (1.0 + phase.cos()) / 2.0)
    }

    fn fresh(&self) -> SearchState {
        let settings = &self.search.settings;
        SearchState {
            sgd: Sgd::new(settings.momentum, settings.weight_decay, settings.gradient_clip),
            ..self.finished.clone()
        }
    }
}

impl Resumable for Tuning<'_> {
    type State = TuningState;
    type Images = TuningImages;
    type Record = TuningEpoch;

    const STAGE: Stage = Stage::Discretize;

    /// If the last decision has been tuned, makes the next one before the batch is read.
    fn images(&self, state: &TuningState, stop: &dyn Fn() -> bool) -> Result<TuningImages, StageError> {
        let progress = &state.progress;
        let decisions = self.decisions(progress);
        let due = progress.tuned == 0 && progress.steps_done == 0;
        let decided = match decisions.open().filter(|_| due) {
            Some(question) => {
                let measure = |strengths: &PerKind<KindStrengths>| self.quality(state, strengths, stop);
                Some(decisions.answer(question, &measure)?)
            }
            None => None,
        };
        // The numbers of the epochs continue those of the search.
        let epoch = self.finished.progress.epochs_done + progress.epochs_done + 1;
        let batch = self
            .search
            .weight_loader
            .batch(epoch as u64, progress.steps_done as u64)?;
        let batch = DeviceBatch::new(batch, &self.search.device);
        Ok(TuningImages { decided, batch })
    }

    fn step(&self, state: &mut TuningState, images: TuningImages) -> Result<(), NotFinite> {
        state.progress.kept.extend(images.decided);
        let draw = self.draw(state);
        let (search, supernet) = (self.search, &mut state.supernet);
        let decisions = self.decisions(&state.progress);
        let undecided = search.space.cell(Vec::new());
        let mixtures = decisions.strengths().map(|kind, strengths| {
            let choices = (&search.space, search.target.kind(kind));
            let device = &search.device;
            discrete_mixture(strengths, choices, &undecided, false, false, device).on_graph()
        });
        let (weights, arch) = (supernet.weights.on_graph(true), supernet.arch.untracked());
        let stepper = search.stepper(supernet);
        let under = Under {
            mixtures: &mixtures,
            shifts: None,
        };
        let (loss, reading) = stepper.loss_under(supernet, &weights, &arch, under, &images.batch, draw)?;
        let gradients = weights.gradients(loss.backward());
        let rates = Rates {
            weights: self.rate(&state.progress),
            alpha: 0.0,
            beta: 0.0,
        };
        stepper.move_weights(supernet, gradients, rates)?;
        let progress = &mut state.progress;
        progress.steps_done += 1;
        progress.cross_entropy += reading.cross_entropy;
        progress.correct += reading.correct;
        Ok(())
    }

    fn end_epoch(&self, state: &mut TuningState) -> Result<TuningEpoch, StageError> {
        let decisions = self.decisions(&state.progress);
        let quality = self.quality(state, decisions.strengths(), &|| false)?;
        let [all, decided] = decisions.counts();
        let (kind, choice, kept) = decisions.last_in_words().unwrap_or_default();
        let progress = &mut state.progress;
        let (steps, images) = (self.steps(), self.steps() * self.batch_size());
        let mut record = TuningEpoch {
            epoch: progress.epochs_done + 1,
            epochs: 0,
            decision: decided,
            decisions: all,
            kind,
            choice,
            kept,
            learning_rate: Some(self.rate(progress)),
            cross_entropy: Some(progress.cross_entropy / steps as f64),
            train_accuracy: Some(100.0 * progress.correct as f64 / images as f64),
            accuracy: Some(quality.accuracy),
            excluded: Vec::new(),
        };
        progress.epochs_done += 1;
        progress.tuned = (progress.tuned + 1) % self.epochs;
        (progress.steps_done, progress.cross_entropy, progress.correct) = (0, 0.0, 0);
        if progress.tuned == 0 && decisions.open().is_none() {
            record.excluded = self.decide_again(state, &decisions.genotype());
        }
        record.epochs = self.planned(state);
        Ok(record)
    }

    fn is_unfinished(&self, state: &TuningState) -> bool {
        let progress = &state.progress;
        progress.tuned > 0 || progress.steps_done > 0 || self.decisions(progress).open().is_some()
    }

    fn start(&self) -> TuningState {
        TuningState {
            supernet: self.fresh(),
            progress: TuningProgress::default(),
        }
    }

    fn position(&self, state: &TuningState) -> Position {
        let progress = &state.progress;
        Position {
            epochs_done: progress.epochs_done,
            steps_done: progress.steps_done,
            rollbacks: progress.rollbacks,
            loss: progress.cross_entropy,
            correct: progress.correct,
        }
    }

    fn set_rollbacks(&self, state: &mut TuningState, rollbacks: u32) {
        state.progress.rollbacks = rollbacks;
    }

    fn check(&self, state: &TuningState) -> Result<(), NotFinite> {
        let SearchState {
            weights, statistics, ..
        } = &state.supernet;
        NotFinite::in_values(weights, statistics, &self.search.backbone)
    }

    fn bytes(&self, state: &TuningState) -> Vec<u8> {
        state.supernet.bytes()
    }

    fn event(record: &TuningEpoch) -> Event<'_> {
        Event::TuningEpoch(record)
    }

    fn group(&self) -> &Group {
        &self.group
    }

    fn epochs(&self) -> usize {
        let [all, _] = self.decisions(&TuningProgress::default()).counts();
        self.epochs * all
    }

    /// Includes the epochs before skip connections were excluded, since everything is decided again
    /// after that.
    fn planned(&self, state: &TuningState) -> usize {
        let progress = &state.progress;
        let [all, _] = self.decisions(progress).counts();
        progress.epochs_done - self.done(progress) + self.epochs * all
    }

    fn steps(&self) -> usize {
        self.search.steps()
    }

    fn batch_size(&self) -> usize {
        self.search.batch_size()
    }
}

#[cfg(test)]
mod tests;
