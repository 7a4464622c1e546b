//! The part of every batch that a process gets.
//!
//! Contract: the shards of a group are disjoint and of equal size, and their concatenation is the
//! batch of a single process.

use std::ops::Range;

/// Part `rank` of `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Index of the process, from 0.
    pub rank: usize,
    /// Number of processes.
    pub size: usize,
}

impl Shard {
    /// The complete batch.
    pub const WHOLE: Self = Self { rank: 0, size: 1 };

    /// The range of this process's samples within the complete batch, if each process has `each`.
    pub fn places(self, each: usize) -> Range<usize> {
        self.rank * each..(self.rank + 1) * each
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}
