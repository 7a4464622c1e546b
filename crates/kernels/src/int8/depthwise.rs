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
    for block in 0..depthwise.scaling.blocks() {
        let mut pixels = region.pixels();
        // SAFETY: guaranteed by the caller; the block exists, and the pixels belong to the region.
        unsafe {
            let (source, target) = (source.add(LANES * block), target.add(LANES * block));
            let panel = (depthwise, region.taps, block);
            if S::BLOCKS > 1 {
                while let Some([from, to]) = pixels.next::<8>() {
                    tile::<S, 8>(panel, source, target, from, to);
                }
            }
            while let Some([from, to]) = pixels.next::<2>() {
                tile::<S, 2>(panel, source, target, from, to);
            }
            while let Some([from, to]) = pixels.next::<1>() {
                tile::<S, 1>(panel, source, target, from, to);
            }
        }
    }
}

/// `R` pixels × 16 channels.
///
/// # Safety
/// As for [`depthwise_body`]; the positions are those of pixels of the region.
#[inline(always)]
unsafe fn tile<S: Integers, const R: usize>(
    (depthwise, taps, block): (&Depthwise, &[usize], usize),
    source: *const u8,
    target: *mut u8,
    from: [usize; R],
    to: [usize; R],
) {
    // SAFETY: guaranteed by the caller; the packed weights have all taps of all blocks.
    unsafe {
        let weights = depthwise.weights.as_ptr().add(block * taps.len() * LANES);
        let scaling = depthwise.scaling.block(block);
        let mut sums = [S::channel_sums(scaling.bias()); R];
        for (index, &tap) in taps.iter().enumerate() {
            let w = S::channel_weights(weights.add(index * LANES));
            for (sum, from) in sums.iter_mut().zip(from) {
                *sum = S::multiply_add(*sum, source.add(from + tap), w);
            }
        }
        S::store_pixels(sums, scaling, to.map(|to| target.add(to)));
    }
}
