//! Everything that a search changes: the content of a checkpoint.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::dropping::Dropping;
use super::freezing::Freezing;
use super::method::SearchMethod;
use super::settings::SearchSettings;
use crate::arch::ArchParams;
use crate::backbone::{Backbone, Statistics, Weights};
use crate::objective::HardeningState;
use crate::optim::{ArchMoment, Sgd};
use crate::parallel::bytes_of;
use crate::random::Purpose;
use crate::space::{PerKind, Space, Target};

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
    /// The state of the optimiser of α and β.
    pub arch_moments: ArchMoments,
    /// The progress of the search.
    pub progress: SearchProgress,
}

/// The progress of a search, and the sums of the current epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchProgress {
    /// Completed epochs.
    pub epochs_done: usize,
    /// Completed steps of the current epoch.
    pub steps_done: usize,
    /// Sum of the weight steps' losses.
    pub weight_loss: f64,
    /// Number of architecture steps.
    pub arch_steps: usize,
    /// Sum of the architecture steps' losses.
    pub arch_loss: f64,
    /// Sum of the weight steps' cross-entropies.
    pub cross_entropy: f64,
    /// Number of samples that were classified correctly in the weight steps.
    pub correct: usize,
    /// Sum of the gradients' norms.
    pub gradient_norm: f64,
    /// How often the search returned to a checkpoint because of NaN or infinity.
    #[serde(default)]
    pub rollbacks: u32,
    /// The position of the search on the path, if it follows one.
    #[serde(default)]
    pub hardening: HardeningState,
    /// The state of operations that may be frozen.
    #[serde(default, skip_serializing_if = "Freezing::is_empty")]
    pub freezing: Freezing,
    /// What has to be known to remove choices.
    #[serde(default, skip_serializing_if = "Dropping::is_empty")]
    pub dropping: Dropping,
}

/// The optimiser's state for α and β of one kind of cell.
#[derive(Clone, Debug, Default)]
pub struct KindMoments {
    /// Of α.
    pub alpha: Option<ArchMoment<2>>,
    /// Of β.
    pub beta: Option<ArchMoment<1>>,
}

/// The optimiser's state for α and β.
pub type ArchMoments = PerKind<KindMoments>;

impl SearchState {
    /// The state before the first step.
    pub fn new(
        backbone: &Backbone,
        space: &Space,
        target: &Target,
        method: &dyn SearchMethod,
        settings: &SearchSettings,
        seed: u64,
        device: &Device,
    ) -> Self {
        Self {
            weights: Weights::new(backbone, seed, Purpose::Weights, device),
            statistics: Statistics::new(backbone, device),
            arch: ArchParams::new(
                space,
                target,
                |target| method.alpha_start(target, space.operations.len()),
                seed,
                device,
            )
            .without_never(space, |kind| method.link(target.kind(kind)).removed()),
            sgd: Sgd::new(settings.momentum, settings.weight_decay, settings.gradient_clip),
            arch_moments: PerKind::new(space.kinds(), |_| KindMoments::default()),
            progress: SearchProgress::default(),
        }
    }

    /// Weights, statistics, α and β as bytes: these must be equal in every process of a group.
    pub fn bytes(&self) -> Vec<u8> {
        let arch: Vec<Tensor<1>> = self
            .arch
            .kinds()
            .values()
            .flat_map(|kind| [kind.alpha.clone().flatten(0, 1), kind.beta.clone()])
            .collect();
        bytes_of(
            self.weights
                .parts()
                .iter()
                .chain(self.statistics.tensors())
                .chain(&arch),
        )
    }
}
