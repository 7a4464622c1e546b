//! The cost of a network: parameters, multiply-adds, size and memory on a device.
//!
//! Contract: multiply-adds are those of convolutions and the classifier for one image, as is
//! customary (batch norm, pooling and additions are free). All costs are for the deployed network,
//! which has no auxiliary head. Size and memory are those of [`DeviceCost`].

use da2s_engine::{Activation, Arena, Choice, RunningStage, SCALE_AND_BIAS, activations};
use da2s_records::schema::DeviceCost;

use crate::backbone::{Backbone, NetworkStage, PartLayout, Source};

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
    // There are no integer kernels for squeeze-and-excitation.
    let has_int8 = layouts().all(|layout| layout.squeeze.is_none());
    let classes = classes(classifier);
    let values = Arena::new(&stage_activations(network, image_size, sizes)).len as u64;
    DeviceCost {
        size_bytes: Some(size_bytes + NUMBER * classifier.weight_count as u64),
        size_int8_bytes: has_int8.then_some(size_int8_bytes + products(classifier) + (SCALE_AND_BIAS * classes) as u64),
        ram_bytes: Some(NUMBER * values),
        ram_int8_bytes: has_int8.then_some(values),
        latency_ms: None,
    }
}

/// Every tensor that inference on one image writes.
pub(super) fn stage_activations(network: &Backbone, image_size: usize, sizes: &[(usize, usize)]) -> Vec<Activation> {
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

pub(super) fn classes(classifier: &PartLayout) -> usize {
    classifier.weights.last().map_or(0, |bias| bias.shape[0])
}

/// Multiply-adds of a classifier: its weights without the biases.
fn products(classifier: &PartLayout) -> u64 {
    (classifier.weight_count - classes(classifier)) as u64
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
