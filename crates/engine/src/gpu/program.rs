//! A plan made into launches: what lies where in a cell's memory, and the tables that the kernels
//! read.
//!
//! Everything that ends in one node is done together, level by level: first stages of all edges,
//! their norms, second stages, and the node's sum; backward the same way, from the last node to the
//! first. A candidate is no more than records in these tables.

use da2s_plan::{Block, CellPlan};

use super::backward::SLICES;
use super::build::Builder;
use super::kernels::{GROUP, THREADS, weight_gradient};
use super::table::{RecordTable, Span};

/// Numbers of an image tensor over the batch, and where they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub at: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Image {
    /// Pixels of a channel.
    pub(super) fn area(&self) -> usize {
        self.height * self.width
    }

    /// Numbers of a sample.
    pub(super) fn size(&self) -> usize {
        self.channels * self.area()
    }
}

/// Records, and the grid that covers the largest of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Launch {
    pub span: Span,
    /// Most elements of a channel in one sample.
    pub area: usize,
    /// Most channels.
    pub channels: usize,
}

/// One level of the convolutions that end in a node.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeStage {
    pub depthwise: Launch,
    pub dense: Launch,
    /// Norms behind this level's results.
    pub norms: Vec<Launch>,
    /// Backward: the norms whose gradients the level above has made,
    pub inner_norms: Launch,
    /// what the pointwise convolutions read,
    pub dense_targets: Launch,
    /// what the depthwise convolutions read, but for the first level,
    pub depthwise_targets: Launch,
    /// and the depthwise convolutions by the side of their kernels.
    pub depthwise_kernels: Vec<(u32, Launch)>,
    /// Largest kernel, outputs and inputs of the dense convolutions.
    pub dense_sizes: [usize; 3],
}

/// What ends in a node.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeProgram {
    pub stages: Vec<NodeStage>,
    pub pools: Launch,
    /// What the node is the sum of.
    pub terms: Launch,
    /// Backward: the sources of its edges, for each kind of record.
    pub depthwise_sources: Launch,
    pub dense_sources: Launch,
    pub pool_sources: Launch,
}

/// A plan for one size of images and one batch.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub batch: usize,
    /// Inputs and nodes among the activations; their gradients lie in the same places among the
    /// gradients.
    pub inputs: Vec<Image>,
    pub nodes: Vec<Image>,
    pub node_programs: Vec<NodeProgram>,
    pub table: RecordTable,
    /// Numbers of the activations, of the gradients, and channels of all norms, those that are none
    /// included.
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
                Block::Norm | Block::Take { .. } | Block::Shuffle { .. } => false,
            })
    }

    /// `plan` on `batch` samples of inputs of `sizes`, without the choices that `active` leaves
    /// out. Batch norms take what is given to them if `running`. `None` if it is larger than the
    /// kernels can count.
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

/// Most cubes that every device takes in a dimension of a grid.
pub(super) const MOST_CUBES: u32 = 65535;

/// Groups of channels that cover `channels`.
pub(super) fn groups(channels: usize) -> u32 {
    channels.div_ceil(GROUP as usize) as u32
}
