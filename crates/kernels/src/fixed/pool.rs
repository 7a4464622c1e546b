//! Pools, and sums over a whole image. Only pixels inside the image count.

use super::{Memory, padded};
use crate::image::{Extent, View};
use crate::level::Level;
use crate::simd::{LANES, Simd, per_level};

/// A pool of an image.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Whether it takes the mean; otherwise the largest value.
    pub mean: bool,
    /// Side of the window.
    pub kernel: usize,
    /// Spatial stride.
    pub stride: usize,
    /// Padding on each side, less than the kernel.
    pub padding: usize,
    /// Channels.
    pub channels: usize,
    /// Rows and columns of the image.
    pub image: Extent,
    /// The image.
    pub source: View,
    /// The output pixels.
    pub target: View,
}

impl Pool {
    /// Computes the output pixels of `rows`, each of `columns` pixels, for one image.
    ///
    /// # Panics
    /// If they do not fit the memory.
    ///
    /// # Safety
    /// The memory is valid during the call. No other thread writes to what is read, or reads or
    /// writes what is written.
    pub unsafe fn run(&self, level: Level, (rows, columns): (std::ops::Range<usize>, usize), memory: Memory) {
        for row in rows {
            for column in 0..columns {
                let [ys, xs] = [(row, self.image.rows), (column, self.image.columns)].map(|(at, side)| {
                    let begin = at * self.stride;
                    let end = (begin + self.kernel).saturating_sub(self.padding).min(side);
                    begin.saturating_sub(self.padding).min(end)..end
                });
                let window = Window {
                    extent: Extent {
                        rows: ys.len(),
                        columns: xs.len(),
                    },
                    view: View {
                        at: self.source.at + ys.start * self.source.row + xs.start * self.source.pixel,
                        ..self.source
                    },
                };
                let at = self.target.at + row * self.target.row + column * self.target.pixel;
                let channels = padded(self.channels);
                window.check(channels, memory.source);
                assert!(at + channels <= memory.target.len(), "the output does not fit");
                // SAFETY: both were checked; the caller guarantees the rest.
                unsafe {
                    let (source, target) = (memory.source.cast(), memory.target.cast::<f32>().add(at));
                    if self.mean {
                        run_mean(level, window, channels, source, target);
                    } else {
                        run_max(level, window, channels, source, target);
                    }
                }
            }
        }
    }
}

/// Writes the sum of each channel over an image to `sums`, whose length is a multiple of 16.
///
/// # Panics
/// If the image does not fit the memory.
///
/// # Safety
/// The memory is valid during the call, and no other thread writes to it.
pub unsafe fn channel_sums(level: Level, extent: Extent, view: View, source: *const [f32], sums: &mut [f32]) {
    let window = Window { extent, view };
    assert!(sums.len().is_multiple_of(LANES), "a partial block of channels");
    window.check(sums.len(), source);
    // SAFETY: both were checked; the caller guarantees the rest.
    unsafe { run_sums(level, window, sums.len(), source.cast(), sums.as_mut_ptr()) }
}

/// Pixels inside the image.
#[derive(Clone, Copy)]
struct Window {
    extent: Extent,
    view: View,
}

impl Window {
    fn check(&self, channels: usize, source: *const [f32]) {
        let is_empty = self.extent.rows * self.extent.columns == 0;
        assert!(
            is_empty || self.view.last(self.extent).saturating_add(channels) <= source.len(),
            "a window lies outside the image"
        );
    }

    /// Calls `take` with the position of each pixel.
    #[inline(always)]
    fn each(&self, mut take: impl FnMut(usize)) {
        for row in 0..self.extent.rows {
            for column in 0..self.extent.columns {
                take(self.view.at + row * self.view.row + column * self.view.pixel);
            }
        }
    }
}

per_level! {
    unsafe fn run_max {} {} (window: Window, channels: usize, source: *const f32, target: *mut f32) = max_body;
    unsafe fn run_mean {} {} (window: Window, channels: usize, source: *const f32, target: *mut f32) = mean_body;
    unsafe fn run_sums {} {} (window: Window, channels: usize, source: *const f32, target: *mut f32) = sums_body;
}

/// # Safety
/// Requires the instructions of `S`, a checked window, and `channels` floats at `target`.
#[inline(always)]
unsafe fn max_body<S: Simd>(window: Window, channels: usize, source: *const f32, target: *mut f32) {
    for first in (0..channels).step_by(LANES) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut most = S::splat(f32::NEG_INFINITY);
            window.each(|at| most = S::max(most, S::load(source.add(at + first))));
            S::store(target.add(first), most);
        }
    }
}

/// # Safety
/// As for [`max_body`].
#[inline(always)]
unsafe fn mean_body<S: Simd>(window: Window, channels: usize, source: *const f32, target: *mut f32) {
    let count = (window.extent.rows * window.extent.columns).max(1) as f32;
    // SAFETY: guaranteed by the caller.
    unsafe {
        sums_body::<S>(window, channels, source, target);
        let share = S::splat(1.0 / count);
        for first in (0..channels).step_by(LANES) {
            let at = target.add(first);
            S::store(at, S::mul(S::load(at), share));
        }
    }
}

/// # Safety
/// As for [`max_body`].
#[inline(always)]
unsafe fn sums_body<S: Simd>(window: Window, channels: usize, source: *const f32, target: *mut f32) {
    for first in (0..channels).step_by(LANES) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut sum = S::zero();
            window.each(|at| sum = S::add(sum, S::load(source.add(at + first))));
            S::store(target.add(first), sum);
        }
    }
}
