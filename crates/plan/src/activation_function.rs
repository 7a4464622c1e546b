//! Activation functions: the functions between the layers of an inverted bottleneck.
//!
//! Contract: all are 0 at 0, so the zeros around an image stay zeros.

use serde::{Deserialize, Serialize};

use crate::block::Block;

/// An activation function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationFunction {
    /// max(x, 0).
    #[default]
    Relu,
    /// min(max(x, 0), 6) (Sandler et al., "MobileNetV2", CVPR 2018, section 3.3).
    Relu6,
    /// x · min(max(x + 3, 0), 6) / 6 (Howard et al., "Searching for MobileNetV3", ICCV 2019,
    /// section 5.2).
    HardSwish,
}

impl ActivationFunction {
    /// Whether it is ReLU, the default if a file has no activation function.
    pub fn is_relu(&self) -> bool {
        *self == Self::Relu
    }

    /// A block that computes only this function.
    pub const fn block(self) -> Block {
        match self {
            Self::Relu => Block::Relu,
            Self::Relu6 => Block::Relu6,
            Self::HardSwish => Block::HardSwish,
        }
    }

    /// The end of the names of blocks that have it: nothing for ReLU, otherwise `_relu6` or
    /// `_hard_swish`.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Relu => "",
            Self::Relu6 => "_relu6",
            Self::HardSwish => "_hard_swish",
        }
    }
}
