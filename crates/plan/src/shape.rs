//! A block with its sizes: a table of latencies has one line for each.
//!
//! Contract: two blocks with the same shape compute the same function of different weights, so one
//! time stands for both. A block that is a candidate operation has the name of that operation.

use std::fmt;

use crate::block::{Block, PoolKind};
use crate::cell::{CellPlan, CellPlanBuilder};

/// The name of the global mean and the classifier, whose outputs are the classes.
pub const CLASSIFIER: &str = "classifier";

/// A block with its sizes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockShape {
    /// [`Block::name`], or [`CLASSIFIER`].
    pub block: String,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Stride.
    pub stride: usize,
}

impl Block {
    /// The name in tables of latencies. It does not show parts that cost no time: the batch norm
    /// and the bias of a convolution.
    pub fn name(self) -> String {
        match self {
            Self::Zero { .. } => "none".to_owned(),
            Self::Identity => "identity".to_owned(),
            Self::Norm => "norm".to_owned(),
            Self::Relu => "relu".to_owned(),
            Self::Relu6 => "relu6".to_owned(),
            Self::HardSwish => "hard_swish".to_owned(),
            Self::Take { .. } => "take".to_owned(),
            Self::Shuffle { .. } => "shuffle".to_owned(),
            Self::Pool { kind, kernel, .. } => {
                let kind = match kind {
                    PoolKind::Max => "max",
                    PoolKind::Average => "avg",
                };
                format!("{kind}_pool_{kernel}x{kernel}")
            }
            Self::FactorizedReduce => "factorized_reduce".to_owned(),
            Self::Conv { relu, kernel, .. } => format!("{}conv_{kernel}x{kernel}", after_relu(relu)),
            Self::Separable {
                kernel,
                dilation,
                stages,
                ..
            } => match (dilation, stages) {
                (1, 2) => format!("sep_conv_{kernel}x{kernel}"),
                (2, 1) => format!("dil_conv_{kernel}x{kernel}"),
                _ => format!("separable_{kernel}x{kernel}_d{dilation}_n{stages}"),
            },
            Self::InvertedBottleneck {
                relu,
                kernel,
                expansion,
                activation,
                squeeze,
                ..
            } => format!(
                "{}mbconv_k{kernel}_e{expansion}{}{}",
                after_relu(relu),
                if squeeze { "_se" } else { "" },
                activation.suffix()
            ),
            Self::Basic { kernel, .. } => format!("basic_block_k{kernel}"),
        }
    }

    /// The shortcut that belongs to the block if it keeps size and channels: the time of such a
    /// block includes it.
    pub fn shortcut(self, inputs: usize, outputs: usize) -> Option<Self> {
        let keeps_shape = self.stride() == 1 && inputs == outputs;
        match self {
            Self::InvertedBottleneck { relu: false, .. } if keeps_shape => Some(Self::Identity),
            Self::Basic { .. } if keeps_shape => Some(Self::Relu),
            _ => None,
        }
    }

    /// A cell of this block alone, with its shortcut if it has one.
    pub fn alone(self, inputs: usize, outputs: usize) -> CellPlan {
        let choices = [Some(self), self.shortcut(inputs, outputs)].into_iter().flatten();
        CellPlanBuilder::new(true)
            .input(inputs)
            .node(outputs)
            .edge(0, 1, choices.map(|block| (block, String::new(), 0)))
            .output([1])
    }

    /// The block with these sizes.
    pub fn shape(self, inputs: usize, outputs: usize, (height, width): (usize, usize)) -> BlockShape {
        BlockShape {
            block: self.name(),
            inputs,
            outputs,
            height,
            width,
            stride: self.stride(),
        }
    }
}

const fn after_relu(relu: bool) -> &'static str {
    if relu { "relu_" } else { "" }
}

impl fmt::Display for BlockShape {
    /// "mbconv_k3_e6, 24 to 40 channels, 16×16 pixels, stride 2".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            block,
            inputs,
            outputs,
            height,
            width,
            stride,
        } = self;
        write!(
            f,
            "{block}, {inputs} to {outputs} channels, {height}×{width} pixels, stride {stride}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation_function::ActivationFunction;

    #[test]
    fn a_block_is_named_with_its_sizes() {
        let block = Block::InvertedBottleneck {
            relu: false,
            kernel: 5,
            stride: 2,
            expansion: 6,
            activation: ActivationFunction::Relu,
            squeeze: false,
        };
        let text = block.shape(24, 40, (16, 12)).to_string();
        assert_eq!(text, "mbconv_k5_e6, 24 to 40 channels, 16×12 pixels, stride 2");
        let swish = block.with_activation(ActivationFunction::HardSwish);
        assert_eq!(swish.name(), "mbconv_k5_e6_hard_swish");
        assert_eq!(block.shortcut(24, 24), None);
        let basic = Block::Basic { kernel: 3, stride: 1 };
        assert_eq!((basic.shortcut(8, 8), basic.shortcut(8, 9)), (Some(Block::Relu), None));
    }
}
