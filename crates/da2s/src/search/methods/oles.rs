//! OLES: an operation whose weights no longer learn what holds on other images stops training.
//!
//! Reference: Jiang, Ji, Zhu, Yuan, Huang, "Operation-Level Early Stopping for Robustifying
//! Differentiable NAS", NeurIPS 2023: the mean over 20 steps of the cosine between the gradients of
//! an operation's weights on the weights' images and on the architecture's; one below
//! `search.freeze_below` (0.4 in the paper) freezes the operation for good (`freezing.rs`).
//! Contract: cosines are of all weights of an operation in one cell at once, where its code
//! averages those of each kernel's outputs; each operation of each cell is judged by itself.

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
