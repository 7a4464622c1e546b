//! Going back to the last checkpoint where a number is none, if the user asks for that, with half of all learning rates.
//!
//! Contract: at most [`MOST_ROLLBACKS`] times a stage; every time is told. All processes of a group meet such an error in the same
//! step, and go back together.

use super::Context;
use crate::config::OnNan;
use crate::error::Error;
use crate::observer::{Event, Observer};

/// How often a search or a training goes back to its last checkpoint before it gives up.
const MOST_ROLLBACKS: u32 = 5;

/// Where a stage stands.
pub(super) struct Place {
    /// How often it went back.
    pub rollbacks: u32,
    /// Epochs that are done.
    pub epochs_done: usize,
    /// Steps of the epoch under way that are done.
    pub steps_done: usize,
}

/// Takes `state`, which is at `place`, to its end by `run`. `back` gives the state that a stage goes on from which has gone back as
/// often as it is told.
///
/// # Errors
/// Those of `run` and `back`.
pub(super) fn with_rollbacks<S>(
    context: &Context<'_>,
    state: &mut S,
    observer: &mut dyn Observer,
    place: impl Fn(&S) -> Place,
    mut run: impl FnMut(&mut S, &mut dyn Observer) -> Result<(), Error>,
    back: impl Fn(u32, &mut dyn Observer) -> Result<S, Error>,
) -> Result<(), Error> {
    while let Err(error) = run(state, observer) {
        let rollbacks = place(state).rollbacks + 1;
        let at = match &error {
            Error::NotFinite { at, .. } if context.config.run.on_nan == OnNan::Rollback => at,
            _ => return Err(error),
        };
        if rollbacks > MOST_ROLLBACKS {
            return Err(error);
        }
        *state = back(rollbacks, observer)?;
        let Place {
            epochs_done,
            steps_done,
            ..
        } = place(state);
        let text = format!(
            "{at}; going back to the checkpoint after step {steps_done} of epoch {}, with learning rates of 1/{} ({rollbacks} of \
             at most {MOST_ROLLBACKS} times)",
            epochs_done + 1,
            2u32.pow(rollbacks),
        );
        observer.on(Event::Warning(text.into()));
    }
    Ok(())
}
