//! Runs a resumable stage to its end, from its checkpoint or from the start. If a value becomes NaN
//! or infinite and the settings request it, the stage returns to its checkpoint.
//!
//! Contract: a stage returns to its checkpoint at most [`MOST_ROLLBACKS`] times, each time with
//! half of all learning rates and a warning. All processes of a group take part; only the leading
//! one reads and writes the run directory. The lines of an epoch are on the disk before the
//! checkpoint that counts them. A stage that may return to a checkpoint writes none by the clock,
//! so that its results do not depend on its speed.

use std::cell::Cell;
use std::path::Path;
use std::time::Instant;

use da2s_records::schema::EpochTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::checkpoint::Checkpoint;
use super::timely::Timely;
use super::{Context, Error, RunDirectory};
use crate::backbone::LoadError;
use crate::config::OnNan;
use crate::observer::{Event, Observer};
use crate::resumable::{Ended, Position, Resumable, StageError};

/// How often a stage returns to its last checkpoint before it gives up.
const MOST_ROLLBACKS: u32 = 5;

/// The files of a resumable stage in its run directory.
pub(super) trait StageFiles {
    /// The stage.
    type Stage: Resumable;
    /// The content of a checkpoint other than tensors.
    type Meta: CheckpointMeta;

    /// The checkpoint of the last state.
    const CHECKPOINT: &'static str;
    /// The numbers of each epoch, one line per epoch.
    const METRICS: &'static str;
    /// The time of each epoch, one line per epoch. In a separate file, because it is not the same
    /// for the same seed.
    const TIMES: &'static str;

    /// The stage.
    fn stage(&self) -> &Self::Stage;

    /// Converts `state` to a checkpoint.
    fn checkpoint(&self, state: &State<Self>) -> Checkpoint<Self::Meta>;

    /// Restores the state from `checkpoint`.
    fn restore(&self, checkpoint: &Checkpoint<Self::Meta>) -> Result<State<Self>, LoadError>;

    /// Refuses the checkpoint in `path` if it does not belong to the stage.
    fn expect(&self, _meta: &Self::Meta, _path: &Path) -> Result<(), Error> {
        Ok(())
    }

    /// Whether there is a result without a checkpoint, because it was imported.
    fn is_imported(&self) -> Result<bool, Error> {
        Ok(false)
    }

    /// Prepares the directory for a stage that starts from `state` instead of a checkpoint.
    fn start_from_scratch(&self, state: &State<Self>) -> Result<(), Error>;

    /// Truncates the stage's other files with one line per epoch to `epochs` epochs, and writes the
    /// files that must exist while the stage runs.
    fn prepare(&self, epochs: usize) -> Result<(), Error>;

    /// Writes the record of an epoch; `state` is the state after it.
    fn record(&self, state: &State<Self>, record: &Record<Self>) -> Result<(), Error>;
}

/// The state of the stage of `F`.
pub(super) type State<F> = <<F as StageFiles>::Stage as Resumable>::State;
/// The record of an epoch of the stage of `F`.
pub(super) type Record<F> = <<F as StageFiles>::Stage as Resumable>::Record;

/// The content of a checkpoint other than tensors.
pub(super) trait CheckpointMeta: Serialize + DeserializeOwned {
    /// The number of processes that wrote it.
    fn processes(&self) -> usize;
}

/// Runs the stage of `files` to its end. Returns the record of the last epoch; `None` if there was
/// nothing left to do.
///
/// # Errors
/// Those of [`Resumable::run`]; [`Error::Incomplete`], [`Error::Damaged`] or [`Error::Mismatch`] if
/// the checkpoint cannot be resumed; any I/O error.
pub(super) fn drive<F: StageFiles>(
    context: &Context<'_>,
    files: &F,
    observer: &mut dyn Observer,
) -> Result<Option<Record<F>>, Error>
where
    Record<F>: Clone,
{
    let (stage, directory, leads) = (files.stage(), context.directory, context.group.leads());
    let path = directory.file(F::CHECKPOINT);
    let stored = if context.resume {
        stored(context, files, observer)?
    } else {
        None
    };
    if context.resume && stored.is_none() && files.is_imported()? {
        return Ok(None);
    }
    let mut state = restored(context, files, stored.as_ref())?;
    if !stage.is_unfinished(&state) {
        return Ok(None);
    }
    match &stored {
        Some(stored) => expect_processes(stored.meta.processes(), context.group.size(), &path)?,
        None if leads => {
            if context.resume {
                directory.expect_no_epochs(F::METRICS, &path, F::Stage::STAGE)?;
            }
            files.start_from_scratch(&state)?;
        }
        None => {}
    }
    if leads {
        prepare(directory, files, &state)?;
    }

    let (mut last, mut began) = (None, Instant::now());
    let saved = Cell::new(began);
    let mut save = |state: &State<F>, ended: Option<Ended<'_, Record<F>>>| {
        // In every process of a group, so that none requests one more.
        saved.set(Instant::now());
        if !leads {
            return Ok(());
        }
        if let Some(Ended { record, images_s }) = ended {
            files.record(state, record)?;
            let time = EpochTime {
                epoch: stage.position(state).epochs_done,
                time_s: began.elapsed().as_secs_f64(),
                images_s: Some(images_s),
            };
            directory.append_line(F::TIMES, &time)?;
            began = Instant::now();
            last = Some(record.clone());
        }
        files.checkpoint(state).write_newest(directory, F::CHECKPOINT)
    };
    loop {
        let by_clock = context.config.run.on_nan == OnNan::Stop;
        let mut timely = Timely::new(observer, by_clock.then_some(&saved));
        let Err(error) = stage.run(&mut state, &mut timely, &mut save) else {
            return Ok(last);
        };
        state = rolled_back(context, files, &state, error, observer)?;
    }
}

/// The state to continue from after `state` ended in `error`.
///
/// # Errors
/// `error`, unless it is a value that is not finite and the stage may return to its checkpoint once
/// more.
fn rolled_back<F: StageFiles>(
    context: &Context<'_>,
    files: &F,
    state: &State<F>,
    error: Error,
    observer: &mut dyn Observer,
) -> Result<State<F>, Error> {
    let rollbacks = files.stage().position(state).rollbacks + 1;
    let at = match &error {
        Error::Stage(StageError::NotFinite { at, .. }) if context.config.run.on_nan == OnNan::Rollback => at,
        _ => return Err(error),
    };
    if rollbacks > MOST_ROLLBACKS {
        return Err(error);
    }
    let stored = stored(context, files, observer)?;
    let mut state = restored(context, files, stored.as_ref())?;
    files.stage().set_rollbacks(&mut state, rollbacks);
    if context.group.leads() {
        prepare(context.directory, files, &state)?;
        // A process that resumes from here uses these rates.
        let checkpoint = files.checkpoint(&state);
        checkpoint.write_newest(context.directory, F::CHECKPOINT)?;
    }
    let position @ Position { steps_done, .. } = files.stage().position(&state);
    let text = format!(
        "{at}; going back to the checkpoint after step {steps_done} of epoch {}, with learning rates of 1/{} ({rollbacks} of \
         at most {MOST_ROLLBACKS} times)",
        position.epoch(),
        2u32.pow(rollbacks),
    );
    observer.on(Event::Warning(text.into()));
    Ok(state)
}

/// The newest complete checkpoint.
pub(super) fn newest<F: StageFiles>(
    context: &Context<'_>,
    observer: &mut dyn Observer,
) -> Result<Option<Checkpoint<F::Meta>>, Error> {
    Checkpoint::read_newest(context.directory, F::CHECKPOINT, &mut |text| {
        observer.on(Event::Warning(text.into()));
    })
}

/// The newest complete checkpoint, in every process.
fn stored<F: StageFiles>(
    context: &Context<'_>,
    files: &F,
    observer: &mut dyn Observer,
) -> Result<Option<Checkpoint<F::Meta>>, Error> {
    let path = context.directory.file(F::CHECKPOINT);
    let stored = Checkpoint::shared(&context.group, &path, || newest::<F>(context, observer))?;
    if let Some(stored) = &stored {
        files.expect(&stored.meta, &path)?;
    }
    Ok(stored)
}

/// The state of `stored`, or the state before the first step.
pub(super) fn restored<F: StageFiles>(
    context: &Context<'_>,
    files: &F,
    stored: Option<&Checkpoint<F::Meta>>,
) -> Result<State<F>, Error> {
    match stored {
        Some(stored) => files
            .restore(stored)
            .map_err(|error| Error::load(context.directory.file(F::CHECKPOINT), &error)),
        None => Ok(files.stage().start()),
    }
}

/// Prepares the directory for continuing from `state`.
fn prepare<F: StageFiles>(directory: &RunDirectory, files: &F, state: &State<F>) -> Result<(), Error> {
    let epochs = files.stage().position(state).epochs_done;
    directory.keep_lines(F::METRICS, epochs)?;
    files.prepare(epochs)?;
    directory.keep_lines(F::TIMES, epochs)
}

/// Refuses the checkpoint in `path` for a group with another number of processes, whose batches
/// would have another size.
fn expect_processes(stored: usize, present: usize, path: &Path) -> Result<(), Error> {
    if stored == present {
        return Ok(());
    }
    let number = |count| match count {
        1 => "1 process".to_owned(),
        count => format!("{count} processes"),
    };
    Err(Error::Mismatch {
        path: path.to_owned(),
        problem: format!(
            "it was written by {}, and this is {}, whose batches have another size; use as many as before",
            number(stored),
            number(present)
        ),
        hints: &[],
    })
}
