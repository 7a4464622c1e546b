//! The cost of a network: parameters, multiply-adds, size and memory on a device.
//!
//! Contract: multiply-adds are those of convolutions and the classifier for one image, as is
//! customary (batch norm, pooling and additions are free); everything is that of the deployed
//! network, without an auxiliary head. Size and memory are those of [`DeviceCost`].

use da2s_engine::{Activation, Arena, Choice, RunningStage, SCALE_AND_BIAS, activations};
use da2s_records::schema::DeviceCost;

use crate::backbone::{Backbone, NetworkStage, PartLayout, Source};
use crate::objective::CostTable;
use crate::space::{Genotype, HostNetwork, PerKind, Space};
use crate::supernet::stride;

/// Size of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Number of weights.
    pub parameters: u64,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
    /// Size and memory on a device.
    pub on_device: DeviceCost,
}

/// The cost of `network` for square images with a side of `image_size` pixels.
pub fn cost(network: &Backbone, image_size: usize) -> Cost {
    let stages = network.stages();
    let sizes = stage_sizes(stages, image_size);
    let of_stage = |stage: &NetworkStage| stage.cell.plan().multiply_adds(&input_sizes(stage, &sizes, image_size));
    let classifier = &network.parts()[stages.len()];
    let parameters: usize = network.parts()[..=stages.len()]
        .iter()
        .map(|part| part.weight_count)
        .sum();
    let multiply_adds = stages.iter().map(of_stage).sum::<u64>() + products(classifier);
    Cost {
        parameters: parameters as u64,
        multiply_adds,
        on_device: on_device(network, image_size, &sizes),
    }
}

/// Size and memory on a device.
fn on_device(network: &Backbone, image_size: usize, sizes: &[(usize, usize)]) -> DeviceCost {
    const NUMBER: u64 = size_of::<f32>() as u64;
    let stages = network.stages();
    let classifier = &network.parts()[stages.len()];
    let layouts = || {
        stages
            .iter()
            .flat_map(|stage| stage.cell.plan().choices())
            .map(Choice::layout)
    };
    let size_bytes = layouts().map(|layout| layout.size_bytes()).sum::<u64>();
    let size_int8_bytes = layouts().map(|layout| layout.size_int8_bytes()).sum::<u64>();
    let classes = classes(classifier);
    let values = Arena::new(&network_activations(network, image_size, sizes)).len as u64;
    DeviceCost {
        size_bytes: Some(size_bytes + NUMBER * classifier.weight_count as u64),
        size_int8_bytes: Some(size_int8_bytes + products(classifier) + (SCALE_AND_BIAS * classes) as u64),
        ram_bytes: Some(NUMBER * values),
        ram_int8_bytes: Some(values),
    }
}

/// Every tensor that inference on one image writes.
fn network_activations(network: &Backbone, image_size: usize, sizes: &[(usize, usize)]) -> Vec<Activation> {
    let stages = network.stages();
    let inputs: Vec<_> = stages
        .iter()
        .map(|stage| {
            let sources = stage.sources.iter().map(|source| match source {
                Source::Image => None,
                Source::Stage(earlier) => Some(*earlier),
            });
            (sources.collect::<Vec<_>>(), input_sizes(stage, sizes, image_size))
        })
        .collect();
    let running = stages
        .iter()
        .zip(&inputs)
        .map(|(stage, (sources, sizes))| RunningStage {
            cell: stage.cell.plan(),
            sources,
            sizes,
        });
    activations(running, classes(&network.parts()[stages.len()]))
}

fn classes(classifier: &PartLayout) -> usize {
    classifier.weights.last().map_or(0, |bias| bias.shape[0])
}

/// Multiply-adds of a classifier: its weights without the biases.
fn products(classifier: &PartLayout) -> u64 {
    (classifier.weight_count - classes(classifier)) as u64
}

/// The cost of the choices of `space` in `network`, the network of `genotype`: parameters,
/// multiply-adds. In a chain `genotype` has every layer.
pub(crate) fn cost_tables(space: &Space, network: &Backbone, genotype: &Genotype, image_size: usize) -> [CostTable; 2] {
    let graph = space.graph;
    let sizes = stage_sizes(network.stages(), image_size);
    let width = space.operations.len();
    let nothing = || PerKind::new(space.kinds(), |_| vec![0.0; graph.edge_count() * width]);
    let [mut parameters, mut multiply_adds] = [nothing(), nothing()];
    for stage in network.stages() {
        let Some(kind) = stage.kind else { continue };
        let plan = stage.cell.plan();
        let nodes = plan.node_sizes(&input_sizes(stage, &sizes, image_size));
        let inner = plan.output.first().map_or((0, 0), |&node| nodes[node]);
        for (edge, (from, to)) in graph.edges().enumerate() {
            let (channels, outputs) = (plan.node_channels[from], plan.node_channels[to]);
            // In a chain every layer is present here, with its own stride and size.
            let of_layer = plan.edges.get(edge).and_then(|edge| edge.choices.first());
            let ((height, width_of_image), stride) = match of_layer.filter(|_| graph.is_chain()) {
                Some(choice) => (nodes[from], choice.block.stride()),
                None if from < graph.inputs => (nodes[from], stride(kind.stride(), from, graph)),
                None => (inner, stride(kind.stride(), from, graph)),
            };
            for (candidate, operation) in space.operations.iter().enumerate() {
                let (block, _) = operation.block(stride, HostNetwork::Network);
                let at = edge * width + candidate;
                let count = block.layout(channels, outputs, true, 0).weight_count;
                parameters.kind_mut(kind)[at] += count as f64;
                multiply_adds.kind_mut(kind)[at] +=
                    block.multiply_adds(channels, outputs, height, width_of_image) as f64;
            }
        }
    }
    let Cost {
        parameters: all_parameters,
        multiply_adds: all_multiply_adds,
        ..
    } = cost(network, image_size);
    [(parameters, all_parameters), (multiply_adds, all_multiply_adds)].map(|(choices, all)| {
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
        CostTable {
            fixed: all as f64 - searched.sum::<f64>(),
            choices,
        }
    })
}

/// Height and width of every stage's output.
pub(super) fn stage_sizes(stages: &[NetworkStage], image_size: usize) -> Vec<(usize, usize)> {
    let mut sizes = Vec::with_capacity(stages.len());
    for stage in stages {
        let plan = stage.cell.plan();
        let nodes = plan.node_sizes(&input_sizes(stage, &sizes, image_size));
        sizes.push(plan.output.first().map_or((0, 0), |&node| nodes[node]));
    }
    sizes
}

/// Height and width of a stage's inputs, given those of every earlier stage's output.
pub(super) fn input_sizes(stage: &NetworkStage, sizes: &[(usize, usize)], image_size: usize) -> Vec<(usize, usize)> {
    let size = |source: &Source| match source {
        Source::Image => (image_size, image_size),
        Source::Stage(earlier) => sizes[*earlier],
    };
    stage.sources.iter().map(size).collect()
}
