//! Every setting of a run. The defaults are those of the main job, the embedded digits.
//!
//! Published values are those of Tian et al. 2021 and Liu, Simonyan, Yang 2019; `configs/*.toml` hold them for
//! other data sets.

use std::path::PathBuf;

use da2s_settings::{
    Allowed, BELOW_1, COUNT, COUNT_OR_0, FROM_1, Kind, NOT_NEGATIVE, POSITIVE, SHARE, Setting, at_least, settings,
    up_to, whole, within_1, words,
};
use serde::{Deserialize, Serialize};

use crate::data::{Augmentation, BadImages, Format};
use crate::network::Stem;
use crate::objective::{Hardening, Regulariser};
use crate::search::Method;
use crate::space::{Operation, Reductions, SpaceName, TargetSpec};

settings! {
    /// Everything that decides a run.
    pub struct Config {
        /// The images.
        data: DataSettings = DataSettings::default();
        /// The search space.
        space: SpaceSettings = SpaceSettings::default();
        /// The target topology.
        target: TargetSpec = TargetSpec::default();
        /// The search.
        search: SearchSettings = SearchSettings::default();
        /// The discretization.
        discretize: DiscretizeSettings = DiscretizeSettings::default();
        /// The final network and its training.
        network: NetworkSettings = NetworkSettings::default();
        /// Seed and machine.
        run: RunSettings = RunSettings::default();
    }
}

settings! {
    /// The images, and how they are read.
    pub struct DataSettings {
        /// The data set, or the format of your own.
        dataset: Format = Format::Digits;
        /// Folder of the images; the digits and arrays need none.
        dir: Option<PathBuf> = None, named "data_dir", may_change on resume;
        /// Side in pixels to which images are resized.
        ///
        /// Unset keeps a data set's own size; `images` has none, and needs this setting.
        image_size: Option<usize> = None, in whole(1..=4096), named "image_size";
        /// Channels, 1 or 3, to which the images of a folder are decoded.
        ///
        /// Unset is 3. Every other data set allows its own number only.
        channels: Option<usize> = None, in whole(1..=3);
        /// Use at most so many training images, each class in proportion.
        limit: Option<usize> = None, in FROM_1, named "limit";
        /// Use at most so many test images, and so many of a folder's validation images.
        test_limit: Option<usize> = None, in FROM_1;
        /// Share of the shorter side of a folder's image, or of an array, that is used, as a centred square.
        centre_crop: f32 = 1.0, in within_1();
        /// Keep a folder's images in memory if they take no more bytes than this; otherwise read them when needed.
        memory_limit_bytes: u64 = 4 << 30;
        /// What happens to a folder's images that cannot be decoded.
        bad_images: BadImages = BadImages::Refuse;
        /// Share of the training images on which the architecture is searched; the rest trains the weights.
        ///
        /// An epoch is one pass over this share.
        arch_fraction: f64 = 0.5, in SHARE;
        /// Share of the training images that is set aside to choose the epoch of the final network; 0 takes the last epoch.
        validation_fraction: f64 = 0.0, in BELOW_1;
    }
}

/// Candidates of a space.
const OPERATIONS: Allowed = Allowed::List {
    item: &Operation::KIND.value(),
    least: 1,
    distinct: true,
};

settings! {
    /// The search space: what an architecture may become.
    pub struct SpaceSettings {
        /// Search space.
        name: SpaceName = SpaceName::Darts, named "space";
        /// Whether `none` is a candidate of the DARTS space.
        none: bool = false;
        /// The candidates of the DARTS space in their order; unset takes the space's own.
        operations: Option<Vec<Operation>> = None, in OPERATIONS;
        /// Nodes of a cell of the DARTS space.
        nodes: usize = 4, in whole(1..=32);
    }
}

/// A learning rate of α or β: a number, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rate {
    /// As given.
    Fixed(f64),
    /// From the number of steps after the warm-up, so that a parameter can move as far as in the published setting.
    Auto(Auto),
}

words! {
    /// The word `"auto"`.
    #[strum(serialize_all = "lowercase")]
    pub enum Auto {
        /// See [`Rate::Auto`].
        Auto,
    }
}

impl Setting for Rate {
    const KIND: Kind = Kind::Value(Allowed::AnyOf(Self::ALLOWED));
}

impl Rate {
    const ALLOWED: &[Allowed] = &[POSITIVE.in_f32(), Auto::KIND.value()];

    /// The rate for a search in which α and β make `steps` steps after the warm-up. The published 3e-4 stands for 16,380 steps.
    pub fn resolve(self, steps: usize) -> f64 {
        match self {
            Self::Fixed(rate) => rate,
            Self::Auto(Auto::Auto) => 3e-4 * 16_380.0 / steps.max(1) as f64,
        }
    }
}

/// The least temperature by which logits of ordinary size can be divided in numbers of 32 bits.
const TEMPERATURE: Allowed = at_least(1e-30);

settings! {
    /// The search: the super-network, and how its weights, α and β train.
    pub struct SearchSettings {
        /// Search method.
        method: Method = Method::Da2s, named "method";
        /// Epochs of the search.
        epochs: usize = 30, in COUNT, named "search_epochs";
        /// The epoch, from 1, in which α begins to train; 0 is 1. Must be less than `search.epochs`.
        warmup_epochs: usize = 5, in COUNT_OR_0;
        /// Images in a half-step, for each process.
        batch_size: usize = 64, in COUNT;
        /// The super-network's stem.
        skeleton: Stem = Stem::Cifar;
        /// Channels of the super-network's first cells.
        channels: usize = 8, in whole(1..=4096);
        /// Cells of the super-network; in NAS-Bench-201, cells of each of its three stages.
        cells: usize = 3, in whole(1..=1000);
        /// Which cells halve the image: those at 1/3 and 2/3 of the depth, or these, counted from 0.
        reduction_cells: Reductions = Reductions::THIRDS;
        /// K: 1/K of the channels go through the candidates, and the others around them.
        ///
        /// Unset is 4 for `pc-darts`, and 1, which is all channels, for the other methods.
        partial_channels: Option<usize> = None, in whole(1..=64);
        /// Whether α and β train on the images of the weights, and the others are only for evaluation.
        one_level: bool = false;
        /// Whether the gradient of α and β is the one through a step of the weights.
        second_order: bool = false;
        /// Learning rate of the weights at the start.
        learning_rate: f64 = 0.025, in POSITIVE.in_f32();
        /// Learning rate of the weights at the end of the cosine, at most `search.learning_rate`.
        learning_rate_min: f64 = 0.001, in NOT_NEGATIVE;
        /// Momentum of the weights.
        momentum: f64 = 0.9, in BELOW_1.in_f32();
        /// Weight decay of the weights.
        weight_decay: f64 = 3e-4, in NOT_NEGATIVE.in_f32();
        /// Largest norm of the gradient of the weights.
        gradient_clip: f64 = 5.0, in POSITIVE;
        /// Learning rate of α.
        ///
        /// `"auto"` is the published rate for the number of steps: 3e-4 · 16,380 / (steps of α and β after the warm-up).
        alpha_rate: Rate = Rate::Fixed(0.03);
        /// Learning rate of β, as `search.alpha_rate`.
        beta_rate: Rate = Rate::Fixed(0.03);
        /// Steps of the weights for each step of α and β.
        arch_every: usize = 1, in COUNT;
        /// Optimiser of α and β.
        arch_optimizer: ArchOptimizerName = ArchOptimizerName::Adam;
        /// Momentum of α and β under SGD.
        arch_momentum: f64 = 0.9, in BELOW_1.in_f32();
        /// Adam's decay of the mean of the gradients of α and β.
        arch_beta_1: f64 = 0.5, in BELOW_1.in_f32();
        /// Adam's decay of the mean of their squares.
        arch_beta_2: f64 = 0.999, in BELOW_1.in_f32();
        /// Weight decay of α and β.
        arch_weight_decay: f64 = 1e-3, in NOT_NEGATIVE.in_f32();
        /// Held-out images on which accuracy and gap are measured in every epoch; 0 takes all.
        monitor_images: usize = 1000;
        /// What drives the mixture of DA²S, and of its halves, toward the target.
        schedule: ScheduleName = ScheduleName::Published, named "schedule";
        /// Share of its epochs by which a search that ends undecided may continue, as 0.5.
        extra_epochs: f64 = 0.0, in up_to(10.0), named "extra_epochs";
        /// The path of the schedule `adaptive`.
        hardening: Hardening = Hardening::default();
        /// The regulariser of the schedule `published`.
        regulariser: Regulariser = Regulariser::default();
        /// Weight of FairDARTS's zero-one loss.
        zero_one_weight: f64 = 10.0, in NOT_NEGATIVE.in_f32();
        /// Temperature of GDAS in the first epoch.
        temperature_first: f64 = 10.0, in TEMPERATURE;
        /// Temperature of GDAS in the last epoch.
        temperature_last: f64 = 0.1, in TEMPERATURE;
        /// Weight in the loss of the share by which the expected cost is above `target.max_multiply_adds` or `target.max_parameters`.
        limit_weight: f64 = 10.0, in NOT_NEGATIVE.in_f32();
        /// What is done to training images.
        augmentation: Augmentation = Augmentation::default();
    }
}

impl SearchSettings {
    /// K: 1/K of the channels go through the candidates.
    pub fn partial(&self) -> usize {
        self.partial_channels
            .unwrap_or_else(|| self.method.build(self).partial_channels())
    }
}

words! {
    /// What drives the mixture of DA²S toward the target.
    #[strum(serialize_all = "lowercase")]
    pub enum ScheduleName {
        /// The regulariser, with strengths that depend on the epoch alone.
        Published,
        /// A closed loop, see docs/closed_loop.md.
        Adaptive,
    }
}

words! {
    /// What moves α and β.
    #[strum(serialize_all = "lowercase")]
    pub enum ArchOptimizerName {
        /// Adam, as in DARTS.
        Adam,
        /// SGD with momentum.
        Sgd,
    }
}

settings! {
    /// What is measured when the super-network is pruned.
    pub struct DiscretizeSettings {
        /// Held-out images on which the cost of each edge by itself is measured, with two evaluations for each edge.
        ///
        /// 0 measures neither that nor the cost of each undecided choice.
        edge_images: usize = 256;
    }
}

settings! {
    /// The final network, and how it trains.
    pub struct NetworkSettings {
        /// The stem.
        skeleton: Stem = Stem::Cifar;
        /// Channels of the first cells.
        channels: usize = 16, in whole(2..=4096);
        /// Cells; in NAS-Bench-201, cells of each of its three stages.
        cells: usize = 5, in whole(1..=1000);
        /// Which cells halve the image, as `search.reduction_cells`.
        reduction_cells: Reductions = Reductions::THIRDS;
        /// Whether there is an auxiliary head in training.
        auxiliary: bool = false;
        /// Weight of the auxiliary head's loss.
        auxiliary_weight: f64 = 0.4, in NOT_NEGATIVE.in_f32();
        /// Probability p of drop-path at the end: in epoch t of T it is p·(t − 1)/T.
        drop_path: f64 = 0.0, in BELOW_1;
        /// Label smoothing.
        label_smoothing: f64 = 0.0, in BELOW_1;
        /// Epochs of the training of the final network.
        epochs: usize = 25, in COUNT, named "train_epochs";
        /// Images in a step, for each process.
        batch_size: usize = 64, in COUNT;
        /// Learning rate at the start, or after its warm-up.
        learning_rate: f64 = 0.025, in POSITIVE.in_f32();
        /// How the learning rate falls.
        decay: Decay = Decay::Cosine;
        /// Epochs over which the learning rate rises to its start. Must be less than `network.epochs`.
        warmup_epochs: usize = 0, in COUNT_OR_0;
        /// Momentum.
        momentum: f64 = 0.9, in BELOW_1.in_f32();
        /// Weight decay.
        weight_decay: f64 = 3e-4, in NOT_NEGATIVE.in_f32();
        /// Largest norm of the gradient.
        gradient_clip: f64 = 5.0, in POSITIVE;
        /// What is done to training images.
        augmentation: Augmentation = Augmentation::default();
    }
}

words! {
    /// How a learning rate falls over the epochs.
    #[strum(serialize_all = "lowercase")]
    pub enum Decay {
        /// Half a cosine, to 0.
        Cosine,
        /// Straight, to 0.
        Linear,
        /// By the factor 0.97 per epoch.
        Exponential,
    }
}

settings! {
    /// Seed and machine.
    pub struct RunSettings {
        /// Seed of everything random.
        seed: u64 = 1, named "seed";
        /// Threads of the CPU, 0 for one per core; results do not depend on it.
        threads: usize = 0, in whole(0..=4096), named "threads", may_change on resume;
        /// Device: `cpu`, or `cuda`, `rocm`, `metal`, `vulkan` where compiled in; `cuda:1` is the second of its kind.
        device: String = "cpu".to_owned(), named "device", may_change on resume;
        /// Implementation of the cells.
        engine: EngineName = EngineName::Auto, named "engine", may_change on resume;
        /// What happens when a loss or a gradient is not finite.
        on_nan: OnNan = OnNan::Stop, named "on_nan", may_change on resume;
    }
}

words! {
    /// What happens when a loss or a gradient is not finite.
    #[strum(serialize_all = "lowercase")]
    pub enum OnNan {
        /// The stage ends with an error; the last checkpoint stays.
        Stop,
        /// The stage returns to its last checkpoint and continues with half the learning rates, a few times at most.
        Rollback,
    }
}

words! {
    /// Implementation of the cells.
    #[strum(serialize_all = "lowercase")]
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
        /// The fused kernels as the compiler creates them from plain loops.
        Portable,
    }
}
