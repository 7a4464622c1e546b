//! What can be wrong with a configuration: where it was said, which key, what is allowed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use da2s_records::Kind;
use da2s_settings::Problem;

use crate::data::DataError;
use crate::hint::Hint;
use crate::space::TopologyError;

/// Who said something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A [`Config`](super::Config) in memory, or a default that nobody changed.
    Settings,
    /// A recipe, by name.
    Recipe(&'static str),
    /// A file.
    File(PathBuf),
    /// A flag of the command line, as it was written.
    Flag(String),
}

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// By whom.
    pub origin: Origin,
    /// Line, from 1, where the origin has lines and the line is known.
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
        /// What the system says.
        source: io::Error,
    },
    /// A text that is not TOML.
    #[error("{place}: {problem}")]
    Syntax {
        /// Where.
        place: Box<Location>,
        /// What is wrong there.
        problem: String,
    },
    /// A key that does not exist, or a value that is not allowed, by itself or beside the others.
    #[error("{place}: {problem}")]
    Setting {
        /// Where.
        place: Box<Location>,
        /// What is wrong.
        problem: Problem,
    },
    /// A missing setting that others require.
    #[error("{key} is not set: expected {expected}")]
    Missing {
        /// The key with the tables it is in.
        key: &'static str,
        /// What it must be, and why.
        expected: String,
    },
    /// A target that the space does not allow.
    #[error("{place}: {error}")]
    Target {
        /// Where.
        place: Box<Location>,
        /// What is impossible.
        error: TopologyError,
    },
    /// Something wrong with the data's options.
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
        /// Why.
        problem: String,
    },
}

impl ConfigError {
    /// What it is about: the settings, or a file that the system does not give. A file whose bytes
    /// are not text is given, and wrong in what it says.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Read { source, .. } if source.kind() != io::ErrorKind::InvalidData => Kind::Files,
            _ => Kind::Usage,
        }
    }

    /// What the user can do about it, beyond what it says.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Missing { key, .. } => vec![Hint::Give(key)],
            _ => Vec::new(),
        }
    }
}
