//! Search spaces: which nodes, edges and candidate operations a cell has.
//!
//! A space says what a cell may become; [`skeleton`](crate::supernet) and [`network`](crate::network) say
//! where cells stand. One file a space; to add one, see CONTRIBUTING.md.

pub mod arch_201;
mod darts;
mod graph;
pub mod lookup;
mod operation;

pub use darts::darts_operations;
pub use graph::CellGraph;
pub use operation::{Operation, Place};

use serde::{Deserialize, Serialize};

/// The two kinds of cell. All cells of a kind share α and β.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellKind {
    /// Keeps the image's size.
    Normal,
    /// Halves the image's sides and doubles the channels.
    Reduction,
}

impl CellKind {
    /// Both kinds, in the order in which they are stored.
    pub const ALL: [Self; 2] = [Self::Normal, Self::Reduction];

    /// The name in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Reduction => "reduction",
        }
    }
}

/// A search space: the graph of a cell and the candidates on each of its edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Nodes and edges of a cell.
    pub graph: CellGraph,
    /// Candidates on every edge, in the order of α's columns.
    pub operations: Vec<Operation>,
}

impl Space {
    /// The DARTS space: 4 nodes, 14 edges, 7 candidates, and `none` before them if asked for.
    pub fn darts(none: bool) -> Self {
        Self {
            graph: CellGraph::new(2, 4),
            operations: darts_operations(none),
        }
    }

    /// Candidates that discretization may keep: all but `none`.
    pub fn kept_candidates(&self) -> usize {
        self.operations
            .iter()
            .filter(|&&operation| operation != Operation::None)
            .count()
    }
}
