//! Passes over the batch, run by all threads of the current pool.
//!
//! The batch is cut into blocks whose number depends on the batch alone. Each block is one task.
//! Sums over the batch are computed per block and then over the blocks in order, so the number of
//! threads does not change a single bit.

use std::ops::Range;

use rayon::prelude::*;

use super::memory::Workspace;

/// Number of blocks of a batch.
pub(super) fn blocks(batch: usize) -> usize {
    batch.min(16)
}

/// Runs `work(block, images of the block, scratch)` for every block.
pub(super) fn for_each_block(
    batch: usize,
    workspace: &Workspace,
    scratch_len: usize,
    work: impl Fn(usize, Range<usize>, &mut [f32]) + Sync,
) {
    let blocks = blocks(batch);
    (0..blocks).into_par_iter().with_max_len(1).for_each(|block| {
        let mut scratch = workspace.lease(scratch_len);
        work(
            block,
            block * batch / blocks..(block + 1) * batch / blocks,
            scratch.as_mut_slice(),
        );
    });
}
