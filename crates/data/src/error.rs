//! Errors in a data set: the file, the position in it, and what was expected.

use std::fmt;
use std::io;
use std::path::PathBuf;

use da2s_images::ImageError;
use da2s_records::Kind;

/// The position of an error in a file. Positions count from 0, lines from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    Whole,
    /// A record of fixed size and the byte at which it starts.
    Record {
        /// Index of the record.
        record: usize,
        /// Offset of its first byte.
        offset_bytes: usize,
    },
    /// A line of text, the first being 1.
    Line(usize),
    /// A byte.
    Byte(usize),
    /// An image.
    Image(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Record { record, offset_bytes } => write!(out, ", record {record} (at byte {offset_bytes})"),
            Self::Line(line) => write!(out, ", line {line}"),
            Self::Byte(offset_bytes) => write!(out, ", byte {offset_bytes}"),
            Self::Image(image) => write!(out, ", image {image}"),
        }
    }
}

/// Why a data set cannot be opened or a batch cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused a file or a folder.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// Files or folders are not where the format requires them.
    #[error("{}: expected {expected}", path.display())]
    Layout {
        /// The folder that was searched.
        path: PathBuf,
        /// The missing content.
        expected: String,
    },
    /// A file's content does not have the required format.
    #[error("{}{place}: expected {expected}, found {found}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The position in it.
        place: Place,
        /// What the format requires.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A file that cannot be read as an image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A class that only the training folder or only the test folder has.
    #[error("class `{class}` is in {} but not in {}", present.display(), missing.display())]
    ClassMismatch {
        /// The class's name.
        class: String,
        /// The folder that has it.
        present: PathBuf,
        /// The folder that lacks it.
        missing: PathBuf,
    },
    /// Arrays that do not fit together.
    #[error("{part}: expected {expected}, found {found}")]
    Arrays {
        /// Which arrays.
        part: &'static str,
        /// The requirement.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A setting that is out of range, or that this format does not support.
    #[error("{option} = {value}: expected {expected}")]
    Setting {
        /// The setting's name.
        option: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        expected: String,
    },
}

impl DataError {
    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Setting { .. } => Kind::Usage,
            _ => Kind::Data,
        }
    }

    pub(super) fn setting(option: &'static str, value: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self::Setting {
            option,
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    /// Returns an error unless the setting's value is `allowed`.
    pub(super) fn require(
        option: &'static str,
        value: impl fmt::Display,
        allowed: bool,
        expected: impl Into<String>,
    ) -> Result<(), Self> {
        if allowed {
            Ok(())
        } else {
            Err(Self::setting(option, value, expected))
        }
    }

    /// The same error. If it is about the loader's `batch_size`, `key` becomes the name of the
    /// setting: search and retraining each have a batch size.
    pub fn of_batch_size(self, key: &'static str) -> Self {
        match self {
            Self::Setting {
                option: "batch_size",
                value,
                expected,
            } => Self::setting(key, value, expected),
            other => other,
        }
    }

    /// For `map_err`, to name the file.
    pub(super) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }
}
