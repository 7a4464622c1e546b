//! What a trained network reaches and costs: part of `summary.json`, for each baseline, and of
//! `front/front.json`, for each network.

use serde::{Deserialize, Serialize};

use super::{DeviceCost, Evaluation, Summary};

/// The results of a trained network; `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainedNetwork {
    /// Accuracy on the test images, percent.
    pub accuracy: Option<f64>,
    /// Wilson's 95 % interval of the accuracy, percent.
    pub accuracy_interval: Option<[f64; 2]>,
    /// Weights.
    pub parameters: Option<u64>,
    /// Multiply-adds for one image.
    pub multiply_adds: Option<u64>,
    /// Size, memory and latency on a device.
    #[serde(flatten)]
    pub on_device: DeviceCost,
    /// Time of its training in seconds.
    pub train_time_s: Option<f64>,
}

impl TrainedNetwork {
    /// The results of the run with this `summary` and `evaluation`.
    pub fn new(summary: &Summary, evaluation: &Evaluation) -> Self {
        Self {
            accuracy: summary.network_accuracy,
            accuracy_interval: evaluation.interval(),
            parameters: summary.parameters,
            multiply_adds: summary.multiply_adds,
            on_device: summary.on_device,
            train_time_s: summary.train_time_s,
        }
    }
}
