//! Why a target does not fit its space.

/// Why a target is impossible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// A list of edges that does not name every node.
    #[error(
        "target.{kind}.edges has {given} numbers, but a cell of this space has {nodes} nodes: give one number per node, or one for all"
    )]
    NodeCount {
        /// Kind of cell.
        kind: &'static str,
        /// Length of the list.
        given: usize,
        /// Nodes of the space.
        nodes: usize,
    },
    /// A node that cannot keep this many edges.
    #[error(
        "target.{kind}.edges keeps {given} edges at node {node}, which has {incoming} incoming edges: allowed are 1 to {incoming}"
    )]
    Edges {
        /// Kind of cell.
        kind: &'static str,
        /// Node, counted with the inputs, as in genotypes.
        node: usize,
        /// Number of requested edges.
        given: usize,
        /// Number of incoming edges.
        incoming: usize,
    },
    /// A space whose topology cannot be chosen.
    #[error(
        "the architectures of NAS-Bench-201 keep every edge and one operation on each: set target.edges = \"all\" and \
         target.operations = 1"
    )]
    Fixed,
    /// A list of depths that does not name every stage.
    #[error(
        "target.depth has {given} numbers, but there are {stages} stages: give one number per stage, or one for all"
    )]
    StageCount {
        /// Length of the list.
        given: usize,
        /// Stages of the space.
        stages: usize,
    },
    /// A stage that cannot keep this many layers.
    #[error(
        "target.depth keeps {given} of the {layers} layers of stage {stage}: allowed are {least} to {layers}, since the first \
         layer of a stage always stays; for fewer layers change space.stages"
    )]
    Depth {
        /// Stage, from 1.
        stage: usize,
        /// Number of requested layers.
        given: usize,
        /// The smallest allowed number.
        least: usize,
        /// Number of layers of the stage.
        layers: usize,
    },
    /// A number of edges in a space of layers.
    #[error(
        "a chain has layers, not edges: set target.edges = \"all\", and the number of layers to keep as target.depth"
    )]
    Layers,
    /// A depth where `skip` is a candidate.
    #[error(
        "target.depth and the candidate skip both decide which layers vanish: leave target.depth unset, or search without skip"
    )]
    DepthAndSkip,
    /// Several operations per layer where `skip` is a candidate.
    #[error(
        "target.operations = {given}, and skip is a candidate, which makes a layer vanish if it is the only operation that \
         the layer keeps: set target.operations = 1, or search without skip"
    )]
    SkipIsNotAlone {
        /// Number of requested operations.
        given: usize,
    },
    /// Layers in a space of edges.
    #[error(
        "target.depth is for the layers of a chain, as in the space mobile: a cell of this space has edges, see target.edges"
    )]
    NoLayers,
    /// An edge that cannot do without its skip connection.
    #[error(
        "target.most_skips is set, but an edge keeps {operations} operations, and this space has {others} without the skip connection: \
         leave it unset, or lower target.operations"
    )]
    OnlySkips {
        /// Number of operations kept on an edge.
        operations: usize,
        /// Number of candidates without `none` and `skip_connect`.
        others: usize,
    },
    /// An edge that cannot keep this many operations.
    #[error(
        "target.{kind}.operations keeps {given} operations per edge: allowed are 1 to {candidates}, the candidates of this space"
    )]
    Operations {
        /// Kind of cell.
        kind: &'static str,
        /// Number of requested operations.
        given: usize,
        /// Number of candidates without `none`.
        candidates: usize,
    },
}
