//! The memory of activations at each choice of a space, for limits on the expected peak.

use da2s_engine::{Block, CellPlanBuilder, RunningStage, activations, breadth};

use super::cost::{classes, input_sizes, stage_activations, stage_sizes};
use super::cost_tables::Candidate;
use crate::backbone::Backbone;
use crate::objective::PeakTable;
use crate::space::{PerKind, Space};

/// The table of `space` for values of `bytes` bytes each. `network` has every edge or layer, each
/// with the first operation that may be kept.
pub(crate) fn peak_table(
    space: &Space,
    network: &Backbone,
    candidates: &[Candidate],
    image_size: usize,
    bytes: f64,
) -> PeakTable {
    let width = space.operations.len();
    let mut choices = PerKind::new(space.kinds(), |_| vec![0.0; space.graph.edge_count() * width]);
    for candidate in candidates {
        let most = &mut choices.kind_mut(candidate.kind)[candidate.at];
        *most = f64::max(*most, bytes * candidate.peak() as f64);
    }
    let sizes = stage_sizes(network.stages(), image_size);
    let mut beside = 0.0;
    if !space.graph.is_chain() {
        // The memory of the first operation is already part of the network's peak.
        let first = space.operations.iter().position(|&operation| space.may_keep(operation));
        choices = choices.map(|_, needs| {
            let rows = needs.chunks(width);
            let more = rows.flat_map(|row| row.iter().map(|need| f64::max(0.0, need - row[first.unwrap_or(0)])));
            more.collect()
        });
        beside = bytes * breadth(&stage_activations(network, image_size, &sizes)) as f64;
    }
    PeakTable {
        fixed: bytes * fixed(network, image_size, &sizes) as f64,
        beside,
        choices,
    }
}

/// The peak of the stages that are not searched, each alone.
fn fixed(network: &Backbone, image_size: usize, sizes: &[(usize, usize)]) -> usize {
    let stages = network.stages();
    let last = stages.len().saturating_sub(1);
    let alone = stages.iter().enumerate().filter(|(_, stage)| stage.kind.is_none());
    let peak = alone.map(|(index, stage)| {
        let stage_inputs = input_sizes(stage, sizes, image_size);
        let running = RunningStage {
            cell: stage.cell.plan(),
            sources: &vec![None; stage_inputs.len()],
            sizes: &stage_inputs,
        };
        let classes = if index == last {
            classes(&network.parts()[stages.len()])
        } else {
            0
        };
        breadth(&activations([running], classes))
    });
    peak.max().unwrap_or(0)
}

impl Candidate {
    /// The largest number of values in memory while it runs: its input, its output, and values in
    /// between; 0 if it computes nothing.
    fn peak(&self) -> usize {
        if matches!(self.block, Block::Zero { .. }) {
            return 0;
        }
        let shortcut = self.block.shortcut(self.inputs, self.outputs);
        let choices = [Some(self.block), shortcut].into_iter().flatten();
        let cell = CellPlanBuilder::new(true)
            .input(self.inputs)
            .node(self.outputs)
            .edge(0, 1, choices.map(|block| (block, String::new(), 0)))
            .output([1]);
        let running = RunningStage {
            cell: &cell,
            sources: &[None],
            sizes: &[self.size],
        };
        breadth(&activations([running], 0))
    }
}
