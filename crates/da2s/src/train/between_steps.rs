//! Between two steps of a search or a training: where a wish to stop or for a checkpoint is heard.
//!
//! Contract: every process of a group comes here behind the same steps, and all of them do the same: what one wishes, all
//! wish. Nothing is stopped before it is written down.

use crate::error::Error;
use crate::observer::{Event, Observer};
use crate::parallel::Group;

/// Asks the observers of all processes of `group` behind step `step` of `epoch`, both from 1. If one of them wishes to stop or for a
/// checkpoint, `keep` writes down where the stage stands.
///
/// # Errors
/// [`Error::Stopped`] if one wishes to stop, and whatever `keep` returns.
pub(crate) fn between_steps(
    group: &Group,
    observer: &mut dyn Observer,
    epoch: usize,
    step: usize,
    keep: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let [stop, checkpoint] = group.any([observer.stop(), observer.checkpoint()]);
    if stop || checkpoint {
        keep()?;
    }
    if stop {
        return Err(Error::Stopped { epoch });
    }
    if checkpoint {
        observer.on(Event::Checkpoint { epoch, step });
    }
    Ok(())
}
