//! Sums and concatenations of tensors, ReLU, and bytes from numbers.
//!
//! Plain loops, which the compiler vectorises for each level. Contract: a sum adds its terms in
//! order in float32, each value being scale · (q − zero point) in units of the output's scale.

use super::LANES;
use super::level::{Level, per_level};
use super::output::Bounds;
use super::simd::Integers;

/// A tensor that is added to others.
#[derive(Clone, Copy, Debug)]
pub struct Term<'a> {
    /// Its bytes.
    pub values: &'a [u8],
    /// Its zero point.
    pub zero_point: u8,
    /// Its scale, divided by the scale of the sum.
    pub factor: f32,
}

/// Writes the sum of `terms`.
///
/// # Panics
/// If a term is shorter than `target`.
pub fn sum(level: Level, terms: &[Term<'_>], bounds: Bounds, target: &mut [u8]) {
    // SAFETY: the body is plain code.
    unsafe { run_sum(level, terms, bounds, target) }
}

/// Writes max(q, zero point).
pub fn relu(level: Level, source: &[u8], zero_point: u8, target: &mut [u8]) {
    // SAFETY: the body is plain code.
    unsafe { run_relu(level, source, zero_point, target) }
}

/// Writes numbers, divided by `scale`, as bytes.
pub fn bytes(level: Level, values: &[f32], scale: f32, bounds: Bounds, target: &mut [u8]) {
    // SAFETY: the body is plain code.
    unsafe { run_bytes(level, values, scale, bounds, target) }
}

/// The pixels of a part of a concatenation, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its channels.
    pub channels: usize,
    /// Distance from one of its pixels to the next.
    pub pixel: usize,
    /// Distance from one pixel of the result to the next.
    pub target_pixel: usize,
}

/// Writes one term into a part of the channels of each pixel. `target` begins at the first of them.
///
/// # Panics
/// If a pixel does not fit the slices.
pub fn place(level: Level, term: Term<'_>, part: Part, bounds: Bounds, target: &mut [u8]) {
    // SAFETY: the body is plain code.
    unsafe { run_place(level, term, part, bounds, target) }
}

per_level! {
    unsafe fn run_bytes(values: &[f32], scale: f32, bounds: Bounds, target: &mut [u8]) = bytes_body;
    unsafe fn run_place(term: Term<'_>, part: Part, bounds: Bounds, target: &mut [u8]) = place_body;
    unsafe fn run_sum(terms: &[Term<'_>], bounds: Bounds, target: &mut [u8]) = sum_body;
    unsafe fn run_relu(source: &[u8], zero_point: u8, target: &mut [u8]) = relu_body;
}

/// # Safety
/// Requires the instructions of `S`.
#[inline(always)]
unsafe fn sum_body<S: Integers>(terms: &[Term<'_>], bounds: Bounds, target: &mut [u8]) {
    // Several vectors at a time: the terms are a loop, too.
    let done = sum_chunks::<{ 4 * LANES }>(terms, bounds, target, 0);
    let done = sum_chunks::<LANES>(terms, bounds, target, done);
    sum_chunks::<1>(terms, bounds, target, done);
}

/// Writes chunks of `N` bytes, from byte `first` on, and returns where the rest begins.
#[inline(always)]
fn sum_chunks<const N: usize>(terms: &[Term<'_>], bounds: Bounds, target: &mut [u8], first: usize) -> usize {
    let (chunks, rest) = target[first..].as_chunks_mut::<N>();
    let rest = rest.len();
    for (index, target) in chunks.iter_mut().enumerate() {
        let mut sums = [0.0f32; N];
        for term in terms {
            let values = &term.values[first + index * N..][..N];
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += term.of(value);
            }
        }
        for (to, sum) in target.iter_mut().zip(sums) {
            *to = bounds.byte(sum);
        }
    }
    target.len() - rest
}

impl Term<'_> {
    #[inline(always)]
    fn of(&self, value: u8) -> f32 {
        (i32::from(value) - i32::from(self.zero_point)) as f32 * self.factor
    }
}

/// # Safety
/// Requires the instructions of `S`.
#[inline(always)]
unsafe fn relu_body<S: Integers>(source: &[u8], zero_point: u8, target: &mut [u8]) {
    for (to, &value) in target.iter_mut().zip(source) {
        *to = value.max(zero_point);
    }
}

/// # Safety
/// Requires the instructions of `S`.
#[inline(always)]
unsafe fn bytes_body<S: Integers>(values: &[f32], scale: f32, bounds: Bounds, target: &mut [u8]) {
    for (to, &value) in target.iter_mut().zip(values) {
        *to = bounds.byte(value / scale);
    }
}

/// # Safety
/// Requires the instructions of `S`.
#[inline(always)]
unsafe fn place_body<S: Integers>(term: Term<'_>, part: Part, bounds: Bounds, target: &mut [u8]) {
    // If the quantisation is the same, the bytes stay the same, except that ReLU is applied.
    let same = term.factor == 1.0 && i32::from(term.zero_point) == bounds.zero_point;
    let pixels = term.values.chunks_exact(part.pixel);
    for (to, values) in target.chunks_mut(part.target_pixel).zip(pixels) {
        let (to, values) = (&mut to[..part.channels], &values[..part.channels]);
        if same {
            let least = bounds.least();
            for (to, &value) in to.iter_mut().zip(values) {
                *to = value.max(least);
            }
        } else {
            for (to, &value) in to.iter_mut().zip(values) {
                *to = bounds.byte(term.of(value));
            }
        }
    }
}
