//! Drafts become operations on places in memory, with packed weights, in phases.
//!
//! Contract: the operations of a phase read nothing that another one of the phase writes, and write
//! nothing that another one reads or writes.

use std::ops::Range;

use da2s_kernels::fixed::{Dense, Depthwise, Pool, padded};
use da2s_kernels::{Squeeze, View};
use da2s_plan::{Operation as StepOperation, PoolKind, Steps};

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
    pub(super) fn new(steps: &Steps, weights: &[StepWeights]) -> Result<Self, DeployedError> {
        let steps = &with_activated_parts(steps);
        if let Some(step) = steps.steps.get(weights.len()) {
            let place = step.place.clone();
            return Err(DeployedError::Weights { place });
        }
        let Drafts {
            drafts,
            phases: levels,
            parts,
            lives,
        } = Drafts::new(steps, weights);
        let most = MOST_FLOATS;
        let found = places(steps, &parts, &lives, most);
        let (places, mut memory_len) = found.ok_or(DeployedError::Memory {
            most: most * size_of::<f32>(),
        })?;
        let mut packed: Vec<(Range<usize>, Packing<'_>)> = Vec::new();
        let mut weights_len = 0;
        let mut operations = Vec::with_capacity(drafts.len());
        let mut order: Vec<usize> = (0..drafts.len()).collect();
        order.sort_by_key(|&at| levels[at]);
        for &at in &order {
            let (mut operation, packing) = drafts[at].placed(&places, &mut memory_len)?;
            let len = packing.len();
            operation.weights = weights_len..weights_len + len;
            weights_len += len.next_multiple_of(16);
            packed.push((operation.weights.clone(), packing));
            operations.push(operation);
        }
        let mut weights = Buffer::default();
        weights.reserve(weights_len);
        for (range, packing) in packed {
            packing.pack(&mut weights.as_mut_slice()[range]);
        }
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

/// Weights that are to be packed.
enum Packing<'a> {
    None,
    Dense(Dense, &'a [f32], &'a [f32]),
    Depthwise(Depthwise, &'a [f32], &'a [f32]),
    /// Weights of 1.
    Ones(Depthwise),
    Squeeze(&'a [f32]),
}

impl Packing<'_> {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Dense(dense, ..) => dense.packed_len(),
            Self::Depthwise(depthwise, ..) | Self::Ones(depthwise) => depthwise.packed_len(),
            Self::Squeeze(weights) => weights.len(),
        }
    }

    fn pack(&self, packed: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Dense(dense, weights, bias) => dense.pack(weights, bias, packed),
            Self::Depthwise(depthwise, weights, bias) => depthwise.pack(weights, Some(bias), packed),
            Self::Ones(depthwise) => depthwise.pack(&vec![1.0; depthwise.channels], None, packed),
            Self::Squeeze(weights) => packed.copy_from_slice(weights),
        }
    }
}

impl<'a> Draft<'a> {
    /// The operation, and its weights. The operation does not contain their position yet.
    fn placed(&self, places: &[Place], memory_len: &mut usize) -> Result<(Operation, Packing<'a>), DeployedError> {
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
        let wrong = || DeployedError::Weights {
            place: self.step.place.clone(),
        };
        let packing = match self.kind {
            DraftKind::Convolution(one) => {
                let StepWeights::Convolution(weights, bias) = self.weights else {
                    return Err(wrong());
                };
                if weights.len() != one.outputs * one.per_output() || bias.len() != one.outputs {
                    return Err(wrong());
                }
                // The border is at least as wide as the padding.
                (operation.first, operation.taps) =
                    source.view.window(one.kernel, (one.stride, one.dilation), one.padding);
                let taps = operation.taps.len();
                if one.depthwise {
                    let depthwise = Depthwise {
                        channels: one.outputs,
                        taps,
                        bounds: self.bounds,
                        partial: false,
                    };
                    operation.kind = Kind::Depthwise(depthwise);
                    Packing::Depthwise(depthwise, weights, bias)
                } else {
                    let dense = Dense {
                        inputs: one.inputs,
                        outputs: one.outputs,
                        taps,
                        bounds: self.bounds,
                    };
                    operation.kind = Kind::Dense(dense);
                    Packing::Dense(dense, weights, bias)
                }
            }
            DraftKind::Copy(channel) => {
                let depthwise = Depthwise {
                    channels: source.channels,
                    taps: 1,
                    bounds: self.bounds,
                    partial: source.channels != target.channels,
                };
                operation.target.view.at += channel;
                operation.kind = Kind::Depthwise(depthwise);
                Packing::Ones(depthwise)
            }
            DraftKind::Pool => {
                let StepOperation::Pool {
                    kind,
                    kernel,
                    stride,
                    padding,
                } = self.step.operation
                else {
                    return Err(wrong());
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
                Packing::None
            }
            DraftKind::HardSwish => {
                operation.kind = Kind::HardSwish;
                Packing::None
            }
            DraftKind::Squeeze(squeeze) => {
                let StepWeights::Squeeze(weights) = self.weights else {
                    return Err(wrong());
                };
                if weights.len() != squeeze.weight_count() {
                    return Err(wrong());
                }
                operation.kind = Kind::Squeeze(squeeze, scratch(squeeze, memory_len));
                Packing::Squeeze(weights)
            }
            DraftKind::Zeros => Packing::None,
        };
        operation.divide();
        Ok((operation, packing))
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
