//! Blocks: the few differentiable pieces that make up every candidate operation, stem and head.
//!
//! A block maps one image tensor to one image tensor. Its weights and batch-norm statistics are in
//! the flat vectors of the [`CellPlan`](crate::CellPlan) that contains it; [`Block::layout`] gives
//! their positions.

use serde::{Deserialize, Serialize};

use crate::activation_function::ActivationFunction;

/// Channels of a depthwise convolution for each channel of its squeeze-and-excitation.
const SQUEEZE_REDUCTION: usize = 4;

/// What a block computes. ReLU comes first where a block has one; batch norm comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Block {
    /// Zero, at the stride's output size (the candidate `none`).
    Zero {
        /// Spatial stride.
        stride: usize,
    },
    /// The input itself.
    Identity,
    /// Batch norm alone.
    Norm,
    /// ReLU alone: the shortcut beside a [`Block::Basic`] that keeps size and channels.
    Relu,
    /// [ReLU6](ActivationFunction::Relu6) alone.
    Relu6,
    /// [Hard-swish](ActivationFunction::HardSwish) alone.
    HardSwish,
    /// Channels `first..` of the input, as many as the output has.
    Take {
        /// First channel that is copied.
        first: usize,
    },
    /// A part of a channel shuffle of `groups` groups (Xu et al., "PC-DARTS", 2020, section 3.2).
    /// The shuffle moves channel i of C channels to (i mod C/groups)·groups + i div (C/groups). The
    /// input is channels `first..` of these C; the other channels of the output are zero.
    Shuffle {
        /// Number of groups; divides the output's channels.
        groups: usize,
        /// Position of the input's first channel before the shuffle.
        first: usize,
    },
    /// Max or average pooling, optionally followed by batch norm. Padding never counts.
    Pool {
        /// The value that a window yields.
        kind: PoolKind,
        /// Window side.
        kernel: usize,
        /// Spatial stride.
        stride: usize,
        /// Padding on each side.
        padding: usize,
        /// Whether batch norm follows.
        norm: bool,
    },
    /// ReLU → two 1×1 convolutions of stride 2, the second on the image shifted by one pixel (zero
    /// beyond the border), each yielding half of the channels → concatenation → batch norm.
    FactorizedReduce,
    /// [ReLU →] dense convolution → [batch norm].
    Conv {
        /// Whether ReLU comes first.
        relu: bool,
        /// Kernel side.
        kernel: usize,
        /// Spatial stride.
        stride: usize,
        /// Padding on each side.
        padding: usize,
        /// Whether the convolution has a bias.
        bias: bool,
        /// Whether batch norm follows.
        norm: bool,
    },
    /// `stages` times: ReLU → depthwise k×k → pointwise 1×1 → batch norm. The first stage has the
    /// stride; padding keeps the size at stride 1. Two stages of dilation 1 are `sep_conv_k×k`, one
    /// of dilation 2 is `dil_conv_k×k` (Liu, Simonyan, Yang, "DARTS", 2019, section 3.1).
    Separable {
        /// Kernel side.
        kernel: usize,
        /// Stride of the first stage.
        stride: usize,
        /// Dilation of the depthwise convolution.
        dilation: usize,
        /// How often the sequence is applied.
        stages: usize,
    },
    /// [ReLU →] pointwise to `expansion` times the channels → batch norm → activation → depthwise
    /// k×k → batch norm → activation → pointwise → batch norm (Sandler et al., "MobileNetV2", 2018,
    /// table 1; the residual is an identity beside it). An expansion of 1 has no first pointwise
    /// convolution, as in that paper. Squeeze-and-excitation multiplies each channel after the
    /// depthwise convolution's activation by hard-sigmoid(W₂ ReLU(W₁ m + b₁) + b₂), where m are the
    /// means of the channels over the image (Howard et al., "Searching for MobileNetV3", ICCV 2019,
    /// section 5.3); [`Block::squeezed`] has the size of ReLU(…). The depthwise convolution has the
    /// stride; padding keeps the size at stride 1.
    InvertedBottleneck {
        /// Whether ReLU comes first: where the input is not a linear bottleneck, as after a stem.
        relu: bool,
        /// Kernel side.
        kernel: usize,
        /// Spatial stride.
        stride: usize,
        /// Hidden channels, in multiples of the input's.
        expansion: usize,
        /// The activation function after its first batch norms.
        #[serde(default, skip_serializing_if = "ActivationFunction::is_relu")]
        activation: ActivationFunction,
        /// Whether squeeze-and-excitation follows the depthwise convolution.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        squeeze: bool,
    },
    /// ReLU → k×k convolution → batch norm → ReLU → k×k convolution → batch norm: the residual
    /// branch of ResNet's basic block (He et al., "Deep Residual Learning for Image Recognition",
    /// CVPR 2016, figure 5, left). The first convolution has the stride and the output's channels;
    /// padding keeps the size at stride 1.
    Basic {
        /// Kernel side.
        kernel: usize,
        /// Spatial stride.
        stride: usize,
    },
}

/// The value that a pooling window yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// The largest.
    Max,
    /// The mean of the values inside the image.
    Average,
}

impl Block {
    /// Stride of the whole block.
    pub fn stride(self) -> usize {
        match self {
            Self::Identity
            | Self::Norm
            | Self::Relu
            | Self::Relu6
            | Self::HardSwish
            | Self::Take { .. }
            | Self::Shuffle { .. } => 1,
            Self::FactorizedReduce => 2,
            Self::Zero { stride }
            | Self::Pool { stride, .. }
            | Self::Conv { stride, .. }
            | Self::Separable { stride, .. }
            | Self::InvertedBottleneck { stride, .. }
            | Self::Basic { stride, .. } => stride,
        }
    }

    /// Output side for an input side. Zero if the window does not fit.
    pub fn output_side(self, side: usize) -> usize {
        match self {
            // Padding keeps the side at stride 1.
            Self::Identity
            | Self::Norm
            | Self::Relu
            | Self::Relu6
            | Self::HardSwish
            | Self::Take { .. }
            | Self::Shuffle { .. }
            | Self::Zero { .. }
            | Self::FactorizedReduce
            | Self::Separable { .. }
            | Self::InvertedBottleneck { .. }
            | Self::Basic { .. } => side.div_ceil(self.stride()),
            Self::Pool {
                kernel,
                stride,
                padding,
                ..
            }
            | Self::Conv {
                kernel,
                stride,
                padding,
                ..
            } => (side + 2 * padding)
                .checked_sub(kernel)
                .map_or(0, |room| room / stride + 1),
        }
    }

    /// For a block that only moves channels: the input channel of each output channel; `None` is
    /// zero.
    pub fn channel_map(self, inputs: usize, outputs: usize) -> Option<Vec<Option<usize>>> {
        match self {
            Self::Take { first } => Some((first..first + outputs).map(Some).collect()),
            Self::Shuffle { groups, first } => {
                let size = outputs / groups;
                let mut map = vec![None; outputs];
                for input in 0..inputs {
                    let before = first + input;
                    map[before % size * groups + before / size] = Some(input);
                }
                Some(map)
            }
            Self::Zero { .. }
            | Self::Identity
            | Self::Norm
            | Self::Relu
            | Self::Relu6
            | Self::HardSwish
            | Self::Pool { .. }
            | Self::FactorizedReduce
            | Self::Conv { .. }
            | Self::Separable { .. }
            | Self::InvertedBottleneck { .. }
            | Self::Basic { .. } => None,
        }
    }

    /// Whether drop-path may drop the block: true for all blocks with arithmetic.
    pub fn can_drop(self) -> bool {
        match self {
            Self::Identity
            | Self::Zero { .. }
            | Self::Norm
            | Self::Relu
            | Self::Relu6
            | Self::HardSwish
            | Self::Take { .. }
            | Self::Shuffle { .. } => false,
            Self::Pool { .. }
            | Self::FactorizedReduce
            | Self::Conv { .. }
            | Self::Separable { .. }
            | Self::InvertedBottleneck { .. }
            | Self::Basic { .. } => true,
        }
    }

    /// The activation function inside the block.
    pub const fn activation(self) -> ActivationFunction {
        match self {
            Self::InvertedBottleneck { activation, .. } => activation,
            _ => ActivationFunction::Relu,
        }
    }

    /// The block with this activation function, if it has one.
    #[must_use]
    pub fn with_activation(self, with: ActivationFunction) -> Self {
        match self {
            Self::InvertedBottleneck {
                relu,
                kernel,
                stride,
                expansion,
                activation: _,
                squeeze,
            } => Self::InvertedBottleneck {
                relu,
                kernel,
                stride,
                expansion,
                activation: with,
                squeeze,
            },
            other => other,
        }
    }

    /// Channels of the depthwise convolution, and those to which squeeze-and-excitation reduces
    /// them: a quarter, rounded up; `None` if the block has none.
    pub const fn squeezed(self, inputs: usize) -> Option<(usize, usize)> {
        match self {
            Self::InvertedBottleneck {
                expansion,
                squeeze: true,
                ..
            } => Some((inputs * expansion, (inputs * expansion).div_ceil(SQUEEZE_REDUCTION))),
            _ => None,
        }
    }

    /// Multiply-adds for one image of `height` × `width` pixels. As is usual in the literature,
    /// batch norm and pooling count as zero.
    pub fn multiply_adds(self, inputs: usize, outputs: usize, height: usize, width: usize) -> u64 {
        let (h, w) = (self.output_side(height), self.output_side(width));
        let pixels = (h * w) as u64;
        match self {
            Self::Zero { .. }
            | Self::Identity
            | Self::Norm
            | Self::Relu
            | Self::Relu6
            | Self::HardSwish
            | Self::Take { .. }
            | Self::Shuffle { .. }
            | Self::Pool { .. } => 0,
            Self::FactorizedReduce => pixels * (inputs * outputs) as u64,
            Self::Conv { kernel, .. } => pixels * (inputs * outputs * kernel * kernel) as u64,
            Self::Basic { kernel, .. } => pixels * ((inputs + outputs) * outputs * kernel * kernel) as u64,
            Self::Separable { kernel, stages, .. } => (0..stages)
                .map(|stage| {
                    let to = if stage + 1 == stages { outputs } else { inputs };
                    pixels * (inputs * kernel * kernel + inputs * to) as u64
                })
                .sum(),
            Self::InvertedBottleneck { kernel, expansion, .. } => {
                let hidden = inputs * expansion;
                let expanding = if expansion > 1 {
                    height * width * inputs * hidden
                } else {
                    0
                };
                let squeezing = self.squeezed(inputs).map_or(0, |(_, squeezed)| 2 * hidden * squeezed);
                (expanding + squeezing) as u64 + pixels * (hidden * kernel * kernel + hidden * outputs) as u64
            }
        }
    }
}
