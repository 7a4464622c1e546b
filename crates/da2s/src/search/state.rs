//! Everything that a search changes: what a checkpoint holds.

use burn::optim::AdamState;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::backbone::{Backbone, Statistics, Weights};
use crate::config::SearchSettings;
use crate::objective::Target;
use crate::random::Purpose;
use crate::space::{CellKind, Space};
use crate::supernet::ArchParams;
use crate::train::Sgd;

/// The state of a search.
#[derive(Clone, Debug)]
pub struct SearchState {
    /// Weights of the super-network.
    pub weights: Weights,
    /// Its running statistics.
    pub statistics: Statistics,
    /// α and β.
    pub arch: ArchParams,
    /// The optimiser of the weights.
    pub sgd: Sgd,
    /// Adam's moments of α and β.
    pub arch_moments: ArchMoments,
    /// Where the search stands.
    pub progress: SearchProgress,
}

/// Where a search stands, and the sums of the epoch under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchProgress {
    /// Epochs that are done.
    pub epochs_done: usize,
    /// Steps of the epoch under way that are done.
    pub steps_done: usize,
    /// Sum of the weight steps' losses.
    pub weight_loss: f64,
    /// Architecture steps among them.
    pub arch_steps: usize,
    /// Sum of the architecture steps' losses.
    pub arch_loss: f64,
    /// Sum of the weight steps' cross-entropies.
    pub cross_entropy: f64,
    /// Samples of the weight steps that were right.
    pub correct: usize,
    /// Sum of the gradients' norms.
    pub gradient_norm: f64,
}

/// Adam's moments of α and β of one kind of cell.
#[derive(Clone, Default)]
pub struct KindMoments {
    /// Of α.
    pub alpha: Option<AdamState<2>>,
    /// Of β.
    pub beta: Option<AdamState<1>>,
}

/// Adam's moments of α and β.
#[derive(Clone, Debug, Default)]
pub struct ArchMoments {
    /// Of normal cells.
    pub normal: KindMoments,
    /// Of reduction cells.
    pub reduction: KindMoments,
}

impl std::fmt::Debug for KindMoments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "KindMoments {{ alpha: {}, beta: {} }}",
            self.alpha.is_some(),
            self.beta.is_some()
        )
    }
}

impl ArchMoments {
    /// Of one kind.
    pub fn kind(&self, kind: CellKind) -> &KindMoments {
        match kind {
            CellKind::Normal => &self.normal,
            CellKind::Reduction => &self.reduction,
        }
    }

    /// Of one kind, to be changed.
    pub fn kind_mut(&mut self, kind: CellKind) -> &mut KindMoments {
        match kind {
            CellKind::Normal => &mut self.normal,
            CellKind::Reduction => &mut self.reduction,
        }
    }
}

impl SearchState {
    /// The state before the first step.
    pub fn new(
        backbone: &Backbone,
        space: &Space,
        target: &Target,
        settings: &SearchSettings,
        seed: u64,
        device: &Device,
    ) -> Self {
        Self {
            weights: Weights::new(backbone, seed, Purpose::Weights, device),
            statistics: Statistics::new(backbone, device),
            arch: ArchParams::new(space, target, seed, device),
            sgd: Sgd::new(settings.momentum, settings.weight_decay, settings.gradient_clip),
            arch_moments: ArchMoments::default(),
            progress: SearchProgress::default(),
        }
    }
}
