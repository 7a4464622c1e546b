//! The fused path in Burn: the CPU executor as one differentiable operation on Flex tensors.
//!
//! Contract: runs on the CPU device only. Images are `[batch, channels, height, width]` to callers
//! and channels-last in memory; tensors that already have this layout are used in place, others are
//! copied. Each forward pass that keeps activations for its backward pass has its own kernel, which
//! returns to the cell's idle kernels when the graph drops it. Gradients of a tensor that several
//! cells read are added here, on all threads: Burn would add channels-last tensors one number at a
//! time.

mod backward;
mod classifier;
mod kernels;
mod operands;

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, NodeGuard, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Device, Tensor};
use da2s_plan::CellPlan;

use self::backward::{CellBackward, Kept};
pub(crate) use self::classifier::classify;
pub(crate) use self::kernels::IdleKernels;
pub use self::kernels::Memory;
use self::operands::{Operands, channels_last};
pub(crate) use self::operands::{primitive, slice};
use crate::cell::{Call, Output};

/// Largest number of inputs of a cell.
const INPUTS: usize = 2;

/// Applies `plan`; see [`Cell::forward`](crate::Cell::forward).
pub(crate) fn forward(plan: &CellPlan, pool: &IdleKernels, call: Call) -> Output {
    assert!(call.inputs.len() <= INPUTS, "a cell has at most {INPUTS} inputs");
    let on_graph = call.inputs.iter().any(Tensor::is_autodiff)
        || call.weights.is_autodiff()
        || call.mixture.as_ref().is_some_and(Tensor::is_autodiff);
    if on_graph {
        graph_forward(plan, pool, call)
    } else {
        plain_forward(plan, pool, call)
    }
}

/// The forward pass without autodiff.
fn plain_forward(plan: &CellPlan, pool: &IdleKernels, call: Call) -> Output {
    let inputs = call
        .inputs
        .into_iter()
        .map(|input| channels_last(primitive(input)))
        .collect();
    let operands = Operands {
        inputs,
        weights: primitive(call.weights).to_contiguous(),
        mixture: call.mixture.map(|mixture| primitive(mixture).to_contiguous()),
        active: call.active,
        drop_path: call.drop_path,
        given: call.statistics,
    };
    let ran = operands.run(plan, pool, false, false);
    pool.put_back(ran.kernel);
    Output {
        output: Tensor::from_primitive::<Flex>(ran.output),
        statistics: ran.statistics,
    }
}

/// The forward pass with autodiff. The parents are the inputs, the weights and the mixture; an
/// untracked leaf takes the place of what is absent.
fn graph_forward(plan: &CellPlan, pool: &IdleKernels, call: Call) -> Output {
    let filler = || parent(Tensor::<1>::zeros([1], &Device::flex()));
    let count = call.inputs.len();
    let mut images = call.inputs.into_iter();
    let (mut inputs, mut tracked) = (Vec::with_capacity(count), false);
    let mut input_node = || -> NodeGuard {
        let Some(image) = images.next() else {
            return filler().into_parts().1;
        };
        let image = parent(image);
        tracked |= image.is_tracked();
        let (image, node) = image.into_parts();
        inputs.push(channels_last(image));
        node
    };
    let (first, second) = (input_node(), input_node());
    let weights = parent(call.weights);
    tracked |= weights.is_tracked();
    let (weights, weights_node) = weights.into_parts();
    let (mixture, mixture_node, mixture_gradient) = match call.mixture {
        None => (None, filler().into_parts().1, false),
        Some(mixture) => {
            let mixture = parent(mixture);
            let gradient = mixture.is_tracked();
            let (mixture, node) = mixture.into_parts();
            (Some(mixture.to_contiguous()), node, gradient)
        }
    };
    let keep = tracked || mixture_gradient;
    let operands = Operands {
        inputs,
        weights: weights.to_contiguous(),
        mixture,
        active: call.active,
        drop_path: call.drop_path.map(Tensor::without_autodiff),
        given: call.statistics,
    };
    let ran = operands.run(plan, pool, keep, mixture_gradient);
    let prepared = CellBackward
        .prepare::<NoCheckpointing>([first, second, weights_node, mixture_node])
        .compute_bound()
        .stateful();
    let output = match prepared {
        OpsKind::Tracked(prepared) => {
            let kept = Kept {
                kernel: Some(ran.kernel),
                pool: pool.clone(),
                choices: plan.choice_count(),
                inputs: operands.inputs,
                weights: operands.weights,
                node: None,
            };
            let state = Arc::new(Mutex::new(kept));
            let output = prepared.finish(Arc::clone(&state), ran.output);
            pool.memory.given().insert(output.id(), false);
            state.lock().unwrap_or_else(PoisonError::into_inner).node = Some(output.id());
            output
        }
        OpsKind::UnTracked(prepared) => {
            pool.put_back(ran.kernel);
            prepared.finish(ran.output)
        }
    };
    Output {
        output: Tensor::from_primitive::<Autodiff<Flex>>(output),
        statistics: ran.statistics,
    }
}

/// The autodiff primitive of a tensor; a tensor without autodiff enters as a constant.
fn parent<const D: usize>(tensor: Tensor<D>) -> <Autodiff<Flex> as burn::backend::BackendTypes>::FloatTensorPrimitive {
    match tensor.autodiff().try_into_primitive::<Autodiff<Flex>>() {
        Ok(primitive) => primitive,
        Err(error) => panic!("the fused engine runs on the CPU device only: {error:?}"),
    }
}
