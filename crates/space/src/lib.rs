//! Search spaces, their targets and genotypes.
//!
//! A [`Space`] defines the nodes, edges and candidate operations of a cell; a [`Target`] how many
//! of them are kept; a [`Genotype`] which ones, with the text forms of several tools. Each space
//! has its own file; CONTRIBUTING.md explains how to add one. Everything here is plain data:
//! nothing computes on images.

#![forbid(unsafe_code)]

mod activation;
pub mod arch_201;
mod darts;
mod genotype;
mod graph;
pub mod lookup;
mod mobile;
mod nas_bench_201;
mod networks;
mod operation;
mod per_kind;
mod plain;
mod reductions;
mod settings;
mod target;
mod topology_error;

pub use activation::ActivationName;
pub(crate) use darts::darts_operations;
pub use genotype::{CellGenotype, FormError, Genotype, GenotypeError, GenotypeForm, KeptEdge, PublishedGenotype};
pub use graph::CellGraph;
pub use mobile::{ChainPreset, ChainShape, LayerShape, StageShape};
pub(crate) use mobile::{MOBILE_OPERATIONS, mobile_candidates};
pub(crate) use nas_bench_201::NAS_BENCH_201_GRAPH;
pub(crate) use nas_bench_201::NAS_BENCH_201_OPERATIONS;
pub use networks::{NamedNetwork, PlainNetwork};
pub use operation::{HostNetwork, Operation};
pub use per_kind::PerKind;
pub(crate) use plain::PLAIN_OPERATIONS;
pub use reductions::{Reductions, Thirds};
pub use settings::SpaceSettings;
pub use target::{All, EdgeCount, KindTarget, Precision, Target, TargetSpec};
pub use topology_error::TopologyError;

use da2s_settings::words;

words! {
    /// The two kinds of cell. All cells of a kind share α and β.
    #[derive(PartialOrd, Ord)]
    #[strum(serialize_all = "lowercase")]
    pub enum CellKind {
        /// Keeps the image's size.
        Normal,
        /// Halves the image's sides and doubles the channels.
        Reduction,
    }
}

impl CellKind {
    /// The factor by which a cell divides the sides of an image and multiplies the channels.
    pub const fn stride(self) -> usize {
        match self {
            Self::Normal => 1,
            Self::Reduction => 2,
        }
    }
}

words! {
    /// The spaces.
    #[strum(serialize_all = "kebab-case")]
    pub enum SpaceName {
        /// The space of DARTS, or a subset of it.
        Darts,
        /// The space of NAS-Bench-201.
        #[strum(serialize = "nas-bench-201")]
        NasBench201,
        /// A chain of inverted bottlenecks in stages, for mobile devices.
        Mobile,
        /// A chain of fixed operations in stages: plain networks, which are not searched.
        Plain,
    }
}

impl SpaceName {
    /// The kinds of cell that are searched.
    pub const fn kinds(self) -> &'static [CellKind] {
        match self {
            Self::Darts => &CellKind::ALL,
            Self::NasBench201 | Self::Mobile | Self::Plain => &[CellKind::Normal],
        }
    }

    /// Whether `operation` may be a candidate.
    pub fn has(self, operation: Operation) -> bool {
        match self {
            // `basic_block` is the same block there.
            Self::Darts => operation.halves() && operation != Operation::ResBlockK3,
            Self::NasBench201 => NAS_BENCH_201_OPERATIONS.contains(&operation),
            Self::Mobile => MOBILE_OPERATIONS.contains(&operation),
            Self::Plain => PLAIN_OPERATIONS.contains(&operation),
        }
    }

    /// Whether a genotype has every edge, each with one operation. An edge can then only be removed
    /// by choosing the operation `none`.
    pub const fn keeps_every_edge(self) -> bool {
        match self {
            Self::Darts | Self::Mobile | Self::Plain => false,
            Self::NasBench201 => true,
        }
    }

    /// Whether its networks are chains of layers.
    pub const fn is_chain(self) -> bool {
        matches!(self, Self::Mobile | Self::Plain)
    }

    /// Whether there is something to search in it.
    pub const fn is_searched(self) -> bool {
        !matches!(self, Self::Plain)
    }
}

/// A search space: the graph of a cell, the candidates on each of its edges, and the kinds of cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The name of the space, which also determines the skeleton of its networks.
    pub name: SpaceName,
    /// Nodes and edges of a cell.
    pub graph: CellGraph,
    /// Candidates on every edge, in the order of α's columns.
    pub operations: Vec<Operation>,
}

impl Space {
    /// The DARTS space: 4 nodes, 14 edges, 7 candidates, with `none` before them if requested.
    pub fn darts(none: bool) -> Self {
        Self::own(4, darts_operations(none))
    }

    /// The DARTS space with other candidates, in their order, and another number of nodes.
    pub fn own(nodes: usize, operations: Vec<Operation>) -> Self {
        Self {
            name: SpaceName::Darts,
            graph: CellGraph::new(2, nodes),
            operations,
        }
    }

    /// The NAS-Bench-201 space.
    pub fn nas_bench_201() -> Self {
        Self {
            name: SpaceName::NasBench201,
            graph: NAS_BENCH_201_GRAPH,
            operations: NAS_BENCH_201_OPERATIONS.to_vec(),
        }
    }

    /// The space `mobile` with stages of the given numbers of layers, and these candidates, in
    /// order.
    pub fn mobile(layers: impl IntoIterator<Item = usize>, operations: Vec<Operation>) -> Self {
        Self {
            name: SpaceName::Mobile,
            graph: CellGraph::chain(layers),
            operations,
        }
    }

    /// The space `plain` with stages of the given numbers of layers.
    pub fn plain(layers: impl IntoIterator<Item = usize>) -> Self {
        Self {
            name: SpaceName::Plain,
            graph: CellGraph::chain(layers),
            operations: PLAIN_OPERATIONS.to_vec(),
        }
    }

    /// The cell of a genotype that keeps `edges`, given group by group; in a chain they are sorted
    /// in the order of the layers.
    pub fn cell(&self, mut edges: Vec<KeptEdge>) -> CellGenotype {
        if self.graph.is_chain() {
            edges.sort_by_key(|edge| edge.to);
        }
        CellGenotype {
            edges,
            concat: self.output(),
            stages: self.graph.stages().collect(),
        }
    }

    /// The kinds of cell that are searched.
    pub fn kinds(&self) -> &'static [CellKind] {
        self.name.kinds()
    }

    /// Whether discretization may keep `operation`: any except `none`, which may only be kept in
    /// spaces that keep every edge.
    pub fn may_keep(&self, operation: Operation) -> bool {
        operation != Operation::None || self.name.keeps_every_edge()
    }

    /// Whether `operation` is a candidate of `edge`: any is, except `skip` in the first layer of a
    /// stage, which never vanishes.
    pub fn has_on(&self, edge: usize, operation: Operation) -> bool {
        operation != Operation::Skip || !self.graph.begins_stage(edge)
    }

    /// Whether discretization may keep `operation` on `edge`.
    pub fn may_keep_on(&self, edge: usize, operation: Operation) -> bool {
        self.may_keep(operation) && self.has_on(edge, operation)
    }

    /// The nodes whose concatenation is the output of a cell.
    pub fn output(&self) -> Vec<usize> {
        match self.name {
            SpaceName::Darts => self.graph.all_nodes().collect(),
            SpaceName::NasBench201 | SpaceName::Mobile | SpaceName::Plain => {
                self.graph.all_nodes().rev().take(1).collect()
            }
        }
    }

    /// Candidates that discretization may keep on every edge.
    pub(crate) fn kept_candidates(&self) -> usize {
        let everywhere = |&&operation: &&Operation| operation != Operation::Skip && self.may_keep(operation);
        self.operations.iter().filter(everywhere).count()
    }
}
