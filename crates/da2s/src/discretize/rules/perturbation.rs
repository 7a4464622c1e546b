//! Perturbation: keeps what the super-network needs most, whatever its weight.
//!
//! Reference: Wang, Cheng, Chen, Tang, Hsieh, "Rethinking Architecture Selection in Differentiable
//! NAS", ICLR 2021, algorithm 1. Edge by edge, each operation is left out in turn, and those whose
//! absence costs the most accuracy are kept; then, node by node, the same for the incoming edges.
//! Each decision is discretized before the next choice is measured, and with
//! `discretize.tuning_epochs` the weights are tuned in between (`search/tuning.rs`). Differences
//! from the authors' code: kinds of cells, edges and nodes come in order and not at random; the
//! remaining candidates take over the weight of what is left out; the edges into a node are ranked
//! once and not removed one after another.
//! Contract: measured on held-out images with the statistics as trained; the loss breaks ties, then
//! the earlier operation or edge wins.

use super::decisions::Decisions;
use super::measured::{Quality, quality};
use super::{DiscretizationRule, Images, Searched};
use crate::discretize::skips::limited;
use crate::discretize::strengths::KindStrengths;
use crate::evaluate::EvaluateError;
use crate::space::{Genotype, PerKind, Space, Target};

/// The rule; it has no settings of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Perturbation;

impl DiscretizationRule for Perturbation {
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
    strengths: PerKind<KindStrengths>,
    space: &Space,
    target: &Target,
    measure: impl Fn(&PerKind<KindStrengths>) -> Result<Quality, E>,
) -> Result<Genotype, E> {
    let mut decisions = Decisions::new(strengths, space, target);
    while let Some(question) = decisions.open() {
        let kept = decisions.answer(question, &measure)?;
        decisions.settle(kept);
    }
    Ok(decisions.genotype())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::TargetSpec;
    use std::convert::Infallible;

    /// A super-network whose loss depends on planted operations, not on their weights: the planted
    /// ones are kept, although others have larger weights.
    #[test]
    fn the_most_costly_operation_stays_despite_the_smallest_weight() {
        let space = Space::darts(false);
        let spec: TargetSpec = toml::from_str("edges = [2, 1, 2, 1]\noperations = 1").unwrap();
        let target = spec.resolve(&space).unwrap();
        let candidates = space.operations.len();
        let planted = |edge: usize| 1 + edge % (candidates - 1);
        let strengths = PerKind::new(space.kinds(), |_| {
            let mut even = KindStrengths::even(&space);
            for (edge, row) in even.p.iter_mut().enumerate() {
                row[planted(edge)] = 0.01;
            }
            even
        });
        let quality = |strengths: &PerKind<KindStrengths>| {
            let mut accuracy = 0.0;
            for strengths in strengths.values() {
                for (edge, row) in strengths.p.iter().enumerate() {
                    let there = if row[planted(edge)] > 0.0 { 1.0 } else { 0.0 };
                    // Later edges into a node matter more.
                    let worth = (edge + 1) as f64;
                    accuracy += worth * there * if strengths.q[edge] > 0.0 { 1.0 } else { 0.0 };
                }
            }
            Ok::<_, Infallible>(Quality { accuracy, loss: 0.0 })
        };
        let genotype = choose(strengths, &space, &target, quality).unwrap();
        let ends: Vec<(usize, usize)> = space.graph.edges().collect();
        for cell in genotype.cells.values() {
            for edge in &cell.edges {
                let index = ends.iter().position(|&ends| ends == (edge.from, edge.to)).unwrap();
                assert_eq!(edge.operations, [space.operations[planted(index)]]);
            }
            let kept: Vec<(usize, usize)> = cell.edges.iter().map(|edge| (edge.from, edge.to)).collect();
            assert_eq!(kept, [(0, 2), (1, 2), (2, 3), (3, 4), (2, 4), (4, 5)]);
        }
    }

    #[test]
    fn the_loss_breaks_ties_of_accuracy() {
        let space = Space::nas_bench_201();
        let spec: TargetSpec = toml::from_str("edges = \"all\"").unwrap();
        let target = spec.resolve(&space).unwrap();
        let strengths = PerKind::new(space.kinds(), |_| KindStrengths::even(&space));
        let quality = |strengths: &PerKind<KindStrengths>| {
            let loss = strengths.normal.p.iter().filter(|row| row[3] == 0.0).count() as f64;
            Ok::<_, Infallible>(Quality { accuracy: 50.0, loss })
        };
        let genotype = choose(strengths, &space, &target, quality).unwrap();
        assert_eq!(genotype.cells.normal.edges.len(), space.graph.edge_count());
        for edge in &genotype.cells.normal.edges {
            assert_eq!(edge.operations, [space.operations[3]]);
        }
    }
}
