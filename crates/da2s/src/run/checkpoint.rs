//! Checkpoints: named tensors and one JSON value in a safetensors file, with a version and a checksum.
//!
//! Contract: written whole or not at all; reading a damaged, cut or foreign file is an error that names the file, never a
//! panic and never wrong values.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::directory::write_whole;
use crate::backbone::Named;
use crate::error::Error;

/// Version of the layout.
const VERSION: u32 = 1;
/// Key of the [`Header`] in the file's metadata.
const HEADER: &str = "da2s";

/// What stands in the file's metadata.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    /// See [`digest`].
    sha256: String,
    /// What is no tensor, as JSON.
    meta: String,
}

/// The contents of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint<T> {
    /// The tensors.
    pub tensors: Vec<Named>,
    /// What is no tensor.
    pub meta: T,
}

impl<T: Serialize + DeserializeOwned> Checkpoint<T> {
    /// Writes the checkpoint.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let invalid = |error: String| Error::io("write", path, io::Error::other(error));
        let meta = serde_json::to_string(&self.meta).map_err(|error| invalid(error.to_string()))?;
        let bytes: Vec<Vec<u8>> = self.tensors.iter().map(|tensor| le_bytes(&tensor.data)).collect();
        let mut views = Vec::with_capacity(bytes.len());
        for (tensor, data) in self.tensors.iter().zip(&bytes) {
            let view =
                TensorView::new(Dtype::F32, tensor.shape.clone(), data).map_err(|error| invalid(error.to_string()))?;
            views.push((tensor.name.as_str(), view));
        }
        let header = Header {
            version: VERSION,
            sha256: digest(&meta, &self.tensors),
            meta,
        };
        let header = serde_json::to_string(&header).map_err(|error| invalid(error.to_string()))?;
        // One entry: the library writes several in no fixed order, and the same state must be the same bytes.
        let header = HashMap::from([(HEADER.to_owned(), header)]);
        let whole = serialize(views, Some(header)).map_err(|error| invalid(error.to_string()))?;
        write_whole(path, &whole)
    }

    /// Reads a checkpoint; `Ok(None)` if there is no file.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file is not a whole checkpoint of this version; or what the system says.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", path, error)),
        };
        Self::from_bytes(&bytes).map(Some).map_err(|problem| Error::Damaged {
            path: path.to_owned(),
            problem,
        })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        let header = header.metadata().as_ref().and_then(|header| header.get(HEADER));
        let header = header.ok_or("it was not written by da2s")?;
        let header: Header =
            serde_json::from_str(header).map_err(|error| format!("its header cannot be read: {error}"))?;
        if header.version != VERSION {
            return Err(format!(
                "it has version {}, this program reads {VERSION}",
                header.version
            ));
        }
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let mut tensors = Vec::with_capacity(file.len());
        for (name, view) in file.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(format!("the tensor {name} is {:?}, not F32", view.dtype()));
            }
            let data = view
                .data()
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            tensors.push(Named {
                shape: view.shape().to_vec(),
                data: data.collect(),
                name,
            });
        }
        if header.sha256 != digest(&header.meta, &tensors) {
            return Err("its checksum does not match".to_owned());
        }
        let meta =
            serde_json::from_str(&header.meta).map_err(|error| format!("its metadata cannot be read: {error}"))?;
        Ok(Self { tensors, meta })
    }
}

fn le_bytes(data: &[f32]) -> Vec<u8> {
    data.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Checksum over names, shapes, elements and metadata, whatever the order of the tensors in the file.
fn digest(meta: &str, tensors: &[Named]) -> String {
    let mut order: Vec<&Named> = tensors.iter().collect();
    order.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hash = Sha256::new();
    hash.update(meta.as_bytes());
    for tensor in order {
        hash.update(tensor.name.as_bytes());
        hash.update(format!("{:?}", tensor.shape).as_bytes());
        hash.update(le_bytes(&tensor.data));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Checkpoint<u32> {
        let tensor = |name: &str, shape: &[usize]| Named {
            name: name.to_owned(),
            shape: shape.to_vec(),
            data: (0..shape.iter().product::<usize>())
                .map(|index| index as f32 * 0.5)
                .collect(),
        };
        Checkpoint {
            tensors: vec![tensor("a", &[2, 3]), tensor("b.weight", &[4])],
            meta: 7,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        assert!(Checkpoint::<u32>::read(&path).unwrap().is_none());
        example().write(&path).unwrap();
        let mut read = Checkpoint::<u32>::read(&path).unwrap().unwrap();
        read.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(read, example());
    }

    proptest! {
        #[test]
        fn damage_is_an_error(at in any::<prop::sample::Index>(), flip in 1u8..=255, cut in any::<prop::sample::Index>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("checkpoint.safetensors");
            example().write(&path).unwrap();
            let whole = fs::read(&path).unwrap();
            prop_assert!(Checkpoint::<u32>::from_bytes(&whole[..cut.index(whole.len())]).is_err());
            let mut damaged = whole.clone();
            damaged[at.index(whole.len())] ^= flip;
            // A flipped byte of padding or of a key that is not read changes nothing; anything else is found.
            if let Ok(mut read) = Checkpoint::<u32>::from_bytes(&damaged) {
                read.tensors.sort_by(|a, b| a.name.cmp(&b.name));
                prop_assert_eq!(read, example());
            }
        }
    }
}
