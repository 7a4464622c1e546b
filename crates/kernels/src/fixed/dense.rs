//! Dense convolution with any kernel, stride and dilation, pointwise included.
//!
//! A tile of output pixels × output channels stays in registers across all taps and input channels,
//! and a tap is an offset in the image, which is read in place (see [`crate::dense`]). Unlike
//! in that module, the weights of 16 output channels follow each other in memory in the order in
//! which they are read: with many channels and few pixels, most of the time goes into reading
//! weights.

use super::{Bounds, Memory, Pointers, Region};
use crate::level::Level;
use crate::simd::{LANES, Simd, per_level};

/// A convolution. Its packed weights are `[outputs/16]`: 16 biases, then `[taps][inputs][16]`.
#[derive(Clone, Copy, Debug)]
pub struct Dense {
    /// Channels that it reads.
    pub inputs: usize,
    /// Channels that it writes.
    pub outputs: usize,
    /// Positions of its window.
    pub taps: usize,
    /// The bounds of its result.
    pub bounds: Bounds,
}

impl Dense {
    /// Output channels of a block.
    pub const BLOCK: usize = LANES;

    /// Floats of the packed weights of a block.
    pub fn block_len(&self) -> usize {
        LANES * (1 + self.taps * self.inputs)
    }

    /// Blocks of 16 output channels.
    pub fn blocks(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// Floats of the packed weights.
    pub fn packed_len(&self) -> usize {
        self.blocks() * self.block_len()
    }

    /// Packs PyTorch weights `[outputs, inputs, k, k]` and a bias per output. Every float of
    /// `packed` is written.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn pack(&self, weights: &[f32], bias: &[f32], packed: &mut [f32]) {
        let per_output = self.taps * self.inputs;
        assert_eq!(weights.len(), self.outputs * per_output, "weights of a convolution");
        assert_eq!(bias.len(), self.outputs, "biases of a convolution");
        assert_eq!(packed.len(), self.packed_len(), "packed weights of a convolution");
        let (biases, rows) = (bias.chunks(LANES), weights.chunks(LANES * per_output.max(1)));
        let blocks = packed.chunks_mut(self.block_len());
        for ((block, bias), rows) in blocks.zip(biases).zip(rows) {
            let (first, block) = block.split_at_mut(LANES);
            first.fill(0.0);
            first[..bias.len()].copy_from_slice(bias);
            // Whole cache lines are written one after another, and 16 rows are read side by side.
            for (tap, inputs) in block.chunks_mut(LANES * self.inputs.max(1)).enumerate() {
                let (lines, _) = inputs.as_chunks_mut::<LANES>();
                for (input, line) in lines.iter_mut().enumerate() {
                    let first = input * self.taps + tap;
                    for (output, weight) in line.iter_mut().enumerate() {
                        // The last block may have fewer than 16 rows.
                        *weight = rows.get(output * per_output + first).copied().unwrap_or(0.0);
                    }
                }
            }
        }
    }

    /// Computes the blocks and pixels of `region`.
    ///
    /// # Panics
    /// If the region does not fit the memory or the weights.
    ///
    /// # Safety
    /// The memory is valid during the call. No other thread writes to what is read, or reads or
    /// writes what is written.
    pub unsafe fn run(&self, level: Level, packed: &[f32], region: &Region<'_>, memory: Memory) {
        if region.is_empty() {
            return;
        }
        assert_eq!(packed.len(), self.packed_len(), "packed weights of a convolution");
        let sizes = (self.inputs, LANES * region.blocks.end);
        let pointers = region.checked((self.taps, self.blocks()), sizes, memory);
        // SAFETY: the region was checked against the memory and the weights; the caller guarantees
        // the rest.
        unsafe {
            if memory.added.is_some() {
                run_dense::<true>(level, self, packed.as_ptr(), region, pointers);
            } else {
                run_dense::<false>(level, self, packed.as_ptr(), region, pointers);
            }
        }
    }
}

per_level! {
    unsafe fn run_dense {const ADD: bool} {ADD} (dense: &Dense, packed: *const f32, region: &Region<'_>, pointers: Pointers) = dense_body;
}

/// Blocks in a tile, at most.
const fn widest<S: Simd>() -> usize {
    if S::WIDE { 4 } else { 1 }
}

/// # Safety
/// Requires the instructions of `S` and a checked region.
#[inline(always)]
unsafe fn dense_body<S: Simd, const ADD: bool>(
    dense: &Dense,
    packed: *const f32,
    region: &Region<'_>,
    pointers: Pointers,
) {
    let blocks = region.blocks.len();
    let count = blocks.div_ceil(widest::<S>());
    for column in 0..count {
        // Columns of nearly equal width.
        let first = region.blocks.start + column * blocks / count;
        let next = region.blocks.start + (column + 1) * blocks / count;
        // SAFETY: guaranteed by the caller; the blocks exist.
        unsafe {
            let panel = Panel {
                dense,
                region,
                pointers,
                weights: packed.add(first * dense.block_len()),
                channel: LANES * first,
            };
            match (S::WIDE, next - first) {
                (false, _) => panel.run::<S, 6, 1, ADD>(),
                (true, 1) => panel.run::<S, 12, 1, ADD>(),
                (true, 2) => panel.run::<S, 12, 2, ADD>(),
                (true, 3) => panel.run::<S, 8, 3, ADD>(),
                (true, _) => panel.run::<S, 6, 4, ADD>(),
            }
        }
    }
}

/// All pixels × some blocks of output channels.
struct Panel<'a> {
    dense: &'a Dense,
    region: &'a Region<'a>,
    pointers: Pointers,
    /// Those of the first block.
    weights: *const f32,
    /// The first channel.
    channel: usize,
}

impl Panel<'_> {
    /// Tiles of `R` pixels × `V` blocks, then of fewer pixels.
    ///
    /// # Safety
    /// Requires the instructions of `S` and a checked region; the blocks exist.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const V: usize, const ADD: bool>(&self) {
        let mut pixels = self.region.pixels();
        // SAFETY: guaranteed by the caller; the pixels belong to the region.
        unsafe {
            while let Some(at) = pixels.next::<R>() {
                self.tile::<S, R, V, ADD>(at);
            }
            while let Some(at) = pixels.next::<4>() {
                self.tile::<S, 4, V, ADD>(at);
            }
            while let Some(at) = pixels.next::<1>() {
                self.tile::<S, 1, V, ADD>(at);
            }
        }
    }

    /// # Safety
    /// As for [`Panel::run`]; the positions are those of pixels of the region.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize, const ADD: bool>(&self, [from, to, plus]: [[usize; R]; 3]) {
        let dense = self.dense;
        let step = dense.block_len();
        // SAFETY: guaranteed by the caller; weights have been counted in the same way when packed.
        unsafe {
            let mut weights = self.weights;
            let mut sums = [[S::zero(); V]; R];
            for v in 0..V {
                let bias = S::load(weights.add(v * step));
                for sums in &mut sums {
                    sums[v] = bias;
                }
            }
            weights = weights.wrapping_add(LANES);
            for &tap in self.region.taps {
                let mut source = self.pointers.source.add(tap);
                for _ in 0..dense.inputs {
                    let mut w = [S::zero(); V];
                    for (v, w) in w.iter_mut().enumerate() {
                        *w = S::load(weights.add(v * step));
                    }
                    for (sums, from) in sums.iter_mut().zip(from) {
                        let x = S::splat(*source.add(from));
                        for (sum, &w) in sums.iter_mut().zip(&w) {
                            *sum = S::fma(x, w, *sum);
                        }
                    }
                    // After the last input these may point past the memory, where nothing is read.
                    weights = weights.wrapping_add(LANES);
                    source = source.wrapping_add(1);
                }
            }
            for ((sums, to), plus) in sums.into_iter().zip(to).zip(plus) {
                for (v, sum) in sums.into_iter().enumerate() {
                    let channel = self.channel + LANES * v;
                    let places = (to + channel, plus + channel);
                    self.pointers.finish::<S, ADD>(dense.bounds, sum, places, LANES);
                }
            }
        }
    }
}
