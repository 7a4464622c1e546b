//! Plain loops in f64 that define what every kernel must compute, and numbers to test them with.
#![allow(dead_code)]

use da2s_kernels::{Padded, Window};

/// Channel counts around the vector's 16 lanes.
pub const CHANNELS: &[usize] = sizes(&[1, 3, 8, 16, 17, 24, 32, 36, 48], &[3, 16, 20, 32]);
/// Height and width: odd, smaller than a window, one pixel, and regular.
pub const SIZES: &[(usize, usize)] = sizes(
    &[(8, 8), (7, 5), (1, 1), (3, 2), (4, 17)],
    &[(5, 5), (1, 1), (3, 2), (2, 13)],
);

/// `all`, or `few` under Miri, which is about a thousand times slower: the smallest sizes that
/// still take every path through a kernel (whole vectors, halves and remainders).
pub const fn sizes<T>(all: &'static [T], few: &'static [T]) -> &'static [T] {
    if cfg!(miri) { few } else { all }
}

/// A stream of numbers in −1 … 1, the same in every run.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: usize) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn take(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Few different values, so that a window contains ties.
    pub fn coarse(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.next() * 3.0).round()).collect()
    }
}

/// `image` (packed) inside its border.
pub fn pad(shape: &Padded, image: &[f32]) -> Vec<f32> {
    let mut data = vec![f32::NAN; shape.len()];
    shape.clear_border(&mut data);
    shape.copy_from(image, &mut data);
    data
}

/// For each output pixel and tap: `(output pixel, tap, input pixel)` if the tap reads inside the
/// image.
pub fn walk(window: &Window, height: usize, width: usize) -> Vec<(usize, usize, usize)> {
    let (rows, columns) = (window.output(height), window.output(width));
    let mut steps = Vec::new();
    for y in 0..rows {
        for x in 0..columns {
            for tap in 0..window.taps() {
                let reach =
                    |at: usize, tap: usize| (at * window.stride + tap * window.dilation).checked_sub(window.padding);
                if let (Some(iy), Some(ix)) = (reach(y, tap / window.kernel), reach(x, tap % window.kernel))
                    && iy < height
                    && ix < width
                {
                    steps.push((y * columns + x, tap, iy * width + ix));
                }
            }
        }
    }
    steps
}

/// Compares with the sum of an absolute and a relative tolerance.
pub fn assert_close(what: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    for (at, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(got) - expected).abs();
        assert!(
            error <= tolerance * (1.0 + expected.abs()),
            "{what}: at {at}: {got} instead of {expected}"
        );
    }
}
