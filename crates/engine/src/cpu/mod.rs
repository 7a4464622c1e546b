//! The fused CPU path: a cell as a few sweeps over the batch instead of one operation at a time.
//!
//! A [`CellKernel`] is created from a plan, the sizes of its inputs and the batch, and owns what a
//! forward pass keeps for the backward pass. Memory for one call comes from a [`Workspace`] that
//! all cells of a network share. The interface uses slices only: images in NHWC order; weights,
//! mixture and statistics flat, in the plan's layout. The result does not depend on the number of
//! threads.
//!
//! How it works: images go through chains of kernels whose rows stay in the first-level cache
//! (depthwise → pointwise); only the inputs of batch norms are stored. Norms are affine maps,
//! folded together with the mixture weight into the sum that computes a node. ReLU of a node is
//! shared by all its readers, and poolings of a node by all edges. The backward pass recomputes
//! whatever is cheap (ReLU, normalisation, depthwise output) and reads the rest.

mod backward_run;
mod backward_stage;
mod backward_steps;
mod classifier;
mod compile;
mod compiled;
mod forward_run;
mod forward_steps;
mod image;
mod inference;
mod memory;
mod needs;
mod norms;
mod parallel;
mod schedule;
mod weights;

pub use classifier::Classifier;
pub(crate) use memory::Buffer;
pub use memory::Workspace;
pub use needs::{CellNeeds, Lent};
pub use norms::Statistics;

use std::ops::Range;

use da2s_kernels::Level;
use da2s_plan::CellPlan;

use self::compiled::{Compiled, Unit};
use self::forward_run::resize;
use self::image::{At, Coefficients};
use self::schedule::{Step, Sweep};

/// The operands of a forward pass.
#[derive(Debug)]
pub struct Forward<'a> {
    /// One slice per input, `[batch, height, width, channels]`.
    pub inputs: &'a [&'a [f32]],
    /// The plan's weights.
    pub weights: &'a [f32],
    /// One weight per choice; `None` gives every choice the weight 1.
    pub mixture: Option<&'a [f32]>,
    /// Choices that are computed; `None` computes all.
    pub active: Option<&'a [bool]>,
    /// Drop-path factors of each choice's output, `[choice][image]`.
    pub drop: Option<&'a [f32]>,
    /// Statistics of the batch norms.
    pub statistics: Statistics<'a>,
    /// Whether a backward pass may follow.
    pub keep: bool,
    /// Whether the backward pass may request the gradient of the mixture (if not, choices with
    /// weight 0 are not computed).
    pub mixture_gradient: bool,
}

/// Gradients that a backward pass writes; those that are `None` are not computed.
#[derive(Debug, Default)]
pub struct Gradients<'a> {
    /// One per input, of the input's length. An empty list requests none.
    pub inputs: Vec<Option<&'a mut [f32]>>,
    /// As long as the plan's weights. 0 for choices that were not computed.
    pub weights: Option<&'a mut [f32]>,
    /// One per choice. 0 for choices that were not computed.
    pub mixture: Option<&'a mut [f32]>,
}

/// What a forward pass keeps for its backward pass.
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
    /// The same for one image at a time: inference keeps nothing of the batch.
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

    /// The same with the instruction set `level`.
    pub fn with_level(
        plan: &CellPlan,
        inputs: &[(usize, usize)],
        batch: usize,
        workspace: &Workspace,
        level: Level,
    ) -> Self {
        assert!(
            batch > 0 && inputs.len() == plan.input_channels.len(),
            "a kernel needs at least one image, and a size for every input"
        );
        Self {
            compiled: compile::compile(plan, inputs, batch, true),
            single: compile::compile(plan, inputs, 1, false),
            batch,
            sizes: (plan.weight_count, plan.norm_channels, plan.choice_count()),
            level,
            workspace: workspace.clone(),
            saved: Saved::default(),
        }
    }

    /// Images per call.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Floats of the output, `[batch, height, width, channels]`.
    pub fn output_len(&self) -> usize {
        self.compiled.output.map_or(0, |shape| shape.len() * self.batch)
    }

    /// Runs the cell and writes its output. Without [`Forward::keep`], the activations kept by an
    /// earlier run stay valid.
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
        } else if from_batch {
            let compiled = &self.compiled;
            let mut packed = self.workspace.lease(compiled.packed_len);
            let packed = &mut packed.as_mut_slice()[..compiled.packed_len];
            weights::pack(compiled, &live, call.weights, false, packed);
            let mut coefficients = Coefficients::default();
            resize(&mut coefficients, compiled);
            let mut kept = self.workspace.lease(compiled.kept_len);
            self.run_forward(&mut call, &live, packed, &mut coefficients, kept.as_mut_slice(), output);
        } else {
            self.run_inference(&mut call, &live, output);
        }
    }
}

/// Calls `work` for every image and step, and passes it the step that follows.
///
/// The step that follows is found by its index and passed by reference: with a peekable iterator,
/// the search on small images was a few percent slower.
fn for_each_step(images: Range<usize>, sweep: &Sweep, mut work: impl FnMut(Step, At, Option<(&Step, At)>)) {
    let at = |image: usize| At { image, slot: image };
    for image in images.clone() {
        for (index, &step) in sweep.iter().enumerate() {
            let next = match sweep.get(index + 1) {
                Some(next) => Some((next, at(image))),
                None if image + 1 < images.end => Some((&sweep[0], at(image + 1))),
                None => None,
            };
            work(step, at(image), next);
        }
    }
}
