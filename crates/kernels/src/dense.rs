//! Dense k×k convolution with any stride: one matrix product per tap, with the output tile held in
//! registers across all taps.
//!
//! The gradient of the input is the same loop over the padded output gradients, with the transposed
//! taps ([`Window::transposed`](crate::Window::transposed)) and the transposed packing.

use crate::gemm;
use crate::level::Level;
use crate::{pointwise, table};

pub use crate::gemm::Region;

/// Packs PyTorch weights `[outputs, inputs, k, k]` into one matrix `[inputs][outputs rounded up to
/// 16]` per tap.
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

/// Packs PyTorch weights `[outputs, inputs, k, k]` into one matrix `[outputs][inputs rounded up to
/// 16]` per tap.
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

/// Adds packed weight gradients (from [`weight_gradient`]) to `weights`, in PyTorch order.
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
/// [`convolve`]. `region.target` gives the positions of the output gradients.
pub fn weight_gradient(level: Level, region: &Region, source: &[f32], gradient: &[f32], sums: &mut [f32]) {
    gemm::outer(level, region, source, gradient, sums);
}
