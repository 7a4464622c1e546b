//! The files of a run, as everything that reads or writes them sees them.
//!
//! [`files`] has their names and [`schema`] what is in them; a [`State`] is how far they take a run. [`write_whole`] writes a file so
//! that nobody sees half of it, and a [`Lock`] keeps a second process out of a directory. A [`WeightsFile`] is named tensors in
//! the safetensors format, [`Sha256`] the checksum that all files use. A [`Kind`] is what an error is about, and [`one_line`] makes a
//! reason fit for a terminal or a file. The library writes runs, the report reads them, the command line and the Python package do both: what they must agree on
//! is here.

#![forbid(unsafe_code)]

mod error;
pub mod files;
mod kind;
mod line;
mod lock;
pub mod schema;
mod sha256;
mod state;
mod weights_file;
mod whole_file;

pub use error::{FileError, LockError};
pub use kind::Kind;
pub use line::{escaped, one_line};
pub use lock::Lock;
pub use sha256::Sha256;
pub use state::{Epochs, State, Traces};
pub use weights_file::{Named, WeightsFile, WeightsFileError};
pub use whole_file::{PARTIAL, make_parent, sync_folder, write_whole, write_whole_unlocked};
