//! Benchmarks: the time of each unit of work on this machine, by phase, and the memory it needs.
//!
//! Contract: the search and training steps are those of a real run, on the embedded digits
//! resampled to the size of the case. Whole steps are timed first. Their phases, reported by a
//! [`Probe`](da2s::probe::Probe), are timed in as many further steps, because waiting for a GPU at
//! the end of each phase costs time. Measure each [`Case`] in a separate process, since peak memory
//! is per process.

#![forbid(unsafe_code)]

mod blocks;
mod clock;
mod machine;
mod network;
mod search;

pub use clock::{Phase, median};
pub(crate) use machine::peak_gflops;
pub use machine::peak_resident_bytes;

use burn::tensor::Device;
use da2s::data::{DataOptions, Dataset, Format, Loader, Stream, TrainingOrder};
use da2s::device::EngineName;
use da2s::memory::Needs;
use da2s::space::SpaceName;
use da2s::{Error, device};
use da2s_engine::Engine;
use serde::{Deserialize, Serialize};
use strum::VariantArray;

use clock::Times;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// A search step of the published super-network.
    Search,
    /// A search step of a small super-network.
    SearchSmall,
    /// A search step of the super-network of the space `mobile` for images of 32 pixels.
    SearchMobile,
    /// A retraining step of the published network.
    Retrain,
    /// Inference of one image with the published network.
    InferenceOne,
    /// Inference of a batch with the published network.
    InferenceMany,
    /// Forward and backward passes of NAS-Bench-201 super-network cells.
    Nas201Blocks,
}

/// How to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// Name of the device, as accepted by [`device::open`].
    pub device: &'a str,
    /// Implementation of the cells.
    pub engine: EngineName,
    /// Counted repetitions; one uncounted repetition precedes them.
    pub repeat: usize,
}

/// The result of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The case.
    pub case: Case,
    /// Images per repetition; a search step processes twice as many.
    pub batch: usize,
    /// Times of all repetitions, in the order in which they ran.
    pub repetitions_ms: Vec<f64>,
    /// Their median.
    pub median_ms: f64,
    /// Median processor time of a repetition, all threads together; `None` if the system does not
    /// report it.
    #[serde(default)]
    pub processor_ms: Option<f64>,
    /// Medians of the phases, in order.
    pub phases: Vec<Phase>,
    /// Multiply-adds of a forward pass over one image, counted as in the literature.
    pub multiply_adds: u64,
    /// Arithmetic of a repetition in 10⁹ operations: two per multiply-add, including those of
    /// gradients.
    pub gflop: f64,
    /// Arithmetic per second, in 10⁹ operations.
    pub gflops: f64,
    /// What the same threads reach when only arithmetic matters, in 10⁹ operations per second;
    /// `None` on a GPU.
    pub machine_gflops: Option<f64>,
    /// Peak memory of the process; `None` if the system does not report it.
    pub peak_resident_bytes: Option<u64>,
    /// Estimated peak memory; `None` if there is no estimate.
    #[serde(default)]
    pub estimated_bytes: Option<u64>,
}

/// Measurements, and the machine and settings that they were made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of da2s.
    pub version: String,
    /// Name of the device.
    pub device: String,
    /// Instruction set of the CPU kernels.
    pub cpu_level: String,
    /// Threads.
    pub threads: usize,
    /// Implementation of the cells.
    pub engine: EngineName,
    /// The measurements.
    pub cases: Vec<Measurement>,
}

impl Results {
    /// `cases` as measured on `device` with `engine` on the current threads.
    pub fn new(device: &str, engine: EngineName, cases: Vec<Measurement>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            device: device.to_owned(),
            cpu_level: da2s_engine::cpu_level().to_owned(),
            threads: rayon::current_num_threads(),
            engine,
            cases,
        }
    }
}

/// What the module of a case returns.
struct Work {
    times: Times,
    phases: Vec<Phase>,
    multiply_adds: u64,
    /// Arithmetic of a repetition, in units of a forward pass: each kind of gradient counts as one
    /// more forward pass.
    passes: u64,
    /// The estimated memory needs.
    needs: Option<Needs>,
}

/// The device, engine and number of repetitions.
struct Bench {
    device: Device,
    engine: Engine,
    repeat: usize,
}

impl Case {
    /// Every case.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The table of cases: name, images per repetition, description.
    const fn row(self) -> (&'static str, usize, &'static str) {
        match self {
            Self::Search => ("search", 64, "search step, 16 channels, 8 cells, 32×32, batch 64"),
            Self::SearchSmall => ("search-small", 32, "search step, 8 channels, 5 cells, 16×16, batch 32"),
            Self::SearchMobile => (
                "search-mobile",
                64,
                "search step, space mobile, 16 channels in the stem, 32×32, batch 64",
            ),
            Self::Retrain => (
                "retrain",
                32,
                "retraining step, 36 channels, 20 cells, auxiliary head, 32×32, batch 32",
            ),
            Self::InferenceOne => ("inference-1", 1, "inference, 36 channels, 20 cells, 32×32, batch 1"),
            Self::InferenceMany => ("inference-64", 64, "inference, 36 channels, 20 cells, 32×32, batch 64"),
            Self::Nas201Blocks => (
                "nas201-blocks",
                64,
                "NAS-Bench-201 cells, 16, 32 and 64 channels, batch 64",
            ),
        }
    }

    /// The name that users write.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Images per repetition.
    pub const fn batch(self) -> usize {
        self.row().1
    }

    /// A description in one line.
    pub const fn description(self) -> &'static str {
        self.row().2
    }

    /// The case with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|case| case.name() == name)
    }
}

/// Measures `case` on the current threads.
///
/// # Errors
/// If the device is not available or cannot run the engine, or if a loss is not finite.
pub fn measure(case: Case, options: Options<'_>) -> Result<Measurement, Error> {
    let bench = Bench {
        device: device::open(options.device)?,
        engine: device::engine(options.engine, options.device)?,
        repeat: options.repeat,
    };
    let batch = case.batch();
    let search = |space, channels, cells, side| {
        let size = search::Size {
            space,
            channels,
            cells,
            side,
            batch,
        };
        search::step(&bench, size)
    };
    let work = match case {
        Case::Search => search(SpaceName::Darts, 16, 8, 32)?,
        Case::SearchSmall => search(SpaceName::Darts, 8, 5, 16)?,
        Case::SearchMobile => search(SpaceName::Mobile, 16, 1, 32)?,
        Case::Retrain => network::retraining(&bench, network::PUBLISHED, batch)?,
        // A single image takes too little time for the clock: a repetition is the mean of several.
        Case::InferenceOne => network::inference(&bench, network::PUBLISHED, batch, 10)?,
        Case::InferenceMany => network::inference(&bench, network::PUBLISHED, batch, 1)?,
        Case::Nas201Blocks => blocks::nas_bench_201(&bench, batch),
    };
    // Memory is read first, because the peak arithmetic is measured in the same process.
    let peak_resident_bytes = peak_resident_bytes();
    let Times { wall_ms, processor_ms } = work.times;
    let median_ms = median(&wall_ms);
    let gflop = 2e-9 * (work.passes * work.multiply_adds * batch as u64) as f64;
    Ok(Measurement {
        case,
        batch,
        repetitions_ms: wall_ms,
        median_ms,
        processor_ms: (!processor_ms.is_empty()).then(|| median(&processor_ms)),
        phases: work.phases,
        multiply_adds: work.multiply_adds,
        gflop,
        gflops: 1e3 * gflop / median_ms,
        machine_gflops: (bench.device == Device::flex()).then(peak_gflops),
        peak_resident_bytes,
        estimated_bytes: work.needs.map(|needs| needs.total()),
    })
}

/// The embedded digits with `side` × `side` pixels.
fn images(side: usize) -> Result<Dataset, Error> {
    let options = DataOptions {
        image_size: Some(side),
        ..DataOptions::default()
    };
    Ok(da2s::data::open(Format::Digits, None, &options)?)
}

/// Shuffled batches of all training images.
fn loader(dataset: &Dataset, batch: usize, stream: Stream) -> Result<Loader, Error> {
    let order = TrainingOrder {
        seed: SEED,
        stream,
        augmentation: Default::default(),
    };
    Ok(Loader::training(
        dataset,
        (0..dataset.train.len()).collect(),
        batch,
        order,
    )?)
}

/// Seed of all random numbers.
const SEED: u64 = 1;
