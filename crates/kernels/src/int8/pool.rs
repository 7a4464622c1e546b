//! Pools, which keep the quantisation of what they read, and sums over a whole image.
//!
//! Contract: only pixels inside the image count; a mean is rounded half to even.

use super::LANES;
use super::level::{Level, per_level};
use super::output::Bounds;
use super::simd::Integers;
use crate::image::{Extent, View};

/// A pool of an image.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Whether it takes the mean; otherwise the largest value.
    pub mean: bool,
    /// Side of the window.
    pub kernel: usize,
    /// Spatial stride.
    pub stride: usize,
    /// Padding on each side.
    pub padding: usize,
    /// Rows and columns of the image.
    pub image: Extent,
    /// The image.
    pub source: View,
    /// The output pixels.
    pub target: View,
}

impl Pool {
    /// Computes all `channels`, a multiple of 16, of the output pixels in `rows`. The first of
    /// these rows is row 0 of `target`.
    ///
    /// # Panics
    /// If they do not fit the slices, or a window lies outside the image.
    pub fn run(
        &self,
        level: Level,
        (rows, columns): (std::ops::Range<usize>, usize),
        channels: usize,
        source: &[u8],
        target: &mut [u8],
    ) {
        let first = rows.start;
        for row in rows {
            for column in 0..columns {
                let [ys, xs] = [(row, self.image.rows), (column, self.image.columns)].map(|(at, side)| {
                    let begin = at * self.stride;
                    begin.saturating_sub(self.padding)..(begin + self.kernel - self.padding).min(side)
                });
                let window = Window {
                    at: self.source.at + ys.start * self.source.row + xs.start * self.source.pixel,
                    row: self.source.row,
                    pixel: self.source.pixel,
                    rows: ys.len(),
                    columns: xs.len(),
                };
                let at = self.target.at + (row - first) * self.target.row + column * self.target.pixel;
                let target = &mut target[at..at + channels];
                // SAFETY: the bodies are plain code.
                unsafe {
                    if self.mean {
                        run_mean(level, window, source, target);
                    } else {
                        run_max(level, window, source, target);
                    }
                }
            }
        }
    }
}

/// Adds the values of each channel over an image to `sums`, which has one element per channel, a
/// multiple of 16.
///
/// # Panics
/// If the image does not fit the slice.
pub fn channel_sums(level: Level, extent: Extent, view: View, source: &[u8], sums: &mut [u32]) {
    let window = Window {
        at: view.at,
        row: view.row,
        pixel: view.pixel,
        rows: extent.rows,
        columns: extent.columns,
    };
    // SAFETY: the body is plain code.
    unsafe { run_sums(level, window, source, sums) }
}

/// Pixels inside the image.
#[derive(Clone, Copy)]
struct Window {
    at: usize,
    row: usize,
    pixel: usize,
    rows: usize,
    columns: usize,
}

impl Window {
    /// Calls `take` with 16 channels, from `channel` on, of every pixel.
    #[inline(always)]
    fn each(&self, source: &[u8], channel: usize, mut take: impl FnMut(&[u8; LANES])) {
        for row in 0..self.rows {
            let mut at = self.at + row * self.row + channel;
            for _ in 0..self.columns {
                if let Some(values) = source[at..at + LANES].first_chunk() {
                    take(values);
                }
                at += self.pixel;
            }
        }
    }
}

per_level! {
    unsafe fn run_max(window: Window, source: &[u8], target: &mut [u8]) = max_body;
    unsafe fn run_mean(window: Window, source: &[u8], target: &mut [u8]) = mean_body;
    unsafe fn run_sums(window: Window, source: &[u8], sums: &mut [u32]) = sums_body;
}

/// # Safety
/// Requires the instructions of `S`.
#[inline(always)]
unsafe fn max_body<S: Integers>(window: Window, source: &[u8], target: &mut [u8]) {
    let (blocks, _) = target.as_chunks_mut::<LANES>();
    for (block, target) in blocks.iter_mut().enumerate() {
        let mut most = [0; LANES];
        window.each(source, LANES * block, |values| {
            for (most, &value) in most.iter_mut().zip(values) {
                *most = value.max(*most);
            }
        });
        *target = most;
    }
}

/// # Safety
/// Requires the instructions of `S`.
#[inline(always)]
unsafe fn mean_body<S: Integers>(window: Window, source: &[u8], target: &mut [u8]) {
    let count = (window.rows * window.columns) as f32;
    let bounds = Bounds::new(0, false);
    let (blocks, _) = target.as_chunks_mut::<LANES>();
    for (block, target) in blocks.iter_mut().enumerate() {
        let mut sums = [0u32; LANES];
        window.each(source, LANES * block, |values| add(&mut sums, values));
        for (to, sum) in target.iter_mut().zip(sums) {
            *to = bounds.byte(sum as f32 / count);
        }
    }
}

/// # Safety
/// Requires the instructions of `S`.
#[inline(always)]
unsafe fn sums_body<S: Integers>(window: Window, source: &[u8], sums: &mut [u32]) {
    let (blocks, _) = sums.as_chunks_mut::<LANES>();
    for (block, sums) in blocks.iter_mut().enumerate() {
        window.each(source, LANES * block, |values| add(sums, values));
    }
}

#[inline(always)]
fn add(sums: &mut [u32; LANES], values: &[u8; LANES]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum = sum.wrapping_add(value.into());
    }
}
