//! The gradient of the weights: tiles of input channels × output channels, summed over all pixels.
//!
//! Contract: [`outer()`](super::outer()) has checked the region. Every value is one sum over the
//! pixels, row by row, added to the old value; the size of the tile does not change the order.

use super::{Column, Region, columns, put};
use crate::simd::{LANES, Simd};
use crate::table;

/// # Safety
/// Requires the instructions of `S` and a checked region.
#[inline(always)]
pub(super) unsafe fn outer_body<S: Simd>(region: &Region, source: *const f32, gradient: *const f32, sums: *mut f32) {
    let width = table::rounded(region.outputs);
    for (&tap, &offset) in region.taps.tables().iter().zip(region.taps.offsets()) {
        for column in columns::<S>(region.outputs) {
            let mut input = 0;
            while input < region.inputs {
                // SAFETY: the check covered all taps, pixels and channels; `input` and the rows of
                // the tile exist.
                unsafe {
                    let tile = GradientTile {
                        source: source.wrapping_add(region.source.at).wrapping_offset(offset).add(input),
                        gradient: gradient.add(region.target.at + column.first),
                        sums: sums.add((tap * region.inputs + input) * width + column.first),
                        column,
                    };
                    let left = region.inputs - input;
                    input += if S::WIDE {
                        match (column.vectors, column.half > 0) {
                            (0, _) if left >= 8 => tile.run::<S, 8, 0, 1>(region),
                            (0, _) if left >= 4 => tile.run::<S, 4, 0, 1>(region),
                            (0, _) => tile.run::<S, 1, 0, 1>(region),
                            (1, false) if left >= 16 => tile.run::<S, 16, 1, 0>(region),
                            (1, false) if left >= 8 => tile.run::<S, 8, 1, 0>(region),
                            (1, false) if left >= 4 => tile.run::<S, 4, 1, 0>(region),
                            (1, false) => tile.run::<S, 1, 1, 0>(region),
                            (1, true) if left >= 8 => tile.run::<S, 8, 1, 1>(region),
                            (1, true) => tile.run::<S, 1, 1, 1>(region),
                            (2, false) if left >= 8 => tile.run::<S, 8, 2, 0>(region),
                            (2, false) if left >= 4 => tile.run::<S, 4, 2, 0>(region),
                            (2, false) => tile.run::<S, 1, 2, 0>(region),
                            (2, true) if left >= 9 => tile.run::<S, 9, 2, 1>(region),
                            (2, true) if left >= 4 => tile.run::<S, 4, 2, 1>(region),
                            (2, true) => tile.run::<S, 1, 2, 1>(region),
                            (3, false) if left >= 8 => tile.run::<S, 8, 3, 0>(region),
                            (3, false) if left >= 3 => tile.run::<S, 3, 3, 0>(region),
                            (3, false) => tile.run::<S, 1, 3, 0>(region),
                            (3, true) if left >= 6 => tile.run::<S, 6, 3, 1>(region),
                            (3, true) => tile.run::<S, 1, 3, 1>(region),
                            _ if left >= 4 => tile.run::<S, 4, 4, 0>(region),
                            _ => tile.run::<S, 1, 4, 0>(region),
                        }
                    } else {
                        match column.half > 0 {
                            true if left >= 8 => tile.run::<S, 8, 0, 1>(region),
                            true if left >= 4 => tile.run::<S, 4, 0, 1>(region),
                            true => tile.run::<S, 1, 0, 1>(region),
                            false if left >= 4 => tile.run::<S, 4, 1, 0>(region),
                            false => tile.run::<S, 1, 1, 0>(region),
                        }
                    };
                }
            }
        }
    }
}

/// A tile of a matrix of weight gradients.
struct GradientTile {
    source: *const f32,
    gradient: *const f32,
    sums: *mut f32,
    column: Column,
}

impl GradientTile {
    /// Adds the sums over all pixels for `R` inputs × `V` vectors and `H` half vectors of outputs;
    /// returns `R`.
    ///
    /// # Safety
    /// Requires the instructions of `S`; the pointers belong to slices that were checked against
    /// `region`.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const V: usize, const H: usize>(&self, region: &Region) -> usize {
        let whole = self.column.tail == LANES && self.column.half.is_multiple_of(S::Half::WIDTH);
        // SAFETY: guaranteed by the caller.
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
    /// As for [`GradientTile::run`]; `FULL`: neither vectors nor half vectors are partial.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize, const H: usize, const FULL: bool>(&self, region: &Region) {
        let width = table::rounded(region.outputs);
        // SAFETY: guaranteed by the caller.
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
