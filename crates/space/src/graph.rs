//! The graph of a cell: inputs, nodes, edges, and the groups of competing edges.
//!
//! Either a cell of nodes, in which every node has an edge from every earlier node, and the edges
//! into a node compete; or a chain of layers in stages, in which layer l leads from node l to node
//! l + 1. In a chain, the removable layers of a stage compete. These are all except the first,
//! which may change the size or the channels and always stays.
//!
//! Contract: nodes `0..inputs` are inputs. Edges are ordered by their end, then by their start:
//! (0,2) (1,2) (0,3) (1,3) (2,3) … for two inputs. Competing edges form a *group*; an edge without
//! competitors is a group by itself. The edges of a group are consecutive.

use std::ops::Range;

/// Nodes and edges of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellGraph {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of nodes that sum their incoming edges.
    pub nodes: usize,
    /// Number of layers in each stage of a chain, followed by zeros; `None` in a cell of nodes. An
    /// array, so that a graph can be `Copy`.
    stages: Option<[u8; Self::MOST_STAGES]>,
}

impl CellGraph {
    /// Maximum number of stages of a chain.
    pub const MOST_STAGES: usize = 16;
    /// Maximum number of layers of a chain.
    pub const MOST_LAYERS: usize = 60;

    /// A graph with `inputs` inputs followed by `nodes` nodes.
    pub const fn new(inputs: usize, nodes: usize) -> Self {
        Self {
            inputs,
            nodes,
            stages: None,
        }
    }

    /// A chain of stages with the given numbers of layers, truncated to [`Self::MOST_STAGES`] and
    /// [`Self::MOST_LAYERS`].
    pub fn chain(layers: impl IntoIterator<Item = usize>) -> Self {
        let mut stages = [0; Self::MOST_STAGES];
        let mut left = Self::MOST_LAYERS;
        for (stage, layers) in stages.iter_mut().zip(layers) {
            let layers = layers.min(left);
            left -= layers;
            *stage = layers as u8;
        }
        Self {
            inputs: 1,
            nodes: Self::MOST_LAYERS - left,
            stages: Some(stages),
        }
    }

    /// The number of layers in each stage of a chain; empty in a cell of nodes.
    pub fn stages(&self) -> impl Iterator<Item = usize> + use<> {
        let stages = self.stages.into_iter().flatten().map(usize::from);
        stages.take_while(|&layers| layers > 0)
    }

    /// Whether it is a chain of layers.
    pub const fn is_chain(&self) -> bool {
        self.stages.is_some()
    }

    /// Number of edges.
    pub fn edge_count(&self) -> usize {
        if self.is_chain() {
            self.nodes
        } else {
            self.all_nodes().sum()
        }
    }

    /// Every edge as (from, to), in order.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let chain = self.is_chain();
        self.all_nodes().flat_map(move |to| {
            let first = if chain { to - 1 } else { 0 };
            (first..to).map(move |from| (from, to))
        })
    }

    /// The nodes that sum edges: `inputs .. inputs + nodes`.
    pub fn all_nodes(&self) -> Range<usize> {
        self.inputs..self.inputs + self.nodes
    }

    /// The indices of the groups. A cell of nodes has one group per node. In a chain, each stage
    /// has a group with its first layer and, if it has more layers, a group with all others.
    pub fn groups(&self) -> Range<usize> {
        if self.is_chain() {
            0..self.stages().map(|layers| layers.min(2)).sum()
        } else {
            0..self.nodes
        }
    }

    /// The edges of a group.
    pub fn edges_of(&self, group: usize) -> Range<usize> {
        if !self.is_chain() {
            let node = self.inputs + group;
            let start = (self.inputs..node).sum::<usize>();
            return start..start + node;
        }
        let mut groups = group;
        let mut first = 0;
        for layers in self.stages() {
            match groups {
                0 => return first..first + 1,
                1 if layers > 1 => return first + 1..first + layers,
                _ => groups -= layers.min(2),
            }
            first += layers;
        }
        first..first
    }

    /// Whether `edge` is the first layer of a stage of a chain.
    pub fn begins_stage(&self, edge: usize) -> bool {
        let mut first = 0;
        let mut firsts = self.stages().map(|layers| {
            first += layers;
            first - layers
        });
        firsts.any(|first| first == edge)
    }

    /// Number of edges in a group.
    pub fn size_of(&self, group: usize) -> usize {
        self.edges_of(group).len()
    }

    /// The group of each edge, in order.
    pub fn groups_of_edges(&self) -> impl Iterator<Item = usize> + use<> {
        let graph = *self;
        self.groups()
            .flat_map(move |group| std::iter::repeat_n(group, graph.size_of(group)))
    }

    /// What the weights of a group's edges sum to if `kept` of the edges are kept. In a cell of
    /// nodes this is the number of edges, so that equal weights are 1. In a chain it is `kept`,
    /// because a kept layer should have weight 1.
    pub fn total_weight(&self, group: usize, kept: usize) -> usize {
        if self.is_chain() { kept } else { self.size_of(group) }
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
        for group in graph.groups() {
            let node = graph.inputs + group;
            assert!(edges[graph.edges_of(group)].iter().all(|&(_, to)| to == node));
        }
    }

    #[test]
    fn the_layers_of_a_stage_compete_except_the_first() {
        let graph = CellGraph::chain([3, 1, 2]);
        assert_eq!((graph.edge_count(), graph.groups().len()), (6, 5));
        assert_eq!(graph.stages().collect::<Vec<_>>(), [3, 1, 2]);
        assert_eq!(
            graph.edges().collect::<Vec<_>>(),
            [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)]
        );
        let groups: Vec<Range<usize>> = graph.groups().map(|group| graph.edges_of(group)).collect();
        assert_eq!(groups, [0..1, 1..3, 3..4, 4..5, 5..6]);
        assert_eq!(graph.groups_of_edges().collect::<Vec<_>>(), [0, 1, 1, 2, 3, 4]);
        let begins: Vec<usize> = (0..6).filter(|&edge| graph.begins_stage(edge)).collect();
        assert_eq!(begins, [0, 3, 4]);
        assert!(!CellGraph::new(2, 4).begins_stage(0));
    }

    #[test]
    fn graphs_have_every_edge_in_one_group() {
        for graph in [
            CellGraph::new(2, 4),
            CellGraph::new(1, 3),
            CellGraph::chain([1]),
            CellGraph::chain([2, 4, 1, 1, 3]),
            CellGraph::chain([40, 40]),
        ] {
            assert_eq!(graph.edges().count(), graph.edge_count());
            assert_eq!(graph.groups_of_edges().count(), graph.edge_count());
            let edges: Vec<usize> = graph.groups().flat_map(|group| graph.edges_of(group)).collect();
            assert!(edges.into_iter().eq(0..graph.edge_count()));
        }
    }
}
