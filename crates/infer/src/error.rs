//! Why a network cannot be read or used.

use std::io;
use std::path::PathBuf;

use da2s_engine::PlanError;

/// What can be wrong with the file of a network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no safetensors file.
    #[error("it is no safetensors file: {0}")]
    Format(String),
    /// It is not what its checksum is of.
    #[error("its checksum does not match: it was damaged or changed after the export")]
    Checksum,
    /// It was not exported by da2s, or its description cannot be understood.
    #[error("{0}; it must be an export in the format safetensors")]
    Description(String),
    /// A plan that cannot be run.
    #[error("its plan cannot be run: {0}")]
    Plan(#[from] PlanError),
    /// Constants of preprocessing that cannot be.
    #[error("its preprocessing cannot be: {0}")]
    Preprocessing(String),
    /// A tensor that is not there.
    #[error("the tensor {name} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor that two places of the network ask for.
    #[error("the tensor {name} is that of two places")]
    Shared {
        /// Its name.
        name: String,
    },
    /// A tensor of another shape or type.
    #[error("the tensor {name} is {found} where F32 {expected:?} is needed")]
    Tensor {
        /// Its name.
        name: String,
        /// Type and shape in the file.
        found: String,
        /// Shape of the network.
        expected: Vec<usize>,
    },
    /// A number that is NaN or infinite.
    #[error("the tensor {name} holds NaN or infinity: the file is damaged, or the training diverged")]
    NotFinite {
        /// Its name.
        name: String,
    },
    /// A running variance below 0.
    #[error("the batch norm {name} has a negative variance: the file is damaged")]
    Variance {
        /// Its name.
        name: String,
    },
}
