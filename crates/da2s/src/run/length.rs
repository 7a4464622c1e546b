//! A requested number of training epochs that differs from the run's.
//!
//! Contract: the training continues if the number increases and no schedule depends on it.
//! Otherwise it starts again, because its schedules span all epochs. Either way it ends with the
//! weights of a run that had this length from the start, and `config.toml` contains the new length
//! before the first step.

use da2s_records::files::{
    BEST, CONFIG, EVALUATION, EXPORT, INT8, MISTAKES, MISTAKES_TABLE, NETWORK_CHECKPOINT, REPORT, SUMMARY, SUSPECTS,
    previous,
};

use super::{Context, Error};
use crate::hint::Hint;
use crate::observer::{Event, Observer};

/// Whether the training of `context` resumes. Reports to `observer` what happens to a training of
/// another length.
///
/// # Errors
/// [`Error::Mismatch`] if resuming was requested but a training of another length cannot continue;
/// or if `config.toml` cannot be read.
pub(super) fn resumes(context: &Context<'_>, observer: &mut dyn Observer) -> Result<bool, Error> {
    let decided = context.group.from_leader(|| {
        let (directory, asked) = (context.directory, &context.config.network.training);
        let was = directory.config()?.network.training.epochs;
        if was == asked.epochs {
            return Ok(vec![u8::from(context.resume)]);
        }
        let has_checkpoint =
            directory.has_file(NETWORK_CHECKPOINT) || directory.has_file(&previous(NETWORK_CHECKPOINT));
        let continues = has_checkpoint && asked.epochs > was && asked.has_steps_of_any_length();
        let has_network = has_checkpoint || directory.has_file(BEST);
        if context.resume && has_network && !continues {
            return Err(Error::Mismatch {
                path: directory.file(CONFIG),
                problem: format!(
                    "it has network.epochs = {was}, but {} was requested, which is another training",
                    asked.epochs
                ),
                hints: &[Hint::Restart],
            });
        }
        if has_network {
            let text = if continues {
                format!("the training of {was} epochs continues to {}", asked.epochs)
            } else {
                let why = if asked.has_steps_of_any_length() {
                    ""
                } else {
                    ": learning rate and drop-path follow the number of epochs"
                };
                format!(
                    "the training starts from scratch for {} epochs instead of {was}{why}",
                    asked.epochs
                )
            };
            observer.on(Event::Warning(text.into()));
        }
        Ok(vec![u8::from(context.resume || continues)])
    })?;
    Ok(decided == [1])
}

/// Writes a changed number of epochs into the run's configuration. Other settings of this command,
/// such as the number of threads, are not stored.
///
/// # Errors
/// If `config.toml` cannot be read or written.
pub(super) fn record(context: &Context<'_>) -> Result<(), Error> {
    let (directory, epochs) = (context.directory, context.config.network.training.epochs);
    let mut config = directory.config()?;
    if config.network.training.epochs == epochs {
        return Ok(());
    }
    // They belong to the training of the earlier length.
    for name in [
        SUMMARY,
        EVALUATION,
        INT8,
        MISTAKES,
        MISTAKES_TABLE,
        SUSPECTS,
        REPORT,
        EXPORT,
    ] {
        directory.remove(name)?;
    }
    config.network.training.epochs = epochs;
    config
        .network
        .training
        .earlier_epochs
        .clone_from(&context.config.network.training.earlier_epochs);
    directory.write_config(&config)
}
