//! Building a program: the records of every block, node by node.

use da2s_plan::{Block, CellPlan, Choice, ConvolutionWeights, Layout, NormWeights, PoolKind};

use super::launch::{SourceWindow, at, by_source, joined, launch, reading, targets};
use super::program::{Image, Launch, NodeProgram, NodeStage, Program};
use super::table::{NONE, Record, RecordTable, Span, field, kind, mode};

/// A block in its cell: its source, the node that it ends in, its index in the mixture.
struct Placed<'a> {
    source: Image,
    node: usize,
    choice: &'a Choice,
    index: Option<usize>,
}

/// The records of one node.
#[derive(Default)]
struct Records {
    depthwise: Vec<Vec<Record>>,
    dense: Vec<Vec<Record>>,
    /// First-level dense convolutions, which read a source of the node.
    dense_of_sources: Vec<Record>,
    pools: Vec<Record>,
    identities: Vec<Record>,
    inner: Vec<Vec<Record>>,
    terms: Vec<Vec<Record>>,
}

impl Records {
    fn level<T: Default>(levels: &mut Vec<T>, at: usize) -> &mut T {
        while levels.len() <= at {
            levels.push(T::default());
        }
        &mut levels[at]
    }
}

/// A program under construction.
pub(super) struct Builder<'a> {
    plan: &'a CellPlan,
    batch: usize,
    running: bool,
    program: Program,
    /// Start of the next gradient that only one node needs.
    scratch: usize,
}

impl<'a> Builder<'a> {
    /// An empty program.
    pub(super) fn new(plan: &'a CellPlan, batch: usize, running: bool) -> Self {
        let program = Program {
            batch,
            inputs: Vec::new(),
            nodes: Vec::new(),
            node_programs: Vec::new(),
            table: RecordTable::default(),
            activations: 0,
            gradients: 0,
            slots: plan.norm_channels,
            choices: vec![0; 2 * plan.choice_count()],
            live_norms: vec![false; plan.norm_channels],
        };
        Self {
            plan,
            batch,
            running,
            program,
            scratch: 0,
        }
    }

    /// The program for inputs of `sizes`, without the choices that `active` leaves out.
    pub(super) fn build(mut self, sizes: &[(usize, usize)], active: Option<&[bool]>) -> Program {
        self.images(sizes);
        for node in 0..self.plan.node_channels.len() {
            self.node(node, active);
        }
        self.program
    }

    /// Assigns memory to inputs and nodes.
    fn images(&mut self, sizes: &[(usize, usize)]) {
        for (&channels, &(height, width)) in self.plan.input_channels.iter().zip(sizes) {
            let image = self.activation(channels, height, width);
            self.program.inputs.push(image);
        }
        for (&channels, (height, width)) in self.plan.node_channels.iter().zip(self.plan.node_sizes(sizes)) {
            let image = self.activation(channels, height, width);
            self.program.nodes.push(image);
        }
        // Gradients of inputs and nodes have the same positions as their values.
        self.program.gradients = self.program.activations;
    }

    fn activation(&mut self, channels: usize, height: usize, width: usize) -> Image {
        let at = self.program.activations;
        let image = Image {
            at,
            channels,
            height,
            width,
        };
        self.program.activations += self.batch * image.size();
        image
    }

    /// Start of a gradient of `image`'s size, used by this node alone.
    fn gradient(&mut self, image: &Image) -> usize {
        let at = self.scratch;
        self.scratch += self.batch * image.size();
        self.program.gradients = self.program.gradients.max(self.scratch);
        at
    }

    fn node(&mut self, node: usize, active: Option<&[bool]>) {
        self.scratch = self
            .program
            .inputs
            .iter()
            .chain(&self.program.nodes)
            .fold(0, |most, image| most.max(image.at + self.batch * image.size()));
        let plan = self.plan;
        let mut records = Records::default();
        if plan.preprocess.get(node).is_some_and(Option::is_none) {
            // An input that is used unchanged.
            let identity = Choice {
                block: Block::Identity,
                name: String::new(),
                first: 0,
                inputs: plan.input_channels[node],
                outputs: plan.node_channels[node],
                affine: false,
                weight_offset: 0,
                norm_offset: 0,
            };
            let source = self.program.inputs[node];
            self.place(
                &mut records,
                &Placed {
                    source,
                    node,
                    choice: &identity,
                    index: None,
                },
            );
        }
        for placed in placed(plan, &self.program, node, active) {
            self.place(&mut records, &placed);
        }
        self.finish(node, records);
    }

    /// The records of one block.
    fn place(&mut self, records: &mut Records, placed: &Placed<'_>) {
        let Placed { source, choice, .. } = *placed;
        let Layout {
            convolutions, norms, ..
        } = choice.layout();
        let norm = norms.first();
        match choice.block {
            Block::Identity => {
                let slots = self.slots(choice.outputs, None);
                let term = self.term(placed, source, slots, None, NONE);
                let record = reading(term, source, NONE, false);
                records
                    .identities
                    .push(record.with(field::KIND, kind::IDENTITY as usize));
                Records::level(&mut records.terms, 0).push(term);
            }
            Block::Pool {
                kind: what,
                kernel,
                stride,
                padding,
                ..
            } => {
                let result = self.result(placed, source, choice.outputs);
                let slots = self.slots(choice.outputs, norm);
                let term = self.term(placed, result, slots, gamma(norm), NONE);
                let what = match what {
                    PoolKind::Max => kind::MAX,
                    PoolKind::Average => kind::AVERAGE,
                };
                let window = SourceWindow {
                    kernel,
                    stride,
                    padding: padding as i32,
                    dilation: 1,
                };
                let record = window.of(reading(term, source, NONE, false), 0, choice.outputs);
                records.pools.push(record.with(field::KIND, what as usize));
                Records::level(&mut records.terms, 0).push(term);
            }
            Block::FactorizedReduce => {
                let result = self.result(placed, source, choice.outputs);
                let slots = self.slots(choice.outputs, norm);
                let term = self.term(placed, result, slots, gamma(norm), NONE);
                let mut first = 0;
                for (ConvolutionWeights { kernel, .. }, padding) in convolutions.iter().zip([0, -1]) {
                    let count = kernel.shape[0];
                    let window = SourceWindow {
                        kernel: 1,
                        stride: 2,
                        padding,
                        dilation: 1,
                    };
                    let record = window
                        .of(reading(term, source, NONE, true), first, count)
                        .with(field::WEIGHT, kernel.offset)
                        .with(field::BIAS, NONE as usize);
                    records.dense_of_sources.push(record);
                    first += count;
                }
                Records::level(&mut records.terms, 0).push(term);
            }
            Block::Conv {
                relu,
                kernel,
                stride,
                padding,
                ..
            } => {
                let result = self.result(placed, source, choice.outputs);
                let slots = self.slots(choice.outputs, norm);
                let weights = &convolutions[0];
                let bias = weights.bias.as_ref().map_or(NONE, |bias| bias.offset as u32);
                let term = self.term(placed, result, slots, gamma(norm), bias);
                let window = SourceWindow {
                    kernel,
                    stride,
                    padding: padding as i32,
                    dilation: 1,
                };
                let record = window
                    .of(reading(term, source, NONE, relu), 0, choice.outputs)
                    .with(field::WEIGHT, weights.kernel.offset);
                records.dense_of_sources.push(record);
                Records::level(&mut records.terms, 0).push(term);
            }
            Block::Separable {
                kernel,
                stride,
                dilation,
                stages,
            } => {
                self.separable(records, placed, [kernel, stride, dilation, stages]);
            }
            Block::Zero { .. }
            | Block::Norm
            | Block::Relu
            | Block::Relu6
            | Block::HardSwish
            | Block::Take { .. }
            | Block::Shuffle { .. }
            | Block::InvertedBottleneck { .. }
            | Block::Basic { .. } => {}
        }
    }

    fn separable(
        &mut self,
        records: &mut Records,
        placed: &Placed<'_>,
        [kernel, stride, dilation, stages]: [usize; 4],
    ) {
        let Placed { source, choice, .. } = *placed;
        let (mut source, mut source_slot, mut gradient_of_source) = (source, NONE, None);
        let Layout {
            convolutions, norms, ..
        } = choice.layout();
        for (stage, (pair, norm)) in convolutions.chunks(2).zip(&norms).enumerate() {
            let [of_depthwise, of_pointwise] = [0, 1].map(|at| pair[at].kernel.offset);
            let outputs = norm.statistics.channels;
            let last = stage + 1 == stages;
            let stride = if stage == 0 { stride } else { 1 };
            let window = SourceWindow {
                kernel,
                stride,
                padding: (dilation * (kernel - 1) / 2) as i32,
                dilation,
            };
            let (height, width) = (source.height.div_ceil(stride), source.width.div_ceil(stride));
            let between = self.activation(choice.inputs, height, width);
            let of_between = self.gradient(&between);
            let depthwise = window
                .of(
                    reading(at(Record::new(), &between), source, source_slot, true),
                    0,
                    choice.inputs,
                )
                .with(field::WEIGHT, of_depthwise)
                .with(field::GRADIENT, of_between)
                .with(field::TARGET, gradient_of_source.unwrap_or(NONE as usize));
            Records::level(&mut records.depthwise, stage).push(depthwise);

            let result = self.activation(outputs, height, width);
            let slots = self.slots(outputs, Some(norm));
            let gamma = gamma(Some(norm));
            let (term, of_result) = if last {
                (self.term(placed, result, slots, gamma, NONE), None)
            } else {
                let own = self.gradient(&result);
                let term = self
                    .norm(result, slots, gamma, mode_of(self.running), NONE)
                    .with(field::GRADIENT, own);
                (term, Some(own))
            };
            let pointwise = SourceWindow {
                kernel: 1,
                stride: 1,
                padding: 0,
                dilation: 1,
            }
            .of(reading(term, between, NONE, false), 0, outputs)
            .with(field::WEIGHT, of_pointwise)
            .with(field::TARGET, of_between);
            Records::level(&mut records.dense, stage).push(pointwise);
            let level = if last { &mut records.terms } else { &mut records.inner };
            Records::level(level, stage).push(term);
            (source, source_slot, gradient_of_source) = (result, slots, of_result);
        }
    }

    /// Memory for the result of a block that reads `source`.
    fn result(&mut self, placed: &Placed<'_>, source: Image, channels: usize) -> Image {
        let block = placed.choice.block;
        self.activation(
            channels,
            block.output_side(source.height),
            block.output_side(source.width),
        )
    }

    /// The slots of `norm`; separate slots for a block without one.
    fn slots(&mut self, channels: usize, norm: Option<&NormWeights>) -> u32 {
        let first = match norm {
            Some(norm) => {
                let first = norm.statistics.offset;
                self.program.live_norms[first..first + channels].fill(true);
                first
            }
            None => {
                self.program.slots += channels;
                self.program.slots - channels
            }
        };
        first as u32
    }

    /// The norm that follows `result`.
    fn norm(&self, result: Image, slots: u32, gamma: Option<usize>, mode: u32, bias: u32) -> Record {
        at(Record::new(), &result)
            .with(field::SLOT, slots as usize)
            .with(field::GAMMA, gamma.unwrap_or(NONE as usize))
            .with(field::MODE, mode as usize)
            .with(field::BIAS, bias as usize)
    }

    /// A term of a node's sum: `result`, through the norm at `slots`.
    fn term(&mut self, placed: &Placed<'_>, result: Image, slots: u32, gamma: Option<usize>, bias: u32) -> Record {
        let is_norm = (slots as usize) < self.plan.norm_channels;
        let mode = if is_norm { mode_of(self.running) } else { mode::UNIT };
        if let Some(index) = placed.index {
            self.program.choices[2 * index] = slots;
            self.program.choices[2 * index + 1] = result.channels as u32;
        }
        let node = self.program.nodes[placed.node].at;
        self.norm(result, slots, gamma, mode, bias)
            .with(field::CHOICE, placed.index.unwrap_or(NONE as usize))
            .with(field::GRADIENT, node)
    }

    /// Turns the records of a node into launches.
    fn finish(&mut self, node: usize, records: Records) {
        let Records {
            depthwise,
            mut dense,
            dense_of_sources,
            pools,
            identities,
            inner,
            terms,
        } = records;
        let levels = [depthwise.len(), dense.len(), inner.len(), terms.len(), 1]
            .into_iter()
            .max()
            .unwrap_or(1);
        let mut program = NodeProgram::default();
        let table = &mut self.program.table;
        let pointwise_count: Vec<usize> = dense.iter().map(Vec::len).collect();
        Records::level(&mut dense, 0).extend(dense_of_sources);
        // The first level's inner norms come right before the terms, so that one launch covers
        // both.
        let mut of_inner: Vec<Launch> = inner.iter().rev().map(|inner| launch(table, inner)).collect();
        of_inner.reverse();
        let of_terms: Vec<Launch> = terms.iter().map(|terms| launch(table, terms)).collect();
        program.terms = joined(&of_terms);
        program.pools = launch(table, &pools);
        let first_levels = (
            by_source(table, depthwise.first().map_or(&[][..], Vec::as_slice)),
            by_source(table, &dense[0][pointwise_count.first().copied().unwrap_or(0)..]),
            by_source(table, &[pools, identities].concat()),
        );
        (program.depthwise_sources, program.dense_sources, program.pool_sources) = first_levels;

        for level in 0..levels {
            let of = |records: &[Vec<Record>]| records.get(level).cloned().unwrap_or_default();
            let (depthwise, dense) = (of(&depthwise), of(&dense));
            let mut stage = NodeStage {
                dense: launch(table, &dense),
                inner_norms: of_inner.get(level).copied().unwrap_or_default(),
                ..NodeStage::default()
            };
            let pointwise = &dense[..pointwise_count.get(level).copied().unwrap_or(0)];
            stage.dense_targets = targets(table, pointwise, stage.dense.span.first);
            let mut sides: Vec<u32> = depthwise.iter().map(|record| record.get(field::KERNEL)).collect();
            sides.sort_unstable();
            sides.dedup();
            let sorted: Vec<Record> = sides
                .iter()
                .flat_map(|&side| {
                    depthwise
                        .iter()
                        .filter(move |record| record.get(field::KERNEL) == side)
                        .copied()
                })
                .collect();
            stage.depthwise = launch(table, &sorted);
            let mut first = stage.depthwise.span.first;
            for side in sides {
                let count = sorted.iter().filter(|record| record.get(field::KERNEL) == side).count() as u32;
                let span = Span { first, count };
                stage.depthwise_kernels.push((
                    side,
                    Launch {
                        span,
                        ..stage.depthwise
                    },
                ));
                first += count;
            }
            if level > 0 {
                stage.depthwise_targets = targets(table, &sorted, stage.depthwise.span.first);
            }
            let largest = |wanted: u32| {
                dense
                    .iter()
                    .map(|record| record.get(wanted) as usize)
                    .max()
                    .unwrap_or(0)
            };
            stage.dense_sizes = [largest(field::KERNEL), largest(field::OUTPUTS), largest(field::INPUTS)];
            let own = [Some(stage.inner_norms), of_terms.get(level).copied()];
            let own: Vec<Launch> = own
                .into_iter()
                .flatten()
                .filter(|launch| launch.span.count > 0)
                .collect();
            let follow = |one: &Launch, next: &Launch| one.span.first + one.span.count == next.span.first;
            stage.norms = own.chunk_by(follow).map(joined).collect();
            program.stages.push(stage);
        }
        debug_assert_eq!(self.program.node_programs.len(), node);
        self.program.node_programs.push(program);
    }
}

/// Every block that ends in `node`.
fn placed<'a>(plan: &'a CellPlan, program: &Program, node: usize, active: Option<&[bool]>) -> Vec<Placed<'a>> {
    let mut placed = Vec::new();
    if let Some(choice) = plan.preprocess.get(node).and_then(Option::as_ref) {
        placed.push(Placed {
            source: program.inputs[node],
            node,
            choice,
            index: None,
        });
    }
    let mut index = 0;
    for edge in &plan.edges {
        for choice in &edge.choices {
            let live = active.is_none_or(|active| active[index]);
            if edge.to == node && live && !matches!(choice.block, Block::Zero { .. }) {
                placed.push(Placed {
                    source: program.nodes[edge.from],
                    node,
                    choice,
                    index: Some(index),
                });
            }
            index += 1;
        }
    }
    placed
}

/// Position of a norm's scale; its shift follows it.
fn gamma(norm: Option<&NormWeights>) -> Option<usize> {
    let [gamma, _] = norm?.affine.as_ref()?;
    Some(gamma.offset)
}

fn mode_of(running: bool) -> u32 {
    if running { mode::RUNNING } else { mode::BATCH }
}
