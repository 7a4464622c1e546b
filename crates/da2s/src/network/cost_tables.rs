//! The cost of each choice of a space in its network: for limits on the expected cost, and for the
//! blocks whose latency is measured.

use da2s_engine::{ActivationFunction, Block};

use super::cost::{input_sizes, stage_sizes};
use crate::backbone::Backbone;
use crate::objective::CostTable;
use crate::space::{CellKind, Genotype, HostNetwork, PerKind, Space};
use crate::supernet::stride;

/// A candidate on an edge of a cell, where it is in the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Kind of the cell.
    pub(crate) kind: CellKind,
    /// Edge · operations + operation.
    pub(crate) at: usize,
    /// What computes it.
    pub(crate) block: Block,
    /// Input channels.
    pub(crate) inputs: usize,
    /// Output channels.
    pub(crate) outputs: usize,
    /// Height and width of the input.
    pub(crate) size: (usize, usize),
}

impl Candidate {
    /// Its weights.
    pub(crate) fn parameters(&self) -> f64 {
        self.block.layout(self.inputs, self.outputs, true, 0).weight_count as f64
    }

    /// Bytes of its weights in float32.
    pub(crate) fn size_bytes(&self) -> f64 {
        self.block.layout(self.inputs, self.outputs, true, 0).size_bytes() as f64
    }

    /// Bytes of its weights in int8.
    pub(crate) fn size_int8_bytes(&self) -> f64 {
        self.block.layout(self.inputs, self.outputs, true, 0).size_int8_bytes() as f64
    }

    /// Its multiply-adds for one image.
    pub(crate) fn multiply_adds(&self) -> f64 {
        let (height, width) = self.size;
        self.block.multiply_adds(self.inputs, self.outputs, height, width) as f64
    }
}

/// The candidates of `space` in every cell of `network`, in order. In a chain `network` has every
/// layer.
pub(crate) fn candidates(space: &Space, network: &Backbone, image_size: usize) -> Vec<Candidate> {
    let graph = space.graph;
    let sizes = stage_sizes(network.stages(), image_size);
    let width = space.operations.len();
    let mut candidates = Vec::new();
    for stage in network.stages() {
        let Some(kind) = stage.kind else { continue };
        let plan = stage.cell.plan();
        let nodes = plan.node_sizes(&input_sizes(stage, &sizes, image_size));
        let inner = plan.output.first().map_or((0, 0), |&node| nodes[node]);
        for (edge, (from, to)) in graph.edges().enumerate() {
            let (inputs, outputs) = (plan.node_channels[from], plan.node_channels[to]);
            // In a chain every layer is present here, with its own stride, size and activation.
            let of_layer = plan.edges.get(edge).and_then(|edge| edge.choices.first());
            let of_layer = of_layer.filter(|_| graph.is_chain());
            let activation = of_layer.map_or(ActivationFunction::Relu, |choice| choice.block.activation());
            let (size, stride) = match of_layer {
                Some(choice) => (nodes[from], choice.block.stride()),
                None if from < graph.inputs => (nodes[from], stride(kind.stride(), from, graph)),
                None => (inner, stride(kind.stride(), from, graph)),
            };
            let of_edge = space
                .operations
                .iter()
                .enumerate()
                .map(|(candidate, operation)| Candidate {
                    kind,
                    at: edge * width + candidate,
                    block: operation
                        .block(stride, HostNetwork::Network)
                        .0
                        .with_activation(activation),
                    inputs,
                    outputs,
                    size,
                });
            candidates.extend(of_edge);
        }
    }
    candidates
}

/// The cost table of a resource: the network of `genotype` needs `total` of it, and a candidate
/// needs `cost`. In a chain `genotype` has every layer.
pub(crate) fn cost_table<E>(
    space: &Space,
    genotype: &Genotype,
    candidates: &[Candidate],
    total: f64,
    cost: impl Fn(&Candidate) -> Result<f64, E>,
) -> Result<CostTable, E> {
    let graph = space.graph;
    let width = space.operations.len();
    let mut choices = PerKind::new(space.kinds(), |_| vec![0.0; graph.edge_count() * width]);
    for candidate in candidates {
        choices.kind_mut(candidate.kind)[candidate.at] += cost(candidate)?;
    }
    let searched = genotype.cells.iter().flat_map(|(kind, cell)| {
        let choices = choices.kind(kind);
        cell.edges.iter().flat_map(move |edge| {
            let index = graph.edges().position(|ends| ends == (edge.from, edge.to)).unwrap_or(0);
            edge.operations.iter().map(move |operation| {
                let candidate = space
                    .operations
                    .iter()
                    .position(|other| other == operation)
                    .unwrap_or(0);
                choices[index * width + candidate]
            })
        })
    });
    Ok(CostTable {
        fixed: total - searched.sum::<f64>(),
        choices,
    })
}
