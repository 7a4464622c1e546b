//! Every setting of a run, with its default. The defaults are those of the main job, the embedded digits.
//!
//! Published values are those of Tian et al. 2021 and Liu, Simonyan, Yang 2019; `configs/*.toml` hold them for
//! other data sets.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::{Augmentation, BadImages, Format};
use crate::network::Skeleton;
use crate::objective::{Regulariser, TargetSpec};
use crate::search::Method;

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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpaceSettings {
    /// Whether `none` is a candidate.
    pub none: bool,
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
    /// The rate for a search with `steps` steps behind the warm-up. The published 3e-4 stands for 16,380 steps.
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
    /// Epochs before α trains, E.
    pub warmup_epochs: usize,
    /// Images a half-step.
    pub batch_size: usize,
    /// The super-network's stem.
    pub skeleton: Skeleton,
    /// Channels of the first cells of the super-network.
    pub channels: usize,
    /// Cells of the super-network.
    pub cells: usize,
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
    /// Adam's decay of the mean of α's and β's gradient.
    pub arch_beta_1: f64,
    /// Adam's decay of its square.
    pub arch_beta_2: f64,
    /// Weight decay of α and β.
    pub arch_weight_decay: f64,
    /// Held-out images on which each epoch's accuracy and gap are watched; 0 takes all.
    pub monitor_images: usize,
    /// Strengths and schedules of the regulariser.
    pub regulariser: Regulariser,
    /// Weight of FairDARTS's zero-one loss.
    pub zero_one_weight: f64,
    /// Temperature of GDAS in the first epoch.
    pub temperature_first: f64,
    /// Temperature of GDAS in the last epoch.
    pub temperature_last: f64,
    /// What is done to training images.
    pub augmentation: Augmentation,
}

/// What is trained in the end, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSettings {
    /// The stem.
    pub skeleton: Skeleton,
    /// Channels of the first cells.
    pub channels: usize,
    /// Cells.
    pub cells: usize,
    /// Whether an auxiliary head trains along.
    pub auxiliary: bool,
    /// Weight of its loss.
    pub auxiliary_weight: f64,
    /// Probability of drop-path in the last epoch; it rises linearly from 0.
    pub drop_path: f64,
    /// Label smoothing.
    pub label_smoothing: f64,
    /// Epochs.
    pub epochs: usize,
    /// Images a step.
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
}

/// Implementation of the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// The fused kernels on the CPU, the plain path elsewhere.
    Auto,
    /// Burn's own operations: the reference path.
    Plain,
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
            learning_rate: 0.025,
            learning_rate_min: 0.001,
            momentum: 0.9,
            weight_decay: 3e-4,
            gradient_clip: 5.0,
            alpha_rate: Rate::Fixed(0.03),
            beta_rate: Rate::Fixed(0.03),
            arch_beta_1: 0.5,
            arch_beta_2: 0.999,
            arch_weight_decay: 1e-3,
            monitor_images: 1000,
            regulariser: Regulariser {
                lambda: 1.0,
                ..Regulariser::default()
            },
            zero_one_weight: 10.0,
            temperature_first: 10.0,
            temperature_last: 0.1,
            augmentation: Augmentation::default(),
        }
    }
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            skeleton: Skeleton::Cifar,
            channels: 16,
            cells: 5,
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
        }
    }
}
