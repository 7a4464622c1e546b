//! The product: tiles of output pixels × output channels, summed over all taps and input channels.
//!
//! Contract: [`product()`](super::product()) has checked the region. Every output value is one sum
//! over the taps in order and, for each tap, over the inputs; the size of the tile does not change
//! the order.

use super::{Column, Region, columns, put};
use crate::simd::{LANES, Simd};
use crate::table;

/// # Safety
/// Requires the instructions of `S` and a checked region.
#[inline(always)]
pub(super) unsafe fn product_body<S: Simd>(
    region: &Region,
    weights: *const f32,
    source: *const f32,
    accumulate: bool,
    target: *mut f32,
) {
    for column in columns::<S>(region.outputs) {
        for row in 0..region.extent.rows {
            // SAFETY: the check covered all pixels of the row and all channels.
            unsafe {
                let panel = Panel {
                    region,
                    weights: weights.wrapping_add(column.first),
                    // If all offsets are negative, this may point past the image, where no tap
                    // reads.
                    source: source.wrapping_add(region.source.at + row * region.source.row),
                    target: target.add(region.target.at + row * region.target.row + column.first),
                    column,
                    accumulate,
                };
                if S::WIDE {
                    match (column.vectors, column.half > 0) {
                        (0, _) => panel.run::<S, 12, 4, 0, 1>(),
                        (1, false) => panel.run::<S, 8, 4, 1, 0>(),
                        (1, true) => panel.run::<S, 8, 4, 1, 1>(),
                        (2, false) => panel.run::<S, 8, 4, 2, 0>(),
                        (2, true) => panel.run::<S, 8, 4, 2, 1>(),
                        (3, false) => panel.run::<S, 8, 4, 3, 0>(),
                        (3, true) => panel.run::<S, 4, 2, 3, 1>(),
                        _ => panel.run::<S, 4, 2, 4, 0>(),
                    }
                } else if column.half > 0 {
                    panel.run::<S, 8, 4, 0, 1>()
                } else {
                    panel.run::<S, 4, 2, 1, 0>()
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
    /// Tiles of `R` pixels, then of `M` (needed for the rows of small images), then single pixels.
    ///
    /// # Safety
    /// Requires the instructions of `S`; the pointers belong to checked slices; the column has `V`
    /// vectors and `H` half vectors.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const M: usize, const V: usize, const H: usize>(&self) {
        let mut at = 0;
        // SAFETY: guaranteed by the caller; tiles stay within the row.
        unsafe {
            while at + R <= self.region.extent.columns {
                self.tile::<S, R, V, H>(at);
                at += R;
            }
            while at + M <= self.region.extent.columns {
                self.tile::<S, M, V, H>(at);
                at += M;
            }
            while at < self.region.extent.columns {
                self.tile::<S, 1, V, H>(at);
                at += 1;
            }
        }
    }

    /// # Safety
    /// As for [`Panel::run`]; pixels `at` to `at + R` exist.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize, const H: usize>(&self, at: usize) {
        let region = self.region;
        let (inputs, width) = (region.inputs, table::rounded(region.outputs));
        let step = region.source.pixel;
        // SAFETY: guaranteed by the caller.
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
                    // After the last input this may point past the weights, where nothing is read.
                    weights = weights.wrapping_add(width);
                }
            }
            let column = self.column;
            let whole = column.tail == LANES && column.half.is_multiple_of(S::Half::WIDTH);
            // One branch per tile instead of per vector: the sums stay in registers.
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

/// Writes a tile to pixels from `target` on, `step` apart, or adds it to them. `FULL`: neither
/// vectors nor half vectors are partial.
///
/// # Safety
/// Requires the instructions of `S`; the pixels exist.
#[inline(always)]
unsafe fn finish<S: Simd, const R: usize, const V: usize, const H: usize, const FULL: bool, const ACCUMULATE: bool>(
    target: *mut f32,
    (step, column): (usize, Column),
    sums: [[S::V; V]; R],
    halves: [[<S::Half as Simd>::V; H]; R],
) {
    for (r, (row, half)) in sums.into_iter().zip(halves).enumerate() {
        // SAFETY: guaranteed by the caller.
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
