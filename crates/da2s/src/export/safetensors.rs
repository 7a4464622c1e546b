//! Plain safetensors: weights and running statistics under the names of DARTS, and a text that
//! describes the network.
//!
//! Contract: the metadata entry `da2s` is the JSON of a
//! [`Description`](crate::network::Description): genotype, sizes and preprocessing, so that the
//! file is sufficient to build and use the network. Its first field, `sha256`, is a checksum of the
//! rest and of the tensors; all da2s programs verify it when they read the file.

use da2s_records::{WeightsFile, signed};

use super::ExportError;
use crate::network::Trained;

/// Key of the description in the file's metadata.
pub(crate) const DESCRIPTION: &str = "da2s";

/// The file.
pub(super) fn bytes(trained: &Trained) -> Result<Vec<u8>, ExportError> {
    let description = serde_json::to_string(&trained.description)?;
    let tensors = trained.tensors();
    let signed = signed(&description, &tensors);
    Ok(WeightsFile::to_bytes(&tensors, DESCRIPTION, signed)?)
}
