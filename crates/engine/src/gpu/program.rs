//! A plan compiled into launches: the layout of a cell's memory, and the tables that the kernels
//! read.
//!
//! Everything that ends in one node is computed together, level by level: the first stages of all
//! edges, their norms, the second stages, and the node's sum. The backward pass does the same, from
//! the last node to the first. A candidate is just a set of records in these tables.

use da2s_plan::{Block, CellPlan};

use super::backward::SLICES;
use super::build::Builder;
use super::kernels::{GROUP, THREADS, weight_gradient};
use super::table::{RecordTable, Span};

/// An image tensor over the batch: its size, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub at: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Image {
    /// Pixels per channel.
    pub(super) fn area(&self) -> usize {
        self.height * self.width
    }

    /// Numbers per sample.
    pub(super) fn size(&self) -> usize {
        self.channels * self.area()
    }
}

/// Records, and the grid that covers the largest of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Launch {
    pub span: Span,
    /// Largest number of elements of a channel in one sample.
    pub area: usize,
    /// Largest number of channels.
    pub channels: usize,
}

/// One level of the convolutions that end in a node.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeStage {
    pub depthwise: Launch,
    pub dense: Launch,
    /// Norms of this level's results.
    pub norms: Vec<Launch>,
    /// Backward: the norms whose gradients the next level has computed.
    pub inner_norms: Launch,
    /// Backward: the inputs of the pointwise convolutions.
    pub dense_targets: Launch,
    /// Backward: the inputs of the depthwise convolutions, except at the first level.
    pub depthwise_targets: Launch,
    /// Backward: the depthwise convolutions, by the side of their kernels.
    pub depthwise_kernels: Vec<(u32, Launch)>,
    /// Largest kernel, outputs and inputs of the dense convolutions.
    pub dense_sizes: [usize; 3],
}

/// Everything that ends in a node.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeProgram {
    pub stages: Vec<NodeStage>,
    pub pools: Launch,
    /// The terms of the node's sum.
    pub terms: Launch,
    /// Backward: the sources of the node's edges, for each kind of record.
    pub depthwise_sources: Launch,
    pub dense_sources: Launch,
    pub pool_sources: Launch,
}

/// A plan compiled for one image size and one batch.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub batch: usize,
    /// Inputs and nodes among the activations; their gradients have the same positions among the
    /// gradients.
    pub inputs: Vec<Image>,
    pub nodes: Vec<Image>,
    pub node_programs: Vec<NodeProgram>,
    pub table: RecordTable,
    /// Lengths of the activations and of the gradients, and the number of slots. Blocks without a
    /// norm have slots, too.
    pub activations: usize,
    pub gradients: usize,
    pub slots: usize,
    /// First slot and channels of every choice.
    pub choices: Vec<u32>,
    /// Which channels of the plan's norms are live.
    pub live_norms: Vec<bool>,
}

impl Program {
    /// Whether the kernels know every block of `plan`.
    pub(super) fn knows(plan: &CellPlan) -> bool {
        let choices = plan.edges.iter().flat_map(|edge| &edge.choices);
        choices
            .chain(plan.preprocess.iter().flatten())
            .all(|choice| match choice.block {
                Block::Zero { .. }
                | Block::Identity
                | Block::Pool { .. }
                | Block::FactorizedReduce
                | Block::Conv { .. }
                | Block::Separable { .. } => true,
                Block::Norm
                | Block::Relu
                | Block::Relu6
                | Block::HardSwish
                | Block::Take { .. }
                | Block::Shuffle { .. }
                | Block::InvertedBottleneck { .. }
                | Block::Basic { .. } => false,
            })
    }

    /// Compiles `plan` for `batch` samples of inputs of `sizes`, without the choices that `active`
    /// excludes. Batch norms use given statistics if `running`. `None` if the program is too large
    /// for the kernels' indices.
    pub(super) fn new(
        plan: &CellPlan,
        sizes: &[(usize, usize)],
        batch: usize,
        active: Option<&[bool]>,
        running: bool,
    ) -> Option<Self> {
        let program = Builder::new(plan, batch, running).build(sizes, active);
        let largest = [
            program.activations,
            program.gradients,
            SLICES as usize * plan.weight_count,
        ];
        let fits = |launch: Launch| {
            let cubes = (launch.area * batch).div_ceil(THREADS as usize);
            [cubes, launch.channels, launch.span.count as usize]
                .iter()
                .all(|&side| side <= MOST_CUBES as usize)
        };
        let squares = |stage: &NodeStage| {
            let [kernel, outputs, inputs] = stage.dense_sizes;
            let side = weight_gradient::SIDE as usize;
            kernel * kernel * outputs.div_ceil(side) * inputs.div_ceil(side)
        };
        let stages = program.node_programs.iter().flat_map(|node| &node.stages);
        let counts = largest.iter().all(|&length| length < 1 << 31)
            && program.launches().all(fits)
            && stages.map(squares).all(|squares| squares <= MOST_CUBES as usize);
        counts.then_some(program)
    }

    fn launches(&self) -> impl Iterator<Item = Launch> {
        self.node_programs.iter().flat_map(|node| {
            let sources = [node.depthwise_sources, node.dense_sources, node.pool_sources];
            let of_stages = node.stages.iter().flat_map(|stage| {
                [
                    stage.depthwise,
                    stage.dense,
                    stage.dense_targets,
                    stage.depthwise_targets,
                ]
                .into_iter()
                .chain(stage.norms.iter().copied())
            });
            of_stages.chain(sources).chain([node.pools, node.terms])
        })
    }
}

/// Largest number of cubes that every device accepts in one dimension of a grid.
pub(super) const MOST_CUBES: u32 = 65535;

/// Number of channel groups that cover `channels`.
pub(super) fn groups(channels: usize) -> u32 {
    channels.div_ceil(GROUP as usize) as u32
}
