//! The forward pass: one sweep over the batch after another; after each sweep, the coefficients of
//! the batch norms whose statistics it completed.
//!
//! Contract: the statistics are the batch's, or given; `kept` has every image. The result has the
//! same bits on any number of threads: blocks of images share nothing, and the sums over the batch
//! are computed between the sweeps.

use super::compiled::{Compiled, Unit};
use super::image::{Coefficients, Frame, Scratch};
use super::memory::Shared;
use super::norms::{Moments, carried};
use super::schedule::{Moving, Step, Sweep};
use super::{CellKernel, Forward, Statistics, for_each_step, forward_steps, norms, parallel, schedule};

impl CellKernel {
    pub(super) fn run_forward(
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
        for sweep in schedule::forward(compiled, live, from_batch) {
            let results = forward_steps::Results {
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
                    for_each_step(images, &sweep, |step, at, next| {
                        // SAFETY: blocks share no image.
                        unsafe {
                            scratch.ahead.set(
                                next.map_or([&[], &[]], |(step, at)| [forward_steps::reads(*step, &frame, at), &[]]),
                            );
                            forward_steps::run(step, &frame, &results, &mut scratch, at);
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
                for (unit, stage) in stages_of(compiled, &sweep) {
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
}

/// Allocates the coefficients of all stages.
pub(super) fn resize(coefficients: &mut Coefficients, compiled: &Compiled) {
    coefficients.scale.resize(compiled.tables, 0.0);
    coefficients.shift.resize(compiled.tables, 0.0);
    coefficients.center.resize(compiled.tables, 0.0);
    coefficients.inverse.resize(compiled.slots, 0.0);
}

/// Coefficients that need no sums over the batch: all of them with given statistics, otherwise
/// those of stages without a norm.
pub(super) fn prepare_given(compiled: &Compiled, call: &mut Forward, live: &[bool], coefficients: &mut Coefficients) {
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

/// Stages with a norm that a forward sweep computes.
fn stages_of<'a>(compiled: &'a Compiled, sweep: &'a Sweep) -> impl Iterator<Item = (&'a Unit, usize)> {
    sweep.iter().filter_map(|step| match *step {
        Step::Stage { unit, stage } if compiled.units[unit].stages[stage].norm.is_some() => {
            Some((&compiled.units[unit], stage))
        }
        _ => None,
    })
}
