//! The operands of a kernel: Burn's tensors as slices, and the kernel's results as tensors again.
//!
//! Contract: images are `[batch, channels, height, width]` to callers and contiguous `[batch,
//! height, width, channels]` here; a tensor that already has this layout is not copied. Weights and
//! mixture are contiguous too. Panics if a tensor is not on the CPU device.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData};
use da2s_plan::CellPlan;

use super::kernels::{IdleKernels, SizedKernel};
use crate::cell::NormStatistics;
use crate::cpu::{Forward, Statistics};

/// The operands of a kernel.
pub(super) struct Operands {
    /// Channels-last and contiguous, `[batch, height, width, channels]`.
    pub inputs: Vec<FlexTensor>,
    pub weights: FlexTensor,
    pub mixture: Option<FlexTensor>,
    pub active: Option<Arc<[bool]>>,
    pub drop_path: Option<Tensor<2>>,
    pub given: Option<NormStatistics>,
}

/// The results of a kernel.
pub(super) struct Ran {
    pub kernel: SizedKernel,
    /// `[batch, channels, height, width]`, channels-last in memory.
    pub output: FlexTensor,
    pub statistics: Option<NormStatistics>,
}

impl Operands {
    pub(super) fn run(&self, plan: &CellPlan, pool: &IdleKernels, keep: bool, mixture_gradient: bool) -> Ran {
        let shape = |input: &FlexTensor| -> [usize; 4] { std::array::from_fn(|at| input.layout().shape()[at]) };
        let batch = self.inputs.first().map_or(0, |input| shape(input)[0]);
        let sizes: Vec<(usize, usize)> = self
            .inputs
            .iter()
            .map(|input| (shape(input)[1], shape(input)[2]))
            .collect();
        let nodes = plan.node_sizes(&sizes);
        let (height, width) = plan.output.first().map_or((0, 0), |&node| nodes[node]);
        let mut kernel = pool.take(plan, sizes, batch);
        let mut output = pool.memory.tensors.take(kernel.kernel.output_len());

        let inputs: Vec<&[f32]> = self.inputs.iter().map(slice).collect();
        let drop = self.drop_path.clone().map(|factors| primitive(factors).to_contiguous());
        let (mut mean, mut variance) = (Vec::new(), Vec::new());
        let running = match &self.given {
            None => {
                mean.resize(plan.norm_channels, 0.0);
                variance.resize(plan.norm_channels, 0.0);
                None
            }
            Some(NormStatistics { mean, variance, .. }) => {
                let flat = |tensor: &Tensor<1>| primitive(tensor.clone().without_autodiff()).to_contiguous();
                Some((flat(mean), flat(variance)))
            }
        };
        let statistics = match &running {
            None => Statistics::Batch {
                mean: &mut mean,
                variance: &mut variance,
            },
            Some((mean, variance)) => Statistics::Running {
                mean: slice(mean),
                variance: slice(variance),
            },
        };
        let call = Forward {
            inputs: &inputs,
            weights: slice(&self.weights),
            mixture: self.mixture.as_ref().map(slice),
            active: self.active.as_deref(),
            drop: drop.as_ref().map(slice),
            statistics,
            keep,
            mixture_gradient,
        };
        kernel.kernel.forward(call, output.as_mut_slice());
        let channels = plan.output_channels();
        let seen = running.is_none() && plan.norm_channels > 0;
        let flat = |data: Vec<f32>| Tensor::from_primitive::<Flex>(flex(data, &[plan.norm_channels]));
        Ran {
            kernel,
            output: output
                .into_tensor(&[batch, height, width, channels])
                .permute(&[0, 3, 1, 2]),
            statistics: seen.then(|| NormStatistics {
                mean: flat(mean),
                variance: flat(variance),
                live: self
                    .live(plan, keep && mixture_gradient)
                    .map(|live| plan.live_norms(&live).into()),
            }),
        }
    }

    /// The choices that the kernel computes: it skips those that are inactive, and those with
    /// weight 0 if the gradient of their weight is not requested. `None` means all.
    fn live(&self, plan: &CellPlan, mixture_gradient: bool) -> Option<Vec<bool>> {
        let weights = self.mixture.as_ref().map(slice).filter(|_| !mixture_gradient);
        let is_live = |choice: usize| {
            self.active.as_ref().is_none_or(|active| active[choice])
                && weights.is_none_or(|weights| weights[choice] != 0.0)
        };
        let live: Vec<bool> = (0..plan.choice_count()).map(is_live).collect();
        live.contains(&false).then_some(live)
    }
}

/// The primitive of a tensor without autodiff.
pub(crate) fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    match tensor.without_autodiff().try_into_primitive::<Flex>() {
        Ok(primitive) => primitive,
        Err(error) => panic!("the fused engine runs on the CPU device only: {error:?}"),
    }
}

/// `[batch, channels, height, width]` → `[batch, height, width, channels]`, contiguous; not copied
/// if it already has this layout.
pub(super) fn channels_last(tensor: FlexTensor) -> FlexTensor {
    tensor.permute(&[0, 2, 3, 1]).to_contiguous()
}

/// A tensor of `data`.
fn flex(data: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(data, shape.to_vec()))
}

/// The floats of a contiguous tensor.
pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    match tensor.as_slice::<f32>() {
        Some(slice) => slice,
        None => panic!("the tensor is not contiguous float32"),
    }
}
