//! The steps of a backward run on one image.

use da2s_kernels::{Extent, Taps, View, dense, depthwise, elementwise, norm, pool};

use super::compiled::{Operation, Stage, Unit, Walk, rows_at_once};
use super::forward::{compute, dense_region, depthwise_region, packed, pixel_region, transposed};
use super::image::{At, Frame, Scratch};
use super::memory::Shared;
use super::schedule::{Step, Written};
use super::weights::Sums;

/// What a backward run reads and writes besides the kept tensors.
#[derive(Clone, Copy)]
pub(super) struct Flow<'a> {
    /// Gradient of the output.
    pub output: &'a [f32],
    /// Gradients of the inputs that are asked for.
    pub inputs: &'a [Option<Shared<'a>>],
    /// Tensors of this run.
    pub passing: Shared<'a>,
    /// Nodes that a gradient flows to.
    pub wanted: &'a [bool],
    /// What of the gradients of ReLUs and poolings is written at all.
    pub written: &'a Written,
    /// Whether gradients of weights are asked for.
    pub weights: bool,
    /// Whether gradients of the mixture are asked for.
    pub mixture: bool,
    /// S₁ and S₂ of [`norm`], where `Compiled::sums` says.
    pub sums: [Shared<'a>; 2],
    /// Tables a, b, d of [`norm`] at [`Stage::table`].
    pub tables: [&'a [f32]; 3],
    /// Where the pass puts gradients of weights.
    pub weight_sums: &'a Sums,
}

/// Runs `step` on an image. `block`: the block's sums of gradients of weights.
///
/// # Safety
/// No other thread works on the image.
pub(super) unsafe fn run(step: Step, frame: &Frame, flow: &Flow, block: &mut [f32], scratch: &mut Scratch, at: At) {
    // SAFETY: the image is this thread's alone, and a step writes to tensors that it does not read.
    unsafe {
        match step {
            Step::Begin(node) => begin(frame, flow, node, at),
            Step::Complete(node) => complete(frame, flow, node, at),
            Step::Again(unit) => {
                compute(frame, &frame.compiled.units[unit], 0, scratch, at);
            }
            Step::Sums(unit) => sums(frame, flow, &frame.compiled.units[unit], scratch, at),
            Step::Backward { unit, stage, first } => {
                let unit = &frame.compiled.units[unit];
                let mut image = Image {
                    frame,
                    flow,
                    unit,
                    stage: &unit.stages[stage],
                    index: stage,
                    first,
                    at,
                };
                image.backward(block, scratch);
            }
            Step::Clear(_) | Step::Pool(_) | Step::Stage { .. } | Step::Accumulate { .. } | Step::Output(_) => {
                unreachable!("a step of the forward run")
            }
        }
    }
}

/// What `step` will read from far away.
///
/// # Safety
/// As [`run`].
pub(super) unsafe fn reads<'a>(step: Step, frame: &Frame<'a>, at: At) -> [&'a [f32]; 2] {
    let units = &frame.compiled.units;
    // SAFETY: the caller's.
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
/// As [`run`]; the two are one for a source.
unsafe fn gradient<'a>(frame: &Frame, flow: &Flow<'a>, node: usize, relu: bool, at: At) -> &'a mut [f32] {
    let node = &frame.compiled.nodes[node];
    // SAFETY: the caller's.
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
/// As [`run`].
unsafe fn begin(frame: &Frame, flow: &Flow, index: usize, at: At) {
    let compiled = frame.compiled;
    let node = &compiled.nodes[index];
    // SAFETY: the caller's.
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
/// As [`run`].
unsafe fn complete(frame: &Frame, flow: &Flow, index: usize, at: At) {
    let compiled = frame.compiled;
    // SAFETY: the caller's; state, gradients and poolings are different tensors.
    unsafe {
        let state = frame.state(index, at);
        let total = gradient(frame, flow, index, false, at);
        if compiled.nodes[index].source.is_some() {
            let relu = compiled
                .units
                .iter()
                .any(|unit| unit.from == index && unit.stages[0].operation.reads_relu());
            if relu {
                elementwise::keep_gated(frame.level, state, total);
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
/// As [`run`].
unsafe fn sums(frame: &Frame, flow: &Flow, unit: &Unit, scratch: &mut Scratch, at: At) {
    let Some(stage) = unit.stages.last() else { return };
    let has_bias = matches!(stage.operation, Operation::Dense { bias: Some(_), .. });
    if stage.norm.is_none() && !has_bias && !(flow.mixture && unit.choice.is_some()) {
        return;
    }
    // SAFETY: the caller's; these sums are the image's own.
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

/// Where the image keeps S₁ and S₂ of a stage.
///
/// # Safety
/// As [`run`].
unsafe fn own_sums<'a>(frame: &Frame, flow: &Flow<'a>, stage: &Stage, at: At) -> (&'a mut [f32], &'a mut [f32]) {
    let own = frame.compiled.own_sums(stage.slot, stage.output.channels, at.image);
    // SAFETY: these sums are the image's own.
    unsafe { (flow.sums[0].write(own.clone()), flow.sums[1].write(own)) }
}

/// A stage of a unit on an image.
struct Image<'a, 'b> {
    frame: &'a Frame<'b>,
    flow: &'a Flow<'b>,
    unit: &'a Unit,
    stage: &'a Stage,
    index: usize,
    /// As in [`Step::Backward`].
    first: bool,
    at: At,
}

impl Image<'_, '_> {
    /// # Safety
    /// As [`run`].
    unsafe fn backward(&mut self, block: &mut [f32], scratch: &mut Scratch) {
        let (frame, flow, unit, stage, at) = (self.frame, self.flow, self.unit, self.stage, self.at);
        // SAFETY: the caller's; gradients, kept tensors and scratch do not overlap.
        unsafe {
            let last = self.index + 1 == unit.stages.len();
            let g: &[f32] = match frame.inner_gradient(stage, at) {
                Some(inner) => inner,
                None => gradient(frame, flow, unit.to, false, at),
            };
            let z = frame.z(unit, stage, at);
            let table = frame.table(stage);
            let mut tables = flow.tables.map(|all| &all[table.clone()]);
            let factor = if last { frame.factor(unit, at.image) } else { 1.0 };
            let scaled = std::mem::take(&mut scratch.scaled);
            if factor != 1.0 {
                for (to, from) in scaled.iter_mut().zip(tables[0]) {
                    *to = factor * from;
                }
                tables[0] = &scaled[..table.len()];
            }
            match &stage.operation {
                Operation::Identity => {
                    if flow.wanted[unit.from] {
                        elementwise::add_scaled(frame.level, g, tables[0], gradient(frame, flow, unit.from, false, at));
                    }
                }
                Operation::Move(map) => {
                    if flow.wanted[unit.from] {
                        let to = gradient(frame, flow, unit.from, false, at);
                        for (to, g) in to
                            .chunks_exact_mut(stage.input.channels)
                            .zip(g.chunks_exact(stage.output.channels))
                        {
                            for ((channel, g), scale) in map.iter().zip(g).zip(tables[0]) {
                                if let Some(channel) = channel {
                                    to[*channel] += g * scale;
                                }
                            }
                        }
                    }
                }
                Operation::Pool(index) => {
                    let to = flow.passing.image_mut(frame.compiled.pools[*index].gradient, at.slot);
                    if self.first {
                        elementwise::gradient(frame.level, g, z, tables, to);
                    } else {
                        elementwise::add_gradient(frame.level, g, z, tables, to);
                    }
                }
                Operation::Reduce { reduce, weights } => {
                    let dz = &mut scratch.rows[0][..stage.output.len()];
                    elementwise::gradient(frame.level, g, z, tables, dz);
                    if flow.wanted[unit.from] {
                        let to = gradient(frame, flow, unit.from, true, at);
                        if self.first {
                            // It does not reach every pixel.
                            to.fill(0.0);
                        }
                        reduce.input_gradient(
                            frame.level,
                            transposed(frame, weights),
                            &scratch.rows[0][..stage.output.len()],
                            to,
                        );
                    }
                    if flow.weights {
                        scratch.load_source(frame, unit.from, true, at);
                        let sums = flow.weight_sums.part(weights, block);
                        reduce.weight_gradient(
                            frame.level,
                            &scratch.source[..reduce.image.len()],
                            scratch.rows[0],
                            sums,
                        );
                    }
                }
                Operation::Dense { .. } => self.dense(g, z, tables, block, scratch),
                Operation::Separable { .. } => self.separable(g, z, tables, block, scratch),
            }
            scratch.scaled = scaled;
        }
    }

    /// # Safety
    /// As [`run`].
    unsafe fn dense(&self, g: &[f32], z: &[f32], tables: [&[f32]; 3], block: &mut [f32], scratch: &mut Scratch) {
        let Self {
            frame,
            flow,
            unit,
            stage,
            at,
            ..
        } = *self;
        let Operation::Dense {
            relu, walk, weights, ..
        } = &stage.operation
        else {
            return;
        };
        let level = frame.level;
        let row = stage.output.packed().row;
        scratch.border_gradient(walk.gradient);
        for y in 0..stage.output.height {
            let from = y * row..(y + 1) * row;
            let to = walk.gradient.view().from_row(y).at;
            elementwise::gradient(
                level,
                &g[from.clone()],
                &z[from],
                tables,
                &mut scratch.gradient[to..to + row],
            );
        }
        // SAFETY: the caller's.
        unsafe {
            if flow.weights {
                scratch.load_source(frame, unit.from, *relu, at);
                let region = dense::Region {
                    target: walk.gradient.view(),
                    ..dense_region(walk, stage, 0, stage.output.height)
                };
                let sums = flow.weight_sums.part(weights, block);
                dense::weight_gradient(level, &region, scratch.source, scratch.gradient, sums);
            }
            if flow.wanted[unit.from] {
                let to = gradient(frame, flow, unit.from, *relu, at);
                let weights = transposed(frame, weights);
                for phase in &walk.phases {
                    let region = dense::Region {
                        inputs: stage.output.channels,
                        outputs: stage.input.channels,
                        extent: phase.extent(stage.input.height, stage.input.width, walk.window.stride),
                        source: walk.gradient.view(),
                        target: stage.input.packed().strided(walk.window.stride, phase.y, phase.x),
                        taps: &phase.taps,
                    };
                    dense::convolve(level, &region, weights, scratch.gradient, !self.first, to);
                }
            }
        }
    }

    /// # Safety
    /// As [`run`].
    unsafe fn separable(&self, g: &[f32], z: &[f32], tables: [&[f32]; 3], block: &mut [f32], scratch: &mut Scratch) {
        let Self {
            frame,
            flow,
            unit,
            stage,
            index,
            first: overwrites,
            at,
        } = *self;
        let Operation::Separable {
            walk,
            depthwise,
            pointwise,
        } = &stage.operation
        else {
            return;
        };
        let level = frame.level;
        let inner = index > 0;
        let adds = !inner && !overwrites;
        if flow.weights {
            // SAFETY: the caller's.
            unsafe {
                match index {
                    0 => scratch.load_source(frame, unit.from, true, at),
                    _ => scratch.load_inner(frame, unit, index, at),
                }
            }
        }
        scratch.border_gradient(walk.gradient);
        let source = if inner { &*scratch.inner } else { &*scratch.source };
        let [y, dz] = &mut scratch.rows;
        let step = rows_at_once(stage.output);
        let row = stage.output.packed().row;
        for first in (0..stage.output.height).step_by(step) {
            scratch.ahead.bring((stage.output.height - first).div_ceil(step));
            let rows = step.min(stage.output.height - first);
            let dz = &mut dz[..rows * row];
            let from = first * row..(first + rows) * row;
            elementwise::gradient(level, &g[from.clone()], &z[from], tables, dz);
            let region = back_region(stage, walk, first, rows);
            dense::convolve(
                level,
                &region,
                transposed(frame, pointwise),
                dz,
                false,
                scratch.gradient,
            );
            if flow.weights {
                depthwise::convolve(
                    level,
                    &depthwise_region(walk, stage, first, rows),
                    packed(frame, depthwise),
                    source,
                    false,
                    y,
                );
                let sums = flow.weight_sums.part(pointwise, block);
                dense::weight_gradient(level, &pixel_region(stage, rows), y, dz, sums);
            }
        }
        if flow.weights {
            let whole = depthwise_region(walk, stage, 0, stage.output.height);
            let region = depthwise::Region {
                target: walk.gradient.view(),
                ..whole
            };
            let sums = flow.weight_sums.part(depthwise, block);
            depthwise::weight_gradient(level, &region, source, scratch.gradient, sums);
        }
        if !inner && !flow.wanted[unit.from] {
            return;
        }
        // SAFETY: the caller's; an inner gradient belongs to the stage below.
        unsafe {
            let below = index.checked_sub(1).map(|below| &unit.stages[below]);
            let to = match below.and_then(|below| frame.inner_gradient(below, at)) {
                Some(inner) => inner,
                None => gradient(frame, flow, unit.from, true, at),
            };
            for phase in &walk.phases {
                let region = depthwise::Region {
                    channels: stage.input.channels,
                    extent: phase.extent(stage.input.height, stage.input.width, walk.window.stride),
                    source: walk.gradient.view(),
                    target: stage.input.packed().strided(walk.window.stride, phase.y, phase.x),
                    taps: &phase.taps,
                };
                depthwise::convolve(level, &region, packed(frame, depthwise), scratch.gradient, adds, to);
            }
            if let Some(below) = below {
                let z = frame.z(unit, below, at);
                let table = frame.table(below);
                let coefficients = frame.coefficients;
                let tables =
                    [&coefficients.scale, &coefficients.shift, &coefficients.center].map(|all| &all[table.clone()]);
                let (first, second) = own_sums(frame, flow, below, at);
                norm::gate_sums(level, z, tables, to, scratch.tables, first, second);
            }
        }
    }
}

/// From rows of output gradients (packed) through the pointwise convolution into the image of gradients of the depthwise output.
fn back_region<'a>(stage: &Stage, walk: &Walk, first: usize, rows: usize) -> dense::Region<'a> {
    dense::Region {
        inputs: stage.output.channels,
        outputs: stage.input.channels,
        extent: Extent {
            rows,
            columns: stage.output.width,
        },
        source: View::packed(stage.output.width, stage.output.channels),
        target: walk.gradient.view().from_row(first),
        taps: Taps::point(),
    }
}
