//! The microkernels under pointwise and dense convolutions: products of pixels with small matrices.
//!
//! A tile is R pixels × V vectors of output channels, held in registers while all taps and input channels pass by
//! (the scheme of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008, with the panel
//! of the image read in place: a tap is an offset, as in implicit convolution).

use crate::image::{Extent, View};
use crate::level::Level;
use crate::simd::{LANES, Simd, per_level};
use crate::table;

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
    /// Which matrix each tap uses.
    pub taps: &'a [usize],
    /// Where each tap reads, relative to `source`.
    pub offsets: &'a [isize],
}

impl Region<'_> {
    fn check(&self, source: &[f32], target_len: usize, matrices: usize) {
        assert_eq!(self.taps.len(), self.offsets.len());
        let first = self.source.at as isize + self.offsets.iter().min().copied().unwrap_or(0);
        let last = self.source.last(self.extent) as isize + self.offsets.iter().max().copied().unwrap_or(0);
        assert!(
            first >= 0 && last as usize + self.inputs <= source.len(),
            "a tap reads outside of the image"
        );
        assert!(
            self.target.last(self.extent) + self.outputs <= target_len,
            "the output does not fit"
        );
        let size = self.inputs * table::rounded(self.outputs);
        assert!(
            self.taps.iter().all(|tap| (tap + 1) * size <= matrices),
            "too few weights"
        );
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

/// Vectors of output channels in each column of tiles: as even as can be, at most `most`.
fn columns(outputs: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let vectors = outputs.div_ceil(LANES);
    let count = vectors.div_ceil(most);
    (0..count).map(move |i| {
        let (first, next) = (i * vectors / count, (i + 1) * vectors / count);
        (first, next - first)
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
    for (first, count) in columns(region.outputs, if S::WIDE { 4 } else { 1 }) {
        let tail = (region.outputs - first * LANES).min(count * LANES) - (count - 1) * LANES;
        for row in 0..region.extent.rows {
            // SAFETY: the check covered all pixels of the row and all channels.
            unsafe {
                let panel = Panel {
                    region,
                    weights: weights.add(first * LANES),
                    source: source.add(region.source.at + row * region.source.row),
                    target: target.add(region.target.at + row * region.target.row + first * LANES),
                    tail,
                    accumulate,
                };
                match count {
                    1 if S::WIDE => panel.run::<S, 8, 1>(),
                    1 => panel.run::<S, 4, 1>(),
                    2 => panel.run::<S, 8, 2>(),
                    3 => panel.run::<S, 8, 3>(),
                    _ => panel.run::<S, 4, 4>(),
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
    tail: usize,
    accumulate: bool,
}

impl Panel<'_> {
    /// # Safety
    /// The instructions of `S`; pointers into slices that were checked; `V` vectors in this column.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const V: usize>(&self) {
        let mut at = 0;
        // SAFETY: the caller's; tiles stay within the row.
        unsafe {
            while at + R <= self.region.extent.columns {
                self.tile::<S, R, V>(at);
                at += R;
            }
            while at < self.region.extent.columns {
                self.tile::<S, 1, V>(at);
                at += 1;
            }
        }
    }

    /// # Safety
    /// As [`Panel::run`]; pixels `at` to `at + R` exist.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize>(&self, at: usize) {
        let region = self.region;
        let (inputs, width) = (region.inputs, table::rounded(region.outputs));
        let step = region.source.pixel;
        // SAFETY: the caller's.
        unsafe {
            let source = self.source.add(at * step);
            let target = self.target.add(at * region.target.pixel);
            let mut sums = [[S::zero(); V]; R];
            for (&tap, &offset) in region.taps.iter().zip(region.offsets) {
                let from = source.offset(offset);
                let mut weights = self.weights.add(tap * inputs * width);
                for input in 0..inputs {
                    let mut w = [S::zero(); V];
                    for (v, slot) in w.iter_mut().enumerate() {
                        *slot = S::load(weights.add(v * LANES));
                    }
                    for (r, row) in sums.iter_mut().enumerate() {
                        let x = S::splat(*from.add(r * step + input));
                        for (sum, &w) in row.iter_mut().zip(&w) {
                            *sum = S::fma(x, w, *sum);
                        }
                    }
                    weights = weights.add(width);
                }
            }
            for (r, row) in sums.iter().enumerate() {
                for (v, &sum) in row.iter().enumerate() {
                    let to = target.add(r * region.target.pixel + v * LANES);
                    if v + 1 < V || self.tail == LANES {
                        S::store(to, if self.accumulate { S::add(S::load(to), sum) } else { sum });
                    } else {
                        let sum = if self.accumulate {
                            S::add(S::load_first(to, self.tail), sum)
                        } else {
                            sum
                        };
                        S::store_first(to, sum, self.tail);
                    }
                }
            }
        }
    }
}

/// # Safety
/// The instructions of `S`; a region that was checked.
#[inline(always)]
unsafe fn outer_body<S: Simd>(region: &Region, source: *const f32, gradient: *const f32, sums: *mut f32) {
    let width = table::rounded(region.outputs);
    for (&tap, &offset) in region.taps.iter().zip(region.offsets) {
        for (first, count) in columns(region.outputs, if S::WIDE { 4 } else { 1 }) {
            let tail = (region.outputs - first * LANES).min(count * LANES) - (count - 1) * LANES;
            let mut input = 0;
            while input < region.inputs {
                // SAFETY: the check covered all taps, pixels and channels; `input` and the rows of the tile exist.
                unsafe {
                    let place = Place {
                        source: source.add(region.source.at).offset(offset).add(input),
                        gradient: gradient.add(region.target.at + first * LANES),
                        sums: sums.add((tap * region.inputs + input) * width + first * LANES),
                        tail,
                    };
                    let left = region.inputs - input;
                    input += match count {
                        1 if S::WIDE && left >= 16 => place.run::<S, 16, 1>(region),
                        1 if S::WIDE && left >= 8 => place.run::<S, 8, 1>(region),
                        2 if left >= 8 => place.run::<S, 8, 2>(region),
                        3 if left >= 8 => place.run::<S, 8, 3>(region),
                        1 if left >= 4 => place.run::<S, 4, 1>(region),
                        2 if left >= 4 => place.run::<S, 4, 2>(region),
                        3 if left >= 4 => place.run::<S, 4, 3>(region),
                        4 if left >= 4 => place.run::<S, 4, 4>(region),
                        1 => place.run::<S, 1, 1>(region),
                        2 => place.run::<S, 1, 2>(region),
                        3 => place.run::<S, 1, 3>(region),
                        _ => place.run::<S, 1, 4>(region),
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
    tail: usize,
}

impl Place {
    /// Adds `R` inputs × `V` vectors of outputs over all pixels; returns `R`.
    ///
    /// # Safety
    /// The instructions of `S`; pointers into slices that were checked against `region`.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const V: usize>(&self, region: &Region) -> usize {
        // SAFETY: the caller's.
        unsafe {
            if self.tail == LANES {
                self.tile::<S, R, V, true>(region)
            } else {
                self.tile::<S, R, V, false>(region)
            }
        }
        R
    }

    /// # Safety
    /// As [`Place::run`].
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize, const FULL: bool>(&self, region: &Region) {
        let width = table::rounded(region.outputs);
        // SAFETY: the caller's.
        unsafe {
            let mut totals = [[S::zero(); V]; R];
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
                            S::load_first(at, self.tail)
                        };
                    }
                    for (r, totals) in totals.iter_mut().enumerate() {
                        let x = S::splat(*x.add(r));
                        for (total, &g) in totals.iter_mut().zip(&g) {
                            *total = S::fma(x, g, *total);
                        }
                    }
                    x = x.wrapping_add(region.source.pixel);
                    d = d.wrapping_add(region.target.pixel);
                }
            }
            for (r, totals) in totals.iter().enumerate() {
                for (v, &total) in totals.iter().enumerate() {
                    let to = self.sums.add(r * width + v * LANES);
                    S::store(to, S::add(S::load(to), total));
                }
            }
        }
    }
}
