//! The memory of the fused path's tensors as Burn's storage: outputs and gradients are written into memory that earlier ones left.
//!
//! Contract: a tensor that Burn copies, grows or takes apart leaves its memory by Burn's own copy; nothing else differs from a
//! tensor that was made from a vector.

use std::mem::MaybeUninit;

use burn::backend::flex::FlexTensor;
use burn::tensor::{Bytes, DType, TensorData};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty};

use crate::cpu::TensorMemory;

/// Floats that Burn reads and writes.
struct Storage(TensorMemory);

impl AllocationController for Storage {
    fn alloc_align(&self) -> usize {
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, _: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let floats = self.0.as_mut_slice();
        // SAFETY: any four bytes are a float, and the caller writes initialized bytes only.
        Ok(unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), size_of_val(floats)) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let floats = self.0.as_slice();
        // SAFETY: floats are initialized bytes.
        Ok(unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) })
    }
}

/// A contiguous tensor in `memory`, which has as many floats as `shape`.
pub(crate) fn tensor(memory: TensorMemory, shape: &[usize]) -> FlexTensor {
    let bytes = size_of_val(memory.as_slice());
    // SAFETY: all bytes of the memory are initialized.
    let bytes = unsafe { Bytes::from_controller(Box::new(Storage(memory)), bytes) };
    FlexTensor::from_data(TensorData::from_bytes(bytes, shape.to_vec(), DType::F32))
}
