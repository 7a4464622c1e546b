//! Training the final network from scratch.
//!
//! Reference: Liu, Simonyan, Yang 2019, section 3.2 and its code: SGD with momentum, a decaying
//! learning rate, drop-path that rises linearly over the epochs, an auxiliary head, label
//! smoothing. Parts of later recipes are in files of their own, each with its reference. Contract:
//! a pure function of the settings, the images, the seed and the number of processes; the test
//! images are never used; the best epoch on the validation part is kept, or the last epoch if there
//! is no validation part.

mod average;
mod loaders;
mod mixing;
mod settings;

pub use average::Average;
pub(crate) use loaders::{divided, loaders};
pub use mixing::{MixedBatch, Mixing, Other};
pub use settings::{Decay, InitialWeights, TrainSettings};

use burn::tensor::Device;
use da2s_records::schema::TrainEpoch;
use serde::{Deserialize, Serialize};

use crate::backbone::{Backbone, Pass, Statistics, Weights};
use crate::data::Loader;
use crate::evaluate::{DeviceBatch, accuracy, correct_count, labels_on};
use crate::finite::NotFinite;
use crate::network::{DropPath, DropPathRamp};
use crate::objective::{SecondLabels, Weighting, mixed_cross_entropy};
use crate::observer::Event;
use crate::optim::Sgd;
use crate::parallel::{Group, bytes_of};
use crate::probe::Probe;
use crate::random::{Purpose, generator};
use crate::resumable::{Position, Resumable, StageError};
use crate::stage::Stage;

/// The progress of a training, and the sums of the current epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainProgress {
    /// Completed epochs.
    pub epochs_done: usize,
    /// Completed steps of the current epoch.
    pub steps_done: usize,
    /// Sum of the losses.
    pub loss: f64,
    /// Number of images that were classified correctly.
    pub correct: usize,
    /// Sum of the gradients' norms.
    pub gradient_norm: f64,
    /// How often the training has returned to a checkpoint because of NaN or infinity.
    #[serde(default)]
    pub rollbacks: u32,
    /// The best accuracy on the validation part so far, in percent.
    pub best_accuracy: Option<f64>,
}

/// The state of a training: the content of a checkpoint.
#[derive(Clone, Debug)]
pub struct TrainState {
    /// The weights.
    pub weights: Weights,
    /// The running statistics.
    pub statistics: Statistics,
    /// The optimiser.
    pub sgd: Sgd,
    /// The averages over the steps, if they are what is evaluated.
    pub average: Option<Average>,
    /// Its progress.
    pub progress: TrainProgress,
}

impl TrainState {
    /// The weights and statistics that are evaluated and kept.
    pub fn evaluated(&self) -> (&Weights, &Statistics) {
        match &self.average {
            Some(average) => (&average.weights, &average.statistics),
            None => (&self.weights, &self.statistics),
        }
    }
}

/// The unchanging inputs of a training.
#[derive(Debug)]
pub struct Retraining<'a> {
    /// The network.
    pub network: &'a Backbone,
    /// The training settings.
    pub settings: &'a TrainSettings,
    /// A weight for each class, if the classes are not weighted equally.
    pub class_weights: Option<Vec<f32>>,
    /// Seed of the training.
    pub seed: u64,
    /// The weights and statistics with which it starts; `None` draws the weights.
    pub initial: Option<(Weights, Statistics)>,
    /// The processes that train together.
    pub group: Group,
    /// Training images of this process.
    pub loader: Loader,
    /// Validation images of this process.
    pub validation: Option<Loader>,
    /// The device, without autodiff.
    pub device: &'a Device,
    /// Notified of each phase of a step.
    pub probe: Probe,
}

/// The results of an epoch, for the files of a run.
#[derive(Clone, Debug)]
pub struct TrainRecord {
    /// The epoch's numbers.
    pub metrics: TrainEpoch,
    /// Whether this is the best network so far.
    pub best: bool,
}

impl Resumable for Retraining<'_> {
    type State = TrainState;
    type Images = MixedBatch;
    type Record = TrainRecord;

    const STAGE: Stage = Stage::Train;

    fn images(&self, state: &TrainState, _: &dyn Fn() -> bool) -> Result<MixedBatch, StageError> {
        let (epoch, step) = (state.progress.epochs_done as u64 + 1, state.progress.steps_done as u64);
        let batch = self.loader.batch(epoch, step)?;
        let mut random = generator(self.seed, Purpose::Mix, epoch, step);
        let mixed = self.settings.mixing.apply(batch, &mut random);
        self.probe.ended("data");
        Ok(mixed)
    }

    fn step(&self, state: &mut TrainState, mixed: MixedBatch) -> Result<(), NotFinite> {
        let main_labels = mixed.main_labels().to_vec();
        let MixedBatch { batch, other } = mixed;
        let batch = DeviceBatch::new(batch, self.device);
        let (epoch, step) = (state.progress.epochs_done + 1, state.progress.steps_done);
        let device = self.device.clone().autodiff();
        let drop_path = DropPath {
            probability: self.drop_path(epoch),
            ramp: self.settings.drop_path_ramp,
            seed: self.seed,
        };
        let (images, shard) = (batch.labels.len(), self.group.shard());
        let factors = drop_path.factors(self.network, images, shard, epoch, step, &device);
        let weights = state.weights.on_graph(true);
        let pass = Pass {
            drop_path: factors.as_deref(),
            auxiliary: self.network.auxiliary().is_some(),
            ..Pass::new(&weights)
        };
        let forward = self.network.forward(batch.images.autodiff(), pass);
        if let Some(statistics) = &forward.statistics {
            state.statistics.update(&statistics.averaged(&self.group));
        }
        let correct = correct_count(forward.logits.clone().without_autodiff(), &main_labels);
        let labels = labels_on(&batch.labels, &device);
        let second = other.as_ref().map(|other| SecondLabels {
            labels: labels_on(&other.labels, &device),
            first_share: other.own_share,
        });
        let smoothing = self.settings.label_smoothing;
        let weighting = Weighting::in_group(self.class_weights.as_deref(), &batch.labels, &self.group);
        let loss_of = |logits| mixed_cross_entropy(logits, labels.clone(), second.clone(), smoothing, weighting);
        let mut loss = loss_of(forward.logits);
        if let Some(logits) = forward.auxiliary {
            loss = loss + loss_of(logits) * self.settings.auxiliary_weight;
        }
        let own = f64::from(loss.clone().into_scalar::<f32>());
        let [value, correct] = self.group.sum([own, correct as f64]);
        let value = value / self.group.size() as f64;
        if !value.is_finite() {
            let loss = ("the loss", value);
            let (weights, statistics) = (&state.weights, &state.statistics);
            return Err(NotFinite::in_forward(loss, None, weights, statistics, self.network));
        }
        self.probe.ended("forward");
        let gradients = self.group.average(weights.gradients(loss.backward()));
        self.probe.ended("backward");
        let rate = self.rate(state);
        let norm = state.sgd.step(rate, &mut state.weights, gradients, self.network)?;
        if let Some(average) = &mut state.average {
            let taken = (epoch - 1) * self.steps() + step + 1;
            let most = self.settings.weight_average;
            average.add(&state.weights, &state.statistics, most, taken);
        }
        self.probe.ended("optimiser");
        let progress = &mut state.progress;
        progress.steps_done += 1;
        progress.loss += value;
        progress.correct += correct as usize;
        progress.gradient_norm += norm;
        Ok(())
    }

    fn end_epoch(&self, state: &mut TrainState) -> Result<TrainRecord, StageError> {
        let validation_accuracy = self.validate(state)?;
        let (learning_rate, progress, steps) = (self.rate(state), &mut state.progress, self.steps());
        let epoch = progress.epochs_done + 1;
        let seen = steps * self.batch_size() * self.group.size();
        let metrics = TrainEpoch {
            epoch,
            epochs: self.epochs(),
            steps,
            learning_rate: Some(learning_rate),
            train_loss: Some(progress.loss / steps as f64),
            train_accuracy: Some(100.0 * progress.correct as f64 / seen as f64),
            validation_accuracy,
            drop_path: Some(self.drop_path(epoch)),
            gradient_norm: Some(progress.gradient_norm / steps as f64),
            time_s: None,
        };
        let best = validation_accuracy.is_none_or(|now| progress.best_accuracy.is_none_or(|before| now > before));
        *progress = TrainProgress {
            epochs_done: epoch,
            rollbacks: progress.rollbacks,
            best_accuracy: if best {
                validation_accuracy
            } else {
                progress.best_accuracy
            },
            ..TrainProgress::default()
        };
        Ok(TrainRecord { metrics, best })
    }

    fn is_unfinished(&self, state: &TrainState) -> bool {
        state.progress.epochs_done < self.settings.epochs
    }

    fn start(&self) -> TrainState {
        let settings = self.settings;
        let (weights, statistics) = self.initial.clone().unwrap_or_else(|| {
            let weights = Weights::new(self.network, self.seed, Purpose::NetworkWeights, self.device);
            (weights, Statistics::new(self.network, self.device))
        });
        let sgd = Sgd::new(settings.momentum, settings.weight_decay, settings.gradient_clip);
        TrainState {
            average: (settings.weight_average > 0.0).then(|| Average {
                weights: weights.clone(),
                statistics: statistics.clone(),
            }),
            sgd: if settings.decay_norms {
                sgd
            } else {
                sgd.decaying_kernels(self.network, self.device)
            },
            weights,
            statistics,
            progress: TrainProgress::default(),
        }
    }

    fn position(&self, state: &TrainState) -> Position {
        let progress = &state.progress;
        Position {
            epochs_done: progress.epochs_done,
            steps_done: progress.steps_done,
            rollbacks: progress.rollbacks,
            loss: progress.loss,
            correct: progress.correct,
        }
    }

    fn set_rollbacks(&self, state: &mut TrainState, rollbacks: u32) {
        state.progress.rollbacks = rollbacks;
    }

    fn check(&self, state: &TrainState) -> Result<(), NotFinite> {
        NotFinite::in_values(&state.weights, &state.statistics, self.network)
    }

    fn bytes(&self, state: &TrainState) -> Vec<u8> {
        let evaluated = state.average.iter();
        let averages = evaluated.flat_map(|average| average.weights.parts().iter().chain(average.statistics.tensors()));
        bytes_of(
            state
                .weights
                .parts()
                .iter()
                .chain(state.statistics.tensors())
                .chain(averages),
        )
    }

    fn event(record: &TrainRecord) -> Event<'_> {
        Event::TrainEpoch(&record.metrics)
    }

    fn group(&self) -> &Group {
        &self.group
    }

    fn epochs(&self) -> usize {
        self.settings.epochs
    }

    fn steps(&self) -> usize {
        self.loader.steps_per_epoch() as usize
    }

    fn batch_size(&self) -> usize {
        self.settings.batch_size
    }
}

impl Retraining<'_> {
    /// Settings whose reduction lowers the memory of a step.
    pub(crate) const LOWER: &'static [&'static str] = &["network.batch_size", "network.channels", "network.cells"];
    /// The same for a network that became wider after its search, whose size no setting changes.
    pub(crate) const LOWER_WIDENED: &'static [&'static str] = &["network.batch_size"];

    /// The learning rate of the current epoch, halved for each time that the training has returned
    /// to a checkpoint.
    fn rate(&self, state: &TrainState) -> f64 {
        let progress = &state.progress;
        0.5f64.powi(progress.rollbacks as i32) * learning_rate(self.settings, progress.epochs_done + 1)
    }

    /// The largest probability of dropping a path in `epoch`, from 1. Over the epochs it rises
    /// linearly from 0.
    fn drop_path(&self, epoch: usize) -> f64 {
        let most = self.settings.drop_path;
        match self.settings.drop_path_ramp {
            DropPathRamp::Epochs => most * self.settings.share_done(0, epoch - 1),
            DropPathRamp::Depth => most,
        }
    }

    fn validate(&self, state: &TrainState) -> Result<Option<f64>, StageError> {
        let Some(loader) = &self.validation else {
            return Ok(None);
        };
        let (weights, statistics) = state.evaluated();
        let pass = Pass::new(weights).with_statistics(statistics);
        let (group, device) = (&self.group, self.device);
        Ok(Some(accuracy(self.network, pass, loader, group, device, &|| false)?))
    }
}

/// The learning rate of `epoch`, from 1.
pub fn learning_rate(settings: &TrainSettings, epoch: usize) -> f64 {
    let (done, warmup) = (epoch - 1, settings.warmup_epochs);
    if done < warmup {
        return settings.learning_rate * epoch as f64 / warmup as f64;
    }
    let share = || settings.share_done(warmup, done);
    settings.learning_rate
        * match settings.decay {
            Decay::Cosine => (1.0 + (std::f64::consts::PI * share()).cos()) / 2.0,
            Decay::Linear => 1.0 - share(),
            Decay::Exponential => 0.97f64.powf((done - warmup) as f64),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_rates_rise_and_fall_as_published() {
        let settings = |decay, warmup_epochs| TrainSettings {
            learning_rate: 0.5,
            epochs: 10,
            warmup_epochs,
            decay,
            ..TrainSettings::default()
        };
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} != {b}");
        let cosine = settings(Decay::Cosine, 0);
        near(learning_rate(&cosine, 1), 0.5);
        near(learning_rate(&cosine, 6), 0.25);
        let linear = settings(Decay::Linear, 5);
        near(learning_rate(&linear, 1), 0.1);
        near(learning_rate(&linear, 5), 0.5);
        near(learning_rate(&linear, 6), 0.5);
        near(learning_rate(&linear, 10), 0.1);
        near(learning_rate(&settings(Decay::Exponential, 0), 3), 0.5 * 0.97 * 0.97);
    }

    /// If the length of a schedule changes, the learning rate does not jump, and the schedule does
    /// not end early.
    #[test]
    fn a_schedule_continues_when_its_length_changes() {
        let mut settings = TrainSettings {
            epochs: 10,
            warmup_epochs: 2,
            ..TrainSettings::default()
        };
        let before = settings.clone();
        settings.change_epochs(4, 20);
        settings.change_epochs(12, 16);
        assert_eq!(settings.check(), Ok(()));
        let same = |epoch: usize| {
            assert_eq!(
                learning_rate(&settings, epoch),
                learning_rate(&before, epoch),
                "{epoch}"
            )
        };
        (1..=5).for_each(same);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} != {b}");
        // A quarter is over after epoch 4, and half of the rest after eight of 16 more epochs.
        near(settings.share_done(2, 4), 0.25);
        near(settings.share_done(2, 12), 0.25 + 0.75 / 2.0);
        near(settings.share_done(2, 14), 0.625 + 0.375 / 2.0);
        assert_eq!(settings.share_done(2, 16), 1.0);
        near(settings.share_done(0, 4), 0.4);
        for wrong in [
            vec![vec![1, 9]],
            vec![vec![5]],
            vec![vec![5, 5]],
            vec![vec![16, 30]],
            vec![vec![5, 9], vec![5, 9]],
        ] {
            settings.earlier_epochs = Some(wrong);
            assert!(settings.check().is_err(), "{:?}", settings.earlier_epochs);
        }
    }
}
