//! `network/latency.json`: the time of the final network on the machine that trained it.
//!
//! Contract: written once for a trained network. Times differ between two runs of the same seed, so
//! this is a separate file, like `times.jsonl`.

use serde::{Deserialize, Serialize};

/// The time of the final network for one image, from its preprocessed values to its logits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median, in milliseconds.
    pub median_ms: Option<f64>,
    /// Number of runs.
    pub runs: Option<u64>,
    /// Images per run.
    pub batch: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Instruction set of the kernels.
    pub cpu_level: Option<String>,
    /// The processor.
    pub machine: Option<String>,
}
