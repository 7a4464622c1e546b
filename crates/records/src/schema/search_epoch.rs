//! A line of `search/metrics.jsonl`: the measurements of one epoch of the search.
//!
//! Accuracies are in percent, entropies in nats, means are over the edges and nodes of both kinds
//! of cell. There are no times: the same seed produces the same bytes. A number that the method
//! does not have, or that is not finite, is `None`.

use serde::{Deserialize, Serialize};

use super::single;

/// One epoch of the search.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchEpoch {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs planned.
    pub epochs: usize,
    /// Steps per epoch.
    #[serde(default)]
    pub steps: usize,
    /// Learning rate of the weights.
    pub learning_rate: Option<f64>,
    /// Learning rate of α.
    pub alpha_rate: Option<f64>,
    /// Learning rate of β.
    pub beta_rate: Option<f64>,
    /// Mean loss of the weight steps, including all added terms.
    pub weight_loss: Option<f64>,
    /// Mean loss of the architecture steps, including all added terms; `None` in an epoch without
    /// any.
    pub arch_loss: Option<f64>,
    /// Mean cross-entropy of the weight steps.
    pub cross_entropy: Option<f64>,
    /// Accuracy in the weight steps.
    pub train_accuracy: Option<f64>,
    /// Accuracy of the super-network on held-out images.
    pub supernet_accuracy: Option<f64>,
    /// Accuracy on the same images with operations and edges discretized.
    pub discretized_accuracy: Option<f64>,
    /// `supernet_accuracy − discretized_accuracy`, points.
    pub gap: Option<f64>,
    /// λ; 0, like the next two, for a method without the regulariser of DA²S.
    pub lambda: Option<f64>,
    /// λ_c(t), the schedule of the whole regulariser.
    pub lambda_c: Option<f64>,
    /// λ_α(t), the schedule of the operation term.
    pub lambda_alpha: Option<f64>,
    /// The sum of all terms added to the loss at the end of the epoch.
    pub regulariser: Option<f64>,
    /// The method's own terms, without the drive's, which are multiplied by λ, λ_c and λ_α.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<Term>,
    /// Position of the search on the path, 0 to 1.
    pub path_position: Option<f64>,
    /// The minimum p that the path requires of every edge.
    pub path_p: Option<f64>,
    /// The largest ratio of an expected cost of the final network to its limit.
    pub expected_cost: Option<f64>,
    /// Entropy of the operation weights, mean over the edges.
    pub entropy_operations: Option<f64>,
    /// Entropy of the edge weights, mean over the nodes that have a β.
    pub entropy_edges: Option<f64>,
    /// Mean square of Σ S_β(β) − n over those nodes.
    pub cardinality: Option<f64>,
    /// Weight of the operations that would be kept, mean over the edges that would be kept.
    #[serde(serialize_with = "single::option")]
    pub p_mean: Option<f64>,
    /// Their minimum.
    #[serde(serialize_with = "single::option")]
    pub p_least: Option<f64>,
    /// n·q of each node's weakest kept edge, mean over the nodes; 1 is decided.
    #[serde(serialize_with = "single::option")]
    pub q_mean: Option<f64>,
    /// Their minimum.
    #[serde(serialize_with = "single::option")]
    pub q_least: Option<f64>,
    /// Operations that were removed for good at the end of the epoch; `None` if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_operations: Option<usize>,
    /// Edges that were removed with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_edges: Option<usize>,
    /// `supernet_accuracy` minus the accuracy after the removal, points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal_gap: Option<f64>,
    /// Mean norm of the weights' gradient before clipping.
    pub gradient_norm: Option<f64>,
    /// Duration of the epoch, seconds; only in runs of earlier versions, which had no
    /// `times.jsonl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_s: Option<f64>,
}

/// A term that a method adds to the loss.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// Its name.
    pub name: String,
    /// The factor of its value.
    pub weight: Option<f64>,
    /// Its value.
    pub value: Option<f64>,
}

impl SearchEpoch {
    /// The term called `name`.
    pub fn term(&self, name: &str) -> Option<&Term> {
        self.terms.iter().find(|term| term.name == name)
    }
}

impl Term {
    /// Its contribution to the loss.
    pub fn added(&self) -> Option<f64> {
        Some(self.weight? * self.value?)
    }
}

/// Names of the terms of all epochs, in order of first appearance.
pub fn term_names(epochs: &[SearchEpoch]) -> Vec<&str> {
    let mut names = Vec::new();
    for term in epochs.iter().flat_map(|epoch| &epoch.terms) {
        if !names.contains(&term.name.as_str()) {
            names.push(term.name.as_str());
        }
    }
    names
}
