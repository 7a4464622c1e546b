//! Idle kernels of a cell, and the memory that all cells of a network share.
//!
//! Contract: a kernel is created for given input sizes and batch, and is used for no others. It
//! serves one call; if the call keeps its activations, it stays in use until the graph drops it.
//! Clones of [`Memory`] and of [`IdleKernels`] share their contents.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::backend::autodiff::NodeId;
use da2s_kernels::Level;
use da2s_plan::CellPlan;

use crate::cpu::{CellKernel, Workspace};
use crate::tensor_memory::TensorPool;

/// What all cells of a network share; clones share it, too.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The instruction set of the kernels; `None` for the best of this CPU.
    level: Option<Level>,
    workspace: Workspace,
    pub(super) tensors: TensorPool,
    /// The graph nodes of cells whose backward pass has not run yet, and whether another cell has
    /// already computed a gradient for them.
    given: Arc<Mutex<HashMap<NodeId, bool>>>,
}

impl Memory {
    /// A memory for kernels with the instruction set `level`.
    pub(crate) fn at_level(level: Level) -> Self {
        Self {
            level: Some(level),
            ..Self::default()
        }
    }

    /// The instruction set of the kernels.
    pub(crate) fn level(&self) -> Level {
        self.level.unwrap_or_else(da2s_kernels::cpu_level)
    }

    pub(super) fn given(&self) -> MutexGuard<'_, HashMap<NodeId, bool>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kernels of one cell that are not held by a graph.
#[derive(Clone, Debug)]
pub(crate) struct IdleKernels {
    pub(super) memory: Memory,
    idle: Arc<Mutex<Vec<SizedKernel>>>,
}

/// A kernel and the sizes it was created for.
#[derive(Debug)]
pub(super) struct SizedKernel {
    sizes: Vec<(usize, usize)>,
    batch: usize,
    pub(super) kernel: CellKernel,
}

impl IdleKernels {
    pub(crate) fn new(memory: &Memory) -> Self {
        Self {
            memory: memory.clone(),
            idle: Arc::default(),
        }
    }

    pub(super) fn take(&self, plan: &CellPlan, sizes: Vec<(usize, usize)>, batch: usize) -> SizedKernel {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match idle.iter().position(|one| one.sizes == sizes && one.batch == batch) {
            Some(at) => idle.swap_remove(at),
            None => {
                let kernel = CellKernel::with_level(plan, &sizes, batch, &self.memory.workspace, self.memory.level());
                SizedKernel { sizes, batch, kernel }
            }
        }
    }

    /// Frees all idle kernels, with what they keep.
    pub(crate) fn free(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn put_back(&self, kernel: SizedKernel) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(kernel);
    }
}
