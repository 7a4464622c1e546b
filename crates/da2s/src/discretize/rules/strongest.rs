//! The rule of DARTS and DA²S: keeps the operations and edges of largest rank.
//!
//! Reference: Liu, Simonyan, Yang 2019, section 2.4; Tian et al. 2021, section 3.2: at each node
//! the n_j strongest edges, on each the k strongest operations (never `none`, except in
//! NAS-Bench-201, where it is a choice like the others). Contract: nothing is measured; the earlier
//! edge or operation wins ties.

use std::convert::Infallible;

use super::{DiscretizationRule, Images, Searched};
use crate::discretize::skips::excluding;
use crate::discretize::strengths::{KindStrengths, largest};
use crate::evaluate::EvaluateError;
use crate::space::{CellGenotype, Genotype, KeptEdge, KindTarget, PerKind, Space, Target};

/// The rule; it has no settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strongest;

impl DiscretizationRule for Strongest {
    fn genotype(&self, searched: &Searched<'_>, _: &Images<'_>) -> Result<Genotype, EvaluateError> {
        Ok(strongest(searched.strengths, searched.space, searched.target))
    }
}

/// The genotype of the strongest operations and edges of every kind of cell.
pub fn strongest(strengths: &PerKind<KindStrengths>, space: &Space, target: &Target) -> Genotype {
    strongest_excluding(strengths, space, target).0
}

/// The same genotype, and the edges of the normal cell whose skip connection was excluded because
/// there were more than the target allows.
pub(crate) fn strongest_excluding(
    strengths: &PerKind<KindStrengths>,
    space: &Space,
    target: &Target,
) -> (Genotype, Vec<usize>) {
    let read = |strengths: &PerKind<KindStrengths>| {
        let cells = strengths.map(|kind, strengths| cell(strengths, space, target.kind(kind)));
        Ok::<_, Infallible>(Genotype { cells })
    };
    let Ok(both) = excluding(strengths, space, target, read);
    both
}

fn cell(strengths: &KindStrengths, space: &Space, target: &KindTarget) -> CellGenotype {
    let graph = space.graph;
    let ends: Vec<(usize, usize)> = graph.edges().collect();
    let mut edges = Vec::new();
    for group in graph.groups() {
        let of_group = graph.edges_of(group);
        let first = of_group.start;
        let mut chosen = largest(&strengths.edge_rank[of_group], target.kept(group), |_| true);
        if space.name.keeps_every_edge() {
            // Their rank has no further meaning: they stay in the order of the graph.
            chosen.sort_unstable();
        }
        edges.extend(chosen.into_iter().map(|index| {
            let edge = first + index;
            let (from, to) = ends[edge];
            let stay = largest(&strengths.operation_rank[edge], target.operations, |candidate| {
                space.may_keep(space.operations[candidate])
            });
            let operations = stay.into_iter().map(|candidate| space.operations[candidate]);
            KeptEdge {
                from,
                to,
                operations: operations.collect(),
            }
        }));
    }
    space.cell(edges)
}
