//! What can go wrong, in one type: each kind knows the place, and the command line gives each kind its exit code.

use std::io;
use std::path::PathBuf;

pub use da2s_records::Kind;
use da2s_records::{FileError, LockError, one_line};

use crate::backbone::LoadError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::device::DeviceError;
use crate::discretize::GenotypeError;
use crate::evaluate::EvaluateError;
use crate::export::ExportError;
use crate::finite::Divergence;
use crate::hint::Hint;
use crate::network::AuxiliaryError;
use crate::objective::TopologyError;
use crate::observer::Stage;
use crate::parallel::Apart;

/// An error of the library.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A target that the space does not allow.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// An auxiliary head on too small an image.
    #[error(transparent)]
    Auxiliary(#[from] AuxiliaryError),
    /// Images that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A network that a format cannot express.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A text that is no genotype.
    #[error("{}{error}", .path.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default())]
    Genotype {
        /// The file, if it came from one.
        path: Option<PathBuf>,
        /// What is wrong.
        error: GenotypeError,
    },
    /// A limit that no network of the target can keep.
    #[error(
        "{setting} = {limit} cannot be kept: the smallest network of this target needs {least} {what}; allow more, or fewer channels or cells"
    )]
    LimitTooLow {
        /// `multiply-adds` or `parameters`.
        what: &'static str,
        /// What the smallest network needs.
        least: u64,
        /// What is allowed.
        limit: u64,
        /// The setting.
        setting: &'static str,
    },
    /// A network beyond what the target allows.
    #[error(
        "the network that was found needs {found} {what}, more than the {limit} of {setting}: in a new run, raise search.limit_weight, search longer, or allow more"
    )]
    OverLimit {
        /// `multiply-adds` or `parameters`.
        what: &'static str,
        /// What it needs.
        found: u64,
        /// What is allowed.
        limit: u64,
        /// The setting.
        setting: &'static str,
    },
    /// A device, or kernels, that are not available.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A directory for a new run that holds one already.
    #[error("{path} already holds a run", path = .path.display())]
    RunExists {
        /// The directory.
        path: PathBuf,
    },
    /// A directory that another process works on.
    #[error(
        "{} is in use by another process{}: wait for it to end, or choose another directory",
        .path.display(), .holder.map(|id| format!(" ({id})")).unwrap_or_default()
    )]
    Busy {
        /// The directory.
        path: PathBuf,
        /// Number of the process, as far as it is known.
        holder: Option<u32>,
    },
    /// A directory for a new run that holds other files.
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
    /// A run directory without what a stage needs.
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
    /// A stage that cannot be resumed, and would begin again: its checkpoint is lost.
    #[error("{path} is missing, so there is nothing to resume from, although epochs are recorded beside it", path = .path.display())]
    LostCheckpoint {
        /// The checkpoint.
        path: PathBuf,
        /// The stage.
        stage: Stage,
    },
    /// A file of a run that cannot be understood.
    #[error("{path} is damaged: {problem}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Settings that a run was made with and that cannot be understood any more.
    #[error("the run is damaged: {0}")]
    DamagedConfig(ConfigError),
    /// A file that belongs to another run: other settings, another genotype, other images.
    #[error("{path} does not fit this run: {problem}", path = .path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
        /// What to do about it.
        hints: &'static [Hint],
    },
    /// A file that cannot be read or written.
    #[error("cannot {action} {path}: {source}", path = .path.display())]
    Io {
        /// `read`, `write`, `create` …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A loss, a gradient or a tensor that is NaN or infinite.
    #[error("{at}{}", after(*.rollbacks))]
    NotFinite {
        /// Which, and where.
        at: Divergence,
        /// How often the stage had gone back to a checkpoint before.
        rollbacks: u32,
    },
    /// Processes of a group that do not hold the same.
    #[error(transparent)]
    Apart(#[from] Apart),
    /// The observer asked to stop while a network was measured; what was done before that is in the run.
    #[error("stopped while a network was being measured")]
    Unmeasured,
    /// The observer asked to stop; a checkpoint is written.
    #[error("stopped in epoch {epoch}")]
    Stopped {
        /// Epoch, from 1.
        epoch: usize,
    },
}

/// How often a stage had gone back to a checkpoint.
fn after(rollbacks: u32) -> String {
    match rollbacks {
        0 => String::new(),
        1 => " after going back to a checkpoint once".to_owned(),
        times => format!(" after going back to a checkpoint {times} times"),
    }
}

/// The whole reason in one line that a terminal shows as it is, whatever names and values of others are in it: what an error says,
/// and what its sources add.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        source = error.source();
    }
    one_line(&text)
}

/// Whether the system does not give the file. One whose bytes are no text is given, and wrong in what it says.
fn is_unread(error: &ConfigError) -> bool {
    matches!(error, ConfigError::Read { source, .. } if source.kind() != io::ErrorKind::InvalidData)
}

impl Error {
    /// What it is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Config(error) if is_unread(error) => Kind::Files,
            Self::Config(_)
            | Self::Topology(_)
            | Self::LimitTooLow { .. }
            | Self::Auxiliary(_)
            | Self::Data(DataError::Setting { .. }) => Kind::Usage,
            Self::Data(_) => Kind::Data,
            Self::Genotype { .. } | Self::OverLimit { .. } => Kind::Genotype,
            Self::Export(error) => error.kind(),
            Self::Device(_) => Kind::Device,
            Self::RunExists { .. }
            | Self::Busy { .. }
            | Self::NotEmpty { .. }
            | Self::NotARun { .. }
            | Self::Incomplete { .. }
            | Self::Unfinished { .. }
            | Self::LostCheckpoint { .. }
            | Self::Damaged { .. }
            | Self::DamagedConfig(_)
            | Self::Mismatch { .. } => Kind::RunDirectory,
            Self::Io { .. } => Kind::Files,
            Self::NotFinite { .. } => Kind::Numbers,
            Self::Apart(_) => Kind::Processes,
            Self::Stopped { .. } | Self::Unmeasured => Kind::Stopped,
        }
    }

    /// What the user can do about it, beyond what it says.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Config(error) => error.hints(),
            Self::RunExists { .. } => vec![Hint::Resume, Hint::OtherDirectory],
            Self::NotEmpty { .. } => vec![Hint::OtherDirectory],
            Self::NotARun { .. } => vec![Hint::Create],
            Self::Incomplete { stage, .. } => vec![Hint::RunFirst(*stage)],
            Self::Unfinished { .. } => vec![Hint::FinishFirst(Stage::Search)],
            Self::LostCheckpoint { stage, .. } => match stage {
                Stage::Train => vec![Hint::Restart],
                // A search that begins again is a new run.
                Stage::Search | Stage::Discretize | Stage::Evaluate => vec![Hint::OtherDirectory],
            },
            Self::Mismatch { hints, .. } => hints.to_vec(),
            Self::NotFinite { at, rollbacks } => {
                let lower = Hint::Lower(match at.stage {
                    Stage::Search => &["search.learning_rate", "search.regulariser.lambda"],
                    Stage::Train | Stage::Discretize | Stage::Evaluate => &["network.learning_rate"],
                });
                match rollbacks {
                    0 => vec![lower, Hint::Set("run.on_nan", "rollback")],
                    _ => vec![lower],
                }
            }
            Self::Genotype { path: Some(_), error } if error.several => vec![Hint::PickGenotype],
            Self::Unmeasured => vec![Hint::Repeat, Hint::Resume],
            Self::Stopped { .. } => vec![Hint::Resume],
            Self::Topology(_)
            | Self::Auxiliary(_)
            | Self::Data(_)
            | Self::Export(_)
            | Self::Genotype { .. }
            | Self::LimitTooLow { .. }
            | Self::OverLimit { .. }
            | Self::Device(_)
            | Self::Busy { .. }
            | Self::Damaged { .. }
            | Self::DamagedConfig(_)
            | Self::Io { .. }
            | Self::Apart(_) => Vec::new(),
        }
    }

    /// An input or output error at `path`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }

    /// What is wrong with the settings that a run was made with.
    pub fn stored_config(error: ConfigError) -> Self {
        if is_unread(&error) {
            Self::Config(error)
        } else {
            Self::DamagedConfig(error)
        }
    }

    /// Whether every process of a group meets this error at the same place, so that none waits for another.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Stopped { .. } | Self::NotFinite { .. } | Self::Apart(_))
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
            // There, but not what a run has there.
            io::ErrorKind::InvalidData => Self::Damaged {
                path,
                problem: source.to_string(),
            },
            _ => Self::Io { action, path, source },
        }
    }
}

impl From<EvaluateError> for Error {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Data(error) => Self::Data(error),
            EvaluateError::Stopped => Self::Unmeasured,
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

    /// The error that a configuration file of that name would be.
    fn unread(kind: io::ErrorKind) -> ConfigError {
        ConfigError::Read {
            path: "own.toml".into(),
            source: kind.into(),
        }
    }

    #[test]
    fn a_file_that_is_not_given_is_no_setting() {
        for kind in [
            io::ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::IsADirectory,
        ] {
            assert_eq!(Error::from(unread(kind)).kind(), Kind::Files);
            assert_eq!(Error::stored_config(unread(kind)).kind(), Kind::Files);
        }
        let no_text = io::ErrorKind::InvalidData;
        assert_eq!(Error::from(unread(no_text)).kind(), Kind::Usage);
        let stored = Error::stored_config(unread(no_text));
        assert_eq!(stored.kind(), Kind::RunDirectory);
        let told = sentence(&stored);
        assert_eq!(told.matches("own.toml").count(), 1, "{told}");
    }
}
