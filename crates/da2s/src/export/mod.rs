//! A trained network in the files of other tools: ONNX, PyTorch, plain safetensors.
//!
//! One file a format. Contract: what is exported computes the logits of evaluation, with the
//! running statistics, and neither the auxiliary head nor drop-path; pictures are preprocessed by
//! whoever uses it, with the constants that every format carries along. The same network is written
//! as the same bytes.

mod onnx;
mod pytorch;
mod safetensors;

use std::fs;
use std::path::Path;

use da2s_records::{FileError, Kind, WeightsFileError, write_output};
use da2s_settings::words;

pub(crate) use self::safetensors::DESCRIPTION;
use crate::network::Trained;

words! {
    /// The formats.
    #[strum(serialize_all = "lowercase")]
    pub enum ExportFormat {
        /// One file, a graph with its weights.
        Onnx,
        /// A folder with a model in Python, its weights, and the preprocessing of images.
        Pytorch,
        /// One file, the weights under the names of DARTS.
        Safetensors,
    }
}

/// Why a trained network cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A layer that the format cannot express.
    #[error("{place} cannot be exported: {problem}")]
    Layer {
        /// The layer.
        place: String,
        /// Why not.
        problem: String,
    },
    /// A description that has no JSON form.
    #[error("the description of the network cannot be written: {0}")]
    Description(#[from] serde_json::Error),
    /// Weights that have no safetensors form.
    #[error("the weights cannot be written: the file {0}")]
    Weights(#[from] WeightsFileError),
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ExportError {
    /// What it is about.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Layer { .. } | Self::Description(_) | Self::Weights(_) => Kind::Internal,
            Self::File(_) => Kind::Files,
        }
    }
}

/// What of an export can be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Whether batch norms become part of the convolutions in front of them, where both are of one
    /// operation.
    pub fold_batch_norms: bool,
}

impl ExportFormat {
    /// What the file or folder is called, if nobody says otherwise.
    pub(crate) const fn default_name(self) -> &'static str {
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

/// A file of an export: its name in the export's folder, or nothing where the export is this one
/// file, and its contents.
pub type ExportedFile = (&'static str, Vec<u8>);

/// The files of `trained` in `format`.
///
/// # Errors
/// If the network has something that the format cannot express.
pub fn files(
    trained: &Trained,
    format: ExportFormat,
    options: ExportOptions,
) -> Result<Vec<ExportedFile>, ExportError> {
    Ok(match format {
        ExportFormat::Onnx => vec![("", onnx::bytes(trained, options)?)],
        ExportFormat::Pytorch => pytorch::files(trained)?,
        ExportFormat::Safetensors => vec![("", safetensors::bytes(trained)?)],
    })
}

/// Writes `trained` to `path`: a file, or for [`ExportFormat::Pytorch`] a folder; the folders that
/// it is in are created. What was there under the same names is replaced.
///
/// # Errors
/// If the network has something that the format cannot express, or the files cannot be written.
pub fn export(trained: &Trained, format: ExportFormat, options: ExportOptions, path: &Path) -> Result<(), ExportError> {
    for (name, bytes) in files(trained, format, options)? {
        let file = if name.is_empty() {
            path.to_owned()
        } else {
            path.join(name)
        };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(|error| FileError::new("create", folder, error))?;
        }
        write_output(&file, &bytes)?;
    }
    Ok(())
}
