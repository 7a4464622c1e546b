//! Errors with the files of a run. Every error names the file.

use std::io;
use std::path::PathBuf;

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}", path = .path.display())]
pub struct FileError {
    /// `read`, `write`, `create` …
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

/// A directory whose lock cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process works on it.
    #[error("{} is in use by another process{}", .path.display(), .holder.map(|id| format!(" ({id})")).unwrap_or_default())]
    Busy {
        /// The directory.
        path: PathBuf,
        /// Id of the process, if it is known.
        holder: Option<u32>,
    },
    /// Its lock file cannot be opened or locked.
    #[error(transparent)]
    File(#[from] FileError),
}

impl FileError {
    /// The system's error for the attempt to `action` `path`.
    pub fn new(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            action,
            path: path.into(),
            source,
        }
    }

    /// Whether the file is missing. This includes a path through something that is not a folder.
    pub fn is_absent(&self) -> bool {
        is_absent(&self.source)
    }
}

/// See [`FileError::is_absent`].
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
