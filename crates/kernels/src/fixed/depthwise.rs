//! Depthwise convolution with any kernel, stride and dilation. With one tap it is a scale and a
//! shift per channel; with weights of 1 and no bias it copies, adds and limits.

use super::{Bounds, Memory, Pointers, Region};
use crate::level::Level;
use crate::simd::{LANES, Simd, per_level};

/// A depthwise convolution. Its packed weights are `[channels/16]`: 16 biases, then `[taps][16]`.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise {
    /// Channels.
    pub channels: usize,
    /// Positions of its window.
    pub taps: usize,
    /// The bounds of its result.
    pub bounds: Bounds,
    /// Whether only its channels are written, and not those that pad the last block: other tensors
    /// follow in the same pixel.
    pub partial: bool,
}

impl Depthwise {
    fn block_len(&self) -> usize {
        LANES * (1 + self.taps)
    }

    /// Blocks of 16 channels.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Floats of the packed weights.
    pub fn packed_len(&self) -> usize {
        self.blocks() * self.block_len()
    }

    /// Packs PyTorch weights `[channels, 1, k, k]` and a bias per channel, if there are any.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn pack(&self, weights: &[f32], bias: Option<&[f32]>, packed: &mut [f32]) {
        assert_eq!(weights.len(), self.channels * self.taps, "weights of a convolution");
        assert!(
            bias.is_none_or(|bias| bias.len() == self.channels),
            "biases of a convolution"
        );
        assert_eq!(packed.len(), self.packed_len(), "packed weights of a convolution");
        packed.fill(0.0);
        for (channel, kernel) in weights.chunks(self.taps).enumerate() {
            let block = &mut packed[channel / LANES * self.block_len()..][..self.block_len()];
            block[channel % LANES] = bias.map_or(0.0, |bias| bias[channel]);
            for (tap, &weight) in kernel.iter().enumerate() {
                block[LANES * (1 + tap) + channel % LANES] = weight;
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
        let sizes = (LANES * region.blocks.end, self.written(region.blocks.end));
        let pointers = region.checked((self.taps, self.blocks()), sizes, memory);
        // SAFETY: the region was checked against the memory and the weights; the caller guarantees
        // the rest.
        unsafe {
            if memory.added.is_some() {
                run_depthwise::<true>(level, self, packed.as_ptr(), region, pointers);
            } else {
                run_depthwise::<false>(level, self, packed.as_ptr(), region, pointers);
            }
        }
    }

    /// Channels of the first `blocks` blocks that are written.
    fn written(&self, blocks: usize) -> usize {
        if self.partial {
            self.channels.min(LANES * blocks)
        } else {
            LANES * blocks
        }
    }
}

per_level! {
    unsafe fn run_depthwise {const ADD: bool} {ADD} (depthwise: &Depthwise, packed: *const f32, region: &Region<'_>, pointers: Pointers) = depthwise_body;
}

/// # Safety
/// Requires the instructions of `S` and a checked region.
#[inline(always)]
unsafe fn depthwise_body<S: Simd, const ADD: bool>(
    depthwise: &Depthwise,
    packed: *const f32,
    region: &Region<'_>,
    pointers: Pointers,
) {
    let mut pixels = region.pixels();
    let panel = Panel {
        depthwise,
        region,
        packed,
        pointers,
    };
    // SAFETY: guaranteed by the caller; the pixels belong to the region.
    unsafe {
        if S::WIDE {
            while let Some(at) = pixels.next::<12>() {
                panel.tiles::<S, 12, ADD>(at);
            }
        }
        while let Some(at) = pixels.next::<4>() {
            panel.tiles::<S, 4, ADD>(at);
        }
        while let Some(at) = pixels.next::<1>() {
            panel.tiles::<S, 1, ADD>(at);
        }
    }
}

/// The pixels and blocks of a call.
struct Panel<'a> {
    depthwise: &'a Depthwise,
    region: &'a Region<'a>,
    packed: *const f32,
    pointers: Pointers,
}

impl Panel<'_> {
    /// Some pixels × all blocks, one block after another: what they read is adjacent in memory.
    ///
    /// # Safety
    /// As for [`depthwise_body`]; the positions are those of pixels of the region.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const R: usize, const ADD: bool>(&self, at: [[usize; R]; 3]) {
        for block in self.region.blocks.clone() {
            // SAFETY: guaranteed by the caller; the block exists.
            unsafe { self.tile::<S, R, ADD>(at, block) };
        }
    }

    /// # Safety
    /// As for [`Panel::tiles`]; the block exists.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const ADD: bool>(&self, [from, to, plus]: [[usize; R]; 3], block: usize) {
        let Self {
            depthwise, pointers, ..
        } = *self;
        let channel = LANES * block;
        let lanes = depthwise.written(block + 1) - channel;
        // SAFETY: guaranteed by the caller; weights have been counted in the same way when packed.
        unsafe {
            let weights = self.packed.add(block * depthwise.block_len());
            let mut sums = [S::load(weights); R];
            let source = pointers.source.add(channel);
            for (index, &tap) in self.region.taps.iter().enumerate() {
                let w = S::load(weights.add(LANES * (1 + index)));
                let source = source.add(tap);
                for (sum, from) in sums.iter_mut().zip(from) {
                    *sum = S::fma(S::load(source.add(from)), w, *sum);
                }
            }
            for ((sum, to), plus) in sums.into_iter().zip(to).zip(plus) {
                pointers.finish::<S, ADD>(depthwise.bounds, sum, (to + channel, plus + channel), lanes);
            }
        }
    }
}
