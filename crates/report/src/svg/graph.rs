//! A cell as a graph: its nodes, their names, and the edges between them.

use crate::run::{ArchCell, GenotypeCell};

/// The nodes and edges of a cell. Nodes `0..inputs` are the outputs of earlier cells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DrawnGraph {
    /// Number of input nodes.
    pub(crate) inputs: usize,
    /// Number of nodes, inputs included; the output is not one of them.
    pub(crate) nodes: usize,
    /// (from, to), sorted by `to`, then `from`.
    pub(crate) edges: Vec<(usize, usize)>,
    /// The nodes that form the output.
    pub(crate) concat: Vec<usize>,
}

impl DrawnGraph {
    /// The graph of all edges of the mixture or the genotype; `None` if neither has an edge.
    pub(crate) fn of(mixture: Option<&ArchCell>, genotype: Option<&GenotypeCell>) -> Option<Self> {
        let mixed = mixture.into_iter().flat_map(|cell| cell.edges.iter().copied());
        let kept = genotype
            .into_iter()
            .flat_map(|cell| cell.edges.iter().map(|edge| (edge.from, edge.to)));
        let mut edges: Vec<_> = mixed.chain(kept).collect();
        edges.sort_by_key(|(from, to)| (*to, *from));
        edges.dedup();
        let inputs = edges.iter().map(|(_, to)| *to).min()?;
        let named = genotype.map(|cell| cell.concat.clone()).unwrap_or_default();
        let last = edges.iter().map(|(_, to)| *to).chain(named.iter().copied()).max()?;
        let concat = if named.is_empty() {
            (inputs..=last).collect()
        } else {
            named
        };
        // The genotype of a chain does not list the layers that vanished.
        if inputs == 1 && edges.iter().all(|(from, to)| *to == from + 1) {
            edges = (0..last).map(|from| (from, from + 1)).collect();
        }
        Some(Self {
            inputs,
            nodes: last + 1,
            edges,
            concat,
        })
    }

    /// Whether each node has one edge, from the node before it: the layers of the space `mobile`. A
    /// layer that vanishes passes its input on.
    pub(crate) fn is_chain(&self) -> bool {
        self.inputs == 1 && (0..).zip(&self.edges).all(|(place, edge)| *edge == (place, place + 1))
    }

    /// The name of a node: `cₖ₋₂`, `cₖ₋₁` for the inputs, then 0, 1, …
    pub(crate) fn node_name(&self, node: usize) -> String {
        match (self.inputs, node) {
            (1, 0) => "in".to_owned(),
            (2, 0) => "cₖ₋₂".to_owned(),
            (2, 1) => "cₖ₋₁".to_owned(),
            (inputs, node) if node < inputs => format!("in {node}"),
            (inputs, node) => format!("{}", node - inputs),
        }
    }

    /// The name of a node in data tables: ASCII, which needs no escaping in a link.
    pub(crate) fn data_name(&self, node: usize) -> String {
        match (self.inputs, node) {
            (2, 0) => "c_k-2".to_owned(),
            (2, 1) => "c_k-1".to_owned(),
            _ => self.node_name(node),
        }
    }

    /// The name of an edge: `cₖ₋₂ → 0`.
    pub(crate) fn edge_name(&self, edge: (usize, usize)) -> String {
        format!("{} → {}", self.node_name(edge.0), self.node_name(edge.1))
    }
}
