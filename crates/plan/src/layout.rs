//! The positions of a block's weights and batch norms in the flat vectors of its plan, and their
//! names.
//!
//! Contract: this is the only place that defines them; plans, engines and exports use it. Names are
//! those of the DARTS family of PyTorch code; kernels have the shape `[out, in / groups, height,
//! width]`.

use crate::block::Block;
use crate::cell::{Choice, Norm, Weight};

/// Bytes of the scale and the bias of a channel whose weights are int8.
pub const SCALE_AND_BIAS: usize = 8;

/// What a weight tensor is used for; determines its initial values.
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

/// The convolutions and the batch norms of a block, each in the order in which they are applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The convolutions.
    pub convolutions: Vec<ConvolutionWeights>,
    /// The batch norms.
    pub norms: Vec<NormWeights>,
    /// The two convolutions of squeeze-and-excitation, if there is one; their weights and biases
    /// are adjacent.
    pub squeeze: Option<[ConvolutionWeights; 2]>,
    /// Number of weights.
    pub weight_count: usize,
    /// Number of channels over all batch norms.
    pub norm_channels: usize,
}

/// The weights of a convolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvolutionWeights {
    /// The kernel.
    pub kernel: Weight,
    /// The bias, if there is one.
    pub bias: Option<Weight>,
}

/// The statistics and the weights of a batch norm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormWeights {
    /// The statistics.
    pub statistics: Norm,
    /// Scale and shift, if there are any.
    pub affine: Option<[Weight; 2]>,
}

impl Layout {
    /// Every weight, in the order of the flat vector.
    pub fn weights(&self) -> Vec<&Weight> {
        let convolutions = self.convolutions.iter().chain(self.squeeze.iter().flatten());
        let of_convolutions = convolutions.flat_map(|weights| {
            let ConvolutionWeights { kernel, bias } = weights;
            [Some(kernel), bias.as_ref()].into_iter().flatten()
        });
        let of_norms = self.norms.iter().flat_map(|norm| norm.affine.iter().flatten());
        let mut all: Vec<&Weight> = of_convolutions.chain(of_norms).collect();
        all.sort_by_key(|weight| weight.offset);
        all
    }

    /// Bytes of the weights and of the running statistics in float32.
    pub fn size_bytes(&self) -> u64 {
        const NUMBER: usize = size_of::<f32>();
        ((self.weight_count + 2 * self.norm_channels) * NUMBER) as u64
    }

    /// Bytes of the weights in int8, with a scale and a bias per output of a convolution. Batch
    /// norms are folded into the convolution before them; a block without convolutions has a scale
    /// and a bias per channel of its batch norms.
    pub fn size_int8_bytes(&self) -> u64 {
        let convolutions = self.convolutions.iter().chain(self.squeeze.iter().flatten());
        let kernels = convolutions.map(|weights| &weights.kernel.shape);
        let weights: usize = kernels.clone().map(|shape| shape.iter().product::<usize>()).sum();
        let outputs: usize = kernels.map(|shape| shape[0]).sum();
        let alone = if self.convolutions.is_empty() {
            self.norm_channels
        } else {
            0
        };
        (weights + SCALE_AND_BIAS * (outputs + alone)) as u64
    }
}

impl Block {
    /// The layout of the block, with offsets relative to its first weight and first channel, and
    /// names relative to its prefix. `affine`: its batch norms have a scale and a shift; `first`:
    /// index of its first layer in the PyTorch `Sequential` that it mirrors.
    pub fn layout(self, inputs: usize, outputs: usize, affine: bool, first: usize) -> Layout {
        Layouter::new(affine, "", 0, 0).place(self, inputs, outputs, first)
    }
}

impl Choice {
    /// The layout of the block, with full names and offsets within the plan.
    pub fn layout(&self) -> Layout {
        let layouter = Layouter::new(self.affine, &self.name, self.weight_offset, self.norm_offset);
        layouter.place(self.block, self.inputs, self.outputs, self.first)
    }
}

/// Lays out layers one after another.
struct Layouter<'a> {
    affine: bool,
    prefix: &'a str,
    /// Offsets of the next weight and of the next batch norm.
    next: [usize; 2],
    layout: Layout,
}

impl<'a> Layouter<'a> {
    fn new(affine: bool, prefix: &'a str, weight: usize, norm: usize) -> Self {
        Self {
            affine,
            prefix,
            next: [weight, norm],
            layout: Layout::default(),
        }
    }

    fn place(mut self, block: Block, inputs: usize, outputs: usize, first: usize) -> Layout {
        match block {
            Block::Zero { .. }
            | Block::Identity
            | Block::Relu
            | Block::Relu6
            | Block::HardSwish
            | Block::Take { .. }
            | Block::Shuffle { .. } => {}
            Block::Norm => self.norm(&format!(".{first}"), outputs),
            Block::Pool { norm, .. } => {
                if norm {
                    self.norm(&format!(".{}", first + 1), outputs);
                }
            }
            Block::FactorizedReduce => {
                let half = outputs / 2;
                self.convolution(".conv_1", [half, inputs, 1, 1], false);
                self.convolution(".conv_2", [outputs - half, inputs, 1, 1], false);
                self.norm(".bn", outputs);
            }
            Block::Conv {
                relu,
                kernel,
                bias,
                norm,
                ..
            } => {
                let at = first + usize::from(relu);
                self.convolution(&format!(".{at}"), [outputs, inputs, kernel, kernel], bias);
                if norm {
                    self.norm(&format!(".{}", at + 1), outputs);
                }
            }
            Block::Separable { kernel, stages, .. } => {
                for stage in 0..stages {
                    let at = first + 4 * stage;
                    let to = if stage + 1 == stages { outputs } else { inputs };
                    self.convolution(&format!(".{}", at + 1), [inputs, 1, kernel, kernel], false);
                    self.convolution(&format!(".{}", at + 2), [to, inputs, 1, 1], false);
                    self.norm(&format!(".{}", at + 3), to);
                }
            }
            Block::Basic { kernel, .. } => {
                for (at, from) in [(first + 1, inputs), (first + 4, outputs)] {
                    self.convolution(&format!(".{at}"), [outputs, from, kernel, kernel], false);
                    self.norm(&format!(".{}", at + 1), outputs);
                }
            }
            Block::InvertedBottleneck {
                relu,
                kernel,
                expansion,
                ..
            } => {
                let hidden = inputs * expansion;
                let mut at = first + usize::from(relu);
                if expansion > 1 {
                    self.convolution(&format!(".{at}"), [hidden, inputs, 1, 1], false);
                    self.norm(&format!(".{}", at + 1), hidden);
                    at += 3;
                }
                self.convolution(&format!(".{at}"), [hidden, 1, kernel, kernel], false);
                self.norm(&format!(".{}", at + 1), hidden);
                if let Some((_, squeezed)) = block.squeezed(inputs) {
                    let one = self.convolution_weights(&format!(".{}.fc1", at + 3), [squeezed, hidden, 1, 1], true);
                    let two = self.convolution_weights(&format!(".{}.fc2", at + 3), [hidden, squeezed, 1, 1], true);
                    self.layout.squeeze = Some([one, two]);
                    at += 1;
                }
                self.convolution(&format!(".{}", at + 3), [outputs, hidden, 1, 1], false);
                self.norm(&format!(".{}", at + 4), outputs);
            }
        }
        self.layout
    }

    fn convolution(&mut self, name: &str, shape: [usize; 4], bias: bool) {
        let weights = self.convolution_weights(name, shape, bias);
        self.layout.convolutions.push(weights);
    }

    fn convolution_weights(&mut self, name: &str, shape: [usize; 4], bias: bool) -> ConvolutionWeights {
        let [outputs, inputs, height, width] = shape;
        let fan_in = inputs * height * width;
        let kernel = self.weight(name, "weight", &shape, WeightRole::Kernel { fan_in });
        let bias = bias.then(|| self.weight(name, "bias", &[outputs], WeightRole::Bias { fan_in }));
        ConvolutionWeights { kernel, bias }
    }

    fn norm(&mut self, name: &str, channels: usize) {
        let affine = self.affine.then(|| {
            [("weight", WeightRole::Gamma), ("bias", WeightRole::Beta)]
                .map(|(part, role)| self.weight(name, part, &[channels], role))
        });
        let statistics = Norm {
            name: format!("{}{name}", self.prefix),
            channels,
            offset: self.next[1],
        };
        self.next[1] += channels;
        self.layout.norm_channels += channels;
        self.layout.norms.push(NormWeights { statistics, affine });
    }

    fn weight(&mut self, layer: &str, part: &str, shape: &[usize], role: WeightRole) -> Weight {
        let weight = Weight {
            name: format!("{}{layer}.{part}", self.prefix),
            shape: shape.to_vec(),
            offset: self.next[0],
            role,
        };
        let size: usize = shape.iter().product();
        self.next[0] += size;
        self.layout.weight_count += size;
        weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation_function::ActivationFunction;

    #[test]
    fn weights_and_norms_are_contiguous() {
        let block = Block::Separable {
            kernel: 3,
            stride: 1,
            dilation: 1,
            stages: 2,
        };
        let layout = block.layout(4, 6, true, 0);
        let weights: Vec<(&str, usize)> = layout
            .weights()
            .into_iter()
            .map(|weight| (weight.name.as_str(), weight.offset))
            .collect();
        assert_eq!(
            weights,
            [
                (".1.weight", 0),
                (".2.weight", 36),
                (".3.weight", 52),
                (".3.bias", 56),
                (".5.weight", 60),
                (".6.weight", 96),
                (".7.weight", 120),
                (".7.bias", 126),
            ]
        );
        let norms: Vec<usize> = layout.norms.iter().map(|norm| norm.statistics.offset).collect();
        assert_eq!(
            (norms, layout.weight_count, layout.norm_channels),
            (vec![0, 4], 132, 10)
        );
    }

    #[test]
    fn int8_has_a_byte_per_weight_and_two_numbers_per_channel() {
        let separable = Block::Separable {
            kernel: 3,
            stride: 1,
            dilation: 1,
            stages: 2,
        };
        let layout = separable.layout(4, 6, true, 0);
        // The scales and shifts of the batch norms, 20 numbers, become biases.
        assert_eq!(layout.size_int8_bytes(), (132 - 20) + 8 * (4 + 4 + 4 + 6));
        assert_eq!(layout.size_bytes(), 4 * (132 + 2 * 10));
        let norm = Block::Norm.layout(5, 5, true, 0);
        assert_eq!((norm.size_int8_bytes(), norm.size_bytes()), (8 * 5, 4 * 5 * 4));
        assert_eq!(Block::Identity.layout(5, 5, true, 0).size_int8_bytes(), 0);
    }

    #[test]
    fn squeeze_and_excitation_is_between_the_depthwise_and_the_last_convolution() {
        let block = Block::InvertedBottleneck {
            relu: false,
            kernel: 3,
            stride: 1,
            expansion: 3,
            activation: ActivationFunction::HardSwish,
            squeeze: true,
        };
        let layout = block.layout(3, 5, false, 0);
        let named = |weight: &&Weight| (weight.name.clone(), weight.shape.clone(), weight.offset);
        let weights: Vec<_> = layout.weights().iter().map(named).collect();
        let expected = [
            (".0.weight", vec![9, 3, 1, 1], 0),
            (".3.weight", vec![9, 1, 3, 3], 27),
            (".6.fc1.weight", vec![3, 9, 1, 1], 108),
            (".6.fc1.bias", vec![3], 135),
            (".6.fc2.weight", vec![9, 3, 1, 1], 138),
            (".6.fc2.bias", vec![9], 165),
            (".7.weight", vec![5, 9, 1, 1], 174),
        ];
        assert_eq!(weights, expected.map(|(name, shape, at)| (name.to_owned(), shape, at)));
        assert_eq!(
            (layout.norms[2].statistics.name.as_str(), layout.weight_count),
            (".8", 219)
        );
        assert_eq!(layout.size_int8_bytes(), (219 - 12) + 8 * (9 + 9 + 3 + 9 + 5));
        let pixels = 4 * 4;
        let expected = pixels * (3 * 9 + 9 * 9 + 9 * 5) + 2 * 9 * 3;
        assert_eq!(block.multiply_adds(3, 5, 4, 4), expected);
    }

    #[test]
    fn an_inverted_bottleneck_of_expansion_1_does_not_expand() {
        let names = |expansion, relu| {
            let block = Block::InvertedBottleneck {
                relu,
                kernel: 5,
                stride: 2,
                expansion,
                activation: ActivationFunction::Relu,
                squeeze: false,
            };
            let layout = block.layout(4, 6, false, 0);
            let kernels = layout.convolutions.into_iter().map(|weights| weights.kernel);
            kernels.map(|kernel| (kernel.name, kernel.shape)).collect::<Vec<_>>()
        };
        let expanded = [
            (".0.weight".to_owned(), vec![12, 4, 1, 1]),
            (".3.weight".to_owned(), vec![12, 1, 5, 5]),
            (".6.weight".to_owned(), vec![6, 12, 1, 1]),
        ];
        assert_eq!(names(3, false), expanded);
        let plain = [
            (".1.weight".to_owned(), vec![4, 1, 5, 5]),
            (".4.weight".to_owned(), vec![6, 4, 1, 1]),
        ];
        assert_eq!(names(1, true), plain);
    }
}
