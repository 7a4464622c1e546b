//! OLES: freezes operations whose weights no longer learn anything that holds on other images.
//!
//! Reference: Jiang, Ji, Zhu, Yuan, Huang, "Operation-Level Early Stopping for Robustifying
//! Differentiable NAS", NeurIPS 2023: the mean over 20 steps of the cosine between the gradients of
//! an operation's weights on the weights' images and on the architecture's; a mean below
//! `search.freeze_below` (0.4 in the paper) freezes the operation permanently (`freezing.rs`).
//! Contract: cosines are over all weights of an operation in one cell, while its code averages
//! those of each kernel's outputs; each operation of each cell is treated separately.

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
