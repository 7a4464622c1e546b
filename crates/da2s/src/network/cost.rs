//! What a network costs: parameters and multiply-adds.
//!
//! Contract: multiply-adds count convolutions and the classifier for one image, as the field does (batch norm,
//! pooling and additions are free); parameters are those of the deployed network, without an auxiliary head.

use serde::{Deserialize, Serialize};

use crate::backbone::{Backbone, Source, Stage};

/// Size of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Number of weights.
    pub parameters: u64,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
}

/// The cost of `network` for square images of `image_size` pixels a side.
pub fn cost(network: &Backbone, image_size: usize) -> Cost {
    let stages = network.stages();
    let sizes = stage_sizes(stages, image_size);
    let of_stage = |stage: &Stage| stage.cell.plan().multiply_adds(&input_sizes(stage, &sizes, image_size));
    let classifier = &network.parts()[stages.len()];
    let parameters: usize = network.parts()[..=stages.len()]
        .iter()
        .map(|part| part.weight_count)
        .sum();
    let classes = classifier.weights.last().map_or(0, |bias| bias.shape[0]);
    let multiply_adds = stages.iter().map(of_stage).sum::<u64>() + (classifier.weight_count - classes) as u64;
    Cost {
        parameters: parameters as u64,
        multiply_adds,
    }
}

/// Height and width behind every stage.
pub(super) fn stage_sizes(stages: &[Stage], image_size: usize) -> Vec<(usize, usize)> {
    let mut sizes = Vec::with_capacity(stages.len());
    for stage in stages {
        let plan = stage.cell.plan();
        let nodes = plan.node_sizes(&input_sizes(stage, &sizes, image_size));
        sizes.push(plan.output.first().map_or((0, 0), |&node| nodes[node]));
    }
    sizes
}

fn input_sizes(stage: &Stage, sizes: &[(usize, usize)], image_size: usize) -> Vec<(usize, usize)> {
    let size = |source: &Source| match source {
        Source::Image => (image_size, image_size),
        Source::Stage(earlier) => sizes[*earlier],
    };
    stage.sources.iter().map(size).collect()
}
