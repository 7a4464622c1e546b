//! The tensors of a file. Each can be taken once: otherwise a small file could fill the memory, if
//! many of its blocks name the same tensor and each gets a copy.

use std::borrow::Cow;
use std::collections::HashSet;

use safetensors::{Dtype, SafeTensors};

use crate::error::NetworkError;

/// The tensors that are left.
pub(crate) struct Tensors<'a> {
    file: &'a SafeTensors<'a>,
    taken: HashSet<String>,
}

impl<'a> Tensors<'a> {
    pub(crate) fn new(file: &'a SafeTensors<'a>) -> Self {
        Self {
            file,
            taken: HashSet::new(),
        }
    }

    /// Takes the bytes of a tensor of this type and shape.
    fn bytes(&mut self, name: &str, kind: Dtype, shape: &[usize]) -> Result<&'a [u8], NetworkError> {
        let Ok(view) = self.file.tensor(name) else {
            return Err(NetworkError::Missing { name: name.to_owned() });
        };
        if view.dtype() != kind || view.shape() != shape {
            return Err(NetworkError::Tensor {
                name: name.to_owned(),
                found: format!("{:?} {:?}", view.dtype(), view.shape()),
                kind: format!("{kind:?}"),
                expected: shape.to_vec(),
            });
        }
        if !self.taken.insert(name.to_owned()) {
            return Err(NetworkError::Shared { name: name.to_owned() });
        }
        Ok(view.data())
    }

    /// Takes a tensor of finite float32.
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Cow<'a, [f32]>, NetworkError> {
        let elements = floats(self.bytes(name, Dtype::F32, shape)?);
        // All are looked at, so that the loop can be vectorized.
        if elements.iter().fold(true, |all, value| all & value.is_finite()) {
            Ok(elements)
        } else {
            Err(NetworkError::NotFinite { name: name.to_owned() })
        }
    }

    /// Takes a tensor of float32 scales: finite and positive.
    pub(crate) fn scales(&mut self, name: &str, len: usize) -> Result<Vec<f32>, NetworkError> {
        let scales = self.floats(name, &[len])?.into_owned();
        if scales.iter().all(|&scale| scale > 0.0) {
            Ok(scales)
        } else {
            Err(NetworkError::Scale { name: name.to_owned() })
        }
    }

    /// Takes a tensor of int8.
    pub(crate) fn int8(&mut self, name: &str, shape: &[usize]) -> Result<Vec<i8>, NetworkError> {
        Ok(each(self.bytes(name, Dtype::I8, shape)?, i8::from_le_bytes))
    }

    /// Takes a tensor of uint8.
    pub(crate) fn uint8(&mut self, name: &str, shape: &[usize]) -> Result<Vec<u8>, NetworkError> {
        Ok(self.bytes(name, Dtype::U8, shape)?.to_vec())
    }

    /// Takes a tensor of int32.
    pub(crate) fn int32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<i32>, NetworkError> {
        Ok(each(self.bytes(name, Dtype::I32, shape)?, i32::from_le_bytes))
    }
}

/// The numbers in the file itself if they are aligned there, otherwise a copy.
fn floats(bytes: &[u8]) -> Cow<'_, [f32]> {
    match bytemuck::try_cast_slice(bytes) {
        Ok(floats) if cfg!(target_endian = "little") => floats.into(),
        _ => each(bytes, f32::from_le_bytes).into(),
    }
}

fn each<T, const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (whole, _) = bytes.as_chunks::<N>();
    whole.iter().map(|&bytes| number(bytes)).collect()
}
