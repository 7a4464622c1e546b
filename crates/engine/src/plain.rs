//! The plain path: a plan interpreted with Burn's own operations and differentiated by Burn.
//!
//! This is the reference that every fused path is tested against; it favours clarity over speed.

use burn::tensor::module::{avg_pool2d, batch_norm, batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Int, Tensor, TensorData, activation::relu};

use da2s_plan::{
    ActivationFunction, Block, CellPlan, Choice, ConvolutionWeights, Layout, NORM_EPSILON, NormWeights, PoolKind,
    Weight,
};

use crate::cell::{Call, NormStatistics, Output};

/// Applies `plan`; see [`Cell::forward`](crate::Cell::forward).
pub(crate) fn forward(plan: &CellPlan, call: Call) -> Output {
    let mut interpreter = Interpreter {
        weights: call.weights,
        given: call.statistics,
        seen: Vec::new(),
    };
    let batch = call.inputs.first().map_or(0, |input| input.dims()[0]);
    let device = interpreter.weights.device();

    let mut nodes: Vec<Option<Tensor<4>>> = vec![None; plan.node_channels.len()];
    let mut sizes = Vec::new();
    for (node, (input, preprocess)) in call.inputs.into_iter().zip(&plan.preprocess).enumerate() {
        let [_, _, height, width] = input.dims();
        sizes.push((height, width));
        nodes[node] = Some(match preprocess {
            Some(choice) => interpreter.apply(choice, input),
            None => input,
        });
    }

    let node_sizes = plan.node_sizes(&sizes);
    let zeros = |node: usize| {
        let (height, width) = node_sizes[node];
        Tensor::zeros([batch, plan.node_channels[node], height, width], &device)
    };
    let mut index = 0;
    for edge in &plan.edges {
        for choice in &edge.choices {
            let at = index;
            index += 1;
            let skipped = call.active.as_ref().is_some_and(|active| !active[at]);
            if skipped || matches!(choice.block, Block::Zero { .. }) {
                continue;
            }
            // A node without inputs is zero; a batch norm still turns it into its shift.
            let source = nodes[edge.from].clone().unwrap_or_else(|| zeros(edge.from));
            let mut value = interpreter.apply(choice, source);
            if let Some(mixture) = &call.mixture {
                value = value * mixture.clone().narrow(0, at, 1).reshape([1, 1, 1, 1]);
            }
            if let Some(factors) = &call.drop_path {
                value = value * factors.clone().narrow(0, at, 1).reshape([batch, 1, 1, 1]);
            }
            let node = &mut nodes[edge.to];
            *node = Some(match node.take() {
                Some(sum) => sum + value,
                None => value,
            });
        }
    }

    let parts: Vec<Tensor<4>> = plan
        .output
        .iter()
        .map(|&node| nodes[node].clone().unwrap_or_else(|| zeros(node)))
        .collect();
    let output = Tensor::cat(parts, 1);
    Output {
        output,
        statistics: interpreter.statistics(plan),
    }
}

struct Interpreter {
    weights: Tensor<1>,
    given: Option<NormStatistics>,
    /// Batch statistics seen so far: offset, mean, unbiased variance.
    seen: Vec<(usize, Tensor<1>, Tensor<1>)>,
}

impl Interpreter {
    fn apply(&mut self, choice: &Choice, x: Tensor<4>) -> Tensor<4> {
        let (inputs, outputs) = (choice.inputs, choice.outputs);
        let Layout {
            convolutions,
            norms,
            squeeze,
            ..
        } = choice.layout();
        match choice.block {
            Block::Identity => x,
            Block::Relu => relu(x),
            Block::Relu6 => activated(x, ActivationFunction::Relu6),
            Block::HardSwish => activated(x, ActivationFunction::HardSwish),
            Block::Norm => self.normalised(x, norms.first()),
            Block::Take { .. } | Block::Shuffle { .. } => moved_channels(x, choice),
            Block::Zero { stride } => {
                let [batch, _, height, width] = x.dims();
                Tensor::zeros(
                    [batch, outputs, height.div_ceil(stride), width.div_ceil(stride)],
                    &x.device(),
                )
            }
            Block::Pool {
                kind,
                kernel,
                stride,
                padding,
                ..
            } => {
                let pooled = match kind {
                    PoolKind::Max => max_pool2d(
                        x,
                        MaxPoolOptions::new([kernel; 2])
                            .with_stride([stride; 2])
                            .with_padding([padding; 2]),
                    ),
                    PoolKind::Average => avg_pool2d(
                        x,
                        AvgPoolOptions::new([kernel; 2])
                            .with_stride([stride; 2])
                            .with_padding([padding; 2])
                            .with_count_include_pad(false),
                    ),
                };
                self.normalised(pooled, norms.first())
            }
            Block::FactorizedReduce => {
                let [_, _, height, width] = x.dims();
                let x = relu(x);
                let options = || ConvOptions::new([2, 2], [0, 0], [1, 1], 1);
                // The second convolution sees the image from its second row and column on. If the
                // side is odd, the last pixel that it reads (the only one if the side is one) lies
                // outside and is zero.
                let shifted = x
                    .clone()
                    .pad((0, width % 2, 0, height % 2), 0.0f32)
                    .narrow(2, 1, height - 1 + height % 2)
                    .narrow(3, 1, width - 1 + width % 2);
                let halves = [x, shifted].into_iter().zip(&convolutions);
                let halves = halves.map(|(x, weights)| self.convolution(x, weights, options()));
                let joined = Tensor::cat(halves.collect(), 1);
                self.normalised(joined, norms.first())
            }
            Block::Conv {
                relu: with_relu,
                stride,
                padding,
                ..
            } => {
                let x = if with_relu { relu(x) } else { x };
                let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
                let y = self.convolution(x, &convolutions[0], options);
                self.normalised(y, norms.first())
            }
            Block::Separable {
                kernel,
                stride,
                dilation,
                ..
            } => {
                let padding = dilation * (kernel - 1) / 2;
                let mut x = x;
                for (stage, (pair, norm)) in convolutions.chunks(2).zip(&norms).enumerate() {
                    let stride = if stage == 0 { stride } else { 1 };
                    let depthwise = ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], inputs);
                    let pointwise = ConvOptions::new([1; 2], [0; 2], [1; 2], 1);
                    x = self.convolution(relu(x), &pair[0], depthwise);
                    x = self.convolution(x, &pair[1], pointwise);
                    x = self.normalised(x, Some(norm));
                }
                x
            }
            Block::Basic { kernel, stride } => {
                let mut x = x;
                for (stride, (weights, norm)) in [stride, 1].into_iter().zip(convolutions.iter().zip(&norms)) {
                    let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1; 2], 1);
                    x = self.convolution(relu(x), weights, options);
                    x = self.normalised(x, Some(norm));
                }
                x
            }
            Block::InvertedBottleneck {
                relu: with_relu,
                kernel,
                stride,
                activation,
                ..
            } => {
                let mut x = if with_relu { relu(x) } else { x };
                let depthwise = convolutions.len() - 2;
                for (index, (weights, norm)) in convolutions.iter().zip(&norms).enumerate() {
                    let options = if index == depthwise {
                        let channels = weights.kernel.shape[0];
                        ConvOptions::new([stride; 2], [kernel / 2; 2], [1; 2], channels)
                    } else {
                        ConvOptions::new([1; 2], [0; 2], [1; 2], 1)
                    };
                    let mut read = if index > 0 { activated(x, activation) } else { x };
                    if let Some(squeeze) = squeeze.as_ref().filter(|_| index > depthwise) {
                        read = self.squeezed(read, squeeze);
                    }
                    x = self.convolution(read, weights, options);
                    x = self.normalised(x, Some(norm));
                }
                x
            }
        }
    }

    /// `x`, each channel multiplied by its gate.
    fn squeezed(&self, x: Tensor<4>, [reduce, excite]: &[ConvolutionWeights; 2]) -> Tensor<4> {
        let point = || ConvOptions::new([1; 2], [0; 2], [1; 2], 1);
        let means = x.clone().mean_dim(2).mean_dim(3);
        let reduced = relu(self.convolution(means, reduce, point()));
        let excited = self.convolution(reduced, excite, point());
        x * (activated(excited + 3.0, ActivationFunction::Relu6) / 6.0)
    }

    fn convolution(&self, x: Tensor<4>, weights: &ConvolutionWeights, options: ConvOptions<2>) -> Tensor<4> {
        let bias = weights.bias.as_ref().map(|bias| self.weight(bias));
        conv2d(x, self.weight(&weights.kernel), bias, options)
    }

    /// `x` after batch norm, or `x` itself if there is none.
    fn normalised(&mut self, x: Tensor<4>, norm: Option<&NormWeights>) -> Tensor<4> {
        let Some(NormWeights { statistics, affine }) = norm else {
            return x;
        };
        let [batch, channels, height, width] = x.dims();
        let device = x.device();
        let (gamma, beta) = match affine {
            Some([gamma, beta]) => (self.weight(gamma), self.weight(beta)),
            None => (Tensor::ones([channels], &device), Tensor::zeros([channels], &device)),
        };
        let offset = statistics.offset;
        match &self.given {
            Some(NormStatistics { mean, variance, .. }) => {
                let part = |all: &Tensor<1>| all.clone().narrow(0, offset, channels);
                batch_norm(x, gamma, beta, part(mean), part(variance), NORM_EPSILON)
            }
            None => {
                let result = batch_norm_train(x, gamma, beta, NORM_EPSILON);
                let count = batch * height * width;
                let unbiased = result.variance * (count as f64 / count.saturating_sub(1).max(1) as f64);
                self.seen
                    .push((offset, result.mean.without_autodiff(), unbiased.without_autodiff()));
                result.output
            }
        }
    }

    /// A weight of the plan as a tensor.
    fn weight<const D: usize>(&self, weight: &Weight) -> Tensor<D> {
        let shape: [usize; D] = std::array::from_fn(|dimension| weight.shape[dimension]);
        let length = shape.iter().product();
        self.weights.clone().narrow(0, weight.offset, length).reshape(shape)
    }

    /// The batch statistics in the plan's order, zero if a norm did not run.
    fn statistics(mut self, plan: &CellPlan) -> Option<NormStatistics> {
        if self.seen.is_empty() {
            return None;
        }
        self.seen.sort_by_key(|(offset, ..)| *offset);
        let device = self.weights.device().without_autodiff();
        let (mut means, mut variances, mut at) = (Vec::new(), Vec::new(), 0);
        let fill = |to: usize, at: usize, means: &mut Vec<Tensor<1>>, variances: &mut Vec<Tensor<1>>| {
            if to > at {
                means.push(Tensor::zeros([to - at], &device));
                variances.push(Tensor::zeros([to - at], &device));
            }
        };
        let mut live = vec![false; plan.norm_channels];
        for (offset, mean, variance) in self.seen {
            live[offset..offset + mean.dims()[0]].fill(true);
            fill(offset, at, &mut means, &mut variances);
            at = offset + mean.dims()[0];
            means.push(mean);
            variances.push(variance);
        }
        fill(plan.norm_channels, at, &mut means, &mut variances);
        Some(NormStatistics {
            mean: Tensor::cat(means, 0),
            variance: Tensor::cat(variances, 0),
            live: live.contains(&false).then(|| live.into()),
        })
    }
}

/// The activation function of `x`.
fn activated(x: Tensor<4>, function: ActivationFunction) -> Tensor<4> {
    // At kinks, gradients are those of the kernels: a clamp passes the gradient at both bounds.
    match function {
        ActivationFunction::Relu => relu(x),
        ActivationFunction::Relu6 => {
            let x = relu(x);
            let capped = x.clone().greater_equal_elem(6.0);
            x.mask_fill(capped, 6.0)
        }
        ActivationFunction::HardSwish => x.clone() * relu(x + 3.0).clamp_max(6.0) / 6.0,
    }
}

/// The result of a block that only moves the channels of `x`.
fn moved_channels(x: Tensor<4>, choice: &Choice) -> Tensor<4> {
    let map = choice
        .block
        .channel_map(choice.inputs, choice.outputs)
        .unwrap_or_default();
    let device = x.device();
    let from: Vec<i64> = map.iter().map(|from| from.unwrap_or(0) as i64).collect();
    let there: Vec<f32> = map.iter().map(|from| f32::from(u8::from(from.is_some()))).collect();
    let from = Tensor::<1, Int>::from_data(TensorData::new(from, [choice.outputs]), &device);
    let there = Tensor::<1>::from_data(TensorData::new(there, [choice.outputs]), &device);
    x.select(1, from) * there.reshape([1, choice.outputs, 1, 1])
}
