//! The output pixels of a call, their positions in memory, and the positions that they read.

use crate::image::{Extent, View};

/// Output pixels, and their positions in elements of the slices.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    /// Output pixels.
    pub extent: Extent,
    /// The pixel under the window's first tap, for each output pixel.
    pub source: View,
    /// The output pixels.
    pub target: View,
    /// The offset at which each tap reads, relative to `source`.
    pub taps: &'a [usize],
}

impl Region<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.extent.rows == 0 || self.extent.columns == 0
    }

    /// Panics unless `read` elements at each tap of each pixel lie within `source_len`, and
    /// `written` elements of each output pixel within `target_len`.
    pub(crate) fn check(&self, (read, source_len): (usize, usize), (written, target_len): (usize, usize)) {
        let furthest = self.taps.iter().max().copied().unwrap_or(0);
        let end = self.source.last(self.extent).saturating_add(furthest);
        assert!(end.saturating_add(read) <= source_len, "a tap reads outside the image");
        let end = self.target.last(self.extent);
        assert!(end.saturating_add(written) <= target_len, "the output does not fit");
    }

    /// The pixels in tiles, row after row; a tile may span rows.
    pub(crate) fn pixels(&self) -> Pixels<2> {
        Pixels::new(self.extent, [self.source, self.target])
    }
}

/// A walk over the pixels of `N` views at once, row after row.
pub(crate) struct Pixels<const N: usize> {
    left: usize,
    columns: usize,
    column: usize,
    /// `at` is the first pixel of the current row.
    views: [View; N],
}

impl<const N: usize> Pixels<N> {
    pub(crate) fn new(extent: Extent, views: [View; N]) -> Self {
        Self {
            left: extent.rows * extent.columns,
            columns: extent.columns,
            column: 0,
            views,
        }
    }

    /// The positions of the next `R` pixels in each view, if as many are left.
    #[inline(always)]
    pub(crate) fn next<const R: usize>(&mut self) -> Option<[[usize; R]; N]> {
        if self.left < R {
            return None;
        }
        self.left -= R;
        let mut positions = [[0; R]; N];
        if self.column + R <= self.columns {
            for (positions, view) in positions.iter_mut().zip(&self.views) {
                let first = view.at + self.column * view.pixel;
                for (r, position) in positions.iter_mut().enumerate() {
                    *position = first + r * view.pixel;
                }
            }
            self.advance(R);
        } else {
            for r in 0..R {
                for (positions, view) in positions.iter_mut().zip(&self.views) {
                    positions[r] = view.at + self.column * view.pixel;
                }
                self.advance(1);
            }
        }
        Some(positions)
    }

    /// Moves on by `pixels` pixels of the row.
    #[inline(always)]
    fn advance(&mut self, pixels: usize) {
        self.column += pixels;
        if self.column == self.columns {
            self.column = 0;
            for view in &mut self.views {
                view.at += view.row;
            }
        }
    }
}
