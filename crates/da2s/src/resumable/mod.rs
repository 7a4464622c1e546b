//! Stages that can be stopped after any step and resumed, and the loop over their epochs.
//!
//! The search and the training are such stages. Contract: a stage that is stopped and resumed ends
//! with the same bits as one that is never stopped, so everything that changes is in its state. All
//! processes of a group take the same steps; a request in one process counts for all of them. The
//! state is saved before the stage stops, and a state with NaN or infinity is never saved.

mod error;

pub use error::{Divergence, StageError};

use std::time::Instant;

use crate::finite::NotFinite;
use crate::observer::{Event, Observer};
use crate::parallel::Group;
use crate::stage::Stage;

/// A stage of training that can be stopped and resumed.
pub trait Resumable: Sized {
    /// Everything that the stage changes: the content of a checkpoint.
    type State;
    /// The images of one step.
    type Images;
    /// The results of an epoch, for the files of a run.
    type Record;

    /// The stage.
    const STAGE: Stage;

    /// The processes that train together.
    fn group(&self) -> &Group;

    /// Number of epochs, without those that are added if the stage is not finished at the end.
    fn epochs(&self) -> usize;

    /// The same, including the epochs that had been added before `state`.
    fn planned(&self, _state: &Self::State) -> usize {
        self.epochs()
    }

    /// Steps per epoch.
    fn steps(&self) -> usize;

    /// Images per step in this process.
    fn batch_size(&self) -> usize;

    /// The state before the first step.
    fn start(&self) -> Self::State;

    /// The progress of `state`.
    fn position(&self, state: &Self::State) -> Position;

    /// Records how often `state` has returned to a checkpoint; each time halves its learning rates.
    fn set_rollbacks(&self, state: &mut Self::State, rollbacks: u32);

    /// Whether there are epochs left.
    fn is_unfinished(&self, state: &Self::State) -> bool;

    /// The images of the next step. `stop` returns whether the observer requests a stop; if a stage
    /// measures something before a step, it passes `stop` to the measurement.
    ///
    /// # Errors
    /// If an image cannot be read; [`EvaluateError::Stopped`](crate::evaluate::EvaluateError) after
    /// `stop` has returned true. Nothing is lost then: the measurement before the first step of an
    /// epoch can be repeated from the state that was saved at the end of the previous epoch.
    fn images(&self, state: &Self::State, stop: &dyn Fn() -> bool) -> Result<Self::Images, StageError>;

    /// Takes the next step.
    ///
    /// # Errors
    /// If the loss, a gradient or a resulting value is not finite. The state is invalid then.
    fn step(&self, state: &mut Self::State, images: Self::Images) -> Result<(), NotFinite>;

    /// Checks that no weight and no running statistic is NaN or infinite. The loss does not always
    /// show it: a variance can overflow while the loss stays finite.
    ///
    /// # Errors
    /// The first value that is not finite.
    fn check(&self, state: &Self::State) -> Result<(), NotFinite>;

    /// Ends an epoch after its last step: evaluates, and counts the epoch as done.
    ///
    /// # Errors
    /// If an image cannot be read.
    fn end_epoch(&self, state: &mut Self::State) -> Result<Self::Record, StageError>;

    /// The bytes that must be the same in every process.
    fn bytes(&self, state: &Self::State) -> Vec<u8>;

    /// The event that reports `record` to the observer.
    fn event(record: &Self::Record) -> Event<'_>;

    /// Takes `state` to the end of the stage. `save` is called with the results after each epoch,
    /// and without any if the observer requests a checkpoint or a stop within an epoch.
    ///
    /// # Errors
    /// [`StageError::Stopped`] if the observer of any process requests a stop;
    /// [`StageError::NotFinite`]; [`StageError::Apart`] if the processes have different bytes; an
    /// image that cannot be read; and the errors of `save`.
    fn run<E: From<StageError>>(
        &self,
        state: &mut Self::State,
        observer: &mut dyn Observer,
        save: &mut Save<'_, Self, E>,
    ) -> Result<(), E> {
        observer.on(Event::Started {
            stage: Self::STAGE,
            epochs: self.planned(state),
            resumed_at: self.position(state).epochs_done,
        });
        while self.is_unfinished(state) {
            let mut images_s = 0.0;
            while self.position(state).steps_done < self.steps() {
                let asked = Instant::now();
                let images = self.images(state, &|| observer.stop())?;
                images_s += asked.elapsed().as_secs_f64();
                let next = self.position(state).steps_done + 1;
                self.step(state, images)
                    .map_err(|found| not_finite(self, state, next, found))?;
                observer.on(step_event(self, state));
                between_steps(self, state, observer, save)?;
            }
            checked(self, state)?;
            let record = self.end_epoch(state)?;
            self.group()
                .check_alike("weights", || self.bytes(state))
                .map_err(StageError::from)?;
            let ended = Ended {
                record: &record,
                images_s,
            };
            save(state, Some(ended))?;
            observer.on(Self::event(&record));
            let [stop] = self.group().any([observer.stop()]);
            if stop && self.is_unfinished(state) {
                let epoch = self.position(state).epochs_done;
                return Err(StageError::Stopped { epoch }.into());
            }
        }
        Ok(())
    }
}

/// Saves a state: with its results at the end of an epoch, without any within an epoch.
pub type Save<'a, S, E> =
    dyn FnMut(&<S as Resumable>::State, Option<Ended<'_, <S as Resumable>::Record>>) -> Result<(), E> + 'a;

/// The results of an epoch that has ended.
#[derive(Debug)]
pub struct Ended<'a, R> {
    /// For the files of the run.
    pub record: &'a R,
    /// How long the steps of this process waited for their images, in seconds. Steps before a
    /// resume are not counted.
    pub images_s: f64,
}

/// The progress of a stage, and the sums over the steps of the current epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Completed epochs.
    pub epochs_done: usize,
    /// Completed steps of the current epoch.
    pub steps_done: usize,
    /// How often the stage has returned to a checkpoint because of NaN or infinity.
    pub rollbacks: u32,
    /// Sum of the losses that are reported to the observer.
    pub loss: f64,
    /// Number of images that were classified correctly.
    pub correct: usize,
}

impl Position {
    /// The current epoch, from 1.
    pub fn epoch(&self) -> usize {
        self.epochs_done + 1
    }
}

/// Between two steps of an epoch: writes a checkpoint if the observer of any process requests one,
/// or requests a stop. After the last step of an epoch the observer is not asked, because the end
/// of the epoch saves.
fn between_steps<S: Resumable, E: From<StageError>>(
    stage: &S,
    state: &S::State,
    observer: &mut dyn Observer,
    save: &mut Save<'_, S, E>,
) -> Result<(), E> {
    let position = stage.position(state);
    let (epoch, step) = (position.epoch(), position.steps_done);
    if step == stage.steps() {
        return Ok(());
    }
    let [stop, checkpoint] = stage.group().any([observer.stop(), observer.checkpoint()]);
    if stop || checkpoint {
        checked(stage, state)?;
        save(state, None)?;
    }
    if stop {
        return Err(StageError::Stopped { epoch }.into());
    }
    if checkpoint {
        observer.on(Event::Checkpoint { epoch, step });
    }
    Ok(())
}

/// [`Resumable::check`] with the position of `state`.
fn checked<S: Resumable>(stage: &S, state: &S::State) -> Result<(), StageError> {
    let step = stage.position(state).steps_done;
    stage
        .check(state)
        .map_err(|found| not_finite(stage, state, step, found))
}

/// The error of a value that is not finite in step `step`, from 1, of the current epoch.
fn not_finite<S: Resumable>(stage: &S, state: &S::State, step: usize, found: NotFinite) -> StageError {
    let position = stage.position(state);
    StageError::NotFinite {
        at: Divergence {
            found,
            stage: S::STAGE,
            epoch: position.epoch(),
            step,
        },
        rollbacks: position.rollbacks,
    }
}

/// The event reported after a step.
fn step_event<S: Resumable>(stage: &S, state: &S::State) -> Event<'static> {
    let position = stage.position(state);
    let images = position.steps_done * stage.batch_size() * stage.group().size();
    Event::Step {
        stage: S::STAGE,
        epoch: position.epoch(),
        step: position.steps_done,
        steps: stage.steps(),
        loss: position.loss / position.steps_done as f64,
        accuracy: 100.0 * position.correct as f64 / images as f64,
    }
}
