//! Depthwise convolution: every channel with its own k×k kernel.
//!
//! Weights are tables, one a tap (see [`pack`]). A call computes a region of the output from a [`Padded`] image; the
//! gradient of the input is the same walk over the padded image of output gradients with the transposed taps
//! ([`Window::transposed`]). Where pixels are neighbours on both sides (stride 1), a row is one flat run, so that any
//! number of channels fills whole vectors; otherwise, and where it is about as good, vectors are channels of one pixel.
//!
//! [`Padded`]: crate::Padded
//! [`Window::transposed`]: crate::Window::transposed

use crate::image::{Extent, View};
use crate::level::Level;
use crate::simd::{LANES, Simd, per_level};
use crate::table;
use crate::taps::Taps;

/// Writes PyTorch weights `[channels, 1, k, k]` as one table a tap.
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
    /// Which table each tap uses, and where it reads, relative to `source`.
    pub taps: &'a Taps,
}

impl Region<'_> {
    fn check(&self, source: &[f32], target_len: usize) {
        let ends = [self.source.at, self.source.last(self.extent)];
        assert!(
            self.taps.stay_within(ends, self.channels, source.len()),
            "a tap reads outside of the image"
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

/// `sums[tap] += Σ_pixels gradient · source[tap]`: the gradient of the weights. `region.target` says where the
/// output gradients lie; `sums` has a table for each of `region.taps`.
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
        // SAFETY: the caller's; the window of a row begins with its first or its last tap, whichever reads first.
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

    /// `count` vectors by [`Run::window`] as far as they go, for taps whose neighbours in a row read `apart` vectors apart.
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

/// Whether vectors of one pixel's channels, the last one perhaps a half, are about as full as those that go on with the next pixel's, and
/// better because those would begin anywhere between cache lines.
fn splits_well(channels: usize) -> bool {
    let (whole, left) = (channels / LANES * LANES, channels % LANES);
    whole > 0 && left > 0 && left <= LANES / 2 && 4 * (whole + LANES / 2) <= 5 * channels
}

/// # Safety
/// The instructions of `S`; a region that was checked; K > 0: what [`Taps::neighbours`] found.
#[inline(always)]
unsafe fn flat<S: Simd, const K: usize>(
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
    // Vectors of a row that meet each vector of the table, and how many meet one more. Divisions are dear where rows are short.
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
/// The instructions of `S`; a region that was checked; K > 0: what [`Taps::neighbours`] found.
#[inline(always)]
unsafe fn pixels<S: Simd, const K: usize>(
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
    let count = if flat {
        region.extent.columns * region.channels
    } else {
        region.channels
    };
    // SAFETY: the caller's; partial vectors end with the row (flat) or the pixel.
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
