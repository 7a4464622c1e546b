//! Blocks: the few differentiable pieces that every candidate operation, stem and head is made of.
//!
//! A block maps one image tensor to one image tensor. Its weights and batch-norm statistics live in
//! the flat vectors of the [`CellPlan`](crate::CellPlan) that holds it; [`Block::weight_slots`] and
//! [`Block::norm_slots`] fix their order, names (those of the DARTS family of PyTorch code) and shapes.

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
    /// The input's channels spread over the output's as a channel shuffle of `groups` groups spreads channels `first..` of
    /// what it shuffles (Xu et al., "PC-DARTS", 2020, section 3.2): of C channels, channel i goes to
    /// (i mod C/groups)·groups + i div (C/groups). The output's other channels are zero.
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

/// What a weight tensor is for; decides how it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightRole {
    /// Convolution kernel: uniform in ±1/√fan_in (PyTorch's default).
    Kernel {
        /// Inputs that one output sums over.
        fan_in: usize,
    },
    /// Bias of a convolution: uniform in ±1/√fan_in.
    Bias {
        /// Inputs that one output sums over.
        fan_in: usize,
    },
    /// Scale of a batch norm: 1.
    Gamma,
    /// Shift of a batch norm: 0.
    Beta,
}

/// One weight tensor of a block, relative to the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightSlot {
    /// Name behind the block's prefix, for example `.1.weight`.
    pub name: String,
    /// Shape, PyTorch order `[out, in / groups, height, width]` for kernels.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: WeightRole,
}

/// One batch norm of a block, relative to the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormSlot {
    /// Name behind the block's prefix, for example `.3` (then `.running_mean`, `.running_var`).
    pub name: String,
    /// Number of channels.
    pub channels: usize,
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

    /// For a block that only moves channels: which input channel each output channel is; `None` is zero.
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

    /// The block's weights in the order in which they lie in the flat weight vector.
    ///
    /// `first` is the index of the block's first layer in its PyTorch `Sequential`.
    pub fn weight_slots(self, inputs: usize, outputs: usize, affine: bool, first: usize) -> Vec<WeightSlot> {
        let mut slots = Vec::new();
        let kernel = |name: String, shape: [usize; 4]| WeightSlot {
            name,
            shape: shape.to_vec(),
            role: WeightRole::Kernel {
                fan_in: shape[1] * shape[2] * shape[3],
            },
        };
        let affine_slots = |name: String, channels: usize| {
            affine
                .then(|| {
                    [(WeightRole::Gamma, "weight"), (WeightRole::Beta, "bias")].map(|(role, part)| WeightSlot {
                        name: format!("{name}.{part}"),
                        shape: vec![channels],
                        role,
                    })
                })
                .into_iter()
                .flatten()
        };
        match self {
            Self::Zero { .. } | Self::Identity | Self::Take { .. } | Self::Shuffle { .. } => {}
            Self::Norm => slots.extend(affine_slots(format!(".{first}"), outputs)),
            Self::Pool { norm, .. } => {
                if norm {
                    slots.extend(affine_slots(format!(".{}", first + 1), outputs));
                }
            }
            Self::FactorizedReduce => {
                let half = outputs / 2;
                slots.push(kernel(".conv_1.weight".into(), [half, inputs, 1, 1]));
                slots.push(kernel(".conv_2.weight".into(), [outputs - half, inputs, 1, 1]));
                slots.extend(affine_slots(".bn".into(), outputs));
            }
            Self::Conv {
                relu,
                kernel: side,
                bias,
                norm,
                ..
            } => {
                let at = first + usize::from(relu);
                slots.push(kernel(format!(".{at}.weight"), [outputs, inputs, side, side]));
                if bias {
                    slots.push(WeightSlot {
                        name: format!(".{at}.bias"),
                        shape: vec![outputs],
                        role: WeightRole::Bias {
                            fan_in: inputs * side * side,
                        },
                    });
                }
                if norm {
                    slots.extend(affine_slots(format!(".{}", at + 1), outputs));
                }
            }
            Self::Separable {
                kernel: side, stages, ..
            } => {
                for stage in 0..stages {
                    let at = first + 4 * stage;
                    let to = if stage + 1 == stages { outputs } else { inputs };
                    slots.push(kernel(format!(".{}.weight", at + 1), [inputs, 1, side, side]));
                    slots.push(kernel(format!(".{}.weight", at + 2), [to, inputs, 1, 1]));
                    slots.extend(affine_slots(format!(".{}", at + 3), to));
                }
            }
        }
        slots
    }

    /// The block's batch norms in order.
    pub fn norm_slots(self, inputs: usize, outputs: usize, first: usize) -> Vec<NormSlot> {
        let slot = |name: String, channels: usize| NormSlot { name, channels };
        match self {
            Self::Zero { .. } | Self::Identity | Self::Take { .. } | Self::Shuffle { .. } => Vec::new(),
            Self::Norm => vec![slot(format!(".{first}"), outputs)],
            Self::Pool { norm, .. } if norm => vec![slot(format!(".{}", first + 1), outputs)],
            Self::Conv { relu, norm, .. } if norm => {
                vec![slot(format!(".{}", first + usize::from(relu) + 1), outputs)]
            }
            Self::Pool { .. } | Self::Conv { .. } => Vec::new(),
            Self::FactorizedReduce => vec![slot(".bn".into(), outputs)],
            Self::Separable { stages, .. } => (0..stages)
                .map(|stage| {
                    let to = if stage + 1 == stages { outputs } else { inputs };
                    slot(format!(".{}", first + 4 * stage + 3), to)
                })
                .collect(),
        }
    }

    /// Multiply-adds for one image of `side` × `side` pixels (batch norm and pooling count nothing, as
    /// the field counts them).
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
