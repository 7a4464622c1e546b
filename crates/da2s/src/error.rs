//! What can go wrong, in one type: each kind knows the place, and the command line gives each kind its exit code.

use std::path::PathBuf;

use crate::backbone::LoadError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::discretize::GenotypeError;
use crate::export::ExportError;
use crate::finite::Divergence;
use crate::network::AuxiliaryError;
use crate::objective::TopologyError;

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
        "the network that was found needs {found} {what}, more than the {limit} of {setting}: raise search.limit_weight, search longer, or allow more"
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
    /// A device that is not there.
    #[error("the device {asked} is not available; available here: {}", .available.join(", "))]
    Device {
        /// What was asked for.
        asked: String,
        /// What there is.
        available: Vec<String>,
    },
    /// Kernels that the device cannot run.
    #[error("the engine {asked} cannot run on {device} here; available: {}", .available.join(", "))]
    Engine {
        /// What was asked for.
        asked: &'static str,
        /// The device.
        device: String,
        /// What there is.
        available: Vec<String>,
    },
    /// A run directory that is already there.
    #[error("{path} already holds a run: go on with --resume, or choose another directory with --out", path = .path.display())]
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
    #[error("{path} is not empty: choose another directory with --out", path = .path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A run directory without what a stage needs.
    #[error("{path} is missing: {need}", path = .path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// Which stage writes it.
        need: &'static str,
    },
    /// A file of a run that cannot be understood.
    #[error("{path} is damaged: {problem}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A checkpoint that belongs to other settings.
    #[error("{path} does not fit this run: {problem}", path = .path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// A file that cannot be read or written.
    #[error("cannot {action} {path}: {source}", path = .path.display())]
    Io {
        /// `read`, `write`, `create` …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A number that is no number.
    #[error("{at}: lower the learning rate or λ, or go on with --resume --on-nan rollback")]
    NotFinite {
        /// Which, and where.
        at: Divergence,
    },
    /// Processes of a group that do not hold the same.
    #[error(
        "the processes of this run do not have the same {what}: they need the same build, machines that are alike and the same images"
    )]
    Apart {
        /// What differs.
        what: &'static str,
    },
    /// The observer asked to stop; a checkpoint is written.
    #[error("stopped in epoch {epoch}; go on with --resume")]
    Stopped {
        /// Epoch, from 1.
        epoch: usize,
    },
}

impl Error {
    /// An input or output error at `path`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }

    /// Whether every process of a group meets this error at the same place, so that none waits for another.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Stopped { .. } | Self::NotFinite { .. } | Self::Apart { .. })
    }

    /// Weights that do not fit.
    pub fn load(path: impl Into<PathBuf>, error: &LoadError) -> Self {
        Self::Mismatch {
            path: path.into(),
            problem: error.to_string(),
        }
    }
}
