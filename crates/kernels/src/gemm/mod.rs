//! The microkernels of pointwise and dense convolutions: products of pixels and small matrices.
//!
//! A tile is R pixels × V vectors of output channels (plus half a vector, if at most 8 channels
//! remain). It is held in registers across all taps and input channels. This is the scheme of Goto
//! and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008, except that the
//! image panel is read in place: a tap is an offset, as in implicit convolution.

mod outer;
mod product;

use self::outer::outer_body;
use self::product::product_body;
use crate::image::{Extent, View};
use crate::level::Level;
use crate::simd::{LANES, Simd, per_level};
use crate::table;
use crate::taps::Taps;

/// What a call computes, and where.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    /// Channels that the product sums over.
    pub inputs: usize,
    /// Channels that the product computes.
    pub outputs: usize,
    /// Output pixels.
    pub extent: Extent,
    /// Position of the pixel under the window's origin, for each output pixel.
    pub source: View,
    /// Positions of the output pixels.
    pub target: View,
    /// The matrix that each tap uses and the offset at which it reads, relative to `source`.
    pub taps: &'a Taps,
}

impl Region<'_> {
    fn check(&self, source: &[f32], target_len: usize, matrices: usize) {
        let ends = [self.source.at, self.source.last(self.extent)];
        assert!(
            self.taps.stay_within(ends, self.inputs, source.len()),
            "a tap reads outside the image"
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

    /// The same region with all pixels in one row, if they are contiguous.
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

/// `sums[tap] += Σ_pixels source[tap]ᵀ · gradient`, matrices as in [`product()`]; `region.target`
/// gives the positions of the output gradients.
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

/// A column of tiles: a group of output channels.
#[derive(Clone, Copy)]
struct Column {
    /// The first channel.
    first: usize,
    /// Whole vectors.
    vectors: usize,
    /// Channels after them, which are held in half a vector.
    half: usize,
    /// Channels in the last whole vector.
    tail: usize,
}

/// Columns of nearly equal width: at most four vectors each, or one where registers are few.
fn columns<S: Simd>(outputs: usize) -> impl Iterator<Item = Column> {
    let most = if S::WIDE { 4 } else { 1 };
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

/// Writes the first `lanes` lanes of `x` to `to`, or adds them to it.
///
/// # Safety
/// Requires the instructions of `S` and `lanes` floats at `to`.
#[inline(always)]
unsafe fn put<S: Simd, const ACCUMULATE: bool>(to: *mut f32, x: S::V, lanes: usize) {
    // SAFETY: guaranteed by the caller.
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
