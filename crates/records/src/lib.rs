//! The files of a run, as everything that reads or writes them sees them.
//!
//! [`files`] has their names and [`schema`] what is in them; a [`State`] is how far they take a
//! run. A [`Folder`] reads and writes them without following what somebody may have put there
//! instead, [`write_output`] writes a result where its user wants it, and a [`Lock`] keeps a second
//! process out of a directory. A [`WeightsFile`] is named tensors in the safetensors format,
//! [`Sha256`] the checksum that all files use, a [`Kind`] what an error is about, and [`sentence`]
//! makes an error fit for a terminal or a file. The library writes runs, the report reads them, the
//! command line and the Python package do both: what they must agree on is here.

#![forbid(unsafe_code)]

mod error;
pub mod files;
mod folder;
mod kind;
mod line;
mod lock;
mod output;
pub mod schema;
mod sha256;
mod state;
mod weights_file;

pub use error::{FileError, LockError};
pub use folder::{Entry, Folder, is_partial};
pub use kind::Kind;
pub use line::{counted, escaped, one_line, sentence};
pub use lock::Lock;
pub use output::{is_stream, read_input, write_output};
pub use sha256::Sha256;
pub use state::{Epochs, State, Traces};
pub use weights_file::{Named, WeightsFile, WeightsFileError, checksum, is_whole, signed};
