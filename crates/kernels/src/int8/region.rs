//! The output pixels of a call, and where they and what they read are in memory.

use crate::image::{Extent, View};

/// Output pixels, and their positions in bytes.
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
    pub(super) fn is_empty(&self) -> bool {
        self.extent.rows == 0 || self.extent.columns == 0
    }

    /// Panics unless `read` bytes at each tap of each pixel lie within `source_len`, and `written`
    /// bytes of each output pixel within `target_len`.
    pub(super) fn check(&self, (read, source_len): (usize, usize), (written, target_len): (usize, usize)) {
        let furthest = self.taps.iter().max().copied().unwrap_or(0);
        let end = self.source.last(self.extent).saturating_add(furthest);
        assert!(end.saturating_add(read) <= source_len, "a tap reads outside the image");
        let end = self.target.last(self.extent);
        assert!(end.saturating_add(written) <= target_len, "the output does not fit");
    }

    /// The pixels in tiles, row after row; a tile may span rows.
    pub(super) fn pixels(&self) -> Pixels {
        Pixels {
            left: self.extent.rows * self.extent.columns,
            columns: self.extent.columns,
            column: 0,
            source: self.source,
            target: self.target,
        }
    }
}

/// A walk over the pixels of a region.
pub(super) struct Pixels {
    left: usize,
    columns: usize,
    column: usize,
    /// `at` is the first pixel of the current row.
    source: View,
    target: View,
}

impl Pixels {
    /// The positions of the next `R` pixels in source and target, if as many are left.
    #[inline(always)]
    pub(super) fn next<const R: usize>(&mut self) -> Option<([usize; R], [usize; R])> {
        if self.left < R {
            return None;
        }
        self.left -= R;
        let (mut source, mut target) = ([0; R], [0; R]);
        for (source, target) in source.iter_mut().zip(&mut target) {
            *source = self.source.at + self.column * self.source.pixel;
            *target = self.target.at + self.column * self.target.pixel;
            self.column += 1;
            if self.column == self.columns {
                self.column = 0;
                self.source.at += self.source.row;
                self.target.at += self.target.row;
            }
        }
        Some((source, target))
    }
}
