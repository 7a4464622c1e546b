//! The steps of a network in float32, in plain loops: every tensor of an image, for calibration.
//!
//! Contract: NHWC images; the reference for the compiled network and for the integer network.

use da2s_engine::deployed::StepWeights;
use da2s_engine::{ActivationFunction, ConvolutionStep, Operation, PoolKind, SqueezeStep, Step, Steps, TensorShape};

/// Steps with their float32 weights.
pub(crate) struct FloatSteps<'a> {
    steps: &'a Steps,
    weights: Vec<PlainWeights<'a>>,
}

enum PlainWeights<'a> {
    None,
    Convolution(Ordered),
    /// Both matrices of a squeeze-and-excitation, each followed by its biases.
    Squeeze(&'a [f32]),
}

/// Weights in the order in which they are used.
struct Ordered {
    /// `[taps][inputs][outputs]`, or `[taps][channels]` of a depthwise convolution.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl<'a> FloatSteps<'a> {
    /// `weights` has those of each step.
    pub(crate) fn new(steps: &'a Steps, weights: &'a [StepWeights]) -> Self {
        let one = |(step, weights): (&Step, &'a StepWeights)| match (&step.operation, weights) {
            (Operation::Convolution(step), StepWeights::Convolution(weights, bias)) => {
                PlainWeights::Convolution(Ordered::new(step, weights, bias))
            }
            (Operation::Squeeze(_), StepWeights::Squeeze(weights)) => PlainWeights::Squeeze(weights),
            _ => PlainWeights::None,
        };
        Self {
            steps,
            weights: steps.steps.iter().zip(weights).map(one).collect(),
        }
    }

    /// Every tensor that a preprocessed image leads to. In `image`, channels are outermost; in the
    /// tensors, they are innermost.
    pub(crate) fn tensors(&self, image: &[f32]) -> Vec<Vec<f32>> {
        let mut tensors = vec![channels_last(image, self.steps.image.channels)];
        for (step, weights) in self.steps.steps.iter().zip(&self.weights) {
            let len = step.shape.channels * step.shape.size.0 * step.shape.size.1;
            let mut output = vec![0.0; len];
            match (&step.operation, weights) {
                (Operation::Convolution(convolution), PlainWeights::Convolution(weights)) => {
                    let from = step.inputs[0];
                    weights.run(
                        convolution,
                        (&tensors[from], self.steps.shape(from)),
                        step.shape,
                        &mut output,
                    );
                }
                (Operation::Squeeze(one), PlainWeights::Squeeze(weights)) => {
                    squeeze(one, weights, &tensors[step.inputs[0]], &mut output);
                }
                (Operation::Convolution(_) | Operation::Squeeze(_) | Operation::Zeros, _) => {}
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

/// From channels × rows × columns to rows × columns × channels.
fn channels_last(picture: &[f32], channels: usize) -> Vec<f32> {
    let pixels = picture.len() / channels;
    let pixel = |at: usize| (0..channels).map(move |channel| picture[channel * pixels + at]);
    (0..pixels).flat_map(pixel).collect()
}

/// Unlike `max`, it keeps NaN.
pub(crate) fn activated(function: ActivationFunction, value: f32) -> f32 {
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
    fn new(step: &ConvolutionStep, by_output: &[f32], bias: &[f32]) -> Self {
        let taps = step.kernel * step.kernel;
        let inputs = if step.depthwise { 1 } else { step.inputs };
        let outputs = step.outputs;
        let mut weights = vec![0.0; by_output.len()];
        for (output, row) in by_output.chunks(inputs * taps).enumerate() {
            for (input, kernel) in row.chunks(taps).enumerate() {
                for (tap, &weight) in kernel.iter().enumerate() {
                    weights[(tap * inputs + input) * outputs + output] = weight;
                }
            }
        }
        Self {
            weights,
            bias: bias.to_vec(),
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

/// See `da2s_kernels::Squeeze`.
fn squeeze(step: &SqueezeStep, weights: &[f32], image: &[f32], output: &mut [f32]) {
    let SqueezeStep { channels, squeezed, .. } = *step;
    let pixels = (image.len() / channels) as f32;
    let means: Vec<f32> = (0..channels)
        .map(|channel| image.iter().skip(channel).step_by(channels).sum::<f32>() / pixels)
        .collect();
    let layer = |weights: &[f32], from: &[f32], outputs: usize| -> Vec<f32> {
        let (matrix, bias) = weights.split_at(from.len() * outputs);
        let rows = matrix.chunks(from.len()).zip(bias);
        rows.map(|(row, bias)| bias + row.iter().zip(from).map(|(weight, value)| weight * value).sum::<f32>())
            .collect()
    };
    let (first, second) = weights.split_at((channels + 1) * squeezed);
    let hidden: Vec<f32> = layer(first, &means, squeezed)
        .into_iter()
        .map(|value| value.max(0.0))
        .collect();
    let gates = layer(second, &hidden, channels);
    for (to, pixel) in output.chunks_mut(channels).zip(image.chunks(channels)) {
        for ((to, value), gate) in to.iter_mut().zip(pixel).zip(&gates) {
            *to = value * ((gate + 3.0).clamp(0.0, 6.0) / 6.0);
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

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use da2s_engine::deployed::{DeployedError, DeployedNetwork};
    use da2s_engine::{Block, CellPlan, CellPlanBuilder, CheckedStage, NetworkPlan, StagePlan};
    use da2s_kernels::Level;

    use super::*;
    use crate::profile::numbers;

    const SIZE: (usize, usize) = (9, 6);

    /// The weights of some outputs of the step with a number.
    fn of(weights: &[StepWeights]) -> impl Fn(usize, Range<usize>) -> Result<StepWeights, DeployedError> + Sync {
        move |at, outputs| {
            Ok(match &weights[at] {
                StepWeights::Convolution(weights, bias) => {
                    let each = weights.len() / bias.len();
                    let weights = &weights[outputs.start * each..outputs.end * each];
                    StepWeights::Convolution(weights.to_vec(), bias[outputs].to_vec())
                }
                other => other.clone(),
            })
        }
    }

    /// Every kind of block that keeps the size, or halves it.
    fn blocks(stride: usize) -> Vec<Block> {
        let mut blocks = Vec::new();
        for kernel in [3, 5] {
            for dilation in [1, 2] {
                blocks.push(Block::Separable {
                    kernel,
                    stride,
                    dilation,
                    stages: 3 - dilation,
                });
            }
            blocks.push(Block::Basic { kernel, stride });
            let padding = kernel / 2;
            blocks.push(Block::Conv {
                relu: true,
                kernel,
                stride,
                padding,
                bias: true,
                norm: true,
            });
            // Without ReLU, dense convolutions read the image itself; if nothing else does, it is
            // not padded.
            blocks.push(Block::Conv {
                relu: false,
                kernel,
                stride,
                padding,
                bias: false,
                norm: false,
            });
            for (expansion, activation, squeeze) in [
                (1, ActivationFunction::Relu6, false),
                (3, ActivationFunction::Relu, true),
                (2, ActivationFunction::HardSwish, kernel == 5),
            ] {
                let relu = kernel == 3;
                blocks.push(Block::InvertedBottleneck {
                    relu,
                    kernel,
                    stride,
                    expansion,
                    activation,
                    squeeze,
                });
            }
        }
        for (kind, norm) in [(PoolKind::Max, false), (PoolKind::Average, true)] {
            blocks.push(Block::Pool {
                kind,
                kernel: 3,
                stride,
                padding: 1,
                norm,
            });
        }
        blocks.push(Block::Zero { stride });
        if stride == 1 {
            blocks.extend([
                Block::Identity,
                Block::Relu,
                Block::Relu6,
                Block::HardSwish,
                Block::Norm,
            ]);
        } else {
            blocks.push(Block::FactorizedReduce);
        }
        blocks
    }

    /// Two edges with `block`, with sums of two and three terms, and all nodes in the output.
    fn cell(block: Block, other: Block, channels: usize) -> CellPlan {
        let edge = |block: Block, name: &str| [(block, name.to_owned(), 0)];
        let (same, node) = (block.stride() == 1, channels);
        let mut builder = CellPlanBuilder::new(true)
            .input(channels)
            .node(node)
            .node(node)
            .node(node);
        builder = builder
            .edge(0, 1, edge(block, "a"))
            .edge(1, 2, edge(other, "b"))
            .edge(1, 3, edge(Block::Identity, ""))
            .edge(2, 3, edge(other, "c"));
        if same {
            builder = builder.edge(0, 2, edge(block, "d")).edge(0, 3, edge(block, "e"));
        }
        builder.output([1, 2, 3])
    }

    fn compare(cell: &CellPlan, last_relu: bool, channels: usize, what: &str) {
        let plan = NetworkPlan {
            stages: vec![StagePlan::new("", vec![None], cell)],
            last_relu,
        };
        let checked = CheckedStage {
            cell: cell.clone(),
            sizes: vec![SIZE],
        };
        let image = TensorShape { channels, size: SIZE };
        let steps = Steps::new(&plan, &[checked], image);
        // Numbers of several sizes, so that no two weights are the same.
        let some = |len: usize, seed: usize| -> Vec<f32> {
            numbers(len + seed)[seed..].iter().map(|number| 4.0 * number).collect()
        };
        let weights: Vec<StepWeights> = steps
            .steps
            .iter()
            .enumerate()
            .map(|(seed, step)| match &step.operation {
                Operation::Convolution(one) => {
                    StepWeights::Convolution(some(one.outputs * one.per_output(), seed), some(one.outputs, 3 * seed))
                }
                Operation::Squeeze(one) => {
                    let matrices = 2 * one.channels * one.squeezed;
                    StepWeights::Squeeze(some(matrices + one.channels + one.squeezed, seed))
                }
                _ => StepWeights::None,
            })
            .collect();
        let picture = some(channels * SIZE.0 * SIZE.1, 7);
        let output = &FloatSteps::new(&steps, &weights).tensors(&picture)[steps.output];
        let features = steps.shape(steps.output).channels;
        let pixels = (output.len() / features) as f32;
        let mean = |channel: usize| output.iter().skip(channel).step_by(features).sum::<f32>() / pixels;
        let means: Vec<f32> = (0..features).map(mean).collect();
        for level in Level::available() {
            let network = DeployedNetwork::at_level(&steps, of(&weights), level).unwrap();
            let mut first = None;
            for threads in [1, 2, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let pictures = [picture.clone(), some(picture.len(), 11), picture.clone()];
                let (one, three) = pool.install(|| (network.features(&pictures[..1]), network.features(&pictures)));
                let place = format!("{what}, {channels} channels, {}, {threads} threads", level.name());
                assert_eq!(three[..features], one, "{place}");
                assert_eq!(three[2 * features..], one, "{place}");
                for (channel, (found, mean)) in one.iter().zip(&means).enumerate() {
                    let error = (found - mean).abs();
                    assert!(
                        error < 1e-4 * mean.abs().max(1.0),
                        "{place}, channel {channel}: {found} {mean}"
                    );
                }
                assert_eq!(*first.get_or_insert(one.clone()), one, "{place}");
            }
        }
    }

    #[test]
    fn a_compiled_network_computes_what_plain_loops_compute() {
        let others = blocks(1);
        for stride in [1, 2] {
            for (at, block) in blocks(stride).into_iter().enumerate() {
                for (index, channels) in [3, 16, 24].into_iter().enumerate() {
                    let other = others[(5 * at + index) % others.len()];
                    let what = format!("{block:?} then {other:?}");
                    compare(&cell(block, other, channels), (at + index) % 2 == 0, channels, &what);
                }
            }
        }
    }

    #[test]
    fn a_large_image_is_not_padded() {
        let stem = Block::Conv {
            relu: false,
            kernel: 3,
            stride: 4,
            padding: 1,
            bias: false,
            norm: false,
        };
        let edge = [(stem, "a".to_owned(), 0)];
        let cell = CellPlanBuilder::new(true).input(3).node(2).edge(0, 1, edge).output([1]);
        let plan = NetworkPlan {
            stages: vec![StagePlan::new("", vec![None], &cell)],
            last_relu: true,
        };
        let size = (4096, 4096);
        let checked = CheckedStage {
            cell,
            sizes: vec![size],
        };
        let steps = Steps::new(&plan, &[checked], TensorShape { channels: 3, size });
        let weights = [StepWeights::Convolution(vec![0.5; 54], vec![0.0; 2])];
        assert!(DeployedNetwork::new(&steps, of(&weights)).is_ok());
    }

    #[test]
    fn weights_of_another_shape_are_refused() {
        let cell = cell(Block::Basic { kernel: 3, stride: 1 }, Block::Identity, 3);
        let plan = NetworkPlan {
            stages: vec![StagePlan::new("", vec![None], &cell)],
            last_relu: false,
        };
        let checked = CheckedStage {
            cell,
            sizes: vec![SIZE],
        };
        let image = TensorShape {
            channels: 3,
            size: SIZE,
        };
        let steps = Steps::new(&plan, &[checked], image);
        let weights = vec![StepWeights::None; steps.steps.len()];
        assert!(DeployedNetwork::new(&steps, of(&weights)).is_err());
        let short = vec![StepWeights::Convolution(vec![0.5; 80], vec![0.0; 3]); steps.steps.len()];
        assert!(DeployedNetwork::new(&steps, of(&short)).is_err());
    }
}
