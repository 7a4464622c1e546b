//! Max and average pooling over packed images. Padding is never counted; among equal values the
//! first (in row-major order) receives the gradient.

use crate::image::Window;
use crate::level::Level;
use crate::simd::{Simd, per_level};

/// The value that a window yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest.
    Max,
    /// The mean of the values inside the image.
    Average,
}

/// Pooling of images of one size.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// The value that a window yields.
    pub kind: Pooling,
    /// The window; its padding is smaller than its kernel.
    pub window: Window,
    /// Rows of the image.
    pub height: usize,
    /// Pixels per row of the image.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl Pool {
    fn output_len(&self) -> usize {
        self.window.output(self.height) * self.window.output(self.width) * self.channels
    }

    fn check(&self, input: usize, output: usize) {
        let Window {
            kernel,
            padding,
            stride,
            ..
        } = self.window;
        assert!(padding < kernel && stride > 0, "a window lies outside the image");
        assert_eq!(input, self.height * self.width * self.channels);
        assert_eq!(output, self.output_len());
    }

    /// Pixels along one dimension that the window at `at` covers: from the first value up to, but
    /// not including, the second.
    #[inline(always)]
    fn covers(&self, at: usize, side: usize) -> (usize, usize) {
        let Window {
            kernel,
            stride,
            dilation,
            padding,
        } = self.window;
        let begin = (at * stride) as isize - padding as isize;
        // The first tap at or after position 0, in steps of the dilation.
        let skipped = if begin < 0 {
            begin.unsigned_abs().div_ceil(dilation)
        } else {
            0
        };
        let first = (begin + (skipped * dilation) as isize) as usize;
        let last = (begin + ((kernel - 1) * dilation) as isize).max(-1) as usize;
        (first, last.wrapping_add(1).min(side))
    }
}

/// Pools `image` into `output`.
pub fn forward(level: Level, pool: &Pool, image: &[f32], output: &mut [f32]) {
    pool.check(image.len(), output.len());
    // SAFETY: all three lengths were checked.
    unsafe { run_forward(level, pool, image.as_ptr(), output.as_mut_ptr()) }
}

/// Adds the gradient of the image to `to`, given `output` of [`forward`] and its gradient.
pub fn backward(level: Level, pool: &Pool, image: &[f32], output: &[f32], gradient: &[f32], to: &mut [f32]) {
    pool.check(image.len(), output.len());
    pool.check(to.len(), gradient.len());
    // SAFETY: all lengths were checked.
    unsafe {
        run_backward(
            level,
            pool,
            image.as_ptr(),
            output.as_ptr(),
            gradient.as_ptr(),
            to.as_mut_ptr(),
        )
    }
}

per_level! {
    unsafe fn run_forward {} {} (pool: &Pool, image: *const f32, output: *mut f32) = forward_body;
    unsafe fn run_backward {} {} (pool: &Pool, image: *const f32, output: *const f32, gradient: *const f32, to: *mut f32) = backward_body;
}

/// # Safety
/// As for [`forward_pixels`].
#[inline(always)]
unsafe fn forward_body<S: Simd>(pool: &Pool, image: *const f32, output: *mut f32) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if pool.channels <= S::Half::WIDTH {
            forward_pixels::<S::Half>(pool, image, output)
        } else {
            forward_pixels::<S>(pool, image, output)
        }
    }
}

/// # Safety
/// As for [`backward_pixels`].
#[inline(always)]
unsafe fn backward_body<S: Simd>(
    pool: &Pool,
    image: *const f32,
    output: *const f32,
    gradient: *const f32,
    to: *mut f32,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if pool.channels <= S::Half::WIDTH {
            backward_pixels::<S::Half>(pool, image, output, gradient, to)
        } else {
            backward_pixels::<S>(pool, image, output, gradient, to)
        }
    }
}

/// # Safety
/// As for [`Simd::load_first`].
#[inline(always)]
unsafe fn lanes<S: Simd>(at: *const f32, count: usize) -> S::V {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if count == S::WIDTH {
            S::load(at)
        } else {
            S::load_first(at, count)
        }
    }
}

/// # Safety
/// As for [`Simd::store_first`].
#[inline(always)]
unsafe fn put<S: Simd>(at: *mut f32, x: S::V, count: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if count == S::WIDTH {
            S::store(at, x)
        } else {
            S::store_first(at, x, count)
        }
    }
}

/// # Safety
/// Requires the instructions of `S`; the slices have the pool's sizes.
#[inline(always)]
unsafe fn forward_pixels<S: Simd>(pool: &Pool, image: *const f32, output: *mut f32) {
    let (channels, width, step) = (pool.channels, pool.width, pool.window.dilation);
    let columns = pool.window.output(width);
    for y in 0..pool.window.output(pool.height) {
        let (top, bottom) = pool.covers(y, pool.height);
        for x in 0..columns {
            let (left, right) = pool.covers(x, width);
            let inside = (bottom - top).div_ceil(step) * (right - left).div_ceil(step);
            for first in (0..channels).step_by(S::WIDTH) {
                let count = (channels - first).min(S::WIDTH);
                // SAFETY: rows, columns and channels lie inside the image and the output.
                unsafe {
                    let mut value = if pool.kind == Pooling::Max {
                        S::splat(f32::NEG_INFINITY)
                    } else {
                        S::zero()
                    };
                    for row in (top..bottom).step_by(step) {
                        for column in (left..right).step_by(step) {
                            let x = lanes::<S>(image.add((row * width + column) * channels + first), count);
                            value = if pool.kind == Pooling::Max {
                                S::max(x, value)
                            } else {
                                S::add(x, value)
                            };
                        }
                    }
                    if pool.kind == Pooling::Average {
                        value = S::mul(value, S::splat(1.0 / inside as f32));
                    }
                    put::<S>(output.add((y * columns + x) * channels + first), value, count);
                }
            }
        }
    }
}

/// # Safety
/// Requires the instructions of `S`; the slices have the pool's sizes.
#[inline(always)]
unsafe fn backward_pixels<S: Simd>(
    pool: &Pool,
    image: *const f32,
    output: *const f32,
    gradient: *const f32,
    to: *mut f32,
) {
    let (channels, width, step) = (pool.channels, pool.width, pool.window.dilation);
    let columns = pool.window.output(width);
    for y in 0..pool.window.output(pool.height) {
        let (top, bottom) = pool.covers(y, pool.height);
        for x in 0..columns {
            let (left, right) = pool.covers(x, width);
            let inside = (bottom - top).div_ceil(step) * (right - left).div_ceil(step);
            for first in (0..channels).step_by(S::WIDTH) {
                let count = (channels - first).min(S::WIDTH);
                let at = (y * columns + x) * channels + first;
                // SAFETY: rows, columns and channels lie inside the image and the output.
                unsafe {
                    let mut rest = lanes::<S>(gradient.add(at), count);
                    let largest = lanes::<S>(output.add(at), count);
                    if pool.kind == Pooling::Average {
                        rest = S::mul(rest, S::splat(1.0 / inside as f32));
                    }
                    for row in (top..bottom).step_by(step) {
                        for column in (left..right).step_by(step) {
                            let pixel = (row * width + column) * channels + first;
                            let mut share = rest;
                            if pool.kind == Pooling::Max {
                                (share, rest) = S::split_equal(lanes::<S>(image.add(pixel), count), largest, rest);
                            }
                            let target = to.add(pixel);
                            put::<S>(target, S::add(lanes::<S>(target, count), share), count);
                        }
                    }
                }
            }
        }
    }
}
