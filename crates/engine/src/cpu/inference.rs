//! Forward passes with given statistics that keep nothing for a backward pass: an image goes
//! through the whole cell before the next one starts.
//!
//! Contract: the result has the same bits on any number of threads. Images are independent.

use super::compiled::Compiled;
use super::forward_run::{prepare_given, resize};
use super::image::{At, Coefficients, Frame, Scratch};
use super::memory::Shared;
use super::schedule::{self, Moving};
use super::{CellKernel, Forward, forward_steps, parallel, weights};

fn coefficients(compiled: &Compiled, call: &mut Forward, live: &[bool]) -> Coefficients {
    let mut coefficients = Coefficients::default();
    resize(&mut coefficients, compiled);
    prepare_given(compiled, call, live, &mut coefficients);
    coefficients
}

impl CellKernel {
    pub(super) fn run_inference(&self, call: &mut Forward, live: &[bool], output: &mut [f32]) {
        let compiled = &self.single;
        let mut packed = self.workspace.lease(compiled.packed_len);
        let packed = &mut packed.as_mut_slice()[..compiled.packed_len];
        weights::pack(compiled, live, call.weights, false, packed);
        let packed = &*packed;
        let coefficients = coefficients(compiled, call, live);
        let results = forward_steps::Results {
            output: Shared::new(output),
            moments: None,
        };
        let moving = Moving::new(compiled, live, false);
        let steps = schedule::forward(compiled, live, false).concat();
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
                coefficients: &coefficients,
                drop: call.drop.map(|drop| (drop, self.batch)),
                kept: Shared::new(kept),
                moving: &moving,
                moving_data: Shared::new(moving_data),
            };
            let mut scratch = Scratch::cut(memory, compiled);
            for image in images {
                for &step in &steps {
                    // SAFETY: blocks share neither images nor `kept`.
                    unsafe { forward_steps::run(step, &frame, &results, &mut scratch, At { image, slot: 0 }) };
                }
            }
        });
    }
}
