//! The plain path: a plan interpreted with Burn's own operations and differentiated by Burn.
//!
//! This is the reference that every fused path is tested against; it favours clarity over speed.

use burn::tensor::module::{avg_pool2d, batch_norm, batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Int, Tensor, TensorData, activation::relu};

use da2s_plan::{Block, CellPlan, Choice, NORM_EPSILON, PoolKind};

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
            // A node that nothing reaches is zero, of which a batch norm still makes its shift.
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
        let mut weights = Cursor {
            all: self.weights.clone(),
            at: choice.weight_offset,
        };
        let mut norm_at = choice.norm_offset;
        match choice.block {
            Block::Identity => x,
            Block::Norm => self.norm(x, &mut weights, choice.affine, &mut norm_at),
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
                norm,
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
                if norm {
                    self.norm(pooled, &mut weights, choice.affine, &mut norm_at)
                } else {
                    pooled
                }
            }
            Block::FactorizedReduce => {
                let [_, _, height, width] = x.dims();
                let half = outputs / 2;
                let x = relu(x);
                let options = || ConvOptions::new([2, 2], [0, 0], [1, 1], 1);
                // The second convolution sees the image from its second row and column on; on an odd side the
                // last pixel that it reads, of a side of one the only one, lies outside and is zero.
                let shifted = x
                    .clone()
                    .pad((0, width % 2, 0, height % 2), 0.0f32)
                    .narrow(2, 1, height - 1 + height % 2)
                    .narrow(3, 1, width - 1 + width % 2);
                let first = conv2d(x, weights.take([half, inputs, 1, 1]), None, options());
                let second = conv2d(shifted, weights.take([outputs - half, inputs, 1, 1]), None, options());
                let joined = Tensor::cat(vec![first, second], 1);
                self.norm(joined, &mut weights, choice.affine, &mut norm_at)
            }
            Block::Conv {
                relu: with_relu,
                kernel,
                stride,
                padding,
                bias,
                norm,
            } => {
                let x = if with_relu { relu(x) } else { x };
                let kernels = weights.take([outputs, inputs, kernel, kernel]);
                let bias = bias.then(|| weights.take([outputs]));
                let y = conv2d(x, kernels, bias, ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1));
                if norm {
                    self.norm(y, &mut weights, choice.affine, &mut norm_at)
                } else {
                    y
                }
            }
            Block::Separable {
                kernel,
                stride,
                dilation,
                stages,
            } => {
                let padding = dilation * (kernel - 1) / 2;
                let mut x = x;
                for stage in 0..stages {
                    let stride = if stage == 0 { stride } else { 1 };
                    let to = if stage + 1 == stages { outputs } else { inputs };
                    let depthwise = weights.take([inputs, 1, kernel, kernel]);
                    let options = ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], inputs);
                    x = conv2d(relu(x), depthwise, None, options);
                    let pointwise = weights.take([to, inputs, 1, 1]);
                    x = conv2d(x, pointwise, None, ConvOptions::new([1; 2], [0; 2], [1; 2], 1));
                    x = self.norm(x, &mut weights, choice.affine, &mut norm_at);
                }
                x
            }
        }
    }

    fn norm(&mut self, x: Tensor<4>, weights: &mut Cursor, affine: bool, at: &mut usize) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let device = x.device();
        let (gamma, beta) = if affine {
            (weights.take([channels]), weights.take([channels]))
        } else {
            (Tensor::ones([channels], &device), Tensor::zeros([channels], &device))
        };
        let offset = *at;
        *at += channels;
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

    /// The batch statistics in the plan's order, zero where a norm did not run.
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

/// The channels of `x` where a block that only moves them puts them.
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

/// Takes tensors off a flat vector one after another.
struct Cursor {
    all: Tensor<1>,
    at: usize,
}

impl Cursor {
    fn take<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        let length = shape.iter().product();
        let part = self.all.clone().narrow(0, self.at, length).reshape(shape);
        self.at += length;
        part
    }
}
