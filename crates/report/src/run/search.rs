//! `search/metrics.jsonl`: what the search measured after each epoch.

use serde::Deserialize;

/// One epoch of the search. A value that the method does not have, or that was not a number, is `None`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct SearchEpoch {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs planned.
    pub epochs: usize,
    /// Learning rate of the weights.
    pub learning_rate: Option<f64>,
    /// Mean loss of the weight steps, regulariser included, nats.
    pub weight_loss: Option<f64>,
    /// Mean loss of the architecture steps, regulariser included, nats.
    pub arch_loss: Option<f64>,
    /// Mean cross-entropy of the weight steps, nats.
    pub cross_entropy: Option<f64>,
    /// Accuracy in the weight steps, percent.
    pub train_accuracy: Option<f64>,
    /// Accuracy of the super-network on held-out images, percent.
    pub supernet_accuracy: Option<f64>,
    /// Accuracy on the same images after discretization, percent.
    pub discretized_accuracy: Option<f64>,
    /// `supernet_accuracy − discretized_accuracy`, points.
    pub gap: Option<f64>,
    /// λ, the weight of the regulariser.
    pub lambda: Option<f64>,
    /// λ_c(t), the schedule of the whole regulariser.
    pub lambda_c: Option<f64>,
    /// λ_α(t), the schedule of the operation term.
    pub lambda_alpha: Option<f64>,
    /// What is added to the loss, all terms together, nats.
    pub regulariser: Option<f64>,
    /// The terms that are added to the loss, where λ, λ_c and λ_α do not give their weights.
    #[serde(default)]
    pub terms: Vec<Term>,
    /// The least p that the path of the adaptive schedule asks of every edge.
    pub path_p: Option<f64>,
    /// Expected cost of the final network in parts of its limit.
    pub expected_cost: Option<f64>,
    /// Entropy of the operation weights, mean over the edges, nats.
    pub entropy_operations: Option<f64>,
    /// Entropy of the edge weights, mean over the nodes, nats.
    pub entropy_edges: Option<f64>,
    /// Cardinality term, mean over the nodes.
    pub cardinality: Option<f64>,
    /// Weight of each edge's best operation(s), mean over the edges.
    pub p_mean: Option<f64>,
    /// Weight of each edge's best operation(s), least over the edges.
    pub p_least: Option<f64>,
    /// n_j·q of each node's weakest kept edge, mean over the nodes; 1 = decided.
    pub q_mean: Option<f64>,
    /// n_j·q of each node's weakest kept edge, least over the nodes; 1 = decided.
    pub q_least: Option<f64>,
    /// Norm of the gradient of the weights before clipping.
    pub gradient_norm: Option<f64>,
    /// Duration of the epoch, seconds.
    pub time_s: Option<f64>,
}

/// A term that a method adds to the loss.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Term {
    /// Its name.
    pub name: String,
    /// What its value is multiplied by.
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
    /// What it adds to the loss.
    pub fn added(&self) -> Option<f64> {
        Some(self.weight? * self.value?)
    }
}

/// Names of the terms that some epoch has, in the order in which they appear.
pub fn term_names(epochs: &[SearchEpoch]) -> Vec<&str> {
    let mut names = Vec::new();
    for term in epochs.iter().flat_map(|epoch| &epoch.terms) {
        if !names.contains(&term.name.as_str()) {
            names.push(term.name.as_str());
        }
    }
    names
}
