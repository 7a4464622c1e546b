//! The steps of a network in float32: every tensor of an image, for calibration.
//!
//! Contract: plain loops on NHWC images; the reference for the integer network.

use da2s_engine::{ActivationFunction, ConvolutionStep, Operation, PoolKind, Step, Steps, TensorShape};

use super::fold::Folded;
use crate::network::channels_last;

/// Steps with their float32 weights.
pub(super) struct FloatSteps<'a> {
    steps: &'a Steps,
    convolutions: Vec<Option<Ordered>>,
}

/// Weights in the order in which they are used.
struct Ordered {
    /// `[taps][inputs][outputs]`, or `[taps][channels]` of a depthwise convolution.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl<'a> FloatSteps<'a> {
    /// `folded` has the weights of each step that is a convolution.
    pub(super) fn new(steps: &'a Steps, folded: &[Option<Folded>]) -> Self {
        let one = |(step, folded): (&Step, &Option<Folded>)| match (&step.operation, folded) {
            (Operation::Convolution(step), Some(folded)) => Some(Ordered::new(step, folded)),
            _ => None,
        };
        Self {
            steps,
            convolutions: steps.steps.iter().zip(folded).map(one).collect(),
        }
    }

    /// Every tensor of an image, which is the result of preprocessing; theirs have their channels
    /// innermost.
    pub(super) fn tensors(&self, image: &[f32]) -> Vec<Vec<f32>> {
        let mut tensors = vec![channels_last(image, self.steps.image.channels)];
        for (step, weights) in self.steps.steps.iter().zip(&self.convolutions) {
            let len = step.shape.channels * step.shape.size.0 * step.shape.size.1;
            let mut output = vec![0.0; len];
            match (&step.operation, weights) {
                (Operation::Convolution(convolution), Some(weights)) => {
                    let from = step.inputs[0];
                    weights.run(
                        convolution,
                        (&tensors[from], self.steps.shape(from)),
                        step.shape,
                        &mut output,
                    );
                }
                (Operation::Convolution(_), None) | (Operation::Zeros, _) => {}
                (Operation::Pool { .. }, _) => {
                    let from = step.inputs[0];
                    pool(
                        &step.operation,
                        (&tensors[from], self.steps.shape(from)),
                        step.shape,
                        &mut output,
                    );
                }
                (&Operation::Activation(function), _) => {
                    for (to, value) in output.iter_mut().zip(&tensors[step.inputs[0]]) {
                        *to = activated(function, *value);
                    }
                }
                (Operation::Sum, _) => {
                    for &input in &step.inputs {
                        for (to, value) in output.iter_mut().zip(&tensors[input]) {
                            *to += value;
                        }
                    }
                }
                (Operation::Concatenation, _) => {
                    let mut first = 0;
                    for &input in &step.inputs {
                        let channels = self.steps.shape(input).channels;
                        let pixels = tensors[input].chunks(channels);
                        for (to, pixel) in output.chunks_mut(step.shape.channels).zip(pixels) {
                            to[first..first + channels].copy_from_slice(pixel);
                        }
                        first += channels;
                    }
                }
            }
            if let Some(function) = step.activation {
                output.iter_mut().for_each(|value| *value = activated(function, *value));
            }
            tensors.push(output);
        }
        tensors
    }
}

/// Unlike `max`, it keeps NaN.
pub(super) fn activated(function: ActivationFunction, value: f32) -> f32 {
    let relu6 = |value: f32| value.clamp(0.0, 6.0);
    match function {
        ActivationFunction::Relu if value < 0.0 => 0.0,
        ActivationFunction::Relu => value,
        ActivationFunction::Relu6 => relu6(value),
        ActivationFunction::HardSwish => value * relu6(value + 3.0) / 6.0,
    }
}

/// The pixels of an image that a window covers: index of the tap, and position of the pixel.
fn covered(
    (kernel, stride, dilation, padding): (usize, usize, usize, isize),
    (y, x): (usize, usize),
    (height, width): (usize, usize),
) -> impl Iterator<Item = (usize, usize)> {
    let side = move |at: usize, tap: usize, side: usize| {
        let place = (at * stride + tap * dilation) as isize - padding;
        usize::try_from(place).ok().filter(|&place| place < side)
    };
    (0..kernel * kernel).filter_map(move |tap| {
        let (row, column) = (side(y, tap / kernel, height)?, side(x, tap % kernel, width)?);
        Some((tap, row * width + column))
    })
}

impl Ordered {
    fn new(step: &ConvolutionStep, folded: &Folded) -> Self {
        let taps = step.kernel * step.kernel;
        let inputs = if step.depthwise { 1 } else { step.inputs };
        let outputs = step.outputs;
        let mut weights = vec![0.0; folded.weights.len()];
        for (output, row) in folded.weights.chunks(inputs * taps).enumerate() {
            for (input, kernel) in row.chunks(taps).enumerate() {
                for (tap, &weight) in kernel.iter().enumerate() {
                    weights[(tap * inputs + input) * outputs + output] = weight;
                }
            }
        }
        Self {
            weights,
            bias: folded.bias.clone(),
        }
    }

    fn run(&self, step: &ConvolutionStep, (image, from): (&[f32], TensorShape), to: TensorShape, output: &mut [f32]) {
        let window = (step.kernel, step.stride, step.dilation, step.padding);
        let outputs = step.outputs;
        for (pixel, sums) in output.chunks_mut(outputs).enumerate() {
            sums.copy_from_slice(&self.bias);
            for (tap, place) in covered(window, (pixel / to.size.1, pixel % to.size.1), from.size) {
                let values = &image[place * from.channels..][..from.channels];
                if step.depthwise {
                    let weights = &self.weights[tap * outputs..][..outputs];
                    for ((sum, value), weight) in sums.iter_mut().zip(values).zip(weights) {
                        *sum += value * weight;
                    }
                    continue;
                }
                let matrix = &self.weights[tap * from.channels * outputs..][..from.channels * outputs];
                for (&value, weights) in values.iter().zip(matrix.chunks(outputs)) {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += value * weight;
                    }
                }
            }
        }
    }
}

fn pool(operation: &Operation, (image, from): (&[f32], TensorShape), to: TensorShape, output: &mut [f32]) {
    let &Operation::Pool {
        kind,
        kernel,
        stride,
        padding,
    } = operation
    else {
        return;
    };
    let window = (kernel, stride, 1, padding as isize);
    for (pixel, values) in output.chunks_mut(to.channels).enumerate() {
        let mut count = 0;
        for (_, place) in covered(window, (pixel / to.size.1, pixel % to.size.1), from.size) {
            let one = &image[place * from.channels..][..from.channels];
            for (to, &value) in values.iter_mut().zip(one) {
                *to = match kind {
                    PoolKind::Average => *to + value,
                    PoolKind::Max if count == 0 => value,
                    PoolKind::Max => to.max(value),
                };
            }
            count += 1;
        }
        if kind == PoolKind::Average {
            values.iter_mut().for_each(|value| *value /= count.max(1) as f32);
        }
    }
}
