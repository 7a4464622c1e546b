//! Forward passes with given statistics that keep nothing for a backward pass: an image goes
//! through the whole cell before the next one starts.
//!
//! Contract: the result has the same bits on any number of threads. Images are independent. If
//! there are at least two threads for each image, its steps also run in parallel, if they do not
//! share a tensor.

use std::sync::OnceLock;

use super::compiled::Compiled;
use super::forward_run::{prepare_given, resize};
use super::image::{At, Coefficients, Frame, Scratch};
use super::levels::levels;
use super::memory::{Buffer, Shared};
use super::schedule::{self, Moving, Step};
use super::team::Levels;
use super::{CellKernel, Forward, Statistics, forward_steps, parallel, weights};

/// The steps of an image in order, and where their results are.
#[derive(Debug)]
pub(super) struct Order {
    moving: Moving,
    steps: Vec<Step>,
    /// The same steps for several threads, once they are needed.
    levels: OnceLock<Levels>,
}

impl Order {
    /// The order of the steps of `live` units.
    fn new(compiled: &Compiled, live: &[bool]) -> Self {
        Self {
            moving: Moving::new(compiled, live, false),
            steps: schedule::forward(compiled, live, false).concat(),
            levels: OnceLock::new(),
        }
    }

    fn levels(&self, compiled: &Compiled) -> &Levels {
        let levels = || Levels::new(&levels(compiled, &self.moving, &self.steps));
        self.levels.get_or_init(levels)
    }
}

/// What is the same in every call with the same weights and running statistics.
#[derive(Debug)]
pub(super) struct Prepared {
    packed: Buffer,
    /// Without a mixture.
    coefficients: Coefficients,
    /// With all units live.
    order: Order,
}

impl Prepared {
    fn new(compiled: &Compiled, call: &mut Forward) -> Self {
        let live = vec![true; compiled.units.len()];
        let mut packed = Buffer::default();
        packed.reserve(compiled.packed_len);
        weights::pack(compiled, &live, call.weights, false, packed.as_mut_slice());
        Self {
            packed,
            coefficients: coefficients(compiled, call, &live),
            order: Order::new(compiled, &live),
        }
    }
}

fn coefficients(compiled: &Compiled, call: &mut Forward, live: &[bool]) -> Coefficients {
    let mut coefficients = Coefficients::default();
    resize(&mut coefficients, compiled);
    prepare_given(compiled, call, live, &mut coefficients);
    coefficients
}

impl CellKernel {
    /// Prepares weights and running statistics once. Later runs that use running statistics and
    /// keep nothing use these, and of their own call only the biases of convolutions and, with a
    /// mixture, the norms. For one small image, preparing takes longer than computing.
    ///
    /// # Panics
    /// If the lengths are not those of the plan.
    pub fn prepare_once(&mut self, weights: &[f32], (mean, variance): (&[f32], &[f32])) {
        let (weight_count, norm_channels, _) = self.sizes;
        assert_eq!(weights.len(), weight_count, "length of the weights");
        assert!(
            mean.len() == norm_channels && variance.len() == norm_channels,
            "length of the statistics"
        );
        let mut call = Forward {
            inputs: &[],
            weights,
            mixture: None,
            active: None,
            drop: None,
            statistics: Statistics::Running { mean, variance },
            keep: false,
            mixture_gradient: false,
        };
        self.prepared = Some(Prepared::new(&self.single, &mut call));
    }

    pub(super) fn run_inference(&self, call: &mut Forward, live: &[bool], output: &mut [f32]) {
        let compiled = &self.single;
        let mut leased;
        let packed = match &self.prepared {
            Some(prepared) => prepared.packed.as_slice(),
            None => {
                leased = self.workspace.lease(compiled.packed_len);
                let packed = &mut leased.as_mut_slice()[..compiled.packed_len];
                weights::pack(compiled, live, call.weights, false, packed);
                &*packed
            }
        };
        let of_call;
        let coefficients = match &self.prepared {
            Some(prepared) if call.mixture.is_none() => &prepared.coefficients,
            _ => {
                of_call = coefficients(compiled, call, live);
                &of_call
            }
        };
        let results = forward_steps::Results {
            output: Shared::new(output),
            moments: None,
        };
        // With few images, several threads share the steps of each.
        let threads = (rayon::current_num_threads() / self.batch).max(1);
        let of_call;
        let order = match &self.prepared {
            Some(prepared) if live.iter().all(|&live| live) => &prepared.order,
            _ => {
                of_call = Order::new(compiled, live);
                &of_call
            }
        };
        let Order { moving, steps, .. } = order;
        let levels = (threads > 1).then(|| order.levels(compiled));
        let len = Scratch::len(compiled);
        let all = len + compiled.kept_len + moving.len;
        parallel::for_each_block(self.batch, &self.workspace, all, |_, images, memory| {
            let (memory, rest) = memory.split_at_mut(len);
            let (kept, moving_data) = rest.split_at_mut(compiled.kept_len);
            let frame = Frame {
                level: self.level,
                compiled,
                inputs: call.inputs,
                packed,
                weights: call.weights,
                coefficients,
                drop: call.drop.map(|drop| (drop, self.batch)),
                kept: Shared::new(kept),
                moving,
                moving_data: Shared::new(moving_data),
            };
            let run = |scratch: &mut Scratch, step: Step, image: usize| {
                // SAFETY: blocks share neither images nor `kept`, and steps that run at the same
                // time share no tensor.
                unsafe { forward_steps::run(step, &frame, &results, scratch, At { image, slot: 0 }) };
            };
            let Some(levels) = levels else {
                let mut scratch = Scratch::cut(memory, compiled);
                images.for_each(|image| steps.iter().for_each(|&step| run(&mut scratch, step, image)));
                return;
            };
            for image in images {
                levels.run(threads, |steps| {
                    let mut memory = self.workspace.lease(len);
                    let mut scratch = Scratch::cut(memory.as_mut_slice(), compiled);
                    steps.for_each(|step| run(&mut scratch, step, image));
                });
            }
        });
    }
}
