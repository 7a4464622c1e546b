//! Differentiates one stage of a unit on one image: from the gradient of the stage's output to
//! those of its input and its weights.
//!
//! Contract: the tables a, b, d of [`da2s_kernels::norm`] carry the gradient through the stage's
//! norm. Gradients of weights are added to the block's sums. The gradient of the unit's input is
//! added to its tensor, or written if the stage is the first to do so. That of an inner stage is
//! written, together with the sums S₁ and S₂ of its norm.

use da2s_kernels::{Extent, Taps, View, dense, depthwise, elementwise, norm};

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

impl StageOnImage<'_, '_> {
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
                ChainOperation::Separable { .. } => self.separable(g, z, tables, block, scratch),
            }
            scratch.scaled = scaled;
        }
    }

    /// # Safety
    /// As for [`run`](super::backward_steps::run).
    unsafe fn dense(&self, g: &[f32], z: &[f32], tables: [&[f32]; 3], block: &mut [f32], scratch: &mut Scratch) {
        let Self {
            frame,
            flow,
            unit,
            stage,
            at,
            ..
        } = *self;
        let ChainOperation::Dense {
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
        // SAFETY: guaranteed by the caller.
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
    /// As for [`run`](super::backward_steps::run).
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
        let ChainOperation::Separable {
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
            // SAFETY: guaranteed by the caller.
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
        // SAFETY: guaranteed by the caller; an inner gradient belongs to the preceding stage.
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
