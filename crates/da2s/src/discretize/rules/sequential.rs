//! Sequential: the most certain choice is decided first, and every later one is measured with this
//! decision in place.
//!
//! Reference: the order is that of Li, Qian, Delgadillo, Müller, Thabet, Ghanem, "SGAS: Sequential
//! Greedy Architecture Search", CVPR 2020: the certainty of a choice is 1 − H/ln m of its m
//! weights. Edge by edge, each operation is tried as the only one of its edge, and the best is
//! kept; then node by node, edges are left out one at a time, always the one whose absence costs
//! least. Differences from SGAS: SGAS decides during the search, by the largest weight; a rule
//! changes no weights, so the decisions are measured. Contract: measured on held-out images with
//! the statistics as trained; the loss breaks ties of accuracy, then the earlier choice wins.

use super::measured::{Choice, Quality, genotype_of, quality};
use super::{DiscretizationRule, Images, Searched};
use crate::discretize::skips::limited;
use crate::discretize::strengths::KindStrengths;
use crate::evaluate::EvaluateError;
use crate::space::{CellKind, Genotype, PerKind, Space, Target};

/// The rule; it has no settings of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequential;

impl DiscretizationRule for Sequential {
    fn genotype(&self, searched: &Searched<'_>, images: &Images<'_>) -> Result<Genotype, EvaluateError> {
        let measure = |strengths: &PerKind<KindStrengths>| quality(strengths, searched, images);
        let (space, target) = (searched.space, searched.target);
        let read = |strengths: &PerKind<KindStrengths>| choose(strengths.clone(), space, target, measure);
        limited(searched.strengths, space, target, read)
    }
}

/// Decides all operations, then all edges. `measure` returns the quality of the super-network under
/// a mixture.
pub(super) fn choose<E>(
    mut strengths: PerKind<KindStrengths>,
    space: &Space,
    target: &Target,
    measure: impl Fn(&PerKind<KindStrengths>) -> Result<Quality, E>,
) -> Result<Genotype, E> {
    let graph = space.graph;
    let mut operations = PerKind::new(space.kinds(), |_| vec![Vec::new(); graph.edge_count()]);
    let edges = (0..graph.edge_count()).map(Choice::Operations);
    for (kind, choice) in surest_first(&mut strengths, space, edges.collect()) {
        let Choice::Operations(edge) = choice else { continue };
        let (count, candidates) = (target.kind(kind).operations, strengths.kind(kind).may_stay(edge, space));
        let kept = best_alone(&strengths, kind, &choice, &candidates, count, &measure)?;
        choice.keep(strengths.kind_mut(kind), &kept);
        operations.kind_mut(kind)[edge] = kept;
    }
    let mut edges = PerKind::new(space.kinds(), |_| Vec::new());
    let groups = graph.groups().map(|group| Choice::Edges(graph.edges_of(group)));
    for (kind, choice) in surest_first(&mut strengths, space, groups.collect()) {
        let Choice::Edges(into) = &choice else { continue };
        let group = graph.groups().find(|&group| graph.edges_of(group) == *into);
        let count = group.map_or(into.len(), |group| target.kind(kind).kept(group));
        let remaining = strengths.kind(kind).remaining(into.clone()).into_iter();
        let mut left: Vec<usize> = remaining.map(|edge| edge - into.start).collect();
        while left.len() > count {
            let mut costs = Vec::with_capacity(left.len());
            for (place, &edge) in left.iter().enumerate() {
                let mut without = strengths.clone();
                if choice.leave_out(without.kind_mut(kind), edge) {
                    costs.push((place, measure(&without)?));
                }
            }
            // Of edges that are equally good, the last one is removed.
            let least = costs.into_iter().max_by(|(_, a), (_, b)| a.order(b));
            let place = least.map_or(left.len() - 1, |(place, _)| place);
            choice.leave_out(strengths.kind_mut(kind), left.remove(place));
        }
        choice.keep(strengths.kind_mut(kind), &left);
        edges
            .kind_mut(kind)
            .extend(left.into_iter().map(|edge| into.start + edge));
    }
    let edges = edges.map(|_, edges| {
        let mut edges = edges.clone();
        edges.sort_unstable();
        edges
    });
    Ok(genotype_of(space, &operations, &edges))
}

/// The `choices` of every kind of cell, the most certain first.
fn surest_first(
    strengths: &mut PerKind<KindStrengths>,
    space: &Space,
    choices: Vec<Choice>,
) -> Vec<(CellKind, Choice)> {
    let mut all: Vec<(f64, CellKind, Choice)> = Vec::new();
    for &kind in space.kinds() {
        for choice in &choices {
            let certainty = certainty(choice.weights(strengths.kind_mut(kind)));
            all.push((certainty, kind, choice.clone()));
        }
    }
    all.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    all.into_iter().map(|(_, kind, choice)| (kind, choice)).collect()
}

/// 1 − H(weights / Σ) / ln m: 1 if one of m has all the weight, 0 if all have the same.
fn certainty(weights: &[f32]) -> f64 {
    let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    if weights.len() < 2 || sum <= 0.0 {
        return 1.0;
    }
    let shares = weights.iter().map(|&weight| f64::from(weight) / sum);
    let entropy: f64 = shares
        .filter(|&share| share > 0.0)
        .map(|share| -share * share.ln())
        .sum();
    1.0 - entropy / (weights.len() as f64).ln()
}

/// Measures each of the `candidates` as the only one that is kept, and returns the best `count` of
/// them, the best one first.
fn best_alone<E>(
    strengths: &PerKind<KindStrengths>,
    kind: CellKind,
    choice: &Choice,
    candidates: &[usize],
    count: usize,
    measure: &impl Fn(&PerKind<KindStrengths>) -> Result<Quality, E>,
) -> Result<Vec<usize>, E> {
    if count >= candidates.len() {
        return Ok(candidates.to_vec());
    }
    let mut tried = Vec::with_capacity(candidates.len());
    for &candidate in candidates {
        let mut alone = strengths.clone();
        choice.keep(alone.kind_mut(kind), &[candidate]);
        tried.push((candidate, measure(&alone)?));
    }
    tried.sort_by(|(_, a), (_, b)| b.order(a));
    Ok(tried.into_iter().take(count).map(|(candidate, _)| candidate).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::*;
    use crate::space::TargetSpec;

    #[test]
    fn certainty_is_one_for_a_decision_and_zero_for_none() {
        assert_eq!(certainty(&[0.0, 3.0, 0.0]), 1.0);
        assert!(certainty(&[0.2; 5]).abs() < 1e-9);
        assert!(certainty(&[0.7, 0.2, 0.1]) > certainty(&[0.5, 0.3, 0.2]));
    }

    /// A super-network whose accuracy is a sum of planted values: brute force finds the optimum,
    /// and the most certain edge is measured first.
    #[test]
    fn the_best_choice_stays_and_the_surest_comes_first() {
        let space = Space::darts(false);
        let spec: TargetSpec = toml::from_str("edges = [1, 2, 1, 2]").unwrap();
        let target = spec.resolve(&space).unwrap();
        let candidates = space.operations.len();
        let surest = 6;
        let strengths = PerKind::new(space.kinds(), |_| {
            let mut even = KindStrengths::even(&space);
            even.p[surest] = vec![0.01; candidates];
            even.p[surest][0] = 1.0 - 0.01 * (candidates - 1) as f32;
            even
        });
        // An operation is worth more if the previous edge has the same one.
        let worth = |edge: usize, candidate: usize| ((edge * 5 + candidate * 3) % candidates) as f64;
        let first = RefCell::new(None);
        let quality = |strengths: &PerKind<KindStrengths>| {
            let mut accuracy = 0.0;
            for strengths in strengths.values() {
                for (edge, row) in strengths.p.iter().enumerate() {
                    let of_row: f64 = row
                        .iter()
                        .enumerate()
                        .map(|(at, p)| f64::from(*p) * worth(edge, at))
                        .sum();
                    accuracy += of_row * f64::from(strengths.q[edge]);
                }
            }
            let decided = |row: &Vec<f32>| row.contains(&1.0);
            if let Some(edge) = strengths.normal.p.iter().position(decided) {
                first.borrow_mut().get_or_insert(edge);
            }
            Ok::<_, Infallible>(Quality { accuracy, loss: 0.0 })
        };
        let genotype = choose(strengths, &space, &target, quality).unwrap();
        assert_eq!(*first.borrow(), Some(surest));
        let ends: Vec<(usize, usize)> = space.graph.edges().collect();
        let best = |edge: usize| (0..candidates).map(|at| worth(edge, at)).fold(0.0, f64::max);
        for cell in genotype.cells.values() {
            let mut kept = Vec::new();
            for edge in &cell.edges {
                let index = ends.iter().position(|&ends| ends == (edge.from, edge.to)).unwrap();
                let at = space
                    .operations
                    .iter()
                    .position(|operation| *operation == edge.operations[0])
                    .unwrap();
                assert_eq!(worth(index, at), best(index));
                kept.push(edge.to);
            }
            assert_eq!(kept, [2, 3, 3, 4, 5, 5]);
        }
    }
}
