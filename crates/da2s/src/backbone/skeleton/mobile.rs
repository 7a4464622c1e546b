//! The skeleton of the space `mobile`: a stem, one cell with the complete chain of layers, a 1×1
//! convolution, batch norm and ReLU before the global mean.
//!
//! Reference: Sandler et al., "MobileNetV2", CVPR 2018, table 2; as in ProxylessNAS, the first
//! bottleneck, of expansion 1, is not searched. Contract: every slot reads the previous one.

use da2s_engine::{Block, CellPlan, CellPlanBuilder};

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
    let head = head(channels, chain.scaled(chain.head_channels, size.channels));
    let contents = [
        (chain.stem_stride, Content::Fixed(stem(size))),
        (stride, Content::Cell(cell)),
        (1, Content::Fixed(head)),
    ]
    .map(|(stride, content)| (String::new(), stride, content));
    Skeleton::in_line(size, contents)
}

/// 3×3 convolution, batch norm, and a bottleneck that begins with ReLU.
fn stem(size: &NetworkSize) -> CellPlan {
    let convolution = Block::Conv {
        relu: false,
        kernel: 3,
        stride: size.chain.stem_stride,
        padding: 1,
        bias: false,
        norm: true,
    };
    let bottleneck = Block::InvertedBottleneck {
        relu: true,
        kernel: 3,
        stride: 1,
        expansion: 1,
    };
    CellPlanBuilder::new(true)
        .input(size.image_channels)
        .node(size.channels)
        .node(size.chain.after_stem(size.channels))
        .edge(0, 1, [(convolution, "stem".to_owned(), 0)])
        .edge(1, 2, [(bottleneck, "stem".to_owned(), 2)])
        .output([2])
}

fn head(inputs: usize, outputs: usize) -> CellPlan {
    let convolution = Block::Conv {
        relu: false,
        kernel: 1,
        stride: 1,
        padding: 0,
        bias: false,
        norm: true,
    };
    CellPlanBuilder::new(true)
        .input(inputs)
        .node(outputs)
        .edge(0, 1, [(convolution, "head".to_owned(), 0)])
        .output([1])
}
