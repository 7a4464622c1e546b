//! The mixture of a super-network after discretization, in whole or in part.
//!
//! Reference: Tian et al. 2021, section 3.2. Contract: what the genotype keeps is kept, whatever
//! rule chose it, and its operations are candidates of the space. If n_j of the d_j edges of a node
//! are kept, each has the weight d_j/n_j, so that their sum is the same as in training; in a chain,
//! each kept edge has the weight 1. Each of k kept operations has 1/k of the weight of its edge.
//! Everything else has weight 0 and is not computed.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::strengths::{KindStrengths, largest};
use crate::arch::Mixture;
use crate::space::{CellGenotype, KeptEdge, KindTarget, Space};

/// The mixture with operations, edges or both discretized.
pub(crate) fn discrete_mixture(
    strengths: &KindStrengths,
    choices: (&Space, &KindTarget),
    genotype: &CellGenotype,
    operations: bool,
    edges: bool,
    device: &Device,
) -> Mixture {
    partly_discrete(strengths, choices, genotype, |_| operations, |_| edges, device)
}

/// The same for some edges only. For the index of an edge, `operations` says whether its operations
/// are discretized, and `edges` whether the edge itself is kept or pruned.
pub(super) fn partly_discrete(
    strengths: &KindStrengths,
    (space, target): (&Space, &KindTarget),
    genotype: &CellGenotype,
    operations: impl Fn(usize) -> bool,
    edges: impl Fn(usize) -> bool,
    device: &Device,
) -> Mixture {
    let graph = space.graph;
    let ends: Vec<(usize, usize)> = graph.edges().collect();
    let entry = |edge: usize| genotype.edges.iter().find(|kept| (kept.from, kept.to) == ends[edge]);
    let kept_of = |group| graph.edges_of(group).filter(|&edge| entry(edge).is_some()).count();
    let kept_of: Vec<usize> = graph.groups().map(kept_of).collect();
    let mut weights = Vec::with_capacity(graph.edge_count() * space.operations.len());
    let mut edge_weights = Vec::with_capacity(graph.edge_count());
    for (index, group) in graph.groups_of_edges().enumerate() {
        let kept = entry(index);
        let edge_weight = match (edges(index), kept) {
            (true, Some(_)) => graph.total_weight(group, kept_of[group]) as f32 / kept_of[group] as f32,
            (true, None) => 0.0,
            (false, _) => graph.total_weight(group, target.kept(group)) as f32 * strengths.q[index],
        };
        edge_weights.push(edge_weight);
        if operations(index) {
            let stay = staying(strengths, space, genotype, index, kept);
            let share = edge_weight / stay.len() as f32;
            let weight = |candidate| if stay.contains(&candidate) { share } else { 0.0 };
            weights.extend((0..space.operations.len()).map(weight));
        } else {
            weights.extend(strengths.p[index].iter().map(|p| edge_weight * p));
        }
    }
    let active: Arc<[bool]> = weights.iter().map(|&weight| weight != 0.0).collect();
    let flat = |data: Vec<f32>| {
        let length = data.len();
        Tensor::from_data(TensorData::new(data, [length]), device)
    };
    Mixture {
        weights: flat(weights),
        edges: flat(edge_weights),
        active: Some(active),
    }
}

/// Indices of the kept candidates of an edge; `kept` is its entry in the genotype. If only
/// operations are discretized, an edge that the genotype prunes keeps its strongest candidates, as
/// many as the other edges.
pub(super) fn staying(
    strengths: &KindStrengths,
    space: &Space,
    genotype: &CellGenotype,
    edge: usize,
    kept: Option<&KeptEdge>,
) -> Vec<usize> {
    let count = genotype.edges.first().map_or(1, |edge| edge.operations.len());
    match kept {
        Some(kept) => {
            let place = |kept| space.operations.iter().position(|candidate| candidate == kept);
            kept.operations.iter().filter_map(place).collect()
        }
        None => largest(&strengths.operation_rank[edge], count, |candidate| {
            space.may_keep(space.operations[candidate])
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discretize::strongest;
    use crate::space::{Genotype, Operation, PerKind, Target, TargetSpec};
    use proptest::prelude::*;

    fn strengths(space: &Space, seed: u64) -> KindStrengths {
        let value = |index: u64| {
            ((index + 1).wrapping_mul(seed | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / (1 << 24) as f32
        };
        let edges = space.graph.edge_count();
        let width = space.operations.len();
        let row = |edge| {
            (0..width)
                .map(|operation| value((edge * width + operation) as u64))
                .collect()
        };
        let p: Vec<Vec<f32>> = (0..edges).map(row).collect();
        let q: Vec<f32> = (0..edges).map(|edge| value(1000 + edge as u64)).collect();
        KindStrengths {
            operation_rank: p.clone(),
            p,
            edge_rank: q.clone(),
            q,
        }
    }

    fn target(text: &str, space: &Space) -> Target {
        let spec: TargetSpec = toml::from_str(text).unwrap();
        spec.resolve(space).unwrap()
    }

    fn strongest_of(strengths: &KindStrengths, space: &Space, target: &Target) -> Genotype {
        strongest(&PerKind::new(space.kinds(), |_| strengths.clone()), space, target)
    }

    fn weights(mixture: &Mixture) -> Vec<f32> {
        mixture.weights.to_data().iter::<f32>().collect()
    }

    proptest! {
        #[test]
        fn exactly_the_target_stays(seed in any::<u64>()) {
            let space = Space::darts(true);
            let target = target("edges = [1, 2, 1, 3]\noperations = 2", &space);
            let genotype = strongest_of(&strengths(&space, seed), &space, &target).cells.normal;
            for (node, count) in (2..6).zip([1, 2, 1, 3]) {
                prop_assert_eq!(genotype.edges.iter().filter(|edge| edge.to == node).count(), count);
            }
            for edge in &genotype.edges {
                prop_assert_eq!(edge.operations.len(), 2);
                prop_assert!(!edge.operations.contains(&Operation::None));
            }
        }

        #[test]
        fn a_node_keeps_its_total_weight(seed in any::<u64>()) {
            let space = Space::darts(false);
            let target = target("edges = [1, 2, 3, 2]", &space);
            let strengths = strengths(&space, seed);
            let genotype = strongest_of(&strengths, &space, &target).cells.normal;
            let mixture = discrete_mixture(&strengths, (&space, &target.normal), &genotype, true, true, &Device::flex());
            let weights = weights(&mixture);
            for group in space.graph.groups() {
                let range = space.graph.edges_of(group);
                let total: f32 = weights[range.start * 7..range.end * 7].iter().sum();
                prop_assert!((total - space.graph.size_of(group) as f32).abs() < 1e-4);
            }
        }

        /// The gap of a genotype is measured on its own network, even if another operation of an
        /// edge is stronger in the mixture.
        #[test]
        fn only_kept_choices_have_a_weight(seed in any::<u64>(), picks in prop::collection::vec(0..7usize, 9)) {
            let space = Space::darts(false);
            let target = target("edges = [1, 2, 3, 3]", &space);
            let strengths = strengths(&space, seed);
            let mut genotype = strongest_of(&strengths, &space, &target).cells.normal;
            for (edge, &pick) in genotype.edges.iter_mut().zip(&picks) {
                edge.operations = vec![space.operations[pick]];
            }
            let mixture = discrete_mixture(&strengths, (&space, &target.normal), &genotype, true, true, &Device::flex());
            let weights = weights(&mixture);
            for (row, (from, to)) in weights.chunks(7).zip(space.graph.edges()) {
                let kept = genotype.edges.iter().find(|edge| (edge.from, edge.to) == (from, to));
                let there: Vec<Operation> = row
                    .iter()
                    .zip(&space.operations)
                    .filter_map(|(&weight, &operation)| (weight > 0.0).then_some(operation))
                    .collect();
                prop_assert_eq!(there, kept.map_or(Vec::new(), |edge| edge.operations.clone()));
            }
        }
    }
}
