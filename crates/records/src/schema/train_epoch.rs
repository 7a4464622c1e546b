//! A line of `network/metrics.jsonl`, and one of a `times.jsonl`.
//!
//! A number that is absent, `null` or not finite is `None`.

use serde::{Deserialize, Serialize};

/// A line of `network/metrics.jsonl`: one epoch of retraining.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainEpoch {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs planned.
    pub epochs: usize,
    /// Steps per epoch.
    #[serde(default)]
    pub steps: usize,
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
    /// Duration of the epoch, seconds; only in runs of earlier versions, which had no
    /// `times.jsonl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_s: Option<f64>,
}

/// A line of a `times.jsonl`: the duration of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochTime {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Duration, seconds.
    pub time_s: f64,
    /// How much of it the steps waited for their images, seconds; `None` in older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_s: Option<f64>,
}
