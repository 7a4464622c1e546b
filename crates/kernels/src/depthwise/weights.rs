//! The gradient of the weights of a depthwise convolution: sums over the pixels, for as many taps
//! at a time as fit in registers.
//!
//! Contract: [`weight_gradient`](super::weight_gradient) has checked the region; `sums` has one
//! table per tap, to which the result is added.

use super::Region;
use super::rows::{lanes, splits_well};
use crate::simd::{LANES, Simd};
use crate::table;

/// # Safety
/// As for [`Simd::store`] or [`Simd::store_first`].
#[inline(always)]
unsafe fn put<S: Simd, const FULL: bool>(at: *mut f32, x: S::V, count: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if FULL {
            S::store(at, x)
        } else {
            S::store_first(at, x, count)
        }
    }
}

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

/// Sums for K×K taps over vectors that hold channels of one pixel, from channel `first` on. Pixels
/// are taken `T` at a time, so that a vector that several taps of a row read is loaded once.
///
/// # Safety
/// Requires the instructions of `S` and a checked region, with the `taps` of a window whose
/// horizontal neighbours read `apart` pixels apart, from left to right; the pixels have `count`
/// channels from `first` on, which are whole vectors if `FULL`.
#[inline(always)]
unsafe fn window_sums<S: Simd, const K: usize, const T: usize, const FULL: bool>(
    region: &Region,
    [first, count, apart]: [usize; 3],
    source: *const f32,
    gradient: *const f32,
    sums: *mut f32,
) {
    let period = table::length(region.channels);
    let steps = [apart * region.source.pixel, apart * region.target.pixel];
    // SAFETY: guaranteed by the caller; all pixels lie in the row.
    unsafe {
        let mut rows = [0isize; K];
        for (row, offset) in rows.iter_mut().enumerate() {
            *offset = *region.taps.offsets().get_unchecked(row * K);
        }
        let mut totals = [[S::zero(); K]; K];
        for row in 0..region.extent.rows {
            for begin in 0..apart.min(region.extent.columns) {
                let at = source.wrapping_add(region.source.at + row * region.source.row + first);
                let mut from = at.wrapping_add(begin * region.source.pixel);
                let mut d = gradient.add(region.target.at + row * region.target.row + first);
                d = d.wrapping_add(begin * region.target.pixel);
                let mut left = (region.extent.columns - begin).div_ceil(apart);
                while left >= T {
                    window_block::<S, K, T, FULL>(&mut totals, (from, d), &rows, steps, count);
                    (from, d) = (from.wrapping_add(T * steps[0]), d.wrapping_add(T * steps[1]));
                    left -= T;
                }
                for _ in 0..left {
                    window_block::<S, K, 1, FULL>(&mut totals, (from, d), &rows, steps, count);
                    (from, d) = (from.wrapping_add(steps[0]), d.wrapping_add(steps[1]));
                }
            }
        }
        for (i, &total) in totals.as_flattened().iter().enumerate() {
            let to = sums.add(region.taps.tables().get_unchecked(i) * period + first);
            put::<S, FULL>(to, S::add(lanes::<S, FULL>(to, count), total), count);
        }
    }
}

/// Adds the products of `T` pixels, `steps` apart, to the sums of K×K taps.
///
/// # Safety
/// As for [`window_sums`]; the pixels exist, and `rows` are the offsets of the first tap of each
/// row.
#[inline(always)]
unsafe fn window_block<S: Simd, const K: usize, const T: usize, const FULL: bool>(
    totals: &mut [[S::V; K]; K],
    (from, d): (*const f32, *const f32),
    rows: &[isize; K],
    steps: [usize; 2],
    count: usize,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut g = [S::zero(); T];
        for (i, g) in g.iter_mut().enumerate() {
            *g = lanes::<S, FULL>(d.add(i * steps[1]), count);
        }
        for m in 0..T + K - 1 {
            for (totals, offset) in totals.iter_mut().zip(rows) {
                let x = lanes::<S, FULL>(from.wrapping_offset(*offset).add(m * steps[0]), count);
                for (j, total) in totals.iter_mut().enumerate() {
                    if m >= j && m - j < T {
                        *total = S::fma(x, g[m - j], *total);
                    }
                }
            }
        }
    }
}

/// [`window_sums`] for all channels, which are whole vectors, or [split well](splits_well).
///
/// # Safety
/// As for [`window_sums`].
#[inline(always)]
unsafe fn windows<S: Simd, const K: usize, const T: usize>(
    region: &Region,
    apart: usize,
    source: *const f32,
    gradient: *const f32,
    sums: *mut f32,
) {
    for first in (0..region.channels).step_by(LANES) {
        let count = (region.channels - first).min(LANES);
        let at = [first, count, apart];
        // SAFETY: guaranteed by the caller.
        unsafe {
            if count == LANES {
                window_sums::<S, K, T, true>(region, at, source, gradient, sums);
            } else if count == LANES / 2 {
                window_sums::<S::Half, K, T, true>(region, at, source, gradient, sums);
            } else {
                window_sums::<S::Half, K, T, false>(region, at, source, gradient, sums);
            }
        }
    }
}

/// # Safety
/// Requires the instructions of `S` and a checked region.
#[inline(always)]
pub(super) unsafe fn weights_body<S: Simd>(region: &Region, source: *const f32, gradient: *const f32, sums: *mut f32) {
    let neighbours = |side| {
        let apart = region.taps.neighbours(side, region.source.pixel)?;
        (region.taps.offsets()[0] < region.taps.offsets()[1]).then_some(apart)
    };
    if S::WIDE && (region.channels.is_multiple_of(LANES) || splits_well(region.channels)) {
        // SAFETY: these are the taps of such a window; the caller guarantees the rest.
        unsafe {
            match (neighbours(3), neighbours(5)) {
                (Some(apart), _) => return windows::<S, 3, 4>(region, apart, source, gradient, sums),
                (None, Some(apart)) => return windows::<S, 5, 4>(region, apart, source, gradient, sums),
                (None, None) => {}
            }
        }
    }
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
