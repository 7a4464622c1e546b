//! The backward launches of a program in order, from the last node to the first.

use cubecl::prelude::*;

use super::executor::{Executor, Memory};
use super::kernels::{data_gradient, move_data, norm, weight_gradient};
use super::memory::Floats;
use super::program::{Launch, NodeProgram, groups};

/// Number of slices in which the sums over pixels of weight gradients are computed, for dense and
/// for depthwise convolutions.
pub(super) const SLICES: u32 = 32;
const DEPTHWISE_SLICES: u32 = 8;

/// Which gradients are requested.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub inputs: Vec<bool>,
    pub weights: bool,
    pub mixture: bool,
}

/// The requested gradients.
pub(super) struct Gradients {
    pub inputs: Vec<Option<Floats>>,
    pub weights: Option<Floats>,
    pub mixture: Option<Floats>,
}

impl Executor<'_> {
    /// Computes the `wanted` gradients from that of the output.
    pub(super) fn backward(&self, memory: &Memory, d_output: &Floats, output: &[usize], wanted: &Wanted) -> Gradients {
        let program = self.program();
        let weight_count = memory.weights.length;
        let gradients = Floats::new(self.client, program.gradients);
        let partials = Floats::new(
            self.client,
            if wanted.weights {
                SLICES as usize * weight_count
            } else {
                1
            },
        );
        let images = program
            .inputs
            .iter()
            .chain(&program.nodes)
            .map(|image| image.at + image.size() * program.batch);
        self.clear(&gradients, 0, images.max().unwrap_or(0));
        self.channels(&gradients, d_output, output, false);
        if wanted.weights {
            self.clear(&partials, 0, partials.length);
        }
        let pass = Pass {
            executor: self,
            memory,
            gradients: &gradients,
            partials: &partials,
            wanted,
        };
        for (at, node) in program.node_programs.iter().enumerate().rev() {
            pass.node(at, node);
        }

        let inputs = program.inputs.iter().zip(&wanted.inputs).map(|(image, &wanted)| {
            let length = image.size() * program.batch;
            wanted.then(|| {
                let own = Floats::new(self.client, length);
                self.copy(&gradients, &own, [image.at, 0, length]);
                own
            })
        });
        Gradients {
            inputs: inputs.collect(),
            weights: wanted.weights.then(|| {
                let sum = Floats::new(self.client, weight_count);
                // SAFETY: there are that many slices of that length.
                unsafe {
                    move_data::sum_slices::launch_unchecked(
                        self.client,
                        Self::line(weight_count),
                        Self::dim(),
                        partials.arg(),
                        sum.arg(),
                        SLICES,
                        weight_count as u32,
                    );
                }
                sum
            }),
            mixture: wanted.mixture.then(|| {
                let choices = program.choices.len() / 2;
                let sum = Floats::new(self.client, choices);
                // SAFETY: every choice has its slots, or none.
                unsafe {
                    norm::mixture_gradient::launch_unchecked(
                        self.client,
                        Self::line(choices),
                        Self::dim(),
                        memory.norms.arg(),
                        self.loaded.choices.arg(),
                        sum.arg(),
                        choices as u32,
                    );
                }
                sum
            }),
        }
    }
}

/// A backward pass in progress.
struct Pass<'a> {
    executor: &'a Executor<'a>,
    memory: &'a Memory,
    gradients: &'a Floats,
    partials: &'a Floats,
    wanted: &'a Wanted,
}

impl Pass<'_> {
    fn node(&self, at: usize, node: &NodeProgram) {
        self.norms(node.terms);
        for (level, stage) in node.stages.iter().enumerate().rev() {
            self.dense(stage.dense_targets);
            if self.wanted.weights {
                self.dense_weights(stage.dense, stage.dense_sizes);
                for &(side, kernels) in &stage.depthwise_kernels {
                    self.depthwise_weights(side, kernels);
                }
            }
            if level > 0 {
                self.depthwise(stage.depthwise_targets);
                self.norms(node.stages[level - 1].inner_norms);
            }
        }
        // Gradients of inputs that are not wanted are not computed.
        if self.wanted.inputs.get(at).copied().unwrap_or(true) {
            self.depthwise(node.depthwise_sources);
            self.dense(node.dense_sources);
            self.pools(node.pool_sources);
        }
    }

    fn norms(&self, norms: Launch) {
        if norms.span.count == 0 {
            return;
        }
        let (executor, memory) = (self.executor, self.memory);
        // SAFETY: records refer only to positions in the cell's memory; `Program` guarantees it.
        // The same holds below.
        unsafe {
            norm::norm_gradient::launch_unchecked(
                executor.client,
                CubeCount::Static(1, norms.channels as u32, norms.span.count),
                Executor::dim(),
                memory.activations.arg(),
                self.gradients.arg(),
                memory.norms.arg(),
                memory.mixture.arg(),
                memory.drops().arg(),
                self.partials.arg(),
                executor.loaded.table.arg(),
                norms.span.first,
                executor.batch(),
                memory.drops.is_some(),
                self.wanted.weights,
            );
        }
    }

    fn depthwise(&self, targets: Launch) {
        let (executor, memory) = (self.executor, self.memory);
        let Some(grid) = executor.grid(targets, targets.channels as u32) else {
            return;
        };
        // SAFETY: as above; targets overlap neither each other nor what is read.
        unsafe {
            data_gradient::depthwise::launch_unchecked(
                executor.client,
                grid,
                Executor::dim(),
                memory.activations.arg(),
                self.gradients.arg(),
                memory.weights.arg(),
                memory.norms.arg(),
                executor.loaded.table.arg(),
                targets.span.first,
                executor.batch(),
            );
        }
    }

    fn dense(&self, targets: Launch) {
        let (executor, memory) = (self.executor, self.memory);
        let Some(grid) = executor.grid(targets, groups(targets.channels)) else {
            return;
        };
        // SAFETY: as above.
        unsafe {
            data_gradient::dense::launch_unchecked(
                executor.client,
                grid,
                Executor::dim(),
                memory.activations.arg(),
                self.gradients.arg(),
                memory.weights.arg(),
                memory.norms.arg(),
                memory.drops().arg(),
                executor.loaded.table.arg(),
                targets.span.first,
                executor.batch(),
                memory.drops.is_some(),
            );
        }
    }

    fn pools(&self, targets: Launch) {
        let (executor, memory) = (self.executor, self.memory);
        let Some(grid) = executor.grid(targets, targets.channels as u32) else {
            return;
        };
        // SAFETY: as above.
        unsafe {
            data_gradient::pool::launch_unchecked(
                executor.client,
                grid,
                Executor::dim(),
                memory.activations.arg(),
                self.gradients.arg(),
                memory.norms.arg(),
                memory.drops().arg(),
                executor.loaded.table.arg(),
                targets.span.first,
                executor.batch(),
                memory.drops.is_some(),
            );
        }
    }

    fn depthwise_weights(&self, side: u32, kernels: Launch) {
        let (executor, memory) = (self.executor, self.memory);
        // SAFETY: as above; each record has its own weights.
        unsafe {
            weight_gradient::depthwise::launch_unchecked(
                executor.client,
                CubeCount::Static(DEPTHWISE_SLICES, kernels.channels as u32, kernels.span.count),
                Executor::dim(),
                memory.activations.arg(),
                self.gradients.arg(),
                memory.norms.arg(),
                self.partials.arg(),
                executor.loaded.table.arg(),
                kernels.span.first,
                executor.batch(),
                DEPTHWISE_SLICES,
                memory.weights.length as u32,
                side,
            );
        }
    }

    fn dense_weights(&self, records: Launch, [kernel, outputs, inputs]: [usize; 3]) {
        if records.span.count == 0 {
            return;
        }
        let (executor, memory) = (self.executor, self.memory);
        let squares = |channels: usize| (channels as u32).div_ceil(weight_gradient::SIDE);
        let (squares_out, squares_in) = (squares(outputs), squares(inputs));
        let pairs = (kernel * kernel) as u32;
        // SAFETY: as above.
        unsafe {
            weight_gradient::dense::launch_unchecked(
                executor.client,
                CubeCount::Static(SLICES, pairs * squares_out * squares_in, records.span.count),
                Executor::dim(),
                memory.activations.arg(),
                self.gradients.arg(),
                memory.norms.arg(),
                memory.drops().arg(),
                self.partials.arg(),
                executor.loaded.table.arg(),
                records.span.first,
                executor.batch(),
                SLICES,
                memory.weights.length as u32,
                squares_out,
                squares_in,
                memory.drops.is_some(),
            );
        }
    }
}
