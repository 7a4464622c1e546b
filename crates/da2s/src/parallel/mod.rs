//! Processes that train one model together, each on its own part of every batch.
//!
//! Reference: synchronous data-parallel SGD, as PyTorch's `DistributedDataParallel` (Li et al.,
//! "PyTorch Distributed", VLDB 2020). Contract: every process has the same weights, statistics, α
//! and β at every step, bit for bit. Sums are formed in the order of the ranks, in `f64`, so that
//! they depend only on the number of processes, not on the transport. All processes of a group call
//! the same functions in the same order. A group of one has no cost and no effect.
//!
//! Messages go over MPI, not over Burn's own collectives: in Burn 0.22 these connect the devices of
//! one process through NCCL and are unimplemented on the CPU. MPI works on one CPU or many
//! machines, with any of Burn's devices; it costs one copy to the host and back per step, which
//! NCCL would avoid.

#[cfg(feature = "mpi")]
mod mpi;

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use da2s_records::Sha256;

#[cfg(feature = "mpi")]
pub use mpi::{Mpi, MpiError};

use crate::data::Shard;
use crate::device::host;

/// Carries messages between the processes of a group. Every call is collective.
pub trait Transport: Debug + Send + Sync {
    /// Index of this process, from 0.
    fn rank(&self) -> usize;

    /// Number of processes.
    fn size(&self) -> usize;

    /// The values of every process, in the order of the ranks; all must pass equally many.
    fn all_gather(&self, own: &[f32]) -> Vec<f32>;

    /// Like [`Self::all_gather`], for integers.
    fn all_gather_words(&self, own: &[u64]) -> Vec<u64>;

    /// Piece `rank` of every process's values, in the order of the ranks; all must pass `size`
    /// pieces of equal length.
    fn all_to_all(&self, own: &[f32]) -> Vec<f32>;

    /// The value of rank 0.
    fn broadcast(&self, own: Vec<u8>) -> Vec<u8>;

    /// Ends all processes at once, with `code`.
    fn abort(&self, code: i32) -> !;
}

/// Processes of a group with different states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the processes of this run do not have the same {what}: they need the same build, the same kind of machine and the same images"
)]
pub struct Apart {
    /// What differs.
    pub what: &'static str,
}

/// The processes that train together; by default there is one.
#[derive(Clone, Debug, Default)]
pub struct Group {
    transport: Option<Arc<dyn Transport>>,
}

impl Group {
    /// This process alone.
    pub fn alone() -> Self {
        Self::default()
    }

    /// The processes that `transport` connects.
    pub fn over(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport: Some(transport).filter(|transport| transport.size() > 1),
        }
    }

    /// Index of this process, from 0.
    pub fn rank(&self) -> usize {
        self.transport.as_ref().map_or(0, |transport| transport.rank())
    }

    /// Number of processes.
    pub fn size(&self) -> usize {
        self.transport.as_ref().map_or(1, |transport| transport.size())
    }

    /// Whether this is the process that writes and reports.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// This process's part of every batch.
    pub fn shard(&self) -> Shard {
        Shard {
            rank: self.rank(),
            size: self.size(),
        }
    }

    /// The mean of each tensor over all processes. A tensor must be present in all processes or in
    /// none.
    pub fn average(&self, tensors: Vec<Option<Tensor<1>>>) -> Vec<Option<Tensor<1>>> {
        let Some(transport) = &self.transport else {
            return tensors;
        };
        let own: Vec<f32> = tensors.iter().flatten().flat_map(host).collect();
        let mean = mean(&**transport, own);
        let mut rest = mean.as_slice();
        let mut next = |tensor: Tensor<1>| {
            let (values, after) = rest.split_at(tensor.dims()[0]);
            rest = after;
            Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &tensor.device())
        };
        tensors.into_iter().map(|tensor| tensor.map(&mut next)).collect()
    }

    /// Sums over all processes.
    pub fn sum<const N: usize>(&self, own: [f64; N]) -> [f64; N] {
        let Some(transport) = &self.transport else {
            return own;
        };
        let all = transport.all_gather_words(&own.map(f64::to_bits));
        let mut sums = [0.0; N];
        for process in all.chunks_exact(N.max(1)) {
            for (sum, &bits) in sums.iter_mut().zip(process) {
                *sum += f64::from_bits(bits);
            }
        }
        sums
    }

    /// For each flag, whether it is set in some process.
    pub fn any<const N: usize>(&self, own: [bool; N]) -> [bool; N] {
        self.sum(own.map(|wish| f64::from(u8::from(wish))))
            .map(|wishes| wishes > 0.0)
    }

    /// Returns an error if the processes have different `what`, comparing `bytes` by their SHA-256;
    /// `bytes` is not called if there is only one process.
    ///
    /// # Errors
    /// [`Apart`], in every process.
    pub fn check_alike(&self, what: &'static str, bytes: impl FnOnce() -> Vec<u8>) -> Result<(), Apart> {
        let Some(transport) = &self.transport else {
            return Ok(());
        };
        let digest = Sha256::over(bytes()).digest();
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let words: Vec<u64> = digest.chunks_exact(8).map(word).collect();
        let all = transport.all_gather_words(&words);
        if all.chunks_exact(words.len()).all(|other| other == &all[..words.len()]) {
            Ok(())
        } else {
            Err(Apart { what })
        }
    }

    /// The result of `own` in the leading process; it is not called in the others.
    ///
    /// # Errors
    /// The error of `own`. The other processes still wait then, and must be ended: see
    /// [`Self::abort`].
    pub fn from_leader<E>(&self, own: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
        let own = if self.leads() { own()? } else { Vec::new() };
        Ok(match &self.transport {
            None => own,
            Some(transport) => transport.broadcast(own),
        })
    }

    /// Ends the other processes and this one, after an error that the others do not know about.
    /// Returns if there are no others.
    pub fn abort(&self, code: i32) {
        if let Some(transport) = &self.transport {
            transport.abort(code);
        }
    }
}

/// The mean of `own` over all processes. Each process sums one piece, in the order of the ranks, so
/// it receives and sends about twice its own data, however many processes there are.
fn mean(transport: &dyn Transport, mut own: Vec<f32>) -> Vec<f32> {
    let (length, size) = (own.len(), transport.size());
    let piece = length.div_ceil(size);
    if piece == 0 {
        return own;
    }
    own.resize(piece * size, 0.0);
    let mut sums = vec![0.0f64; piece];
    for process in transport.all_to_all(&own).chunks_exact(piece) {
        for (sum, &value) in sums.iter_mut().zip(process) {
            *sum += f64::from(value);
        }
    }
    let means: Vec<f32> = sums.iter().map(|sum| (sum / size as f64) as f32).collect();
    let mut all = transport.all_gather(&means);
    all.truncate(length);
    all
}

/// The elements of tensors as bytes, for [`Group::check_alike`].
pub(crate) fn bytes_of<'a>(tensors: impl Iterator<Item = &'a Tensor<1>>) -> Vec<u8> {
    tensors.flat_map(host).flat_map(|value| value.to_le_bytes()).collect()
}
