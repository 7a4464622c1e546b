//! Dense k×k convolution of any stride: a product a tap, all taps of a tile while it is in
//! registers.
//!
//! The gradient of the input is the same walk over the padded image of output gradients, with the
//! transposed taps ([`Window::transposed`](crate::Window::transposed)) and the transposed packing.

use crate::gemm;
use crate::level::Level;
use crate::{pointwise, table};

pub use crate::gemm::Region;

/// Writes PyTorch weights `[outputs, inputs, k, k]` as a matrix `[inputs][outputs rounded up to
/// 16]` a tap.
pub fn pack(weights: &[f32], inputs: usize, outputs: usize, packed: &mut [f32]) {
    let (width, taps) = (table::rounded(outputs), weights.len() / (inputs * outputs));
    if taps == 1 {
        return pointwise::pack(weights, inputs, outputs, packed);
    }
    packed.fill(0.0);
    for (output, row) in weights.chunks_exact(inputs * taps).enumerate() {
        for (input, kernel) in row.chunks_exact(taps).enumerate() {
            for (tap, &weight) in kernel.iter().enumerate() {
                packed[(tap * inputs + input) * width + output] = weight;
            }
        }
    }
}

/// Writes PyTorch weights `[outputs, inputs, k, k]` as a matrix `[outputs][inputs rounded up to
/// 16]` a tap.
pub fn pack_transposed(weights: &[f32], inputs: usize, outputs: usize, packed: &mut [f32]) {
    let (width, taps) = (table::rounded(inputs), weights.len() / (inputs * outputs));
    if taps == 1 {
        return pointwise::pack_transposed(weights, inputs, packed);
    }
    packed.fill(0.0);
    for (output, row) in weights.chunks_exact(inputs * taps).enumerate() {
        for (input, kernel) in row.chunks_exact(taps).enumerate() {
            for (tap, &weight) in kernel.iter().enumerate() {
                packed[(tap * outputs + output) * width + input] = weight;
            }
        }
    }
}

/// Adds packed gradients of the weights (from [`weight_gradient`]) to `weights` in PyTorch order.
pub fn unpack_add(packed: &[f32], inputs: usize, outputs: usize, weights: &mut [f32]) {
    let (width, taps) = (table::rounded(outputs), weights.len() / (inputs * outputs));
    for (output, row) in weights.chunks_exact_mut(inputs * taps).enumerate() {
        for (input, kernel) in row.chunks_exact_mut(taps).enumerate() {
            for (tap, weight) in kernel.iter_mut().enumerate() {
                *weight += packed[(tap * inputs + input) * width + output];
            }
        }
    }
}

/// `target = Σ_tap source[tap] · weights[tap]`, or `+=` if `accumulate`.
pub fn convolve(level: Level, region: &Region, weights: &[f32], source: &[f32], accumulate: bool, target: &mut [f32]) {
    gemm::product(level, region, weights, source, accumulate, target);
}

/// `sums[tap] += Σ_pixels source[tap]ᵀ · gradient`: the gradient of the weights, packed as for
/// [`convolve`]. `region.target` says where the output gradients lie.
pub fn weight_gradient(level: Level, region: &Region, source: &[f32], gradient: &[f32], sums: &mut [f32]) {
    gemm::outer(level, region, source, gradient, sums);
}
