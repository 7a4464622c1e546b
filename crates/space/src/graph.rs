//! The graph of a cell: inputs, nodes, and an edge from every earlier node to every node.
//!
//! Contract: nodes `0..inputs` are inputs; node `j` from `inputs` on receives every earlier node.
//! Edges are ordered by their end, then by their start: (0,2) (1,2) (0,3) (1,3) (2,3) … for two
//! inputs.

use std::ops::Range;

/// Nodes and edges of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellGraph {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of nodes that sum their incoming edges.
    pub nodes: usize,
}

impl CellGraph {
    /// A graph with `inputs` inputs and `nodes` nodes behind them.
    pub fn new(inputs: usize, nodes: usize) -> Self {
        Self { inputs, nodes }
    }

    /// Number of edges.
    pub fn edge_count(&self) -> usize {
        self.all_nodes().map(|node| self.in_degree(node)).sum()
    }

    /// Every edge as (from, to), in order.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        self.all_nodes().flat_map(|to| (0..to).map(move |from| (from, to)))
    }

    /// The nodes that sum edges: `inputs .. inputs + nodes`.
    pub fn all_nodes(&self) -> Range<usize> {
        self.inputs..self.inputs + self.nodes
    }

    /// Number of edges that end in `node`.
    pub fn in_degree(&self, node: usize) -> usize {
        node
    }

    /// Indices of the edges that end in `node`.
    pub fn edges_into(&self, node: usize) -> Range<usize> {
        let start: usize = (self.inputs..node).map(|earlier| self.in_degree(earlier)).sum();
        start..start + self.in_degree(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_darts_cell_has_fourteen_edges() {
        let graph = CellGraph::new(2, 4);
        assert_eq!(graph.edge_count(), 14);
        let edges: Vec<_> = graph.edges().collect();
        assert_eq!(edges[..5], [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]);
        for node in graph.all_nodes() {
            assert!(edges[graph.edges_into(node)].iter().all(|&(_, to)| to == node));
        }
    }
}
