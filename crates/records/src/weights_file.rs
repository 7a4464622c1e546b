//! Named tensors in a plain safetensors file, as PyTorch users read and write it.
//!
//! Reference: the safetensors format, github.com/huggingface/safetensors. Contract: written as
//! float32, equal tensors produce equal bytes; read from any file with float16, bfloat16, float32,
//! float64 or int64 tensors, whatever its other metadata. Whether the tensors fit a network is
//! checked elsewhere.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors, serialize};
use serde::Deserialize;

use crate::files::{MOST_WEIGHTS_BYTES, MOST_WHOLE_BYTES};
use crate::folder::read_bounded;
use crate::{FileError, Sha256, read_weights};

/// A tensor with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Full name.
    pub name: String,
    /// Shape in PyTorch order.
    pub shape: Vec<usize>,
    /// Elements in row-major order.
    pub data: Vec<f32>,
}

impl Named {
    /// The same tensor with `prefix` before its name.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        Self {
            name: format!("{prefix}{}", self.name),
            ..self
        }
    }

    /// The tensors of `all` whose names start with `prefix`, without it.
    pub fn below(all: &[Self], prefix: &str) -> Vec<Self> {
        let below = all.iter().filter_map(|tensor| {
            let name = tensor.name.strip_prefix(prefix)?.to_owned();
            Some(Self { name, ..tensor.clone() })
        });
        below.collect()
    }
}

/// Named tensors with the metadata of their file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightsFile {
    /// The tensors.
    pub tensors: Vec<Named>,
    /// The texts of the file's metadata.
    pub metadata: HashMap<String, String>,
}

/// Why weights cannot be read from a file.
#[derive(Debug, thiserror::Error)]
pub enum WeightsFileError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] FileError),
    /// It is not a safetensors file.
    #[error("is not a safetensors file: {0}")]
    Format(String),
    /// It was written by `torch.save`.
    #[error(
        "it is a pickle of PyTorch, as torch.save writes it, not a safetensors file; write its tensors with safetensors.torch.save_file"
    )]
    Pickle,
    /// Its checksum does not match.
    #[error("its checksum does not match: it was damaged or changed after it was written")]
    Checksum,
    /// A tensor whose type is not that of weights.
    #[error("the tensor {name} is {found}, not {allowed}")]
    Type {
        /// Its name.
        name: String,
        /// Its type.
        found: String,
        /// The accepted types.
        allowed: &'static str,
    },
}

impl WeightsFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If the file cannot be read, is not a safetensors file, or has tensors of another type.
    pub fn read(path: &Path) -> Result<Self, WeightsFileError> {
        let bytes = read_weights(path).map_err(|error| match error.source.kind() {
            io::ErrorKind::InvalidData => WeightsFileError::Format(error.source.to_string()),
            _ => WeightsFileError::Read(error),
        })?;
        Self::from_bytes(&bytes)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// If they are not a safetensors file, or have tensors of another type.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsFileError> {
        Self::with(bytes, "one of F16, BF16, F32, F64, I64", numbers)
    }

    /// Reads the bytes of a file that [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// If they are not a safetensors file, or have tensors that are not float32.
    pub fn from_own_bytes(bytes: &[u8]) -> Result<Self, WeightsFileError> {
        let float32 = |kind, data: &[u8]| (kind == Dtype::F32).then(|| each(data, f32::from_le_bytes));
        Self::with(bytes, "F32", float32)
    }

    /// Only the metadata of a file; its tensors are not read.
    ///
    /// # Errors
    /// If the bytes do not begin like a safetensors file.
    pub fn metadata(bytes: &[u8]) -> Result<HashMap<String, String>, WeightsFileError> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| {
            if is_pickle(bytes) {
                WeightsFileError::Pickle
            } else {
                format(error)
            }
        })?;
        Ok(header.metadata().clone().unwrap_or_default())
    }

    fn with(
        bytes: &[u8],
        allowed: &'static str,
        numbers: impl Fn(Dtype, &[u8]) -> Option<Vec<f32>>,
    ) -> Result<Self, WeightsFileError> {
        let metadata = Self::metadata(bytes)?;
        let file = SafeTensors::deserialize(bytes).map_err(format)?;
        if metadata.values().any(|text| is_whole(text, &file) == Some(false)) {
            return Err(WeightsFileError::Checksum);
        }
        let tensors = file.tensors().into_iter().map(|(name, view)| {
            let data = numbers(view.dtype(), view.data()).ok_or_else(|| WeightsFileError::Type {
                name: name.clone(),
                found: format!("{:?}", view.dtype()),
                allowed,
            })?;
            Ok(Named {
                shape: view.shape().to_vec(),
                data,
                name,
            })
        });
        Ok(Self {
            tensors: tensors.collect::<Result<_, WeightsFileError>>()?,
            metadata,
        })
    }

    /// The bytes of a file of `tensors` with one metadata entry, `value` under `key`. Only one,
    /// because the safetensors library writes several entries in no fixed order.
    ///
    /// # Errors
    /// If the number of elements of a tensor does not match its shape.
    pub fn to_bytes(tensors: &[Named], key: &str, value: String) -> Result<Vec<u8>, WeightsFileError> {
        let bytes: Vec<Cow<'_, [u8]>> = tensors.iter().map(Named::le_bytes).collect();
        let views = tensors.iter().zip(&bytes).map(|(tensor, data)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), data)?;
            Ok((tensor.name.as_str(), view))
        });
        let views: Vec<_> = views.collect::<Result<_, _>>().map_err(format)?;
        serialize(views, Some(HashMap::from([(key.to_owned(), value)]))).map_err(format)
    }
}

/// Maximum size of a header in bytes, as in the safetensors library.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// An entry of a header; only the position of the tensor is read.
#[derive(Deserialize)]
struct Entry {
    data_offsets: Option<[u64; 2]>,
}

/// The bytes of a weights file. Of a large file in another format, only the beginning, which shows
/// the format. The rest of a large weights file is read only if its header describes a file of this
/// length: a file of many gigabytes is easily created.
pub(crate) fn read_checked(mut file: File) -> io::Result<Vec<u8>> {
    let damaged = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
    let length = file.metadata()?.len();
    if length > MOST_WEIGHTS_BYTES {
        return Err(damaged(format!("it is larger than {MOST_WEIGHTS_BYTES} bytes")));
    }
    if length <= MOST_WHOLE_BYTES {
        return read_bounded(file, MOST_WHOLE_BYTES);
    }
    let mut bytes = Vec::new();
    (&mut file).take(8).read_to_end(&mut bytes)?;
    let header = bytes.as_slice().try_into().map_or(0, u64::from_le_bytes);
    (&mut file)
        .take(header.min(MOST_HEADER_BYTES))
        .read_to_end(&mut bytes)?;
    let Some(entries) = bytes
        .get(8..)
        .and_then(|header| serde_json::from_slice::<HashMap<String, Entry>>(header).ok())
    else {
        return Ok(bytes);
    };
    let last = entries.values().filter_map(|entry| entry.data_offsets);
    let described = last
        .map(|[_, end]| end)
        .max()
        .unwrap_or(0)
        .saturating_add(bytes.len() as u64);
    if described != length {
        return Err(damaged(format!(
            "its header describes {described} bytes, and it has {length}"
        )));
    }
    // More than the available memory is an error; it must not abort the process.
    bytes.try_reserve_exact(usize::try_from(length - bytes.len() as u64).unwrap_or(usize::MAX))?;
    file.take(length - bytes.len() as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether `bytes`, which are not a safetensors file, begin like a file of `torch.save`: a ZIP
/// archive since PyTorch 1.6, a pickle of protocols 2 to 5 before.
fn is_pickle(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || matches!(bytes, [0x80, 2..=5, ..])
}

/// Checksum over a text and `tensors`: names, shapes and elements, in any order.
pub fn checksum(text: &str, tensors: &[Named]) -> String {
    let bytes: Vec<Cow<'_, [u8]>> = tensors.iter().map(Named::le_bytes).collect();
    let parts = tensors
        .iter()
        .zip(&bytes)
        .map(|(tensor, bytes)| (&*tensor.name, &*tensor.shape, &**bytes));
    checksum_of_bytes(text, parts)
}

/// [`checksum`] of tensors whose elements are little-endian bytes.
fn checksum_of_bytes<'a>(text: &str, tensors: impl IntoIterator<Item = (&'a str, &'a [usize], &'a [u8])>) -> String {
    let mut order: Vec<_> = tensors.into_iter().collect();
    order.sort_by_key(|&(name, ..)| name);
    let mut sum = Sha256::default();
    sum.update(text);
    for (name, shape, bytes) in order {
        sum.update(name);
        sum.update(format!("{shape:?}"));
        sum.update(bytes);
    }
    sum.hex()
}

/// Prefix of a description with a checksum.
const SIGNED: &str = "{\"sha256\":\"";
/// Characters of a checksum.
const DIGITS: usize = 64;

/// `description`, a JSON object, with a checksum of itself and of `tensors` as its first field.
pub fn signed(description: &str, tensors: &[Named]) -> String {
    with_checksum(description, &checksum(description, tensors))
}

fn with_checksum(description: &str, sum: &str) -> String {
    let rest = description.strip_prefix('{').unwrap_or(description);
    format!("{SIGNED}{sum}\",{rest}")
}

/// A tensor of any type, as it is in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// Full name.
    pub name: String,
    /// The type of its elements.
    pub kind: Dtype,
    /// Shape.
    pub shape: Vec<usize>,
    /// Elements in row-major order, little-endian.
    pub bytes: Vec<u8>,
}

/// The bytes of a file of `tensors` with a [`signed`] `description` under `key`.
///
/// # Errors
/// If the number of elements of a tensor does not match its shape, or two have the same name.
pub fn signed_file(tensors: &[StoredTensor], key: &str, description: &str) -> Result<Vec<u8>, WeightsFileError> {
    let parts = tensors
        .iter()
        .map(|tensor| (&*tensor.name, &*tensor.shape, &*tensor.bytes));
    let text = with_checksum(description, &checksum_of_bytes(description, parts));
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(WeightsFileError::Format(format!("two tensors are called {}", twice[0])));
    }
    let views = tensors.iter().map(|tensor| {
        let view = TensorView::new(tensor.kind, tensor.shape.clone(), &tensor.bytes)?;
        Ok((tensor.name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(format)?;
    serialize(views, Some(HashMap::from([(key.to_owned(), text)]))).map_err(format)
}

/// Whether the checksum in a [`signed`] description matches the file; `None` if the description has
/// none, as in files of earlier versions.
pub fn is_whole(description: &str, file: &SafeTensors<'_>) -> Option<bool> {
    let signed = description.strip_prefix(SIGNED)?;
    let (sum, rest) = (signed.get(..DIGITS)?, signed.get(DIGITS..)?.strip_prefix("\",")?);
    let tensors = file.tensors();
    let parts = tensors
        .iter()
        .map(|(name, view)| (name.as_str(), view.shape(), view.data()));
    Some(sum == checksum_of_bytes(&format!("{{{rest}"), parts))
}

fn format(error: SafeTensorError) -> WeightsFileError {
    WeightsFileError::Format(error.to_string())
}

impl Named {
    /// The elements as little-endian bytes: on most machines without a copy, because a checkpoint
    /// of large weights would otherwise need as much memory again.
    pub fn le_bytes(&self) -> Cow<'_, [u8]> {
        if cfg!(target_endian = "little") {
            return Cow::Borrowed(bytemuck::cast_slice(&self.data));
        }
        Cow::Owned(self.data.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// Decodes little-endian numbers; `None` for a type that is not used for weights.
fn numbers(kind: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match kind {
        Dtype::F16 => Some(each(bytes, |bytes| half::f16::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => Some(each(bytes, |bytes| half::bf16::from_le_bytes(bytes).to_f32())),
        Dtype::F32 => Some(each(bytes, f32::from_le_bytes)),
        Dtype::F64 => Some(each(bytes, |bytes| f64::from_le_bytes(bytes) as f32)),
        Dtype::I64 => Some(each(bytes, |bytes| i64::from_le_bytes(bytes) as f32)),
        _ => None,
    }
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (whole, _) = bytes.as_chunks::<N>();
    whole.iter().map(|&bytes| number(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_type_of_number_is_read() {
        let values = [1.5f32, -2.0];
        let cases = [
            (
                Dtype::F16,
                values
                    .map(half::f16::from_f32)
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect::<Vec<u8>>(),
            ),
            (
                Dtype::BF16,
                values
                    .map(half::bf16::from_f32)
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect(),
            ),
            (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            (
                Dtype::F64,
                values.map(f64::from).iter().flat_map(|v| v.to_le_bytes()).collect(),
            ),
        ];
        for (kind, bytes) in cases {
            let view = TensorView::new(kind, vec![2], &bytes).unwrap();
            let file = WeightsFile::from_bytes(&serialize([("a", view)], None).unwrap()).unwrap();
            assert_eq!(file.tensors[0].data, values, "{kind:?}");
        }
        let view = TensorView::new(Dtype::BOOL, vec![2], &[0, 1]).unwrap();
        let error = WeightsFile::from_bytes(&serialize([("mask", view)], None).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the tensor mask is BOOL, not one of F16, BF16, F32, F64, I64"
        );
    }

    #[test]
    fn what_is_written_is_read() {
        let tensors = vec![Named {
            name: "stem.0.weight".to_owned(),
            shape: vec![2, 1],
            data: vec![0.25, -1e-30],
        }];
        let bytes = WeightsFile::to_bytes(&tensors, "da2s", "text".to_owned()).unwrap();
        assert_eq!(
            bytes,
            WeightsFile::to_bytes(&tensors, "da2s", "text".to_owned()).unwrap()
        );
        let read = WeightsFile::from_bytes(&bytes).unwrap();
        assert_eq!((read.tensors, read.metadata["da2s"].as_str()), (tensors, "text"));
    }

    #[test]
    fn a_large_file_of_another_length_than_its_header_describes_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let tensors = [Named {
            name: "a".to_owned(),
            shape: vec![2],
            data: vec![1.0, 2.0],
        }];
        let whole = WeightsFile::to_bytes(&tensors, "da2s", "text".to_owned()).unwrap();
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(WeightsFile::read(&path).unwrap().tensors, tensors);
        // A sparse file of four gigabytes.
        let length = 4 << 30;
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(length)
            .unwrap();
        let error = WeightsFile::read(&path).unwrap_err().to_string();
        let told = format!("its header describes {} bytes, and it has {length}", whole.len());
        assert!(error.contains(&told), "{error}");
        // A file that is not safetensors is read no further than its beginning.
        for start in [&b"PK\x03\x04"[..], &[0xff; 8], &[0; 8], b"", b"abc"] {
            std::fs::write(&path, start).unwrap();
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(1 << 32)
                .unwrap();
            assert!(read_checked(File::open(&path).unwrap()).unwrap().len() as u64 <= 8 + MOST_HEADER_BYTES);
            assert!(WeightsFile::read(&path).is_err());
        }
    }

    #[test]
    fn a_change_after_the_export_is_found() {
        let tensors = [("b", 0.5f32), ("a", 2.0)].map(|(name, value)| Named {
            name: name.to_owned(),
            shape: vec![1],
            data: vec![value],
        });
        let text = signed("{\"genotype\":\"G\"}", &tensors);
        let whole = WeightsFile::to_bytes(&tensors, "da2s", text.clone()).unwrap();
        assert_eq!(WeightsFile::from_bytes(&whole).unwrap().metadata["da2s"], text);
        let spoilt = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = whole.clone();
            change(&mut bytes);
            WeightsFile::from_bytes(&bytes).unwrap_err().to_string()
        };
        let place = |of: &str| whole.windows(of.len()).position(|part| part == of.as_bytes()).unwrap();
        let (genotype, b) = (place("\\\"G\\\"") + 2, place("\"b\"") + 1);
        for told in [
            spoilt(&|bytes| *bytes.last_mut().unwrap() ^= 1),
            spoilt(&|bytes| bytes[genotype] = b'H'),
            spoilt(&|bytes| bytes[b] = b'c'),
        ] {
            assert!(told.contains("its checksum does not match"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            prop_assert!(WeightsFile::from_bytes(&bytes).is_err());
        }
    }
}
