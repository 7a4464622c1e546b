//! A trained network in the files of other tools: ONNX, PyTorch, plain safetensors.
//!
//! Each format has its own file. Contract: an export computes the logits of evaluation, with the
//! running statistics, and without auxiliary head and drop-path. Images are preprocessed either by
//! the program that uses the exported network, as every format and the accompanying file
//! `preprocessing.json` describe, or by an ONNX graph itself. The same network always produces the
//! same bytes.

mod onnx;
mod pytorch;
mod safetensors;

use std::fs;
use std::path::{Path, PathBuf};

use da2s_infer::int8::Int8Network;
use da2s_records::files::{MOST_WHOLE_BYTES, PREPROCESSING_NAME};
use da2s_records::{FileError, Kind, WeightsFileError, is_of_run, is_stream, read_input, write_output};
use da2s_settings::words;

pub use self::onnx::BLOCK_COPIES;
pub(crate) use self::safetensors::DESCRIPTION;
use crate::data::Preprocessing;
use crate::network::{TimedBlock, Trained};

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
        /// The reason.
        problem: String,
    },
    /// A description that has no JSON form.
    #[error("the description of the network cannot be written: {0}")]
    Description(#[from] serde_json::Error),
    /// Weights that have no safetensors form.
    #[error("the weights cannot be written: the file {0}")]
    Weights(#[from] WeightsFileError),
    /// An existing `preprocessing.json` of another network, which would be replaced.
    #[error("{} already exists and belongs to another network, or to none: export into another folder", path.display())]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// A file of a run, which would be replaced.
    #[error("{} is a file of a run: export to another path", path.display())]
    OfRun {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ExportError {
    /// The kind of the error.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Layer { .. } | Self::Description(_) | Self::Weights(_) => Kind::Internal,
            Self::Other { .. } | Self::OfRun { .. } | Self::File(_) => Kind::Files,
        }
    }
}

/// Options of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Whether batch norms are folded into the preceding convolutions, if both belong to one
    /// operation.
    pub fold_batch_norms: bool,
    /// Whether the graph itself preprocesses images, given as bytes and of any size.
    pub with_preprocessing: bool,
}

impl ExportFormat {
    /// The default name of the file or folder.
    pub(crate) const fn default_name(self) -> &'static str {
        match self {
            Self::Onnx => "network.onnx",
            Self::Pytorch => "pytorch",
            Self::Safetensors => "network.safetensors",
        }
    }

    /// Whether it is a graph; [`ExportOptions`] only apply to graphs.
    pub const fn is_graph(self) -> bool {
        match self {
            Self::Onnx => true,
            Self::Pytorch | Self::Safetensors => false,
        }
    }

    /// Whether it is a folder; otherwise it is a file, next to `preprocessing.json`.
    pub(crate) const fn is_folder(self) -> bool {
        match self {
            Self::Pytorch => true,
            Self::Onnx | Self::Safetensors => false,
        }
    }
}

/// A file of an export: its name in the export's folder, or an empty name for the export itself,
/// and its contents.
pub type ExportedFile = (&'static str, Vec<u8>);

/// The bytes of `preprocessing.json`.
pub(crate) fn preprocessing_json(preprocessing: &Preprocessing) -> Result<Vec<u8>, ExportError> {
    let mut bytes = serde_json::to_vec_pretty(preprocessing)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The files of `trained` in `format`; `preprocessing.json` comes first.
///
/// # Errors
/// If the network contains something that the format cannot express.
pub fn files(
    trained: &Trained,
    format: ExportFormat,
    options: ExportOptions,
) -> Result<Vec<ExportedFile>, ExportError> {
    let preprocessing = preprocessing_json(&trained.description.preprocessing)?;
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

/// The ONNX file of `network`, which is `trained` in int8, in QDQ form.
///
/// # Errors
/// If the description of the network cannot be written.
pub fn quantised_onnx(trained: &Trained, network: &Int8Network) -> Result<Vec<u8>, ExportError> {
    onnx::quantised_bytes(trained, network)
}

/// An ONNX file to time a block with another runtime, with [`BLOCK_COPIES`] copies of the block;
/// without a block, a file that takes as long as a call that computes nothing.
///
/// # Errors
/// If the block is one that ONNX cannot express.
pub fn block_onnx(timed: Option<&TimedBlock>) -> Result<Vec<u8>, ExportError> {
    onnx::block_bytes(timed)
}

/// Writes `trained` to `path`: a file, or for [`ExportFormat::Pytorch`] a folder; missing parent
/// folders are created. Existing files with the same names are replaced, except for the
/// preprocessing of another network. No other file is written next to a pipe or a device.
///
/// # Errors
/// If the network contains something that the format cannot express, another network's
/// preprocessing exists there, a file of a run would be replaced, or the files cannot be written.
pub fn export(trained: &Trained, format: ExportFormat, options: ExportOptions, path: &Path) -> Result<(), ExportError> {
    let preprocessing = &trained.description.preprocessing;
    let mut targets = Vec::new();
    for (name, bytes) in files(trained, format, options)? {
        let file = match (name, format.is_folder()) {
            ("", _) => path.to_owned(),
            (PREPROCESSING_NAME, true) => unless_other(path.join(name), preprocessing)?,
            (name, true) => path.join(name),
            (_, false) if is_stream(path) => continue,
            (name, false) => beside(path, name, preprocessing)?,
        };
        if is_of_run(&file) {
            return Err(ExportError::OfRun { path: file });
        }
        targets.push((file, bytes));
    }
    for (file, bytes) in targets {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(|error| FileError::new("create", folder, error))?;
        }
        write_output(&file, &bytes)?;
    }
    Ok(())
}

/// The path of the file `name` with `preprocessing` next to the network `path`.
///
/// # Errors
/// If a file with other contents exists there, or `path` is that path itself.
fn beside(path: &Path, name: &str, preprocessing: &Preprocessing) -> Result<PathBuf, ExportError> {
    let file = path.with_file_name(name);
    if file == path {
        return Err(ExportError::Other { path: file });
    }
    unless_other(file, preprocessing)
}

/// `file`, unless it exists with another content than `preprocessing`.
fn unless_other(file: PathBuf, preprocessing: &Preprocessing) -> Result<PathBuf, ExportError> {
    let same = || {
        let there = read_input(&file, MOST_WHOLE_BYTES).ok()?;
        let there: Preprocessing = serde_json::from_slice(&there).ok()?;
        (there == *preprocessing).then_some(())
    };
    if file.symlink_metadata().is_ok() && same().is_none() {
        return Err(ExportError::Other { path: file });
    }
    Ok(file)
}
