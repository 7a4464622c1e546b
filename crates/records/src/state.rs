//! The progress of a run, determined from its files alone: the same for every reader, whether or
//! not the run is in progress.

use std::fmt;

use crate::files::{GENOTYPE, NETWORK_METRICS, SEARCH_METRICS, SUMMARY};

/// The progress of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No epoch is finished.
    Begun,
    /// The search is in progress or was stopped.
    Searching(Epochs),
    /// The search is finished.
    Searched(Epochs),
    /// The genotype exists.
    Discretized,
    /// The training of the final network is in progress or was stopped.
    Training(Epochs),
    /// The final network is trained but not evaluated.
    Trained,
    /// All stages are finished.
    Finished,
    /// It failed, for this reason.
    Failed(String),
}

/// Epochs of a search or a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    /// Finished epochs.
    pub done: usize,
    /// Planned epochs.
    pub planned: usize,
}

impl Epochs {
    fn are_done(self) -> bool {
        self.done >= self.planned
    }
}

/// Reads the files of a run, wherever they are. Each method is called only if its answer is needed.
pub trait Traces {
    /// Why they cannot be read.
    type Error;

    /// Whether `file` exists.
    ///
    /// # Errors
    /// If that cannot be determined.
    fn has(&self, file: &'static str) -> Result<bool, Self::Error>;

    /// The text of [`FAILURE`](crate::files::FAILURE), if it exists.
    ///
    /// # Errors
    /// If it cannot be read.
    fn failure(&self) -> Result<Option<String>, Self::Error>;

    /// The epochs of the last complete line of the metrics file `file`.
    ///
    /// # Errors
    /// If it cannot be read.
    fn last_epoch(&self, file: &'static str) -> Result<Option<Epochs>, Self::Error>;
}

impl State {
    /// The state according to `traces`. A run with a summary is finished, whatever happened before.
    ///
    /// # Errors
    /// Those of `traces`.
    pub fn of<T: Traces + ?Sized>(traces: &T) -> Result<Self, T::Error> {
        if traces.has(SUMMARY)? {
            return Ok(Self::Finished);
        }
        if let Some(reason) = traces.failure()? {
            return Ok(Self::Failed(reason.trim().to_owned()));
        }
        match traces.last_epoch(NETWORK_METRICS)? {
            Some(epochs) if epochs.are_done() => return Ok(Self::Trained),
            Some(epochs) => return Ok(Self::Training(epochs)),
            None => {}
        }
        if traces.has(GENOTYPE)? {
            return Ok(Self::Discretized);
        }
        Ok(match traces.last_epoch(SEARCH_METRICS)? {
            Some(epochs) if epochs.are_done() => Self::Searched(epochs),
            Some(epochs) => Self::Searching(epochs),
            None => Self::Begun,
        })
    }

    /// The state in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Searching(_) => "search",
            Self::Searched(_) => "searched",
            Self::Discretized => "discretized",
            Self::Training(_) => "train",
            Self::Trained => "trained",
            Self::Finished => "finished",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Searching(Epochs { done, planned }) | Self::Training(Epochs { done, planned }) => {
                write!(f, " {done}/{planned}")
            }
            Self::Failed(reason) => write!(f, ": {reason}"),
            Self::Begun | Self::Searched(_) | Self::Discretized | Self::Trained | Self::Finished => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{ARCH, FAILURE};
    use std::convert::Infallible;

    /// The existing files, each with the epochs of its last line.
    struct Files(Vec<(&'static str, Option<Epochs>)>);

    impl Traces for Files {
        type Error = Infallible;

        fn has(&self, file: &'static str) -> Result<bool, Infallible> {
            Ok(self.0.iter().any(|(name, _)| *name == file))
        }

        fn failure(&self) -> Result<Option<String>, Infallible> {
            Ok(self.has(FAILURE)?.then(|| "no space left\n".to_owned()))
        }

        fn last_epoch(&self, file: &'static str) -> Result<Option<Epochs>, Infallible> {
            Ok(self
                .0
                .iter()
                .find(|(name, _)| *name == file)
                .and_then(|(_, epochs)| *epochs))
        }
    }

    #[test]
    fn each_file_takes_a_run_further() {
        let epochs = |done| Some(Epochs { done, planned: 3 });
        let state = |files: &[_]| State::of(&Files(files.to_vec())).unwrap().to_string();
        assert_eq!(state(&[]), "begun");
        assert_eq!(state(&[(SEARCH_METRICS, None), (ARCH, None)]), "begun");
        assert_eq!(state(&[(SEARCH_METRICS, epochs(1))]), "search 1/3");
        let mut files = vec![(SEARCH_METRICS, epochs(3))];
        assert_eq!(state(&files), "searched");
        files.push((GENOTYPE, None));
        assert_eq!(state(&files), "discretized");
        assert_eq!(state(&[files[1], (NETWORK_METRICS, epochs(2))]), "train 2/3");
        files.push((NETWORK_METRICS, epochs(4)));
        assert_eq!(state(&files), "trained");
        files.push((FAILURE, None));
        assert_eq!(state(&files), "failed: no space left");
        files.push((SUMMARY, None));
        assert_eq!(state(&files), "finished");
    }
}
