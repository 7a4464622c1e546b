//! Images with a border of zeros, and the positions that a sliding window reads.
//!
//! The right border of a row is the left border of the next, so a [`Padded`] image is only slightly
//! larger than the image, and every row is one flat run.

use crate::activation::{self, ActivationFunction};
use crate::level::Level;
use crate::taps::Taps;

/// A region of output pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Number of rows.
    pub rows: usize,
    /// Number of pixels per row.
    pub columns: usize,
}

/// Positions of pixels in a slice: that of the first pixel, and the steps to the next row and to
/// the next pixel, in elements of the slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Position of the first pixel.
    pub at: usize,
    /// Step from one row to the next.
    pub row: usize,
    /// Step from one pixel to the next.
    pub pixel: usize,
}

impl View {
    /// Unpadded NHWC rows of `width` pixels.
    pub fn packed(width: usize, channels: usize) -> Self {
        Self {
            at: 0,
            row: width * channels,
            pixel: channels,
        }
    }

    /// The same pixels from row `row` on.
    pub fn from_row(self, row: usize) -> Self {
        Self {
            at: self.at + row * self.row,
            ..self
        }
    }

    /// Every `stride`-th pixel of every `stride`-th row, starting at pixel (`y`, `x`).
    pub fn strided(self, stride: usize, y: usize, x: usize) -> Self {
        Self {
            at: self.at + y * self.row + x * self.pixel,
            row: stride * self.row,
            pixel: stride * self.pixel,
        }
    }

    /// The pixels under the first tap of a square window, one for each position of the window, and
    /// the offset of each tap. The first window begins `padding` rows and columns before the image,
    /// within the image's border; if `padding` is negative, it begins inside the image.
    pub fn window(self, kernel: usize, (stride, dilation): (usize, usize), padding: isize) -> (Self, Vec<usize>) {
        let begin = self.at as isize - padding * (self.row + self.pixel) as isize;
        let first = Self {
            at: begin as usize,
            row: self.row * stride,
            pixel: self.pixel * stride,
        };
        let tap = |tap: usize| dilation * (tap / kernel * self.row + tap % kernel * self.pixel);
        (first, (0..kernel * kernel).map(tap).collect())
    }

    /// Position of the first element of the last pixel of `extent`; `usize::MAX` if it overflows.
    pub(crate) fn last(self, extent: Extent) -> usize {
        let (down, right) = (extent.rows - 1, extent.columns - 1);
        (self.at.saturating_add(down.saturating_mul(self.row))).saturating_add(right.saturating_mul(self.pixel))
    }
}

/// An image with a border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padded {
    /// Rows of the image.
    pub height: usize,
    /// Pixels per row of the image.
    pub width: usize,
    /// Channels per pixel.
    pub channels: usize,
    /// Width of the border.
    pub pad: usize,
}

impl Padded {
    /// Distance from one row to the next, in floats.
    pub fn pitch(&self) -> usize {
        (self.width + self.pad) * self.channels
    }

    /// Floats of image and border together.
    pub fn len(&self) -> usize {
        (self.height + 2 * self.pad) * self.pitch() + self.pad * self.channels
    }

    /// Whether the length is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The image inside the border.
    pub fn view(&self) -> View {
        View {
            at: self.pad * (self.pitch() + self.channels),
            row: self.pitch(),
            pixel: self.channels,
        }
    }

    /// Rows and columns of the image.
    pub fn extent(&self) -> Extent {
        Extent {
            rows: self.height,
            columns: self.width,
        }
    }

    /// Sets the border to zero.
    pub fn clear_border(&self, data: &mut [f32]) {
        let (pitch, inside) = (self.pitch(), self.width * self.channels);
        let first = self.view().at;
        data[..first].fill(0.0);
        for y in 0..self.height {
            data[first + y * pitch + inside..first + (y + 1) * pitch].fill(0.0);
        }
        data[first + self.height * pitch..self.len()].fill(0.0);
    }

    /// Writes `image` (packed) inside the border, which is left unchanged.
    pub fn copy_from(&self, image: &[f32], data: &mut [f32]) {
        for (y, row) in image.chunks_exact(self.width * self.channels).enumerate() {
            let at = self.view().at + y * self.pitch();
            data[at..at + row.len()].copy_from_slice(row);
        }
    }

    /// Writes max(`image`, 0) inside the border, which is left unchanged.
    pub fn relu_from(&self, level: Level, image: &[f32], data: &mut [f32]) {
        for (y, row) in image.chunks_exact(self.width * self.channels).enumerate() {
            let at = self.view().at + y * self.pitch();
            activation::apply(level, ActivationFunction::Relu, row, &mut data[at..at + row.len()]);
        }
    }

    /// Writes `function`(scale · `image` + shift) inside the border, which is left unchanged;
    /// `scale` and `shift` are tables.
    pub fn affine_from(
        &self,
        (level, function): (Level, ActivationFunction),
        image: &[f32],
        scale: &[f32],
        shift: &[f32],
        data: &mut [f32],
    ) {
        for (y, row) in image.chunks_exact(self.width * self.channels).enumerate() {
            let at = self.view().at + y * self.pitch();
            activation::apply_affine(level, function, row, scale, shift, &mut data[at..at + row.len()]);
        }
    }
}

/// A square window that slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Taps per side.
    pub kernel: usize,
    /// Pixels from one output to the next.
    pub stride: usize,
    /// Pixels from one tap to the next.
    pub dilation: usize,
    /// Border of the image that the window may reach into.
    pub padding: usize,
}

impl Window {
    /// The window that preserves the image size at stride 1 (odd kernels).
    pub fn same(kernel: usize, stride: usize, dilation: usize) -> Self {
        Self {
            kernel,
            stride,
            dilation,
            padding: dilation * (kernel - 1) / 2,
        }
    }

    /// Number of taps.
    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Output side for an input side; zero if the window does not fit.
    pub fn output(&self, side: usize) -> usize {
        let reach = self.dilation * (self.kernel - 1) + 1;
        (side + 2 * self.padding)
            .checked_sub(reach)
            .map_or(0, |room| room / self.stride + 1)
    }

    /// The taps over `image`, in row-major order. Offsets are relative to the pixel at stride ×
    /// output position.
    pub fn walk(&self, image: &Padded) -> Taps {
        assert!(image.pad >= self.padding, "the window reaches over the border");
        let step = |tap: usize| (tap * self.dilation) as isize - self.padding as isize;
        let offset = |tap: usize| {
            step(tap / self.kernel) * image.pitch() as isize + step(tap % self.kernel) * image.channels as isize
        };
        Taps::new((0..self.taps()).collect(), (0..self.taps()).map(offset).collect())
    }

    /// The transposed taps: for each class of input pixels with the same position modulo the
    /// stride, the taps that reach it and the offsets at which they read the (padded) output
    /// gradients.
    pub fn transposed(&self, gradient: &Padded) -> Vec<Phase> {
        let stride = self.stride as isize;
        let reach = |phase: usize, tap: usize| {
            let distance = (phase + self.padding) as isize - (tap * self.dilation) as isize;
            (distance.rem_euclid(stride) == 0).then_some(distance.div_euclid(stride))
        };
        let mut phases = Vec::with_capacity(self.stride * self.stride);
        for y in 0..self.stride {
            for x in 0..self.stride {
                let (mut tables, mut offsets) = (Vec::new(), Vec::new());
                for tap in 0..self.taps() {
                    if let (Some(down), Some(right)) = (reach(y, tap / self.kernel), reach(x, tap % self.kernel)) {
                        tables.push(tap);
                        offsets.push(down * gradient.pitch() as isize + right * gradient.channels as isize);
                    }
                }
                phases.push(Phase {
                    y,
                    x,
                    taps: Taps::new(tables, offsets),
                });
            }
        }
        phases
    }

    /// The border that the output gradients need for [`Window::transposed`].
    pub fn transposed_pad(&self, input: (usize, usize)) -> usize {
        let side_pad = |side: usize| {
            // Largest distance of a read past either end of the output, over all input positions.
            let last = self.output(side) as isize - 1;
            let reads = |at: usize, tap: usize| (at + self.padding) as isize - (tap * self.dilation) as isize;
            let low = -reads(0, self.kernel - 1).div_euclid(self.stride as isize);
            let high = reads(side - 1, 0).div_euclid(self.stride as isize) - last;
            low.max(high).max(0) as usize
        };
        side_pad(input.0).max(side_pad(input.1))
    }
}

/// Input pixels at (`y`, `x`) modulo the stride, and the taps of their gradient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// First row.
    pub y: usize,
    /// First column.
    pub x: usize,
    /// Taps that reach these pixels. Each reads the output gradients, relative to the pixel at
    /// input position ÷ stride.
    pub taps: Taps,
}

impl Phase {
    /// Number of pixels of a `height` × `width` image that belong to the phase.
    pub fn extent(&self, height: usize, width: usize, stride: usize) -> Extent {
        Extent {
            rows: height.saturating_sub(self.y).div_ceil(stride),
            columns: width.saturating_sub(self.x).div_ceil(stride),
        }
    }
}
