//! The classifier in Burn's graph: one operation on Flex tensors, like a cell.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients as GraphGradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;

use super::backward::give;
use super::kernels::Memory;
use super::operands::{channels_last, primitive, slice};
use super::parent;
use crate::cpu::Classifier;
use crate::tensor_memory::TensorMemory;

/// Applies the classifier; see [`Classifier::forward`](crate::Classifier::forward).
pub(crate) fn classify(kernel: Classifier, memory: &Memory, images: Tensor<4>, weights: Tensor<1>) -> Tensor<2> {
    if !images.is_autodiff() && !weights.is_autodiff() {
        let images = channels_last(primitive(images));
        let (_, logits) = run(kernel, memory, &images, &primitive(weights).to_contiguous());
        return Tensor::from_primitive::<Flex>(logits);
    }
    let (images, images_node) = parent(images).into_parts();
    let (weights, weights_node) = parent(weights).into_parts();
    let (images, weights) = (channels_last(images), weights.to_contiguous());
    let (means, logits) = run(kernel, memory, &images, &weights);
    let prepared = ClassifierBackward
        .prepare::<NoCheckpointing>([images_node, weights_node])
        .compute_bound()
        .stateful();
    let logits = match prepared {
        OpsKind::Tracked(prepared) => {
            let kept = Kept {
                kernel,
                memory: memory.clone(),
                images,
                means,
                weights,
            };
            prepared.finish(Arc::new(kept), logits)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(logits),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(logits)
}

/// The means and logits of images in channels-last layout.
fn run(kernel: Classifier, memory: &Memory, images: &FlexTensor, weights: &FlexTensor) -> (TensorMemory, FlexTensor) {
    let batch = images.layout().shape()[0];
    let mut means = memory.tensors.take(batch * kernel.features);
    let mut logits = memory.tensors.take(batch * kernel.classes);
    kernel.forward(
        slice(images),
        slice(weights),
        means.as_mut_slice(),
        logits.as_mut_slice(),
    );
    (means, logits.into_tensor(&[batch, kernel.classes]))
}

/// What the backward pass needs.
#[derive(Debug)]
struct Kept {
    kernel: Classifier,
    memory: Memory,
    /// Channels-last.
    images: FlexTensor,
    means: TensorMemory,
    weights: FlexTensor,
}

/// Positions among the parents.
const IMAGES: usize = 0;
const WEIGHTS: usize = 1;

/// The backward pass.
#[derive(Debug)]
struct ClassifierBackward;

impl Backward<Flex, 2> for ClassifierBackward {
    type State = Arc<Kept>;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut GraphGradients, _: &mut Checkpointer) {
        let d_logits = grads.consume::<Flex>(&ops.node).to_contiguous();
        let Kept {
            kernel,
            memory,
            images,
            means,
            weights,
        } = &*ops.state;
        let room = |place: usize, length: usize| ops.parents[place].is_some().then(|| memory.tensors.take(length));
        let mut d_images = room(IMAGES, slice(images).len());
        let mut d_weights = room(WEIGHTS, slice(weights).len());
        kernel.backward(
            (slice(images), means.as_slice()),
            slice(weights),
            slice(&d_logits),
            d_weights.as_mut().map(TensorMemory::as_mut_slice),
            d_images.as_mut().map(TensorMemory::as_mut_slice),
        );
        if let Some(gradient) = d_images {
            give(memory, grads, &ops, IMAGES, gradient, images);
        }
        if let (Some(parent), Some(gradient)) = (&ops.parents[WEIGHTS], d_weights) {
            let length = gradient.as_slice().len();
            grads.register::<Flex>(parent.id, gradient.into_tensor(&[length]));
        }
    }
}
