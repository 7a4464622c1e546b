//! Running a program: memory on the device, and its launches in order.

use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::kernels::{THREADS, convolution, data_gradient, move_data, node, norm, weight_gradient};
use super::program::{Image, Launch, NodeProgram, Program, groups};
use super::table::SLOT_FIELDS;
use crate::NORM_EPSILON;

/// Parts that the sums over pixels of weights' gradients are made in: of dense convolutions, and of depthwise ones.
pub(super) const SLICES: u32 = 32;
const DEPTHWISE_SLICES: u32 = 8;

/// Float32 numbers on the device.
#[derive(Clone, Debug)]
pub(super) struct Floats {
    handle: Handle,
    length: usize,
}

impl Floats {
    /// Room for `length` numbers, whatever they are.
    pub(super) fn new(client: &Client, length: usize) -> Self {
        // The device refuses buffers of no size.
        let length = length.max(1);
        Self {
            handle: client.empty(length * size_of::<f32>()),
            length,
        }
    }

    /// The numbers of a contiguous tensor.
    pub(super) fn of(handle: Handle, length: usize) -> Self {
        Self { handle, length }
    }

    pub(super) fn handle(self) -> Handle {
        self.handle
    }

    fn arg(&self) -> BufferArg {
        // SAFETY: the buffer has `length` numbers: it was made or given so.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length) }
    }
}

/// Whole numbers on the device.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    handle: Handle,
    length: usize,
}

impl Numbers {
    pub(super) fn new(client: &Client, numbers: &[u32]) -> Self {
        let numbers = if numbers.is_empty() { &[0] } else { numbers };
        Self {
            handle: client.create_from_slice(u32::as_bytes(numbers)),
            length: numbers.len(),
        }
    }

    fn arg(&self) -> BufferArg {
        // SAFETY: the buffer was made of `length` numbers.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length) }
    }
}

/// A program whose tables are on the device.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub program: Program,
    table: Numbers,
    choices: Numbers,
    live: Numbers,
}

impl Loaded {
    pub(super) fn new(client: &Client, program: Program) -> Self {
        let live: Vec<u32> = program.live_norms.iter().map(|&live| u32::from(live)).collect();
        Self {
            table: Numbers::new(client, program.table.numbers()),
            choices: Numbers::new(client, &program.choices),
            live: Numbers::new(client, &live),
            program,
        }
    }
}

/// What a forward pass reads.
pub(super) struct Operands {
    pub inputs: Vec<Floats>,
    pub weights: Floats,
    pub mixture: Floats,
    /// Factors of drop-path, `[choices, batch]`.
    pub drops: Option<Floats>,
    /// Running means, then variances.
    pub given: Option<Floats>,
}

/// What a backward pass needs of the forward pass.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    activations: Floats,
    norms: Floats,
    weights: Floats,
    mixture: Floats,
    drops: Option<Floats>,
}

/// Which gradients are asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub inputs: Vec<bool>,
    pub weights: bool,
    pub mixture: bool,
}

/// The gradients that were asked for.
pub(super) struct Gradients {
    pub inputs: Vec<Option<Floats>>,
    pub weights: Option<Floats>,
    pub mixture: Option<Floats>,
}

/// Launches of one program on one device.
pub(super) struct Executor<'a> {
    pub client: &'a Client,
    pub loaded: &'a Loaded,
}

impl Executor<'_> {
    fn program(&self) -> &Program {
        &self.loaded.program
    }

    fn batch(&self) -> u32 {
        self.program().batch as u32
    }

    /// A grid over a channel's elements, channels and records.
    fn grid(&self, launch: Launch, channels: u32) -> Option<CubeCount> {
        let elements = (launch.area * self.program().batch) as u32;
        let count = [elements.div_ceil(THREADS), channels, launch.span.count];
        count
            .iter()
            .all(|&side| side > 0)
            .then(|| CubeCount::Static(count[0], count[1], count[2]))
    }

    /// A grid over `length` elements.
    fn line(length: usize) -> CubeCount {
        CubeCount::Static((length as u32).div_ceil(THREADS).max(1), 1, 1)
    }

    fn dim() -> CubeDim {
        CubeDim::new_1d(THREADS)
    }

    fn copy(&self, from: &Floats, to: &Floats, [from_at, to_at, length]: [usize; 3]) {
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

    fn clear(&self, to: &Floats, at: usize, length: usize) {
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

    /// The channels of the nodes `output` from the activations into one tensor (`gather`), or from that into the gradients.
    fn channels(&self, cell: &Floats, outside: &Floats, output: &[usize], gather: bool) {
        let program = self.program();
        let all: usize = output.iter().map(|&at| program.nodes[at].size()).sum();
        // Nodes that follow each other lie one behind the other, and all nodes of an output have one size.
        let mut first = 0;
        for run in output.chunk_by(|one, next| one + 1 == *next) {
            let node = &program.nodes[run[0]];
            let length = node.size() * program.batch;
            let (from, to) = if gather { (cell, outside) } else { (outside, cell) };
            // SAFETY: the nodes lie in the cell's memory, their channels among those of the output.
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
        // Where none are given none are read.
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
            // SAFETY: records name places in the cell's memory alone; `Program` makes them so. The same holds below.
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
                // SAFETY: as above; running statistics are read only where they are given.
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
        // SAFETY: there is a slot for each of the plan's channels, and two numbers of the result.
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

    /// The gradients that are `wanted`, from that of the output.
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
                // SAFETY: there are that many slices of that many numbers.
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

impl Memory {
    /// The factors of drop-path, or something that is never read.
    fn drops(&self) -> &Floats {
        self.drops.as_ref().unwrap_or(&self.mixture)
    }
}

/// A backward pass under way.
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
        // An input's gradient that nobody wants is not computed.
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
        // SAFETY: records name places in the cell's memory alone; `Program` makes them so. The same holds below.
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
        // SAFETY: as above; targets are apart from each other and from what is read.
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
