//! Candidate operations: their names as in DARTS (Liu, Simonyan, Yang 2019) and the blocks that
//! compute them. Inverted bottlenecks (Sandler et al., "MobileNetV2", 2018) are named after their
//! kernel and expansion, as in FBNet (Wu et al. 2019): `mbconv_k5_e3`, or `mbconv_k5_e3_se` with
//! squeeze-and-excitation (Howard et al., "Searching for MobileNetV3", 2019). Residual blocks (He
//! et al., "Identity Mappings in Deep Residual Networks", 2016) are `resblock_k3`.
//!
//! An operation is a row of the table below. A new one built from existing blocks needs only a row:
//! spaces, genotypes, the engine and the exports follow from it.

use da2s_plan::{ActivationFunction, Block, PoolKind};
use da2s_settings::{Allowed, FieldKind, Setting, Word};
use serde::{Deserialize, Serialize};

use crate::SpaceName;

/// Declares [`Operation`] from rows: documentation, variant, name, whether it can halve an image,
/// and the block that computes it at a stride in a host network.
macro_rules! operations {
    ($($(#[$documentation:meta])* $variant:ident = $name:literal, $halves:literal, $block:expr;)*) => {
        /// A candidate operation of an edge.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Operation {
            $($(#[$documentation])* #[serde(rename = $name)] $variant,)*
        }

        impl Operation {
            /// Every operation; those of the DARTS space first, in its order.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name in genotypes.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whether it can halve an image. The DARTS space, whose reduction cells require this,
            /// has only such operations.
            pub fn halves(self) -> bool {
                match self {
                    $(Self::$variant => $halves,)*
                }
            }

            fn computed_by(self) -> fn(usize, HostNetwork) -> Block {
                match self {
                    $(Self::$variant => $block,)*
                }
            }
        }
    };
}

operations! {
    /// Zero.
    None = "none", true, |stride, _| Block::Zero { stride };
    /// 3×3 maximum.
    MaxPool3x3 = "max_pool_3x3", true, |stride, place| pool(PoolKind::Max, 3, stride, place);
    /// 3×3 mean.
    AvgPool3x3 = "avg_pool_3x3", true, |stride, place| pool(PoolKind::Average, 3, stride, place);
    /// Identity; a factorised reduce where the image shrinks.
    SkipConnect = "skip_connect", true, |stride, _| if stride == 1 { Block::Identity } else { Block::FactorizedReduce };
    /// 3×3 separable convolution, twice.
    SepConv3x3 = "sep_conv_3x3", true, |stride, _| separable(3, 1, 2, stride);
    /// 5×5 separable convolution, twice.
    SepConv5x5 = "sep_conv_5x5", true, |stride, _| separable(5, 1, 2, stride);
    /// 3×3 separable convolution of dilation 2.
    DilConv3x3 = "dil_conv_3x3", true, |stride, _| separable(3, 2, 1, stride);
    /// 5×5 separable convolution of dilation 2.
    DilConv5x5 = "dil_conv_5x5", true, |stride, _| separable(5, 2, 1, stride);
    /// ReLU, 1×1 convolution, batch norm (NAS-Bench-201).
    NorConv1x1 = "nor_conv_1x1", false, |stride, place| convolution(1, stride, place);
    /// ReLU, 3×3 convolution, batch norm (NAS-Bench-201).
    NorConv3x3 = "nor_conv_3x3", false, |stride, place| convolution(3, stride, place);
    /// 3×3 inverted bottleneck of expansion 1.
    MbConvK3E1 = "mbconv_k3_e1", true, |stride, _| bottleneck(3, 1, stride);
    /// 3×3 inverted bottleneck of expansion 3.
    MbConvK3E3 = "mbconv_k3_e3", true, |stride, _| bottleneck(3, 3, stride);
    /// 3×3 inverted bottleneck of expansion 6.
    MbConvK3E6 = "mbconv_k3_e6", true, |stride, _| bottleneck(3, 6, stride);
    /// 5×5 inverted bottleneck of expansion 1.
    MbConvK5E1 = "mbconv_k5_e1", true, |stride, _| bottleneck(5, 1, stride);
    /// 5×5 inverted bottleneck of expansion 3.
    MbConvK5E3 = "mbconv_k5_e3", true, |stride, _| bottleneck(5, 3, stride);
    /// 5×5 inverted bottleneck of expansion 6.
    MbConvK5E6 = "mbconv_k5_e6", true, |stride, _| bottleneck(5, 6, stride);
    /// 7×7 inverted bottleneck of expansion 1.
    MbConvK7E1 = "mbconv_k7_e1", true, |stride, _| bottleneck(7, 1, stride);
    /// 7×7 inverted bottleneck of expansion 3.
    MbConvK7E3 = "mbconv_k7_e3", true, |stride, _| bottleneck(7, 3, stride);
    /// 7×7 inverted bottleneck of expansion 6.
    MbConvK7E6 = "mbconv_k7_e6", true, |stride, _| bottleneck(7, 6, stride);
    /// The same as `mbconv_k3_e1`, with squeeze-and-excitation.
    MbConvK3E1Se = "mbconv_k3_e1_se", true, |stride, _| squeezed(bottleneck(3, 1, stride));
    /// The same as `mbconv_k3_e3`, with squeeze-and-excitation.
    MbConvK3E3Se = "mbconv_k3_e3_se", true, |stride, _| squeezed(bottleneck(3, 3, stride));
    /// The same as `mbconv_k3_e6`, with squeeze-and-excitation.
    MbConvK3E6Se = "mbconv_k3_e6_se", true, |stride, _| squeezed(bottleneck(3, 6, stride));
    /// The same as `mbconv_k5_e1`, with squeeze-and-excitation.
    MbConvK5E1Se = "mbconv_k5_e1_se", true, |stride, _| squeezed(bottleneck(5, 1, stride));
    /// The same as `mbconv_k5_e3`, with squeeze-and-excitation.
    MbConvK5E3Se = "mbconv_k5_e3_se", true, |stride, _| squeezed(bottleneck(5, 3, stride));
    /// The same as `mbconv_k5_e6`, with squeeze-and-excitation.
    MbConvK5E6Se = "mbconv_k5_e6_se", true, |stride, _| squeezed(bottleneck(5, 6, stride));
    /// The same as `mbconv_k7_e1`, with squeeze-and-excitation.
    MbConvK7E1Se = "mbconv_k7_e1_se", true, |stride, _| squeezed(bottleneck(7, 1, stride));
    /// The same as `mbconv_k7_e3`, with squeeze-and-excitation.
    MbConvK7E3Se = "mbconv_k7_e3_se", true, |stride, _| squeezed(bottleneck(7, 3, stride));
    /// The same as `mbconv_k7_e6`, with squeeze-and-excitation.
    MbConvK7E6Se = "mbconv_k7_e6_se", true, |stride, _| squeezed(bottleneck(7, 6, stride));
    /// Nothing: only the residual of a layer remains, so the layer vanishes (FBNet).
    Skip = "skip", false, |stride, _| Block::Zero { stride };
    /// ReLU, 3×3 convolution, batch norm, twice, in a layer of the space `mobile` (He et al.,
    /// "Identity Mappings in Deep Residual Networks", 2016).
    ResBlockK3 = "resblock_k3", true, |stride, _| Block::Basic { kernel: 3, stride };
    /// The same in a layer of the space `plain`, whose shortcut also changes size and channels.
    BasicBlock = "basic_block", true, |stride, _| Block::Basic { kernel: 3, stride };
    /// ReLU, 3×3 depthwise convolution, batch norm, ReLU, 1×1 convolution, batch norm (DS-CNN).
    DsConv3x3 = "ds_conv_3x3", true, |stride, _| depthwise_separable(3, stride);
}

/// The network that contains an operation: networks differ in the batch norm after a pool and in
/// the bias of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostNetwork {
    /// The super-network of DARTS: a pool is followed by batch norm.
    Supernet,
    /// The super-network of NAS-Bench-201: a pool has no batch norm, and a convolution has a bias.
    NasBench201Supernet,
    /// A final network: neither.
    Network,
}

fn pool(kind: PoolKind, kernel: usize, stride: usize, place: HostNetwork) -> Block {
    Block::Pool {
        kind,
        kernel,
        stride,
        padding: kernel / 2,
        norm: place == HostNetwork::Supernet,
    }
}

fn separable(kernel: usize, dilation: usize, stages: usize, stride: usize) -> Block {
    Block::Separable {
        kernel,
        stride,
        dilation,
        stages,
    }
}

fn bottleneck(kernel: usize, expansion: usize, stride: usize) -> Block {
    Block::InvertedBottleneck {
        relu: false,
        kernel,
        stride,
        expansion,
        activation: ActivationFunction::Relu,
        squeeze: false,
    }
}

/// `block` with squeeze-and-excitation.
fn squeezed(block: Block) -> Block {
    match block {
        Block::InvertedBottleneck {
            relu,
            kernel,
            stride,
            expansion,
            activation,
            squeeze: _,
        } => Block::InvertedBottleneck {
            relu,
            kernel,
            stride,
            expansion,
            activation,
            squeeze: true,
        },
        other => other,
    }
}

/// An inverted bottleneck that expands nothing and has no residual.
fn depthwise_separable(kernel: usize, stride: usize) -> Block {
    Block::InvertedBottleneck {
        relu: true,
        kernel,
        stride,
        expansion: 1,
        activation: ActivationFunction::Relu,
        squeeze: false,
    }
}

fn convolution(kernel: usize, stride: usize, place: HostNetwork) -> Block {
    Block::Conv {
        relu: true,
        kernel,
        stride,
        padding: kernel / 2,
        bias: place == HostNetwork::NasBench201Supernet,
        norm: true,
    }
}

impl Operation {
    /// The operation called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// The block that computes the operation at `stride`, and the part of its weights' names
    /// between the operation's prefix and the layer (`.op` if DARTS wraps the layers once more).
    pub fn block(self, stride: usize, place: HostNetwork) -> (Block, &'static str) {
        let block = self.computed_by()(stride, place);
        let wrapped = matches!(block, Block::Separable { .. } | Block::Conv { .. });
        (block, if wrapped { ".op" } else { "" })
    }

    /// Whether it has squeeze-and-excitation.
    pub fn squeezes(self) -> bool {
        let (block, _) = self.block(1, HostNetwork::Network);
        matches!(block, Block::InvertedBottleneck { squeeze: true, .. })
    }

    /// The operation of `space` that `block` computes in a final network, if it computes one. The
    /// activation function belongs to the network.
    pub fn in_network(block: Block, space: SpaceName) -> Option<Self> {
        let block = block.with_activation(ActivationFunction::Relu);
        let computes = |operation: &Self| operation.block(block.stride(), HostNetwork::Network).0 == block;
        Self::ALL.into_iter().filter(|&one| space.has(one)).find(computes)
    }
}

impl Setting for Operation {
    const KIND: FieldKind = FieldKind::Value(Allowed::Words(|| {
        let word = |operation: Self| Word {
            name: operation.name(),
            doc: None,
        };
        Self::ALL.map(word).to_vec()
    }));
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_agree_with_serde() {
        for operation in Operation::ALL {
            assert_eq!(Operation::from_name(operation.name()), Some(operation));
            assert_eq!(serde_json::to_value(operation).unwrap(), operation.name());
        }
        assert_eq!(Operation::from_name("sep_conv_9x9"), None);
    }

    #[test]
    fn a_block_tells_its_operation() {
        for space in [
            SpaceName::Darts,
            SpaceName::NasBench201,
            SpaceName::Mobile,
            SpaceName::Plain,
        ] {
            // A network does not compute `skip`.
            let own = |operation: &Operation| space.has(*operation) && *operation != Operation::Skip;
            for operation in Operation::ALL.into_iter().filter(own) {
                for stride in 1..=4 {
                    let (block, _) = operation.block(stride, HostNetwork::Network);
                    assert_eq!(Operation::in_network(block, space), Some(operation));
                    let swish = block.with_activation(ActivationFunction::HardSwish);
                    assert_eq!(Operation::in_network(swish, space), Some(operation));
                }
            }
            assert_eq!(Operation::in_network(Block::Norm, space), None);
        }
    }
}
