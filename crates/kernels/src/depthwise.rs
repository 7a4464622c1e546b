//! Depthwise convolution: every channel with its own k×k kernel.
//!
//! Weights are tables, one a tap (see [`pack`]). A call computes a region of the output from a [`Padded`] image; the
//! gradient of the input is the same walk over the padded image of output gradients with the transposed taps
//! ([`Window::transposed`]). Where pixels are neighbours on both sides (stride 1), a row is one flat run, so that any
//! number of channels fills whole vectors; otherwise vectors are channels of one pixel.
//!
//! [`Padded`]: crate::Padded
//! [`Window::transposed`]: crate::Window::transposed

use crate::image::{Extent, View};
use crate::level::Level;
use crate::simd::{LANES, Simd, per_level};
use crate::table;

/// Writes PyTorch weights `[channels, 1, k, k]` as one table a tap.
pub fn pack(weights: &[f32], channels: usize, packed: &mut [f32]) {
    let taps = weights.len() / channels;
    for (tap, table) in packed.chunks_exact_mut(table::length(channels)).enumerate() {
        table::fill(table, (0..channels).map(|channel| weights[channel * taps + tap]), channels);
    }
}

/// Adds packed gradients of the weights (one table a tap) to `weights` in PyTorch order.
pub fn unpack_add(packed: &[f32], channels: usize, weights: &mut [f32]) {
    let taps = weights.len() / channels;
    for (tap, table) in packed.chunks_exact(table::length(channels)).enumerate() {
        for (at, value) in table.iter().enumerate() {
            weights[at % channels * taps + tap] += value;
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
    /// Where the pixel under the window's origin lies for each output pixel.
    pub source: View,
    /// Where output pixels lie.
    pub target: View,
    /// Which table each tap uses.
    pub taps: &'a [usize],
    /// Where each tap reads, relative to `source`.
    pub offsets: &'a [isize],
}

impl Region<'_> {
    fn check(&self, source: &[f32], target_len: usize) {
        assert_eq!(self.taps.len(), self.offsets.len());
        let first = self.source.at as isize + self.offsets.iter().min().copied().unwrap_or(0);
        let last = self.source.last(self.extent) as isize + self.offsets.iter().max().copied().unwrap_or(0);
        assert!(first >= 0 && last as usize + self.channels <= source.len(), "a tap reads outside of the image");
        assert!(self.target.last(self.extent) + self.channels <= target_len, "the output does not fit");
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
    assert!(region.taps.iter().all(|tap| (tap + 1) * period <= weights.len()), "too few weights");
    let (from, to) = (source.as_ptr(), target.as_mut_ptr());
    // SAFETY: the region was checked against both slices and the weights.
    unsafe {
        if region.is_flat() {
            run_flat(level, region, weights.as_ptr(), from, accumulate, to);
        } else {
            run_strided(level, region, weights.as_ptr(), from, accumulate, to);
        }
    }
}

/// `sums[tap] += Σ_pixels gradient · source[tap]`: the gradient of the weights. `region.target` says where the
/// output gradients lie; `sums` has a table for each of `region.taps`.
pub fn weight_gradient(level: Level, region: &Region, source: &[f32], gradient: &[f32], sums: &mut [f32]) {
    if region.extent.rows == 0 || region.extent.columns == 0 {
        return;
    }
    region.check(source, gradient.len());
    let period = table::length(region.channels);
    assert!(region.taps.iter().all(|tap| (tap + 1) * period <= sums.len()), "too few sums");
    // SAFETY: the region was checked against both slices and the sums.
    unsafe { run_weights(level, region, source.as_ptr(), gradient.as_ptr(), sums.as_mut_ptr()) }
}

per_level! {
    unsafe fn run_flat {} {} (region: &Region, weights: *const f32, source: *const f32, accumulate: bool, target: *mut f32) = flat;
    unsafe fn run_strided {} {} (region: &Region, weights: *const f32, source: *const f32, accumulate: bool, target: *mut f32) = strided;
    unsafe fn run_weights {} {} (region: &Region, source: *const f32, gradient: *const f32, sums: *mut f32) = weights_body;
}

/// # Safety
/// As [`Simd::load`] or [`Simd::load_first`].
#[inline(always)]
unsafe fn lanes<S: Simd, const FULL: bool>(at: *const f32, count: usize) -> S::V {
    // SAFETY: the caller's.
    unsafe { if FULL { S::load(at) } else { S::load_first(at, count) } }
}

/// `T` vectors of output, `step` floats apart in `source` and `target_step` apart in `target`. `tail`: valid lanes (16: all).
///
/// # Safety
/// The instructions of `S`; all reads and writes in bounds.
#[inline(always)]
unsafe fn tile<S: Simd, const T: usize, const FULL: bool>(
    region: &Region,
    weights: *const f32,
    source: *const f32,
    step: usize,
    accumulate: bool,
    target: *mut f32,
    target_step: usize,
    tail: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let period = table::length(region.channels);
        let mut sums = [S::zero(); T];
        if accumulate {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = lanes::<S, FULL>(target.add(i * target_step), tail);
            }
        }
        for (&tap, &offset) in region.taps.iter().zip(region.offsets) {
            let weight = S::load(weights.add(tap * period));
            let from = source.offset(offset);
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = S::fma(lanes::<S, FULL>(from.add(i * step), tail), weight, *sum);
            }
        }
        for (i, &sum) in sums.iter().enumerate() {
            let to = target.add(i * target_step);
            if FULL { S::store(to, sum) } else { S::store_first(to, sum, tail) }
        }
    }
}

/// # Safety
/// The instructions of `S`; a region that was checked.
#[inline(always)]
unsafe fn flat<S: Simd>(region: &Region, weights: *const f32, source: *const f32, accumulate: bool, target: *mut f32) {
    let period = table::length(region.channels);
    let count = region.extent.columns * region.channels;
    let full = count / LANES * LANES;
    for row in 0..region.extent.rows {
        // SAFETY: every vector lies within the row's `count` floats, which the check covered.
        unsafe {
            let from = source.add(region.source.at + row * region.source.row);
            let to = target.add(region.target.at + row * region.target.row);
            let mut pattern = 0;
            while pattern < period.min(full) {
                let table = weights.add(pattern);
                let mut at = pattern;
                if S::WIDE {
                    if period == LANES {
                        while at + 16 * LANES <= full {
                            tile::<S, 16, true>(region, table, from.add(at), LANES, accumulate, to.add(at), LANES, LANES);
                            at += 16 * LANES;
                        }
                        while at + 8 * LANES <= full {
                            tile::<S, 8, true>(region, table, from.add(at), LANES, accumulate, to.add(at), LANES, LANES);
                            at += 8 * LANES;
                        }
                    }
                    while at + 7 * period < full {
                        tile::<S, 8, true>(region, table, from.add(at), period, accumulate, to.add(at), period, LANES);
                        at += 8 * period;
                    }
                }
                while at + 3 * period < full {
                    tile::<S, 4, true>(region, table, from.add(at), period, accumulate, to.add(at), period, LANES);
                    at += 4 * period;
                }
                while at < full {
                    tile::<S, 1, true>(region, table, from.add(at), period, accumulate, to.add(at), period, LANES);
                    at += period;
                }
                pattern += LANES;
            }
            if full < count {
                let (table, tail) = (weights.add(full % period), count - full);
                tile::<S, 1, false>(region, table, from.add(full), 0, accumulate, to.add(full), 0, tail);
            }
        }
    }
}

/// # Safety
/// The instructions of `S`; a region that was checked.
#[inline(always)]
unsafe fn strided<S: Simd>(region: &Region, weights: *const f32, source: *const f32, accumulate: bool, target: *mut f32) {
    let (step, target_step) = (region.source.pixel, region.target.pixel);
    for row in 0..region.extent.rows {
        for first in (0..region.channels).step_by(LANES) {
            let tail = region.channels - first;
            // SAFETY: the channels of every pixel were covered by the check.
            unsafe {
                let table = weights.add(first);
                let mut from = source.add(region.source.at + row * region.source.row + first);
                let mut to = target.add(region.target.at + row * region.target.row + first);
                let mut left = region.extent.columns;
                while left >= 4 {
                    let (take, whole) = if S::WIDE && left >= 8 { (8, true) } else { (4, false) };
                    match (whole, tail >= LANES) {
                        (true, true) => tile::<S, 8, true>(region, table, from, step, accumulate, to, target_step, LANES),
                        (true, false) => tile::<S, 8, false>(region, table, from, step, accumulate, to, target_step, tail),
                        (false, true) => tile::<S, 4, true>(region, table, from, step, accumulate, to, target_step, LANES),
                        (false, false) => tile::<S, 4, false>(region, table, from, step, accumulate, to, target_step, tail),
                    }
                    from = from.wrapping_add(take * step);
                    to = to.wrapping_add(take * target_step);
                    left -= take;
                }
                for i in 0..left {
                    let (from, to) = (from.add(i * step), to.add(i * target_step));
                    tile::<S, 1, false>(region, table, from, 0, accumulate, to, 0, tail.min(LANES));
                }
            }
        }
    }
}

/// `N` taps from `first` on, for the vectors at `pattern` + multiples of `period` in every row (flat) or at channel
/// `pattern` of every pixel.
///
/// # Safety
/// The instructions of `S`; a region that was checked, taps that exist.
#[inline(always)]
unsafe fn tap_sums<S: Simd, const N: usize>(
    region: &Region,
    first: usize,
    pattern: usize,
    source: *const f32,
    gradient: *const f32,
    sums: *mut f32,
) {
    let period = table::length(region.channels);
    let flat = region.is_flat();
    let count = if flat { region.extent.columns * region.channels } else { region.channels };
    // SAFETY: the caller's; partial vectors end with the row (flat) or the pixel.
    unsafe {
        let mut offsets = [0isize; N];
        offsets.copy_from_slice(region.offsets.get_unchecked(first..first + N));
        let mut totals = [S::zero(); N];
        for row in 0..region.extent.rows {
            let mut from = source.add(region.source.at + row * region.source.row + pattern);
            let mut d = gradient.add(region.target.at + row * region.target.row + pattern);
            if flat {
                let mut at = pattern;
                while at + LANES <= count {
                    let x = S::load(d);
                    for (total, offset) in totals.iter_mut().zip(offsets) {
                        *total = S::fma(x, S::load(from.offset(offset)), *total);
                    }
                    (from, d, at) = (from.wrapping_add(period), d.wrapping_add(period), at + period);
                }
                if at < count {
                    let x = S::load_first(d, count - at);
                    for (total, offset) in totals.iter_mut().zip(offsets) {
                        *total = S::fma(x, S::load_first(from.offset(offset), count - at), *total);
                    }
                }
            } else if pattern + LANES <= count {
                for _ in 0..region.extent.columns {
                    let x = S::load(d);
                    for (total, offset) in totals.iter_mut().zip(offsets) {
                        *total = S::fma(x, S::load(from.offset(offset)), *total);
                    }
                    (from, d) = (from.wrapping_add(region.source.pixel), d.wrapping_add(region.target.pixel));
                }
            } else {
                for _ in 0..region.extent.columns {
                    let x = S::load_first(d, count - pattern);
                    for (total, offset) in totals.iter_mut().zip(offsets) {
                        *total = S::fma(x, S::load_first(from.offset(offset), count - pattern), *total);
                    }
                    (from, d) = (from.wrapping_add(region.source.pixel), d.wrapping_add(region.target.pixel));
                }
            }
        }
        for (i, &total) in totals.iter().enumerate() {
            let to = sums.add(region.taps.get_unchecked(first + i) * period + pattern);
            S::store(to, S::add(S::load(to), total));
        }
    }
}

/// # Safety
/// The instructions of `S`; a region that was checked.
#[inline(always)]
unsafe fn weights_body<S: Simd>(region: &Region, source: *const f32, gradient: *const f32, sums: *mut f32) {
    let patterns = if region.is_flat() {
        table::length(region.channels).min(table::rounded(region.extent.columns * region.channels))
    } else {
        table::rounded(region.channels)
    };
    let taps = region.taps.len();
    for pattern in (0..patterns).step_by(LANES) {
        let mut first = 0;
        // SAFETY: the groups of taps end with the last tap; the rest is the caller's.
        unsafe {
            while first < taps {
                let left = taps - first;
                if S::WIDE && left >= 25 {
                    tap_sums::<S, 25>(region, first, pattern, source, gradient, sums);
                    first += 25;
                } else if S::WIDE && left >= 9 {
                    tap_sums::<S, 9>(region, first, pattern, source, gradient, sums);
                    first += 9;
                } else if left >= 5 {
                    tap_sums::<S, 5>(region, first, pattern, source, gradient, sums);
                    first += 5;
                } else if left >= 3 {
                    tap_sums::<S, 3>(region, first, pattern, source, gradient, sums);
                    first += 3;
                } else {
                    tap_sums::<S, 1>(region, first, pattern, source, gradient, sums);
                    first += 1;
                }
            }
        }
    }
}
