//! A line of `tuning/metrics.jsonl`: an epoch in which the weights of a super-network were tuned
//! after a decision of a rule of discretization.
//!
//! Accuracies are in percent. There are no times: the same seed produces the same bytes.

use serde::{Deserialize, Serialize};

/// One epoch of the tuning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TuningEpoch {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs planned, including those added so far because skip connections were excluded.
    pub epochs: usize,
    /// The last decision, from 1.
    pub decision: usize,
    /// Number of decisions.
    pub decisions: usize,
    /// Kind of cell in which it was made.
    pub kind: String,
    /// What it chose between: the operations of an edge, as `0→3`, or edges, as `0→3 1→3 2→3`.
    pub choice: String,
    /// What it kept: operations, or edges.
    pub kept: Vec<String>,
    /// Learning rate of the weights.
    pub learning_rate: Option<f64>,
    /// Mean cross-entropy of the steps.
    pub cross_entropy: Option<f64>,
    /// Accuracy in the steps.
    pub train_accuracy: Option<f64>,
    /// Accuracy at the end of the epoch on the held-out images of the rule, with all decisions so
    /// far.
    pub accuracy: Option<f64>,
    /// Edges of normal cells whose skip connection is excluded after this epoch, because the
    /// genotype has more of them than the target allows: everything is decided again.
    #[serde(default)]
    pub excluded: Vec<String>,
}
