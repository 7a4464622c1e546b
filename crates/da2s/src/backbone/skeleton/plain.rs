//! The skeleton of the space `plain`: a stem, one cell with the complete chain of layers, ReLU
//! before the global mean.
//!
//! Reference: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
//! Contract: every slot reads the previous one. Every layer begins with ReLU, so a ReLU comes after
//! every sum, as in the paper.

use da2s_engine::{Block, CellPlanBuilder};

use super::{CellSlot, Content, NetworkSize, Skeleton};
use crate::space::CellKind;

/// The skeleton for networks of `size`.
pub(super) fn skeleton(size: &NetworkSize) -> Skeleton {
    let chain = &size.chain;
    let last = chain.layers(size.channels).last().copied();
    let stride = chain.stages.iter().map(|stage| stage.stride).product();
    let stem = Block::Conv {
        relu: false,
        kernel: 3,
        stride: chain.stem_stride,
        padding: 1,
        bias: false,
        norm: true,
    };
    let stem = CellPlanBuilder::new(true)
        .input(size.image_channels)
        .node(size.channels)
        .edge(0, 1, [(stem, "stem".to_owned(), 0)])
        .output([1]);
    let cell = CellSlot {
        kind: CellKind::Normal,
        channels: last.map_or(size.channels, |layer| layer.outputs),
        stride,
        older_is_larger: false,
    };
    let contents = [(chain.stem_stride, Content::Fixed(stem)), (stride, Content::Cell(cell))]
        .map(|(stride, content)| (String::new(), stride, content));
    Skeleton::in_line(size, contents)
}
