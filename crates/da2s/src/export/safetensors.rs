//! Plain safetensors: weights and running statistics under the names of DARTS, and one text that describes the network.
//!
//! Contract: the metadata's `da2s` is the JSON of a [`Description`](crate::network::Description): genotype, sizes and
//! preprocessing, so that the file is all that it takes to build and use the network.

use std::io;
use std::path::Path;

use da2s_records::{WeightsFile, WeightsFileError, write_whole};

use crate::error::Error;
use crate::network::Trained;

/// Key of the description in the file's metadata.
pub(crate) const DESCRIPTION: &str = "da2s";

/// Writes the file.
pub(super) fn write(trained: &Trained, path: &Path) -> Result<(), Error> {
    let invalid = |error: serde_json::Error| Error::io("write", path, error.into());
    let description = serde_json::to_string(&trained.description).map_err(invalid)?;
    let bytes = WeightsFile::to_bytes(&trained.tensors(), DESCRIPTION, description)
        .map_err(|error: WeightsFileError| Error::io("write", path, io::Error::other(error)))?;
    Ok(write_whole(path, &bytes)?)
}
