//! Depthwise convolution with any kernel, stride and dilation. With one tap, it multiplies each
//! channel by a weight.

use super::level::{Level, per_level};
use super::output::Scaling;
use super::simd::Integers;
use super::{LANES, padded};
use crate::region::Region;

/// The packed weights of a depthwise convolution.
#[derive(Clone, Debug)]
pub struct Depthwise {
    /// `[channels/16][taps][16]`.
    weights: Vec<i8>,
    taps: usize,
    scaling: Scaling,
}

impl Depthwise {
    /// Packs PyTorch weights `[channels, 1, k, k]`.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn new(weights: &[i8], channels: usize, scaling: Scaling) -> Self {
        let taps = weights.len() / channels;
        assert_eq!(weights.len(), taps * channels, "weights of a convolution");
        assert_eq!(scaling.outputs(), padded(channels), "scales of a convolution");
        let mut packed = vec![0; scaling.outputs() * taps];
        for (channel, kernel) in weights.chunks_exact(taps).enumerate() {
            for (tap, &weight) in kernel.iter().enumerate() {
                packed[(channel / LANES * taps + tap) * LANES + channel % LANES] = weight;
            }
        }
        Self {
            weights: packed,
            taps,
            scaling,
        }
    }

    /// Computes the output pixels of `region`, all channels.
    ///
    /// # Panics
    /// If the region does not fit the slices or the weights.
    pub fn run(&self, level: Level, region: &Region<'_>, source: &[u8], target: &mut [u8]) {
        if region.is_empty() {
            return;
        }
        assert_eq!(region.taps.len(), self.taps, "taps of a convolution");
        let channels = self.scaling.outputs();
        region.check((channels, source.len()), (channels, target.len()));
        // SAFETY: the region was checked against both slices, and the weights have its taps.
        unsafe { run_depthwise(level, self, region, source.as_ptr(), target.as_mut_ptr()) }
    }
}

per_level! {
    unsafe fn run_depthwise(depthwise: &Depthwise, region: &Region<'_>, source: *const u8, target: *mut u8) = depthwise_body;
}

/// # Safety
/// Requires the instructions of `S` and a checked region.
#[inline(always)]
unsafe fn depthwise_body<S: Integers>(depthwise: &Depthwise, region: &Region<'_>, source: *const u8, target: *mut u8) {
    // SAFETY: guaranteed by the caller; the taps are as stated.
    unsafe {
        if S::BLOCKS > 1 && neighbours(region, 3) {
            blocks::<S, 3>(depthwise, region, source, target);
        } else if S::BLOCKS > 1 && neighbours(region, 5) {
            blocks::<S, 5>(depthwise, region, source, target);
        } else {
            blocks::<S, 1>(depthwise, region, source, target);
        }
    }
}

/// Whether the taps form rows of `side` taps at the distance of output pixels.
fn neighbours(region: &Region<'_>, side: usize) -> bool {
    let apart = |pair: &[usize]| pair[0].checked_add(region.source.pixel) == Some(pair[1]);
    region.taps.len() == side * side && region.taps.chunks(side).all(|row| row.windows(2).all(apart))
}

/// All blocks and pixels, with rows of `K` taps at the distance of output pixels.
///
/// # Safety
/// As for [`depthwise_body`]; the taps are such rows.
#[inline(always)]
unsafe fn blocks<S: Integers, const K: usize>(
    depthwise: &Depthwise,
    region: &Region<'_>,
    source: *const u8,
    target: *mut u8,
) {
    for block in 0..depthwise.scaling.blocks() {
        let mut pixels = region.pixels();
        // SAFETY: guaranteed by the caller; the block exists, and the pixels belong to the region.
        unsafe {
            let panel = Panel {
                depthwise,
                region,
                block,
                source: source.add(LANES * block),
                target: target.add(LANES * block),
            };
            if S::BLOCKS > 1 && (K == 1 || region.extent.columns >= 8) {
                while let Some([from, to]) = pixels.next::<8>() {
                    panel.tile::<S, K, 8>(from, to);
                }
            }
            if S::BLOCKS > 1 && K > 1 {
                while let Some([from, to]) = pixels.next::<4>() {
                    panel.tile::<S, K, 4>(from, to);
                }
            }
            while let Some([from, to]) = pixels.next::<2>() {
                panel.tile::<S, K, 2>(from, to);
            }
            while let Some([from, to]) = pixels.next::<1>() {
                panel.tile::<S, 1, 1>(from, to);
            }
        }
    }
}

/// The pixels of a block of 16 channels.
struct Panel<'a> {
    depthwise: &'a Depthwise,
    region: &'a Region<'a>,
    block: usize,
    source: *const u8,
    target: *mut u8,
}

impl Panel<'_> {
    /// `R` pixels. If they are neighbours, a value that `K` of them read is loaded once.
    ///
    /// # Safety
    /// As for [`blocks`]; the positions are those of pixels of the region.
    #[inline(always)]
    unsafe fn tile<S: Integers, const K: usize, const R: usize>(&self, from: [usize; R], to: [usize; R]) {
        let Self { depthwise, block, .. } = *self;
        let (taps, pixel) = (self.region.taps, self.region.source.pixel);
        let in_a_row = K > 1 && (1..R).all(|r| from[r] == from[0] + r * pixel);
        // SAFETY: guaranteed by the caller; the packed weights have all taps of all blocks.
        unsafe {
            let weights = depthwise.weights.as_ptr().add(block * taps.len() * LANES);
            let scaling = depthwise.scaling.block(block);
            let mut sums = [S::channel_sums(scaling.bias()); R];
            if in_a_row {
                for (row, taps) in taps.chunks_exact(K).enumerate() {
                    let weights = weights.add(row * K * LANES);
                    let mut w = [S::channel_weights(weights); K];
                    for (k, w) in w.iter_mut().enumerate().skip(1) {
                        *w = S::channel_weights(weights.add(k * LANES));
                    }
                    for at in 0..R + K - 1 {
                        let x = S::channels(self.source.add(from[0] + taps[0] + at * pixel));
                        for (k, &w) in w.iter().enumerate() {
                            if k <= at && at - k < R {
                                sums[at - k] = S::multiply_add(sums[at - k], x, w);
                            }
                        }
                    }
                }
            } else {
                for (index, &tap) in taps.iter().enumerate() {
                    let w = S::channel_weights(weights.add(index * LANES));
                    for (sum, from) in sums.iter_mut().zip(from) {
                        *sum = S::multiply_add(*sum, S::channels(self.source.add(from + tap)), w);
                    }
                }
            }
            S::store_pixels(sums, scaling, to.map(|to| self.target.add(to)));
        }
    }
}
