//! Running a program: its forward launches in order.

use cubecl::client::Client;
use cubecl::prelude::*;
use da2s_plan::NORM_EPSILON;

use super::kernels::{THREADS, convolution, move_data, node, norm};
use super::memory::{Floats, Loaded};
use super::program::{Image, Launch, MOST_CUBES, NodeProgram, Program, groups};
use super::table::SLOT_FIELDS;

/// The operands of a forward pass.
pub(super) struct Operands {
    pub inputs: Vec<Floats>,
    pub weights: Floats,
    pub mixture: Floats,
    /// Drop-path factors, `[choices, batch]`.
    pub drops: Option<Floats>,
    /// Running means, then variances.
    pub given: Option<Floats>,
}

/// What a backward pass needs from the forward pass.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub activations: Floats,
    pub norms: Floats,
    pub weights: Floats,
    pub mixture: Floats,
    pub drops: Option<Floats>,
}

/// Launches of one program on one device.
pub(super) struct Executor<'a> {
    pub client: &'a Client,
    pub loaded: &'a Loaded,
}

impl Executor<'_> {
    pub(super) fn program(&self) -> &Program {
        &self.loaded.program
    }

    pub(super) fn batch(&self) -> u32 {
        self.program().batch as u32
    }

    /// A grid over a channel's elements, channels and records.
    pub(super) fn grid(&self, launch: Launch, channels: u32) -> Option<CubeCount> {
        let elements = (launch.area * self.program().batch) as u32;
        let count = [elements.div_ceil(THREADS), channels, launch.span.count];
        count
            .iter()
            .all(|&side| side > 0)
            .then(|| CubeCount::Static(count[0], count[1], count[2]))
    }

    /// A grid over `length` elements.
    pub(super) fn line(length: usize) -> CubeCount {
        let cubes = (length as u32).div_ceil(THREADS).max(1);
        let across = cubes.min(MOST_CUBES);
        CubeCount::Static(across, cubes.div_ceil(across), 1)
    }

    pub(super) fn dim() -> CubeDim {
        CubeDim::new_1d(THREADS)
    }

    pub(super) fn copy(&self, from: &Floats, to: &Floats, [from_at, to_at, length]: [usize; 3]) {
        // SAFETY: both ranges lie in their buffers, and the kernel writes nothing else.
        unsafe {
            move_data::copy::launch_unchecked(
                self.client,
                Self::line(length),
                Self::dim(),
                from.arg(),
                to.arg(),
                from_at as u32,
                to_at as u32,
                length as u32,
            );
        }
    }

    pub(super) fn clear(&self, to: &Floats, at: usize, length: usize) {
        // SAFETY: the range lies in the buffer.
        unsafe {
            move_data::clear::launch_unchecked(
                self.client,
                Self::line(length),
                Self::dim(),
                to.arg(),
                at as u32,
                length as u32,
            );
        }
    }

    /// Copies the channels of the nodes `output` from the activations into one tensor (`gather`),
    /// or from that tensor into the gradients.
    pub(super) fn channels(&self, cell: &Floats, outside: &Floats, output: &[usize], gather: bool) {
        let program = self.program();
        let all: usize = output.iter().map(|&at| program.nodes[at].size()).sum();
        // Consecutive nodes of one size are contiguous in memory.
        let mut first = 0;
        for run in
            output.chunk_by(|&one, &next| one + 1 == next && program.nodes[one].size() == program.nodes[next].size())
        {
            let node = &program.nodes[run[0]];
            let length = node.size() * program.batch;
            let (from, to) = if gather { (cell, outside) } else { (outside, cell) };
            // SAFETY: the nodes lie in the cell's memory, and their channels within those of the
            // output.
            unsafe {
                move_data::channels::launch_unchecked(
                    self.client,
                    Self::line(length * run.len()),
                    Self::dim(),
                    from.arg(),
                    to.arg(),
                    node.at as u32,
                    node.size() as u32,
                    first as u32,
                    all as u32,
                    length as u32,
                    (length * run.len()) as u32,
                    gather,
                );
            }
            first += node.size() * run.len();
        }
    }

    /// Runs the cell; returns its output, and what a backward pass needs.
    pub(super) fn forward(&self, operands: Operands, output: &[usize]) -> (Floats, Memory) {
        let program = self.program();
        let activations = Floats::new(self.client, program.activations);
        let norms = Floats::new(self.client, program.slots * SLOT_FIELDS as usize);
        for (image, input) in program.inputs.iter().zip(&operands.inputs) {
            self.copy(input, &activations, [0, image.at, image.size() * program.batch]);
        }
        let memory = Memory {
            activations,
            norms,
            weights: operands.weights,
            mixture: operands.mixture,
            drops: operands.drops,
        };
        // If no statistics are given, none are read.
        let given = operands.given.unwrap_or_else(|| memory.weights.clone());
        for (node, image) in program.node_programs.iter().zip(&program.nodes) {
            self.node(node, image, &memory, &given);
        }
        let all: usize = output.iter().map(|&at| program.nodes[at].size()).sum();
        let result = Floats::new(self.client, all * program.batch);
        self.channels(&memory.activations, &result, output, true);
        (result, memory)
    }

    fn node(&self, node: &NodeProgram, image: &Image, memory: &Memory, given: &Floats) {
        let batch = self.batch();
        if let Some(grid) = self.grid(node.pools, node.pools.channels as u32) {
            // SAFETY: records refer only to positions in the cell's memory; `Program` guarantees
            // it. The same holds below.
            unsafe {
                node::pool::launch_unchecked(
                    self.client,
                    grid,
                    Self::dim(),
                    memory.activations.arg(),
                    self.loaded.table.arg(),
                    node.pools.span.first,
                    batch,
                );
            }
        }
        for stage in &node.stages {
            if let Some(grid) = self.grid(stage.depthwise, stage.depthwise.channels as u32) {
                // SAFETY: as above.
                unsafe {
                    convolution::depthwise::launch_unchecked(
                        self.client,
                        grid,
                        Self::dim(),
                        memory.activations.arg(),
                        memory.weights.arg(),
                        memory.norms.arg(),
                        self.loaded.table.arg(),
                        stage.depthwise.span.first,
                        batch,
                    );
                }
            }
            if let Some(grid) = self.grid(stage.dense, groups(stage.dense_sizes[1])) {
                // SAFETY: as above.
                unsafe {
                    convolution::dense::launch_unchecked(
                        self.client,
                        grid,
                        Self::dim(),
                        memory.activations.arg(),
                        memory.weights.arg(),
                        self.loaded.table.arg(),
                        stage.dense.span.first,
                        batch,
                    );
                }
            }
            for norms in &stage.norms {
                let grid = CubeCount::Static(1, norms.channels as u32, norms.span.count);
                // SAFETY: as above; running statistics are read only if they are given.
                unsafe {
                    norm::statistics::launch_unchecked(
                        self.client,
                        grid,
                        Self::dim(),
                        memory.activations.arg(),
                        memory.norms.arg(),
                        memory.weights.arg(),
                        given.arg(),
                        self.loaded.table.arg(),
                        norms.span.first,
                        batch,
                        self.program().live_norms.len() as u32,
                        NORM_EPSILON as f32,
                    );
                }
            }
        }
        let elements = (image.area() * self.program().batch) as u32;
        let grid = CubeCount::Static(elements.div_ceil(THREADS), image.channels as u32, 1);
        // SAFETY: as above.
        unsafe {
            node::node_sum::launch_unchecked(
                self.client,
                grid,
                Self::dim(),
                memory.activations.arg(),
                memory.norms.arg(),
                memory.mixture.arg(),
                memory.drops().arg(),
                self.loaded.table.arg(),
                node.terms.span.first,
                node.terms.span.count,
                image.at as u32,
                image.channels as u32,
                image.area() as u32,
                batch,
                memory.drops.is_some(),
            );
        }
    }

    /// Means, then unbiased variances, of the plan's norms.
    pub(super) fn seen_statistics(&self, memory: &Memory) -> Floats {
        let channels = self.program().live_norms.len();
        let result = Floats::new(self.client, 2 * channels);
        // SAFETY: there is a slot for each of the plan's channels, and the result has two numbers
        // per slot.
        unsafe {
            norm::seen_statistics::launch_unchecked(
                self.client,
                Self::line(channels),
                Self::dim(),
                memory.norms.arg(),
                self.loaded.live.arg(),
                result.arg(),
                channels as u32,
            );
        }
        result
    }
}

impl Memory {
    /// The drop-path factors, or a placeholder that is never read.
    pub(super) fn drops(&self) -> &Floats {
        self.drops.as_ref().unwrap_or(&self.mixture)
    }
}
