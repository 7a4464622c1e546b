//! A trained network in the files of other tools: ONNX, PyTorch, plain safetensors.
//!
//! One file a format. Contract: what is exported computes the logits of evaluation, with the running statistics, and
//! neither the auxiliary head nor drop-path; pictures are preprocessed by whoever uses it, with the constants that every
//! format carries along. The same network is written as the same bytes.

mod onnx;
mod pytorch;
mod safetensors;

use std::path::Path;

use da2s_settings::words;

pub(crate) use self::safetensors::DESCRIPTION;
use crate::error::Error;
use crate::network::Trained;

words! {
    /// The formats.
    #[strum(serialize_all = "lowercase")]
    pub enum Format {
        /// One file, a graph with its weights.
        Onnx,
        /// A folder with a model in Python, its weights, and the preprocessing of images.
        Pytorch,
        /// One file, the weights under the names of DARTS.
        Safetensors,
    }
}

/// What a trained network cannot be written as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} cannot be exported: {problem}")]
pub struct ExportError {
    /// The layer.
    pub place: String,
    /// Why not.
    pub problem: String,
}

/// What of an export can be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Whether batch norms become part of the convolutions in front of them, where both are of one operation.
    pub fold_batch_norms: bool,
}

impl Format {
    /// What the file or folder is called, if nobody says otherwise.
    pub const fn default_name(self) -> &'static str {
        match self {
            Self::Onnx => "network.onnx",
            Self::Pytorch => "pytorch",
            Self::Safetensors => "network.safetensors",
        }
    }

    /// Whether [`ExportOptions::fold_batch_norms`] means something.
    pub const fn folds(self) -> bool {
        match self {
            Self::Onnx => true,
            Self::Pytorch | Self::Safetensors => false,
        }
    }
}

/// Writes `trained` to `path`: a file, or for [`Format::Pytorch`] a folder. What was there under the same names is replaced.
///
/// # Errors
/// If the network has something that the format cannot express, or the files cannot be written.
pub fn export(trained: &Trained, format: Format, options: ExportOptions, path: &Path) -> Result<(), Error> {
    match format {
        Format::Onnx => onnx::write(trained, options, path),
        Format::Pytorch => pytorch::write(trained, path),
        Format::Safetensors => safetensors::write(trained, path),
    }
}
