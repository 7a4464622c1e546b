//! `gap.json` and `edge_gaps.json`: the cost of discretization, in total and edge by edge.
//!
//! Accuracies are in percent. A number that is absent, `null` or not finite is `None`.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::arch_epoch::MOST_NODES;

/// `gap.json`: the cost of each part of discretization, on held-out images without retraining.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Number of held-out images.
    pub images: Option<u64>,
    /// With the batch-norm statistics of the trained super-network.
    #[serde(default)]
    pub as_trained: GapRow,
    /// With recomputed batch-norm statistics.
    #[serde(default)]
    pub recalibrated: GapRow,
    /// What the search removed before its end; `None` if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<RemovedGap>,
    /// Accuracy with operations and edges pruned, statistics as trained, if the weights were tuned
    /// after each decision; all other rows are with the weights of the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuned: Option<f64>,
}

/// What a search removed for good before its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RemovedGap {
    /// Number of operations.
    pub operations: u64,
    /// Number of edges.
    pub edges: u64,
    /// The points that this cost, each removal measured when it happened.
    pub points: Option<f64>,
}

/// Accuracies of the super-network and of its discretizations, percent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GapRow {
    /// The full mixture.
    pub supernet: Option<f64>,
    /// Only operations pruned.
    pub operations: Option<f64>,
    /// Only edges pruned.
    pub edges: Option<f64>,
    /// Operations and edges pruned.
    pub both: Option<f64>,
}

impl Gap {
    /// Points lost by discretizing operations and edges, statistics as trained.
    pub fn points(&self) -> Option<f64> {
        Some(self.as_trained.supernet? - self.as_trained.both?)
    }
}

/// `edge_gaps.json`: the cost of each edge by itself, with everything else mixed, on held-out
/// images without retraining.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeGaps {
    /// Number of held-out images.
    pub images: Option<u64>,
    /// The super-network on these images.
    pub supernet: Measured,
    /// Every edge of every kind of cell.
    pub edges: Vec<EdgeGap>,
}

/// One edge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeGap {
    /// Kind of cell.
    pub kind: String,
    /// Source node.
    pub from: usize,
    /// Destination node, larger than `from`.
    pub to: usize,
    /// Whether the edge is kept.
    pub kept: bool,
    /// Only the operations of this edge discretized.
    pub operations: Measured,
    /// Only this edge set to its final weight, or pruned.
    pub edge: Measured,
}

/// Results of a network on the images; a value that is not finite is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Accuracy, percent.
    pub accuracy: Option<f64>,
    /// Mean cross-entropy, nats.
    pub loss: Option<f64>,
}

impl EdgeGaps {
    /// Checks that the edges run forward between valid nodes, and that none occurs twice.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn check(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        if let Some(edge) = self
            .edges
            .iter()
            .find(|edge| !seen.insert((&edge.kind, edge.from, edge.to)))
        {
            return Err(format!(
                "cell {}: the edge {} to {} occurs twice",
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
