//! The entropy of a softmax, in nats: 0 if one choice has all the weight, ln n if n choices share
//! it evenly.
//!
//! Reference: the mixture's entropy as a loss is that of ASAP (Noy et al. 2019) and of Tian et al.
//! 2021, equation 3.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

/// Entropy of softmax(`logits`) along `dim`, which remains with length 1.
pub(super) fn entropy<const D: usize>(logits: Tensor<D>, dim: usize) -> Tensor<D> {
    let log = log_softmax(logits, dim);
    // exp(log p)·log p is 0 if p underflows, however large log p is.
    -(log.clone().exp() * log).sum_dim(dim)
}

/// The sum of the entropies of all rows' softmax, one element. `logits` is `[rows, choices]`.
pub(crate) fn total_entropy(logits: Tensor<2>) -> Tensor<1> {
    entropy(logits, 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn equal_choices_have_the_most() {
        let logits = TensorData::from([[3.0f32, 3.0], [1e4, -1e4]]);
        let logits = Tensor::<2>::from_data(logits, &Device::flex());
        let sum = total_entropy(logits.clone()).into_scalar::<f32>();
        assert!((sum - 2.0f32.ln()).abs() < 1e-6, "{sum}");
        assert_eq!(entropy(logits, 1).sum().into_scalar::<f32>(), sum);
    }
}
