//! Every setting of a run, with its default. The defaults are those of the main job, the embedded digits.
//!
//! Published values are those of Tian et al. 2021 and Liu, Simonyan, Yang 2019; `configs/*.toml` hold them for
//! other data sets.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::{Augmentation, BadImages, Format};
use crate::network::Skeleton;
use crate::objective::{Hardening, Regulariser, TargetSpec};
use crate::search::Method;
use crate::space::{Operation, Reductions, SpaceName};

/// Everything that decides a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which images.
    pub data: DataSettings,
    /// What may be searched.
    pub space: SpaceSettings,
    /// What is to be left.
    pub target: TargetSpec,
    /// How it is searched.
    pub search: SearchSettings,
    /// What is measured when the search is pruned.
    pub discretize: DiscretizeSettings,
    /// What is trained in the end, and how.
    pub network: NetworkSettings,
    /// Seed and machine.
    pub run: RunSettings,
}

/// Which images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// The format.
    pub dataset: Format,
    /// The folder, for all but the embedded digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Side in pixels to which images are resized; absent keeps a data set's own size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,
    /// Channels, 1 or 3; absent keeps a data set's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// At most so many training images, the same share of each class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// At most so many test images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<usize>,
    /// Part of the shorter side of a folder's image that is seen, as a centred square.
    pub centre_crop: f32,
    /// A folder's images are kept in memory if they need no more than this, otherwise read when needed.
    pub memory_limit_bytes: u64,
    /// What happens to a folder's images that cannot be decoded.
    pub bad_images: BadImages,
    /// Share of the training images that the architecture is searched on; the rest trains the weights.
    pub arch_fraction: f64,
    /// Share of the training images that is set aside to choose the epoch of the final network; 0 takes the last.
    pub validation_fraction: f64,
}

/// What may be searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpaceSettings {
    /// The space.
    pub name: SpaceName,
    /// Whether `none` is a candidate of the DARTS space.
    pub none: bool,
    /// The candidates of the DARTS space in their order; absent takes its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<Operation>>,
    /// Nodes of a cell of the DARTS space.
    pub nodes: usize,
}

/// A learning rate of α or β: a number, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rate {
    /// As given.
    Fixed(f64),
    /// From the number of steps behind the warm-up, so that a parameter can move as far as in the published setting.
    Auto(Auto),
}

/// The word `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// See [`Rate::Auto`].
    Auto,
}

impl Rate {
    /// The rate for a search in which α and β make `steps` steps behind the warm-up. The published 3e-4 stands for 16,380 steps.
    pub fn resolve(self, steps: usize) -> f64 {
        match self {
            Self::Fixed(rate) => rate,
            Self::Auto(Auto::Auto) => 3e-4 * 16_380.0 / steps.max(1) as f64,
        }
    }
}

/// How it is searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchSettings {
    /// The method.
    pub method: Method,
    /// Epochs, T.
    pub epochs: usize,
    /// The epoch, from 1, from which on α trains, E; 0 is 1.
    pub warmup_epochs: usize,
    /// Images a half-step, of each process.
    pub batch_size: usize,
    /// The super-network's stem.
    pub skeleton: Skeleton,
    /// Channels of the first cells of the super-network.
    pub channels: usize,
    /// Cells of the super-network; in NAS-Bench-201 of each of its three stages.
    pub cells: usize,
    /// Which of them reduce, counted from 0.
    pub reduction_cells: Reductions,
    /// Of how many channels one passes through the candidates, the others around them; absent is 4 for PC-DARTS and 1, which is all,
    /// for the other methods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_channels: Option<usize>,
    /// Whether α and β train on the images of the weights, and the others are only watched.
    pub one_level: bool,
    /// Whether the gradient of α and β is that through one step of the weights.
    pub second_order: bool,
    /// Learning rate of the weights at the start.
    pub learning_rate: f64,
    /// Learning rate of the weights at the end of the cosine.
    pub learning_rate_min: f64,
    /// Momentum of the weights.
    pub momentum: f64,
    /// Weight decay of the weights.
    pub weight_decay: f64,
    /// Largest norm of the weights' gradient.
    pub gradient_clip: f64,
    /// Learning rate of α.
    pub alpha_rate: Rate,
    /// Learning rate of β.
    pub beta_rate: Rate,
    /// Steps of the weights for one of α and β.
    pub arch_every: usize,
    /// What moves α and β.
    pub arch_optimizer: ArchOptimizerName,
    /// Momentum of α and β under SGD.
    pub arch_momentum: f64,
    /// Adam's decay of the mean of α's and β's gradient.
    pub arch_beta_1: f64,
    /// Adam's decay of its square.
    pub arch_beta_2: f64,
    /// Weight decay of α and β.
    pub arch_weight_decay: f64,
    /// Held-out images on which each epoch's accuracy and gap are watched; 0 takes all.
    pub monitor_images: usize,
    /// What drives the mixture of DA²S and its halves toward the target; the other methods have nothing that does.
    pub schedule: ScheduleName,
    /// Share of the epochs by which a search that ends undecided goes on, at most.
    pub extra_epochs: f64,
    /// The path of the schedule `adaptive`.
    pub hardening: Hardening,
    /// Strengths and schedules of the regulariser, which the schedule `published` uses.
    pub regulariser: Regulariser,
    /// Weight of FairDARTS's zero-one loss.
    pub zero_one_weight: f64,
    /// Temperature of GDAS in the first epoch.
    pub temperature_first: f64,
    /// Temperature of GDAS in the last epoch.
    pub temperature_last: f64,
    /// Weight in the loss of the share by which the expected cost is above its limit (`target.max_multiply_adds`, `target.max_parameters`).
    pub limit_weight: f64,
    /// What is done to training images.
    pub augmentation: Augmentation,
}

/// What drives the mixture of DA²S toward the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleName {
    /// The regulariser, with strengths that depend on the epoch alone.
    Published,
    /// A closed loop: see [`Hardening`].
    Adaptive,
}

/// What moves α and β.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArchOptimizerName {
    /// Adam, as in DARTS.
    Adam,
    /// SGD with momentum.
    Sgd,
}

/// What is measured when the search is pruned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscretizeSettings {
    /// Held-out images on which it is measured what each edge costs by itself, two evaluations an edge; 0 measures none, nor what each
    /// undecided choice costs.
    pub edge_images: usize,
}

/// What is trained in the end, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSettings {
    /// The stem.
    pub skeleton: Skeleton,
    /// Channels of the first cells.
    pub channels: usize,
    /// Cells; in NAS-Bench-201 of each of its three stages.
    pub cells: usize,
    /// Which of them reduce, counted from 0.
    pub reduction_cells: Reductions,
    /// Whether an auxiliary head trains along.
    pub auxiliary: bool,
    /// Weight of its loss.
    pub auxiliary_weight: f64,
    /// Probability p of drop-path that is risen to: p·(t − 1)/T in epoch t of T.
    pub drop_path: f64,
    /// Label smoothing.
    pub label_smoothing: f64,
    /// Epochs.
    pub epochs: usize,
    /// Images a step, of each process.
    pub batch_size: usize,
    /// Learning rate at the start, or behind its warm-up.
    pub learning_rate: f64,
    /// How the learning rate falls.
    pub decay: Decay,
    /// Epochs over which the learning rate rises to its start.
    pub warmup_epochs: usize,
    /// Momentum.
    pub momentum: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Largest norm of the gradient.
    pub gradient_clip: f64,
    /// What is done to training images.
    pub augmentation: Augmentation,
}

/// How a learning rate falls over the epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Half a cosine, to 0.
    Cosine,
    /// Straight, to 0.
    Linear,
    /// By 0.97 an epoch.
    Exponential,
}

/// Seed and machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunSettings {
    /// Seed of everything random.
    pub seed: u64,
    /// Threads of the CPU; 0 takes one a core. Results do not depend on it.
    pub threads: usize,
    /// Device: `cpu`, or `cuda`, `rocm`, `metal`, `vulkan` where compiled in, with `:1` for the second of its kind.
    pub device: String,
    /// Implementation of the cells.
    pub engine: EngineName,
    /// What happens when a loss or a gradient is not finite.
    pub on_nan: OnNan,
}

/// What happens when a loss or a gradient is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNan {
    /// The stage ends with an error; the last checkpoint stays.
    Stop,
    /// It goes back to the last checkpoint and on with half the learning rates, a few times at most.
    Rollback,
}

/// Implementation of the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// The fused kernels on the CPU and on GPUs, the plain path where there are none.
    Auto,
    /// Burn's own operations: the reference path.
    Plain,
    /// The fused kernels with 512-bit vectors.
    Avx512,
    /// The fused kernels with 256-bit vectors and fused multiply-add.
    Avx2,
    /// The fused kernels with the vectors of AArch64.
    Neon,
    /// The fused kernels as the compiler makes them of plain loops.
    Portable,
}

impl EngineName {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::Plain,
        Self::Avx512,
        Self::Avx2,
        Self::Neon,
        Self::Portable,
    ];

    /// The word in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Plain => "plain",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// The engine of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            dataset: Format::Digits,
            dir: None,
            image_size: None,
            channels: None,
            limit: None,
            test_limit: None,
            centre_crop: 1.0,
            memory_limit_bytes: 4 << 30,
            bad_images: BadImages::Refuse,
            arch_fraction: 0.5,
            validation_fraction: 0.0,
        }
    }
}

impl Default for SpaceSettings {
    fn default() -> Self {
        Self {
            name: SpaceName::Darts,
            none: false,
            operations: None,
            nodes: 4,
        }
    }
}

impl SearchSettings {
    /// Of how many channels one passes through the candidates.
    pub fn partial(&self) -> usize {
        self.partial_channels
            .unwrap_or_else(|| self.method.build(self).partial_channels())
    }
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self {
            method: Method::Da2s,
            epochs: 30,
            warmup_epochs: 5,
            batch_size: 64,
            skeleton: Skeleton::Cifar,
            channels: 8,
            cells: 3,
            reduction_cells: Reductions::THIRDS,
            partial_channels: None,
            one_level: false,
            second_order: false,
            learning_rate: 0.025,
            learning_rate_min: 0.001,
            momentum: 0.9,
            weight_decay: 3e-4,
            gradient_clip: 5.0,
            alpha_rate: Rate::Fixed(0.03),
            beta_rate: Rate::Fixed(0.03),
            arch_every: 1,
            arch_optimizer: ArchOptimizerName::Adam,
            arch_momentum: 0.9,
            arch_beta_1: 0.5,
            arch_beta_2: 0.999,
            arch_weight_decay: 1e-3,
            monitor_images: 1000,
            schedule: ScheduleName::Published,
            extra_epochs: 0.0,
            hardening: Hardening::default(),
            regulariser: Regulariser {
                lambda: 1.0,
                ..Regulariser::default()
            },
            zero_one_weight: 10.0,
            temperature_first: 10.0,
            temperature_last: 0.1,
            limit_weight: 10.0,
            augmentation: Augmentation::default(),
        }
    }
}

impl Default for DiscretizeSettings {
    fn default() -> Self {
        Self { edge_images: 256 }
    }
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            skeleton: Skeleton::Cifar,
            channels: 16,
            cells: 5,
            reduction_cells: Reductions::THIRDS,
            auxiliary: false,
            auxiliary_weight: 0.4,
            drop_path: 0.0,
            label_smoothing: 0.0,
            epochs: 25,
            batch_size: 64,
            learning_rate: 0.025,
            decay: Decay::Cosine,
            warmup_epochs: 0,
            momentum: 0.9,
            weight_decay: 3e-4,
            gradient_clip: 5.0,
            augmentation: Augmentation::default(),
        }
    }
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            threads: 0,
            device: "cpu".to_owned(),
            engine: EngineName::Auto,
            on_nan: OnNan::Stop,
        }
    }
}
