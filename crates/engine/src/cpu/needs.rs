//! The memory that a cell will need, computed from its plan without allocating it.
//!
//! Contract: the lengths are those that `CellKernel` requests with every choice live. Shared memory
//! is reported separately from each cell's own, so a network needs the maximum of the former and
//! the sum of the latter.

use da2s_plan::CellPlan;

use super::compile::compile;
use super::image::Scratch;
use super::schedule::{self, Moving, Step};
use super::{parallel, weights};

/// Bytes of a float.
const FLOAT: usize = size_of::<f32>();

/// The memory needs of a cell, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellNeeds {
    /// What a training step keeps from the forward pass for the backward pass.
    pub kept: usize,
    /// The output of the batch.
    pub output: usize,
    /// The inputs of the batch; their gradients need the same amount.
    pub inputs: usize,
    /// What one call borrows and returns, by purpose.
    pub lent: Lent,
}

/// Buffers of one call, which all cells of a network use in turn; in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lent {
    sums: usize,
    moving: usize,
    passing: usize,
    weight_sums: usize,
    scratch: usize,
}

impl Lent {
    /// The buffers that suffice for both.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            sums: self.sums.max(other.sums),
            moving: self.moving.max(other.moving),
            passing: self.passing.max(other.passing),
            weight_sums: self.weight_sums.max(other.weight_sums),
            scratch: self.scratch.max(other.scratch),
        }
    }

    /// The sum of all buffers.
    pub fn bytes(self) -> usize {
        self.sums + self.moving + self.passing + self.weight_sums + self.scratch
    }
}

impl CellNeeds {
    /// The needs of a training step on `batch` images, for inputs of these heights and widths.
    pub fn of_training(plan: &CellPlan, inputs: &[(usize, usize)], batch: usize, threads: usize) -> Self {
        let compiled = compile(plan, inputs, batch, true);
        let all = vec![true; compiled.units.len()];
        let nodes = vec![true; compiled.nodes.len()];
        let weight_sums = schedule::backward(&compiled, &all, &all, &nodes)
            .into_iter()
            .map(|sweep| {
                let mut sums = weights::Sums::default();
                for step in sweep {
                    if let Step::Backward { unit, stage, .. } = step {
                        sums.add(&compiled.units[unit].stages[stage]);
                    }
                }
                sums.len
            });
        let moving = Moving::new(&compiled, &all, true).len;
        Self {
            kept: FLOAT * (compiled.kept_len + compiled.packed_len),
            output: FLOAT * batch * compiled.output.map_or(0, super::compiled::Shape::len),
            inputs: input_bytes(plan, inputs, batch),
            lent: Lent {
                sums: FLOAT * 2 * compiled.slots * batch,
                moving: FLOAT * moving,
                passing: FLOAT * compiled.passing_len,
                weight_sums: FLOAT * weight_sums.max().unwrap_or(0) * parallel::blocks(batch),
                scratch: FLOAT * Scratch::len(&compiled) * threads.min(parallel::blocks(batch)),
            },
        }
    }

    /// The needs of inference on `batch` images: nothing is kept, and each thread holds the tensors
    /// of one image.
    pub fn of_inference(plan: &CellPlan, inputs: &[(usize, usize)], batch: usize, threads: usize) -> Self {
        let compiled = compile(plan, inputs, 1, false);
        let all = vec![true; compiled.units.len()];
        let image = Scratch::len(&compiled) + compiled.kept_len + Moving::new(&compiled, &all, false).len;
        Self {
            kept: 0,
            output: FLOAT * batch * compiled.output.map_or(0, super::compiled::Shape::len),
            inputs: input_bytes(plan, inputs, batch),
            lent: Lent {
                weight_sums: FLOAT * compiled.packed_len,
                scratch: FLOAT * image * threads.min(parallel::blocks(batch)),
                ..Lent::default()
            },
        }
    }
}

fn input_bytes(plan: &CellPlan, inputs: &[(usize, usize)], batch: usize) -> usize {
    let images = inputs.iter().zip(&plan.input_channels);
    images
        .map(|(&(height, width), channels)| FLOAT * batch * height * width * channels)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{CellKernel, Forward, Gradients, Statistics, Workspace};
    use da2s_plan::{Block, CellPlanBuilder};

    #[test]
    fn the_estimate_is_what_a_kernel_allocates() {
        let block = Block::Separable {
            kernel: 3,
            stride: 1,
            dilation: 1,
            stages: 2,
        };
        let builder = CellPlanBuilder::new(true).input(8).node(8);
        let plan = builder.edge(0, 1, vec![(block, "op".to_owned(), 0)]).output([1]);
        let (sizes, batch) = ([(16, 16)], 4);
        let needs = CellNeeds::of_training(&plan, &sizes, batch, 1);
        let workspace = Workspace::new();
        let mut kernel = CellKernel::new(&plan, &sizes, batch, &workspace);
        let images = vec![0.5; batch * 16 * 16 * 8];
        let weights = vec![0.1; plan.weight_count];
        let (mut mean, mut variance) = (vec![0.0; plan.norm_channels], vec![0.0; plan.norm_channels]);
        let mut output = vec![0.0; kernel.output_len()];
        let call = Forward {
            inputs: &[&images],
            weights: &weights,
            mixture: None,
            active: None,
            drop: None,
            statistics: Statistics::Batch {
                mean: &mut mean,
                variance: &mut variance,
            },
            keep: true,
            mixture_gradient: false,
        };
        rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap()
            .install(|| {
                kernel.forward(call, &mut output);
                let mut gradient = vec![0.0; images.len()];
                let gradients = Gradients {
                    inputs: vec![Some(&mut gradient)],
                    weights: Some(&mut vec![0.0; plan.weight_count]),
                    mixture: None,
                };
                kernel.backward(&[&images], &weights, &output, gradients);
            });
        assert_eq!(needs.output, FLOAT * output.len());
        assert_eq!(needs.inputs, FLOAT * images.len());
        let kept = kernel.saved.kept.as_mut_slice().len() + kernel.saved.packed.len();
        assert_eq!(needs.kept, FLOAT * kept);
        let lent = workspace.bytes();
        let estimate = needs.lent.bytes();
        // A buffer that has grown for one use may serve a smaller one next, which matters in cells
        // as small as this.
        assert!(
            lent.abs_diff(estimate) <= estimate / 5,
            "{lent} bytes, but the estimate was {estimate}"
        );
    }
}
