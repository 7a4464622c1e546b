//! `summary.json` and `environment.json`: the results of a run for scripts and tables, and how the
//! run was created.
//!
//! A key that is absent or `null` is `None`; keys never change their meaning.

use serde::{Deserialize, Serialize};

use super::{Baseline, ClassScores, DatasetImages, DeviceCost, Fit, Int8, Latency, Seeds, Widened, single};

/// The summary of a run, a flat object except for classes, seeds, baselines and `widened`.
/// Accuracies and the gap are in percent, on held-out images: the super-network's on the part of
/// the training images that is never used for weight gradients, the final network's on the test
/// images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Data set.
    pub dataset: Option<String>,
    /// Method.
    pub method: Option<String>,
    /// Name of the final network, if it was given and has one.
    pub network: Option<String>,
    /// How its mixture was driven to the target: `none`, `regulariser` or `path`.
    pub drive: Option<String>,
    /// Seed.
    pub seed: Option<u64>,
    /// Device.
    pub device: Option<String>,
    /// The super-network as trained.
    pub supernet_accuracy: Option<f64>,
    /// Operations discretized.
    pub discretized_operations_accuracy: Option<f64>,
    /// Edges discretized.
    pub discretized_edges_accuracy: Option<f64>,
    /// Both discretized, statistics as trained.
    pub discretized_accuracy: Option<f64>,
    /// Both discretized, statistics recomputed.
    pub discretized_recalibrated_accuracy: Option<f64>,
    /// `supernet_accuracy − discretized_accuracy`.
    pub gap: Option<f64>,
    /// Operations that the search removed before its end; `None` if it removed nothing.
    pub removed_operations: Option<u64>,
    /// Edges that it removed.
    pub removed_edges: Option<u64>,
    /// Points that these removals cost, each measured when it happened.
    pub removal_gap: Option<f64>,
    /// The genotype in the text of DARTS, or an architecture of NAS-Bench-201.
    pub genotype: Option<String>,
    /// Whether every edge was decided when the search ended.
    #[serde(default)]
    pub decided: bool,
    /// Minimum weight of a kept operation; `None` for a given genotype.
    #[serde(default, serialize_with = "single::option")]
    pub p_least: Option<f64>,
    /// Minimum n·q of a kept edge; `None` for a given genotype.
    #[serde(default, serialize_with = "single::option")]
    pub q_least: Option<f64>,
    /// The final network on the test images.
    pub network_accuracy: Option<f64>,
    /// Wilson's 95 % interval of that, percent.
    #[serde(default)]
    pub network_accuracy_interval: Option<[f64; 2]>,
    /// The final network on images that it was trained on, without augmentation; `None` for
    /// imported weights.
    #[serde(default)]
    pub network_train_accuracy: Option<f64>,
    /// Its expected calibration error, points.
    #[serde(default)]
    pub network_calibration_error: Option<f64>,
    /// The final network in int8 on the test images; `None` if it was not quantised.
    pub int8_accuracy: Option<f64>,
    /// Wilson's 95 % interval of that, percent.
    pub int8_accuracy_interval: Option<[f64; 2]>,
    /// `network_accuracy − int8_accuracy`.
    pub int8_gap: Option<f64>,
    /// Mean recall of the final network in float32 over the classes.
    pub network_balanced_accuracy: Option<f64>,
    /// Scores of the final network in float32 per class.
    #[serde(default)]
    pub class_scores: Vec<ClassScores>,
    /// How the final network was widened after the search; `None` if it was not.
    pub widened: Option<Widened>,
    /// Weights of the final network.
    pub parameters: Option<u64>,
    /// Multiply-adds of the final network for one image.
    pub multiply_adds: Option<u64>,
    /// Size and memory of the final network on a device.
    #[serde(flatten)]
    pub on_device: DeviceCost,
    /// Time of the final network for one image on one thread, as `da2s-infer` runs it, in
    /// milliseconds: measured on the machine that trained it.
    pub measured_latency_ms: Option<f64>,
    /// The processor of that machine.
    pub measured_latency_machine: Option<String>,
    /// The final network trained from several seeds; `None` if it was trained once.
    pub seeds: Option<Seeds>,
    /// Plain networks that were trained by the same recipe.
    #[serde(default)]
    pub baselines: Vec<Baseline>,
    /// Time of the search in seconds.
    pub search_time_s: Option<f64>,
    /// Time of the training in seconds.
    pub train_time_s: Option<f64>,
}

impl Summary {
    /// How well the final network fits the images that it was trained on, compared with the test
    /// images.
    pub fn fit(&self) -> Option<Fit> {
        Some(Fit {
            train: self.network_train_accuracy?,
            test: self.network_accuracy?,
            interval: self.network_accuracy_interval?,
        })
    }

    /// Records the measured time of the network.
    pub fn set_latency(&mut self, latency: &Latency) {
        self.measured_latency_ms = latency.median_ms;
        self.measured_latency_machine.clone_from(&latency.machine);
    }

    /// Records the results of the network in int8.
    pub fn set_int8(&mut self, int8: &Int8) {
        self.int8_accuracy = int8.accuracy;
        self.int8_accuracy_interval = int8.accuracy_interval;
        let accuracies = self.network_accuracy.zip(int8.accuracy);
        self.int8_gap = accuracies.map(|(before, after)| before - after);
    }

    /// Whether the final network was searched: a given genotype has no weight p.
    pub fn is_searched(&self) -> bool {
        self.p_least.is_some()
    }

    /// Where the final network comes from: the method of the search, or the name of the network.
    pub fn origin(&self) -> Option<&str> {
        match (&self.network, self.genotype.is_some() && !self.is_searched()) {
            (Some(name), _) => Some(name),
            (None, true) => Some("given genotype"),
            (None, false) => self.method.as_deref(),
        }
    }
}

/// How a run was created: version, machine, data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of da2s.
    pub version: Option<String>,
    /// Commit of da2s, if known at build time.
    pub git_hash: Option<String>,
    /// Device.
    pub device: Option<String>,
    /// Implementation of the cells.
    pub engine: Option<String>,
    /// Instruction set of the CPU kernels.
    pub cpu_level: Option<String>,
    /// Threads.
    pub threads: Option<u64>,
    /// Processes that searched and trained together; absent in runs of earlier versions, which had
    /// one.
    pub processes: Option<u64>,
    /// Seed.
    pub seed: Option<u64>,
    /// Data set.
    pub dataset: Option<String>,
    /// SHA-256 in hexadecimal, over the data that the next field names.
    pub dataset_checksum: Option<String>,
    /// What the checksum covers: `contents`, or `blocks` of files that are read only when needed.
    /// Absent in runs of earlier versions, which covered the contents, or names and sizes.
    pub dataset_checksum_of: Option<String>,
    /// What a user should know about the data set: which images were set aside or skipped.
    #[serde(default)]
    pub dataset_notes: Vec<String>,
    /// How many images there are, and their sizes; absent in runs of earlier versions.
    pub dataset_images: Option<DatasetImages>,
    /// The command line.
    pub command: Option<String>,
    /// When the run began, ISO 8601 in UTC.
    pub started: Option<String>,
}
