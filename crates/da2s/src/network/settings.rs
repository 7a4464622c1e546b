//! The settings of the final network itself, and of the plain networks that it is compared with.
//! The settings of their training are [`TrainSettings`](crate::retrain::TrainSettings).

use da2s_settings::{Allowed, POSITIVE, Setting, at_least, settings, whole, words};

use super::Resource;
use crate::backbone::{NetworkSize, Stem};
use crate::data::ImageShape;
use crate::space::{PlainNetwork, Reductions, SpaceSettings};

/// Baselines by name.
const BASELINES: Allowed = Allowed::List {
    item: &PlainNetwork::KIND.value(),
    least: 1,
    distinct: true,
};

settings! {
    /// The final network: its stem and cells.
    pub struct NetworkShape {
        /// The stem.
        skeleton: Stem = Stem::Cifar;
        /// Channels of the first cells; in the spaces `mobile` and `plain` those of the stem. All
        /// others are in proportion to them.
        channels: usize = 16, in whole(2..=4096);
        /// Number of cells; in NAS-Bench-201, cells of each of its three stages. The chain of the
        /// spaces `mobile` and `plain` is one cell.
        cells: usize = 5, in whole(1..=1000);
        /// Which cells halve the image, in the form of `search.reduction_cells`.
        reduction_cells: Reductions = Reductions::THIRDS;
        /// How many times as wide a searched network of the space `mobile` may become: after the
        /// search it gets as many channels as all limits of the target allow, up to this multiple
        /// of `network.channels`. 1 keeps `network.channels`.
        ///
        /// Without limits the width stays. With `target.latency_table`, only widths whose
        /// blocks are all in the table are considered.
        widen_up_to: f64 = 2.0, in at_least(1.0);
        /// Whether the network has an auxiliary head during training.
        auxiliary: bool = false;
    }
}

words! {
    /// A cost of the final network.
    #[strum(serialize_all = "kebab-case")]
    pub enum BaselineMatch {
        /// Multiply-adds for one image.
        MultiplyAdds,
        /// Parameters.
        Parameters,
        /// Bytes of the weights, stored in `target.precision`.
        Size,
        /// Time for one image by `target.latency_table`. Only widths whose blocks are all in the
        /// table are considered.
        Latency,
    }
}

settings! {
    /// Networks that are trained after the final network, to compare it with: the same from other
    /// seeds, and plain ones.
    pub struct BaselineSettings {
        /// Number of trainings of the final network, each from its own seed, for the mean and the
        /// standard deviation of its accuracy; unset is 1.
        ///
        /// The trainings differ in initial weights, order of the images and augmentation, and share
        /// the split of the images. The first one is the network of the run.
        seeds: Option<usize> = None, in whole(1..=100), may_change on resume;
        /// Plain networks to train after the final network by the same recipe, for comparison.
        baselines: Option<Vec<PlainNetwork>> = None, in BASELINES, named "baselines", may_change on resume;
        /// The cost that limits the width of a baseline: it may not be higher than that of the
        /// final network. Unset is `multiply-adds`.
        baseline_match: Option<BaselineMatch> = None, may_change on resume;
        /// Width of the baselines, regardless of their cost and of the target's limits; unset makes
        /// each as wide as `network.baseline_match` allows.
        ///
        /// At width 1 a baseline has its published number of channels.
        baseline_width: Option<f64> = None, in POSITIVE, named "baseline_width", may_change on resume;
    }
}

impl BaselineSettings {
    /// Number of trainings of the final network.
    pub fn trainings(&self) -> usize {
        self.seeds.unwrap_or(1)
    }

    /// The cost that limits the width of the baselines.
    pub fn matched(&self) -> Resource {
        match self.baseline_match {
            None | Some(BaselineMatch::MultiplyAdds) => Resource::MultiplyAdds,
            Some(BaselineMatch::Parameters) => Resource::Parameters,
            Some(BaselineMatch::Size) => Resource::Size,
            Some(BaselineMatch::Latency) => Resource::Latency,
        }
    }
}

impl NetworkShape {
    /// The sizes of a network of `space` for images of `shape` in `classes` classes.
    pub fn size(&self, space: &SpaceSettings, shape: ImageShape, classes: usize) -> NetworkSize {
        NetworkSize {
            stem: self.skeleton,
            channels: self.channels,
            cells: self.cells,
            reductions: self.reduction_cells.clone(),
            image_channels: shape.channels,
            image_size: shape.height,
            classes,
            auxiliary: self.auxiliary,
            chain: space.chain(),
        }
    }
}
