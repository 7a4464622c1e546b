//! Errors in a configuration: where the setting is, its key, and the allowed values.

use std::fmt;
use std::io;
use std::path::PathBuf;

use da2s_records::Kind;
use da2s_settings::Problem;

use crate::data::DataError;
use crate::hint::Hint;
use crate::space::TopologyError;

/// The origin of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A [`Config`](super::Config) in memory, or an unchanged default.
    Settings,
    /// A recipe, by name.
    Recipe(&'static str),
    /// A file.
    File(PathBuf),
    /// A command-line flag as the user wrote it.
    Flag(String),
}

/// The location of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its origin.
    pub origin: Origin,
    /// Line, from 1, if the origin has lines and the line is known.
    pub line: Option<usize>,
}

impl From<Origin> for Location {
    fn from(origin: Origin) -> Self {
        Self { origin, line: None }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Settings => f.write_str("settings")?,
            Origin::Recipe(name) => write!(f, "recipe {name}")?,
            Origin::File(path) => write!(f, "{}", path.display())?,
            Origin::Flag(flag) => f.write_str(flag)?,
        }
        match self.line {
            Some(line) => write!(f, ", line {line}"),
            None => Ok(()),
        }
    }
}

/// Why a configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A text that is not TOML.
    #[error("{place}: {problem}")]
    Syntax {
        /// The location.
        place: Box<Location>,
        /// The problem.
        problem: String,
    },
    /// A key that does not exist, or a value that is invalid by itself or in combination with
    /// others.
    #[error("{place}: {problem}")]
    Setting {
        /// The location.
        place: Box<Location>,
        /// The problem.
        problem: Problem,
    },
    /// A missing setting that others require.
    #[error("{key} is not set: expected {expected}")]
    Missing {
        /// The key, including its tables.
        key: &'static str,
        /// What it must be, and why.
        expected: String,
    },
    /// A target that the space does not allow.
    #[error("{place}: {error}")]
    Target {
        /// The location.
        place: Box<Location>,
        /// The problem.
        error: TopologyError,
    },
    /// An invalid option of the data.
    #[error(transparent)]
    Data(DataError),
    /// A recipe that does not exist.
    #[error("there is no recipe {name}: expected one of {}", known.join(", "))]
    UnknownRecipe {
        /// The name.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// A configuration that has no TOML form.
    #[error("the configuration cannot be written: {problem}")]
    Unwritable {
        /// The reason.
        problem: String,
    },
}

impl ConfigError {
    /// The kind of the error: settings, or a file that the system could not read. A file that was
    /// read but is not text counts as invalid settings.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Read { source, .. } if source.kind() != io::ErrorKind::InvalidData => Kind::Files,
            _ => Kind::Usage,
        }
    }

    /// What the user can do about it, beyond the message itself.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Missing { key, .. } => vec![Hint::Give(key)],
            _ => Vec::new(),
        }
    }
}
