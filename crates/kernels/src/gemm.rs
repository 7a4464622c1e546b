//! The microkernels under pointwise and dense convolutions: products of pixels with small matrices.
//!
//! A tile is R pixels × V vectors of output channels (and half a vector, where at most 8 channels are left over), held in registers while
//! all taps and input channels pass by (the scheme of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008, with the panel
//! of the image read in place: a tap is an offset, as in implicit convolution).

use crate::image::{Extent, View};
use crate::level::Level;
use crate::simd::{LANES, Simd, per_level};
use crate::table;
use crate::taps::Taps;

/// What a call computes, and where.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    /// Channels that are summed over.
    pub inputs: usize,
    /// Channels that are computed.
    pub outputs: usize,
    /// Output pixels.
    pub extent: Extent,
    /// Where the pixel under the window's origin lies for each output pixel.
    pub source: View,
    /// Where output pixels lie.
    pub target: View,
    /// Which matrix each tap uses, and where it reads, relative to `source`.
    pub taps: &'a Taps,
}

impl Region<'_> {
    fn check(&self, source: &[f32], target_len: usize, matrices: usize) {
        let ends = [self.source.at, self.source.last(self.extent)];
        assert!(
            self.taps.stay_within(ends, self.inputs, source.len()),
            "a tap reads outside of the image"
        );
        assert!(
            self.target.last(self.extent).saturating_add(self.outputs) <= target_len,
            "the output does not fit"
        );
        let size = self.inputs * table::rounded(self.outputs);
        assert!(size == 0 || self.taps.needed() <= matrices / size, "too few weights");
    }

    fn is_empty(&self) -> bool {
        self.extent.rows == 0 || self.extent.columns == 0
    }

    /// The same region with all its pixels in one row, where they lie so.
    fn merged(self) -> Self {
        let Extent { rows, columns } = self.extent;
        let joins = |view: View| view.row == columns * view.pixel;
        if rows > 1 && joins(self.source) && joins(self.target) {
            return Self {
                extent: Extent {
                    rows: 1,
                    columns: rows * columns,
                },
                ..self
            };
        }
        self
    }
}

/// `target (+)= Σ_tap source[tap] · weights[tap]`, matrices `[inputs][outputs rounded up to 16]`.
pub(crate) fn product(
    level: Level,
    region: &Region,
    weights: &[f32],
    source: &[f32],
    accumulate: bool,
    target: &mut [f32],
) {
    if region.is_empty() {
        return;
    }
    region.check(source, target.len(), weights.len());
    // SAFETY: the region was checked against all three slices.
    unsafe {
        run_product(
            level,
            &region.merged(),
            weights.as_ptr(),
            source.as_ptr(),
            accumulate,
            target.as_mut_ptr(),
        )
    }
}

/// `sums[tap] += Σ_pixels source[tap]ᵀ · gradient`, matrices as in [`product`]; `region.target` says where the output
/// gradients lie.
pub(crate) fn outer(level: Level, region: &Region, source: &[f32], gradient: &[f32], sums: &mut [f32]) {
    if region.is_empty() {
        return;
    }
    region.check(source, gradient.len(), sums.len());
    // SAFETY: the region was checked against all three slices.
    unsafe {
        run_outer(
            level,
            &region.merged(),
            source.as_ptr(),
            gradient.as_ptr(),
            sums.as_mut_ptr(),
        )
    }
}

per_level! {
    unsafe fn run_product {} {} (region: &Region, weights: *const f32, source: *const f32, accumulate: bool, target: *mut f32) = product_body;
    unsafe fn run_outer {} {} (region: &Region, source: *const f32, gradient: *const f32, sums: *mut f32) = outer_body;
}

/// A column of tiles: some output channels.
#[derive(Clone, Copy)]
struct Column {
    /// The first channel.
    first: usize,
    /// Whole vectors.
    vectors: usize,
    /// Channels behind them, which half a vector holds.
    half: usize,
    /// Channels in the last whole vector.
    tail: usize,
}

/// Columns as even as can be, of at most `most` vectors.
fn columns(outputs: usize, most: usize) -> impl Iterator<Item = Column> {
    let all = outputs.div_ceil(LANES);
    let count = all.div_ceil(most);
    (0..count).map(move |i| {
        let (first, next) = (i * all / count, (i + 1) * all / count);
        let tail = (outputs - first * LANES).min((next - first) * LANES) - (next - first - 1) * LANES;
        let half = tail <= LANES / 2;
        Column {
            first: first * LANES,
            vectors: next - first - usize::from(half),
            half: if half { tail } else { 0 },
            tail: if half { LANES } else { tail },
        }
    })
}

/// # Safety
/// The instructions of `S`; a region that was checked.
#[inline(always)]
unsafe fn product_body<S: Simd>(
    region: &Region,
    weights: *const f32,
    source: *const f32,
    accumulate: bool,
    target: *mut f32,
) {
    for column in columns(region.outputs, if S::WIDE { 4 } else { 1 }) {
        for row in 0..region.extent.rows {
            // SAFETY: the check covered all pixels of the row and all channels.
            unsafe {
                let panel = Panel {
                    region,
                    weights: weights.wrapping_add(column.first),
                    // Where all offsets are negative this may lie beyond the image, where no tap reads.
                    source: source.wrapping_add(region.source.at + row * region.source.row),
                    target: target.add(region.target.at + row * region.target.row + column.first),
                    column,
                    accumulate,
                };
                match (column.vectors, column.half > 0) {
                    (0, _) if S::WIDE => panel.run::<S, 12, 0, 1>(),
                    (0, _) => panel.run::<S, 8, 0, 1>(),
                    (1, false) if S::WIDE => panel.run::<S, 8, 1, 0>(),
                    (1, false) => panel.run::<S, 4, 1, 0>(),
                    (1, true) => panel.run::<S, 8, 1, 1>(),
                    (2, false) => panel.run::<S, 8, 2, 0>(),
                    (2, true) => panel.run::<S, 8, 2, 1>(),
                    (3, false) => panel.run::<S, 8, 3, 0>(),
                    (3, true) => panel.run::<S, 4, 3, 1>(),
                    _ => panel.run::<S, 4, 4, 0>(),
                }
            }
        }
    }
}

/// A row of pixels × a column of output channels.
struct Panel<'a> {
    region: &'a Region<'a>,
    weights: *const f32,
    source: *const f32,
    target: *mut f32,
    column: Column,
    accumulate: bool,
}

impl Panel<'_> {
    /// # Safety
    /// The instructions of `S`; pointers into slices that were checked; `V` vectors and `H` halves in this column.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const V: usize, const H: usize>(&self) {
        let mut at = 0;
        // SAFETY: the caller's; tiles stay within the row.
        unsafe {
            while at + R <= self.region.extent.columns {
                self.tile::<S, R, V, H>(at);
                at += R;
            }
            while at < self.region.extent.columns {
                self.tile::<S, 1, V, H>(at);
                at += 1;
            }
        }
    }

    /// # Safety
    /// As [`Panel::run`]; pixels `at` to `at + R` exist.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize, const H: usize>(&self, at: usize) {
        let region = self.region;
        let (inputs, width) = (region.inputs, table::rounded(region.outputs));
        let step = region.source.pixel;
        // SAFETY: the caller's.
        unsafe {
            let source = self.source.wrapping_add(at * step);
            let target = self.target.add(at * region.target.pixel);
            let mut sums = [[S::zero(); V]; R];
            let mut halves = [[S::Half::zero(); H]; R];
            for (&tap, &offset) in region.taps.tables().iter().zip(region.taps.offsets()) {
                let from = source.wrapping_offset(offset);
                let mut weights = self.weights.add(tap * inputs * width);
                for input in 0..inputs {
                    let mut w = [S::zero(); V];
                    for (v, slot) in w.iter_mut().enumerate() {
                        *slot = S::load(weights.add(v * LANES));
                    }
                    let mut w_half = [S::Half::zero(); H];
                    for slot in &mut w_half {
                        *slot = S::Half::load(weights.add(V * LANES));
                    }
                    for (r, (row, half)) in sums.iter_mut().zip(&mut halves).enumerate() {
                        let x = *from.add(r * step + input);
                        for (sum, &w) in row.iter_mut().zip(&w) {
                            *sum = S::fma(S::splat(x), w, *sum);
                        }
                        for (sum, &w) in half.iter_mut().zip(&w_half) {
                            *sum = S::Half::fma(S::Half::splat(x), w, *sum);
                        }
                    }
                    // Behind the last input this may lie beyond the weights, where nothing is read.
                    weights = weights.wrapping_add(width);
                }
            }
            let column = self.column;
            let whole = column.tail == LANES && column.half.is_multiple_of(S::Half::WIDTH);
            // A choice a tile, not a choice a vector: the sums stay in their registers.
            let steps = (region.target.pixel, column);
            match (whole, self.accumulate) {
                (true, true) => finish::<S, R, V, H, true, true>(target, steps, sums, halves),
                (true, false) => finish::<S, R, V, H, true, false>(target, steps, sums, halves),
                (false, true) => finish::<S, R, V, H, false, true>(target, steps, sums, halves),
                (false, false) => finish::<S, R, V, H, false, false>(target, steps, sums, halves),
            }
        }
    }
}

/// Writes a tile to pixels from `target` on, `step` apart, or adds it. `FULL`: no vector and no half is partial.
///
/// # Safety
/// The instructions of `S`; the pixels exist.
#[inline(always)]
unsafe fn finish<S: Simd, const R: usize, const V: usize, const H: usize, const FULL: bool, const ACCUMULATE: bool>(
    target: *mut f32,
    (step, column): (usize, Column),
    sums: [[S::V; V]; R],
    halves: [[<S::Half as Simd>::V; H]; R],
) {
    for (r, (row, half)) in sums.into_iter().zip(halves).enumerate() {
        // SAFETY: the caller's.
        unsafe {
            let target = target.add(r * step);
            for (v, sum) in row.into_iter().enumerate() {
                let lanes = if FULL || v + 1 < V { LANES } else { column.tail };
                put::<S, ACCUMULATE>(target.add(v * LANES), sum, lanes);
            }
            for sum in half {
                let lanes = if FULL { S::Half::WIDTH } else { column.half };
                put::<S::Half, ACCUMULATE>(target.add(V * LANES), sum, lanes);
            }
        }
    }
}

/// Writes the first `lanes` lanes of `x` to `to`, or adds them.
///
/// # Safety
/// The instructions of `S`; `lanes` floats at `to`.
#[inline(always)]
unsafe fn put<S: Simd, const ACCUMULATE: bool>(to: *mut f32, x: S::V, lanes: usize) {
    // SAFETY: the caller's.
    unsafe {
        if lanes == S::WIDTH {
            S::store(to, if ACCUMULATE { S::add(S::load(to), x) } else { x });
        } else {
            let x = if ACCUMULATE {
                S::add(S::load_first(to, lanes), x)
            } else {
                x
            };
            S::store_first(to, x, lanes);
        }
    }
}

/// # Safety
/// The instructions of `S`; a region that was checked.
#[inline(always)]
unsafe fn outer_body<S: Simd>(region: &Region, source: *const f32, gradient: *const f32, sums: *mut f32) {
    let width = table::rounded(region.outputs);
    for (&tap, &offset) in region.taps.tables().iter().zip(region.taps.offsets()) {
        for column in columns(region.outputs, if S::WIDE { 4 } else { 1 }) {
            let mut input = 0;
            while input < region.inputs {
                // SAFETY: the check covered all taps, pixels and channels; `input` and the rows of the tile exist.
                unsafe {
                    let place = Place {
                        source: source.wrapping_add(region.source.at).wrapping_offset(offset).add(input),
                        gradient: gradient.add(region.target.at + column.first),
                        sums: sums.add((tap * region.inputs + input) * width + column.first),
                        column,
                    };
                    let left = region.inputs - input;
                    input += match (column.vectors, column.half > 0) {
                        (0, _) if left >= 8 => place.run::<S, 8, 0, 1>(region),
                        (0, _) if left >= 4 => place.run::<S, 4, 0, 1>(region),
                        (0, _) => place.run::<S, 1, 0, 1>(region),
                        (1, false) if S::WIDE && left >= 16 => place.run::<S, 16, 1, 0>(region),
                        (1, false) if S::WIDE && left >= 8 => place.run::<S, 8, 1, 0>(region),
                        (1, false) if left >= 4 => place.run::<S, 4, 1, 0>(region),
                        (1, false) => place.run::<S, 1, 1, 0>(region),
                        (1, true) if left >= 8 => place.run::<S, 8, 1, 1>(region),
                        (1, true) => place.run::<S, 1, 1, 1>(region),
                        (2, false) if left >= 8 => place.run::<S, 8, 2, 0>(region),
                        (2, false) if left >= 4 => place.run::<S, 4, 2, 0>(region),
                        (2, false) => place.run::<S, 1, 2, 0>(region),
                        (2, true) if left >= 9 => place.run::<S, 9, 2, 1>(region),
                        (2, true) if left >= 4 => place.run::<S, 4, 2, 1>(region),
                        (2, true) => place.run::<S, 1, 2, 1>(region),
                        (3, false) if left >= 8 => place.run::<S, 8, 3, 0>(region),
                        (3, false) if left >= 3 => place.run::<S, 3, 3, 0>(region),
                        (3, false) => place.run::<S, 1, 3, 0>(region),
                        (3, true) if left >= 6 => place.run::<S, 6, 3, 1>(region),
                        (3, true) => place.run::<S, 1, 3, 1>(region),
                        _ if left >= 4 => place.run::<S, 4, 4, 0>(region),
                        _ => place.run::<S, 1, 4, 0>(region),
                    };
                }
            }
        }
    }
}

/// A tile of a matrix of weight gradients.
struct Place {
    source: *const f32,
    gradient: *const f32,
    sums: *mut f32,
    column: Column,
}

impl Place {
    /// Adds `R` inputs × `V` vectors and `H` halves of outputs over all pixels; returns `R`.
    ///
    /// # Safety
    /// The instructions of `S`; pointers into slices that were checked against `region`.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const V: usize, const H: usize>(&self, region: &Region) -> usize {
        let whole = self.column.tail == LANES && self.column.half.is_multiple_of(S::Half::WIDTH);
        // SAFETY: the caller's.
        unsafe {
            if whole {
                self.tile::<S, R, V, H, true>(region)
            } else {
                self.tile::<S, R, V, H, false>(region)
            }
        }
        R
    }

    /// # Safety
    /// As [`Place::run`]; `FULL`: no vector and no half is partial.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize, const H: usize, const FULL: bool>(&self, region: &Region) {
        let width = table::rounded(region.outputs);
        // SAFETY: the caller's.
        unsafe {
            let mut totals = [[S::zero(); V]; R];
            let mut halves = [[S::Half::zero(); H]; R];
            for row in 0..region.extent.rows {
                let mut x = self.source.add(row * region.source.row);
                let mut d = self.gradient.add(row * region.target.row);
                for _ in 0..region.extent.columns {
                    let mut g = [S::zero(); V];
                    for (v, slot) in g.iter_mut().enumerate() {
                        let at = d.add(v * LANES);
                        *slot = if FULL || v + 1 < V {
                            S::load(at)
                        } else {
                            S::load_first(at, self.column.tail)
                        };
                    }
                    let mut g_half = [S::Half::zero(); H];
                    for slot in &mut g_half {
                        let at = d.add(V * LANES);
                        *slot = if FULL {
                            S::Half::load(at)
                        } else {
                            S::Half::load_first(at, self.column.half)
                        };
                    }
                    for (r, (totals, half)) in totals.iter_mut().zip(&mut halves).enumerate() {
                        let x = *x.add(r);
                        for (total, &g) in totals.iter_mut().zip(&g) {
                            *total = S::fma(S::splat(x), g, *total);
                        }
                        for (total, &g) in half.iter_mut().zip(&g_half) {
                            *total = S::Half::fma(S::Half::splat(x), g, *total);
                        }
                    }
                    x = x.wrapping_add(region.source.pixel);
                    d = d.wrapping_add(region.target.pixel);
                }
            }
            for (r, (totals, half)) in totals.iter().zip(&halves).enumerate() {
                let to = self.sums.add(r * width);
                for (v, &total) in totals.iter().enumerate() {
                    put::<S, true>(to.add(v * LANES), total, LANES);
                }
                for &total in half {
                    put::<S::Half, true>(to.add(V * LANES), total, S::Half::WIDTH);
                }
            }
        }
    }
}
