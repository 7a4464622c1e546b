//! The memory of the fused path's tensors. Outputs and gradients are written into memory of earlier
//! tensors, which then becomes Burn's storage: fresh pages cost more than the arithmetic that first
//! touches them.
//!
//! Contract: if Burn copies, grows or splits a tensor, it copies the data into memory of its own;
//! otherwise it behaves like a tensor created from a vector.

use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::flex::FlexTensor;
use burn::tensor::{Bytes, DType, TensorData};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty};

use crate::cpu::Buffer;

/// The memory of all tensors of a network; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TensorPool {
    idle: Arc<Mutex<Idle>>,
}

/// Buffers that no tensor holds, each with the number of the request after which it was returned.
#[derive(Debug, Default)]
struct Idle {
    requests: u64,
    buffers: Vec<(u64, Buffer)>,
}

/// Requests after which an idle buffer is freed when another size is requested. This is several
/// steps of any network, so buffers of an evaluation do not persist through the training that
/// follows.
const IDLE_REQUESTS: u64 = 1000;

impl TensorPool {
    /// Memory for a tensor of `len` floats: an idle buffer of that length or up to half longer, or
    /// a new one.
    pub(crate) fn take(&self, len: usize) -> TensorMemory {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.requests += 1;
        let length = |at: usize| idle.buffers[at].1.as_slice().len();
        let fits = |at: &usize| (len..=len + len / 2).contains(&length(*at));
        let found = (0..idle.buffers.len()).filter(fits).min_by_key(|&at| length(at));
        let mut buffer = match found {
            Some(at) => idle.buffers.swap_remove(at).1,
            None => {
                let requests = idle.requests;
                idle.buffers.retain(|(since, _)| requests - since < IDLE_REQUESTS);
                Buffer::default()
            }
        };
        drop(idle);
        buffer.reserve(len);
        TensorMemory {
            pool: self.clone(),
            buffer,
            len,
        }
    }
}

/// The memory of one tensor; it returns to its pool when the last owner drops it. It initially
/// contains the data of the previous tensor.
#[derive(Debug)]
pub(crate) struct TensorMemory {
    pool: TensorPool,
    buffer: Buffer,
    len: usize,
}

impl TensorMemory {
    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.buffer.as_slice()[..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.buffer.as_mut_slice()[..self.len]
    }

    /// A contiguous tensor of `shape`, which has as many elements as this memory has floats.
    pub(crate) fn into_tensor(self, shape: &[usize]) -> FlexTensor {
        let bytes = size_of_val(self.as_slice());
        // SAFETY: all bytes of the memory are initialized.
        let bytes = unsafe { Bytes::from_controller(Box::new(self), bytes) };
        FlexTensor::from_data(TensorData::from_bytes(bytes, shape.to_vec(), DType::F32))
    }
}

impl Drop for TensorMemory {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let since = idle.requests;
        idle.buffers.push((since, buffer));
    }
}

impl AllocationController for TensorMemory {
    fn alloc_align(&self) -> usize {
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, _: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let floats = self.as_mut_slice();
        // SAFETY: any four bytes are a float, and the caller writes initialized bytes only.
        Ok(unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), size_of_val(floats)) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let floats = self.as_slice();
        // SAFETY: floats are initialized bytes.
        Ok(unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reused_for_tensors_of_the_same_length() {
        let pool = TensorPool::default();
        let place = |memory: &TensorMemory| memory.as_slice().as_ptr() as usize;
        let (first, second) = (pool.take(1000), pool.take(1000));
        let at = place(&first);
        assert_ne!(at, place(&second));
        drop(first);
        assert_eq!(pool.take(990).as_slice().len(), 990);
        let (small, again) = (pool.take(500), pool.take(1000));
        assert_ne!(place(&small), at);
        assert_eq!(place(&again), at);
    }

    #[test]
    fn memory_of_an_unused_length_is_freed() {
        let pool = TensorPool::default();
        drop(pool.take(1000));
        (0..IDLE_REQUESTS).for_each(|_| drop(pool.take(10)));
        assert_eq!(pool.idle.lock().unwrap().buffers.len(), 2);
        let _new = pool.take(20);
        assert_eq!(pool.idle.lock().unwrap().buffers.len(), 1);
    }
}
