//! `genotype.json`: the result of discretization, with the requested target.
//!
//! The key `genotype` has the genotype as text; `cells` has the same content for readers that
//! cannot parse the text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::arch_epoch::MOST_NODES;
use super::{DeviceCost, Widened, single};

/// More operations per edge than any space has.
const MOST_OPERATIONS: usize = 64;

/// `genotype.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GenotypeFile {
    /// Name of the search space.
    pub space: Option<String>,
    /// The genotype in the text of DARTS, `Genotype(normal=[…], …)`, or an architecture of
    /// NAS-Bench-201.
    pub genotype: Option<String>,
    /// Cell kind → its discretized cell.
    pub cells: BTreeMap<String, GenotypeCell>,
    /// Cell kind → its target.
    #[serde(default)]
    pub target: BTreeMap<String, GenotypeTarget>,
    /// Whether every kept edge and operation had all the weight before pruning.
    pub decided: Option<bool>,
    /// Minimum over the kept edges of the weight of the kept operations at the end of the search;
    /// `None` for a given genotype.
    #[serde(default, serialize_with = "single::option")]
    pub p_least: Option<f64>,
    /// Minimum n_j·q of a kept edge at the end of the search; `None` for a given genotype.
    #[serde(default, serialize_with = "single::option")]
    pub q_least: Option<f64>,
    /// Edges that were not decided, in words.
    #[serde(default)]
    pub undecided: Vec<String>,
    /// How the final network was widened after the search; `None` if it has `network.channels`.
    pub widened: Option<Widened>,
    /// Parameters of the final network.
    pub parameters: Option<u64>,
    /// Multiply-adds of the final network for one image.
    pub multiply_adds: Option<u64>,
    /// Its size and memory on a device.
    #[serde(flatten)]
    pub on_device: DeviceCost,
}

/// One cell of a genotype.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GenotypeCell {
    /// The kept edges.
    pub edges: Vec<GenotypeEdge>,
    /// The nodes whose states are concatenated into the cell's output.
    #[serde(default)]
    pub concat: Vec<usize>,
}

/// A kept edge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GenotypeEdge {
    /// Source node.
    pub from: usize,
    /// Destination node, larger than `from`.
    pub to: usize,
    /// Its operations, best first.
    pub operations: Vec<String>,
}

impl GenotypeEdge {
    /// The operation of a layer that vanishes.
    pub const VANISHES: &str = "skip";

    /// Whether the layer vanishes from its chain: its only operation is [`Self::VANISHES`].
    pub fn vanishes(&self) -> bool {
        self.operations == [Self::VANISHES]
    }
}

/// The target topology of one cell kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GenotypeTarget {
    /// n_j: edges to keep into each intermediate node, or in each group of a chain.
    pub edges: Vec<usize>,
    /// Layers to keep in each stage of a chain; absent in a cell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depth: Vec<usize>,
    /// k: operations to keep on each kept edge.
    pub operations: usize,
}

impl GenotypeFile {
    /// Checks that the edges run forward, between valid nodes.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn check(&self) -> Result<(), String> {
        if let Some(target) = self.target.values().find(|target| target.operations > MOST_OPERATIONS) {
            return Err(format!("{} operations per edge", target.operations));
        }
        for (kind, cell) in &self.cells {
            if let Some(edge) = cell
                .edges
                .iter()
                .find(|edge| edge.from >= edge.to || edge.to >= MOST_NODES)
            {
                return Err(format!("cell {kind}: no such edge as {} to {}", edge.from, edge.to));
            }
            if let Some(node) = cell.concat.iter().find(|node| **node >= MOST_NODES) {
                return Err(format!("cell {kind}: no such node as {node}"));
            }
        }
        Ok(())
    }
}
