//! Errors of reports. Every variant names the file; damaged files are reported with their line.

use std::io;
use std::path::PathBuf;

use da2s_records::{FileError, Kind};

/// Why a run directory could not be read or its report not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The directory is absent or holds none of the files that a run writes.
    #[error("{} is not a run directory: it contains none of the files that a run writes", path.display())]
    NotARun {
        /// The directory that was asked for.
        path: PathBuf,
    },
    /// A file exists but cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file exists but its content is invalid.
    #[error("{}, line {line}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line in the file, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A picture cannot be drawn.
    #[error("cannot draw {name}: {reason}")]
    Picture {
        /// Name of its file.
        name: String,
        /// The reason.
        reason: String,
    },
    /// A run for which there is nothing to draw yet.
    #[error("{} contains nothing to draw in this format yet: no finished epoch, no mixture, no genotype", path.display())]
    NothingToDraw {
        /// Its directory.
        path: PathBuf,
    },
    /// More runs than a page can distinguish.
    #[error(
        "{runs} runs are too many for one page: at most {most} can be distinguished; a comparison shows the means of more"
    )]
    TooManyRuns {
        /// Number of requested runs.
        runs: usize,
        /// Largest number of runs.
        most: usize,
    },
    /// The report could not be written; an existing report is unchanged.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl ReportError {
    /// The kind of the error.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::NotARun { .. } | Self::Damaged { .. } | Self::Picture { .. } | Self::NothingToDraw { .. } => {
                Kind::RunDirectory
            }
            Self::TooManyRuns { .. } => Kind::Usage,
            Self::Read { .. } | Self::Write { .. } => Kind::Files,
        }
    }
}

impl From<FileError> for ReportError {
    fn from(FileError { action, path, source }: FileError) -> Self {
        match action {
            "read" | "open" => Self::Read { path, source },
            _ => Self::Write { path, source },
        }
    }
}
