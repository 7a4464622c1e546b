//! Depthwise convolution: every channel has its own k×k kernel.
//!
//! The weights are tables, one per tap (see [`pack`]). A call computes a region of the output from
//! a [`Padded`] image. The gradient of the input is the same loop over the padded output gradients,
//! with the transposed taps ([`Window::transposed`]). At stride 1, pixels are contiguous in both
//! images, so a row is one flat run and any number of channels fills whole vectors. At other
//! strides, each vector has channels of a single pixel. This is also done at stride 1 if the number
//! of channels makes it about as fast.
//!
//! [`Padded`]: crate::Padded
//! [`Window::transposed`]: crate::Window::transposed

mod rows;
mod weights;

use self::rows::{flat, pixels, splits_well};
use self::weights::weights_body;
use crate::image::{Extent, View};
use crate::level::Level;
use crate::simd::per_level;
use crate::table;
use crate::taps::Taps;

/// Packs PyTorch weights `[channels, 1, k, k]` into one table per tap.
pub fn pack(weights: &[f32], channels: usize, packed: &mut [f32]) {
    let taps = weights.len() / channels;
    for (tap, table) in packed.chunks_exact_mut(table::length(channels)).enumerate() {
        table::fill(
            table,
            (0..channels).map(|channel| weights[channel * taps + tap]),
            channels,
        );
    }
}

/// Adds packed weight gradients (one table per tap) to `weights`, in PyTorch order.
pub fn unpack_add(packed: &[f32], channels: usize, weights: &mut [f32]) {
    let taps = weights.len() / channels;
    for (tap, table) in packed.chunks_exact(table::length(channels)).enumerate() {
        for copy in table.chunks_exact(channels) {
            for (channel, value) in copy.iter().enumerate() {
                weights[channel * taps + tap] += value;
            }
        }
    }
}

/// What a call computes, and where.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    /// Channels.
    pub channels: usize,
    /// Output pixels.
    pub extent: Extent,
    /// Position of the pixel under the window's origin, for each output pixel.
    pub source: View,
    /// Positions of the output pixels.
    pub target: View,
    /// The table that each tap uses and the offset at which it reads, relative to `source`.
    pub taps: &'a Taps,
}

impl Region<'_> {
    fn check(&self, source: &[f32], target_len: usize) {
        let ends = [self.source.at, self.source.last(self.extent)];
        assert!(
            self.taps.stay_within(ends, self.channels, source.len()),
            "a tap reads outside the image"
        );
        assert!(
            self.target.last(self.extent).saturating_add(self.channels) <= target_len,
            "the output does not fit"
        );
    }

    fn is_flat(&self) -> bool {
        self.source.pixel == self.channels && self.target.pixel == self.channels
    }
}

/// `target = Σ_tap weights[tap] · source[tap]`, or `+=` if `accumulate`.
pub fn convolve(level: Level, region: &Region, weights: &[f32], source: &[f32], accumulate: bool, target: &mut [f32]) {
    if region.extent.rows == 0 || region.extent.columns == 0 {
        return;
    }
    region.check(source, target.len());
    let period = table::length(region.channels);
    assert!(region.taps.needed() <= weights.len() / period, "too few weights");
    let (from, to) = (source.as_ptr(), target.as_mut_ptr());
    // SAFETY: the region was checked against both slices and the weights.
    unsafe {
        if region.is_flat() && !splits_well(region.channels) {
            match region.taps.neighbours(5, period) {
                Some(apart) => run_flat::<5>(level, region, weights.as_ptr(), from, accumulate, to, apart),
                None => run_flat::<0>(level, region, weights.as_ptr(), from, accumulate, to, 1),
            }
        } else {
            let neighbours = |side| region.taps.neighbours(side, region.source.pixel);
            match (neighbours(3), neighbours(5)) {
                (Some(apart), _) => run_pixels::<3>(level, region, weights.as_ptr(), from, accumulate, to, apart),
                (None, Some(apart)) => run_pixels::<5>(level, region, weights.as_ptr(), from, accumulate, to, apart),
                (None, None) => run_pixels::<0>(level, region, weights.as_ptr(), from, accumulate, to, 1),
            }
        }
    }
}

/// `sums[tap] += Σ_pixels gradient · source[tap]`: the gradient of the weights. `region.target`
/// gives the positions of the output gradients; `sums` has one table for each of `region.taps`.
pub fn weight_gradient(level: Level, region: &Region, source: &[f32], gradient: &[f32], sums: &mut [f32]) {
    if region.extent.rows == 0 || region.extent.columns == 0 {
        return;
    }
    region.check(source, gradient.len());
    let period = table::length(region.channels);
    assert!(region.taps.needed() <= sums.len() / period, "too few sums");
    // SAFETY: the region was checked against both slices and the sums.
    unsafe { run_weights(level, region, source.as_ptr(), gradient.as_ptr(), sums.as_mut_ptr()) }
}

per_level! {
    unsafe fn run_flat {const K: usize} {K} (region: &Region, weights: *const f32, source: *const f32, accumulate: bool, target: *mut f32, apart: usize) = flat;
    unsafe fn run_pixels {const K: usize} {K} (region: &Region, weights: *const f32, source: *const f32, accumulate: bool, target: *mut f32, apart: usize) = pixels;
    unsafe fn run_weights {} {} (region: &Region, source: *const f32, gradient: *const f32, sums: *mut f32) = weights_body;
}
