//! The steps of a forward pass on one image.

use da2s_kernels::activation::{self, ActivationFunction};
use da2s_kernels::{Extent, Taps, View, dense, depthwise, elementwise, norm, pool};

use super::compiled::{Chain, ChainOperation, PackedWeights, Unit, Walk, rows_at_once};
use super::image::{At, Frame, Scratch};
use super::memory::Shared;
use super::schedule::Step;

/// What a forward pass writes in addition to the kept tensors: the output, and the moments at the
/// positions given by `Compiled::sums`.
#[derive(Clone, Copy)]
pub(super) struct Results<'a> {
    pub output: Shared<'a>,
    /// Means and sums of squared deviations; `None` if the statistics are given.
    pub moments: Option<[Shared<'a>; 2]>,
}

/// Runs `step` on an image.
///
/// # Safety
/// No other thread works on the image.
pub(super) unsafe fn run(step: Step, frame: &Frame, results: &Results, scratch: &mut Scratch, at: At) {
    let compiled = frame.compiled;
    // SAFETY: only this thread works on the image, and a step does not write to tensors that it
    // reads.
    unsafe {
        match step {
            Step::Clear(node) => {
                if let Some(state) = compiled.nodes[node].state {
                    frame.kept.image_mut(state, at.slot).fill(0.0);
                }
            }
            Step::Pool(index) => {
                let shared = &compiled.pools[index];
                let z = frame.kept.image_mut(shared.z, at.slot);
                pool::forward(frame.level, &shared.pool, frame.state(shared.node, at), z);
                moments(frame, results, scratch, shared.moments, shared.pool.channels, z, at);
            }
            Step::Stage { unit, stage } => {
                let (unit, index) = (&compiled.units[unit], stage);
                let stage = &unit.stages[index];
                if compute(frame, unit, index, scratch, at) && stage.norm.is_some() {
                    moments(
                        frame,
                        results,
                        scratch,
                        stage.moments,
                        stage.output.channels,
                        frame.z(unit, stage, at),
                        at,
                    );
                }
            }
            Step::Accumulate { unit, first } => accumulate(frame, &compiled.units[unit], first, scratch, at),
            Step::Output(node) => output(frame, results, node, at),
            Step::Begin(_) | Step::Complete(_) | Step::Again(_) | Step::Sums(_) | Step::Backward { .. } => {
                unreachable!("a step of the backward pass")
            }
        }
    }
}

/// The data that `step` will read from main memory.
///
/// # Safety
/// As for [`run`].
pub(super) unsafe fn reads<'a>(step: Step, frame: &Frame<'a>, at: At) -> &'a [f32] {
    let units = &frame.compiled.units;
    // SAFETY: guaranteed by the caller.
    unsafe {
        match step {
            Step::Accumulate { unit, .. } => units[unit]
                .stages
                .last()
                .map_or(&[], |stage| frame.z(&units[unit], stage, at)),
            Step::Stage { unit, stage: 0 } => frame.state(units[unit].from, at),
            Step::Stage { unit, stage } => frame.z(&units[unit], &units[unit].stages[stage - 1], at),
            _ => &[],
        }
    }
}

/// # Safety
/// As for [`run`].
unsafe fn moments(
    frame: &Frame,
    results: &Results,
    scratch: &mut Scratch,
    slot: usize,
    channels: usize,
    z: &[f32],
    at: At,
) {
    let Some([means, deviations]) = results.moments else {
        return;
    };
    let own = frame.compiled.own_sums(slot, channels, at.image);
    // SAFETY: these sums belong to the image.
    let (mean, deviation) = unsafe { (means.write(own.clone()), deviations.write(own)) };
    norm::moments(frame.level, z, channels, scratch.tables, mean, deviation);
}

/// Computes `z` of a stage; returns false if the stage has no `z` of its own.
///
/// # Safety
/// As for [`run`].
pub(super) unsafe fn compute(frame: &Frame, unit: &Unit, index: usize, scratch: &mut Scratch, at: At) -> bool {
    let stage = &unit.stages[index];
    let level = frame.level;
    if matches!(stage.operation, ChainOperation::Pool(_) | ChainOperation::Identity) {
        return false;
    }
    let function = match stage.operation {
        ChainOperation::Relu => Some(ActivationFunction::Relu),
        ChainOperation::Activation(function) => Some(function),
        _ => None,
    };
    if let Some(function) = function {
        // SAFETY: guaranteed by the caller; the tensor belongs to this stage.
        let (state, z) = unsafe { (frame.state(unit.from, at), frame.z_mut(stage, at)) };
        if let Some(z) = z {
            activation::apply(level, function, state, z);
        }
        return true;
    }
    if let ChainOperation::Move(map) = &stage.operation {
        // SAFETY: guaranteed by the caller; the tensor belongs to this stage.
        let (state, z) = unsafe { (frame.state(unit.from, at), frame.z_mut(stage, at)) };
        for (to, from) in z
            .into_iter()
            .flat_map(|z| z.chunks_exact_mut(stage.output.channels))
            .zip(state.chunks_exact(stage.input.channels))
        {
            for (to, channel) in to.iter_mut().zip(map) {
                *to = channel.map_or(0.0, |channel| from[channel]);
            }
        }
        return true;
    }
    // SAFETY: the tensor belongs to this stage, and the data that is loaded is in other tensors.
    let z = unsafe {
        match index {
            0 => scratch.load_source(frame, unit.from, stage.operation.reads_relu(), at),
            _ => scratch.load_inner(frame, unit, index, at),
        }
        frame.z_mut(stage, at)
    };
    let Some(z) = z else { return false };
    let source = if index == 0 { &*scratch.source } else { &*scratch.inner };
    match &stage.operation {
        ChainOperation::Identity
        | ChainOperation::Pool(_)
        | ChainOperation::Relu
        | ChainOperation::Activation(_)
        | ChainOperation::Move(_) => {}
        ChainOperation::Reduce { reduce, weights } => {
            let source = &source[..reduce.image.len()];
            reduce.convolve(level, packed(frame, weights), source, z);
        }
        ChainOperation::Dense {
            walk, weights, bias, ..
        } => {
            if let Some(bias) = bias {
                let bias = &frame.weights[*bias..*bias + stage.output.channels];
                z.chunks_exact_mut(bias.len())
                    .for_each(|pixel| pixel.copy_from_slice(bias));
            }
            let region = dense_region(walk, stage, 0, stage.output.height);
            dense::convolve(level, &region, packed(frame, weights), source, bias.is_some(), z);
        }
        ChainOperation::Depthwise { walk, weights, .. } => {
            let region = depthwise_region(walk, stage, 0, stage.output.height);
            depthwise::convolve(level, &region, packed(frame, weights), source, false, z);
        }
        ChainOperation::Separable {
            walk,
            depthwise,
            pointwise,
        } => {
            let step = rows_at_once(stage.output);
            let y = &mut *scratch.rows[0];
            for row in (0..stage.output.height).step_by(step) {
                scratch.ahead.bring((stage.output.height - row).div_ceil(step));
                let rows = step.min(stage.output.height - row);
                let region = depthwise_region(walk, stage, row, rows);
                depthwise::convolve(level, &region, packed(frame, depthwise), source, false, y);
                let z = &mut z[row * stage.output.packed().row..];
                dense::convolve(level, &pixel_region(stage, rows), packed(frame, pointwise), y, false, z);
            }
        }
    }
    true
}

pub(super) fn packed<'a>(frame: &Frame<'a>, weights: &PackedWeights) -> &'a [f32] {
    &frame.packed[weights.packed..weights.packed + weights.packed_len]
}

pub(super) fn transposed<'a>(frame: &Frame<'a>, weights: &PackedWeights) -> &'a [f32] {
    &frame.packed[weights.transposed..weights.transposed + weights.transposed_len]
}

/// Rows of a dense convolution's output (packed, starting with its first row).
pub(super) fn dense_region<'a>(walk: &'a Walk, stage: &Chain, row: usize, rows: usize) -> dense::Region<'a> {
    dense::Region {
        inputs: stage.input.channels,
        outputs: stage.output.channels,
        extent: Extent {
            rows,
            columns: stage.output.width,
        },
        source: walk.source.view().strided(walk.window.stride, 0, 0).from_row(row),
        target: stage.output.packed(),
        taps: &walk.taps,
    }
}

/// Rows `row` to `row + rows` of a depthwise convolution's output, packed into a separate buffer.
pub(super) fn depthwise_region<'a>(walk: &'a Walk, stage: &Chain, row: usize, rows: usize) -> depthwise::Region<'a> {
    depthwise::Region {
        channels: stage.input.channels,
        extent: Extent {
            rows,
            columns: stage.output.width,
        },
        source: walk.source.view().strided(walk.window.stride, 0, 0).from_row(row),
        target: View::packed(stage.output.width, stage.input.channels),
        taps: &walk.taps,
    }
}

/// Rows of the pointwise convolution of a separable stage, with packed input and output.
pub(super) fn pixel_region(stage: &Chain, rows: usize) -> dense::Region<'static> {
    dense::Region {
        inputs: stage.input.channels,
        outputs: stage.output.channels,
        extent: Extent {
            rows,
            columns: stage.output.width,
        },
        source: View::packed(stage.output.width, stage.input.channels),
        target: stage.output.packed(),
        taps: Taps::point(),
    }
}

/// # Safety
/// As for [`run`].
unsafe fn accumulate(frame: &Frame, unit: &Unit, first: bool, scratch: &mut Scratch, at: At) {
    let Some(stage) = unit.stages.last() else { return };
    let Some(state) = frame.compiled.nodes[unit.to].state else {
        return;
    };
    // SAFETY: a node's state is not one of the tensors that flow into it.
    let (z, state) = unsafe { (frame.z(unit, stage, at), frame.kept.image_mut(state, at.slot)) };
    let factor = frame.factor(unit, at.image);
    if factor == 0.0 {
        if first {
            state.fill(0.0);
        }
        return;
    }
    let table = frame.table(stage);
    let (mut scale, mut shift) = (
        &frame.coefficients.scale[table.clone()],
        &frame.coefficients.shift[table],
    );
    if factor != 1.0 {
        let (to_scale, rest) = scratch.scaled.split_at_mut(scale.len());
        let to_shift = &mut rest[..shift.len()];
        for (to, from) in to_scale
            .iter_mut()
            .chain(to_shift.iter_mut())
            .zip(scale.iter().chain(shift))
        {
            *to = factor * from;
        }
        (scale, shift) = (to_scale, to_shift);
    }
    if first {
        elementwise::affine(frame.level, z, scale, shift, state);
    } else {
        elementwise::add_affine(frame.level, z, scale, shift, state);
    }
}

/// # Safety
/// As for [`run`].
unsafe fn output(frame: &Frame, results: &Results, node: usize, at: At) {
    let Some(shape) = frame.compiled.output else { return };
    let from = at.image * shape.len();
    let channels = frame.compiled.nodes[node].shape.channels;
    // SAFETY: only this thread writes this image of the output, and the state is not written here.
    let (output, state) = unsafe { (results.output.write(from..from + shape.len()), frame.state(node, at)) };
    for &first in &frame.compiled.nodes[node].outputs {
        for (to, pixel) in output
            .chunks_exact_mut(shape.channels)
            .zip(state.chunks_exact(channels))
        {
            to[first..first + channels].copy_from_slice(pixel);
        }
    }
}
