//! Why a run cannot be planned.

use da2s_records::Kind;

use super::reasons::span;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::evaluate::EvaluateError;
use crate::hint::Hint;
use crate::memory::MemoryError;
use crate::network::{AuxiliaryError, LatencyError};
use crate::resumable::StageError;
use crate::search::SearchError;

/// Why a run cannot be planned: the errors of its stages, which it would meet later, and a time
/// that is too short.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Settings that do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A search that these settings and images do not allow.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A step that failed.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A network that could not be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// An auxiliary head on too small an image.
    #[error(transparent)]
    Auxiliary(#[from] AuxiliaryError),
    /// A network without a latency.
    #[error(transparent)]
    Latency(#[from] LatencyError),
    /// Images that cannot be read, or are too few.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A step needs more memory than is available.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// `stop` returned true before the run began.
    #[error("stopped while the run was planned")]
    Stopped,
    /// `stop` returned true after the search.
    #[error("stopped while the training was planned")]
    TrainingStopped,
    /// A run that cannot end in time.
    #[error("a time of {} is too short: even at its smallest, this run takes about {} here{}", span(*time_s), span(*least_s), as_requested(requested))]
    TooShort {
        /// The given time, in seconds.
        time_s: f64,
        /// The shortest time of the run, in seconds.
        least_s: f64,
        /// The requested settings that the plan had to leave as they are.
        requested: Vec<&'static str>,
    },
}

/// A clause about requested settings.
fn as_requested(keys: &[&str]) -> String {
    match keys {
        [] => String::new(),
        keys => format!(", with {} as requested", keys.join(", ")),
    }
}

impl PlanError {
    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Config(error) => error.kind(),
            Self::Search(error) => error.kind(),
            Self::Stage(error) => error.kind(),
            Self::Evaluate(error) => error.kind(),
            Self::Auxiliary(_) | Self::TooShort { .. } => Kind::Usage,
            Self::Data(error) => error.kind(),
            Self::Latency(error) => error.kind(),
            Self::Memory(_) => Kind::Memory,
            Self::Stopped | Self::TrainingStopped => Kind::Stopped,
        }
    }

    /// What the user can do about it, beyond the message itself.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Config(error) => error.hints(),
            Self::Stage(error) => error.hints(),
            Self::Memory(error) => vec![error.hint],
            Self::Stopped => vec![Hint::Repeat],
            Self::TrainingStopped => vec![Hint::Resume],
            Self::Evaluate(_)
            | Self::Search(_)
            | Self::Auxiliary(_)
            | Self::Latency(_)
            | Self::Data(_)
            | Self::TooShort { .. } => Vec::new(),
        }
    }
}
