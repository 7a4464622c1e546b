//! Packs a cell's weights for the kernels, and unpacks the gradients that the kernels compute.

use da2s_kernels::reduce::Reduce;
use da2s_kernels::{Level, dense, depthwise, elementwise, pointwise, table};
use rayon::prelude::*;

use super::compiled::{Chain, ChainOperation, Compiled, PackedWeights};
use super::memory::Shared;

/// The layout of a packed matrix.
#[derive(Clone, Copy, Debug)]
pub(super) enum MatrixKind {
    Depthwise {
        channels: usize,
    },
    Dense {
        inputs: usize,
        outputs: usize,
    },
    Reduce(Reduce),
    /// As in the plan.
    Whole,
}

/// The convolutions and the squeeze-and-excitation of a stage.
pub(super) fn of(stage: &Chain) -> impl Iterator<Item = (PackedWeights, MatrixKind)> {
    let (inputs, outputs) = (stage.input.channels, stage.output.channels);
    let dense = MatrixKind::Dense { inputs, outputs };
    let pair = match &stage.operation {
        ChainOperation::Identity
        | ChainOperation::Pool(_)
        | ChainOperation::Relu
        | ChainOperation::Activation(_)
        | ChainOperation::Move(_) => [None, None],
        ChainOperation::Reduce { reduce, weights } => [Some((*weights, MatrixKind::Reduce(*reduce))), None],
        ChainOperation::Dense { weights, .. } => [Some((*weights, dense)), None],
        ChainOperation::Depthwise { weights, .. } => {
            [Some((*weights, MatrixKind::Depthwise { channels: inputs })), None]
        }
        ChainOperation::Separable {
            depthwise, pointwise, ..
        } => [
            Some((*depthwise, MatrixKind::Depthwise { channels: inputs })),
            Some((*pointwise, dense)),
        ],
    };
    let squeeze = stage.squeeze.map(|(_, weights)| (weights, MatrixKind::Whole));
    pair.into_iter().chain([squeeze]).flatten()
}

/// Packs the weights of live units; with `back`, also those for the gradients of inputs.
pub(super) fn pack(compiled: &Compiled, live: &[bool], weights: &[f32], back: bool, packed: &mut [f32]) {
    let shared = Shared::new(packed);
    compiled
        .units
        .par_iter()
        .zip(live)
        .filter(|(_, live)| **live)
        .for_each(|(unit, _)| {
            for (place, kind) in unit.stages.iter().flat_map(of) {
                let weights = &weights[place.at..place.at + place.len];
                // SAFETY: every convolution has its own packings.
                let (packed, transposed) = unsafe {
                    (
                        shared.write(place.packed..place.packed + place.packed_len),
                        shared.write(place.transposed..place.transposed + place.transposed_len),
                    )
                };
                match kind {
                    MatrixKind::Whole => packed.copy_from_slice(weights),
                    MatrixKind::Depthwise { channels } => depthwise::pack(weights, channels, packed),
                    MatrixKind::Dense { inputs, outputs } => {
                        dense::pack(weights, inputs, outputs, packed);
                        if back {
                            dense::pack_transposed(weights, inputs, outputs, transposed);
                        }
                    }
                    MatrixKind::Reduce(reduce) => {
                        let inputs = reduce.image.channels;
                        let (first, second) = weights.split_at(inputs * reduce.halves()[0]);
                        let (to_first, to_second) = packed.split_at_mut(reduce.packed_split());
                        pointwise::pack(first, inputs, reduce.halves()[0], to_first);
                        pointwise::pack(second, inputs, reduce.halves()[1], to_second);
                        if back {
                            pointwise::pack_transposed(weights, inputs, transposed);
                        }
                    }
                }
            }
        });
}

/// Positions at which the blocks of a sweep store their sums of weight gradients.
#[derive(Debug, Default)]
pub(super) struct Sums {
    items: Vec<(PackedWeights, MatrixKind, usize)>,
    /// Floats per block.
    pub len: usize,
}

impl Sums {
    /// Reserves room for a stage's convolutions.
    pub fn add(&mut self, stage: &Chain) {
        for (weights, kind) in of(stage) {
            self.items.push((weights, kind, self.len));
            self.len += weights.packed_len.next_multiple_of(16);
        }
    }

    /// The part of a block's sums that belongs to a convolution.
    pub fn part<'a>(&self, weights: &PackedWeights, block: &'a mut [f32]) -> &'a mut [f32] {
        let at = self
            .items
            .iter()
            .find(|item| item.0.at == weights.at)
            .map_or(0, |item| item.2);
        &mut block[at..at + weights.packed_len]
    }

    /// Sums over the blocks, in order, and writes the gradients in the plan's layout.
    pub fn reduce(&self, level: Level, blocks: &mut [f32], gradients: &mut [f32]) {
        let stride = self.len;
        let (blocks, gradients) = (Shared::new(blocks), Shared::new(gradients));
        self.items.par_iter().for_each(|&(weights, kind, at)| {
            // SAFETY: every convolution has its own part of the blocks and of the gradients.
            let (sum, gradients) = unsafe {
                let sum = blocks.write(at..at + weights.packed_len);
                for block in 1..blocks.len() / stride {
                    let from = block * stride + at;
                    elementwise::add(level, blocks.read(from..from + weights.packed_len), sum);
                }
                (&*sum, gradients.write(weights.at..weights.at + weights.len))
            };
            match kind {
                MatrixKind::Whole => elementwise::add(level, sum, gradients),
                MatrixKind::Depthwise { channels } => depthwise::unpack_add(sum, channels, gradients),
                MatrixKind::Dense { inputs, outputs } => dense::unpack_add(sum, inputs, outputs, gradients),
                MatrixKind::Reduce(reduce) => {
                    let inputs = reduce.image.channels;
                    let (first, second) = gradients.split_at_mut(inputs * reduce.halves()[0]);
                    let (sum_first, sum_second) = sum.split_at(inputs * table::rounded(reduce.halves()[0]));
                    pointwise::unpack_add(sum_first, inputs, reduce.halves()[0], first);
                    pointwise::unpack_add(sum_second, inputs, reduce.halves()[1], second);
                }
            }
        });
    }
}
