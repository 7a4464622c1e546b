//! `summary.json`: what a script or a table wants to know of a run, one flat object whose keys never change their
//! meaning.

use serde::{Deserialize, Serialize};

/// The summary of a run. Accuracies and the gap in percent, on held-out images: the super-network's on the part of the
/// training images that no gradient of the weights has seen, the final network's on the test images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Data set.
    pub dataset: String,
    /// Method.
    pub method: String,
    /// Seed.
    pub seed: u64,
    /// Device.
    pub device: String,
    /// The super-network as trained.
    pub supernet_accuracy: Option<f64>,
    /// Operations discretized.
    pub discretized_operations_accuracy: Option<f64>,
    /// Edges discretized.
    pub discretized_edges_accuracy: Option<f64>,
    /// Both discretized, statistics as trained.
    pub discretized_accuracy: Option<f64>,
    /// Both discretized, statistics estimated anew.
    pub discretized_recalibrated_accuracy: Option<f64>,
    /// `supernet_accuracy − discretized_accuracy`.
    pub gap: Option<f64>,
    /// The genotype in the text of DARTS.
    pub genotype: String,
    /// Whether the search ended decided on every edge.
    pub decided: bool,
    /// Least weight of a kept operation; none for a genotype that was given.
    pub p_least: Option<f32>,
    /// Least n·q of a kept edge; none for a genotype that was given.
    pub q_least: Option<f32>,
    /// The final network on the test images.
    pub network_accuracy: Option<f64>,
    /// Weights of the final network.
    pub parameters: u64,
    /// Multiply-adds of the final network for one image.
    pub multiply_adds: u64,
    /// Time of the search in seconds.
    pub search_time_s: Option<f64>,
    /// Time of the training in seconds.
    pub train_time_s: Option<f64>,
}
