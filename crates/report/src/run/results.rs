//! The results of a run and where it ran: `gap.json`, `network/*`, `summary.json`, `environment.json`.
//!
//! Accuracies are in percent. A key that is absent or `null` is `None`.

use std::collections::HashSet;

use serde::Deserialize;

use super::architecture::MOST_NODES;

/// `gap.json`: what each part of discretization costs, on held-out images without retraining.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Gap {
    /// Held-out images measured on.
    pub images: Option<u64>,
    /// With the batch-norm statistics of the trained super-network.
    #[serde(default)]
    pub as_trained: StageAccuracies,
    /// With batch-norm statistics computed anew.
    #[serde(default)]
    pub recalibrated: StageAccuracies,
}

/// Accuracies of the super-network and of its discretizations, percent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct StageAccuracies {
    /// The whole mixture.
    pub supernet: Option<f64>,
    /// Only operations pruned.
    pub operations: Option<f64>,
    /// Only edges pruned.
    pub edges: Option<f64>,
    /// Operations and edges pruned.
    pub both: Option<f64>,
}

/// `edge_gaps.json`: what each edge costs by itself, all else mixed, on held-out images without retraining.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct EdgeGaps {
    /// Held-out images measured on.
    pub images: Option<u64>,
    /// The super-network on these images.
    pub supernet: Measured,
    /// Every edge of every kind of cell.
    pub edges: Vec<EdgeGap>,
}

/// One edge.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct EdgeGap {
    /// Kind of cell.
    pub kind: String,
    /// Source node.
    pub from: usize,
    /// Destination node, larger than `from`.
    pub to: usize,
    /// Whether it stays.
    pub kept: bool,
    /// Nothing but its operations discretized.
    pub operations: Measured,
    /// Nothing but itself kept at its final weight, or pruned.
    pub edge: Measured,
}

/// How a network does on the images; what is not a number is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Measured {
    /// Accuracy, percent.
    pub accuracy: Option<f64>,
    /// Mean cross-entropy, nats.
    pub loss: Option<f64>,
}

impl EdgeGaps {
    /// Checks that the edges run forward between nodes that can be, and that none is there twice.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        if let Some(edge) = self
            .edges
            .iter()
            .find(|edge| !seen.insert((&edge.kind, edge.from, edge.to)))
        {
            return Err(format!(
                "cell {}: the edge {} to {} is there twice",
                edge.kind, edge.from, edge.to
            ));
        }
        match self
            .edges
            .iter()
            .find(|edge| edge.from >= edge.to || edge.to >= MOST_NODES)
        {
            Some(edge) => Err(format!(
                "cell {}: no such edge as {} to {}",
                edge.kind, edge.from, edge.to
            )),
            None => Ok(()),
        }
    }
}

/// A line of `network/metrics.jsonl`: one epoch of retraining.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct TrainEpoch {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs planned.
    pub epochs: usize,
    /// Learning rate.
    pub learning_rate: Option<f64>,
    /// Mean training loss, nats.
    pub train_loss: Option<f64>,
    /// Training accuracy, percent.
    pub train_accuracy: Option<f64>,
    /// Accuracy on the validation images, percent; measured in some epochs only.
    pub validation_accuracy: Option<f64>,
    /// Drop-path probability.
    pub drop_path: Option<f64>,
    /// Norm of the gradient before clipping.
    pub gradient_norm: Option<f64>,
    /// Duration of the epoch, seconds.
    pub time_s: Option<f64>,
}

/// A line of a `times.jsonl`: what an epoch took.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct EpochTime {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Duration, seconds.
    pub time_s: f64,
}

/// `network/evaluation.json`: the final network on the test set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Evaluation {
    /// Test images.
    pub images: Option<u64>,
    /// Mean cross-entropy, nats.
    pub loss: Option<f64>,
    /// Accuracy, percent.
    pub accuracy: Option<f64>,
    /// Class names.
    #[serde(default)]
    pub classes: Vec<String>,
    /// `confusion[true class][predicted class]`, images.
    #[serde(default)]
    pub confusion: Vec<Vec<u64>>,
    /// Images that were taken for another class, the worst first.
    #[serde(default)]
    pub mistakes: Vec<Mistake>,
}

/// A test image that was taken for another class.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Mistake {
    /// Its place among the test images, from 0.
    pub index: u64,
    /// Its class, an index into the class names.
    pub class: usize,
    /// What it was taken for.
    pub predicted: usize,
    /// Probability that the network gives its class.
    pub class_probability: Option<f64>,
    /// Probability that the network gives what it was taken for.
    pub predicted_probability: Option<f64>,
    /// Cross-entropy of the image, nats.
    pub loss: Option<f64>,
    /// The image as a PNG file, where the run has it.
    #[serde(skip)]
    pub picture: Option<Vec<u8>>,
}

impl Evaluation {
    /// Checks that the confusion matrix is square with one row a class, and that the mistakes are of these classes.
    pub(super) fn check(&self) -> Result<(), String> {
        let classes = self.classes.len();
        let unknown = |mistake: &&Mistake| mistake.class.max(mistake.predicted) >= classes;
        if let Some(mistake) = self.mistakes.iter().find(unknown) {
            return Err(format!(
                "{classes} classes, but image {} is of class {} and taken for {}",
                mistake.index, mistake.class, mistake.predicted
            ));
        }
        if self.confusion.is_empty() {
            return Ok(());
        }
        if self.confusion.len() != classes {
            return Err(format!(
                "{classes} classes, but the confusion matrix has {} rows",
                self.confusion.len()
            ));
        }
        match self.confusion.iter().find(|row| row.len() != classes) {
            Some(row) => Err(format!(
                "{classes} classes, but a row of the confusion matrix has {} entries",
                row.len()
            )),
            None => Ok(()),
        }
    }
}

/// `summary.json`: the run in one flat object.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Summary {
    /// Data set.
    pub dataset: Option<String>,
    /// Search method.
    pub method: Option<String>,
    /// Seed.
    pub seed: Option<u64>,
    /// Device.
    pub device: Option<String>,
    /// Super-network, percent.
    pub supernet_accuracy: Option<f64>,
    /// Only operations discretized, percent.
    pub discretized_operations_accuracy: Option<f64>,
    /// Only edges discretized, percent.
    pub discretized_edges_accuracy: Option<f64>,
    /// Both discretized, percent.
    pub discretized_accuracy: Option<f64>,
    /// Both discretized, statistics recalibrated, percent.
    pub discretized_recalibrated_accuracy: Option<f64>,
    /// Super-network − discretized, points.
    pub gap: Option<f64>,
    /// The genotype in DARTS form.
    pub genotype: Option<String>,
    /// Final network on the test set, percent.
    pub network_accuracy: Option<f64>,
    /// Parameters of the final network.
    pub parameters: Option<u64>,
    /// Multiply-adds of the final network for one image.
    pub multiply_adds: Option<u64>,
    /// Duration of the search, seconds.
    pub search_time_s: Option<f64>,
    /// Duration of retraining, seconds.
    pub train_time_s: Option<f64>,
}

/// `environment.json`: with what the run was made.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Environment {
    /// Version of da2s.
    pub version: Option<String>,
    /// Commit of da2s.
    pub git_hash: Option<String>,
    /// Device.
    pub device: Option<String>,
    /// Engine, `fused` or `plain`.
    pub engine: Option<String>,
    /// Instruction set of the CPU kernels.
    pub cpu_level: Option<String>,
    /// Threads.
    pub threads: Option<u64>,
    /// Seed.
    pub seed: Option<u64>,
    /// Data set.
    pub dataset: Option<String>,
    /// Checksum of the data set, hexadecimal.
    pub dataset_checksum: Option<String>,
    /// The command line that started the run.
    pub command: Option<String>,
    /// Start, ISO 8601 in UTC.
    pub started: Option<String>,
}
