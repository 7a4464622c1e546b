//! Runs an int8 network with the integer kernels.
//!
//! Contract: each tensor has a buffer of its own, in which a border surrounds it. The border is
//! filled with the tensor's zero point, is as wide as the steps that read the tensor need, and
//! never changes. Buffers are kept from call to call, one set for each image that is being
//! processed. A call with one image divides the rows of large convolutions among the threads, one
//! with more divides the images; the bits are the same.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use da2s_engine::{ActivationFunction, Border, ConvolutionStep, NotInteger, Operation, PoolKind, Steps};
use da2s_kernels::int8::{
    Bounds, Dense, Depthwise, Level, Part, Pool, Region, Scaling, Term, bytes, channel_sums, int8_level, padded, place,
    relu, sum,
};
use da2s_kernels::{Extent, View};
use rayon::prelude::*;

use super::network::{Int8Convolution, Int8Network, Quantisation};
use crate::error::NetworkError;
use crate::float32::Classifier;
use crate::plain::activated;

/// Limit on the bytes of all buffers of one image.
const MOST_BYTES: usize = 1 << 28;
/// Minimum number of multiply-adds per thread if a convolution uses several.
const PER_THREAD: usize = 1 << 23;

/// A network that is ready to run.
#[derive(Debug)]
pub struct Int8Runner {
    network: Int8Network,
    level: Level,
    buffers: Vec<Buffer>,
    layers: Vec<Layer>,
    classifier: Classifier,
    /// Sets of buffers that no call uses.
    free: Mutex<Vec<Vec<Bytes>>>,
}

/// Where a tensor is in its buffer.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    extent: Extent,
    /// Channels in memory.
    channels: usize,
    /// The image inside the border.
    view: View,
    len: usize,
    quantisation: Quantisation,
}

/// Bytes whose first one begins a cache line. Pixels of 64 channels then have one line each, and
/// reading one of them does not read two lines.
#[derive(Debug)]
struct Bytes {
    data: Vec<u8>,
    first: usize,
}

impl Bytes {
    fn new(value: u8, len: usize) -> Self {
        const LINE: usize = 64;
        let mut data: Vec<u8> = Vec::with_capacity(len + LINE);
        let first = data.as_ptr().align_offset(LINE).min(LINE);
        data.resize(first + len, value);
        Self { data, first }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.data[self.first..]
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.data[self.first..]
    }
}

/// A step that is ready to run.
#[derive(Debug)]
enum Layer {
    Convolution {
        weights: Weights,
        /// The pixel under the first tap of each output pixel.
        source: View,
        taps: Vec<usize>,
        multiply_adds: usize,
    },
    Pool(Pool),
    Relu,
    /// For each byte of the input, the byte of the output.
    Table(Box<[u8; 256]>),
    /// The factor of each input.
    Sum(Vec<f32>, Bounds),
    /// The factor of each input; the inputs follow one another along the channels.
    Concatenation(Vec<f32>, Bounds),
    Zeros,
}

#[derive(Debug)]
enum Weights {
    Dense(Dense),
    Depthwise(Depthwise),
}

impl Int8Runner {
    /// Prepares a network for the best instructions of this CPU.
    ///
    /// # Errors
    /// If its scales are out of range, or it needs too much memory.
    pub fn new(network: Int8Network) -> Result<Self, NetworkError> {
        Self::at_level(network, int8_level())
    }

    /// Prepares a network for the instructions of `level`.
    ///
    /// # Errors
    /// If its scales are out of range, or it needs too much memory.
    pub fn at_level(network: Int8Network, level: Level) -> Result<Self, NetworkError> {
        let buffers = buffers(&network.steps, &network.tensors)?;
        let layers = network.each_step().map(|(tensor, step, weights, _)| {
            let factors = || {
                let to = buffers[tensor].quantisation.scale;
                let inputs = step.inputs.iter();
                let factors = inputs.map(|&input| finite(&step.place, buffers[input].quantisation.scale / to));
                factors.collect::<Result<Vec<f32>, _>>()
            };
            let to = buffers[tensor].quantisation;
            let bounds = match step.activation {
                Some(ActivationFunction::Relu6) => Bounds::new(to.zero_point, true).at_most(6.0 / to.scale),
                function => Bounds::new(to.zero_point, function.is_some()),
            };
            Ok(match (&step.operation, weights) {
                (Operation::Convolution(convolution), Some(weights)) => {
                    let (from, to) = (&buffers[step.inputs[0]], &buffers[tensor]);
                    Layer::convolution(&step.place, convolution, weights, (from, to), bounds)?
                }
                (Operation::Convolution(_), None) => {
                    let name = step.place.clone();
                    return Err(NetworkError::Missing { name });
                }
                (Operation::Squeeze(_), _) => {
                    let block = step.place.clone();
                    return Err(NotInteger { block }.into());
                }
                (Operation::Zeros, _) => Layer::Zeros,
                (
                    &Operation::Pool {
                        kind,
                        kernel,
                        stride,
                        padding,
                    },
                    _,
                ) => {
                    let from = &buffers[step.inputs[0]];
                    Layer::Pool(Pool {
                        mean: kind == PoolKind::Average,
                        kernel,
                        stride,
                        padding,
                        image: from.extent,
                        source: from.view,
                        target: buffers[tensor].view,
                    })
                }
                (Operation::Activation(ActivationFunction::Relu), _) => Layer::Relu,
                (&Operation::Activation(function), _) => {
                    let from = buffers[step.inputs[0]].quantisation;
                    Layer::Table(table(function, from, (to, bounds)))
                }
                (Operation::Sum, _) => Layer::Sum(factors()?, bounds),
                (Operation::Concatenation, _) => Layer::Concatenation(factors()?, bounds),
            })
        });
        let layers = layers.collect::<Result<Vec<Layer>, NetworkError>>()?;
        let classifier = &network.classifier;
        let features = classifier.weights.len() / classifier.scales.len().max(1);
        let rows = classifier.weights.chunks(features.max(1)).zip(&classifier.scales);
        let matrix = rows.flat_map(|(row, &scale)| row.iter().map(move |&weight| f32::from(weight) * scale));
        Ok(Self {
            classifier: Classifier {
                matrix: matrix.collect(),
                bias: classifier.bias.clone(),
            },
            level,
            buffers,
            layers,
            free: Mutex::new(Vec::new()),
            network,
        })
    }

    /// The network.
    pub fn network(&self) -> &Int8Network {
        &self.network
    }

    /// The instructions that it uses.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The logits of `pictures`, one row each.
    ///
    /// # Panics
    /// If the length of a picture is not that of the preprocessing.
    pub fn logits(&self, pictures: &[Vec<f32>]) -> Vec<Vec<f32>> {
        match pictures {
            [one] => vec![self.one(one, rayon::current_num_threads())],
            _ => pictures.par_iter().map(|picture| self.one(picture, 1)).collect(),
        }
    }

    fn one(&self, picture: &[f32], threads: usize) -> Vec<f32> {
        assert_eq!(picture.len(), self.network.preprocessing.len(), "values of a picture");
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = free().pop();
        let mut tensors = kept.unwrap_or_else(|| {
            let one = |buffer: &Buffer| Bytes::new(buffer.quantisation.zero_point, buffer.len);
            self.buffers.iter().map(one).collect()
        });
        self.buffers[0].fill(self.level, picture, &mut tensors[0]);
        let steps = self.network.steps.steps.iter().zip(&self.layers).enumerate();
        for (index, (step, layer)) in steps {
            let (before, after) = tensors.split_at_mut(index + 1);
            let to = &self.buffers[index + 1];
            self.run(layer, &step.inputs, before, (to, &mut after[0]), threads);
        }
        let output = self.network.steps.output;
        let features =
            self.buffers[output].mean(self.level, &tensors[output], self.network.steps.shape(output).channels);
        free().push(tensors);
        self.classifier.logits(&features)
    }

    fn run(
        &self,
        layer: &Layer,
        inputs: &[usize],
        before: &[Bytes],
        (to, target): (&Buffer, &mut [u8]),
        threads: usize,
    ) {
        let level = self.level;
        match layer {
            Layer::Convolution {
                weights,
                source,
                taps,
                multiply_adds,
            } => {
                let image = &before[inputs[0]];
                let pieces = threads.min(multiply_adds / PER_THREAD).clamp(1, to.extent.rows);
                let rows = to.extent.rows.div_ceil(pieces);
                let part = |(piece, target): (usize, &mut [u8])| {
                    let first = piece * rows;
                    let region = Region {
                        extent: Extent {
                            rows: rows.min(to.extent.rows - first),
                            columns: to.extent.columns,
                        },
                        source: source.from_row(first),
                        target: View { at: 0, ..to.view },
                        taps,
                    };
                    match weights {
                        Weights::Dense(dense) => dense.run(level, &region, image, target),
                        Weights::Depthwise(depthwise) => depthwise.run(level, &region, image, target),
                    }
                };
                // The rows below the image are its border.
                let target = &mut target[to.view.at..];
                let length = target.len().min(to.extent.rows * to.view.row);
                if pieces == 1 {
                    part((0, target));
                } else {
                    let chunks = target[..length].par_chunks_mut(rows * to.view.row);
                    chunks.enumerate().for_each(part);
                }
            }
            Layer::Pool(pool) => {
                let Extent { rows, columns } = to.extent;
                pool.run(level, (0..rows, columns), to.channels, &before[inputs[0]], target);
            }
            Layer::Relu => {
                let from = &self.buffers[inputs[0]];
                for row in 0..to.extent.rows {
                    let source = from.row(&before[inputs[0]], row);
                    relu(level, source, to.quantisation.zero_point, to.row_mut(target, row));
                }
            }
            Layer::Table(table) => {
                let from = &self.buffers[inputs[0]];
                for row in 0..to.extent.rows {
                    let source = from.row(&before[inputs[0]], row);
                    for (to, &from) in to.row_mut(target, row).iter_mut().zip(source) {
                        *to = table[usize::from(from)];
                    }
                }
            }
            Layer::Sum(factors, bounds) => {
                let mut terms = Vec::with_capacity(inputs.len());
                for row in 0..to.extent.rows {
                    terms.clear();
                    terms.extend(inputs.iter().zip(factors).map(|(&input, &factor)| {
                        let from = &self.buffers[input];
                        Term {
                            values: from.row(&before[input], row),
                            zero_point: from.quantisation.zero_point,
                            factor,
                        }
                    }));
                    sum(level, &terms, *bounds, to.row_mut(target, row));
                }
            }
            Layer::Concatenation(factors, bounds) => {
                let mut first = 0;
                for (&input, &factor) in inputs.iter().zip(factors) {
                    let from = &self.buffers[input];
                    let channels = self.network.steps.shape(input).channels;
                    let part = Part {
                        channels,
                        pixel: from.channels,
                        target_pixel: to.channels,
                    };
                    for row in 0..to.extent.rows {
                        let term = Term {
                            values: from.row(&before[input], row),
                            zero_point: from.quantisation.zero_point,
                            factor,
                        };
                        place(level, term, part, *bounds, &mut to.row_mut(target, row)[first..]);
                    }
                    first += channels;
                }
            }
            // The buffer contains only its zero point.
            Layer::Zeros => {}
        }
    }
}

/// The byte that an activation function computes from each byte.
fn table(function: ActivationFunction, from: Quantisation, (to, bounds): (Quantisation, Bounds)) -> Box<[u8; 256]> {
    let byte = |index: usize| {
        let value = from.scale * (index as f32 - f32::from(from.zero_point));
        bounds.byte(activated(function, value) / to.scale)
    };
    Box::new(std::array::from_fn(byte))
}

impl Layer {
    fn convolution(
        place: &str,
        step: &ConvolutionStep,
        weights: &Int8Convolution,
        (from, to): (&Buffer, &Buffer),
        bounds: Bounds,
    ) -> Result<Self, NetworkError> {
        let per_output = step.per_output();
        let zero_point = i32::from(from.quantisation.zero_point);
        let rows = weights.weights.chunks(per_output).zip(&weights.bias);
        // Subtracts the input's zero point, which is a part of every product in the sum.
        let bias = rows.map(|(row, bias)| {
            let sum = row.iter().fold(0i32, |sum, &weight| sum.wrapping_add(weight.into()));
            bias.wrapping_sub(sum.wrapping_mul(zero_point))
        });
        // As ONNX Runtime computes it.
        let factor = weights.scales.iter();
        let factor = factor.map(|scale| finite(place, from.quantisation.scale * scale / to.quantisation.scale));
        let (bias, factor): (Vec<_>, Result<Vec<_>, _>) = (bias.collect(), factor.collect());
        let scaling = Scaling::new(&bias, &factor?, bounds);
        // The border is at least as wide as the padding.
        let (source, taps) = from
            .view
            .window(step.kernel, (step.stride, step.dilation), step.padding);
        Ok(Self::Convolution {
            source,
            taps,
            multiply_adds: to.extent.rows * to.extent.columns * weights.weights.len(),
            weights: if step.depthwise {
                Weights::Depthwise(Depthwise::new(&weights.weights, step.outputs, scaling))
            } else {
                Weights::Dense(Dense::new(&weights.weights, step.inputs, step.outputs, scaling))
            },
        })
    }
}

fn finite(place: &str, factor: f32) -> Result<f32, NetworkError> {
    if factor.is_finite() {
        Ok(factor)
    } else {
        Err(NetworkError::Scale { name: place.to_owned() })
    }
}

/// Refuses a network whose buffers would be too large.
pub(super) fn check_memory(steps: &Steps) -> Result<(), NetworkError> {
    let any = Quantisation {
        scale: 1.0,
        zero_point: 0,
    };
    buffers(steps, &vec![any; steps.tensors()]).map(drop)
}

/// The buffers of all tensors, with the borders that their readers need.
fn buffers(steps: &Steps, quantised: &[Quantisation]) -> Result<Vec<Buffer>, NetworkError> {
    let mut total = 0usize;
    let mut buffers = Vec::with_capacity(steps.tensors());
    for (tensor, Border { before, below, right }) in steps.borders().into_iter().enumerate() {
        let shape = steps.shape(tensor);
        let (height, width) = shape.size;
        let channels = padded(shape.channels);
        let row = (before + width + right) * channels;
        let len = row.saturating_mul(before + height + below);
        total = total.saturating_add(len);
        if total > MOST_BYTES {
            return Err(NetworkError::Memory { most: MOST_BYTES });
        }
        buffers.push(Buffer {
            extent: Extent {
                rows: height,
                columns: width,
            },
            channels,
            view: View {
                at: before * (row + channels),
                row,
                pixel: channels,
            },
            len,
            quantisation: quantised[tensor],
        });
    }
    Ok(buffers)
}

impl Buffer {
    fn range(&self, row: usize) -> std::ops::Range<usize> {
        let at = self.view.at + row * self.view.row;
        at..at + self.extent.columns * self.channels
    }

    fn row<'a>(&self, data: &'a [u8], row: usize) -> &'a [u8] {
        &data[self.range(row)]
    }

    fn row_mut<'a>(&self, data: &'a mut [u8], row: usize) -> &'a mut [u8] {
        &mut data[self.range(row)]
    }

    /// Writes a picture of channels × rows × columns.
    fn fill(&self, level: Level, picture: &[f32], data: &mut [u8]) {
        let Extent { rows, columns } = self.extent;
        let pixels = rows * columns;
        let Quantisation { scale, zero_point } = self.quantisation;
        let mut line = vec![0; columns];
        for (channel, plane) in picture.chunks(pixels).enumerate() {
            for (row, values) in plane.chunks(columns).enumerate() {
                bytes(level, values, scale, Bounds::new(zero_point, false), &mut line);
                let pixels = self.row_mut(data, row).chunks_exact_mut(self.channels);
                for (pixel, &byte) in pixels.zip(&line) {
                    pixel[channel] = byte;
                }
            }
        }
    }

    /// The mean of each of the first `count` channels.
    fn mean(&self, level: Level, data: &[u8], count: usize) -> Vec<f32> {
        let mut sums = vec![0; self.channels];
        channel_sums(level, self.extent, self.view, data, &mut sums);
        let pixels = self.extent.rows * self.extent.columns;
        let zeros = i64::from(self.quantisation.zero_point) * pixels as i64;
        let factor = self.quantisation.scale / pixels as f32;
        let mean = |&sum: &u32| (i64::from(sum) - zeros) as f32 * factor;
        sums[..count].iter().map(mean).collect()
    }
}
