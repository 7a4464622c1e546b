//! Stems: the stages before the first cell.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS", 2019, and its code for CIFAR and ImageNet. Contract:
//! batch norms with scale and shift.

use da2s_engine::{Block, CellPlan, CellPlanBuilder};
use da2s_settings::words;

use super::{Content, Slot};
use crate::backbone::Source;

words! {
    /// The stem, and with it the image size that a network is built for.
    #[strum(serialize_all = "lowercase")]
    pub enum Stem {
        /// One 3×3 convolution, for small images.
        Cifar,
        /// Stems with a total stride of 8, for images around 224×224.
        Imagenet,
    }
}

/// Channels of the CIFAR stem, as a multiple of a cell's.
const CIFAR_MULTIPLIER: usize = 3;

impl Stem {
    /// The slots before cells with `channels` channels.
    pub(super) fn slots(self, image_channels: usize, channels: usize) -> Vec<Slot> {
        let slot = |source, stride, plan| Slot {
            prefix: String::new(),
            sources: vec![source],
            stride,
            content: Content::Fixed(plan),
        };
        match self {
            Self::Cifar => vec![slot(
                Source::Image,
                1,
                cifar_stem(image_channels, CIFAR_MULTIPLIER * channels),
            )],
            Self::Imagenet => {
                let [first, second] = imagenet_stems(image_channels, channels);
                vec![slot(Source::Image, 4, first), slot(Source::Stage(0), 2, second)]
            }
        }
    }
}

/// The stem for small images: 3×3 convolution to `channels`, batch norm.
pub(super) fn cifar_stem(image_channels: usize, channels: usize) -> CellPlan {
    let block = Block::Conv {
        relu: false,
        kernel: 3,
        stride: 1,
        padding: 1,
        bias: false,
        norm: true,
    };
    CellPlanBuilder::new(true)
        .input(image_channels)
        .node(channels)
        .edge(0, 1, [(block, "stem".to_owned(), 0)])
        .output([1])
}

/// The stems for large images: stride 4 to `channels`, then stride 2.
fn imagenet_stems(image_channels: usize, channels: usize) -> [CellPlan; 2] {
    let conv = |relu| Block::Conv {
        relu,
        kernel: 3,
        stride: 2,
        padding: 1,
        bias: false,
        norm: true,
    };
    let first = CellPlanBuilder::new(true)
        .input(image_channels)
        .node(channels / 2)
        .node(channels)
        .edge(0, 1, [(conv(false), "stem0".to_owned(), 0)])
        .edge(1, 2, [(conv(true), "stem0".to_owned(), 2)])
        .output([2]);
    let second = CellPlanBuilder::new(true)
        .input(channels)
        .node(channels)
        .edge(0, 1, [(conv(true), "stem1".to_owned(), 0)])
        .output([1]);
    [first, second]
}
