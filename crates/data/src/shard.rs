//! What a process has of every batch.
//!
//! Contract: the shards of a group are disjoint, of one size, and side by side they are the batch
//! of one process.

use std::ops::Range;

/// Part `rank` of `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The process, from 0.
    pub rank: usize,
    /// Processes in all.
    pub size: usize,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { rank: 0, size: 1 };

    /// Its places in the whole, where each process has `each`.
    pub fn places(self, each: usize) -> Range<usize> {
        self.rank * each..(self.rank + 1) * each
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}
