//! The parameters and multiply-adds of a network by part, and in each part by operation.
//!
//! Contract: counted as in `cost.rs`, so the entries sum to the cost of the network; parts are in
//! the order of the network and named like their weights.

use da2s_engine::Choice;
use da2s_records::schema::PartCost;

use super::cost::{input_sizes, stage_sizes};
use crate::backbone::{Backbone, NetworkStage};
use crate::space::{Operation, SpaceName};

/// Kinds of parts that are not cells: before, between (NAS-Bench-201) and after the cells.
const STEM: &str = "stem";
const RESIDUAL: &str = "residual";
const HEAD: &str = "head";

/// The cost of `network` by part, for square images with a side of `image_size` pixels.
pub(crate) fn cost_parts(network: &Backbone, space: SpaceName, image_size: usize) -> Vec<PartCost> {
    let stages = network.stages();
    let sizes = stage_sizes(stages, image_size);
    let searched = |stage: &NetworkStage| stage.kind.is_some();
    let first_cell = stages.iter().position(searched).unwrap_or(stages.len());
    let last_cell = stages.iter().rposition(searched).unwrap_or(0);
    let mut costs = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        let kind = match stage.kind {
            Some(kind) => kind.name(),
            None if index < first_cell => STEM,
            None if index < last_cell => RESIDUAL,
            None => HEAD,
        };
        let inputs = input_sizes(stage, &sizes, image_size);
        costs.extend(of_stage(stage, space, kind, &inputs));
    }
    let classifier = &network.parts()[stages.len()];
    let biases = classifier.weights.last().map_or(0, |bias| bias.shape[0]);
    costs.push(PartCost {
        part: "classifier".to_owned(),
        kind: HEAD.to_owned(),
        operation: None,
        parameters: classifier.weight_count as u64,
        multiply_adds: (classifier.weight_count - biases) as u64,
    });
    costs
}

/// One entry per operation, and one for everything that is not searched.
fn of_stage(stage: &NetworkStage, space: SpaceName, kind: &str, inputs: &[(usize, usize)]) -> Vec<PartCost> {
    let plan = stage.cell.plan();
    let nodes = plan.node_sizes(inputs);
    let before = plan.preprocess.iter().zip(inputs);
    let before = before.filter_map(|(choice, size)| Some((None, choice.as_ref()?, *size)));
    let edges = plan.edges.iter().flat_map(|edge| {
        let size = nodes[edge.from];
        edge.choices.iter().map(move |choice| {
            let operation = stage.kind.and_then(|_| Operation::in_network(choice.block, space));
            let operation = operation.map(|operation| operation.name().to_owned());
            (operation, choice, size)
        })
    });
    let all: Vec<(Option<String>, &Choice, (usize, usize))> = before.chain(edges).collect();
    let first = all
        .first()
        .map(|(_, choice, _)| choice.name.clone())
        .unwrap_or_default();
    let part_of = |choice: &Choice| match (stage.prefix.trim_end_matches('.'), stage.kind) {
        // Stems have no prefix; their weights are named after their convolution.
        ("", None) => first.clone(),
        // A layer of a chain, whose operations are numbered.
        ("", Some(_)) => choice
            .name
            .trim_end_matches(|c: char| c != '.')
            .trim_end_matches('.')
            .to_owned(),
        (prefix, _) => prefix.to_owned(),
    };
    let mut costs: Vec<PartCost> = Vec::new();
    // The residual of a layer has no name and no cost.
    for (operation, choice, (height, width)) in all.into_iter().filter(|(_, choice, _)| !choice.name.is_empty()) {
        let part = part_of(choice);
        let at = costs
            .iter()
            .position(|cost| cost.operation == operation && cost.part == part);
        let at = at.unwrap_or_else(|| {
            costs.push(PartCost {
                part,
                kind: kind.to_owned(),
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
    use crate::backbone::{NetworkSize, Stem};
    use crate::network::{cost, network};
    use crate::space::{CellKind, ChainShape, Genotype, Reductions, StageShape};

    const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
        ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
        normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
        ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
        reduce_concat=[2, 3, 4, 5])";
    const BENCH: &str = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|";

    const CHAIN: &str = "Genotype(stages=[['mbconv_k3_e3', None, 'mbconv_k5_e6'], ['mbconv_k7_e1']])";

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
            chain: ChainShape {
                stem_channels: 16,
                stem_stride: 1,
                stages: [[24, 3, 2], [40, 1, 2]].map(StageShape::from).to_vec(),
                head_channels: 64,
                ..ChainShape::default()
            },
        };
        let genotype = Genotype::parse(text).unwrap();
        let network = network(&genotype, size, &Engine::Plain).unwrap();
        let (parts, all) = (cost_parts(&network, genotype.space(), side), cost(&network, side));
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
        assert_eq!(
            (stem.len(), stem[0].kind.as_str(), &stem[0].operation),
            (1, STEM, &None)
        );
        assert_eq!(stem[0].multiply_adds, 32 * 32 * 3 * 3 * 3 * 108);
        assert_eq!(stem[0].parameters, 3 * 3 * 3 * 108 + 2 * 108);
        let named_operation = |operation: Operation| Some(operation.name().to_owned());
        let operations = |part: &str| {
            named(&parts, part)
                .iter()
                .map(|cost| cost.operation.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            operations("cells.0"),
            [
                None,
                named_operation(Operation::SepConv3x3),
                named_operation(Operation::SkipConnect),
                named_operation(Operation::DilConv3x3)
            ]
        );
        assert_eq!(
            operations("cells.6"),
            [
                None,
                named_operation(Operation::MaxPool3x3),
                named_operation(Operation::SkipConnect)
            ]
        );
        // Five separable convolutions with two stages each, on images of the network's size.
        let separable = named(&parts, "cells.0")[1];
        assert_eq!(separable.multiply_adds, 5 * 2 * 32 * 32 * (9 * 36 + 36 * 36));
        let kinds = |kind| named_kinds(&parts, kind);
        assert_eq!(
            (kinds(CellKind::Normal.name()), kinds(CellKind::Reduction.name())),
            (18, 2)
        );
        assert_eq!(parts.last().unwrap().multiply_adds, 10 * 4 * 144);
    }

    /// Number of parts of a kind.
    fn named_kinds(parts: &[PartCost], kind: &str) -> usize {
        let mut names: Vec<&str> = parts
            .iter()
            .filter(|cost| cost.kind == kind)
            .map(|cost| cost.part.as_str())
            .collect();
        names.dedup();
        names.len()
    }

    #[test]
    fn networks_of_other_skeletons_are_taken_apart_too() {
        let large = parts(DARTS_V2, Stem::Imagenet, 5, 224);
        assert_eq!(named_kinds(&large, STEM), 2);
        assert_eq!((named(&large, "stem0").len(), named(&large, "stem1").len()), (1, 1));
        let chain = parts(CHAIN, Stem::Cifar, 1, 32);
        assert_eq!(named_kinds(&chain, CellKind::Normal.name()), 3);
        let layer = named(&chain, "layers.1");
        assert_eq!(layer.len(), 1, "the residual is no part");
        assert_eq!(layer[0].operation.as_deref(), Some("mbconv_k5_e6"));
        // 24 channels become 56 at a width of 36/16: 6 · 56 hidden channels on 16 × 16 pixels.
        assert_eq!(layer[0].multiply_adds, 16 * 16 * 6 * 56 * (56 + 25 + 56));
        let bench = parts(BENCH, Stem::Cifar, 5, 32);
        assert_eq!(named_kinds(&bench, RESIDUAL), 2);
        assert_eq!(named_kinds(&bench, CellKind::Normal.name()), 15);
        assert_eq!(
            bench
                .iter()
                .filter(|cost| cost.kind == HEAD)
                .map(|cost| cost.part.as_str())
                .collect::<Vec<_>>(),
            ["lastact", "classifier"]
        );
        assert!(
            named(&bench, "cells.0").iter().all(|cost| cost.operation.is_some()),
            "a cell does not preprocess its inputs"
        );
    }
}
