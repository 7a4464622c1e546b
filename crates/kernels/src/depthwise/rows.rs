//! The loops of a depthwise convolution: rows as runs of vectors that share the same weights.
//!
//! Contract: [`convolve`](super::convolve) has checked the region. An output value is one sum over
//! its taps, starting from the old value if the call accumulates. Nothing past the end of a row
//! (flat) or of a pixel's channels is read or written in either image.

use super::Region;
use crate::simd::{LANES, Simd};
use crate::table;

/// # Safety
/// As for [`Simd::load`] or [`Simd::load_first`].
#[inline(always)]
pub(super) unsafe fn lanes<S: Simd, const FULL: bool>(at: *const f32, count: usize) -> S::V {
    // SAFETY: guaranteed by the caller.
    unsafe { if FULL { S::load(at) } else { S::load_first(at, count) } }
}

/// A run of vectors with the same channels: its start, and the distance from one vector to the
/// next.
#[derive(Clone, Copy)]
struct Run<'a> {
    tables: &'a [usize],
    offsets: &'a [isize],
    /// Length of a tap's table, in floats.
    period: usize,
    /// The vector's position in the tables of the taps.
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
    /// Requires the instructions of `S`; `T` vectors exist on both sides.
    #[inline(always)]
    unsafe fn begin<S: Simd, const T: usize, const FULL: bool>(&self) -> [S::V; T] {
        // SAFETY: guaranteed by the caller.
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
    /// As for [`Run::begin`].
    #[inline(always)]
    unsafe fn end<S: Simd, const T: usize, const FULL: bool>(&self, sums: [S::V; T]) {
        for (i, sum) in sums.into_iter().enumerate() {
            // SAFETY: guaranteed by the caller.
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

    /// Any taps: each one loads its own vectors.
    ///
    /// # Safety
    /// As for [`Run::begin`].
    #[inline(always)]
    unsafe fn tile<S: Simd, const T: usize, const FULL: bool>(&self) {
        // SAFETY: guaranteed by the caller.
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

    /// K×K taps whose horizontal neighbours read adjacent vectors: shared vectors are loaded once.
    ///
    /// # Safety
    /// As for [`Run::begin`]; the region's taps are of this kind.
    #[inline(always)]
    unsafe fn window<S: Simd, const T: usize, const K: usize, const FULL: bool>(&self) {
        // SAFETY: guaranteed by the caller; a row of the window begins with its first or its last
        // tap, whichever reads first.
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

    /// Computes up to `count` vectors with [`Run::window`]; returns how many are done.
    ///
    /// # Safety
    /// As for [`Run::window`].
    #[inline(always)]
    unsafe fn windows<S: Simd, const K: usize, const FULL: bool>(mut self, count: usize) -> usize {
        let mut done = 0;
        // SAFETY: guaranteed by the caller.
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

    /// Computes as many of the `count` vectors as possible with [`Run::window`], for taps whose
    /// horizontal neighbours read `apart` vectors apart.
    ///
    /// # Safety
    /// As for [`Run::window`].
    #[inline(always)]
    unsafe fn all<S: Simd, const K: usize, const FULL: bool>(self, count: usize, apart: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            if K == 0 || !S::WIDE || count < 4 * apart {
                self.tiles::<S, FULL>(count);
                return;
            }
            // Every `apart`-th vector belongs to one run, in which taps are adjacent.
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

    /// Computes `count` vectors with [`Run::tile`].
    ///
    /// # Safety
    /// As for [`Run::begin`], for all of the vectors.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const FULL: bool>(mut self, count: usize) {
        let mut done = 0;
        // SAFETY: guaranteed by the caller.
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

/// Whether to use vectors that stay within one pixel (the last one possibly a half vector). They
/// must be nearly as full as vectors that continue into the next pixel; then they are better,
/// because the others are not aligned to cache lines.
pub(super) fn splits_well(channels: usize) -> bool {
    let (whole, left) = (channels / LANES * LANES, channels % LANES);
    whole > 0 && left > 0 && left <= LANES / 2 && 4 * (whole + LANES / 2) <= 5 * channels
}

/// Rows as flat runs: vectors continue into the next pixel's channels.
///
/// # Safety
/// Requires the instructions of `S` and a checked region; K > 0 only for taps for which
/// [`Taps::neighbours`](crate::Taps::neighbours) returned a distance.
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
    // A row has `each` whole vectors for each vector of the table, and one more for each of the
    // table's first `more` vectors. Divisions are expensive where rows are short.
    let (each, more) = (full / period, full % period / LANES);
    for row in 0..region.extent.rows {
        // SAFETY: every vector lies within the row's `count` floats, which the check covered.
        unsafe {
            // If all offsets are negative, this may point past the image, where no tap reads.
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

/// Vectors that hold channels of one pixel.
///
/// # Safety
/// Requires the instructions of `S` and a checked region; K > 0 only for taps for which
/// [`Taps::neighbours`](crate::Taps::neighbours) returned a distance.
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
            // SAFETY: the check covered the channels of every pixel.
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
