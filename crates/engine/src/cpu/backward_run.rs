//! The backward pass: one sweep over the batch after another; after each sweep, the gradients that
//! are sums over the batch.
//!
//! Contract: gradients that are not requested, and those of units through which no gradient flows,
//! are not computed ([`Want`]). The result has the same bits on any number of threads: every block
//! of images has its own sums, which are added in the order of the blocks.

use super::compiled::{Chain, Compiled, Unit};
use super::image::{Frame, Scratch};
use super::memory::Shared;
use super::norms::{GradientSums, carried};
use super::schedule::{Moving, Step, Sweep};
use super::{CellKernel, Gradients, Saved, backward_steps, for_each_step, norms, parallel, schedule, weights};

impl CellKernel {
    /// Writes the requested gradients. `d_output` is the gradient of the output of the last forward
    /// pass that kept its activations; `inputs` and `weights` are those of that pass.
    ///
    /// # Panics
    /// If no run kept its activations, or a slice does not have the plan's length.
    pub fn backward(&mut self, inputs: &[&[f32]], weights: &[f32], d_output: &[f32], gradients: Gradients) {
        let (weight_count, _, choices) = self.sizes;
        let saved = &mut self.saved;
        assert!(saved.valid, "no forward pass kept its activations");
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
        for sweep in schedule::backward(compiled, &want.units, &want.flows, &want.nodes) {
            let mut weight_sums = weights::Sums::default();
            if d_weights.is_some() {
                backward_of(compiled, &sweep).for_each(|(unit, stage)| weight_sums.add(&unit.stages[stage]));
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
            let flow = backward_steps::Flow {
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
                    // SAFETY: every block has its own sums.
                    let block = unsafe { shared_sums.write(block * weight_sums.len..(block + 1) * weight_sums.len) };
                    block.fill(0.0);
                    for_each_step(images, &sweep, |step, at, next| {
                        // SAFETY: blocks share no image.
                        unsafe {
                            scratch
                                .ahead
                                .set(next.map_or([&[], &[]], |(step, at)| backward_steps::reads(*step, &frame, at)));
                            backward_steps::run(step, &frame, &flow, block, &mut scratch, at);
                        }
                    });
                },
            );
            if let Some(d_weights) = d_weights.as_deref_mut()
                && weight_sums.len > 0
            {
                weight_sums.reduce(self.level, block_sums, d_weights);
            }
            let sums = GradientSums {
                first,
                second,
                compiled,
            };
            for (unit, stage) in summed(compiled, &sweep) {
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

/// Stages that a backward sweep differentiates.
fn backward_of<'a>(compiled: &'a Compiled, sweep: &'a Sweep) -> impl Iterator<Item = (&'a Unit, usize)> {
    sweep.iter().filter_map(|step| match *step {
        Step::Backward { unit, stage, .. } => Some((&compiled.units[unit], stage)),
        _ => None,
    })
}

/// Stages whose sums are complete after a backward sweep.
fn summed<'a>(compiled: &'a Compiled, sweep: &'a Sweep) -> impl Iterator<Item = (&'a Unit, usize)> {
    sweep.iter().filter_map(|step| match *step {
        Step::Sums(unit) => Some((&compiled.units[unit], compiled.units[unit].stages.len() - 1)),
        Step::Backward { unit, stage, .. } => stage.checked_sub(1).map(|below| (&compiled.units[unit], below)),
        _ => None,
    })
}

/// The gradients that a backward pass has to compute.
struct Want {
    /// Nodes whose gradient is needed.
    nodes: Vec<bool>,
    /// Units whose sums are needed.
    units: Vec<bool>,
    /// Units that a gradient flows through.
    flows: Vec<bool>,
    /// The gradients that these units write.
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
        // Ordered by target: whether the gradient of a node is needed is known before the units
        // that read the node.
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

fn stage_has_weights(stage: &Chain) -> bool {
    let affine = stage.norm.is_some_and(|norm| norm.affine.is_some());
    affine || weights::of(stage).next().is_some()
}
