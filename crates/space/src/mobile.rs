//! The space `mobile`: a chain of stages of inverted bottlenecks.
//!
//! Reference: Sandler et al., "MobileNetV2", CVPR 2018, section 4 (the blocks and the chain); Cai,
//! Zhu, Han, "ProxylessNAS", ICLR 2019, section 4 (what is searched: kernel and expansion of every
//! layer, and which layers are removed); Wu et al., "FBNet", CVPR 2019, section 3.1 (`skip`, a
//! candidate by which a layer is removed); Howard et al., "Searching for MobileNetV3", ICCV 2019
//! (squeeze-and-excitation and hard-swish); He et al., "Identity Mappings in Deep Residual
//! Networks", ECCV 2016 (the residual block of two 3×3 convolutions). Contract: a network is a stem
//! (a 3×3 convolution and a fixed bottleneck of expansion 1), the stages, a 1×1 convolution, the
//! mean, a classifier. The first layer of a stage has its stride and its channels; the others have
//! a residual and may be removed.

use da2s_plan::ActivationFunction;
use da2s_settings::words;
use serde::{Deserialize, Serialize};

use crate::Operation;

/// All candidates that the space can have.
pub(crate) const MOBILE_OPERATIONS: [Operation; 20] = [
    Operation::MbConvK3E1,
    Operation::MbConvK3E3,
    Operation::MbConvK3E6,
    Operation::MbConvK5E1,
    Operation::MbConvK5E3,
    Operation::MbConvK5E6,
    Operation::MbConvK7E1,
    Operation::MbConvK7E3,
    Operation::MbConvK7E6,
    Operation::MbConvK3E1Se,
    Operation::MbConvK3E3Se,
    Operation::MbConvK3E6Se,
    Operation::MbConvK5E1Se,
    Operation::MbConvK5E3Se,
    Operation::MbConvK5E6Se,
    Operation::MbConvK7E1Se,
    Operation::MbConvK7E3Se,
    Operation::MbConvK7E6Se,
    Operation::ResBlockK3,
    Operation::Skip,
];

/// The candidates in the order of α's columns; those with squeeze-and-excitation, `resblock_k3` and
/// `skip` if requested.
pub(crate) fn mobile_candidates(squeeze: bool, residual_blocks: bool, skip: bool) -> Vec<Operation> {
    let is_candidate = |operation: &Operation| match operation {
        Operation::ResBlockK3 => residual_blocks,
        Operation::Skip => skip,
        other => squeeze || !other.squeezes(),
    };
    MOBILE_OPERATIONS.into_iter().filter(is_candidate).collect()
}

/// A stage of a chain, as a row of MobileNetV2's table 2: c, n, s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageShape {
    /// Channels of its layers.
    pub channels: usize,
    /// Number of layers.
    pub layers: usize,
    /// Stride of the first layer.
    pub stride: usize,
}

/// Everything in a network of the space that is not searched, at width 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainShape {
    /// Channels of the stem's convolution. A network with another number scales all channels in
    /// proportion.
    pub stem_channels: usize,
    /// Stride of the stem's convolution.
    pub stem_stride: usize,
    /// The stages.
    pub stages: Vec<StageShape>,
    /// Channels of the convolution after the stages.
    pub head_channels: usize,
    /// Whether it is a chain of the space `plain`: no bottleneck after the stem, no convolution
    /// after the stages, and channels in exact proportion.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain: bool,
    /// The activation function of the whole network.
    #[serde(default, skip_serializing_if = "ActivationFunction::is_relu")]
    pub activation: ActivationFunction,
}

/// A layer of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Its stride.
    pub stride: usize,
}

words! {
    /// Shapes of networks of the space `mobile`, by the side of the images that they are for.
    pub enum ChainPreset {
        /// 32 pixels or less.
        #[strum(serialize = "32px")]
        Pixels32,
        /// 64 pixels.
        #[strum(serialize = "64px")]
        Pixels64,
        /// 96 pixels.
        #[strum(serialize = "96px")]
        Pixels96,
        /// 224 pixels: the chain of ProxylessNAS.
        #[strum(serialize = "224px")]
        Pixels224,
    }
}

impl ChainPreset {
    /// The preset for images with a side of `side` pixels: the smallest one with at least that
    /// side, or the largest one.
    pub const fn of_side(side: usize) -> Self {
        match side {
            0..=32 => Self::Pixels32,
            33..=64 => Self::Pixels64,
            65..=96 => Self::Pixels96,
            97.. => Self::Pixels224,
        }
    }

    /// The shape.
    pub fn shape(self) -> ChainShape {
        let (stem, stages, head_channels): (_, &[[usize; 3]], _) = match self {
            Self::Pixels32 => ([16, 1], &[[24, 3, 2], [40, 4, 2], [80, 4, 2], [96, 2, 1]], 256),
            Self::Pixels64 => ([16, 2], &[[24, 3, 2], [40, 4, 2], [80, 4, 2], [96, 3, 1]], 320),
            Self::Pixels96 => (
                [16, 2],
                &[[24, 3, 2], [40, 4, 2], [80, 4, 2], [96, 3, 1], [160, 3, 2]],
                480,
            ),
            Self::Pixels224 => (
                [32, 2],
                &[[24, 4, 2], [40, 4, 2], [80, 4, 2], [96, 4, 1], [192, 4, 2], [320, 1, 1]],
                1280,
            ),
        };
        ChainShape {
            stem_channels: stem[0],
            stem_stride: stem[1],
            stages: stages.iter().copied().map(StageShape::from).collect(),
            head_channels,
            plain: false,
            activation: ActivationFunction::Relu,
        }
    }
}

impl From<[usize; 3]> for StageShape {
    fn from([channels, layers, stride]: [usize; 3]) -> Self {
        Self {
            channels,
            layers,
            stride,
        }
    }
}

/// Channels are a multiple of this.
const MULTIPLE: usize = 8;

impl ChainShape {
    /// Whether there is no chain, as in other spaces.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Scales `channels` of width 1 to a network whose stem has `stem` channels: the nearest
    /// multiple of 8 that is at most a tenth too small, as in MobileNetV2; in the space `plain` the
    /// nearest number.
    pub fn scaled(&self, channels: usize, stem: usize) -> usize {
        let exact = channels.saturating_mul(stem) as f64 / self.stem_channels.max(1) as f64;
        if self.plain {
            return exact.round().max(1.0) as usize;
        }
        let rounded = (exact / MULTIPLE as f64).round().max(1.0) as usize * MULTIPLE;
        if (rounded as f64) < 0.9 * exact {
            rounded + MULTIPLE
        } else {
            rounded
        }
    }

    /// Channels after a stem whose convolution has `stem` channels: half of them after the
    /// bottleneck of the space `mobile`.
    pub fn after_stem(&self, stem: usize) -> usize {
        if self.plain {
            return stem;
        }
        self.scaled(self.stem_channels / 2, stem)
    }

    /// All layers of a network whose stem has `stem` channels, in order.
    pub fn layers(&self, stem: usize) -> Vec<LayerShape> {
        let mut inputs = self.after_stem(stem);
        let mut layers = Vec::new();
        for stage in &self.stages {
            let outputs = self.scaled(stage.channels, stem);
            for layer in 0..stage.layers {
                let stride = if layer == 0 { stage.stride } else { 1 };
                layers.push(LayerShape {
                    inputs,
                    outputs,
                    stride,
                });
                inputs = outputs;
            }
        }
        layers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_scale_with_those_of_the_stem() {
        let shape = ChainPreset::Pixels224.shape();
        assert_eq!(shape.after_stem(32), 16);
        assert_eq!((shape.scaled(24, 32), shape.scaled(1280, 32)), (24, 1280));
        // 8.25, 13.75, 27.5 and 33 channels; 24 would be more than a tenth below 27.5.
        let narrow = [24, 40, 80, 96].map(|channels| shape.scaled(channels, 11));
        assert_eq!(narrow, [8, 16, 32, 32]);
        let layers = shape.layers(32);
        assert_eq!(layers.len(), 21);
        let first = LayerShape {
            inputs: 16,
            outputs: 24,
            stride: 2,
        };
        assert_eq!((layers[0], layers[20].inputs, layers[20].outputs), (first, 192, 320));
        assert!(
            layers[1..4]
                .iter()
                .all(|layer| layer.stride == 1 && layer.inputs == layer.outputs)
        );
    }
}
