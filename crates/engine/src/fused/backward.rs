//! The backward pass of a cell in Burn's graph.
//!
//! Contract: the parents are the inputs, the weights and the mixture, and only what the graph
//! requests is computed. If another cell has already computed a gradient for an input, the new
//! gradient is added to it. The kernel that kept the activations returns to the idle kernels when
//! the graph drops it.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::Flex;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients as GraphGradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::INPUTS;
use super::kernels::{IdleKernels, Memory, SizedKernel};
use super::operands::{channels_last, slice};
use crate::cpu::Gradients;
use crate::tensor_memory::TensorMemory;

/// Positions of the weights and the mixture among the parents; the inputs come first.
const WEIGHTS: usize = INPUTS;
const MIXTURE: usize = INPUTS + 1;
const PARENTS: usize = INPUTS + 2;

/// A kernel that holds what its backward pass needs.
#[derive(Debug)]
pub(super) struct Kept {
    pub kernel: Option<SizedKernel>,
    pub pool: IdleKernels,
    pub choices: usize,
    pub inputs: Vec<FlexTensor>,
    pub weights: FlexTensor,
    /// The cell's node in the graph.
    pub node: Option<NodeId>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(node) = self.node {
            self.pool.memory.given().remove(&node);
        }
        if let Some(kernel) = self.kernel.take() {
            self.pool.put_back(kernel);
        }
    }
}

/// The backward pass of a cell.
#[derive(Debug)]
pub(super) struct CellBackward;

impl Backward<Flex, PARENTS> for CellBackward {
    type State = Arc<Mutex<Kept>>;

    fn backward(self, ops: Ops<Self::State, PARENTS>, grads: &mut GraphGradients, _: &mut Checkpointer) {
        let d_output = channels_last(grads.consume::<Flex>(&ops.node));
        let mut kept = ops.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept {
            kernel,
            pool,
            choices,
            inputs,
            weights,
            ..
        } = &mut *kept;
        let Some(kernel) = kernel.as_mut() else { return };
        let room = |wanted: bool, length: usize| wanted.then(|| pool.memory.tensors.take(length));
        let mut d_inputs: Vec<Option<TensorMemory>> = inputs
            .iter()
            .zip(&ops.parents)
            .map(|(input, parent)| room(parent.is_some(), slice(input).len()))
            .collect();
        let mut d_weights = room(ops.parents[WEIGHTS].is_some(), slice(weights).len());
        let mut d_mixture = room(ops.parents[MIXTURE].is_some(), *choices);
        let images: Vec<&[f32]> = inputs.iter().map(slice).collect();
        let gradients = Gradients {
            inputs: d_inputs
                .iter_mut()
                .map(|memory| memory.as_mut().map(TensorMemory::as_mut_slice))
                .collect(),
            weights: d_weights.as_mut().map(TensorMemory::as_mut_slice),
            mixture: d_mixture.as_mut().map(TensorMemory::as_mut_slice),
        };
        kernel
            .kernel
            .backward(&images, slice(weights), slice(&d_output), gradients);

        for (place, (gradient, input)) in d_inputs.into_iter().zip(inputs.iter()).enumerate() {
            if let Some(gradient) = gradient {
                give(&pool.memory, grads, &ops, place, gradient, input);
            }
        }
        for (place, gradient) in [(WEIGHTS, d_weights), (MIXTURE, d_mixture)] {
            if let (Some(parent), Some(gradient)) = (&ops.parents[place], gradient) {
                let length = gradient.as_slice().len();
                grads.register::<Flex>(parent.id, gradient.into_tensor(&[length]));
            }
        }
    }
}

/// Registers the gradient of the image that is parent `place`, in the memory layout of `like`,
/// after adding the gradient from another reader of the image.
pub(super) fn give<S, const N: usize>(
    memory: &Memory,
    grads: &mut GraphGradients,
    ops: &Ops<S, N>,
    place: usize,
    mut gradient: TensorMemory,
    like: &FlexTensor,
) {
    let Some(parent) = &ops.parents[place] else { return };
    let before = memory
        .given()
        .get_mut(&parent.id)
        .map(|given| std::mem::replace(given, true));
    if before == Some(true) {
        add(gradient.as_mut_slice(), &channels_last(grads.consume::<Flex>(parent)));
    }
    let shape: Vec<usize> = like.layout().shape().iter().copied().collect();
    grads.register::<Flex>(parent.id, gradient.into_tensor(&shape).permute(&[0, 3, 1, 2]));
}

/// `to` += `from`.
fn add(to: &mut [f32], from: &FlexTensor) {
    /// Floats that a thread adds at a time: enough to outweigh the cost of a task.
    const CHUNK: usize = 1 << 14;
    to.par_chunks_mut(CHUNK)
        .zip(slice(from).par_chunks(CHUNK))
        .for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, from)| *to += from));
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use crate::{Block, Call, Cell, CellPlanBuilder, Engine, Memory};

    /// In a graph without a backward pass, the nodes stay as long as Burn keeps the graph.
    #[test]
    fn a_backward_pass_leaves_no_nodes_behind() {
        let memory = Memory::default();
        let plan = CellPlanBuilder::new(false)
            .input(2)
            .node(2)
            .edge(0, 1, [(Block::Identity, "identity".to_owned(), 0)])
            .output([1]);
        let cell = Cell::new(plan, &Engine::Fused(memory.clone()));
        let image = Tensor::<4>::ones([1, 2, 3, 3], &Device::flex());
        for _ in 0..3 {
            let call = Call {
                inputs: vec![image.clone().autodiff().require_grad()],
                weights: Tensor::zeros([0], &Device::flex()),
                mixture: None,
                active: None,
                drop_path: None,
                statistics: None,
            };
            cell.forward(call).output.sum().backward();
            assert_eq!(memory.given().len(), 0);
        }
    }
}
