//! Why a network cannot be read or used.

use std::io;
use std::path::PathBuf;

use da2s_engine::deployed::DeployedError;
use da2s_engine::{NotInteger, PlanError};

use crate::fold;

/// What can be wrong with a network file.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is not a safetensors file.
    #[error("it is not a safetensors file ({0}); expected a network that da2s exported as safetensors")]
    Format(String),
    /// Its checksum does not match.
    #[error("its checksum does not match: it was damaged or changed after the export")]
    Checksum,
    /// It was not exported by da2s, or its description cannot be parsed.
    #[error("{0}; expected a safetensors export of da2s")]
    Description(String),
    /// A plan that cannot be run.
    #[error("its plan cannot be run: {0}")]
    Plan(#[from] PlanError),
    /// A block without integer kernels, in an int8 network.
    #[error(transparent)]
    NotInteger(#[from] NotInteger),
    /// Invalid preprocessing constants.
    #[error("its preprocessing is invalid: {0}")]
    Preprocessing(String),
    /// A tensor that is missing.
    #[error("the tensor {name} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor that is used at two positions of the network.
    #[error("the tensor {name} is used twice")]
    Shared {
        /// Its name.
        name: String,
    },
    /// A tensor with the wrong shape or type.
    #[error("the tensor {name} is {found}; expected {kind} {expected:?}")]
    Tensor {
        /// Its name.
        name: String,
        /// Type and shape in the file.
        found: String,
        /// The type that the network needs.
        kind: String,
        /// The shape that the network needs.
        expected: Vec<usize>,
    },
    /// A tensor that contains NaN or infinity.
    #[error("the tensor {name} contains NaN or infinity: the file is damaged, or the training diverged")]
    NotFinite {
        /// Its name.
        name: String,
    },
    /// A negative running variance.
    #[error("the batch norm {name} has a negative variance: the file is damaged")]
    Variance {
        /// Its name.
        name: String,
    },
    /// Scales that are zero or negative, or that combine to infinity.
    #[error("the tensor {name} contains a scale out of range: the file is damaged")]
    Scale {
        /// Its name.
        name: String,
    },
    /// A convolution whose sums may exceed 32 bits.
    #[error("the convolution {name} sums more products than fit 32 bits")]
    Overflow {
        /// Its name.
        name: String,
    },
    /// A network whose activations need too much memory.
    #[error("its activations need more than {most} bytes")]
    Memory {
        /// The limit.
        most: usize,
    },
}

impl From<fold::Missing> for NetworkError {
    fn from(fold::Missing { name }: fold::Missing) -> Self {
        Self::Missing { name }
    }
}

impl From<DeployedError> for NetworkError {
    fn from(error: DeployedError) -> Self {
        match error {
            DeployedError::Memory { most } => Self::Memory { most },
            DeployedError::Weights { place } => Self::Missing { name: place },
        }
    }
}

/// An output of a network is NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("an output of the network is {0}: its weights are damaged, or its training diverged")]
pub struct OutputNotFinite(pub f32);
