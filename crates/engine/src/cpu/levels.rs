//! Which steps of one image may run in parallel: those that do not access each other's tensors.
//!
//! Contract: a step runs after every earlier one that writes what it reads or reads what it writes.
//! Sums are therefore computed in the order of the steps, whatever the number of threads.

use std::ops::Range;

use super::compiled::{ChainOperation, Compiled, Storage};
use super::schedule::{Moving, Step};

/// A range of one of the buffers: kept tensors, moving tensors, the output.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BufferRange {
    buffer: Buffer,
    range: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Buffer {
    Kept,
    Moving,
    Output,
}

impl BufferRange {
    fn overlaps(&self, other: &Self) -> bool {
        self.buffer == other.buffer && self.range.start < other.range.end && other.range.start < self.range.end
    }
}

/// What a step reads and what it writes.
#[derive(Debug, Default)]
struct Touches {
    reads: Vec<BufferRange>,
    writes: Vec<BufferRange>,
}

impl Touches {
    fn conflict(&self, later: &Self) -> bool {
        let meet = |a: &[BufferRange], b: &[BufferRange]| a.iter().any(|a| b.iter().any(|b| a.overlaps(b)));
        meet(&self.writes, &later.reads) || meet(&self.writes, &later.writes) || meet(&self.reads, &later.writes)
    }
}

/// The steps of a forward pass with given statistics, grouped in levels; the steps of a level share
/// no tensor.
pub(super) fn levels(compiled: &Compiled, moving: &Moving, steps: &[Step]) -> Vec<Vec<Step>> {
    let mut placed: Vec<(usize, Touches)> = Vec::with_capacity(steps.len());
    let mut levels: Vec<Vec<Step>> = Vec::new();
    for &step in steps {
        let touches = touches(compiled, moving, step);
        let before = placed.iter().filter(|(_, earlier)| earlier.conflict(&touches));
        let level = before.map(|(level, _)| level + 1).max().unwrap_or(0);
        if levels.len() <= level {
            levels.resize_with(level + 1, Vec::new);
        }
        levels[level].push(step);
        placed.push((level, touches));
    }
    levels
}

fn touches(compiled: &Compiled, moving: &Moving, step: Step) -> Touches {
    let kept = |tensor: super::memory::Tensor| BufferRange {
        buffer: Buffer::Kept,
        range: tensor.range(0),
    };
    // Sources belong to the caller, and nothing writes to them.
    let state = |node: usize| compiled.nodes[node].state.map(kept).into_iter();
    let z = |unit: usize, stage: usize| {
        let (unit, stage) = (&compiled.units[unit], &compiled.units[unit].stages[stage]);
        match stage.z {
            Storage::State => state(unit.from).next(),
            Storage::Kept(tensor) => Some(kept(tensor)),
            Storage::Moving => moving.z[stage.index].map(|tensor| BufferRange {
                buffer: Buffer::Moving,
                range: tensor.range(0),
            }),
        }
    };
    let mut touches = Touches::default();
    match step {
        Step::Clear(node) => touches.writes.extend(state(node)),
        Step::Pool(pool) => {
            touches.reads.extend(state(compiled.pools[pool].node));
            touches.writes.push(kept(compiled.pools[pool].z));
        }
        Step::Stage { unit, stage } => {
            match stage.checked_sub(1) {
                None => touches.reads.extend(state(compiled.units[unit].from)),
                Some(before) => touches.reads.extend(z(unit, before)),
            }
            // The other operations compute nothing of their own.
            let operation = &compiled.units[unit].stages[stage].operation;
            if !matches!(operation, ChainOperation::Identity | ChainOperation::Pool(_)) {
                touches.writes.extend(z(unit, stage));
            }
        }
        Step::Accumulate { unit, .. } => {
            let last = compiled.units[unit].stages.len().saturating_sub(1);
            touches.reads.extend(z(unit, last));
            touches.writes.extend(state(compiled.units[unit].to));
        }
        Step::Output(node) => {
            touches.reads.extend(state(node));
            touches.writes.push(BufferRange {
                buffer: Buffer::Output,
                range: 0..usize::MAX,
            });
        }
        Step::Begin(_) | Step::Complete(_) | Step::Again(_) | Step::Sums(_) | Step::Backward { .. } => {
            unreachable!("a step of the backward pass")
        }
    }
    touches
}
