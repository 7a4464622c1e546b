//! `gap.json` and `edge_gaps.json`: what discretization costs, in all and edge by edge.
//!
//! Accuracies are in percent. A number that is absent, `null` or not finite is `None`.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::arch_epoch::MOST_NODES;

/// `gap.json`: what each part of discretization costs, on held-out images without retraining.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Held-out images measured on.
    pub images: Option<u64>,
    /// With the batch-norm statistics of the trained super-network.
    #[serde(default)]
    pub as_trained: GapRow,
    /// With batch-norm statistics computed anew.
    #[serde(default)]
    pub recalibrated: GapRow,
}

/// Accuracies of the super-network and of its discretizations, percent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GapRow {
    /// The whole mixture.
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

/// `edge_gaps.json`: what each edge costs by itself, all else mixed, on held-out images without
/// retraining.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeGaps {
    /// Held-out images measured on.
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
    /// Whether it stays.
    pub kept: bool,
    /// Nothing but its operations discretized.
    pub operations: Measured,
    /// Nothing but itself kept at its final weight, or pruned.
    pub edge: Measured,
}

/// How a network does on the images; what is not a number is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Accuracy, percent.
    pub accuracy: Option<f64>,
    /// Mean cross-entropy, nats.
    pub loss: Option<f64>,
}

impl EdgeGaps {
    /// Checks that the edges run forward between nodes that can be, and that none is there twice.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
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
