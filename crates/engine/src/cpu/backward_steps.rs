//! The steps of a backward pass on one image.

use da2s_kernels::{elementwise, norm, pool};

use super::backward_stage::StageOnImage;
use super::compiled::{Chain, ChainOperation, Unit};
use super::forward_steps::compute;
use super::image::{At, Frame, Scratch};
use super::memory::Shared;
use super::schedule::{Step, Written};
use super::weights::Sums;

/// What a backward pass reads and writes in addition to the kept tensors.
#[derive(Clone, Copy)]
pub(super) struct Flow<'a> {
    /// Gradient of the output.
    pub output: &'a [f32],
    /// Gradients of the inputs that are requested.
    pub inputs: &'a [Option<Shared<'a>>],
    /// Tensors of this run.
    pub passing: Shared<'a>,
    /// Nodes that a gradient flows to.
    pub wanted: &'a [bool],
    /// Which gradients of ReLUs and poolings are written at all.
    pub written: &'a Written,
    /// Whether gradients of the weights are requested.
    pub weights: bool,
    /// Whether gradients of the mixture are requested.
    pub mixture: bool,
    /// S₁ and S₂ of [`norm`], at the positions given by `Compiled::sums`.
    pub sums: [Shared<'a>; 2],
    /// Tables a, b, d of [`norm`] at [`Chain::table`].
    pub tables: [&'a [f32]; 3],
    /// Positions at which the sweep stores gradients of weights.
    pub weight_sums: &'a Sums,
}

/// Runs `step` on an image. `block` holds the block's sums of weight gradients.
///
/// # Safety
/// No other thread works on the image.
pub(super) unsafe fn run(step: Step, frame: &Frame, flow: &Flow, block: &mut [f32], scratch: &mut Scratch, at: At) {
    // SAFETY: only this thread works on the image, and a step does not write to tensors that it
    // reads.
    unsafe {
        match step {
            Step::Begin(node) => begin(frame, flow, node, at),
            Step::Complete(node) => complete(frame, flow, node, scratch, at),
            Step::Again(unit) => {
                compute(frame, &frame.compiled.units[unit], 0, scratch, at);
            }
            Step::Sums(unit) => sums(frame, flow, &frame.compiled.units[unit], scratch, at),
            Step::Backward { unit, stage, first } => {
                let unit = &frame.compiled.units[unit];
                let mut on_image = StageOnImage {
                    frame,
                    flow,
                    unit,
                    stage: &unit.stages[stage],
                    index: stage,
                    first,
                    at,
                };
                on_image.backward(block, scratch);
            }
            Step::Clear(_) | Step::Pool(_) | Step::Stage { .. } | Step::Accumulate { .. } | Step::Output(_) => {
                unreachable!("a step of the forward pass")
            }
        }
    }
}

/// The data that `step` will read from main memory.
///
/// # Safety
/// As for [`run`].
pub(super) unsafe fn reads<'a>(step: Step, frame: &Frame<'a>, at: At) -> [&'a [f32]; 2] {
    let units = &frame.compiled.units;
    // SAFETY: guaranteed by the caller.
    unsafe {
        match step {
            Step::Again(unit) => [frame.state(units[unit].from, at), &[]],
            Step::Sums(unit) => [
                units[unit]
                    .stages
                    .last()
                    .map_or(&[], |stage| frame.z(&units[unit], stage, at)),
                &[],
            ],
            Step::Backward { unit, stage, .. } => {
                let stage = &units[unit].stages[stage];
                let inner = frame.inner_gradient(stage, at).map_or(&[][..], |inner| inner);
                [frame.z(&units[unit], stage, at), inner]
            }
            _ => [&[], &[]],
        }
    }
}

/// The gradient of a node's state, and that of its ReLU.
///
/// # Safety
/// As for [`run`]; for a source, the two are the same tensor.
pub(super) unsafe fn gradient<'a>(frame: &Frame, flow: &Flow<'a>, node: usize, relu: bool, at: At) -> &'a mut [f32] {
    let node = &frame.compiled.nodes[node];
    // SAFETY: guaranteed by the caller.
    unsafe {
        match (node.gradient, node.source.and_then(|input| flow.inputs[input])) {
            (Some((_, tensor)), _) if relu => flow.passing.image_mut(tensor, at.slot),
            (Some((tensor, _)), _) => flow.passing.image_mut(tensor, at.slot),
            (None, Some(input)) => {
                let len = node.shape.len();
                input.write(at.image * len..(at.image + 1) * len)
            }
            (None, None) => &mut [],
        }
    }
}

/// # Safety
/// As for [`run`].
unsafe fn begin(frame: &Frame, flow: &Flow, index: usize, at: At) {
    let compiled = frame.compiled;
    let node = &compiled.nodes[index];
    // SAFETY: guaranteed by the caller.
    unsafe {
        let state = gradient(frame, flow, index, false, at);
        let (Some(shape), Some((&first, more))) = (compiled.output, node.outputs.split_first()) else {
            state.fill(0.0);
            return;
        };
        let channels = node.shape.channels;
        let output = &flow.output[at.image * shape.len()..(at.image + 1) * shape.len()];
        let pixels = output.chunks_exact(shape.channels);
        for (to, pixel) in state.chunks_exact_mut(channels).zip(pixels) {
            to.copy_from_slice(&pixel[first..first + channels]);
            for &from in more {
                for (to, from) in to.iter_mut().zip(&pixel[from..from + channels]) {
                    *to += from;
                }
            }
        }
    }
}

/// # Safety
/// As for [`run`].
unsafe fn complete(frame: &Frame, flow: &Flow, index: usize, scratch: &Scratch, at: At) {
    let compiled = frame.compiled;
    // SAFETY: guaranteed by the caller; state, gradients and poolings are different tensors.
    unsafe {
        let state = frame.state(index, at);
        let total = gradient(frame, flow, index, false, at);
        if compiled.nodes[index].source.is_some() {
            let relu = compiled
                .units
                .iter()
                .any(|unit| unit.from == index && unit.stages[0].operation.reads_relu());
            if relu {
                let gate = scratch.loaded_relu(frame, index, at).unwrap_or(state);
                elementwise::keep_gated(frame.level, gate, total);
            }
            return;
        }
        if flow.written.relus[index] {
            elementwise::add_gated(frame.level, state, gradient(frame, flow, index, true, at), total);
        }
        let pools = compiled.pools.iter().zip(&flow.written.pools);
        for (shared, _) in pools.filter(|(shared, written)| shared.node == index && **written) {
            let z = frame.kept.image(shared.z, at.slot);
            pool::backward(
                frame.level,
                &shared.pool,
                state,
                z,
                flow.passing.image(shared.gradient, at.slot),
                total,
            );
        }
    }
}

/// # Safety
/// As for [`run`].
unsafe fn sums(frame: &Frame, flow: &Flow, unit: &Unit, scratch: &mut Scratch, at: At) {
    let Some(stage) = unit.stages.last() else { return };
    let has_bias = matches!(stage.operation, ChainOperation::Dense { bias: Some(_), .. });
    if stage.norm.is_none() && !has_bias && !(flow.mixture && unit.choice.is_some()) {
        return;
    }
    // SAFETY: guaranteed by the caller; these sums belong to the image.
    unsafe {
        let g = gradient(frame, flow, unit.to, false, at);
        let (first, second) = own_sums(frame, flow, stage, at);
        let center = &frame.coefficients.center[frame.table(stage)];
        norm::gradient_sums(
            frame.level,
            g,
            frame.z(unit, stage, at),
            center,
            scratch.tables,
            first,
            second,
        );
        let factor = frame.factor(unit, at.image);
        if factor != 1.0 {
            first.iter_mut().chain(second).for_each(|sum| *sum *= factor);
        }
    }
}

/// The image's S₁ and S₂ of a stage.
///
/// # Safety
/// As for [`run`].
pub(super) unsafe fn own_sums<'a>(
    frame: &Frame,
    flow: &Flow<'a>,
    stage: &Chain,
    at: At,
) -> (&'a mut [f32], &'a mut [f32]) {
    let own = frame.compiled.own_sums(stage.slot, stage.output.channels, at.image);
    // SAFETY: these sums belong to the image.
    unsafe { (flow.sums[0].write(own.clone()), flow.sums[1].write(own)) }
}
