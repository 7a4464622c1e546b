//! All settings of a run, combined from those of the modules.

use da2s_settings::{settings, whole, words};

use crate::data::DataSettings;
use crate::device::EngineName;
use crate::discretize::DiscretizeSettings;
use crate::network::{BaselineSettings, NetworkShape};
use crate::retrain::TrainSettings;
use crate::search::SearchSettings;
use crate::space::{SpaceSettings, TargetSpec};

settings! {
    /// All settings of a run.
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
    /// The final network, and how it trains.
    pub struct NetworkSettings {
        ..shape: NetworkShape;
        ..training: TrainSettings;
        ..beside: BaselineSettings;
    }
}

settings! {
    /// Seed and machine.
    pub struct RunSettings {
        /// Seed of everything random.
        seed: u64 = 1, named "seed";
        /// CPU threads; 0 means one per core. Results do not depend on it.
        threads: usize = 0, in whole(0..=4096), named "threads", may_change on resume;
        /// Device: `cpu`, or `cuda`, `rocm`, `metal` or `vulkan` if compiled in; `cuda:1` is the
        /// second GPU.
        device: String = "cpu".to_owned(), named "device", may_change on resume;
        /// Implementation of the cells.
        engine: EngineName = EngineName::Auto, named "engine", may_change on resume;
        /// What happens when a loss or a gradient is not finite.
        on_nan: OnNan = OnNan::Stop, named "on_nan", may_change on resume;
        /// Whether the trained network is timed at the end, one image at a time on one thread.
        ///
        /// `da2s compare` with `--jobs` above 1 turns it off, since runs in parallel slow each
        /// other down, and refuses a flag that turns it on.
        measure_latency: bool = true, may_change on resume;
    }
}

words! {
    /// What happens when a loss or a gradient is not finite.
    #[strum(serialize_all = "lowercase")]
    pub enum OnNan {
        /// The stage ends with an error; the last checkpoint stays.
        Stop,
        /// The stage returns to its last checkpoint and continues with half the learning rates;
        /// after a few attempts it ends with an error.
        Rollback,
    }
}
