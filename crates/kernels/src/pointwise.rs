//! Pointwise (1×1) convolution: every pixel times the same small matrix.
//!
//! Matrices are packed `[inputs][outputs rounded up to 16]` for the product and `[outputs][inputs
//! rounded up to 16]` for the gradient of the input, which is the same product with that packing.

use crate::gemm::{self, Region};
use crate::image::{Extent, View};
use crate::level::Level;
use crate::table;
use crate::taps::Taps;

/// Packs PyTorch weights `[outputs, inputs]` for [`product`].
pub fn pack(weights: &[f32], inputs: usize, outputs: usize, packed: &mut [f32]) {
    let width = table::rounded(outputs);
    packed.fill(0.0);
    for (output, row) in weights.chunks_exact(inputs).enumerate() {
        for (input, &weight) in row.iter().enumerate() {
            packed[input * width + output] = weight;
        }
    }
}

/// Packs PyTorch weights `[outputs, inputs]` for [`product`] from outputs to inputs.
pub fn pack_transposed(weights: &[f32], inputs: usize, packed: &mut [f32]) {
    for (row, packed) in weights
        .chunks_exact(inputs)
        .zip(packed.chunks_exact_mut(table::rounded(inputs)))
    {
        packed[..inputs].copy_from_slice(row);
        packed[inputs..].fill(0.0);
    }
}

/// Adds packed weight gradients (from [`weight_gradient`]) to `weights`, in PyTorch order.
pub fn unpack_add(packed: &[f32], inputs: usize, outputs: usize, weights: &mut [f32]) {
    let width = table::rounded(outputs);
    for (output, row) in weights.chunks_exact_mut(inputs).enumerate() {
        for (input, weight) in row.iter_mut().enumerate() {
            *weight += packed[input * width + output];
        }
    }
}

/// Shape of a product.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of pixels.
    pub pixels: usize,
    /// Channels that the product sums over.
    pub inputs: usize,
    /// Channels that the product computes.
    pub outputs: usize,
}

impl Shape {
    /// The steps of `source` and `target` are distances from one pixel to the next.
    fn region(&self, source_step: usize, target_step: usize) -> Region<'static> {
        let view = |pixel: usize| View {
            at: 0,
            row: self.pixels * pixel,
            pixel,
        };
        Region {
            inputs: self.inputs,
            outputs: self.outputs,
            extent: Extent {
                rows: 1,
                columns: self.pixels,
            },
            source: view(source_step),
            target: view(target_step),
            taps: Taps::point(),
        }
    }
}

/// `target (+)= source · weights`; pixels of `target` are `target_step` floats apart.
pub fn product(
    level: Level,
    shape: Shape,
    weights: &[f32],
    source: &[f32],
    accumulate: bool,
    target_step: usize,
    target: &mut [f32],
) {
    gemm::product(
        level,
        &shape.region(shape.inputs, target_step),
        weights,
        source,
        accumulate,
        target,
    );
}

/// `sums += sourceᵀ · gradient` (packed as for [`product`]); pixels of `gradient` are
/// `gradient_step` floats apart.
pub fn weight_gradient(
    level: Level,
    shape: Shape,
    source: &[f32],
    gradient_step: usize,
    gradient: &[f32],
    sums: &mut [f32],
) {
    gemm::outer(
        level,
        &shape.region(shape.inputs, gradient_step),
        source,
        gradient,
        sums,
    );
}
