//! Progress reports to the caller of the library: its only output, and the only way to stop it.

use da2s_records::schema::{Gap, SearchEpoch, TrainEpoch, TuningEpoch, Widened};

use crate::hint::Hint;
use crate::stage::Stage;

/// An event.
#[derive(Debug)]
pub enum Event<'a> {
    /// A stage began; `resumed_at` is the epoch from which it resumes, if it does.
    Started {
        /// The stage.
        stage: Stage,
        /// Number of epochs of the stage.
        epochs: usize,
        /// Completed epochs.
        resumed_at: usize,
    },
    /// A step is complete.
    Step {
        /// The stage.
        stage: Stage,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// Steps per epoch.
        steps: usize,
        /// Mean cross-entropy of the weight steps in this epoch so far; in training, including that
        /// of an auxiliary head.
        loss: f64,
        /// Mean training accuracy in this epoch so far, in percent.
        accuracy: f64,
    },
    /// An epoch of the search is complete.
    SearchEpoch(&'a SearchEpoch),
    /// An epoch of tuning is complete. The rule `perturbation` tunes the weights after a decision.
    TuningEpoch(&'a TuningEpoch),
    /// An epoch of the retraining is complete.
    TrainEpoch(&'a TrainEpoch),
    /// A checkpoint has been written within an epoch.
    Checkpoint {
        /// Epoch, from 1.
        epoch: usize,
        /// The step after which it was written, from 1.
        step: usize,
    },
    /// The training of the final network from another seed begins.
    Seed {
        /// The seed.
        seed: u64,
        /// Its place among the trainings, from 1; the first was that of the run's own network.
        place: usize,
        /// Number of trainings.
        trainings: usize,
    },
    /// The training of a baseline begins.
    Baseline {
        /// Its name.
        network: &'static str,
        /// Channels of its stem.
        channels: usize,
    },
    /// The training of a network of a front begins.
    FrontNetwork {
        /// Its name.
        name: &'a str,
        /// Its place among the networks, from 1.
        place: usize,
        /// Number of requested networks.
        networks: usize,
    },
    /// The number of training epochs has been changed, so that the run ends within its time limit.
    NewLength {
        /// Completed epochs.
        done: usize,
        /// The new number of epochs.
        epochs: usize,
        /// The previous number.
        before: usize,
    },
    /// The gap has been measured.
    Gap(&'a Gap),
    /// The final network was widened after the search.
    Widened(&'a Widened),
    /// Something that the user should know.
    Warning(Warning),
}

/// Something that the user should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// The message, one sentence.
    pub text: String,
    /// What can be done about it.
    pub hints: Vec<Hint>,
}

impl From<String> for Warning {
    fn from(text: String) -> Self {
        Self {
            text,
            hints: Vec::new(),
        }
    }
}

/// Receives events.
pub trait Observer {
    /// Called for each event.
    fn on(&mut self, event: Event<'_>);

    /// Whether to stop. Called after each step of a search or a retraining, which then writes a
    /// checkpoint, and before each batch of a measurement, which then produces no result.
    fn stop(&self) -> bool {
        false
    }

    /// Whether to write a checkpoint after this step and continue. Called once per step, except
    /// after the last step of an epoch, when a checkpoint is written anyway.
    fn checkpoint(&self) -> bool {
        false
    }
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on(&mut self, _: Event<'_>) {}
}
