//! Blocks: the few differentiable pieces that every candidate operation, stem and head is made of.
//!
//! A block maps one image tensor to one image tensor. Its weights and batch-norm statistics are in
//! the flat vectors of the [`CellPlan`](crate::CellPlan) that holds it; [`Block::layout`] says
//! where.

use serde::{Deserialize, Serialize};

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
    /// Channels `first..` of the input, as many as the output has.
    Take {
        /// First channel that is read.
        first: usize,
    },
    /// The input's channels spread over the output's as a channel shuffle of `groups` groups
    /// spreads channels `first..` of what it shuffles (Xu et al., "PC-DARTS", 2020, section 3.2):
    /// of C channels, channel i goes to (i mod C/groups)·groups + i div (C/groups). The output's
    /// other channels are zero.
    Shuffle {
        /// Number of groups; divides the output's channels.
        groups: usize,
        /// Place of the input's first channel before the shuffle.
        first: usize,
    },
    /// Max or average pooling, optionally followed by batch norm. Padding never counts.
    Pool {
        /// Which value of the window.
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
    /// ReLU → two 1×1 convolutions of stride 2, the second on the image shifted by one pixel
    /// (zero beyond the border), each to half of the channels → concatenation → batch norm.
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
}

/// Which value a pooling window yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// The largest.
    Max,
    /// The mean of those inside the image.
    Average,
}

impl Block {
    /// Stride of the whole block.
    pub fn stride(self) -> usize {
        match self {
            Self::Identity | Self::Norm | Self::Take { .. } | Self::Shuffle { .. } => 1,
            Self::FactorizedReduce => 2,
            Self::Zero { stride }
            | Self::Pool { stride, .. }
            | Self::Conv { stride, .. }
            | Self::Separable { stride, .. } => stride,
        }
    }

    /// Output side for an input side. Zero when the window does not fit.
    pub fn output_side(self, side: usize) -> usize {
        let window = |kernel: usize, stride: usize, padding: usize| {
            (side + 2 * padding)
                .checked_sub(kernel)
                .map_or(0, |room| room / stride + 1)
        };
        match self {
            Self::Identity | Self::Norm | Self::Take { .. } | Self::Shuffle { .. } => side,
            Self::Zero { stride } | Self::Separable { stride, .. } => side.div_ceil(stride),
            Self::FactorizedReduce => side.div_ceil(2),
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
            } => window(kernel, stride, padding),
        }
    }

    /// For a block that only moves channels: which input channel each output channel is; `None` is
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
            | Self::Pool { .. }
            | Self::FactorizedReduce
            | Self::Conv { .. }
            | Self::Separable { .. } => None,
        }
    }

    /// Whether drop-path may silence the block: everything that computes.
    pub fn can_drop(self) -> bool {
        match self {
            Self::Identity | Self::Zero { .. } | Self::Norm | Self::Take { .. } | Self::Shuffle { .. } => false,
            Self::Pool { .. } | Self::FactorizedReduce | Self::Conv { .. } | Self::Separable { .. } => true,
        }
    }

    /// Multiply-adds for one image of `side` × `side` pixels (batch norm and pooling count nothing,
    /// as the field counts them).
    pub fn multiply_adds(self, inputs: usize, outputs: usize, height: usize, width: usize) -> u64 {
        let (h, w) = (self.output_side(height), self.output_side(width));
        let pixels = (h * w) as u64;
        match self {
            Self::Zero { .. }
            | Self::Identity
            | Self::Norm
            | Self::Take { .. }
            | Self::Shuffle { .. }
            | Self::Pool { .. } => 0,
            Self::FactorizedReduce => pixels * (inputs * outputs) as u64,
            Self::Conv { kernel, .. } => pixels * (inputs * outputs * kernel * kernel) as u64,
            Self::Separable { kernel, stages, .. } => (0..stages)
                .map(|stage| {
                    let to = if stage + 1 == stages { outputs } else { inputs };
                    pixels * (inputs * kernel * kernel + inputs * to) as u64
                })
                .sum(),
        }
    }
}
