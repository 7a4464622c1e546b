//! Plain safetensors: weights and running statistics under the names of DARTS, and one text that describes the network.
//!
//! Contract: the metadata's `da2s` is the JSON of a [`Description`](crate::network::Description): genotype, sizes and
//! preprocessing, so that the file is all that it takes to build and use the network.

use da2s_records::WeightsFile;

use super::ExportError;
use crate::network::Trained;

/// Key of the description in the file's metadata.
pub(crate) const DESCRIPTION: &str = "da2s";

/// The file.
pub(super) fn bytes(trained: &Trained) -> Result<Vec<u8>, ExportError> {
    let description = serde_json::to_string(&trained.description)?;
    Ok(WeightsFile::to_bytes(&trained.tensors(), DESCRIPTION, description)?)
}
