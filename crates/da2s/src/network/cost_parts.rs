//! Where the parameters and the multiply-adds of a network lie: part by part, and in each part operation by operation.
//!
//! Contract: counted as in `cost.rs`, so the entries sum to the cost of the network; parts in the order of the network, under the
//! names that their weights have.

use da2s_engine::Choice;
use serde::{Deserialize, Serialize};

use super::cost::{input_sizes, stage_sizes};
use crate::backbone::{Backbone, Stage};
use crate::space::{CellKind, Operation};

/// What one operation costs, or what is not searched, in one part of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartCost {
    /// The part, as `cells.3`.
    pub part: String,
    /// What kind of part it is.
    pub kind: PartKind,
    /// The operation, on all edges that have it; none of what is not searched, which in a cell is what its inputs go through.
    pub operation: Option<Operation>,
    /// Number of weights.
    pub parameters: u64,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
}

/// A kind of part of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// In front of the cells.
    Stem,
    /// A normal cell.
    Normal,
    /// A reduction cell.
    Reduction,
    /// A residual block between cells (NAS-Bench-201).
    Residual,
    /// Behind the cells.
    Head,
}

/// Where the cost of `network` lies, for square images of `image_size` pixels a side.
pub fn cost_parts(network: &Backbone, image_size: usize) -> Vec<PartCost> {
    let stages = network.stages();
    let sizes = stage_sizes(stages, image_size);
    let searched = |stage: &Stage| stage.kind.is_some();
    let first_cell = stages.iter().position(searched).unwrap_or(stages.len());
    let last_cell = stages.iter().rposition(searched).unwrap_or(0);
    let mut costs = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        let kind = match stage.kind {
            Some(CellKind::Normal) => PartKind::Normal,
            Some(CellKind::Reduction) => PartKind::Reduction,
            None if index < first_cell => PartKind::Stem,
            None if index < last_cell => PartKind::Residual,
            None => PartKind::Head,
        };
        costs.extend(of_stage(stage, kind, &input_sizes(stage, &sizes, image_size)));
    }
    let classifier = &network.parts()[stages.len()];
    let biases = classifier.weights.last().map_or(0, |bias| bias.shape[0]);
    costs.push(PartCost {
        part: "classifier".to_owned(),
        kind: PartKind::Head,
        operation: None,
        parameters: classifier.weight_count as u64,
        multiply_adds: (classifier.weight_count - biases) as u64,
    });
    costs
}

/// An entry an operation, and one for what is not searched.
fn of_stage(stage: &Stage, kind: PartKind, inputs: &[(usize, usize)]) -> Vec<PartCost> {
    let plan = stage.cell.plan();
    let nodes = plan.node_sizes(inputs);
    let before = plan.preprocess.iter().zip(inputs);
    let before = before.filter_map(|(choice, size)| Some((None, choice.as_ref()?, *size)));
    let edges = plan.edges.iter().flat_map(|edge| {
        let size = nodes[edge.from];
        edge.choices.iter().map(move |choice| {
            let operation = stage.kind.and_then(|_| Operation::in_network(choice.block));
            (operation, choice, size)
        })
    });
    let all: Vec<(Option<Operation>, &Choice, (usize, usize))> = before.chain(edges).collect();
    // Stems have no prefix of their own; their weights are named after their convolution.
    let part = match (stage.prefix.trim_end_matches('.'), all.first()) {
        ("", Some((_, choice, _))) => choice.name.clone(),
        (prefix, _) => prefix.to_owned(),
    };
    let mut costs: Vec<PartCost> = Vec::new();
    for (operation, choice, (height, width)) in all {
        let at = costs.iter().position(|cost| cost.operation == operation);
        let at = at.unwrap_or_else(|| {
            costs.push(PartCost {
                part: part.clone(),
                kind,
                operation,
                parameters: 0,
                multiply_adds: 0,
            });
            costs.len() - 1
        });
        costs[at].parameters += choice.layout().weight_count as u64;
        costs[at].multiply_adds += choice.block.multiply_adds(choice.inputs, choice.outputs, height, width);
    }
    costs
}

#[cfg(test)]
mod tests {
    use da2s_engine::Engine;

    use super::*;
    use crate::discretize::Genotype;
    use crate::network::{NetworkSize, Stem, cost, network};
    use crate::space::Reductions;

    const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
        ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
        normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
        ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
        reduce_concat=[2, 3, 4, 5])";
    const BENCH: &str = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|";

    /// Checks the sums and returns the entries.
    fn parts(text: &str, stem: Stem, cells: usize, side: usize) -> Vec<PartCost> {
        let size = NetworkSize {
            stem,
            channels: 36,
            cells,
            reductions: Reductions::THIRDS,
            image_channels: 3,
            image_size: side,
            classes: 10,
            auxiliary: false,
        };
        let network = network(&Genotype::parse(text).unwrap(), size, &Engine::Plain).unwrap();
        let (parts, all) = (cost_parts(&network, side), cost(&network, side));
        let sum = |of: fn(&PartCost) -> u64| parts.iter().map(of).sum::<u64>();
        assert_eq!(sum(|part| part.parameters), all.parameters);
        assert_eq!(sum(|part| part.multiply_adds), all.multiply_adds);
        parts
    }

    fn named<'a>(parts: &'a [PartCost], part: &str) -> Vec<&'a PartCost> {
        parts.iter().filter(|cost| cost.part == part).collect()
    }

    #[test]
    fn a_network_of_darts_is_taken_apart() {
        let parts = parts(DARTS_V2, Stem::Cifar, 20, 32);
        let stem = named(&parts, "stem");
        assert_eq!((stem.len(), stem[0].kind, stem[0].operation), (1, PartKind::Stem, None));
        assert_eq!(stem[0].multiply_adds, 32 * 32 * 3 * 3 * 3 * 108);
        assert_eq!(stem[0].parameters, 3 * 3 * 3 * 108 + 2 * 108);
        let operations = |part: &str| {
            named(&parts, part)
                .iter()
                .map(|cost| cost.operation)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            operations("cells.0"),
            [
                None,
                Some(Operation::SepConv3x3),
                Some(Operation::SkipConnect),
                Some(Operation::DilConv3x3)
            ]
        );
        assert_eq!(
            operations("cells.6"),
            [None, Some(Operation::MaxPool3x3), Some(Operation::SkipConnect)]
        );
        // Five separable convolutions of two stages each, on images as large as the network's.
        let separable = named(&parts, "cells.0")[1];
        assert_eq!(separable.multiply_adds, 5 * 2 * 32 * 32 * (9 * 36 + 36 * 36));
        let kinds = |kind| named_kinds(&parts, kind);
        assert_eq!((kinds(PartKind::Normal), kinds(PartKind::Reduction)), (18, 2));
        assert_eq!(parts.last().unwrap().multiply_adds, 10 * 4 * 144);
    }

    /// Number of parts of a kind.
    fn named_kinds(parts: &[PartCost], kind: PartKind) -> usize {
        let mut names: Vec<&str> = parts
            .iter()
            .filter(|cost| cost.kind == kind)
            .map(|cost| cost.part.as_str())
            .collect();
        names.dedup();
        names.len()
    }

    #[test]
    fn other_skeletons_too() {
        let large = parts(DARTS_V2, Stem::Imagenet, 5, 224);
        assert_eq!(named_kinds(&large, PartKind::Stem), 2);
        assert_eq!((named(&large, "stem0").len(), named(&large, "stem1").len()), (1, 1));
        let bench = parts(BENCH, Stem::Cifar, 5, 32);
        assert_eq!(named_kinds(&bench, PartKind::Residual), 2);
        assert_eq!(named_kinds(&bench, PartKind::Normal), 15);
        assert_eq!(
            bench
                .iter()
                .filter(|cost| cost.kind == PartKind::Head)
                .map(|cost| cost.part.as_str())
                .collect::<Vec<_>>(),
            ["lastact", "classifier"]
        );
        assert!(
            named(&bench, "cells.0").iter().all(|cost| cost.operation.is_some()),
            "inputs are taken as they are"
        );
    }
}
