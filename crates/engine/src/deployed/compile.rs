//! Drafts become operations on places in memory, with packed weights, in phases.
//!
//! Contract: the operations of a phase read nothing that another one of the phase writes, and write
//! nothing that another one reads or writes.

use std::ops::Range;

use da2s_kernels::fixed::{Dense, Depthwise, Pool, padded};
use da2s_kernels::{Squeeze, View};
use da2s_plan::{Operation as StepOperation, PoolKind, Steps};
use rayon::prelude::*;

use super::claims::Phases;
use super::drafts::{Draft, DraftKind, Drafts, with_activated_parts};
use super::layout::{Place, places};
use super::{DeployedError, MOST_FLOATS, StepWeights};
use crate::cpu::Buffer;

/// A compiled network.
#[derive(Debug)]
pub(super) struct Program {
    pub operations: Vec<Operation>,
    pub phases: Phases,
    /// All packed weights.
    pub weights: Buffer,
    /// The input image, and the image whose global means are the result.
    pub image: Place,
    pub output: Place,
    /// Floats of the memory of a call: all places, and scratch memory.
    memory_len: usize,
}

/// What is computed, and where.
#[derive(Debug)]
pub(super) struct Operation {
    pub kind: Kind,
    /// Its packed weights.
    pub weights: Range<usize>,
    pub source: Place,
    /// What is added to the result.
    pub added: Option<Place>,
    pub target: Place,
    /// The pixel under the first tap of each output pixel.
    pub first: View,
    pub taps: Vec<usize>,
    /// How it is divided among threads.
    pub division: Division,
}

#[derive(Debug)]
pub(super) enum Kind {
    Dense(Dense),
    Depthwise(Depthwise),
    Pool(Pool),
    HardSwish,
    /// With its range of scratch memory.
    Squeeze(Squeeze, Range<usize>),
    Zeros,
}

/// What each piece of an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Division {
    Rows,
    /// Blocks of 16 output channels.
    Blocks,
    /// It is not divided.
    Whole,
}

impl Program {
    pub(super) fn new<E: From<DeployedError> + Send>(
        steps: &Steps,
        of_step: impl Fn(usize, Range<usize>) -> Result<StepWeights, E> + Sync,
    ) -> Result<Self, E> {
        let steps = &with_activated_parts(steps);
        let Drafts {
            drafts,
            phases: levels,
            parts,
            lives,
        } = Drafts::new(steps);
        let most = MOST_FLOATS;
        let found = places(steps, &parts, &lives, most);
        let (places, mut memory_len) = found.ok_or(DeployedError::Memory {
            most: most * size_of::<f32>(),
        })?;
        let mut weights_len = 0;
        let mut operations = Vec::with_capacity(drafts.len());
        let mut order: Vec<usize> = (0..drafts.len()).collect();
        order.sort_by_key(|&at| levels[at]);
        for &at in &order {
            let mut operation = drafts[at].placed(&places, &mut memory_len)?;
            let len = operation.kind.packed_len();
            operation.weights = weights_len..weights_len + len;
            weights_len += len.next_multiple_of(16);
            operations.push(operation);
        }
        let mut weights = Buffer::default();
        weights.reserve(weights_len);
        let mut left = weights.as_mut_slice();
        let mut packings = Vec::with_capacity(operations.len());
        for (operation, &at) in operations.iter().zip(&order) {
            let len = operation.weights.len();
            let (packed, after) = left.split_at_mut(len.next_multiple_of(16));
            left = after;
            packings.push((&drafts[at], &operation.kind, &mut packed[..len]));
        }
        // Every packing is a task of its own: their sizes differ.
        let packings = packings.into_par_iter().with_max_len(1);
        packings.try_for_each(|(draft, kind, packed)| draft.pack(kind, &of_step, packed))?;
        let costs = operations.iter().map(Operation::cost);
        let levels = order.iter().map(|&at| levels[at]);
        let phases = Phases::new(levels.zip(costs));
        Ok(Self {
            phases,
            image: places[0],
            output: places[steps.output],
            operations,
            weights,
            memory_len,
        })
    }

    /// Floats of an image.
    pub(super) fn image_len(&self) -> usize {
        self.image.channels * self.image.extent.rows * self.image.extent.columns
    }

    /// Channels of the output.
    pub(super) fn features(&self) -> usize {
        self.output.channels
    }

    /// Floats of the memory of a call.
    pub(super) fn memory_len(&self) -> usize {
        self.memory_len
    }
}

impl Kind {
    /// Floats of its packed weights.
    fn packed_len(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.packed_len(),
            Self::Depthwise(depthwise) => depthwise.packed_len(),
            Self::Squeeze(squeeze, _) => squeeze.weight_count(),
            Self::Pool(_) | Self::HardSwish | Self::Zeros => 0,
        }
    }
}

impl Draft<'_> {
    /// The operation, without the position of its weights.
    fn placed(&self, places: &[Place], memory_len: &mut usize) -> Result<Operation, DeployedError> {
        let (source, target) = (places[self.source], places[self.target]);
        let mut operation = Operation {
            kind: Kind::Zeros,
            weights: 0..0,
            source,
            added: self.added.map(|added| places[added]),
            target,
            first: source.view,
            taps: vec![0],
            division: Division::Rows,
        };
        match self.kind {
            DraftKind::Convolution(one) => {
                // The border is at least as wide as the padding.
                (operation.first, operation.taps) =
                    source.view.window(one.kernel, (one.stride, one.dilation), one.padding);
                let taps = operation.taps.len();
                operation.kind = if one.depthwise {
                    Kind::Depthwise(Depthwise {
                        channels: one.outputs,
                        taps,
                        bounds: self.bounds,
                        partial: false,
                    })
                } else {
                    Kind::Dense(Dense {
                        inputs: one.inputs,
                        outputs: one.outputs,
                        taps,
                        bounds: self.bounds,
                    })
                };
            }
            DraftKind::Copy(channel) => {
                operation.target.view.at += channel;
                operation.kind = Kind::Depthwise(Depthwise {
                    channels: source.channels,
                    taps: 1,
                    bounds: self.bounds,
                    partial: source.channels != target.channels,
                });
            }
            DraftKind::Pool => {
                let StepOperation::Pool {
                    kind,
                    kernel,
                    stride,
                    padding,
                } = self.step.operation
                else {
                    return Err(self.wrong());
                };
                operation.kind = Kind::Pool(Pool {
                    mean: kind == PoolKind::Average,
                    kernel,
                    stride,
                    padding,
                    channels: source.channels,
                    image: source.extent,
                    source: source.view,
                    target: target.view,
                });
            }
            DraftKind::HardSwish => operation.kind = Kind::HardSwish,
            DraftKind::Squeeze(squeeze) => operation.kind = Kind::Squeeze(squeeze, scratch(squeeze, memory_len)),
            DraftKind::Zeros => {}
        }
        operation.divide();
        Ok(operation)
    }

    fn wrong(&self) -> DeployedError {
        DeployedError::Weights {
            place: self.step.place.clone(),
        }
    }

    /// Packs the weights of its step for an operation of this kind.
    fn pack<E: From<DeployedError> + Send>(
        &self,
        kind: &Kind,
        of_step: impl Fn(usize, Range<usize>) -> Result<StepWeights, E> + Sync,
        packed: &mut [f32],
    ) -> Result<(), E> {
        // The weights and biases of some outputs, each of which reads `inputs` values.
        let convolution = |outputs: Range<usize>, inputs: usize| {
            let count = outputs.len();
            match of_step(self.index, outputs)? {
                StepWeights::Convolution(weights, bias) if (weights.len(), bias.len()) == (count * inputs, count) => {
                    Ok((weights, bias))
                }
                _ => Err(E::from(self.wrong())),
            }
        };
        match kind {
            Kind::Depthwise(depthwise) if matches!(self.kind, DraftKind::Copy(_)) => {
                depthwise.pack(&vec![1.0; depthwise.channels], None, packed);
            }
            Kind::Depthwise(depthwise) => {
                let (weights, bias) = convolution(0..depthwise.channels, depthwise.taps)?;
                depthwise.pack(&weights, Some(&bias), packed);
            }
            Kind::Dense(dense) => {
                // One block of outputs at a time: its weights are still in the cache when they
                // are packed.
                let blocks = packed.par_chunks_mut(dense.block_len()).enumerate();
                blocks.try_for_each(|(block, packed)| {
                    let first = Dense::BLOCK * block;
                    let outputs = first..dense.outputs.min(first + Dense::BLOCK);
                    let part = Dense {
                        outputs: outputs.len(),
                        ..*dense
                    };
                    let (weights, bias) = convolution(outputs, dense.taps * dense.inputs)?;
                    part.pack(&weights, &bias, packed);
                    Ok::<_, E>(())
                })?;
            }
            Kind::Squeeze(squeeze, _) => match of_step(self.index, 0..squeeze.channels)? {
                StepWeights::Squeeze(weights) if weights.len() == packed.len() => packed.copy_from_slice(&weights),
                _ => return Err(self.wrong().into()),
            },
            Kind::Pool(_) | Kind::HardSwish | Kind::Zeros => {}
        }
        Ok(())
    }
}

/// Memory for means, gates, packed gates and hidden values.
fn scratch(squeeze: Squeeze, memory_len: &mut usize) -> Range<usize> {
    let start = *memory_len;
    *memory_len += 4 * padded(squeeze.channels) + padded(squeeze.squeezed);
    start..*memory_len
}

impl Operation {
    /// Decides how the threads share the operation. If its rows are divided, a thread mostly reads
    /// what it has written itself; but if there are more weights than pixels, each thread should
    /// read only its own weights.
    fn divide(&mut self) {
        let pixels = self.target.extent.rows * self.target.extent.columns;
        self.division = match &self.kind {
            Kind::Dense(dense) if dense.packed_len() > pixels * (dense.inputs + dense.outputs) => Division::Blocks,
            Kind::Depthwise(depthwise) if depthwise.channels > 2 * pixels => Division::Blocks,
            Kind::Squeeze(..) => Division::Whole,
            _ => Division::Rows,
        };
    }

    /// Channels that it writes.
    pub(super) fn channels(&self) -> usize {
        match &self.kind {
            Kind::Dense(dense) => dense.outputs,
            Kind::Depthwise(depthwise) => depthwise.channels,
            _ => self.target.channels,
        }
    }

    /// How much work it is, in multiply-adds, and into how many pieces it can be divided.
    fn cost(&self) -> (usize, usize) {
        let pixels = self.target.extent.rows * self.target.extent.columns;
        let channels = padded(self.target.channels);
        let work = match &self.kind {
            Kind::Dense(dense) => dense.inputs * self.taps.len() * padded(dense.outputs),
            // Two vectors are read for each multiply-add.
            Kind::Depthwise(depthwise) => 2 * padded(depthwise.channels) * (1 + self.taps.len()),
            Kind::Pool(pool) => 2 * channels * pool.kernel * pool.kernel,
            Kind::HardSwish | Kind::Squeeze(..) => 8 * channels,
            Kind::Zeros => channels,
        };
        let pieces = match self.division {
            Division::Rows => self.target.extent.rows,
            Division::Blocks => super::blocks(self.channels()),
            Division::Whole => 1,
        };
        (pixels.saturating_mul(work), pieces)
    }
}
