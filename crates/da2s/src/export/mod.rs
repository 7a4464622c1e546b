//! A trained network in the files of other tools: ONNX, PyTorch, plain safetensors.
//!
//! One file a format. Contract: what is exported computes the logits of evaluation, with the
//! running statistics, and neither the auxiliary head nor drop-path; images are preprocessed by
//! whoever uses it, as every format and the file `preprocessing.json` beside it say, or by an ONNX
//! graph itself. The same network is written as the same bytes.

mod onnx;
mod pytorch;
mod safetensors;

use std::fs;
use std::path::{Path, PathBuf};

use da2s_records::files::{MOST_WHOLE_BYTES, PREPROCESSING_NAME};
use da2s_records::{FileError, Kind, WeightsFileError, is_stream, read_input, write_output};
use da2s_settings::words;

pub(crate) use self::safetensors::DESCRIPTION;
use crate::data::Preprocessing;
use crate::network::Trained;

words! {
    /// The formats.
    #[strum(serialize_all = "lowercase")]
    pub enum ExportFormat {
        /// One file, a graph with its weights.
        Onnx,
        /// A folder with a model in Python and its weights.
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
    /// A `preprocessing.json` that would be replaced and is of another network.
    #[error("{} is there and belongs to another network, or to none: export into another folder", path.display())]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ExportError {
    /// What it is about.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Layer { .. } | Self::Description(_) | Self::Weights(_) => Kind::Internal,
            Self::Other { .. } | Self::File(_) => Kind::Files,
        }
    }
}

/// What of an export can be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Whether batch norms become part of the convolutions in front of them, where both are of one
    /// operation.
    pub fold_batch_norms: bool,
    /// Whether the graph itself preprocesses images, of any size and in bytes.
    pub with_preprocessing: bool,
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

    /// Whether it is a graph, which [`ExportOptions`] are for.
    pub const fn is_graph(self) -> bool {
        match self {
            Self::Onnx => true,
            Self::Pytorch | Self::Safetensors => false,
        }
    }

    /// Whether it is a folder; otherwise it is a file, with `preprocessing.json` beside it.
    pub(crate) const fn is_folder(self) -> bool {
        match self {
            Self::Pytorch => true,
            Self::Onnx | Self::Safetensors => false,
        }
    }
}

/// A file of an export: its name in the export's folder, or nothing where it is the export itself,
/// and its contents.
pub type ExportedFile = (&'static str, Vec<u8>);

/// The files of `trained` in `format`; `preprocessing.json` comes first.
///
/// # Errors
/// If the network has something that the format cannot express.
pub fn files(
    trained: &Trained,
    format: ExportFormat,
    options: ExportOptions,
) -> Result<Vec<ExportedFile>, ExportError> {
    let mut preprocessing = serde_json::to_vec_pretty(&trained.description.preprocessing)?;
    preprocessing.push(b'\n');
    let mut files = vec![(PREPROCESSING_NAME, preprocessing)];
    match format {
        ExportFormat::Onnx => files.push(("", onnx::bytes(trained, options)?)),
        ExportFormat::Pytorch => {
            files.extend(pytorch::files(trained)?);
            files.push(pytorch::sums(&files));
        }
        ExportFormat::Safetensors => files.push(("", safetensors::bytes(trained)?)),
    }
    Ok(files)
}

/// Writes `trained` to `path`: a file, or for [`ExportFormat::Pytorch`] a folder; the folders that
/// it is in are created. What was there under the same names is replaced, except for the
/// preprocessing of another network. Nothing is written beside a pipe or a device.
///
/// # Errors
/// If the network has something that the format cannot express, another network's preprocessing
/// lies there, or the files cannot be written.
pub fn export(trained: &Trained, format: ExportFormat, options: ExportOptions, path: &Path) -> Result<(), ExportError> {
    for (name, bytes) in files(trained, format, options)? {
        let file = match name {
            "" => path.to_owned(),
            name if format.is_folder() => path.join(name),
            _ if is_stream(path) => continue,
            name => beside(path, name, &trained.description.preprocessing)?,
        };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(|error| FileError::new("create", folder, error))?;
        }
        write_output(&file, &bytes)?;
    }
    Ok(())
}

/// Where the file `name` with `preprocessing` lies beside the network `path`.
///
/// # Errors
/// If something else is there, or is to be.
fn beside(path: &Path, name: &str, preprocessing: &Preprocessing) -> Result<PathBuf, ExportError> {
    let file = path.with_file_name(name);
    let same = || {
        let there = read_input(&file, MOST_WHOLE_BYTES).ok()?;
        let there: Preprocessing = serde_json::from_slice(&there).ok()?;
        (there == *preprocessing).then_some(())
    };
    if file == path || (file.symlink_metadata().is_ok() && same().is_none()) {
        return Err(ExportError::Other { path: file });
    }
    Ok(file)
}
