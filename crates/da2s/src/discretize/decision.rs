//! How decided the mixture is about a genotype.
//!
//! Contract: computed from a genotype and a mixture, whatever rule chose the genotype; 1 means that
//! pruning removes no weight. A weight that is NaN is never decided.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::gap::PruningChoice;
use super::mixture::staying;
use super::strengths::KindStrengths;
use crate::space::{CellGenotype, CellKind, Genotype, KeptEdge, PerKind, Space};

/// How decided a mixture is. 1 means that pruning removes no weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Mean over the edges of the weight of the kept operations.
    pub p_mean: f32,
    /// The minimum over the kept edges.
    pub p_least: f32,
    /// Mean over the nodes of n_j times the weakest kept q, at most 1.
    pub q_mean: f32,
    /// The minimum over the nodes.
    pub q_least: f32,
    /// The undecided choices, the least decided first.
    pub undecided: Vec<Undecided>,
}

/// An undecided choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undecided {
    /// Kind of cell.
    pub kind: CellKind,
    /// Node where the edge begins.
    pub from: usize,
    /// Node where it ends.
    pub to: usize,
    /// Whether this is the choice between operations on the edge; otherwise it is the choice
    /// between the edge and its competitors.
    pub operations: bool,
    /// The weight of what is kept; 1 means decided.
    pub weight: f32,
    /// A description of the choice.
    pub text: String,
}

/// The value of p, and of n_j·q, at which an edge counts as decided.
const DECIDED: f32 = 0.99;
/// Rounding error allowed in the sum of a softmax.
const ROUNDING: f32 = 1e-4;

impl Undecided {
    /// The choice, without its weight and description.
    pub(super) fn choice(&self) -> PruningChoice {
        let (from, to) = (self.from, self.to);
        if self.operations {
            PruningChoice::Operations { from, to }
        } else {
            PruningChoice::Group { from, to }
        }
    }
}

impl Decision {
    /// Descriptions of the undecided choices.
    pub fn texts(&self) -> Vec<String> {
        self.undecided.iter().map(|one| one.text.clone()).collect()
    }

    /// Combines the decisions of several kinds of cell.
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

/// How decided the mixtures `strengths` are about `genotype`.
pub fn decide(strengths: &PerKind<KindStrengths>, space: &Space, genotype: &Genotype) -> PerKind<Decision> {
    strengths.map(|kind, strengths| decide_kind(strengths, space, genotype.kind(kind), kind))
}

fn decide_kind(strengths: &KindStrengths, space: &Space, genotype: &CellGenotype, kind: CellKind) -> Decision {
    let graph = space.graph;
    let (mut p_all, mut p_kept, mut q_nodes) = (Vec::new(), Vec::new(), Vec::new());
    let mut undecided: Vec<Undecided> = Vec::new();
    let ends: Vec<(usize, usize)> = graph.edges().collect();
    for (edge, &(from, to)) in ends.iter().enumerate() {
        let kept = genotype.edges.iter().find(|kept| (kept.from, kept.to) == (from, to));
        let row = &strengths.p[edge];
        let stay = staying(strengths, space, genotype, edge, kept);
        p_all.push(decided_share(row, stay.into_iter().map(|candidate| row[candidate])));
    }

    for group in graph.groups() {
        let of_group = graph.edges_of(group);
        let at = |kept: &KeptEdge| of_group.clone().find(|&edge| ends[edge] == (kept.from, kept.to));
        let kept: Vec<_> = genotype
            .edges
            .iter()
            .filter_map(|kept| Some((at(kept)?, kept)))
            .collect();
        let count = kept.len();
        let competes = count < graph.size_of(group);
        let weakest = kept.iter().map(|&(edge, _)| strengths.q[edge]);
        let q = lesser(weakest.fold(f32::INFINITY, lesser) * count as f32, 1.0);
        if competes {
            q_nodes.push(q);
        }
        for (edge, kept) in kept {
            let p = p_all[edge];
            p_kept.push(p);
            let (from, to) = (kept.from, kept.to);
            let mut open = |operations, weight, what: String| {
                let text = format!("{} {from}→{to}: {what}", kind.name());
                undecided.push(Undecided {
                    kind,
                    from,
                    to,
                    operations,
                    weight,
                    text,
                });
            };
            if is_open(p) {
                let names: Vec<&str> = kept.operations.iter().map(|operation| operation.name()).collect();
                open(true, p, format!("{} has p = {p:.3}", names.join("+")));
            }
            let own = strengths.q[edge];
            let weight = own * count as f32;
            if competes && is_open(weight) {
                let whole = 1.0 / count as f32;
                open(false, weight, format!("the edge has q = {own:.3} of {whole:.3}"));
            }
        }
    }
    undecided.sort_by(least_decided);
    Decision {
        p_mean: mean(p_all.iter().copied()),
        p_least: p_kept.iter().copied().fold(1.0, lesser),
        q_mean: mean(q_nodes.iter().copied()),
        q_least: q_nodes.iter().copied().fold(1.0, lesser),
        undecided,
    }
}

/// How decided an edge is: its operations have the weights `row`, and those with the weights `stay`
/// are kept.
fn decided_share(row: &[f32], stay: impl ExactSizeIterator<Item = f32> + Clone) -> f32 {
    // Independent gates may sum to more than 1: a choice is decided to the extent that the kept
    // gates are the only open ones.
    let sum: f32 = row.iter().sum();
    let whole = if sum > 1.0 + ROUNDING { sum } else { 1.0 };
    let mass = stay.clone().sum::<f32>() / whole;
    // With k > 1 the kept operations must share the weight evenly: the weakest of the k counts k
    // times.
    let count = stay.len() as f32;
    let weakest = stay.fold(f32::INFINITY, lesser) * count / whole;
    lesser(lesser(mass, weakest), 1.0)
}

/// The smaller of two weights, or NaN if one is NaN. `f32::min` would ignore the NaN and return 1.
fn lesser(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.min(b) }
}

/// Whether a choice with this weight is undecided.
fn is_open(weight: f32) -> bool {
    weight.is_nan() || weight < DECIDED
}

/// The order of choices, the least decided first; a NaN weight comes before all others.
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
    use crate::discretize::strongest;
    use crate::space::{Operation, Target, TargetSpec};

    fn target(text: &str) -> Target {
        let spec: TargetSpec = toml::from_str(text).unwrap();
        spec.resolve(&Space::darts(false)).unwrap()
    }

    /// The decision about normal cells, if both kinds of cell have the mixture `strengths`; returns
    /// the genotype too.
    fn decided(strengths: &KindStrengths, target: &Target) -> (CellGenotype, Decision) {
        let space = Space::darts(false);
        let strengths = PerKind::new(space.kinds(), |_| strengths.clone());
        let genotype = strongest(&strengths, &space, target);
        let decision = decide(&strengths, &space, &genotype).normal;
        (genotype.cells.normal, decision)
    }

    fn uniform(row: Vec<f32>) -> KindStrengths {
        KindStrengths {
            p: vec![row.clone(); 14],
            q: vec![0.5; 14],
            operation_rank: vec![row; 14],
            edge_rank: vec![1.0; 14],
        }
    }

    #[test]
    fn a_decided_mixture_says_so_and_an_open_one_names_its_edges() {
        let space = Space::darts(false);
        let target = target("edges = 2");
        let mut strengths = uniform(vec![0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        strengths.q = vec![0.0; 14];
        strengths.edge_rank = vec![0.0; 14];
        for group in space.graph.groups() {
            for (order, edge) in space.graph.edges_of(group).enumerate() {
                if order < 2 {
                    strengths.q[edge] = 0.5;
                    strengths.edge_rank[edge] = 1.0;
                }
            }
        }
        let (_, decision) = decided(&strengths, &target);
        assert_eq!((decision.p_least, decision.q_least), (1.0, 1.0));
        assert!(decision.undecided.is_empty());
        strengths.p[2] = vec![0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1];
        let (_, decision) = decided(&strengths, &target);
        let texts: Vec<&str> = decision.undecided.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, ["normal 0→3: sep_conv_3x3 has p = 0.400"]);
    }

    #[test]
    fn gates_that_are_all_open_are_not_decided() {
        let decided = |row: Vec<f32>, operations: usize| {
            let target = target(&format!("edges = \"all\"\noperations = {operations}"));
            let (_, decision) = decided(&uniform(row), &target);
            decision.undecided.is_empty()
        };
        assert!(!decided(vec![0.995, 0.995, 0.0, 0.0, 0.0, 0.0, 0.0], 1));
        assert!(!decided(vec![0.536; 7], 2));
        assert!(decided(vec![0.995, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 1));
        assert!(decided(vec![0.995, 0.995, 0.0, 0.0, 0.0, 0.0, 0.0], 2));
    }

    #[test]
    fn a_weight_that_is_nan_is_not_decided() {
        let space = Space::darts(false);
        let target = target("edges = 2");
        let mut strengths = uniform(vec![0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1]);
        // The softmax of a row with one NaN is NaN everywhere.
        strengths.p[3] = vec![f32::NAN; 7];
        let edges = space.graph.edges_of(3);
        strengths.q[edges].fill(f32::NAN);
        let (genotype, decision) = decided(&strengths, &target);
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

    #[test]
    fn a_genotype_of_weak_operations_is_not_decided_by_the_strong_ones() {
        let space = Space::darts(false);
        let strengths = PerKind::new(space.kinds(), |_| uniform(vec![0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]));
        let mut genotype = strongest(&strengths, &space, &target("edges = 2"));
        genotype.cells.normal.edges[3].operations = vec![Operation::SkipConnect];
        let decision = decide(&strengths, &space, &genotype).normal;
        assert_eq!((decision.p_least, decision.undecided.len()), (0.0, 1));
        let edge = &genotype.cells.normal.edges[3];
        assert_eq!(
            decision.undecided[0].text,
            format!("normal {}→{}: skip_connect has p = 0.000", edge.from, edge.to)
        );
    }
}
