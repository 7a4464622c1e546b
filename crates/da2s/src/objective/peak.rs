//! The peak memory of activations under the mixture: a maximum over the layers of the network.
//!
//! The loss has a smooth maximum in its place, (1/τ) log Σ_l exp(τ x_l), where x_l is the expected
//! memory at layer l as a fraction of the limit (Boyd, Vandenberghe, "Convex Optimization", 2004,
//! section 3.1.5). It is never below the maximum, so a mixture without a penalty is within the
//! limit. It exceeds the maximum by at most log(L)/τ for L layers: 5 % of the limit for 13.

use burn::tensor::Tensor;

use super::cost_limit::cheapest;
use crate::space::{PerKind, Space, Target};

/// τ, for values near 1.
const SHARPNESS: f64 = 50.0;

/// The memory at each choice. In a chain of layers it is exact but for gaps in the allocation: only
/// what the layer reads and writes is in memory. If an edge keeps several operations, their mean
/// counts. In cells of nodes it is an estimate: the other tensors in memory are counted as if the
/// network had every edge.
#[derive(Clone, Debug, PartialEq)]
pub struct PeakTable {
    /// The peak of what is not searched.
    pub fixed: f64,
    /// What is in memory whatever is chosen: 0 in a chain.
    pub beside: f64,
    /// What a choice needs in addition, the most over all cells of its kind, `[edges ·
    /// operations]`.
    pub choices: PerKind<Vec<f64>>,
}

impl PeakTable {
    /// A peak that no network of `target` falls below. For cells, whose table is an estimate, it is
    /// the peak of the parts that are not searched.
    pub(super) fn least(&self, space: &Space, target: &Target) -> f64 {
        if !space.graph.is_chain() {
            return self.fixed;
        }
        let kinds = self.choices.iter();
        let searched = kinds.flat_map(|(kind, needs)| cheapest(needs, space, target.kind(kind), 1).flatten());
        searched.fold(self.fixed, f64::max)
    }
}

/// The smooth maximum of `values`, one element.
pub(super) fn smooth_maximum(values: Tensor<1>) -> Tensor<1> {
    // Exponentials of differences cannot overflow.
    let largest = values.clone().detach().max();
    let terms = ((values - largest.clone()) * SHARPNESS).exp();
    terms.sum().log() / SHARPNESS + largest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::host;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn a_smooth_maximum_is_a_little_above_the_maximum() {
        let of = |values: &[f32]| {
            let values = TensorData::new(values.to_vec(), [values.len()]);
            f64::from(host(&smooth_maximum(Tensor::from_data(values, &Device::flex())))[0])
        };
        assert!((of(&[0.2, 0.9, 0.5]) - 0.9).abs() < 1e-6);
        assert!((of(&[300.0, 0.0]) - 300.0).abs() < 1e-3);
        let ties = of(&[1.0; 13]);
        assert!((ties - 1.0 - 13f64.ln() / SHARPNESS).abs() < 1e-5, "{ties}");
    }
}
