//! A step of stochastic gradient descent on a flat tensor: our own kernel on the CPU, Burn's
//! operations on GPUs.
//!
//! Contract: both compute [`da2s_kernels::sgd`], on the CPU with the same bits. Tensors are without
//! autodiff and of equal length. On the CPU the new weights reuse the memory of the gradient, and
//! the new velocity that of the old one, unless it is still in use elsewhere.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Tensor};
use da2s_kernels::sgd;
use rayon::prelude::*;

pub use da2s_kernels::sgd::Step as SgdStep;

use crate::fused::{primitive, slice};

/// Floats that a thread updates at a time: enough to outweigh the cost of a task.
const CHUNK: usize = 1 << 14;

/// The updated `weights` and velocity. Without a velocity it starts at zero. A `mask` multiplies
/// the decay of each weight.
pub fn sgd_step(
    step: SgdStep,
    weights: Tensor<1>,
    gradient: Tensor<1>,
    velocity: Option<Tensor<1>>,
    mask: Option<&Tensor<1>>,
) -> (Tensor<1>, Tensor<1>) {
    if weights.device() == Device::flex() {
        on_cpu(step, weights, gradient, velocity, mask)
    } else {
        by_operations(step, weights, gradient, velocity, mask)
    }
}

/// The sum of the squares, added one by one in f64, so that it does not depend on the number of
/// threads.
pub fn squared_norm(tensor: &Tensor<1>) -> f64 {
    let square = |&value: &f32| f64::from(value) * f64::from(value);
    if tensor.device() == Device::flex() {
        slice(&primitive(tensor.clone())).iter().map(square).sum()
    } else {
        tensor.to_data().iter::<f32>().map(|value| square(&value)).sum()
    }
}

fn on_cpu(
    step: SgdStep,
    weights: Tensor<1>,
    gradient: Tensor<1>,
    velocity: Option<Tensor<1>>,
    mask: Option<&Tensor<1>>,
) -> (Tensor<1>, Tensor<1>) {
    let velocity = velocity.unwrap_or_else(|| Tensor::zeros([weights.dims()[0]], &Device::flex()));
    let weights = primitive(weights);
    let mask = mask.map(|mask| primitive(mask.clone()));
    let (mut velocity, mut gradient) = (whole(primitive(velocity)), whole(primitive(gradient)));
    let chunks = slice(&weights)
        .par_chunks(CHUNK)
        .zip(velocity.storage_mut::<f32>().par_chunks_mut(CHUNK))
        .zip(gradient.storage_mut::<f32>().par_chunks_mut(CHUNK));
    match &mask {
        None => chunks.for_each(|((weights, velocity), gradient)| sgd::step(step, weights, velocity, gradient)),
        Some(mask) => chunks
            .zip(slice(mask).par_chunks(CHUNK))
            .for_each(|(((weights, velocity), gradient), mask)| {
                sgd::masked_step(step, mask, weights, velocity, gradient);
            }),
    }
    (
        Tensor::from_primitive::<Flex>(gradient),
        Tensor::from_primitive::<Flex>(velocity),
    )
}

/// The tensor as the only view of its memory: copied if it is a part of a longer one.
fn whole(tensor: FlexTensor) -> FlexTensor {
    if slice(&tensor).len() == tensor.storage::<f32>().len() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

fn by_operations(
    step: SgdStep,
    weights: Tensor<1>,
    gradient: Tensor<1>,
    velocity: Option<Tensor<1>>,
    mask: Option<&Tensor<1>>,
) -> (Tensor<1>, Tensor<1>) {
    let decay = match mask {
        Some(mask) => weights.clone() * (mask.clone() * step.weight_decay),
        None => weights.clone() * step.weight_decay,
    };
    let decayed = decay + gradient * step.scale;
    let velocity = match velocity {
        Some(velocity) => decayed + velocity * step.momentum,
        None => decayed,
    };
    (weights - velocity.clone() * step.rate, velocity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn the_kernel_matches_the_operations_to_the_bit() {
        let step = SgdStep {
            rate: 0.025,
            momentum: 0.9,
            weight_decay: 3e-4,
            scale: 0.37,
        };
        let count = 2 * CHUNK + 5;
        let data = |seed: usize| {
            let values: Vec<f32> = (0..count).map(|i| ((i * seed) as f32).sin()).collect();
            Tensor::<1>::from_data(TensorData::new(values, [count]), &Device::flex())
        };
        let part = Tensor::cat(vec![data(3), data(5)], 0).narrow(0, 7, count);
        for (gradient, velocity) in [(data(7), None), (data(11), Some(data(13))), (part.clone(), Some(part))] {
            let bits = |(weights, velocity): (Tensor<1>, Tensor<1>)| [weights, velocity].map(|x| x.into_data());
            let mask = data(17).greater_elem(0.0).float();
            for mask in [None, Some(&mask)] {
                let ours = bits(sgd_step(step, data(2), gradient.clone(), velocity.clone(), mask));
                let operations = by_operations(step, data(2), gradient.clone(), velocity.clone(), mask);
                assert_eq!(ours, bits(operations));
            }
        }
    }
}
