//! Stems: what stands before the first cell, of super-networks and final networks alike.
//!
//! Reference: Liu, Simonyan, Yang, "DARTS", 2019, and its code for CIFAR and ImageNet. Contract: batch norms with scale
//! and shift.

use da2s_engine::{Block, Cell, CellPlanBuilder, Engine};
use da2s_settings::words;

use super::{Source, Stage};

words! {
    /// The stem, and with it the image size that a network is built for.
    #[strum(serialize_all = "lowercase")]
    pub enum Skeleton {
        /// One 3×3 convolution, for small images.
        Cifar,
        /// Stems of stride 8 in all, for images around 224×224.
        Imagenet,
    }
}

/// A stem as the first cell sees it.
pub(crate) struct Stem {
    /// Its stages.
    pub stages: Vec<Stage>,
    /// Channels of each of the first cell's inputs.
    pub channels: usize,
    /// Whether the first cell's older input is twice as large as the newer one.
    pub shrunk: bool,
}

/// Channels of the CIFAR stem, in multiples of a cell's.
const CIFAR_MULTIPLIER: usize = 3;

impl Skeleton {
    /// The stem before cells of `channels` channels.
    pub(crate) fn stem(self, image_channels: usize, channels: usize, engine: &Engine) -> Stem {
        match self {
            Self::Cifar => {
                let channels = CIFAR_MULTIPLIER * channels;
                Stem {
                    stages: vec![cifar_stem(image_channels, channels, engine)],
                    channels,
                    shrunk: false,
                }
            }
            // The second stem halves the image once more.
            Self::Imagenet => Stem {
                stages: imagenet_stems(image_channels, channels, engine),
                channels,
                shrunk: true,
            },
        }
    }

    /// Times that the image is halved before the newer input of the first cell.
    pub(crate) const fn halvings(self) -> usize {
        match self {
            Self::Cifar => 0,
            Self::Imagenet => 3,
        }
    }
}

/// What cell `index` reads behind `stems` stages of a stem: the two stages before it; the first cell a single one twice.
pub(crate) fn cell_sources(index: usize, stems: usize) -> Vec<Source> {
    let last = index + stems - 1;
    vec![Source::Stage(last.saturating_sub(1)), Source::Stage(last)]
}

/// The stem for small images: 3×3 convolution and batch norm.
pub(crate) fn cifar_stem(image_channels: usize, channels: usize, engine: &Engine) -> Stage {
    let block = Block::Conv {
        relu: false,
        kernel: 3,
        stride: 1,
        padding: 1,
        bias: false,
        norm: true,
    };
    let plan = CellPlanBuilder::new(true)
        .input(image_channels)
        .node(channels)
        .edge(0, 1, [(block, "stem".to_owned(), 0)])
        .output([1]);
    Stage {
        prefix: String::new(),
        cell: Cell::new(plan, engine),
        sources: vec![Source::Image],
        kind: None,
    }
}

/// The stems for large images: stride 4 to `channels`, then stride 2.
fn imagenet_stems(image_channels: usize, channels: usize, engine: &Engine) -> Vec<Stage> {
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
    let stage = |plan, source| Stage {
        prefix: String::new(),
        cell: Cell::new(plan, engine),
        sources: vec![source],
        kind: None,
    };
    vec![stage(first, Source::Image), stage(second, Source::Stage(0))]
}
