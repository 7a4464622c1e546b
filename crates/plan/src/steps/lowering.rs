//! Lowers cells and their blocks to steps.
//!
//! Contract: a step is added after those whose tensors it reads, and names of tensors are those of
//! the block's layers.

use std::collections::HashMap;

use super::{ConvolutionStep, Operation, SqueezeStep, Step, TensorShape};
use crate::activation_function::ActivationFunction;
use crate::block::Block;
use crate::cell::{CellPlan, Choice};
use crate::layout::{ConvolutionWeights, Layout};

/// A convolution's window.
#[derive(Clone, Copy)]
struct Window {
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: isize,
}

impl Window {
    const POINT: Self = Self {
        kernel: 1,
        stride: 1,
        dilation: 1,
        padding: 0,
    };

    /// Keeps the size at stride 1.
    fn same(kernel: usize, stride: usize, dilation: usize) -> Self {
        Self {
            kernel,
            stride,
            dilation,
            padding: (dilation * (kernel - 1) / 2) as isize,
        }
    }
}

/// The steps so far.
pub(super) struct Lowering {
    image: TensorShape,
    pub(super) steps: Vec<Step>,
    /// Activation functions of tensors.
    activated: HashMap<(usize, ActivationFunction), usize>,
}

impl Lowering {
    /// For an image of this shape; there are no steps yet.
    pub(super) fn new(image: TensorShape) -> Self {
        Self {
            image,
            steps: Vec::new(),
            activated: HashMap::new(),
        }
    }

    fn push(&mut self, place: &str, inputs: Vec<usize>, operation: Operation, shape: TensorShape) -> usize {
        self.steps.push(Step {
            place: place.to_owned(),
            inputs,
            operation,
            activation: None,
            shape,
        });
        self.steps.len()
    }

    fn shape(&self, tensor: usize) -> TensorShape {
        tensor.checked_sub(1).map_or(self.image, |step| self.steps[step].shape)
    }

    /// An activation function of `x`, which several layers may share.
    pub(super) fn activated(&mut self, x: usize, function: ActivationFunction) -> usize {
        if let Some(&known) = self.activated.get(&(x, function)) {
            return known;
        }
        let (place, shape) = (format!("{}.{x}", function.block().name()), self.shape(x));
        let output = self.push(&place, vec![x], Operation::Activation(function), shape);
        self.activated.insert((x, function), output);
        output
    }

    fn relu(&mut self, x: usize) -> usize {
        self.activated(x, ActivationFunction::Relu)
    }

    /// The tensor of a cell on `inputs` of these heights and widths.
    pub(super) fn cell(&mut self, prefix: &str, cell: &CellPlan, inputs: &[usize], sizes: &[(usize, usize)]) -> usize {
        let nodes = cell.node_sizes(sizes);
        let shape = |node: usize| TensorShape {
            channels: cell.node_channels[node],
            size: nodes[node],
        };
        // For each node, the tensors that it sums; once the node has been read, only their sum.
        let mut terms: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (node, (&tensor, block)) in inputs.iter().zip(&cell.preprocess).enumerate() {
            terms[node] = vec![match block {
                Some(choice) => self.block(prefix, choice, tensor, nodes[node]),
                None => tensor,
            }];
        }
        for edge in &cell.edges {
            let computed = |choice: &&Choice| !matches!(choice.block, Block::Zero { .. });
            for choice in edge.choices.iter().filter(computed) {
                let source = self.node(prefix, edge.from, &mut terms[edge.from], shape(edge.from));
                let term = self.block(prefix, choice, source, nodes[edge.to]);
                terms[edge.to].push(term);
            }
        }
        let parts = cell.output.iter();
        let parts: Vec<usize> = parts
            .map(|&node| self.node(prefix, node, &mut terms[node], shape(node)))
            .collect();
        match parts.as_slice() {
            [one] => *one,
            _ => {
                let whole = TensorShape {
                    channels: cell.output_channels(),
                    size: cell.output.first().map_or((0, 0), |&node| nodes[node]),
                };
                self.push(&format!("{prefix}output"), parts, Operation::Concatenation, whole)
            }
        }
    }

    /// The tensor of a node.
    fn node(&mut self, prefix: &str, node: usize, terms: &mut Vec<usize>, shape: TensorShape) -> usize {
        let place = format!("{prefix}node.{node}");
        let tensor = match terms.as_slice() {
            [one] => *one,
            [] => self.push(&place, Vec::new(), Operation::Zeros, shape),
            many => self.push(&place, many.to_vec(), Operation::Sum, shape),
        };
        *terms = vec![tensor];
        tensor
    }

    /// The steps of a block that reads `x` and yields an image of height and width `size`.
    fn block(&mut self, prefix: &str, choice: &Choice, x: usize, size: (usize, usize)) -> usize {
        let Choice { inputs, outputs, .. } = *choice;
        let layout = choice.layout();
        let layers = Layers {
            prefix,
            place: format!("{prefix}{}", choice.name),
            layout: &layout,
        };
        let shape = TensorShape {
            channels: outputs,
            size,
        };
        match choice.block {
            // Only super-networks move channels, and plans with such blocks are refused.
            Block::Identity | Block::Take { .. } | Block::Shuffle { .. } => x,
            Block::Relu => self.relu(x),
            Block::Relu6 => self.activated(x, ActivationFunction::Relu6),
            Block::HardSwish => self.activated(x, ActivationFunction::HardSwish),
            Block::Zero { .. } => self.push(&layers.place, Vec::new(), Operation::Zeros, shape),
            Block::Norm => layers.norm_alone(self, x),
            Block::Pool {
                kind,
                kernel,
                stride,
                padding,
                norm,
            } => {
                let pool = Operation::Pool {
                    kind,
                    kernel,
                    stride,
                    padding,
                };
                let pooled = self.push(&layers.place, vec![x], pool, shape);
                if norm { layers.norm_alone(self, pooled) } else { pooled }
            }
            Block::FactorizedReduce => {
                let x = self.relu(x);
                let half = outputs / 2;
                let parts = [(0, half, 0, 0), (1, outputs - half, -1, half)];
                let parts = parts.map(|(index, outputs, padding, first)| {
                    let window = Window {
                        stride: 2,
                        padding,
                        ..Window::POINT
                    };
                    let norm = layers.norm(0).map(|name| (name, first));
                    layers.convolution(self, x, (inputs, outputs), window, index, norm, size)
                });
                self.push(&layers.place, parts.to_vec(), Operation::Concatenation, shape)
            }
            Block::Conv {
                relu,
                kernel,
                stride,
                padding,
                ..
            } => {
                let x = if relu { self.relu(x) } else { x };
                let window = Window {
                    kernel,
                    stride,
                    dilation: 1,
                    padding: padding as isize,
                };
                layers.convolution(self, x, (inputs, outputs), window, 0, layers.whole_norm(0), size)
            }
            Block::Separable {
                kernel,
                stride,
                dilation,
                stages,
            } => {
                let mut x = x;
                for stage in 0..stages {
                    let to = if stage + 1 == stages { outputs } else { inputs };
                    let window = Window::same(kernel, if stage == 0 { stride } else { 1 }, dilation);
                    x = self.relu(x);
                    x = layers.depthwise(self, x, inputs, window, 2 * stage, None, size);
                    let norm = layers.whole_norm(stage);
                    x = layers.convolution(self, x, (inputs, to), Window::POINT, 2 * stage + 1, norm, size);
                }
                x
            }
            Block::Basic { kernel, stride } => {
                let mut x = x;
                for (index, (from, stride)) in [(inputs, stride), (outputs, 1)].into_iter().enumerate() {
                    x = self.relu(x);
                    let window = Window::same(kernel, stride, 1);
                    x = layers.convolution(self, x, (from, outputs), window, index, layers.whole_norm(index), size);
                }
                x
            }
            Block::InvertedBottleneck {
                relu,
                kernel,
                stride,
                expansion,
                activation,
                squeeze: _,
            } => {
                let hidden = inputs * expansion;
                let mut x = if relu { self.relu(x) } else { x };
                let mut index = 0;
                if expansion > 1 {
                    let before = self.shape(x).size;
                    let norm = layers.whole_norm(0);
                    x = layers.convolution(self, x, (inputs, hidden), Window::POINT, 0, norm, before);
                    x = self.activated(x, activation);
                    index = 1;
                }
                let window = Window::same(kernel, stride, 1);
                x = layers.depthwise(self, x, hidden, window, index, layers.whole_norm(index), size);
                x = self.activated(x, activation);
                x = layers.squeeze(self, x);
                let norm = layers.whole_norm(index + 1);
                layers.convolution(self, x, (hidden, outputs), Window::POINT, index + 1, norm, size)
            }
        }
    }
}

/// The names of a block's weights.
struct Layers<'a> {
    prefix: &'a str,
    place: String,
    layout: &'a Layout,
}

impl Layers<'_> {
    fn norm(&self, index: usize) -> Option<String> {
        let norm = self.layout.norms.get(index)?;
        Some(format!("{}{}", self.prefix, norm.statistics.name))
    }

    fn whole_norm(&self, index: usize) -> Option<(String, usize)> {
        self.norm(index).map(|name| (name, 0))
    }

    /// A batch norm without a convolution.
    fn norm_alone(&self, lowering: &mut Lowering, x: usize) -> usize {
        let shape = lowering.shape(x);
        let step = ConvolutionStep {
            depthwise: true,
            inputs: shape.channels,
            outputs: shape.channels,
            kernel: 1,
            stride: 1,
            dilation: 1,
            padding: 0,
            weights: None,
            bias: None,
            norm: self.whole_norm(0),
        };
        lowering.push(&self.place, vec![x], Operation::Convolution(step), shape)
    }

    /// Squeeze-and-excitation of `x`, if the block has one.
    fn squeeze(&self, lowering: &mut Lowering, x: usize) -> usize {
        let Some(convolutions) = &self.layout.squeeze else {
            return x;
        };
        let named = |name: &str| format!("{}{name}", self.prefix);
        let shape = lowering.shape(x);
        let step = SqueezeStep {
            channels: shape.channels,
            squeezed: convolutions[0].kernel.shape[0],
            weights: convolutions.each_ref().map(|one| {
                let bias = one.bias.as_ref().map_or_else(String::new, |bias| named(&bias.name));
                [named(&one.kernel.name), bias]
            }),
        };
        lowering.push(&self.place, vec![x], Operation::Squeeze(step), shape)
    }

    #[expect(clippy::too_many_arguments, reason = "a convolution has that many")]
    fn depthwise(
        &self,
        lowering: &mut Lowering,
        x: usize,
        channels: usize,
        window: Window,
        index: usize,
        norm: Option<(String, usize)>,
        size: (usize, usize),
    ) -> usize {
        let dense = self.step((channels, channels), window, index, norm);
        let step = ConvolutionStep {
            depthwise: true,
            ..dense
        };
        let shape = TensorShape { channels, size };
        lowering.push(&self.place, vec![x], Operation::Convolution(step), shape)
    }

    #[expect(clippy::too_many_arguments, reason = "a convolution has that many")]
    fn convolution(
        &self,
        lowering: &mut Lowering,
        x: usize,
        channels: (usize, usize),
        window: Window,
        index: usize,
        norm: Option<(String, usize)>,
        size: (usize, usize),
    ) -> usize {
        let shape = TensorShape {
            channels: channels.1,
            size,
        };
        let step = self.step(channels, window, index, norm);
        lowering.push(&self.place, vec![x], Operation::Convolution(step), shape)
    }

    /// The dense convolution number `index` of the block.
    fn step(
        &self,
        (inputs, outputs): (usize, usize),
        window: Window,
        index: usize,
        norm: Option<(String, usize)>,
    ) -> ConvolutionStep {
        let Window {
            kernel,
            stride,
            dilation,
            padding,
        } = window;
        let named = |name: &str| format!("{}{name}", self.prefix);
        let weights: Option<&ConvolutionWeights> = self.layout.convolutions.get(index);
        ConvolutionStep {
            depthwise: false,
            inputs,
            outputs,
            kernel,
            stride,
            dilation,
            padding,
            weights: weights.map(|weights| named(&weights.kernel.name)),
            bias: weights
                .and_then(|weights| weights.bias.as_ref())
                .map(|bias| named(&bias.name)),
            norm,
        }
    }
}
