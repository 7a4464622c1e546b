//! Forward passes with given statistics that keep nothing for a backward pass: an image goes
//! through the whole cell before the next one starts.
//!
//! Contract: the result has the same bits on any number of threads. Images are independent. If
//! there are fewer images than threads, the steps of an image also run in parallel, if they do not
//! share a tensor.

use rayon::prelude::*;

use super::forward_run::prepare_given;
use super::image::{At, Coefficients, Frame, Scratch};
use super::levels::levels;
use super::memory::Shared;
use super::schedule::{self, Moving, Step};
use super::{CellKernel, Forward, forward_steps, parallel};

impl CellKernel {
    pub(super) fn run_inference(
        &self,
        call: &mut Forward,
        live: &[bool],
        packed: &[f32],
        coefficients: &mut Coefficients,
        output: &mut [f32],
    ) {
        let compiled = &self.single;
        prepare_given(compiled, call, live, coefficients);
        let results = forward_steps::Results {
            output: Shared::new(output),
            moments: None,
        };
        let moving = Moving::new(compiled, live, false);
        let steps: Vec<Step> = schedule::forward(compiled, live, false).concat();
        let side_by_side = (self.batch < rayon::current_num_threads()).then(|| levels(compiled, &moving, &steps));
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
                moving: &moving,
                moving_data: Shared::new(moving_data),
            };
            match &side_by_side {
                None => {
                    let mut scratch = Scratch::cut(memory, compiled);
                    for image in images {
                        for &step in &steps {
                            // SAFETY: blocks share no images, and `kept` belongs to this block.
                            unsafe { forward_steps::run(step, &frame, &results, &mut scratch, At { image, slot: 0 }) };
                        }
                    }
                }
                Some(levels) => images.for_each(|image| self.run_levels(levels, &frame, &results, image)),
            }
        });
    }

    /// One image, with the steps of a level in parallel.
    fn run_levels(&self, levels: &[Vec<Step>], frame: &Frame, results: &forward_steps::Results, image: usize) {
        for level in levels {
            level.par_iter().with_max_len(1).for_each(|&step| {
                let mut memory = self.workspace.lease(Scratch::len(frame.compiled));
                let mut scratch = Scratch::cut(memory.as_mut_slice(), frame.compiled);
                // SAFETY: blocks share neither images nor `kept`, and the steps of a level share no
                // tensor.
                unsafe { forward_steps::run(step, frame, results, &mut scratch, At { image, slot: 0 }) };
            });
        }
    }
}
