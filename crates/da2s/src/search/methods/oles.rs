//! OLES: freezes operations whose weights no longer learn anything that holds on other images.
//!
//! Reference: Jiang, Ji, Zhu, Yuan, Huang, "Operation-Level Early Stopping for Robustifying
//! Differentiable NAS", NeurIPS 2023. The weights of an operation have a gradient on the images
//! that train weights, and one on the images that train the architecture. If the cosine between
//! these two, averaged over 20 steps, is below `search.freeze_below` (0.4 in the paper), the
//! operation is frozen permanently (`freezing.rs`). Contract: each operation of each cell is
//! treated separately. There is one cosine for all weights of an operation in a cell, while the
//! paper's code computes one for each output of each kernel, and averages these.

use crate::search::method::SearchMethod;
use crate::search::settings::SearchSettings;

/// The method and the mean cosine below which an operation is frozen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Oles {
    freeze_below: f64,
}

impl Oles {
    pub(super) fn new(settings: &SearchSettings) -> Self {
        let freeze_below = settings.freeze_below;
        Self { freeze_below }
    }
}

impl SearchMethod for Oles {
    fn freezes_below(&self) -> Option<f64> {
        Some(self.freeze_below)
    }
}
