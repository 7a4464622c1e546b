//! The files of a run, for all crates that read or write them.
//!
//! [`files`] has their names and [`schema`] their content; [`State`] is the progress of a run. A
//! [`Folder`] reads and writes untrusted files without following links, [`write_output`] writes a
//! result to the path that the user chose, and a [`Lock`] prevents a second process from working in
//! a directory. A [`WeightsFile`] is named tensors in the safetensors format, [`Sha256`] the
//! checksum of all files, a [`Kind`] the kind of an error, and [`sentence`] makes an error safe for
//! a terminal or a file. The library writes runs, the report reads them, the command line and the
//! Python package do both; what they must agree on is in this crate.

#![forbid(unsafe_code)]

mod error;
pub mod files;
mod folder;
mod kind;
mod line;
mod lock;
mod output;
pub mod pareto;
pub mod schema;
mod sha256;
mod state;
pub mod statistics;
mod weights_file;

pub use error::{FileError, LockError};
pub use folder::{Entry, Folder, is_partial};
pub use kind::Kind;
pub use line::{counted, escaped, one_line, sentence};
pub use lock::Lock;
pub use output::{is_of_run, is_stream, read_input, read_weights, write_output};
pub use sha256::Sha256;
pub use state::{Epochs, State, Traces};
pub use weights_file::{Named, StoredTensor, WeightsFile, WeightsFileError, checksum, is_whole, signed, signed_file};
