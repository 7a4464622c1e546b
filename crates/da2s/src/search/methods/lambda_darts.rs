//! Λ-DARTS: the weights are trained such that no layers dominate the choice of operations.
//!
//! Reference: Movahedi, Adabinejad, Imani, Keshavarz, Dehghani, Shakery, Araabi, "Λ-DARTS:
//! Mitigating Performance Collapse by Harmonizing Operation Selection among Cells", ICLR 2023: Λ is
//! the mean cosine of the gradients of the mixture over all pairs of layers; λ(t) Λ is subtracted
//! from the loss of the weights, by central differences (`alignment.rs`). λ increases linearly from
//! 0 to `search.alignment_weight`; the paper has 0.25 in the DARTS space and 0.125 in
//! NAS-Bench-201.

use crate::search::method::SearchMethod;
use crate::search::moment::Moment;
use crate::search::settings::SearchSettings;

/// The method and λ at the end of the search.
#[derive(Clone, Copy, Debug)]
pub(super) struct LambdaDarts {
    weight: f64,
}

impl LambdaDarts {
    pub(super) fn new(settings: &SearchSettings) -> Self {
        let weight = settings.alignment_weight;
        Self { weight }
    }
}

impl SearchMethod for LambdaDarts {
    fn aligns_layers(&self, moment: Moment) -> Option<f64> {
        Some(self.weight * moment.share())
    }
}
