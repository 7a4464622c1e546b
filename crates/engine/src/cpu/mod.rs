//! The fused CPU path: a cell as a few passes over the batch instead of an operation at a time.
//!
//! A [`CellKernel`] is made from a plan, the sizes of its inputs and the batch, and owns what a forward run keeps for its backward
//! run; memory for one call comes from a [`Workspace`] that all cells of a network share. Slices only: images in NHWC order, weights,
//! mixture and statistics flat as the plan lays them out. The result does not depend on the number of threads.
//!
//! How it works. Images pass through chains of kernels whose rows stay in the first cache (depthwise → pointwise); only what a batch norm reads
//! is stored. Norms are affine maps, folded with the mixture weight into the sum that makes a node. ReLU of a node is shared by all that
//! read it, poolings of a node by all edges. The backward run recomputes the cheap (ReLU, normalisation, depthwise output) and reads the rest.

mod backward;
mod compile;
mod compiled;
mod forward;
mod image;
mod inference;
mod levels;
mod memory;
mod norms;
mod parallel;
mod schedule;
mod weights;

pub(crate) use memory::Buffer;
pub use memory::Workspace;
pub use norms::Statistics;

use std::ops::Range;

use da2s_kernels::Level;

use self::compiled::{Compiled, Unit};
use self::image::{At, Coefficients, Frame, Scratch};
use self::memory::Shared;
use self::norms::{GradientSums, Moments, carried};
use self::schedule::{Moving, Pass, Step};
use crate::plan::CellPlan;

/// What a cell is applied to.
#[derive(Debug)]
pub struct Forward<'a> {
    /// One slice an input, `[batch, height, width, channels]`.
    pub inputs: &'a [&'a [f32]],
    /// The plan's weights.
    pub weights: &'a [f32],
    /// A weight a choice; `None` weighs every choice 1.
    pub mixture: Option<&'a [f32]>,
    /// Choices that are computed; `None` computes all.
    pub active: Option<&'a [bool]>,
    /// Drop-path: factors of each choice's output, `[choice][image]`.
    pub drop: Option<&'a [f32]>,
    /// Statistics of the batch norms.
    pub statistics: Statistics<'a>,
    /// Whether a backward run may follow.
    pub keep: bool,
    /// Whether that run may ask for the gradient of the mixture (if not, choices that weigh 0 are not computed).
    pub mixture_gradient: bool,
}

/// Gradients that a backward run writes; `None` is not computed.
#[derive(Debug, Default)]
pub struct Gradients<'a> {
    /// One an input, as long as the input. An empty list asks for none.
    pub inputs: Vec<Option<&'a mut [f32]>>,
    /// As long as the plan's weights. Those of choices that were not computed are 0.
    pub weights: Option<&'a mut [f32]>,
    /// One a choice. Those of choices that were not computed are 0.
    pub mixture: Option<&'a mut [f32]>,
}

/// What a forward run leaves for its backward run.
#[derive(Debug, Default)]
struct Saved {
    valid: bool,
    live: Vec<bool>,
    mixture: Option<Vec<f32>>,
    drop: Option<Vec<f32>>,
    from_batch: bool,
    coefficients: Coefficients,
    packed: Vec<f32>,
    kept: Buffer,
}

/// A cell ready to run. See the module.
#[derive(Debug)]
pub struct CellKernel {
    compiled: Compiled,
    /// The same for one image at a time: inference holds nothing of the batch.
    single: Compiled,
    batch: usize,
    sizes: (usize, usize, usize),
    level: Level,
    workspace: Workspace,
    saved: Saved,
}

impl CellKernel {
    /// A kernel for inputs of the given heights and widths, and for `batch` images.
    pub fn new(plan: &CellPlan, inputs: &[(usize, usize)], batch: usize, workspace: &Workspace) -> Self {
        Self::with_level(plan, inputs, batch, workspace, da2s_kernels::cpu_level())
    }

    /// The same, with the instructions of `level`.
    pub fn with_level(
        plan: &CellPlan,
        inputs: &[(usize, usize)],
        batch: usize,
        workspace: &Workspace,
        level: Level,
    ) -> Self {
        assert!(
            batch > 0 && inputs.len() == plan.input_channels.len(),
            "a kernel needs images of every input"
        );
        Self {
            compiled: compile::compile(plan, inputs, batch),
            single: compile::compile(plan, inputs, 1),
            batch,
            sizes: (plan.weight_count, plan.norm_channels, plan.choice_count()),
            level,
            workspace: workspace.clone(),
            saved: Saved::default(),
        }
    }

    /// Images a call.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Floats of the output, `[batch, height, width, channels]`.
    pub fn output_len(&self) -> usize {
        self.compiled.output.map_or(0, |shape| shape.len() * self.batch)
    }

    /// Runs the cell and writes its output. Without [`Forward::keep`] what an earlier run kept stays valid.
    ///
    /// # Panics
    /// If a slice does not have the plan's length.
    pub fn forward(&mut self, mut call: Forward, output: &mut [f32]) {
        let (weight_count, norm_channels, choices) = self.sizes;
        assert_eq!(call.weights.len(), weight_count, "length of the weights");
        assert_eq!(output.len(), self.output_len(), "length of the output");
        for (input, node) in call.inputs.iter().zip(&self.compiled.nodes) {
            assert_eq!(input.len(), node.shape.len() * self.batch, "length of an input");
        }
        assert!(
            call.mixture.is_none_or(|mixture| mixture.len() == choices),
            "length of the mixture"
        );
        assert!(
            call.active.is_none_or(|active| active.len() == choices),
            "length of the active flags"
        );
        assert!(
            call.drop.is_none_or(|drop| drop.len() == choices * self.batch),
            "length of the drop factors"
        );
        let from_batch = match &mut call.statistics {
            Statistics::Batch { mean, variance } => {
                assert!(
                    mean.len() == norm_channels && variance.len() == norm_channels,
                    "length of the statistics"
                );
                mean.fill(0.0);
                variance.fill(0.0);
                true
            }
            Statistics::Running { mean, variance } => {
                assert!(
                    mean.len() == norm_channels && variance.len() == norm_channels,
                    "length of the statistics"
                );
                false
            }
        };
        let is_live = |unit: &Unit| {
            unit.choice.is_none_or(|choice| {
                let weighs = call.mixture.is_none_or(|mixture| mixture[choice] != 0.0);
                call.active.is_none_or(|active| active[choice]) && (weighs || (call.keep && call.mixture_gradient))
            })
        };
        let live: Vec<bool> = self.compiled.units.iter().map(is_live).collect();
        if call.keep {
            let mut saved = std::mem::take(&mut self.saved);
            saved.valid = true;
            saved.from_batch = from_batch;
            saved.mixture = call.mixture.map(<[f32]>::to_vec);
            saved.drop = call.drop.map(<[f32]>::to_vec);
            saved.kept.reserve(self.compiled.kept_len);
            saved.packed.resize(self.compiled.packed_len, 0.0);
            weights::pack(&self.compiled, &live, call.weights, true, &mut saved.packed);
            resize(&mut saved.coefficients, &self.compiled);
            saved.live = live;
            let Saved {
                kept,
                packed,
                coefficients,
                live,
                ..
            } = &mut saved;
            self.run_forward(&mut call, live, packed, coefficients, kept.as_mut_slice(), output);
            self.saved = saved;
        } else {
            let compiled = if from_batch { &self.compiled } else { &self.single };
            let mut packed = self.workspace.lease(compiled.packed_len);
            let packed = &mut packed.as_mut_slice()[..compiled.packed_len];
            weights::pack(compiled, &live, call.weights, false, packed);
            let mut coefficients = Coefficients::default();
            resize(&mut coefficients, compiled);
            if from_batch {
                let mut kept = self.workspace.lease(compiled.kept_len);
                self.run_forward(&mut call, &live, packed, &mut coefficients, kept.as_mut_slice(), output);
            } else {
                self.run_inference(&mut call, &live, packed, &mut coefficients, output);
            }
        }
    }

    fn run_forward(
        &self,
        call: &mut Forward,
        live: &[bool],
        packed: &[f32],
        coefficients: &mut Coefficients,
        kept: &mut [f32],
        output: &mut [f32],
    ) {
        let compiled = &self.compiled;
        let from_batch = matches!(call.statistics, Statistics::Batch { .. });
        prepare_given(compiled, call, live, coefficients);
        let slots = compiled.slots;
        let mut moments = self.workspace.lease(2 * slots * self.batch);
        let (means, deviations) = moments.as_mut_slice()[..2 * slots * self.batch].split_at_mut(slots * self.batch);
        let kept = Shared::new(kept);
        let output = Shared::new(output);
        let moving = Moving::new(compiled, live, false);
        let mut moving_data = self.workspace.lease(moving.len);
        let moving_data = Shared::new(moving_data.as_mut_slice());
        for pass in schedule::forward(compiled, live, from_batch) {
            let results = forward::Results {
                output,
                moments: from_batch.then(|| [Shared::new(means), Shared::new(deviations)]),
            };
            let frame = Frame {
                level: self.level,
                compiled,
                inputs: call.inputs,
                packed,
                weights: call.weights,
                coefficients,
                drop: call.drop.map(|drop| (drop, self.batch)),
                kept,
                moving: &moving,
                moving_data,
            };
            parallel::for_each_block(
                self.batch,
                &self.workspace,
                Scratch::len(compiled),
                |_, images, memory| {
                    let mut scratch = Scratch::cut(memory, compiled);
                    for_each_step(images, &pass, |step, at, next| {
                        // SAFETY: blocks share no image.
                        unsafe {
                            scratch
                                .ahead
                                .set(next.map_or([&[], &[]], |(step, at)| [forward::reads(*step, &frame, at), &[]]));
                            forward::run(step, &frame, &results, &mut scratch, at);
                        }
                    });
                },
            );
            if from_batch {
                let moments = Moments {
                    means,
                    deviations,
                    compiled,
                };
                for (unit, stage) in stages_of(compiled, &pass) {
                    let weight = carried(unit, stage, call.mixture);
                    let stage = &unit.stages[stage];
                    norms::prepare(
                        stage,
                        weight,
                        call.weights,
                        &mut call.statistics,
                        Some(&moments),
                        coefficients,
                    );
                }
            }
        }
    }

    /// Writes the gradients that `gradients` asks for, given that of the output of the last forward run that kept.
    /// `inputs` and `weights` are those of that run.
    ///
    /// # Panics
    /// If no run kept anything, or a slice does not have the plan's length.
    pub fn backward(&mut self, inputs: &[&[f32]], weights: &[f32], d_output: &[f32], gradients: Gradients) {
        let (weight_count, _, choices) = self.sizes;
        let saved = &mut self.saved;
        assert!(saved.valid, "no forward run kept its activations");
        assert_eq!(
            d_output.len(),
            self.compiled.output.map_or(0, |shape| shape.len() * self.batch)
        );
        let Gradients {
            inputs: mut d_inputs,
            weights: mut d_weights,
            mixture: mut d_mixture,
        } = gradients;
        d_inputs.resize_with(inputs.len(), || None);
        for ((gradient, input), node) in d_inputs.iter().zip(inputs).zip(&self.compiled.nodes) {
            assert_eq!(input.len(), node.shape.len() * self.batch, "length of an input");
            assert!(
                gradient.as_ref().is_none_or(|gradient| gradient.len() == input.len()),
                "length of a gradient"
            );
        }
        if let Some(d_weights) = &mut d_weights {
            assert_eq!(d_weights.len(), weight_count, "length of the gradient of the weights");
            d_weights.fill(0.0);
        }
        if let Some(d_mixture) = &mut d_mixture {
            assert_eq!(d_mixture.len(), choices, "length of the gradient of the mixture");
            d_mixture.fill(0.0);
        }
        let compiled = &self.compiled;
        let want = Want::new(compiled, saved, &d_inputs, d_weights.is_some(), d_mixture.is_some());
        let d_inputs: Vec<Option<Shared>> = d_inputs.into_iter().map(|slice| slice.map(Shared::new)).collect();

        let slots = compiled.slots;
        let mut sums = self.workspace.lease(2 * slots * self.batch);
        let (first, second) = sums.as_mut_slice()[..2 * slots * self.batch].split_at_mut(slots * self.batch);
        let mut passing = self.workspace.lease(compiled.passing_len);
        let passing = Shared::new(passing.as_mut_slice());
        let moving = Moving::new(compiled, &want.units, true);
        let mut moving_data = self.workspace.lease(moving.len);
        let moving_data = Shared::new(moving_data.as_mut_slice());
        let mut tables = [(); 3].map(|()| vec![0.0; compiled.tables]);
        let blocks = parallel::blocks(self.batch);
        for pass in schedule::backward(compiled, &want.units, &want.flows, &want.nodes) {
            let mut weight_sums = weights::Sums::default();
            if d_weights.is_some() {
                backward_of(compiled, &pass).for_each(|(unit, stage)| weight_sums.add(&unit.stages[stage]));
            }
            let mut block_sums = self.workspace.lease(weight_sums.len * blocks);
            let block_sums = &mut block_sums.as_mut_slice()[..weight_sums.len * blocks];
            let frame = Frame {
                level: self.level,
                compiled,
                inputs,
                packed: &saved.packed,
                weights,
                coefficients: &saved.coefficients,
                drop: saved.drop.as_deref().map(|drop| (drop, self.batch)),
                kept: Shared::new(saved.kept.as_mut_slice()),
                moving: &moving,
                moving_data,
            };
            let flow = backward::Flow {
                output: d_output,
                inputs: &d_inputs,
                passing,
                wanted: &want.nodes,
                written: &want.written,
                weights: d_weights.is_some(),
                mixture: d_mixture.is_some(),
                sums: [Shared::new(first), Shared::new(second)],
                tables: [&tables[0], &tables[1], &tables[2]],
                weight_sums: &weight_sums,
            };
            let shared_sums = Shared::new(block_sums);
            parallel::for_each_block(
                self.batch,
                &self.workspace,
                Scratch::len(compiled),
                |block, images, memory| {
                    let mut scratch = Scratch::cut(memory, compiled);
                    // SAFETY: every block has sums of its own.
                    let block = unsafe { shared_sums.write(block * weight_sums.len..(block + 1) * weight_sums.len) };
                    block.fill(0.0);
                    for_each_step(images, &pass, |step, at, next| {
                        // SAFETY: blocks share no image.
                        unsafe {
                            scratch
                                .ahead
                                .set(next.map_or([&[], &[]], |(step, at)| backward::reads(*step, &frame, at)));
                            backward::run(step, &frame, &flow, block, &mut scratch, at);
                        }
                    });
                },
            );
            if let Some(d_weights) = d_weights.as_deref_mut()
                && weight_sums.len > 0
            {
                weight_sums.reduce(block_sums, d_weights);
            }
            let sums = GradientSums {
                first,
                second,
                compiled,
            };
            for (unit, stage) in summed(compiled, &pass) {
                let weight = carried(unit, stage, saved.mixture.as_deref());
                let last = stage + 1 == unit.stages.len();
                let of_mixture = norms::prepare_backward(
                    norms::Backward {
                        stage: &unit.stages[stage],
                        weight,
                        weights,
                        sums: &sums,
                        from_batch: saved.from_batch,
                        coefficients: &saved.coefficients,
                    },
                    &mut tables,
                    d_weights.as_deref_mut(),
                );
                if let (Some(d_mixture), Some(choice), true) = (d_mixture.as_deref_mut(), unit.choice, last) {
                    d_mixture[choice] = of_mixture as f32;
                }
            }
        }
    }
}

/// Goes through all images and steps, telling each what comes next.
///
/// By index, and without moving a step: an iterator that looks ahead cost a few percent of a search step on small images.
fn for_each_step(images: Range<usize>, pass: &Pass, mut work: impl FnMut(Step, At, Option<(&Step, At)>)) {
    let at = |image: usize| At { image, slot: image };
    for image in images.clone() {
        for (index, &step) in pass.iter().enumerate() {
            let next = match pass.get(index + 1) {
                Some(next) => Some((next, at(image))),
                None if image + 1 < images.end => Some((&pass[0], at(image + 1))),
                None => None,
            };
            work(step, at(image), next);
        }
    }
}

fn resize(coefficients: &mut Coefficients, compiled: &Compiled) {
    coefficients.scale.resize(compiled.tables, 0.0);
    coefficients.shift.resize(compiled.tables, 0.0);
    coefficients.center.resize(compiled.tables, 0.0);
    coefficients.inverse.resize(compiled.slots, 0.0);
}

/// Coefficients that need no sums over the batch: all with given statistics, else those of stages without a norm.
fn prepare_given(compiled: &Compiled, call: &mut Forward, live: &[bool], coefficients: &mut Coefficients) {
    let given = matches!(call.statistics, Statistics::Running { .. });
    for (unit, _) in compiled.units.iter().zip(live).filter(|(_, live)| **live) {
        for (index, stage) in unit.stages.iter().enumerate() {
            if given || stage.norm.is_none() {
                let weight = carried(unit, index, call.mixture);
                norms::prepare(stage, weight, call.weights, &mut call.statistics, None, coefficients);
            }
        }
    }
}

/// Stages with a norm that a forward pass computes.
fn stages_of<'a>(compiled: &'a Compiled, pass: &'a Pass) -> impl Iterator<Item = (&'a Unit, usize)> {
    pass.iter().filter_map(|step| match *step {
        Step::Stage { unit, stage } if compiled.units[unit].stages[stage].norm.is_some() => {
            Some((&compiled.units[unit], stage))
        }
        _ => None,
    })
}

/// Stages that a backward pass differentiates.
fn backward_of<'a>(compiled: &'a Compiled, pass: &'a Pass) -> impl Iterator<Item = (&'a Unit, usize)> {
    pass.iter().filter_map(|step| match *step {
        Step::Backward { unit, stage, .. } => Some((&compiled.units[unit], stage)),
        _ => None,
    })
}

/// Stages whose sums are complete after a backward pass.
fn summed<'a>(compiled: &'a Compiled, pass: &'a Pass) -> impl Iterator<Item = (&'a Unit, usize)> {
    pass.iter().filter_map(|step| match *step {
        Step::Sums(unit) => Some((&compiled.units[unit], compiled.units[unit].stages.len() - 1)),
        Step::Backward { unit, stage, .. } => stage.checked_sub(1).map(|below| (&compiled.units[unit], below)),
        _ => None,
    })
}

/// What a backward run has to reach.
struct Want {
    /// Nodes whose gradient something needs.
    nodes: Vec<bool>,
    /// Units whose sums are needed.
    units: Vec<bool>,
    /// Units that a gradient flows through.
    flows: Vec<bool>,
    /// What the flowing units write.
    written: schedule::Written,
}

impl Want {
    fn new(compiled: &Compiled, saved: &Saved, inputs: &[Option<&mut [f32]>], weights: bool, mixture: bool) -> Self {
        let mut nodes: Vec<bool> = compiled.nodes.iter().map(|_| false).collect();
        for (node, input) in nodes.iter_mut().zip(inputs) {
            *node = input.is_some();
        }
        let count = compiled.units.len();
        let (mut units, mut flows) = (vec![false; count], vec![false; count]);
        // By target: what flows into a node is known before what flows out of it.
        let mut order: Vec<usize> = (0..count).filter(|&unit| saved.live[unit]).collect();
        order.sort_by_key(|&unit| compiled.units[unit].to);
        for index in order {
            let unit = &compiled.units[index];
            let last = unit.stages.len() - 1;
            let weighs = carried(unit, last, saved.mixture.as_deref()) != 0.0;
            let own = weights && unit.stages.iter().any(stage_has_weights);
            flows[index] = weighs && (nodes[unit.from] || own);
            units[index] = flows[index] || (mixture && unit.choice.is_some());
            nodes[unit.to] |= units[index];
        }
        let mut written = schedule::Written::new(compiled);
        for (unit, _) in compiled.units.iter().zip(&flows).filter(|(_, flows)| **flows) {
            written.mark(unit);
        }
        Self {
            nodes,
            units,
            flows,
            written,
        }
    }
}

fn stage_has_weights(stage: &compiled::Stage) -> bool {
    let affine = stage.norm.is_some_and(|norm| norm.affine.is_some());
    affine || weights::of(stage).next().is_some()
}
