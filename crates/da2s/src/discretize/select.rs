//! Which edges and operations stay, how decided that choice is, and the mixture that it leaves.
//!
//! Reference: Tian et al. 2021, section 3.2: at each node the n_j strongest edges, on each the strongest
//! operation (never `none`, except in NAS-Bench-201, where it is a choice like the others). Contract: a kept edge then
//! weighs d_j/n_j, so that a node's sum stays what the
//! super-network trained with, and each of k kept operations 1/k; ties go to the earlier edge or operation. A weight that is not a
//! number is never decided.

use std::cmp::Ordering;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::gap::Choice;
use crate::objective::KindTarget;
use crate::space::{CellGenotype, CellKind, KeptEdge, Operation, Space, SpaceName};
use crate::supernet::Mixture;

/// The mixture of one kind of cell on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct KindStrengths {
    /// p, one row an edge.
    pub p: Vec<Vec<f32>>,
    /// q, one value an edge.
    pub q: Vec<f32>,
    /// What edges are ranked by: β where the method has one, else the strongest operation.
    pub edge_rank: Vec<f32>,
}

/// How decided a mixture is. 1 means that pruning takes nothing away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Mean over the edges of the weight of the operations that stay.
    pub p_mean: f32,
    /// The least of them, over the edges that stay.
    pub p_least: f32,
    /// Mean over the nodes of n_j times the weakest kept q, at most 1.
    pub q_mean: f32,
    /// The least of them.
    pub q_least: f32,
    /// What is not decided, the least decided first.
    pub undecided: Vec<Undecided>,
}

/// A choice that is not decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undecided {
    /// Kind of cell.
    pub kind: CellKind,
    /// Node where the edge begins.
    pub from: usize,
    /// Node where it ends.
    pub to: usize,
    /// Whether it is the choice of operations on the edge; else that of edges into its end.
    pub operations: bool,
    /// The weight of what stays: 1 if it were decided.
    pub weight: f32,
    /// The same in words.
    pub text: String,
}

/// From which p, and which n_j·q, an edge counts as decided.
const DECIDED: f32 = 0.99;
/// By how much a softmax may miss a sum of 1.
const ROUNDING: f32 = 1e-4;

impl Undecided {
    /// The choice by itself.
    pub(super) fn choice(&self) -> Choice {
        let (from, to) = (self.from, self.to);
        if self.operations {
            Choice::Operations { from, to }
        } else {
            Choice::Node { to }
        }
    }
}

impl Decision {
    /// What is not decided, in words.
    pub fn texts(&self) -> Vec<String> {
        self.undecided.iter().map(|one| one.text.clone()).collect()
    }

    /// That of several kinds of cell together.
    pub fn join(kinds: impl Iterator<Item = Self>) -> Self {
        let kinds: Vec<Self> = kinds.collect();
        let middle = |part: fn(&Self) -> f32| mean(kinds.iter().map(part));
        let least = |part: fn(&Self) -> f32| kinds.iter().map(part).fold(1.0, lesser);
        Self {
            p_mean: middle(|decision| decision.p_mean),
            p_least: least(|decision| decision.p_least),
            q_mean: middle(|decision| decision.q_mean),
            q_least: least(|decision| decision.q_least),
            undecided: {
                let mut all: Vec<Undecided> = kinds.iter().flat_map(|decision| decision.undecided.clone()).collect();
                all.sort_by(least_decided);
                all
            },
        }
    }
}

/// What of one kind of cell stays, and how decided that is.
pub fn discretize(
    strengths: &KindStrengths,
    space: &Space,
    target: &KindTarget,
    kind: CellKind,
) -> (CellGenotype, Decision) {
    let graph = space.graph;
    let ends: Vec<(usize, usize)> = graph.edges().collect();
    let mut edges = Vec::new();
    let (mut p_all, mut p_kept, mut q_nodes) = (Vec::new(), Vec::new(), Vec::new());
    let mut undecided: Vec<Undecided> = Vec::new();

    for (row, &(from, to)) in strengths.p.iter().zip(&ends) {
        let kept = strongest(row, target.operations, |index| space.may_keep(space.operations[index]));
        // Gates of their own may sum to more than 1: what stays is decided as far as it is all that is open.
        let sum: f32 = row.iter().sum();
        let whole = if sum > 1.0 + ROUNDING { sum } else { 1.0 };
        let mass = kept.iter().map(|&index| row[index]).sum::<f32>() / whole;
        // With k > 1 the mass must also be shared: the weakest of the k counts k times.
        let weakest = kept.iter().map(|&index| row[index]).fold(f32::INFINITY, lesser) * kept.len() as f32 / whole;
        p_all.push((from, to, lesser(lesser(mass, weakest), 1.0), kept));
    }

    for node in graph.all_nodes() {
        let range = graph.edges_into(node);
        let count = target.kept(graph, node);
        let mut chosen = strongest(&strengths.edge_rank[range.clone()], count, |_| true);
        let weakest = chosen
            .iter()
            .map(|&index| strengths.q[range.start + index])
            .fold(f32::INFINITY, lesser);
        let q = lesser(weakest * count as f32, 1.0);
        if target.has_beta(graph, node) {
            q_nodes.push(q);
        }
        if space.name == SpaceName::NasBench201 {
            // Its text names edges by their place.
            chosen.sort_unstable();
        }
        for index in chosen {
            let (from, to, p, kept) = &p_all[range.start + index];
            p_kept.push(*p);
            let operations: Vec<Operation> = kept.iter().map(|&index| space.operations[index]).collect();
            let names = operations
                .iter()
                .map(|operation| operation.name())
                .collect::<Vec<_>>()
                .join("+");
            let mut open = |operations, weight, what: String| {
                let text = format!("{} {from}→{to}: {what}", kind.name());
                let (from, to) = (*from, *to);
                undecided.push(Undecided {
                    kind,
                    from,
                    to,
                    operations,
                    weight,
                    text,
                });
            };
            if is_open(*p) {
                open(true, *p, format!("{names} has p = {p:.3}"));
            }
            let own = strengths.q[range.start + index];
            let weight = own * count as f32;
            if target.has_beta(graph, node) && is_open(weight) {
                open(
                    false,
                    weight,
                    format!("the edge has q = {own:.3} of {:.3}", 1.0 / count as f32),
                );
            }
            edges.push(KeptEdge {
                from: *from,
                to: *to,
                operations,
            });
        }
    }
    undecided.sort_by(least_decided);
    let decision = Decision {
        p_mean: mean(p_all.iter().map(|(_, _, p, _)| *p)),
        p_least: p_kept.iter().copied().fold(1.0, lesser),
        q_mean: mean(q_nodes.iter().copied()),
        q_least: q_nodes.iter().copied().fold(1.0, lesser),
        undecided,
    };
    (
        CellGenotype {
            edges,
            concat: match space.name {
                SpaceName::Darts => graph.all_nodes().collect(),
                SpaceName::NasBench201 => graph.all_nodes().rev().take(1).collect(),
            },
        },
        decision,
    )
}

/// The mixture with operations and edges discretized as asked: what is pruned away weighs 0 and is not computed.
pub fn discrete_mixture(
    strengths: &KindStrengths,
    space: &Space,
    genotype: &CellGenotype,
    operations: bool,
    edges: bool,
    device: &Device,
) -> Mixture {
    partly_discrete(strengths, space, genotype, |_, _| operations, |_, _| edges, device)
}

/// The same for the edges (from, to) whose operations are to be discretized, and those that are themselves to be kept or pruned.
pub(super) fn partly_discrete(
    strengths: &KindStrengths,
    space: &Space,
    genotype: &CellGenotype,
    operations: impl Fn(usize, usize) -> bool,
    edges: impl Fn(usize, usize) -> bool,
    device: &Device,
) -> Mixture {
    let graph = space.graph;
    let mut weights = Vec::with_capacity(graph.edge_count() * space.operations.len());
    let mut edge_weights = Vec::with_capacity(graph.edge_count());
    for (index, (from, to)) in graph.edges().enumerate() {
        let degree = graph.in_degree(to) as f32;
        let kept_edges = genotype.edges.iter().filter(|edge| edge.to == to).count() as f32;
        let kept = genotype.edges.iter().find(|edge| edge.from == from && edge.to == to);
        let edge_weight = match (edges(from, to), kept) {
            (true, Some(_)) => degree / kept_edges,
            (true, None) => 0.0,
            (false, _) => degree * strengths.q[index],
        };
        edge_weights.push(edge_weight);
        let row = &strengths.p[index];
        if operations(from, to) {
            // An edge that is pruned only with the edges still keeps its strongest operations here.
            let count = kept.or(genotype.edges.first()).map_or(1, |edge| edge.operations.len());
            let stay = strongest(row, count, |candidate| space.may_keep(space.operations[candidate]));
            let share = edge_weight / stay.len() as f32;
            weights.extend((0..row.len()).map(|candidate| if stay.contains(&candidate) { share } else { 0.0 }));
        } else {
            weights.extend(row.iter().map(|p| edge_weight * p));
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

/// Indices of the `count` largest of `values` among those allowed, largest first, ties to the earlier.
fn strongest(values: &[f32], count: usize, allowed: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&index| allowed(index)).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(count);
    order
}

/// The lesser of two weights, and not a number if one is none: `f32::min` passes over that, and 1 would be the least.
fn lesser(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.min(b) }
}

/// Whether a choice of this weight is not decided.
fn is_open(weight: f32) -> bool {
    weight.is_nan() || weight < DECIDED
}

/// The order of choices, the least decided first: one whose weight is not a number is least of all.
fn least_decided(a: &Undecided, b: &Undecided) -> Ordering {
    let rank = |one: &Undecided| {
        if one.weight.is_nan() {
            f32::NEG_INFINITY
        } else {
            one.weight
        }
    };
    rank(a).total_cmp(&rank(b))
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 1.0 } else { sum / count as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::{Target, TargetSpec};
    use proptest::prelude::*;

    fn target(text: &str) -> Target {
        toml::from_str::<TargetSpec>(text)
            .unwrap()
            .resolve(&Space::darts(true))
            .unwrap()
    }

    fn strengths(space: &Space, seed: u64) -> KindStrengths {
        let value = |index: u64| {
            ((index + 1).wrapping_mul(seed | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / (1 << 24) as f32
        };
        let edges = space.graph.edge_count();
        let width = space.operations.len();
        let p = (0..edges)
            .map(|edge| (0..width).map(|op| value((edge * width + op) as u64)).collect())
            .collect();
        let q: Vec<f32> = (0..edges).map(|edge| value(1000 + edge as u64)).collect();
        KindStrengths {
            p,
            edge_rank: q.clone(),
            q,
        }
    }

    proptest! {
        #[test]
        fn exactly_the_target_stays(seed in any::<u64>()) {
            let space = Space::darts(true);
            let target = target("edges = [1, 2, 1, 3]\noperations = 2");
            let (genotype, _) = discretize(&strengths(&space, seed), &space, &target.normal, CellKind::Normal);
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
            let target = target("edges = [1, 2, 3, 2]");
            let strengths = strengths(&space, seed);
            let (genotype, _) = discretize(&strengths, &space, &target.normal, CellKind::Normal);
            let mixture = discrete_mixture(&strengths, &space, &genotype, true, true, &Device::flex());
            let weights: Vec<f32> = mixture.weights.to_data().iter::<f32>().collect();
            for node in space.graph.all_nodes() {
                let range = space.graph.edges_into(node);
                let total: f32 = weights[range.start * 7..range.end * 7].iter().sum();
                prop_assert!((total - space.graph.in_degree(node) as f32).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn a_decided_mixture_says_so_and_an_open_one_names_its_edges() {
        let space = Space::darts(false);
        let target = target("edges = 2");
        let mut strengths = KindStrengths {
            p: vec![vec![0.0; 7]; 14],
            q: vec![0.0; 14],
            edge_rank: vec![0.0; 14],
        };
        for node in space.graph.all_nodes() {
            for (order, edge) in space.graph.edges_into(node).enumerate() {
                strengths.p[edge][3] = 1.0;
                if order < 2 {
                    strengths.q[edge] = 0.5;
                    strengths.edge_rank[edge] = 1.0;
                }
            }
        }
        let (_, decision) = discretize(&strengths, &space, &target.normal, CellKind::Normal);
        assert_eq!((decision.p_least, decision.q_least), (1.0, 1.0));
        assert!(decision.undecided.is_empty());
        strengths.p[2] = vec![0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1];
        let (_, decision) = discretize(&strengths, &space, &target.normal, CellKind::Normal);
        let texts: Vec<&str> = decision.undecided.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, ["normal 0→3: sep_conv_3x3 has p = 0.400"]);
    }

    #[test]
    fn gates_that_are_all_open_are_not_decided() {
        let space = Space::darts(false);
        let decided = |row: Vec<f32>, operations: usize| {
            let target = target(&format!("edges = \"all\"\noperations = {operations}"));
            let strengths = KindStrengths {
                p: vec![row; 14],
                q: vec![0.5; 14],
                edge_rank: vec![1.0; 14],
            };
            let (_, decision) = discretize(&strengths, &space, &target.normal, CellKind::Normal);
            decision.undecided.is_empty()
        };
        assert!(!decided(vec![0.995, 0.995, 0.0, 0.0, 0.0, 0.0, 0.0], 1));
        assert!(!decided(vec![0.536; 7], 2));
        assert!(decided(vec![0.995, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 1));
        assert!(decided(vec![0.995, 0.995, 0.0, 0.0, 0.0, 0.0, 0.0], 2));
    }

    #[test]
    fn what_is_no_number_is_not_decided() {
        let space = Space::darts(false);
        let target = target("edges = 2");
        let mut strengths = KindStrengths {
            p: vec![vec![0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1]; 14],
            q: vec![0.5; 14],
            edge_rank: vec![1.0; 14],
        };
        // A softmax with one number that is none has no other.
        strengths.p[3] = vec![f32::NAN; 7];
        let edges = space.graph.edges_into(5);
        strengths.q[edges].fill(f32::NAN);
        let (genotype, decision) = discretize(&strengths, &space, &target.normal, CellKind::Normal);
        assert_eq!(genotype.edges.len(), 8);
        for decision in [
            Decision::join([Decision::default(), decision.clone()].into_iter()),
            decision,
        ] {
            assert!(decision.p_least.is_nan() && decision.q_least.is_nan(), "{decision:?}");
            assert!(decision.p_mean.is_nan() && decision.q_mean.is_nan(), "{decision:?}");
            let none = decision.undecided.iter().take_while(|one| one.weight.is_nan());
            assert_eq!(
                none.map(|one| (one.from, one.to, one.operations)).collect::<Vec<_>>(),
                [(1, 3, true), (0, 5, false), (1, 5, false)]
            );
        }
    }
}
