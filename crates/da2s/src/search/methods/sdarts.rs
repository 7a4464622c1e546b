//! SDARTS: the weights train with a perturbed mixture, so that they work for all mixtures close to
//! that of α.
//!
//! Reference: Chen, Hsieh, "Stabilizing Differentiable Architecture Search via Perturbation-based
//! Regularization", ICML 2020: L_train(w, p + δ) with ‖δ‖_∞ ≤ ε; RS draws δ uniformly, ADV takes
//! seven steps of 2ε/7 along the sign of the gradient from there, each projected back
//! (`perturbation.rs`). As in its code, ε increases linearly from 0.03 to `search.perturbation`,
//! 0.3, and p + δ is clipped and divided by its sum. α moves along the gradient of its own,
//! unperturbed mixture.

use crate::search::method::SearchMethod;
use crate::search::moment::Moment;
use crate::search::perturbation::Perturbation;
use crate::search::settings::SearchSettings;

/// ε at the start of the search.
const FIRST: f64 = 0.03;

/// The method: ε at the end of the search, and the number of ascent steps after the draw of δ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sdarts {
    last: f64,
    steps: usize,
}

impl Sdarts {
    pub(super) fn random(settings: &SearchSettings) -> Self {
        Self {
            last: settings.perturbation,
            steps: 0,
        }
    }

    pub(super) fn adversarial(settings: &SearchSettings) -> Self {
        Self {
            steps: 7,
            ..Self::random(settings)
        }
    }
}

impl SearchMethod for Sdarts {
    fn perturbs(&self, moment: Moment) -> Option<Perturbation> {
        let first = FIRST.min(self.last);
        Some(Perturbation {
            radius: first + (self.last - first) * moment.share(),
            steps: self.steps,
        })
    }
}
