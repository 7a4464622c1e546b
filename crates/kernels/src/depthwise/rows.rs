//! The walk of a depthwise convolution: rows as runs of vectors that meet the same weights.
//!
//! Contract: regions were checked by [`convolve`](super::convolve). An output value is one sum over
//! its taps, which begins with what is there where the call accumulates; of the images, nothing
//! behind a row (flat) or a pixel's channels is read or written.

use super::Region;
use crate::simd::{LANES, Simd};
use crate::table;

/// # Safety
/// As [`Simd::load`] or [`Simd::load_first`].
#[inline(always)]
unsafe fn lanes<S: Simd, const FULL: bool>(at: *const f32, count: usize) -> S::V {
    // SAFETY: the caller's.
    unsafe { if FULL { S::load(at) } else { S::load_first(at, count) } }
}

/// A run of vectors with the same channels: where it begins and how far one is from the next.
#[derive(Clone, Copy)]
struct Run<'a> {
    tables: &'a [usize],
    offsets: &'a [isize],
    /// Floats of a tap's table.
    period: usize,
    /// The vector's place in the tap's tables.
    weights: *const f32,
    source: *const f32,
    step: usize,
    target: *mut f32,
    target_step: usize,
    accumulate: bool,
    /// Valid lanes of each vector.
    lanes: usize,
}

impl Run<'_> {
    /// The run without its first `count` vectors.
    #[inline(always)]
    fn skip(self, count: usize) -> Self {
        Self {
            source: self.source.wrapping_add(count * self.step),
            target: self.target.wrapping_add(count * self.target_step),
            ..self
        }
    }

    /// # Safety
    /// The instructions of `S`; `T` vectors exist on both sides.
    #[inline(always)]
    unsafe fn begin<S: Simd, const T: usize, const FULL: bool>(&self) -> [S::V; T] {
        // SAFETY: the caller's.
        unsafe {
            let mut sums = [S::zero(); T];
            if self.accumulate {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = lanes::<S, FULL>(self.target.add(i * self.target_step), self.lanes);
                }
            }
            sums
        }
    }

    /// # Safety
    /// As [`Run::begin`].
    #[inline(always)]
    unsafe fn end<S: Simd, const T: usize, const FULL: bool>(&self, sums: [S::V; T]) {
        for (i, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's.
            unsafe {
                let to = self.target.add(i * self.target_step);
                if FULL {
                    S::store(to, sum)
                } else {
                    S::store_first(to, sum, self.lanes)
                }
            }
        }
    }

    /// Any taps: each reads its vectors anew.
    ///
    /// # Safety
    /// As [`Run::begin`].
    #[inline(always)]
    unsafe fn tile<S: Simd, const T: usize, const FULL: bool>(&self) {
        // SAFETY: the caller's.
        unsafe {
            let mut sums = self.begin::<S, T, FULL>();
            for (&tap, &offset) in self.tables.iter().zip(self.offsets) {
                let weight = S::load(self.weights.add(tap * self.period));
                let from = self.source.wrapping_offset(offset);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = S::fma(lanes::<S, FULL>(from.add(i * self.step), self.lanes), weight, *sum);
                }
            }
            self.end::<S, T, FULL>(sums);
        }
    }

    /// K×K taps whose neighbours in a row read neighbouring vectors: what they share is read once.
    ///
    /// # Safety
    /// As [`Run::begin`]; the region's taps are such taps.
    #[inline(always)]
    unsafe fn window<S: Simd, const T: usize, const K: usize, const FULL: bool>(&self) {
        // SAFETY: the caller's; the window of a row begins with its first or its last tap,
        // whichever reads first.
        unsafe {
            let mut sums = self.begin::<S, T, FULL>();
            for row in 0..K {
                let (first, last) = (row * K, row * K + K - 1);
                let reversed = self.offsets[last] < self.offsets[first];
                let from = self
                    .source
                    .wrapping_offset(self.offsets[if reversed { last } else { first }]);
                let mut weights = [S::zero(); K];
                for (j, weight) in weights.iter_mut().enumerate() {
                    let tap = self.tables[if reversed { last - j } else { first + j }];
                    *weight = S::load(self.weights.add(tap * self.period));
                }
                for m in 0..T + K - 1 {
                    let x = lanes::<S, FULL>(from.add(m * self.step), self.lanes);
                    for (j, &weight) in weights.iter().enumerate() {
                        if m >= j && m - j < T {
                            sums[m - j] = S::fma(x, weight, sums[m - j]);
                        }
                    }
                }
            }
            self.end::<S, T, FULL>(sums);
        }
    }

    /// `count` vectors by [`Run::window`]; returns how many are done.
    ///
    /// # Safety
    /// As [`Run::window`].
    #[inline(always)]
    unsafe fn windows<S: Simd, const K: usize, const FULL: bool>(mut self, count: usize) -> usize {
        let mut done = 0;
        // SAFETY: the caller's.
        unsafe {
            while done + 8 <= count {
                self.window::<S, 8, K, FULL>();
                (self, done) = (self.skip(8), done + 8);
            }
            if done + 4 <= count {
                self.window::<S, 4, K, FULL>();
                done += 4;
            }
        }
        done
    }

    /// `count` vectors by [`Run::window`] as far as they go, for taps whose neighbours in a row
    /// read `apart` vectors apart.
    ///
    /// # Safety
    /// As [`Run::window`].
    #[inline(always)]
    unsafe fn all<S: Simd, const K: usize, const FULL: bool>(self, count: usize, apart: usize) {
        // SAFETY: the caller's.
        unsafe {
            if K == 0 || !S::WIDE || count < 4 * apart {
                self.tiles::<S, FULL>(count);
                return;
            }
            // Every `apart`-th vector is a run whose taps are neighbours.
            for first in 0..apart {
                let run = self.skip(first).spread(apart);
                let count = if apart == 1 {
                    count
                } else {
                    (count - first).div_ceil(apart)
                };
                let done = run.windows::<S, K, FULL>(count);
                run.skip(done).tiles::<S, FULL>(count - done);
            }
        }
    }

    /// Every `apart`-th vector of the run.
    #[inline(always)]
    fn spread(self, apart: usize) -> Self {
        Self {
            step: apart * self.step,
            target_step: apart * self.target_step,
            ..self
        }
    }

    /// `count` vectors by [`Run::tile`].
    ///
    /// # Safety
    /// As [`Run::begin`] for all of them.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const FULL: bool>(mut self, count: usize) {
        let mut done = 0;
        // SAFETY: the caller's.
        unsafe {
            while S::WIDE && done + 8 <= count {
                self.tile::<S, 8, FULL>();
                (self, done) = (self.skip(8), done + 8);
            }
            while done + 4 <= count {
                self.tile::<S, 4, FULL>();
                (self, done) = (self.skip(4), done + 4);
            }
            while done < count {
                self.tile::<S, 1, FULL>();
                (self, done) = (self.skip(1), done + 1);
            }
        }
    }
}

/// Whether vectors of one pixel's channels, the last one perhaps a half, are about as full as those
/// that go on with the next pixel's, and better because those would begin anywhere between cache
/// lines.
pub(super) fn splits_well(channels: usize) -> bool {
    let (whole, left) = (channels / LANES * LANES, channels % LANES);
    whole > 0 && left > 0 && left <= LANES / 2 && 4 * (whole + LANES / 2) <= 5 * channels
}

/// Rows as flat runs: vectors that go on with the next pixel's channels.
///
/// # Safety
/// The instructions of `S`; a region that was checked; K > 0: what
/// [`Taps::neighbours`](crate::Taps::neighbours) found.
#[inline(always)]
pub(super) unsafe fn flat<S: Simd, const K: usize>(
    region: &Region,
    weights: *const f32,
    source: *const f32,
    accumulate: bool,
    target: *mut f32,
    apart: usize,
) {
    let (tables, offsets) = (region.taps.tables(), region.taps.offsets());
    let period = table::length(region.channels);
    let count = region.extent.columns * region.channels;
    let full = count / LANES * LANES;
    // Vectors of a row that meet each vector of the table, and how many meet one more. Divisions
    // are dear where rows are short.
    let (each, more) = (full / period, full % period / LANES);
    for row in 0..region.extent.rows {
        // SAFETY: every vector lies within the row's `count` floats, which the check covered.
        unsafe {
            // Where all offsets are negative this may lie beyond the image, where no tap reads.
            let from = source.wrapping_add(region.source.at + row * region.source.row);
            let to = target.add(region.target.at + row * region.target.row);
            let run = |at: usize, in_table: usize, lanes: usize| Run {
                tables,
                offsets,
                period,
                weights: weights.wrapping_add(in_table),
                source: from.wrapping_add(at),
                step: period,
                target: to.wrapping_add(at),
                target_step: period,
                accumulate,
                lanes,
            };
            for pattern in 0..(full / LANES).min(period / LANES) {
                let at = pattern * LANES;
                run(at, at, LANES).all::<S, K, true>(each + usize::from(pattern < more), apart);
            }
            if full < count {
                run(full, more * LANES, count - full).tile::<S, 1, false>();
            }
        }
    }
}

/// Vectors of one pixel's channels.
///
/// # Safety
/// The instructions of `S`; a region that was checked; K > 0: what
/// [`Taps::neighbours`](crate::Taps::neighbours) found.
#[inline(always)]
pub(super) unsafe fn pixels<S: Simd, const K: usize>(
    region: &Region,
    weights: *const f32,
    source: *const f32,
    accumulate: bool,
    target: *mut f32,
    apart: usize,
) {
    let (tables, offsets) = (region.taps.tables(), region.taps.offsets());
    let (columns, period) = (region.extent.columns, table::length(region.channels));
    for row in 0..region.extent.rows {
        for first in (0..region.channels).step_by(LANES) {
            // SAFETY: the channels of every pixel were covered by the check.
            unsafe {
                let run = Run {
                    tables,
                    offsets,
                    period,
                    weights: weights.wrapping_add(first),
                    source: source.wrapping_add(region.source.at + row * region.source.row + first),
                    step: region.source.pixel,
                    target: target.add(region.target.at + row * region.target.row + first),
                    target_step: region.target.pixel,
                    accumulate,
                    lanes: (region.channels - first).min(LANES),
                };
                if run.lanes == LANES {
                    run.all::<S, K, true>(columns, apart);
                } else if run.lanes <= LANES / 2 {
                    run.all::<S::Half, K, false>(columns, apart);
                } else {
                    run.all::<S, K, false>(columns, apart);
                }
            }
        }
    }
}
