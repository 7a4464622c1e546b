//! Errors of a run: those of the modules below, and those of a run directory.
//!
//! Contract: each error names its location. Its kind determines the exit code of the command line.

use std::io;
use std::path::PathBuf;

use da2s_infer::NetworkError;
use da2s_infer::int8::QuantiseError;
use da2s_records::{FileError, Kind, LockError};

use super::front::FrontError;
use crate::backbone::LoadError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::device::DeviceError;
use crate::evaluate::EvaluateError;
use crate::export::ExportError;
use crate::finite::OutputNotFinite;
use crate::hint::Hint;
use crate::memory::MemoryError;
use crate::network::{AuxiliaryError, LatencyError, Resource};
use crate::planner::PlanError;
use crate::resumable::StageError;
use crate::search::SearchError;
use crate::space::GenotypeError;
use crate::stage::Stage;

/// An error of the library.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A search that these settings and images do not allow.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A stage that ends before its last epoch.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A stage needs more memory than is available.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Outputs of a network that are not finite and so indicate no class.
    #[error(transparent)]
    Output(#[from] OutputNotFinite),
    /// A network that could not be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A run that cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An auxiliary head on too small an image.
    #[error(transparent)]
    Auxiliary(#[from] AuxiliaryError),
    /// Images that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Images of a run that are no longer where they were.
    #[error(
        "the images of this run are no longer in {path}{}",
        .problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default(), path = .path.display()
    )]
    ImagesMoved {
        /// Their previous or given location.
        path: PathBuf,
        /// The problem with what exists there, if anything does.
        problem: Option<DataError>,
    },
    /// A network that a format cannot express.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A network that cannot be quantised.
    #[error("the network cannot be quantised: {0}")]
    Quantise(QuantiseError),
    /// A deployed network that cannot be run.
    #[error("the trained network cannot be run: {0}")]
    Deployed(#[from] NetworkError),
    /// A text that is not a genotype.
    #[error("{}{error}", .path.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default())]
    Genotype {
        /// The file, if it came from one.
        path: Option<PathBuf>,
        /// The problem.
        error: GenotypeError,
    },
    /// A network above a limit of the target.
    #[error(
        "the network needs {}, more than the {} of {}: {}",
        resource.need(*found), resource.amount(*limit), resource.setting(),
        if *searched { "in a new run, raise search.limit_weight, search longer, or allow more" } else { "lower network.channels, or allow more" }
    )]
    OverLimit {
        /// What is limited.
        resource: Resource,
        /// Its cost.
        found: f64,
        /// The limit.
        limit: f64,
        /// Whether a search found the network.
        searched: bool,
    },
    /// A network without a latency.
    #[error(transparent)]
    Latency(#[from] LatencyError),
    /// A front that is impossible.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// A device, or kernels, that are not available.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A directory for a new run that already contains one.
    #[error("{path} already contains a run", path = .path.display())]
    RunExists {
        /// The directory.
        path: PathBuf,
    },
    /// A directory that another process uses.
    #[error(
        "{} is in use by another process{}: wait for it to end, or choose another directory",
        .path.display(), .holder.map(|id| format!(" ({id})")).unwrap_or_default()
    )]
    Busy {
        /// The directory.
        path: PathBuf,
        /// Id of the process, if it is known.
        holder: Option<u32>,
    },
    /// A directory for a new run that contains other files.
    #[error("{path} is not empty", path = .path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A directory without a configuration.
    #[error("{path} is not a run directory: it has no config.toml", path = .path.display())]
    NotARun {
        /// The directory.
        path: PathBuf,
    },
    /// No run to resume.
    #[error("there is no run in {path}: the directory does not exist", path = .path.display())]
    NothingToResume {
        /// The directory.
        path: PathBuf,
    },
    /// A run directory without a file that a stage needs.
    #[error("{path} is missing", path = .path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The stage that writes it.
        stage: Stage,
    },
    /// A run whose search has epochs left.
    #[error("the search in {path} is not finished", path = .path.display())]
    Unfinished {
        /// Its directory.
        path: PathBuf,
    },
    /// A stage that cannot be resumed, because its checkpoint is lost.
    #[error("{path} is missing, so there is nothing to resume from, although epochs are recorded beside it", path = .path.display())]
    LostCheckpoint {
        /// The checkpoint.
        path: PathBuf,
        /// The stage.
        stage: Stage,
    },
    /// A damaged file of a run.
    #[error("{path} is damaged: {problem}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// Stored settings of a run that are invalid.
    #[error("the run is damaged: {0}")]
    DamagedConfig(ConfigError),
    /// A file that belongs to another run: other settings, another genotype, other images.
    #[error("{path} does not fit this run: {problem}", path = .path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
        /// How to fix it.
        hints: &'static [Hint],
    },
    /// A file that cannot be read or written.
    #[error("cannot {action} {path}: {source}", path = .path.display())]
    Io {
        /// `read`, `write`, `create` …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system reports.
        source: io::Error,
    },
}

impl Error {
    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Config(error) => error.kind(),
            Self::Search(error) => error.kind(),
            Self::Stage(error) => error.kind(),
            Self::Evaluate(error) => error.kind(),
            Self::Plan(error) => error.kind(),
            Self::Auxiliary(_) => Kind::Usage,
            Self::Data(error) => error.kind(),
            Self::ImagesMoved { .. } => Kind::Data,
            Self::Genotype { .. } | Self::OverLimit { .. } => Kind::Genotype,
            Self::Latency(error) => error.kind(),
            Self::Front(error) => error.kind(),
            Self::Export(error) => error.kind(),
            Self::Quantise(QuantiseError::Stopped) => Kind::Stopped,
            Self::Quantise(QuantiseError::NotFinite) => Kind::Numbers,
            Self::Quantise(QuantiseError::Network(NetworkError::Memory { .. }))
            | Self::Deployed(NetworkError::Memory { .. }) => Kind::Memory,
            Self::Quantise(QuantiseError::NotInteger(_)) => Kind::Genotype,
            Self::Quantise(_) | Self::Deployed(_) => Kind::Internal,
            Self::Device(_) => Kind::Device,
            Self::RunExists { .. }
            | Self::Busy { .. }
            | Self::NotEmpty { .. }
            | Self::NotARun { .. }
            | Self::NothingToResume { .. }
            | Self::Incomplete { .. }
            | Self::Unfinished { .. }
            | Self::LostCheckpoint { .. }
            | Self::Damaged { .. }
            | Self::DamagedConfig(_)
            | Self::Mismatch { .. } => Kind::RunDirectory,
            Self::Io { .. } => Kind::Files,
            Self::Memory(_) => Kind::Memory,
            Self::Output(_) => Kind::Numbers,
        }
    }

    /// What the user can do about it, beyond the message itself.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Config(error) => error.hints(),
            Self::Stage(error) => error.hints(),
            Self::Evaluate(error) => error.hints(),
            Self::Plan(error) => error.hints(),
            Self::RunExists { .. } => vec![Hint::Resume, Hint::OtherDirectory],
            Self::NotEmpty { .. } => vec![Hint::OtherDirectory],
            Self::NotARun { .. } => vec![Hint::Create],
            Self::NothingToResume { .. } => vec![Hint::OtherDirectory, Hint::Restart],
            Self::Incomplete { stage, .. } => vec![Hint::RunFirst(*stage)],
            Self::Unfinished { .. } => vec![Hint::FinishFirst(Stage::Search)],
            Self::LostCheckpoint { stage, .. } => match stage {
                Stage::Train => vec![Hint::Restart],
                // A search that starts again is a new run.
                Stage::Search | Stage::Discretize | Stage::Evaluate => vec![Hint::OtherDirectory],
            },
            Self::Mismatch { hints, .. } => hints.to_vec(),
            Self::ImagesMoved { .. } => vec![Hint::ImagesAt],
            Self::Quantise(QuantiseError::Stopped) => vec![Hint::Repeat],
            Self::Memory(error) => vec![error.hint],
            Self::Genotype { path: Some(_), error } if error.several => vec![Hint::PickGenotype],
            Self::Search(_)
            | Self::Auxiliary(_)
            | Self::Data(_)
            | Self::Export(_)
            | Self::Quantise(_)
            | Self::Deployed(_)
            | Self::Genotype { .. }
            | Self::OverLimit { .. }
            | Self::Latency(_)
            | Self::Front(_)
            | Self::Device(_)
            | Self::Busy { .. }
            | Self::Damaged { .. }
            | Self::DamagedConfig(_)
            | Self::Io { .. }
            | Self::Output(_) => Vec::new(),
        }
    }

    /// An I/O error at `path`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }

    /// Whether every process of a group gets this error at the same point, so that none waits for
    /// another.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Stage(error) if error.is_shared())
    }

    /// Weights that do not fit.
    pub fn load(path: impl Into<PathBuf>, error: &LoadError) -> Self {
        Self::Mismatch {
            path: path.into(),
            problem: error.to_string(),
            hints: &[],
        }
    }
}

impl From<FileError> for Error {
    fn from(FileError { action, path, source }: FileError) -> Self {
        match source.kind() {
            // The file exists, but a run would not write such content.
            io::ErrorKind::InvalidData => Self::Damaged {
                path,
                problem: source.to_string(),
            },
            _ => Self::Io { action, path, source },
        }
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Busy { path, holder } => Self::Busy { path, holder },
            LockError::File(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s_records::sentence;

    /// The error for a configuration file that cannot be read.
    fn unread(kind: io::ErrorKind) -> ConfigError {
        ConfigError::Read {
            path: "own.toml".into(),
            source: kind.into(),
        }
    }

    #[test]
    fn an_unreadable_file_is_not_an_invalid_setting() {
        for kind in [
            io::ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::IsADirectory,
        ] {
            assert_eq!(Error::from(unread(kind)).kind(), Kind::Files);
        }
        let no_text = io::ErrorKind::InvalidData;
        assert_eq!(Error::from(unread(no_text)).kind(), Kind::Usage);
        let stored = Error::DamagedConfig(unread(no_text));
        assert_eq!(stored.kind(), Kind::RunDirectory);
        let told = sentence(&stored);
        assert_eq!(told.matches("own.toml").count(), 1, "{told}");
    }
}
