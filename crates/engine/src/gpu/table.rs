//! Tables: what a launch computes, as numbers that its kernel reads.
//!
//! A cell has hundreds of small convolutions. A separate launch for each would take longer than the
//! work itself, so one launch runs all of the same kind that are ready at the same time. The third
//! dimension of its grid counts *records* of a table, which say where in the cell's memory each of
//! them reads and writes. Every record has [`FIELDS`] numbers, whatever its kind.

/// Numbers per record.
pub(super) const FIELDS: u32 = 28;
/// Numbers per channel in the memory of norms.
pub(super) const SLOT_FIELDS: u32 = 9;
/// The value of an empty field.
pub(super) const NONE: u32 = u32::MAX;
/// Added to a padding, which may be negative.
pub(super) const PAD_BIAS: u32 = 64;

/// The fields of a record.
pub(super) mod field {
    /// Start of the source among the activations.
    pub const SOURCE: u32 = 0;
    /// First slot of the batch norm that is applied to the source when it is read;
    /// [`NONE`](super::NONE) if there is none.
    pub const SOURCE_SLOT: u32 = 1;
    /// Whether ReLU is then applied to the source.
    pub const RELU: u32 = 2;
    /// Channels, height and width of the source.
    pub const INPUTS: u32 = 3;
    pub const IN_HEIGHT: u32 = 4;
    pub const IN_WIDTH: u32 = 5;
    /// Start of the result among the activations.
    pub const RESULT: u32 = 6;
    /// Channels of the result, the first one written and how many are written.
    pub const RESULT_CHANNELS: u32 = 7;
    pub const RESULT_FIRST: u32 = 8;
    pub const OUTPUTS: u32 = 9;
    pub const OUT_HEIGHT: u32 = 10;
    pub const OUT_WIDTH: u32 = 11;
    /// Start of the kernel among the weights, and of the bias.
    pub const WEIGHT: u32 = 12;
    pub const BIAS: u32 = 13;
    pub const KERNEL: u32 = 14;
    pub const STRIDE: u32 = 15;
    /// Padding plus [`PAD_BIAS`](super::PAD_BIAS).
    pub const PADDING: u32 = 16;
    pub const DILATION: u32 = 17;
    /// What a window yields: one of [`kind`](super::kind).
    pub const KIND: u32 = 18;
    /// First slot of the batch norm that follows the result; [`NONE`](super::NONE) if the gradient
    /// is that of the result itself.
    pub const SLOT: u32 = 19;
    /// Start of that norm's scale among the weights; its shift follows.
    pub const GAMMA: u32 = 20;
    /// The source of the norm's statistics: one of [`mode`](super::mode).
    pub const MODE: u32 = 21;
    /// Index in the mixture and in drop-path.
    pub const CHOICE: u32 = 22;
    /// Start of the gradient of the norm's output among the gradients.
    pub const GRADIENT: u32 = 23;
    /// In a target, a record for a gradient to which other records add: its start among the
    /// gradients.
    pub const TARGET: u32 = 24;
    /// In a target: the first of the consecutive records that add to it, and their number.
    pub const FIRST: u32 = 25;
    pub const COUNT: u32 = 26;
    /// In a target: whether the gradient already has a value.
    pub const ADDS: u32 = 27;
}

/// What a window yields.
pub(super) mod kind {
    pub const MAX: u32 = 0;
    pub const AVERAGE: u32 = 1;
    /// The source itself.
    pub const IDENTITY: u32 = 2;
}

/// The source of a norm's statistics.
pub(super) mod mode {
    pub const BATCH: u32 = 0;
    pub const RUNNING: u32 = 1;
    /// There is no norm: mean 0, deviation 1.
    pub const UNIT: u32 = 2;
}

/// The numbers of a slot, one slot per channel of a norm. If `x` is the norm's input and `g` the
/// gradient of its output, the output is `SCALE·x + SHIFT` and the gradient of `x` is `OF_G·g +
/// OF_X·x + REST`.
pub(super) mod slot {
    pub const MEAN: u32 = 0;
    /// Unbiased.
    pub const VARIANCE: u32 = 1;
    pub const INVERSE_DEVIATION: u32 = 2;
    pub const SCALE: u32 = 3;
    pub const SHIFT: u32 = 4;
    pub const OF_G: u32 = 5;
    pub const OF_X: u32 = 6;
    pub const REST: u32 = 7;
    /// The channel's share of the gradient of the mixture.
    pub const OF_MIXTURE: u32 = 8;
}

/// A record under construction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record([u32; FIELDS as usize]);

impl Record {
    /// An empty record.
    pub(super) fn new() -> Self {
        Self([NONE; FIELDS as usize])
    }

    /// The record with `field` set to `value`.
    pub(super) fn with(mut self, field: u32, value: usize) -> Self {
        self.0[field as usize] = u32::try_from(value).unwrap_or(NONE);
        self
    }

    /// The value of `field`.
    pub(super) fn get(&self, field: u32) -> u32 {
        self.0[field as usize]
    }
}

/// Consecutive records, as kernels read them.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordTable(Vec<u32>);

/// The records that one launch processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub first: u32,
    pub count: u32,
}

impl RecordTable {
    /// Adds `records`.
    pub(super) fn push(&mut self, records: impl IntoIterator<Item = Record>) -> Span {
        let first = self.0.len() as u32 / FIELDS;
        for record in records {
            self.0.extend(record.0);
        }
        Span {
            first,
            count: self.0.len() as u32 / FIELDS - first,
        }
    }

    /// The numbers.
    pub(super) fn numbers(&self) -> &[u32] {
        &self.0
    }
}
