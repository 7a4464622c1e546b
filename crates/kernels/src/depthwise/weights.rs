//! The gradient of the weights of a depthwise convolution: sums over the pixels, for as many taps
//! at a time as fit in registers.
//!
//! Contract: [`weight_gradient`](super::weight_gradient) has checked the region; `sums` has one
//! table per tap, to which the result is added.

use super::Region;
use crate::simd::{LANES, Simd};
use crate::table;

/// Sums for `N` taps, starting with `first`. In flat rows, the sums are over the vectors at
/// `pattern`, `pattern + period` and so on; otherwise over those at channel `pattern` of all
/// pixels.
///
/// # Safety
/// Requires the instructions of `S`, a checked region and taps that exist.
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
    let count = if flat {
        region.extent.columns * region.channels
    } else {
        region.channels
    };
    // SAFETY: guaranteed by the caller; partial vectors end where the row (flat) or pixel ends.
    unsafe {
        let mut offsets = [0isize; N];
        offsets.copy_from_slice(region.taps.offsets().get_unchecked(first..first + N));
        let mut totals = [S::zero(); N];
        for row in 0..region.extent.rows {
            let mut from = source.wrapping_add(region.source.at + row * region.source.row + pattern);
            let mut d = gradient.add(region.target.at + row * region.target.row + pattern);
            if flat {
                let mut at = pattern;
                while at + LANES <= count {
                    let x = S::load(d);
                    for (total, offset) in totals.iter_mut().zip(offsets) {
                        *total = S::fma(x, S::load(from.wrapping_offset(offset)), *total);
                    }
                    (from, d, at) = (from.wrapping_add(period), d.wrapping_add(period), at + period);
                }
                if at < count {
                    let x = S::load_first(d, count - at);
                    for (total, offset) in totals.iter_mut().zip(offsets) {
                        *total = S::fma(x, S::load_first(from.wrapping_offset(offset), count - at), *total);
                    }
                }
            } else if pattern + LANES <= count {
                for _ in 0..region.extent.columns {
                    let x = S::load(d);
                    for (total, offset) in totals.iter_mut().zip(offsets) {
                        *total = S::fma(x, S::load(from.wrapping_offset(offset)), *total);
                    }
                    (from, d) = (
                        from.wrapping_add(region.source.pixel),
                        d.wrapping_add(region.target.pixel),
                    );
                }
            } else {
                for _ in 0..region.extent.columns {
                    let x = S::load_first(d, count - pattern);
                    for (total, offset) in totals.iter_mut().zip(offsets) {
                        *total = S::fma(x, S::load_first(from.wrapping_offset(offset), count - pattern), *total);
                    }
                    (from, d) = (
                        from.wrapping_add(region.source.pixel),
                        d.wrapping_add(region.target.pixel),
                    );
                }
            }
        }
        for (i, &total) in totals.iter().enumerate() {
            let to = sums.add(region.taps.tables().get_unchecked(first + i) * period + pattern);
            S::store(to, S::add(S::load(to), total));
        }
    }
}

/// # Safety
/// Requires the instructions of `S` and a checked region.
#[inline(always)]
pub(super) unsafe fn weights_body<S: Simd>(region: &Region, source: *const f32, gradient: *const f32, sums: *mut f32) {
    let patterns = if region.is_flat() {
        table::length(region.channels).min(table::rounded(region.extent.columns * region.channels))
    } else {
        table::rounded(region.channels)
    };
    let taps = region.taps.len();
    for pattern in (0..patterns).step_by(LANES) {
        let mut first = 0;
        // SAFETY: the groups of taps stop at the last tap; the caller guarantees the rest.
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
