//! Progress, told to whoever drives the library: the only way in which it speaks, and the only way
//! to stop it.

use da2s_records::schema::{Gap, SearchEpoch, TrainEpoch};

use crate::hint::Hint;
use crate::stage::Stage;

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A stage began; `resumed_at` is the epoch from which it goes on, if it goes on.
    Started {
        /// The stage.
        stage: Stage,
        /// Epochs that it will take.
        epochs: usize,
        /// Epochs that are done.
        resumed_at: usize,
    },
    /// A step is done.
    Step {
        /// The stage.
        stage: Stage,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// Steps an epoch.
        steps: usize,
        /// Mean cross-entropy of the weights' steps in this epoch so far, in training with that of
        /// an auxiliary head.
        loss: f64,
        /// Mean training accuracy in this epoch so far, in percent.
        accuracy: f64,
    },
    /// An epoch of the search is done.
    SearchEpoch(&'a SearchEpoch),
    /// An epoch of the retraining is done.
    TrainEpoch(&'a TrainEpoch),
    /// A checkpoint that the observer asked for is written.
    Checkpoint {
        /// Epoch, from 1.
        epoch: usize,
        /// The step of it behind which it was written, from 1.
        step: usize,
    },
    /// The gap is measured.
    Gap(&'a Gap),
    /// Something that the user should know.
    Warning(Warning),
}

/// Something that the user should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// What, in a sentence.
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

/// Who is told.
pub trait Observer {
    /// Something happened.
    fn on(&mut self, event: Event<'_>);

    /// Whether to stop. Called after each step of a search or a retraining, which then writes a
    /// checkpoint, and before each batch of a measurement, which then leaves no result.
    fn stop(&self) -> bool {
        false
    }

    /// Whether to write a checkpoint after this step and go on. Asked once a step, except behind
    /// the last of an epoch, where one is written anyway.
    fn checkpoint(&self) -> bool {
        false
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on(&mut self, _: Event<'_>) {}
}
