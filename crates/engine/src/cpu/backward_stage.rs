//! Differentiates one stage of a unit on one image: from the gradient of the stage's output to
//! those of its input and its weights.
//!
//! Contract: the tables a, b, d of [`da2s_kernels::norm`] carry the gradient through the stage's
//! norm. Gradients of weights are added to the block's sums. The gradient of the unit's input is
//! added to a tensor that several units share, or written there if this tensor has no gradient yet.
//! The gradient of an inner stage's output is written, together with the sums S₁ and S₂ that the
//! norm of that stage needs.

use da2s_kernels::{Extent, Taps, View, activation, dense, depthwise, elementwise, norm};

use super::backward_steps::{Flow, gradient, own_sums};
use super::compiled::{Chain, ChainOperation, Unit, Walk, rows_at_once};
use super::forward_steps::{dense_region, depthwise_region, packed, pixel_region, transposed};
use super::image::{At, Frame, Scratch};

/// A stage of a unit on an image.
pub(super) struct StageOnImage<'a, 'b> {
    pub frame: &'a Frame<'b>,
    pub flow: &'a Flow<'b>,
    pub unit: &'a Unit,
    pub stage: &'a Chain,
    pub index: usize,
    /// As in [`Step::Backward`](super::schedule::Step::Backward).
    pub first: bool,
    pub at: At,
}

impl<'b> StageOnImage<'_, 'b> {
    /// # Safety
    /// As for [`run`](super::backward_steps::run).
    pub(super) unsafe fn backward(&mut self, block: &mut [f32], scratch: &mut Scratch) {
        let (frame, flow, unit, stage, at) = (self.frame, self.flow, self.unit, self.stage, self.at);
        // SAFETY: guaranteed by the caller; gradients, kept tensors and scratch do not overlap.
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
                ChainOperation::Identity => {
                    if flow.wanted[unit.from] {
                        elementwise::add_scaled(frame.level, g, tables[0], gradient(frame, flow, unit.from, false, at));
                    }
                }
                ChainOperation::Relu => {
                    if flow.wanted[unit.from] {
                        // Gated where the node's gradient is completed.
                        let to = gradient(frame, flow, unit.from, true, at);
                        if self.first {
                            to.fill(0.0);
                        }
                        elementwise::add_scaled(frame.level, g, tables[0], to);
                    }
                }
                &ChainOperation::Activation(function) => {
                    if flow.wanted[unit.from] {
                        let to = gradient(frame, flow, unit.from, false, at);
                        let read = frame.state(unit.from, at);
                        activation::add_gradient(frame.level, function, read, g, tables[0], to);
                    }
                }
                ChainOperation::Move(map) => {
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
                ChainOperation::Pool(index) => {
                    let to = flow.passing.image_mut(frame.compiled.pools[*index].gradient, at.slot);
                    if self.first {
                        elementwise::gradient(frame.level, g, z, tables, to);
                    } else {
                        elementwise::add_gradient(frame.level, g, z, tables, to);
                    }
                }
                ChainOperation::Reduce { reduce, weights } => {
                    let dz = &mut scratch.rows[0][..stage.output.len()];
                    elementwise::gradient(frame.level, g, z, tables, dz);
                    if flow.wanted[unit.from] {
                        let to = gradient(frame, flow, unit.from, true, at);
                        if self.first {
                            // The gradient does not reach every pixel.
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
                ChainOperation::Dense { .. } => self.dense(g, z, tables, block, scratch),
                ChainOperation::Depthwise { .. } => self.depthwise(g, z, tables, block, scratch),
                ChainOperation::Separable { .. } => self.separable(g, z, tables, block, scratch),
            }
            scratch.scaled = scaled;
        }
    }

    /// # Safety
    /// As for [`run`](super::backward_steps::run).
    unsafe fn dense(&self, g: &[f32], z: &[f32], tables: [&[f32]; 3], block: &mut [f32], scratch: &mut Scratch) {
        let Self { frame, flow, stage, .. } = *self;
        let ChainOperation::Dense { walk, weights, .. } = &stage.operation else {
            return;
        };
        let level = frame.level;
        self.bordered_gradient(g, z, tables, walk, scratch);
        // SAFETY: guaranteed by the caller.
        unsafe {
            if flow.weights {
                let region = dense::Region {
                    target: walk.gradient.view(),
                    ..dense_region(walk, stage, 0, stage.output.height)
                };
                self.load(scratch);
                let sums = flow.weight_sums.part(weights, block);
                dense::weight_gradient(level, &region, self.source(scratch), scratch.gradient, sums);
            }
            if let Some(to) = self.read_gradient() {
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
                    dense::convolve(level, &region, weights, scratch.gradient, self.adds(), to);
                }
                self.squeeze(to, block, scratch);
                self.sum_below(to, scratch);
            }
        }
    }

    /// Takes the gradient `to` through the squeeze-and-excitation of what the stage reads, if there
    /// is one.
    ///
    /// # Safety
    /// As for [`run`](super::backward_steps::run).
    unsafe fn squeeze(&self, to: &mut [f32], block: &mut [f32], scratch: &mut Scratch) {
        let Self { frame, flow, stage, .. } = *self;
        let Some((squeeze, weights)) = &stage.squeeze else {
            return;
        };
        // SAFETY: guaranteed by the caller.
        unsafe { scratch.load_activated(frame, self.unit, self.index, self.at) };
        let image = &scratch.inner[..stage.input.len()];
        let sums = flow.weights.then(|| flow.weight_sums.part(weights, block));
        squeeze.backward(packed(frame, weights), image, to, scratch.squeeze, sums);
    }

    /// # Safety
    /// As for [`run`](super::backward_steps::run).
    unsafe fn depthwise(&self, g: &[f32], z: &[f32], tables: [&[f32]; 3], block: &mut [f32], scratch: &mut Scratch) {
        let Self { frame, flow, stage, .. } = *self;
        let ChainOperation::Depthwise { walk, weights, .. } = &stage.operation else {
            return;
        };
        let level = frame.level;
        self.bordered_gradient(g, z, tables, walk, scratch);
        // SAFETY: guaranteed by the caller.
        unsafe {
            if flow.weights {
                let region = depthwise::Region {
                    target: walk.gradient.view(),
                    ..depthwise_region(walk, stage, 0, stage.output.height)
                };
                self.load(scratch);
                let sums = flow.weight_sums.part(weights, block);
                depthwise::weight_gradient(level, &region, self.source(scratch), scratch.gradient, sums);
            }
            if let Some(to) = self.read_gradient() {
                self.depthwise_back(walk, packed(frame, weights), scratch.gradient, to);
                self.sum_below(to, scratch);
            }
        }
    }

    /// Writes the gradient of what the norm reads into `scratch.gradient`, inside its zero border.
    fn bordered_gradient(&self, g: &[f32], z: &[f32], tables: [&[f32]; 3], walk: &Walk, scratch: &mut Scratch) {
        let row = self.stage.output.packed().row;
        scratch.border_gradient(walk.gradient);
        for y in 0..self.stage.output.height {
            let from = y * row..(y + 1) * row;
            let to = walk.gradient.view().from_row(y).at;
            let (g, z) = (&g[from.clone()], &z[from]);
            elementwise::gradient(self.frame.level, g, z, tables, &mut scratch.gradient[to..to + row]);
        }
    }

    /// # Safety
    /// As for [`run`](super::backward_steps::run).
    unsafe fn separable(&self, g: &[f32], z: &[f32], tables: [&[f32]; 3], block: &mut [f32], scratch: &mut Scratch) {
        let Self {
            frame,
            flow,
            stage,
            index,
            ..
        } = *self;
        let ChainOperation::Separable {
            walk,
            depthwise,
            pointwise,
        } = &stage.operation
        else {
            return;
        };
        let level = frame.level;
        if flow.weights {
            // SAFETY: guaranteed by the caller.
            unsafe { self.load(scratch) };
        }
        scratch.border_gradient(walk.gradient);
        let source = if index > 0 { &*scratch.inner } else { &*scratch.source };
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
        // SAFETY: guaranteed by the caller.
        unsafe {
            if let Some(to) = self.read_gradient() {
                self.depthwise_back(walk, packed(frame, depthwise), scratch.gradient, to);
                self.sum_below(to, scratch);
            }
        }
    }

    /// Brings what the stage reads into `scratch`.
    ///
    /// # Safety
    /// As for [`run`](super::backward_steps::run).
    unsafe fn load(&self, scratch: &mut Scratch) {
        let relu = self.stage.operation.reads_relu();
        // SAFETY: guaranteed by the caller.
        unsafe {
            match self.index {
                0 => scratch.load_source(self.frame, self.unit.from, relu, self.at),
                _ => scratch.load_inner(self.frame, self.unit, self.index, self.at),
            }
        }
    }

    /// What [`Self::load`] has brought.
    fn source<'s>(&self, scratch: &'s Scratch) -> &'s [f32] {
        if self.index > 0 { scratch.inner } else { scratch.source }
    }

    /// Where the gradient of what the stage reads goes, if it is asked for: to the stage below or
    /// to the node that the unit reads.
    ///
    /// # Safety
    /// As for [`run`](super::backward_steps::run).
    unsafe fn read_gradient(&self) -> Option<&'b mut [f32]> {
        let Self {
            frame, flow, unit, at, ..
        } = *self;
        // SAFETY: guaranteed by the caller; an inner gradient belongs to the preceding stage.
        unsafe {
            match self.index.checked_sub(1) {
                Some(below) => frame.inner_gradient(&unit.stages[below], at),
                None => flow.wanted[unit.from]
                    .then(|| gradient(frame, flow, unit.from, self.stage.operation.reads_relu(), at)),
            }
        }
    }

    /// Whether the gradient of what the stage reads is added to what is there.
    fn adds(&self) -> bool {
        self.index == 0 && !self.first
    }

    /// The gradient of what a depthwise convolution reads, from that of what it yields.
    fn depthwise_back(&self, walk: &Walk, weights: &[f32], from: &[f32], to: &mut [f32]) {
        let (input, stride) = (self.stage.input, walk.window.stride);
        for phase in &walk.phases {
            let region = depthwise::Region {
                channels: input.channels,
                extent: phase.extent(input.height, input.width, stride),
                source: walk.gradient.view(),
                target: input.packed().strided(stride, phase.y, phase.x),
                taps: &phase.taps,
            };
            depthwise::convolve(self.frame.level, &region, weights, from, self.adds(), to);
        }
    }

    /// Sums of the gradient `to` that the norm of the stage below needs, if there is one.
    ///
    /// # Safety
    /// As for [`run`](super::backward_steps::run).
    unsafe fn sum_below(&self, to: &mut [f32], scratch: &mut Scratch) {
        let Self {
            frame, flow, unit, at, ..
        } = *self;
        let Some(below) = self.index.checked_sub(1).map(|below| &unit.stages[below]) else {
            return;
        };
        let table = frame.table(below);
        let coefficients = frame.coefficients;
        let tables = [&coefficients.scale, &coefficients.shift, &coefficients.center].map(|all| &all[table.clone()]);
        // SAFETY: guaranteed by the caller; these sums are the image's own.
        unsafe {
            let z = frame.z(unit, below, at);
            let (first, second) = own_sums(frame, flow, below, at);
            let gate = (frame.level, below.activation);
            norm::gate_sums(gate, z, tables, to, scratch.tables, first, second);
        }
    }
}

/// The backward pass of the pointwise convolution: from rows of output gradients (packed) to the
/// gradient image of the depthwise output.
fn back_region<'a>(stage: &Chain, walk: &Walk, first: usize, rows: usize) -> dense::Region<'a> {
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
