//! Candidate operations: their names as in DARTS (Liu, Simonyan, Yang 2019) and the blocks that compute them.
//!
//! To add an operation, add a variant; CONTRIBUTING.md lists the places that know them.

use da2s_plan::{Block, PoolKind};
use da2s_settings::{Allowed, Kind, Setting, Word};
use serde::{Deserialize, Serialize};

/// A candidate operation of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Zero.
    None,
    /// 3×3 maximum.
    #[serde(rename = "max_pool_3x3")]
    MaxPool3x3,
    /// 3×3 mean.
    #[serde(rename = "avg_pool_3x3")]
    AvgPool3x3,
    /// Identity; a factorised reduce where the image shrinks.
    SkipConnect,
    /// 3×3 separable convolution, twice.
    #[serde(rename = "sep_conv_3x3")]
    SepConv3x3,
    /// 5×5 separable convolution, twice.
    #[serde(rename = "sep_conv_5x5")]
    SepConv5x5,
    /// 3×3 separable convolution of dilation 2.
    #[serde(rename = "dil_conv_3x3")]
    DilConv3x3,
    /// 5×5 separable convolution of dilation 2.
    #[serde(rename = "dil_conv_5x5")]
    DilConv5x5,
    /// ReLU, 1×1 convolution, batch norm (NAS-Bench-201).
    #[serde(rename = "nor_conv_1x1")]
    NorConv1x1,
    /// ReLU, 3×3 convolution, batch norm (NAS-Bench-201).
    #[serde(rename = "nor_conv_3x3")]
    NorConv3x3,
}

/// Where an operation stands: the places differ in the batch norm behind a pool and in the bias of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the super-network of DARTS: a pool is followed by batch norm.
    Supernet,
    /// In the super-network of NAS-Bench-201: a pool is not, and a convolution has a bias.
    BenchSupernet,
    /// In a final network: neither.
    Network,
}

impl Operation {
    /// Every operation; those of the DARTS space first, in its order.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::MaxPool3x3,
        Self::AvgPool3x3,
        Self::SkipConnect,
        Self::SepConv3x3,
        Self::SepConv5x5,
        Self::DilConv3x3,
        Self::DilConv5x5,
        Self::NorConv1x1,
        Self::NorConv3x3,
    ];

    /// The name in genotypes.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::MaxPool3x3 => "max_pool_3x3",
            Self::AvgPool3x3 => "avg_pool_3x3",
            Self::SkipConnect => "skip_connect",
            Self::SepConv3x3 => "sep_conv_3x3",
            Self::SepConv5x5 => "sep_conv_5x5",
            Self::DilConv3x3 => "dil_conv_3x3",
            Self::DilConv5x5 => "dil_conv_5x5",
            Self::NorConv1x1 => "nor_conv_1x1",
            Self::NorConv3x3 => "nor_conv_3x3",
        }
    }

    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// Whether DARTS spaces have it. NAS-Bench-201's own convolutions are in none: its cells keep their size.
    pub fn in_darts_spaces(self) -> bool {
        !matches!(self, Self::NorConv1x1 | Self::NorConv3x3)
    }

    /// The block that computes the operation at `stride`, and what its weights' names have between the
    /// operation's own prefix and the layer (`.op` where DARTS wraps the layers once more).
    pub fn block(self, stride: usize, place: Place) -> (Block, &'static str) {
        let pool = |kind| Block::Pool {
            kind,
            kernel: 3,
            stride,
            padding: 1,
            norm: place == Place::Supernet,
        };
        let separable = |kernel, dilation, stages| {
            (
                Block::Separable {
                    kernel,
                    stride,
                    dilation,
                    stages,
                },
                ".op",
            )
        };
        // NAS-Bench-201's super-network convolves with a bias, its final network without.
        let normal = |kernel| {
            (
                Block::Conv {
                    relu: true,
                    kernel,
                    stride,
                    padding: kernel / 2,
                    bias: place == Place::BenchSupernet,
                    norm: true,
                },
                ".op",
            )
        };
        match self {
            Self::None => (Block::Zero { stride }, ""),
            Self::MaxPool3x3 => (pool(PoolKind::Max), ""),
            Self::AvgPool3x3 => (pool(PoolKind::Average), ""),
            Self::SkipConnect if stride == 1 => (Block::Identity, ""),
            Self::SkipConnect => (Block::FactorizedReduce, ""),
            Self::SepConv3x3 => separable(3, 1, 2),
            Self::SepConv5x5 => separable(5, 1, 2),
            Self::DilConv3x3 => separable(3, 2, 1),
            Self::DilConv5x5 => separable(5, 2, 1),
            Self::NorConv1x1 => normal(1),
            Self::NorConv3x3 => normal(3),
        }
    }
}

impl Operation {
    /// The operation that `block` computes in a final network, if it computes one.
    pub fn in_network(block: Block) -> Option<Self> {
        let computes = |operation: &Self| (1..=2).any(|stride| operation.block(stride, Place::Network).0 == block);
        Self::ALL.into_iter().find(computes)
    }
}

impl Setting for Operation {
    const KIND: Kind = Kind::Value(Allowed::Words(|| {
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
        for operation in Operation::ALL {
            for stride in [1, 2] {
                let (block, _) = operation.block(stride, Place::Network);
                assert_eq!(Operation::in_network(block), Some(operation));
            }
        }
        assert_eq!(Operation::in_network(Block::Norm), None);
    }
}
