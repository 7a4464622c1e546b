//! Loads the next batches of an epoch on a thread of its own while the current step runs.

use super::error::DataError;
use super::loader::{Batch, Loader};
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// An iterator over the batches of some steps of an epoch, the same as [`Loader::batch`] gives, loaded ahead. It ends
/// after the last step or the first error; dropping it early ends the thread.
#[derive(Debug)]
pub struct Prefetch {
    batches: Option<Receiver<Result<Batch, DataError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Starts to load `steps` of `epoch`, at most `ahead` batches before they are asked for.
    ///
    /// # Errors
    /// [`DataError::Thread`] if no thread can be started.
    pub fn start(loader: Arc<Loader>, epoch: u64, steps: Range<u64>, ahead: usize) -> Result<Self, DataError> {
        let (sender, batches) = sync_channel(ahead);
        let thread = Builder::new()
            .name("batches".into())
            .spawn(move || {
                for step in steps {
                    let batch = loader.batch(epoch, step);
                    let failed = batch.is_err();
                    // An error of `send` means that nobody wants further batches.
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
                }
            })
            .map_err(DataError::Thread)?;
        Ok(Self {
            batches: Some(batches),
            thread: Some(thread),
        })
    }
}

impl Iterator for Prefetch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.as_ref()?.recv().ok();
        if batch.is_none()
            && let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            // Otherwise a panic on the thread would look like an epoch that is over.
            resume_unwind(panic);
        }
        batch
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // First the channel, so that a thread that waits to send gives up; then wait for it.
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been, or is being, reported elsewhere; a second one while dropping would abort.
            let _ = thread.join();
        }
    }
}
