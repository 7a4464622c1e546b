//! The zero-one loss of FairDARTS, which pushes every gate toward open or shut.
//!
//! Reference: Chu, Zhou, Zhang, Li, "Fair DARTS: Eliminating Unfair Advantages in Differentiable
//! Architecture Search", ECCV 2020, equation 6: L_01 = −(1/N) Σ (σ(α) − 1/2)² over all N gates.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

/// Σ (σ(α) − 1/2)² over the gates of one kind of cell, one element; the loss is −1/N times their
/// sum. `alpha` is `[edges, operations]`.
pub(crate) fn zero_one(alpha: Tensor<2>) -> Tensor<1> {
    (sigmoid(alpha) - 0.5).square().sum()
}
