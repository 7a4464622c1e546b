//! The skeleton of the space `mobile`: a stem, one cell with the complete chain of layers, a 1×1
//! convolution, batch norm and the activation function before the global mean.
//!
//! Reference: Sandler et al., "MobileNetV2", CVPR 2018, table 2; as in ProxylessNAS, the first
//! bottleneck, of expansion 1, is not searched. Contract: every slot reads the previous one; an
//! activation function other than ReLU is a block of its own in the stem and the head.

use da2s_engine::{ActivationFunction, Block, CellPlan, CellPlanBuilder};

use super::{CellSlot, Content, NetworkSize, Skeleton};
use crate::space::CellKind;

/// The skeleton for networks of `size`.
pub(super) fn skeleton(size: &NetworkSize) -> Skeleton {
    let chain = &size.chain;
    let last = chain.layers(size.channels).last().copied();
    let channels = last.map_or_else(|| chain.after_stem(size.channels), |layer| layer.outputs);
    let stride = chain.stages.iter().map(|stage| stage.stride).product();
    let cell = CellSlot {
        kind: CellKind::Normal,
        channels,
        stride,
        older_is_larger: false,
    };
    let head = head(
        channels,
        chain.scaled(chain.head_channels, size.channels),
        chain.activation,
    );
    let contents = [
        (chain.stem_stride, Content::Fixed(stem(size))),
        (stride, Content::Cell(cell)),
        (1, Content::Fixed(head)),
    ]
    .map(|(stride, content)| (String::new(), stride, content));
    Skeleton {
        last_relu: chain.activation.is_relu(),
        ..Skeleton::in_line(size, contents)
    }
}

/// 3×3 convolution, batch norm, the activation function, and a bottleneck.
fn stem(size: &NetworkSize) -> CellPlan {
    let convolution = Block::Conv {
        relu: false,
        kernel: 3,
        stride: size.chain.stem_stride,
        padding: 1,
        bias: false,
        norm: true,
    };
    let activation = size.chain.activation;
    let relu = activation.is_relu();
    let bottleneck = Block::InvertedBottleneck {
        relu,
        kernel: 3,
        stride: 1,
        expansion: 1,
        activation,
        squeeze: false,
    };
    let after = size.chain.after_stem(size.channels);
    let begun = CellPlanBuilder::new(true)
        .input(size.image_channels)
        .node(size.channels);
    if relu {
        let convolved = begun.node(after).edge(0, 1, [(convolution, "stem".to_owned(), 0)]);
        let edge = [(bottleneck, "stem".to_owned(), 2)];
        return convolved.edge(1, 2, edge).output([2]);
    }
    begun
        .node(size.channels)
        .node(after)
        .edge(0, 1, [(convolution, "stem".to_owned(), 0)])
        .edge(1, 2, [(activation.block(), String::new(), 0)])
        .edge(2, 3, [(bottleneck, "stem".to_owned(), 3)])
        .output([3])
}

fn head(inputs: usize, outputs: usize, activation: ActivationFunction) -> CellPlan {
    let convolution = Block::Conv {
        relu: false,
        kernel: 1,
        stride: 1,
        padding: 0,
        bias: false,
        norm: true,
    };
    let begun = CellPlanBuilder::new(true).input(inputs).node(outputs);
    let convolution = [(convolution, "head".to_owned(), 0)];
    if activation.is_relu() {
        return begun.edge(0, 1, convolution).output([1]);
    }
    let begun = begun.node(outputs).edge(0, 1, convolution);
    begun.edge(1, 2, [(activation.block(), String::new(), 0)]).output([2])
}
